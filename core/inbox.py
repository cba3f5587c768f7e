"""Deliveries: those that a page writes itself, in the form in which the upload route leaves them, and taking one in."""

import hashlib
import json
import uuid
from pathlib import Path

from core import archive, jobs, manifest, shelf
from core.errors import HeadstartError
from core.layout import class_name
from core.settings import LIMITS
from core.store import Store
from core.upload import BATCH, Claim


def path(store: Store, batch: str) -> Path:
    """Where a delivery lies."""
    return store.home / "inbox" / batch


def take(store: Store, project_id: str, batch: str, label: str, n_files: int = 1) -> None:
    """Start to take in a delivery of so many files, once however often this is asked; `label` is the class of pictures
    in no folder."""
    if not BATCH.fullmatch(batch):
        raise HeadstartError("upload_unclear")
    sql = "SELECT 1 FROM job WHERE project_id = ? AND kind = 'intake' AND json_extract(params, '$.batch') = ?"
    if store.row(sql, store.project(project_id).id, batch) is not None:
        return  # its files may be gone from the inbox by now
    folder = path(store, batch)
    if len(archive.delivered(folder)) < max(1, n_files):
        raise HeadstartError("upload_missing")
    _start(store, project_id, folder, batch, label)


def take_folder(store: Store, project_id: str, folder: Path, label: str) -> None:
    """Start to take in a folder or ZIP of the server as it is now."""
    _start(store, project_id, folder, of_folder(folder), label)


def _start(store: Store, project_id: str, folder: Path, batch: str, label: str) -> None:
    jobs.start(
        store, project_id, "intake",
        {"path": str(folder), "batch": batch, "label": label[: LIMITS.class_name], "audit": True},
    )  # fmt: skip


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
