"""What results, demo and export say about several runs; what a user does to a run is in the browser story."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import album, jobs, messages, runfile, shelf, ticket
from core import runs as core_runs
from core.evaluation import Evaluation
from core.plan import Plan
from core.store import Project, Run, Store
from core.thresholds import Limits
from pages.parts.runs import names
from tests.test_pages import ROOT, visit

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> tuple[Store, Project, Run]:
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    project = store.projects()[0]
    return store, project, store.runs(project.id)[0]


def second(store: Store, run: Run, wrong: int, **changes: Any) -> Run:
    """A finished run with other settings that is wrong on the first `wrong` test pictures, right on the others."""
    other = store.add_run(run.project_id, BASE.with_(**changes).to_dict(), store.dataset(run.project_id))
    shutil.copytree(store.folder(run.id), store.folder(other.id))
    path = store.folder(other.id) / "evaluation-test.json"
    old = Evaluation.from_dict(json.loads(path.read_bytes()))
    answers = [(truth + (i < wrong)) % 3 for i, truth in enumerate(old.truth.tolist())]
    new = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[answers])
    shelf.write(path, json.dumps(new.to_dict()).encode())
    names = {name: shelf.sha256(store.folder(other.id) / name) for name in store.artifacts(run.id)}
    with store.write() as db:
        ticket._publish(db, other.id, {**(run.result or {}), "test_accuracy": new.accuracy}, names)
    return store.run(other.id)


def results(store: Store, project: Project, page: str = "results") -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, page)["said"][page]
    return said


def test_a_starred_run_comes_first_and_shows_its_note(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    second(store, run, 3, hidden_units=64)
    store.describe_run(run.id, "Good *one*", "with _daylight_", True)
    said = results(store, project)
    assert "Starred" in said["button"]
    assert ":material/sticky_note_2: with \\_daylight\\_" in said["markdown"]


def test_two_runs_are_compared_in_words_and_by_pictures(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    store.describe_run(run.id, "first", "", True)
    other = second(store, run, 6, hidden_units=64)
    store.describe_run(other.id, "second", "", False)
    said = results(store, project, "results:Runs")
    n = round(run.result["test_accuracy"] * 6)
    p = {6: "= 0.031", 5: "= 0.062"}[n].replace(" ", "\u00a0")
    verdict = next(text for text in said["markdown"] if "of 6 test pictures" in text)
    assert f"{n} are right only with" in verdict and f"(p\u00a0{p})" in verdict
    assert ("better than **second** by more than chance" in verdict) == (n == 6)
    assert f"Right only with **first**: {n}" in said["markdown"]


def test_runs_of_other_test_pictures_are_said_not_to_compare(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    other = second(store, run, 2, seed=3)
    path = store.folder(other.id) / "evaluation-test.json"
    scores = Evaluation.from_dict(json.loads(path.read_bytes()))
    fewer = Evaluation(scores.classes, scores.ids[1:], scores.truth[1:], scores.probabilities[1:])
    shelf.write(path, json.dumps(fewer.to_dict()).encode())
    with store.write() as db:
        db.execute(
            "UPDATE artifact SET sha256 = ? WHERE run_id = ? AND name = ?",
            (shelf.sha256(path), other.id, "evaluation-test.json"),
        )
    said = results(store, project, "results:Runs")
    assert any("were tested on different pictures" in text for text in said["info"])
    assert not any("test pictures, " in text for text in said["markdown"])


def test_demo_and_export_go_on_with_the_run_that_is_left(home: tuple[Store, Project, Run]) -> None:
    from core import runs

    store, project, run = home
    other = second(store, run, 1, seed=3)
    runs.delete(store, other)
    said = visit(store.home, project.id, "results", "demo", "export", "present")["said"]
    assert any(text.startswith("Answered in ") for text in said["demo"]["caption"])
    assert any("model.keras" in text for text in said["export"]["markdown"])


def test_a_comparison_of_backbones_whose_run_was_deleted_shows_the_others(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import runs

    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    store, project, _ = home
    job = jobs.compare(store, project.id, [BASE, BASE.with_(seed=5)])
    with jobs.claim(store, job.id) as held:
        held.succeed({}, {})
    runs.delete(store, store.run(job.params["runs"][1]))
    said = visit(store.home, project.id, "train")["said"]["train"]
    assert "**Backbones compared**" in said["markdown"]


def test_export_offers_the_run_file_the_script_and_the_curves(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    said = visit(store.home, project.id, "export")["said"]["export"]
    for name in ("train.zip", "run.yaml", "logs.zip"):
        assert any(text.startswith(f"**{name}**") for text in said["markdown"]), name
    assert "Repeats the score" in said["markdown"]
    second(store, run, 1, precision="bfloat16")
    said = visit(store.home, project.id, "export")["said"]["export"]
    assert any(text == "It does not follow: Precision. Its score may differ." for text in said["markdown"])


# Uploads a run file on the training page of the project in argv, starts, and tells what the page says.
_REPEAT = """
import json, sys
from pathlib import Path
from streamlit.testing.v1 import AppTest
from core import jobs
jobs.WORKER = ["/bin/true"]  # what is started needs no worker here
root, project, path = sys.argv[1:]
at = AppTest.from_file(f"{root}/pages/studio.py", default_timeout=60)
at.query_params["project"] = project
at.run()
at.switch_page("train.py")
at.query_params["project"] = project
at.run()
at.get("file_uploader")[0].upload("run.yaml", Path(path).read_bytes(), "application/yaml").run()
said = {kind: [e.value for e in at.get(kind)] for kind in ("success", "warning", "error", "info")}
at.button(key="start").click().run()
said["then"] = [e.value for e in at.get("info")]
said["exception"] = [e.value for e in at.exception]
print(json.dumps(said))
"""


def repeat(store: Store, project: Project, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _REPEAT, str(ROOT), project.id, str(path)], cwd=ROOT,
        env=os.environ | {"HEADSTART_HOME": str(store.home)}, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not said["exception"], said
    return said


def test_a_run_file_fills_in_every_setting_so_that_its_run_is_found_finished(
    home: tuple[Store, Project, Run], tmp_path: Path
) -> None:
    store, project, run = home
    (tmp_path / "run.yaml").write_text(runfile.write(store, run))
    said = repeat(store, project, tmp_path / "run.yaml")
    assert any("this repeats its run" in text for text in said["success"]) and not said["error"]
    assert said["then"] == ["This training is finished already: same pictures, same settings."]
    assert len(store.runs(project.id)) == 1


def test_a_run_file_of_other_pictures_warns_and_leaves_a_remark_on_the_run(
    home: tuple[Store, Project, Run], tmp_path: Path
) -> None:
    store, project, run = home
    text = runfile.write(store, run).replace(run.fingerprint, "f" * 64).replace("epochs: 20", "epochs: 7", 1)
    (tmp_path / "run.yaml").write_text(text)
    said = repeat(store, project, tmp_path / "run.yaml")
    assert any("the pictures, labels or parts differ" in text for text in said["warning"])
    (new,) = [other for other in store.runs(project.id) if other.id != run.id]
    assert new.plan == run.plan | {"epochs": 7} and new.note == messages.note("runfile_differs", {})


def test_a_file_that_is_no_run_file_is_refused_in_words(home: tuple[Store, Project, Run], tmp_path: Path) -> None:
    store, project, _ = home
    (tmp_path / "run.yaml").write_text("hello")
    said = repeat(store, project, tmp_path / "run.yaml")
    assert any("not a run file of Headstart" in text for text in said["error"]), said


def test_the_promoted_run_comes_before_starred_ones_and_the_results_tell_what_was_promoted(
    home: tuple[Store, Project, Run],
) -> None:
    from core import runs

    store, project, run = home
    other = second(store, run, 3, hidden_units=64)
    store.describe_run(run.id, "starred", "", True)
    store.describe_run(other.id, "promoted", "", False)
    assert "Promoted so far" not in " ".join(results(store, project, "results:Runs")["markdown"])
    runs.promote(store, store.run(other.id))
    said = results(store, project, "results:Runs")
    assert "Promoted" in said["button"] and "**Promoted so far**" in said["markdown"]
    assert said["subheader"][0].startswith("Right on 3 of 6")


def test_the_results_say_what_would_help_with_the_mistakes_each_cause_stands_behind(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    path = store.folder(run.id) / "evaluation-val.json"
    old = Evaluation.from_dict(json.loads(path.read_bytes()))
    answers = [{0: 1, 1: 0}.get(truth, 2) for truth in old.truth.tolist()]
    new = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[answers])
    n = len(new.mistakes)
    shelf.write(path, json.dumps(new.to_dict()).encode())
    with store.write() as db:
        db.execute("UPDATE artifact SET sha256 = ? WHERE name = ?", (shelf.sha256(path), path.name))
    said = results(store, project)
    counted = f"Counted on {new.n} val pictures; mistakes: {n}."
    assert f"**What would help most?** {counted}" in said["markdown"]
    first, second, _ = old.classes
    text = f"**{first}** and **{second}** are taken for each other: {n} of {n} mistakes."
    assert any(text in line.replace("\u00a0", " ") for line in said["markdown"]), said["markdown"]
    assert "Show them" in said["button"]


def test_results_show_every_score_with_its_interval_and_what_the_temperature_did(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    said = results(store, project)
    assert "All on the 6 test pictures, which the model has never seen." in said["caption"]
    temperature = (run.result or {})["temperature"]
    assert 0.2 < temperature < 5 and temperature != 1
    said = visit(store.home, project.id, "results:Confidence")["said"]["results:Confidence"]
    plain = [text.replace("\u00a0", " ") for text in said["markdown"]]
    (honest,) = [text for text in plain if text.startswith("Where the model says 80 %")]
    assert "On 6 test pictures" in honest and f"without the temperature of {temperature:.2f}" in honest
    assert any(text.startswith("Average precision 100 %") for text in plain)
    assert "Area under the ROC curve 1.000 (likely 0.34 to 1.00)" in plain  # of two pictures
    assert "Of the 2 pictures of circle among 6 test pictures." in said["caption"]


def test_two_runs_of_one_name_and_one_that_is_called_like_the_second_are_told_apart() -> None:
    runs = [Run(str(i), "p", {}, "f", {}, float(i), name) for i, name in enumerate(["x", "x", "x (2)", "y"])]
    assert list(names(runs).values()) == ["x", "x (2)", "x (2) (2)", "y"]


def test_a_run_stands_beside_the_one_that_the_same_plan_made_of_other_labels_until_that_is_deleted(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    picture = store.dataset(project.id).part("train").pictures[0]
    album.relabel(store, project.id, [picture.id], next(x for x in run.result["classes"] if x != picture.label))
    new = second(store, run, 0)
    assert new.plan == run.plan and new.fingerprint != run.fingerprint
    said = results(store, project)
    assert any("both models against the labels as they are now" in text for text in said["markdown"])
    core_runs.delete(store, run)
    assert not any("both models" in text for text in results(store, project)["markdown"])


def test_a_retraining_that_is_at_work_since_an_earlier_visit_is_shown_and_not_offered_again(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    store, project, run = home
    picture = store.dataset(project.id).part("train").pictures[0]
    album.relabel(store, project.id, [picture.id], next(x for x in run.result["classes"] if x != picture.label))
    assert "Retrain" in results(store, project)["button"]
    _, job = jobs.train(store, project.id, BASE)
    assert job is not None
    said = results(store, project)
    assert any("The model is being trained and saved." in text for text in said["caption"])
    assert "Retrain" not in said["button"]


def test_without_test_pictures_the_results_speak_of_val_and_the_demo_shows_its_pictures(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    path = store.folder(run.id) / "evaluation-test.json"
    old = Evaluation.from_dict(json.loads(path.read_bytes()))
    shelf.write(path, json.dumps(old.take(np.empty(0, np.int64)).to_dict()).encode())
    result = {**(run.result or {}), "test_n": 0, "test_accuracy": None}
    with store.write() as db:
        db.execute("UPDATE artifact SET sha256 = ? WHERE name = ?", (shelf.sha256(path), path.name))
        db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps(result), run.id))
    said = visit(store.home, project.id, "results", "demo")["said"]
    assert "No pictures were kept back for a test." in said["results"]["subheader"]
    right = "Right on 6 of 6 val pictures, which steered the training: on new ones it may be less."
    assert right in said["results"]["markdown"] and "**No mistakes on the val pictures**" in said["results"]["markdown"]
    assert names([store.run(run.id)]) == {run.id: "Starter, linear head, 100\u00a0%"}
    assert any("the model never learned from" in text for text in said["demo"]["caption"])


def test_a_limit_travels_into_the_demo_and_the_export(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    said = visit(store.home, project.id, "demo", "export")["said"]
    assert "Not sure enough" not in said["demo"]["title"]
    assert not any(text.startswith("**limits.json**") for text in said["export"]["markdown"])
    Limits(1.01).write(store.folder(run.id))
    said = visit(store.home, project.id, "demo", "export")["said"]
    assert said["demo"]["title"] == ["Not sure enough"]
    assert any("where 101" in text for text in said["demo"]["markdown"]), said["demo"]["markdown"]
    assert any(text.startswith("**limits.json**") for text in said["export"]["markdown"])


def test_a_demo_whose_model_is_not_whole_says_so_and_advises_no_other_picture(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    (store.folder(run.id) / "model.tflite").unlink()
    (error,) = visit(store.home, project.id, "demo", red=True)["said"]["demo"]["error"]
    assert "Train again" in error and "another picture" not in error, error
