"""Many pictures at once: the same answers as one by one, a reason for each that has none, and no formula in a table."""

import asyncio
import csv
import io
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from core.__main__ import main
from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Prediction
from core.intake import deliveries
from core.intake.upload import Claim
from core.jobs import queue
from core.jobs.job_context import write_result
from core.jobs.kinds import PREDICT
from core.language.catalog import say
from core.predictions import answer_queue, answer_table, many_pictures, picture_sources, prediction_job
from core.predictions.answer_queue import AnswerQueue
from core.predictions.predictor_pool import PredictorPool
from core.store.store import Store
from tests import drawing
from tests.workers import wait


def png(label: str, seed: int) -> bytes:
    out = io.BytesIO()
    drawing.draw(label, seed).save(out, "PNG")
    return out.getvalue()


PICTURES = [png(label, 50 + seed) for seed in range(4) for label in ("circle", "square", "triangle")]


@pytest.fixture(scope="module")
def model(trained: Path) -> Path:
    store = Store(trained)
    return store.folder(store.runs(store.projects()[0].id)[0].id)


@pytest.fixture(scope="module")
def pool(model: Path) -> Iterator[PredictorPool]:
    with PredictorPool(model) as started:
        yield started


def test_together_pictures_get_the_answers_that_each_gets_alone(pool: PredictorPool) -> None:
    alone = [pool.predict([picture])[0] for picture in PICTURES[:5]]
    together = pool.predict([*PICTURES[:2], b"no picture", *PICTURES[2:5]])
    assert isinstance(together[2], HeadstartError) and together[2].code == "file_not_picture"
    assert [each for each in together if isinstance(each, Prediction)] == alone
    assert len({each.label for each in alone if isinstance(each, Prediction)}) > 1


