"""What a project archive holds and how it is laid out: a ZIP that is stored, not compressed.

`tables/<table>.jsonl` has a row a line, `pictures/<sha256>` the bytes of pictures, `runs/<run>/<path>` the files of
runs, `reviews/<id>` the pictures that visitors left. `manifest.json`, the last entry, says which format it is and gives
the sha256 of every other entry.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.backbones import DESCRIPTION
from core.errors import HeadstartError
from core.store.database import VERSION
from core.store.store import Run

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIX = ".headstart.zip"  # of the name of a file
KINDS = ("tables", "pictures", "runs", "reviews")
# A name in an archive: a few plain words with slashes between them, none of which leads out of its folder.
PLAIN = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,99}/){0,5}[A-Za-z0-9][\w.-]{0,99}", re.ASCII)
# Files of a run beside its model.
BESIDE = ("dataset.json", DESCRIPTION)
# Folders of a run, anywhere in it: of a training or an export that was not ended; and exports, since a file that says
# that one was verified is believed.
_LEFT = re.compile(r"exports|draft(-.*)?")


def travels(path: str, model: str | None) -> bool:
    """Whether a file of a run is in an archive, by its path below the folder of the run: its pictures, the description
    of its backbone if that is a user's own, and what lies in the folder `model` (None: there is none). The record of a
    run is written anew where it is opened."""
    if path in BESIDE:
        return True
    is_inside = model is not None and (not model or path.startswith(f"{model}/"))
    is_left = path == Run.FILE or any(map(_LEFT.fullmatch, path.split("/")[:-1]))
    return is_inside and not is_left and PLAIN.fullmatch(path) is not None


@dataclass(frozen=True)
class Manifest:
    """`schema` is the version of the tables; `sums` is entry -> sha256; `lost` names pictures that were damaged or gone
    when the archive was written, and are not in it."""

    headstart_archive: int = FORMAT
    schema: int = VERSION
    headstart: str = ""
    name: str = ""
    sums: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()

    @staticmethod
    def from_bytes(data: bytes, title: str) -> "Manifest":
        """Raises HeadstartError("archive_foreign") where the bytes are no manifest, and
        HeadstartError("archive_newer") where a newer Headstart wrote it."""
        try:
            values: dict[str, Any] = json.loads(data)
            found, schema = int(values["headstart_archive"]), int(values["schema"])
            sums = {str(name): str(key) for name, key in values["sums"].items()}
            lost = tuple(str(key) for key in values["lost"])
            manifest = Manifest(found, schema, str(values["headstart"]), str(values["name"]), sums, lost)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise HeadstartError("archive_foreign", name=title) from None
        if found > FORMAT or schema > VERSION:
            raise HeadstartError("archive_newer", name=title, version=manifest.headstart[:20])
        return manifest
