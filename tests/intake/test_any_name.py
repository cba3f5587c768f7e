"""Any class name works: each way in, each file out, the command line, and back in; see `tests/names.py`."""

import csv
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.__main__ import main
from core.dataset import Dataset
from core.intake.folder_labels import class_name, merged, read_names
from core.pictures import album, export_zip
from core.runs import keras_script, run_file
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store
from tests import names
from tests.bad_files import png
from tests.inputs import Lab


@pytest.mark.parametrize("name", [*names.KEPT, *names.TYPED])
def test_a_name_stays_as_it_is(name: str) -> None:
    assert class_name(name) == name


@pytest.mark.parametrize(("name", "kept"), names.CHANGED.items())
def test_what_cannot_be_seen_is_left_out_of_a_name_and_the_result_stays(name: str, kept: str) -> None:
    assert class_name(name) == kept == class_name(kept)


def test_folders_of_any_name_are_classes_of_that_name(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    taken = lab.take([(f"{name}/{n}.png", png(n)) for n, name in enumerate(names.FOLDERS)])
    assert taken.error is None and lab.labels(taken) == sorted(names.FOLDERS)
    assert lab.merged(taken) == {}


def test_a_table_names_classes_of_any_name_and_they_go_out_and_come_back_the_same(tmp_path: Path) -> None:
    lab, all_names, text = Lab(tmp_path), [*names.KEPT, *names.TYPED], io.StringIO()
    rows = [(f"p/{n}.png", name if name[0] not in "=+-@'" else f"'{name}") for n, name in enumerate(all_names)]
    csv.writer(text).writerows([("path", "label"), *rows])
    first = lab.take([*((path, png(n)) for n, (path, _) in enumerate(rows)), ("t.csv", text.getvalue().encode())])
    assert first.error is None and lab.labels(first) == sorted(all_names)
    out = lab.data / "out.zip"
    out.write_bytes(b"".join(export_zip.chunks(lab.store, first.project_id)))
    second = lab.take(out)
    assert second.error is None and second.project_id != first.project_id
    before, after = (lab.store.dataset(taken.project_id) for taken in (first, second))
    assert after.classes == before.classes and after.fingerprint == before.fingerprint


def test_a_user_gives_a_class_any_name_and_takes_it_back(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    taken = lab.take([(f"cat/{n}.png", png(n)) for n in range(2)])
    (first, _) = lab.store.dataset(taken.project_id).pictures
    for name in (*names.KEPT, *names.TYPED):
        album.relabel(lab.store, taken.project_id, [first.id], name)
        assert set(lab.labels(taken)) == {"cat", name}
        assert album.count(lab.store, taken.project_id, album.Filter(name)) == 1
        album.undo(lab.store, taken.project_id)
        assert lab.labels(taken) == ["cat"]


def test_long_names_that_differ_at_their_end_are_two_classes_and_both_are_told(tmp_path: Path) -> None:
    lab, long = Lab(tmp_path), ["z" * 199 + end for end in "ab"]
    taken = lab.take([(f"{name}/{n}.png", png(n)) for n, name in enumerate(long)])
    labels = lab.labels(taken)
    assert len(labels) == 2 and all(len(label) == 80 and label.startswith("z" * 70 + "\u2026 ") for label in labels)
    assert lab.merged(taken) == {class_name(name): [name] for name in long}
    again = lab.take([(f"{long[0]}/9.png", png(9))], taken.project_id)
    assert lab.labels(again) == labels


def test_names_that_differ_in_case_or_form_only_are_one_class_and_that_is_told(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    taken = lab.take(
        [("Cat/1.png", png(1)), ("cat/2.png", png(2)), ("e\u0301/3.png", png(3)), ("\u00e9/4.png", png(4))]
    )
    assert lab.labels(taken) == ["Cat", "\u00e9"]
    assert lab.merged(taken) == {"Cat": ["Cat", "cat"], "\u00e9": ["e\u0301", "\u00e9"]}
    later = lab.take([("CAT/5.png", png(5))], taken.project_id)
    assert lab.merged(later) == {"Cat": ["CAT"]}


def test_a_name_that_lost_only_what_cannot_be_seen_is_no_news() -> None:
    assert merged(read_names([" two  spaces /1.png", "e\u0301/2.png"])) == {}
    assert merged(read_names(["zero\u200bwidth/1.png"])) == {}
    both = {"zerowidth": ["zerowidth", "zero\u200bwidth"]}  # two that become one are
    assert merged(read_names(["zero\u200bwidth/1.png", "zerowidth/2.png"])) == both


# -- what a model is called by


@pytest.fixture
def trained_on(named: Path, tmp_path: Path) -> tuple[Store, Run]:
    shutil.copytree(named, tmp_path / "home")
    store = Store(tmp_path / "home")
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    return store, run


def test_a_run_names_its_classes_as_they_are_in_each_of_its_files(trained_on: tuple[Store, Run]) -> None:
    store, run = trained_on
    folder = store.folder(run.id)
    assert run.outcome.classes == names.WORST
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert tuple(json.loads(archive.read("classes.json"))["classes"]) == names.WORST
    for name in ("model.json", "evaluation-test.json", "evaluation-val.json"):
        assert tuple(json.loads((folder / name).read_bytes())["classes"]) == names.WORST
    Thresholds(0.5, dict.fromkeys(names.WORST, 0.75)).write(folder)
    assert [Thresholds.read(folder).of(name) for name in names.WORST] == [0.75] * len(names.WORST)


def test_the_run_file_is_read_back_whatever_the_classes_are_called(trained_on: tuple[Store, Run]) -> None:
    import yaml

    text = run_file.write(*trained_on)
    assert tuple(yaml.safe_load(text)["data"]["classes"]) == names.WORST
    assert run_file.read(text.encode()).fingerprint == trained_on[1].fingerprint


def test_the_script_to_train_again_has_the_names_and_its_table_no_formula(trained_on: tuple[Store, Run]) -> None:
    with zipfile.ZipFile(io.BytesIO(keras_script.build(*trained_on))) as archive:
        code, table = (archive.read(name).decode() for name in ("train.py", "split.csv"))
    compile(code, "train.py", "exec")
    (line,) = re.findall(r"^CLASSES = .*$", code, re.MULTILINE)
    scope: dict[str, list[str]] = {}
    exec(line, scope)
    assert tuple(scope["CLASSES"]) == names.WORST
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {names.WORST[int(row["class"])] for row in rows} == set(names.WORST)
    assert not [row for row in rows if row["name"].startswith(("=", "+", "-", "@"))]


def test_a_class_cannot_write_into_the_script(trained_on: tuple[Store, Run]) -> None:
    run, odd = trained_on[1], ('"]; import os', "# -- end of the run", "from core.neural.x", "\\", "'''")
    pictures = Dataset.from_bytes((trained_on[0].root(run.id) / "dataset.json").read_bytes()).pictures
    dataset = Dataset(tuple(replace(p, label=name) for p, name in zip(pictures, odd, strict=False)))
    code = keras_script.text(run, dataset)
    (line,) = re.findall(r"^CLASSES = .*$", code, re.MULTILINE)
    assert json.loads(line.removeprefix("CLASSES = ")) == sorted(odd)
    compile(code, "train.py", "exec")


def test_the_command_line_answers_with_the_names_and_takes_the_pictures_out(
    trained_on: tuple[Store, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = trained_on
    picture = store.dataset(run.project_id).pictures[0]
    model = str(store.folder(run.id) / "model.keras")
    assert main(["predict", model, str(store.pictures.path(picture.id)), "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["predictions"]
    assert set(said["probabilities"]) == set(names.WORST)
    assert main(["predict", model, str(store.pictures.path(picture.id))]) == 0
    assert any(name in capsys.readouterr().out for name in [max(said["probabilities"], key=said["probabilities"].get)])
    out = tmp_path / "out.zip"
    assert main(["export-data", str(out), "--home", str(store.home)]) == 0
    lab = Lab(tmp_path / "lab")
    taken = lab.take(out)
    assert lab.store.dataset(taken.project_id).fingerprint == run.fingerprint