def test_who_asks_at_the_same_time_is_answered_together_and_too_many_are_sent_away(
    pool: PredictorPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    predict = pool.predict
    monkeypatch.setattr(pool, "predict", lambda some: asked.append(len(some)) or predict(some))
    monkeypatch.setattr(answer_queue, "WAITING", 5)

    async def ask() -> list[object]:
        waiting = AnswerQueue(pool)
        many = (waiting.ask([picture]) for picture in PICTURES)
        return await asyncio.gather(*many, return_exceptions=True)

    found = asyncio.run(ask())
    refused = [each for each in found if isinstance(each, HeadstartError)]
    assert {each.code for each in refused} == {"api_busy"} and len(refused) == len(PICTURES) - 5 - pool.size
    assert sum(asked) == len(PICTURES) - len(refused) and max(asked) > 1
    assert [each[0] for each in found if isinstance(each, list)] == predict(PICTURES)[: sum(asked)]


def test_a_folder_a_zip_and_a_table_become_rows_of_each_format(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for name, data in {"=evil.png": PICTURES[0], "b.png": PICTURES[1], "text.txt": b"words"}.items():
        (folder / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("in/c.png", PICTURES[2])
        archive.writestr("__MACOSX/c.png", b"")
    address = "https://example.org/d.png"
    (tmp_path / "table.csv").write_text(f"name,path\nx,new/b.png\ny,gone.png\nz,{address}\n")
    sources = [str(folder), str(tmp_path / "z.zip"), str(tmp_path / "table.csv")]
    made = {kind: tmp_path / f"out.{kind}" for kind in answer_table.FORMATS}
    for out in made.values():
        assert main(["predict", str(model), *sources, "--batch", str(out), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["pictures"] == 7 and told["verdicts"]["unreadable"] == 3
    rows = list(csv.DictReader(io.StringIO(made["csv"].read_text())))
    names = ["'=evil.png", "b.png", "text.txt", "in/c.png", "new/b.png", "gone.png", address]
    assert [row["file"] for row in rows] == names
    assert [row["verdict"] for row in rows[:2]] == ["answer", "answer"] and rows[1]["p(square)"] == rows[4]["p(square)"]
    assert [row["reason"] for row in rows if row["reason"]] == [
        say("error.file_not_picture"), say("error.file_unreadable"), say("error.file_downloads_off"),
    ]  # fmt: skip
    objects = [json.loads(line) for line in made["jsonl"].read_text().splitlines()]
    columns = parquet.read_table(made["parquet"]).to_pydict()
    assert columns["file"] == [each["file"] for each in objects] == ["=evil.png", *names[1:]]
    assert columns["p(circle)"] == [each["probabilities"].get("circle") for each in objects]
    assert sum(objects[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert parquet.read_schema(made["parquet"]).names == list(rows[0])


def test_a_format_and_a_table_that_nobody_knows_are_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for out, code in (("out.xlsx", "answers_format"), ("out.csv", "answers_table")):
        assert main(["predict", str(model), str(tmp_path / "table.csv"), "--batch", str(tmp_path / out)]) == 1
        values = {"name": out} if code == "answers_format" else {}
        assert say(f"error.{code}", **values) in capsys.readouterr().err
        assert not (tmp_path / out).exists()


def test_a_table_leads_to_no_file_outside_its_folder_and_to_no_pipe(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(PICTURES[0])
    (folder / "own.png").write_bytes(PICTURES[1])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(folder / "pipe.png")
    outside = ["../secret.png", str(tmp_path / "secret.png"), "link.png"]
    unreadable = ["pipe.png", "a\0b.png", "x" * 5_000]
    (folder / "table.csv").write_text("\n".join(["path", "own.png", *outside, *unreadable]))
    own, *others = picture_sources.of_path(folder / "table.csv")
    assert picture_sources.content(own) == PICTURES[1]
    codes = []
    for entry in others:
        with pytest.raises(HeadstartError) as refused:
            picture_sources.content(entry)
        codes.append(refused.value.code)
    assert codes == 3 * ["file_unusable_path"] + 3 * ["file_unreadable"]


def test_a_cell_that_is_too_long_is_told(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,x\na.png," + "y" * ((1 << 20) + 1))
    with pytest.raises(HeadstartError) as refused:
        picture_sources.of_path(tmp_path / "table.csv")
    assert refused.value.code == "answers_table"


def test_kept_rows_come_back_as_they_were(pool: PredictorPool, tmp_path: Path) -> None:
    for name, data in (("a.png", PICTURES[0]), ("b.png", b"")):
        (tmp_path / name).write_bytes(data)
    rows = list(many_pictures.answers(pool, picture_sources.of_path(tmp_path)))
    (tmp_path / "kept").write_bytes(b"".join(answer_table.kept(rows)))
    assert list(answer_table.read(tmp_path / "kept")) == rows and rows[1].error == "file_empty"


def test_a_job_answers_a_delivery_once_and_keeps_the_newest_answers(
    trained: Path, tmp_path: Path, in_process: None
) -> None:
    store = Store(Path(shutil.copytree(trained, tmp_path / "home")))
    run = store.runs(store.projects()[0].id)[0]
    jobs = []
    for names in (("a.png", "b.png"), ("c.png",)):
        batch = uuid.uuid4().hex
        for number, name in enumerate(names):
            folder = deliveries.path(store, batch)
            blobs.write(folder / f"{number}.json", json.dumps(Claim(0, len(PICTURES[0]), name).note()).encode())
            blobs.write(folder / str(number), PICTURES[number])
        with pytest.raises(HeadstartError, match=say("error.upload_missing")):
            prediction_job.start(store, run.id, batch, len(names) + 1)
        for _ in range(2):
            prediction_job.start(store, run.id, batch, len(names))
        (job,) = [each for each in queue.deliveries(store) if each.kind is PREDICT and each.id not in jobs]
        assert wait(store, job).state == "succeeded" and not folder.exists()
        rows = list(answer_table.read(prediction_job.path(store, run.id, job.id)))
        assert [row.file for row in rows] == list(names) and rows[0].label == "circle"
        jobs.append(job.id)
    assert [path.stem for path in (store.root(run.id) / "predictions").rglob("*.jsonl")] == [jobs[1]]
    assert prediction_job.path(store, run.id, jobs[1]).is_file()
    files = {f"model-9/{path.rpartition('/')[2]}": key for path, key in store.files(run.id).items()}
    with store.write() as db:
        write_result(db, run.id, run.outcome, files)
    assert not prediction_job.path(store, run.id, jobs[1]).exists()  # another model did not give these answers
    told = [event.facts for event in queue.events(store, jobs[0]) if event.kind == prediction_job.TOLD]
    assert sum(told[0].values()) == 2
