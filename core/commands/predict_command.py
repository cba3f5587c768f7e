"""`python -m core predict`: what a model says about a few pictures, or about many, which become rows of a file."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.commands.progress_bar import ProgressBar
from core.disk import blobs, home
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.intake.archive import Entry
from core.language import messages
from core.predictions import answer_table, many_pictures, picture_sources
from core.predictions.answer_table import AnswerRow
from core.predictions.predictor_pool import PredictorPool


def expect(parser: argparse.ArgumentParser) -> None:
    """Describe what may be given to `predict`."""
    parser.add_argument("model", type=Path, help="a model.keras that lies beside its model.tflite, or their folder")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--batch", type=Path, metavar="OUT", help="write one row a picture to this .csv, .jsonl or .parquet; IMAGE may "
        "then be a ZIP, a folder, or a CSV or Parquet table with a column of addresses or paths",
    )  # fmt: skip


def predict(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The answers about the pictures that were named."""
    if options.batch is not None:
        return _batch(options.model, options.images, options.batch)
    answers: list[dict[str, Any]] = []
    lines = []
    with Predictor(options.model) as predictor:
        for path in options.images:
            if not path.is_file():
                raise HeadstartError("data_missing", path=str(path))
            try:
                prediction = predictor.predict(path.read_bytes())
            except HeadstartError as error:  # one bad picture does not cost the answers for the others
                answers.append({"image": str(path), "error": error.message, "hint": error.hint})
                lines.append(f"{path}: {error.message}")
                continue
            scores = dict(prediction.scores)
            label, sure = prediction.label, prediction.is_answer
            answers.append({"image": str(path), "label": label if sure else None, "probabilities": scores})
            doubt = "" if sure else f"not sure enough ({prediction.least:.0%} asked): "
            if not prediction.is_known:
                doubt = "none of the classes, nearest: "
            lines.append(f"{path}: {doubt}{label} ({prediction.probability:.1%})")
    return {"predictions": answers}, "\n".join(lines)


def _batch(model: Path, sources: Sequence[Path], out: Path) -> tuple[dict[str, Any], str]:
    kind = out.suffix.lower().lstrip(".")
    if kind not in answer_table.FORMATS:
        raise HeadstartError("answers_format", name=out.name, formats=", ".join(answer_table.FORMATS))
    entries = [entry for source in sources for entry in picture_sources.of_path(source)]
    found: Counter[str] = Counter()
    with PredictorPool(model) as pool, home.as_the_user_does():
        blobs.write(out, answer_table.chunks(kind, pool.classes, _counted(pool, entries, found)))
    text = ", ".join(f"{n} {verdict}" for verdict, n in found.most_common())
    lines = [f"Wrote {found.total()} rows to {out}: {text}."]
    return {"path": str(out.resolve()), "pictures": found.total(), "verdicts": dict(found)}, "\n".join(lines)


def _counted(pool: PredictorPool, entries: Sequence[Entry], found: Counter[str]) -> Iterator[AnswerRow]:
    """The answers; shows how many there are, and counts their verdicts."""
    bar = ProgressBar()
    try:
        for row in many_pictures.answers(pool, entries):
            found[row.verdict] += 1
            bar.show(messages.stage("predict"), found.total(), len(entries))
            yield row
    finally:
        bar.end()
