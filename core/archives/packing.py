"""A project as one archive, built while it is sent: what it is made of is in `core.archives.contents`."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from core import settings
from core.archives import contents
from core.archives.contents import Manifest
from core.demos import reviews
from core.errors import HeadstartError
from core.pictures import damage, export_zip
from core.pictures.export_zip import ZipStream
from core.store.rows import archive_rows
from core.store.store import Store


def chunks(store: Store, project_id: str, lost: list[str] | None = None) -> Iterator[bytes]:
    """The archive, piece by piece; memory use does not grow with the pictures. Pictures whose file is damaged or
    missing are left out, and their ids appended to `lost`. Raises HeadstartError("archive_model") where the files of a
    model are not those of its run, also when a training puts another in their place meanwhile: what was written until
    then is no archive."""
    lost = [] if lost is None else lost
    name = store.project(project_id).name
    sink: Any = ZipStream()
    sums: dict[str, str] = {}
    # Pictures and models are already compressed.
    with archive_rows.snapshot(store, project_id) as tables, zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as out:

        def put(entry: str, file: IO[bytes]) -> Iterator[bytes]:
            digest = hashlib.sha256()
            yield from export_zip.add(out, sink, entry, file, see=digest.update)
            sums[entry] = digest.hexdigest()

        for table, rows in tables.items():
            yield from put(f"tables/{table}.jsonl", rows)
        for entry, path in _files(store, tables, lost):
            with path.open("rb") as file:
                yield from put(entry, file)
        for row in _rows(tables["artifact"]):
            if sums.get(f"runs/{row['run_id']}/{row['name']}") != row["sha256"]:
                raise _incomplete(store, row["run_id"])
        manifest = Manifest(headstart=settings.VERSION, name=name, sums=sums, lost=tuple(lost))
        with out.open(zipfile.ZipInfo(contents.MANIFEST), "w") as member:
            member.write(manifest.to_bytes())
        yield sink.take()
    yield sink.take()


def check(store: Store, project_id: str) -> None:
    """Raises HeadstartError("archive_model") where a file of a model is damaged or missing; reads all of them."""
    for run in store.runs(project_id):
        if not store.is_whole(run.id):
            raise _incomplete(store, run.id)


def _incomplete(store: Store, run_id: str) -> HeadstartError:
    run = store.run(run_id)
    return HeadstartError("archive_model", run=run.name or run.plan["backbone"])


def _files(store: Store, tables: dict[str, IO[bytes]], lost: list[str]) -> Iterator[tuple[str, Path]]:
    """Entry -> file, of the rows that were read."""
    pictures = {row["picture_id"] for table in ("dataset", "file") for row in _rows(tables[table])} - {None}
    needed = {row["picture_id"] for row in _rows(tables["dataset"])}
    for key in sorted(pictures):
        # Checked before it is sent: sent bytes cannot be taken back. The second read comes from the cache.
        if damage.is_sound(store, key):
            yield f"pictures/{key}", store.pictures.path(key)
        elif key in needed:
            lost.append(key)
    models: dict[str, str] = {}  # as the rows say: a training may put another one in place
    for row in _rows(tables["artifact"]):
        models[row["run_id"]] = row["name"].rpartition("/")[0]
    for row in _rows(tables["run"]):
        yield from _of_run(store.root(row["id"]), row["id"], models.get(row["id"]))
    for row in _rows(tables["review"]):
        path = reviews.path(store, row["project_id"], row["id"])
        if path.is_file():
            yield f"reviews/{row['id']}", path


def _of_run(root: Path, run_id: str, model: str | None) -> Iterator[tuple[str, Path]]:
    found = {root / name for name in contents.BESIDE} | (set() if model is None else set((root / model).rglob("*")))
    for path in sorted(found):
        name = path.relative_to(root).as_posix()
        if path.is_file() and contents.travels(name, model):
            yield f"runs/{run_id}/{name}", path


def _rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    file.seek(0)
    yield from map(json.loads, file)
