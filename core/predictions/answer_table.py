"""The answers about many pictures as a file: CSV, JSON Lines, or Parquet.

All three have the same columns. JSON Lines is also how a job keeps its answers, from which the others are made when
somebody wants them. In CSV no cell is a formula; a reason is a sentence in the language of who asks.
"""

import csv
import io
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.disk.blobs import CHUNK
from core.errors import HeadstartError
from core.explain.predictor import Prediction
from core.intake.label_tables import inert
from core.language import messages

FORMATS = ("csv", "jsonl", "parquet")
UNREADABLE = "unreadable"
_COLUMNS = ("file", "verdict", "label", "probability", "distance", "reason")
# Rows of a Parquet file that are written at once.
_ROWS = 2_000


@dataclass(frozen=True)
class AnswerRow:
    """What was answered about one file: the probability of each class, or the `error` why there is none and its
    `values`. `verdict`: "answer", "unsure", "unknown" (none of the classes), or "unreadable"."""

    file: str
    verdict: str
    label: str = ""
    distance: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[str, str, str, float | None, float | None, str]:
        """What stands in the columns before those of the classes."""
        if self.error:
            return self.file, self.verdict, "", None, None, messages.error(self.error, self.values)[0]
        return self.file, self.verdict, self.label, self.scores[self.label], self.distance, ""


def answered(name: str, answer: Prediction | HeadstartError) -> AnswerRow:
    """The answer about a file of this name."""
    if isinstance(answer, HeadstartError):
        return AnswerRow(name, UNREADABLE, error=answer.code, values=answer.values)
    return AnswerRow(name, answer.verdict, answer.label, answer.distance, dict(answer.scores))


def kept(rows: Iterable[AnswerRow]) -> Iterator[bytes]:
    """The rows as `read` reads them."""
    for row in rows:
        yield json.dumps(asdict(row), default=str).encode() + b"\n"


def read(path: Path) -> Iterator[AnswerRow]:
    """The rows of a file that `kept` wrote."""
    with path.open("rb") as file:
        for line in file:
            yield AnswerRow(**json.loads(line))


def chunks(kind: str, classes: Sequence[str], rows: Iterable[AnswerRow]) -> Iterator[bytes]:
    """The bytes of a file of this kind of `FORMATS`. Probabilities of classes are columns named "p(class)"; JSON Lines
    has them as one object."""
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[kind](classes, rows)


def _csv(classes: Sequence[str], rows: Iterable[AnswerRow]) -> Iterator[bytes]:
    yield _line([*_COLUMNS, *map(_column, classes)])
    for row in rows:
        numbers = ["" if value is None else round(value, 6) for value in _numbers(classes, row)]
        cells = ["" if cell is None else round(cell, 6) if isinstance(cell, float) else cell for cell in row.cells]
        yield _line([*cells, *numbers])


def _line(cells: Sequence[str | float]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([inert(c) if isinstance(c, str) else c for c in cells])
    return out.getvalue().encode()


def _jsonl(_: Sequence[str], rows: Iterable[AnswerRow]) -> Iterator[bytes]:
    for row in rows:
        facts = dict(zip(_COLUMNS, row.cells, strict=True)) | {"probabilities": row.scores}
        yield json.dumps(facts, ensure_ascii=False).encode() + b"\n"


def _parquet(classes: Sequence[str], rows: Iterable[AnswerRow]) -> Iterator[bytes]:
    import pyarrow as arrow  # imported here: only this needs it
    from pyarrow import parquet

    texts = [arrow.field(name, arrow.string()) for name in _COLUMNS]
    for name in ("probability", "distance"):
        texts[_COLUMNS.index(name)] = arrow.field(name, arrow.float64())
    schema = arrow.schema([*texts, *(arrow.field(_column(label), arrow.float64()) for label in classes)])
    with tempfile.TemporaryFile() as file:
        with parquet.ParquetWriter(file, schema) as out:
            rest = iter(rows)
            while some := list(itertools.islice(rest, _ROWS)):
                columns = zip(*([*row.cells, *_numbers(classes, row)] for row in some), strict=True)
                arrays = [arrow.array(column, each.type) for column, each in zip(columns, schema, strict=True)]
                out.write_table(arrow.Table.from_arrays(arrays, schema=schema))
        file.seek(0)
        yield from iter(lambda: file.read(CHUNK), b"")


def _numbers(classes: Sequence[str], row: AnswerRow) -> list[float | None]:
    return [row.scores.get(label) for label in classes]


def _column(label: str) -> str:
    return f"p({label})"
