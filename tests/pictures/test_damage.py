"""What a disk has changed or lost is named, with what to do; nothing damaged is handed out."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from core.__main__ import main
from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language import messages
from core.language.catalog import say
from core.pictures import album, export_zip
from core.plan import PRESETS
from core.runs import requests
from core.store.store import Project, Run, Store
from pages.parts.frame.words import plain
from tests.visits import visit
from tests.worker.test_training import spoil
from tests.workers import wait

pytestmark = pytest.mark.usefixtures("in_process")

MENDS = say("hint.model_damaged")


@pytest.fixture
def done(tmp_path: Path, trained: Path) -> tuple[Store, Project, Run]:
    """A home of one's own with a finished run."""
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    (project,) = store.projects()
    return store, project, store.runs(project.id)[0]


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "flipped":
        spoil(path, len(data) // 2, 8)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()


# -- models


@pytest.mark.parametrize("how", ["flipped", "cut"])
@pytest.mark.parametrize("name", ["model.tflite", "head.npz", "known.npz", "model.json"])
def test_a_model_with_a_damaged_file_answers_nothing_and_names_the_file(
    done: tuple[Store, Project, Run], capsys: pytest.CaptureFixture[str], name: str, how: str
) -> None:
    store, _, run = done
    folder, sums = store.folder(run.id), store.artifacts(run.id)
    Predictor(folder, sums).close()
    damage(folder / name, how)
    with pytest.raises(HeadstartError) as caught:
        Predictor(folder, sums)
    assert caught.value.code == "model_damaged" and caught.value.values == {"names": name}
    assert name in caught.value.message and caught.value.hint.startswith(MENDS)
    if name != "model.json":  # in which a model by itself has its sums
        assert main(["predict", str(folder), str(store.home / "nothing.png")]) == 1
        assert f"Files of this model are damaged: {name}." in capsys.readouterr().err


def test_a_copy_of_a_model_is_compared_with_the_sums_in_it_and_an_older_one_without_them_still_answers(
    done: tuple[Store, Project, Run], tmp_path: Path
) -> None:
    store, project, run = done
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("model.tflite", "head.npz", "model.json"):
        shutil.copyfile(store.folder(run.id) / name, copy / name)
    data = store.pictures.read(store.dataset(project.id).pictures[0].id)
    with Predictor(copy) as whole:  # what is known is not in it, and need not be
        expected = whole.predict(data).scores
    facts = json.loads((copy / "model.json").read_bytes())
    del facts["sha256"]
    (copy / "model.json").write_text(json.dumps(facts))
    with Predictor(copy) as older:
        assert older.predict(data).scores == expected
    damage(copy / "head.npz", "cut")
    with Predictor(copy) as older, pytest.raises(HeadstartError, match=r"Files of this model are damaged: head\.npz"):
        older.predict(data)


@pytest.mark.parametrize("name", ["model.tflite", "head.npz", "known.npz", "model.json"])
def test_pages_say_which_file_of_a_model_is_damaged_and_offer_to_train_again(
    done: tuple[Store, Project, Run], name: str
) -> None:
    store, project, run = done
    damage(store.folder(run.id) / name, "flipped" if name != "model.json" else "cut")
    said = visit(store.home, project.id, "demo", "present", "export", red=True)["said"]
    for page in said.values():
        (error,) = page["error"]
        assert name.replace(".", "\\.") in error and "try another" not in error.lower() and "wrong" not in error
        assert say("train_again") in page["button"]
    assert sum("Damaged" in text for text in said["export"]["markdown"]) == 1
    assert any("model.keras" in text for text in said["export"]["markdown"])  # the others are offered all the same
    assert visit(store.home, project.id, "results")["said"]["results"]["header"][0].startswith("Right on")


def test_export_does_not_say_that_a_damaged_file_agrees(done: tuple[Store, Project, Run]) -> None:
    store, project, run = done
    before = visit(store.home, project.id, "export")["said"]["export"]["markdown"]
    damage(store.folder(run.id) / "model.keras", "flipped")
    after = visit(store.home, project.id, "export", red=True)["said"]["export"]["markdown"]
    agreed = [[text for text in said if text.startswith(":material/check:")] for said in (before, after)]
    assert [len(texts) for texts in agreed] == [2, 1], agreed
    assert ":material/error: Damaged" in after


@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_results_and_demo_stay_usable_without_the_measured_answers(done: tuple[Store, Project, Run], how: str) -> None:
    store, project, run = done
    score = visit(store.home, project.id, "results")["said"]["results"]["header"][0]
    damage(store.folder(run.id) / "evaluation-test.json", how)
    album.exclude(store, project.id, [store.dataset(project.id).part("test").pictures[0].id])
    visit(store.home, project.id, "projects")
    (results,) = visit(store.home, project.id, "results:curves", red=True)["said"].values()
    assert results["header"][0] == score and say("train_again") in results["button"]
    assert len(results["error"]) == 1 and plain(MENDS) in results["error"][0]
    demo = visit(store.home, project.id, "demo")["said"]["demo"]
    assert demo["title"] and any("Answered in" in text for text in demo["caption"])


def test_training_again_mends_a_damaged_model_with_the_same_answers(done: tuple[Store, Project, Run]) -> None:
    store, project, run = done
    folder = store.folder(run.id)
    whole = {name: (folder / name).read_bytes() for name in ("model.tflite", "head.npz", "evaluation-test.json")}
    for name in whole:
        damage(folder / name, "flipped")
    album.exclude(store, project.id, [store.dataset(project.id).pictures[0].id])  # another dataset than the run's
    job = requests.again(store, run)
    assert job.runs == (run.id,) and wait(store, job).state == "succeeded"
    assert {name: (store.folder(run.id) / name).read_bytes() for name in whole} == whole and store.is_whole(run.id)
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert stages == ["save"]


# -- pictures


def lose(store: Store, project: Project, how: str, n: int = 1) -> list[str]:
    """Damage the files of some pictures of a project; their ids."""
    ids = [picture.id for picture in store.dataset(project.id).pictures if picture.part == "train"][:n]
    for key in ids:
        damage(store.pictures.path(key), how)
    return ids


def name_of(store: Store, key: str) -> str:
    return str(store.row("SELECT name FROM file WHERE picture_id = ?", key)["name"])


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_training_names_the_pictures_it_cannot_read_and_goes_on_without_them(
    done: tuple[Store, Project, Run], how: str
) -> None:
    store, project, _ = done
    ids = lose(store, project, how, 2)
    shutil.rmtree(store.home / "features")
    run, job = requests.train(store, project.id, PRESETS["linear"].with_(epochs=2))
    assert job is not None
    failure = wait(store, job).failure
    assert failure is not None and failure.code == "pictures_lost"
    assert failure.values["n"] == 2 and sorted(failure.values["ids"]) == sorted(ids)
    for key in ids:
        label = name_of(store, key).split("/")[0]
        assert f"{name_of(store, key)} ({label})" in failure.message
    (train,) = visit(store.home, project.id, "train", red=True)["said"].values()
    assert say("train_without") in train["button"] and any(b.startswith(say("resume")) for b in train["button"])
    album.exclude(store, project.id, ids)
    other, job = requests.train(store, project.id, PRESETS["linear"].with_(epochs=2))
    assert job is not None and other.id != run.id and wait(store, job).state == "succeeded"


def test_a_picture_that_no_child_can_read_any_more_is_named_though_its_bytes_are_as_they_came(
    done: tuple[Store, Project, Run],
) -> None:
    from core.pictures import damage as damaged

    store, project, _ = done
    key = store.dataset(project.id).pictures[3].id
    told = damaged.named(store, project.id, HeadstartError("pictures_unread", id=key, why="child_died"))
    assert told.code == "pictures_unread" and name_of(store, key) in told.message
    assert told.values["ids"] == [key]
    other = HeadstartError("too_many_files", n=3, limit=2)
    assert damaged.named(store, project.id, other) is other


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_what_is_taken_out_leaves_damaged_pictures_out_and_names_them(
    done: tuple[Store, Project, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    store, project, _ = done
    (key,) = lose(store, project, how)
    out = tmp_path / "out.zip"
    assert main(["export-data", str(out), "--home", str(store.home)]) == 0
    assert "Wrote 35 pictures" in capsys.readouterr().out
    with zipfile.ZipFile(out) as file:
        assert file.testzip() is None
        text = file.read(export_zip.LOST).decode()
        names = set(file.namelist())
        assert len(names) == 37 and not [name for name in names if key[:24] in name]
        assert key[:24] not in file.read(export_zip.TABLE).decode()
    assert text.startswith(messages.note("taken_out_but", {"n": 1})) and name_of(store, key) in text


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_sending_a_damaged_picture_again_mends_it(done: tuple[Store, Project, Run], shapes: Path, how: str) -> None:
    store, project, _ = done
    (key,) = lose(store, project, how)
    with pytest.raises(HeadstartError):
        store.pictures.read(key)
    job = queue.start(store, project.id, INTAKE, Delivery(str(shapes), "again"))
    assert wait(store, job).state == "succeeded"
    assert blobs.sha256(store.pictures.path(key)) == key and len(store.dataset(project.id).pictures) == 36
