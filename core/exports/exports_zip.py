"""All exports of a run as one ZIP, built while it is sent, with a table of what was measured of each."""

import csv
import io
import zipfile
from collections.abc import Iterator
from typing import Any

from core.exports import made
from core.exports.formats import FORMATS
from core.pictures import export_zip
from core.pictures.export_zip import ZipStream
from core.store.store import Store

TABLE = "exports.csv"
_COLUMNS = ("file", "bytes", "sha256", "pictures", "same_answers", "largest_difference", "points_lost", "ms", "runtime")


def chunks(store: Store, run_id: str) -> Iterator[bytes]:
    """The ZIP, piece by piece; memory use does not grow with it."""
    sink: Any = ZipStream()  # a file that `zipfile` only writes to
    found = made.all_of(store, run_id)
    lines = io.StringIO()
    table = csv.writer(lines)
    table.writerow(_COLUMNS)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as out:  # weights hardly shrink
        for each in FORMATS:
            if each.key not in found:
                continue
            facts, path = found[each.key], made.folder(store, run_id, each) / each.file
            with path.open("rb") as file:
                yield from export_zip.add(out, sink, each.file, file)
            table.writerow(
                (
                    each.file, facts.bytes, facts.sha256, facts.n, facts.same, facts.difference, facts.points, facts.ms,
                    f"{each.runtime} {facts.version}",
                )
            )  # fmt: skip
        out.writestr(zipfile.ZipInfo(TABLE), lines.getvalue())
        yield sink.take()
    yield sink.take()
