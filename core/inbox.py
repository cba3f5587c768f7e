"""Deliveries that a page writes itself, in the form in which the upload route leaves them."""

import hashlib
import json
import uuid
from pathlib import Path

from core import archive, manifest, shelf
from core.errors import HeadstartError
from core.layout import class_name
from core.store import Store
from core.upload import Claim


def path(store: Store, batch: str) -> Path:
    """Where a delivery lies."""
    return store.home / "inbox" / batch


def of_folder(folder: Path) -> str:
    """The batch of a folder or ZIP as it is now: another one once a file in it has changed, so that it can be taken in
    again and only files that are new count."""
    return f"folder {hashlib.sha256(archive.stamp(folder).encode()).hexdigest()[:16]}"


def addresses(store: Store, text: str, label: str = "") -> str:
    """A delivery of pictures by their addresses, one a line, each with its class behind a comma or of class `label`.
    Returns its batch."""
    rows = []
    for line in filter(None, map(str.strip, text.splitlines())):
        url, _, own = line.partition(",")
        if not class_name(own or label):
            raise HeadstartError("address_unlabelled", address=url[:80])
        rows.append((url.strip(), class_name(own or label), "", "", ""))
    if not rows:
        raise HeadstartError("addresses_none")
    batch = uuid.uuid4().hex
    data = b"".join(manifest.write(rows))
    shelf.write(path(store, batch) / "0", data)
    shelf.write(path(store, batch) / "0.json", json.dumps(Claim(0, len(data), "addresses.csv").note()).encode())
    return batch
