"""What results, demo and export say about several runs; what a user does to a run is in the browser story."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.demos import published
from core.disk import blobs
from core.jobs import queue
from core.jobs.job_context import write_result
from core.jobs.kinds import TRAIN, OfRun
from core.language import messages
from core.language.catalog import say
from core.pictures import album
from core.plan import Plan
from core.result import ExactHead, PartSizes, Phase, Result
from core.runs import finished_runs as core_runs
from core.runs import requests, run_file
from core.scores.evaluation import Evaluation, wilson
from core.scores.thresholds import Thresholds
from core.store.store import Project, Run, Store
from pages.parts.frame.words import between
from pages.parts.results import compare_runs
from pages.parts.results.run_list import names
from tests import visits
from tests.conftest import left_out_of_test
from tests.texts import pattern
from tests.visits import visit

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> tuple[Store, Project, Run]:
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    project = store.projects()[0]
    return store, project, store.runs(project.id)[0]


def second(store: Store, run: Run, wrong: int, part: str = "test", **changes: Any) -> Run:
    """A finished run with other settings that is wrong on the first `wrong` pictures of a part, right on the others."""
    other = store.add_run(run.project_id, BASE.with_(**changes).to_dict(), store.dataset(run.project_id))
    shutil.copytree(store.root(run.id), store.root(other.id))
    path = store.root(other.id) / store.folder(run.id).name / f"evaluation-{part}.json"
    old = Evaluation.from_dict(json.loads(path.read_bytes()))
    answers = [(truth + (i < wrong)) % 3 for i, truth in enumerate(old.truth.tolist())]
    new = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[answers])
    blobs.write(path, json.dumps(new.to_dict()).encode())
    names = {path: blobs.sha256(store.root(other.id) / path) for path in store.files(run.id)}
    with store.write() as db:
        write_result(db, other.id, replace(run.outcome, **{f"{part}_accuracy": new.accuracy}), names)
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
    said = results(store, project, "results:runs")
    n = round(run.outcome.test_accuracy * 6)
    p = {6: "= 0.031", 5: "= 0.062"}[n].replace(" ", "\u00a0")
    verdict = next(text for text in said["markdown"] if "of 6 test pictures" in text)
    assert f"{n} are right only with" in verdict and f"(p\u00a0{p})" in verdict
    assert ("better than **second** by more than chance" in verdict) == (n == 6)
    assert f"Right only with **first**: {n}" in said["markdown"]


def test_a_run_that_is_worse_than_an_earlier_one_says_so_until_one_of_them_is_promoted(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    store.describe_run(run.id, "first", "", False)
    other = second(store, run, 6, hidden_units=64)
    n = run.outcome.test_correct - other.outcome.test_correct
    told = say("run_better", n=n, name="first")
    assert n > 0 and told in results(store, project)["button"]
    core_runs.promote(store, run)
    assert told not in results(store, project)["button"]


def test_runs_of_other_test_pictures_are_said_not_to_compare(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    other = second(store, run, 2, seed=3)
    scores = evaluation(store, other)
    put_evaluation(store, other, Evaluation(scores.classes, scores.ids[1:], scores.truth[1:], scores.probabilities[1:]))
    said = results(store, project, "results:runs")
    assert any("were tested on different pictures" in text for text in said["info"])
    assert not any("test pictures, " in text for text in said["markdown"])


def test_demo_and_export_go_on_with_the_run_that_is_left(home: tuple[Store, Project, Run]) -> None:
    from core.runs import finished_runs

    store, project, run = home
    other = second(store, run, 1, seed=3)
    finished_runs.delete(store, other)
    said = visit(store.home, project.id, "results", "demo", "export", "present")["said"]
    assert any(text.startswith("Answered in ") for text in said["demo"]["caption"])
    assert any("model.keras" in text for text in said["export"]["markdown"])


def test_a_comparison_of_backbones_whose_run_was_deleted_shows_the_others(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.runs import finished_runs

    monkeypatch.setattr(queue, "PROCESS", [])
    store, project, _ = home
    job = requests.compare(store, project.id, [BASE, BASE.with_(seed=5)])
    with queue.claim(store, job.id) as held:
        held.succeed()
    finished_runs.delete(store, store.run(job.runs[1]))
    said = visit(store.home, project.id, "train")["said"]["train"]
    assert "**Backbones compared**" in said["markdown"]


def test_export_offers_the_run_file_the_script_and_the_curves(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    said = visit(store.home, project.id, "export")["said"]["export"]
    for name in ("train.zip", "run.yaml", "logs.zip"):
        assert any(text.startswith(f"**{name}**") for text in said["markdown"]), name
    assert say("train_close") in said["markdown"]
    second(store, run, 1, precision="bfloat16")
    said = visit(store.home, project.id, "export")["said"]["export"]
    assert any(text == say("train_unlike", names="Precision") for text in said["markdown"])


# Uploads a run file on the training page of the project in argv, starts, and tells what the page says.
_REPEAT = """
import json, sys
from pathlib import Path
from tests.visits import opened
from core.jobs import queue
queue.PROCESS = []  # what is started needs no worker here
project, path = sys.argv[1:]
at = opened(project, "train")
at.get("file_uploader")[0].upload("run.yaml", Path(path).read_bytes(), "application/yaml").run()
said = {kind: [e.value for e in at.get(kind)] for kind in ("success", "warning", "error", "info")}
at.button(key="start").click().run()
said["then"] = [e.value for e in at.get("info")]
said["exception"] = [e.value for e in at.exception]
print(json.dumps(said))
"""


def repeat(store: Store, project: Project, path: Path) -> dict[str, Any]:
    done = visits.run(_REPEAT, project.id, str(path), home=store.home)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not said["exception"], said
    return said


def test_a_run_file_fills_in_every_setting_so_that_its_run_is_found_finished(
    home: tuple[Store, Project, Run], tmp_path: Path
) -> None:
    store, project, run = home
    (tmp_path / "run.yaml").write_text(run_file.write(store, run))
    said = repeat(store, project, tmp_path / "run.yaml")
    assert any("this repeats its run" in text for text in said["success"]) and not said["error"]
    assert said["then"] == [say("already")]
    assert len(store.runs(project.id)) == 1


def test_a_run_file_of_other_pictures_warns_and_leaves_a_remark_on_the_run(
    home: tuple[Store, Project, Run], tmp_path: Path
) -> None:
    store, project, run = home
    text = run_file.write(store, run).replace(run.fingerprint, "f" * 64).replace("epochs: 20", "epochs: 7", 1)
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
    from core.runs import finished_runs

    store, project, run = home
    other = second(store, run, 3, hidden_units=64)
    store.describe_run(run.id, "starred", "", True)
    store.describe_run(other.id, "promoted", "", False)
    assert say("promotions") not in " ".join(results(store, project, "results:runs")["markdown"])
    finished_runs.promote(store, store.run(other.id))
    said = results(store, project, "results:runs")
    assert "Promoted" in said["button"] and "**Promoted so far**" in said["markdown"]
    assert said["header"][0].startswith("Right on 3 of 6")


def test_the_results_say_what_would_help_with_the_mistakes_each_cause_stands_behind(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    old = evaluation(store, run, "val")
    answers = [{0: 1, 1: 0}.get(truth, 2) for truth in old.truth.tolist()]
    new = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[answers])
    n = len(new.mistakes)
    put_evaluation(store, run, new, "val")
    said = results(store, project)
    assert f"**{say('remedies')}** {say('remedies_val', n=new.n, wrong=n)}" in said["markdown"]
    first, second, _ = old.classes
    text = say("remedy_pair", first=first, second=second, mistakes=n, wrong=n)
    assert any(text in line.replace("\u00a0", " ") for line in said["markdown"]), said["markdown"]
    assert say("remedy_show") in said["button"]


# Opens the curves of the project in argv, and tells the marked epoch and what is said.
_CURVES = """
import json, sys
from pages.parts.frame import charts
from tests.visits import opened
training, kept = charts.training, []
charts.training = lambda phases, row, *told: kept.append(row) or training(phases, row, *told)
at = opened(sys.argv[1], "results", sys.argv[2])
assert not at.exception and not at.error, (at.exception, at.error)
print(json.dumps([kept, [e.value for kind in ("markdown", "caption") for e in at.get(kind)]]))
"""


@pytest.mark.parametrize("is_exact", [True, False])
def test_a_run_as_the_dial_suggests_counts_answers_out_of_fold_and_names_no_epoch_as_the_one_of_its_model(
    tmp_path: Path, suggested: Path, is_exact: bool
) -> None:
    shutil.copytree(suggested, tmp_path / "home")
    store = Store(tmp_path / "home")
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    plan = Plan.from_dict(run.plan)
    assert plan.learns_from_val and plan.mirrored and plan.depths and plan.augment and run.outcome.learned_from_val
    if not is_exact:  # as a run of the same numbers whose head was kept at its best epoch
        plan = plan.with_(refit=0, choose_regularization=0)
    rising = [row | {"val_loss": 1.0 + i / 9} for i, row in enumerate(run.outcome.head.history)]
    head = replace(run.outcome.head, history=rising, best_epoch=1)
    changed = replace(run.outcome, head=head) if is_exact else replace(run.outcome, head=head, exact=None)
    old = evaluation(store, run, "val")
    worse = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[(old.truth + 1) % 3])
    put_evaluation(store, run, worse, "val")
    with store.write() as db:
        db.execute("UPDATE run SET plan = ?, result = ?", (json.dumps(plan.to_dict()), json.dumps(changed.to_dict())))
    counted = say("remedies_val_crossed" if is_exact else "remedies_val", n=worse.n, wrong=worse.n)
    done = visits.run(_CURVES, project.id, "curves", home=store.home)
    assert done.returncode == 0, done.stderr
    kept, said = json.loads(done.stdout.splitlines()[-1])
    assert f"**{say('remedies')}** {counted}" in said
    assert set(kept) == {None if is_exact else 0}
    assert any(pattern("note.rising_head").search(text.replace("**", "")) for text in said) is not is_exact


def test_results_show_every_score_with_its_interval_and_what_the_temperature_did(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    said = results(store, project)
    assert say("scores_n", n=6) in said["caption"]
    temperature = run.outcome.temperature
    assert 0.2 < temperature < 5 and temperature != 1
    said = visit(store.home, project.id, "results:confidence")["said"]["results:confidence"]
    plain = [text.replace("\u00a0", " ") for text in said["markdown"]]
    (honest,) = [text for text in plain if text.startswith("Where the model says 80 %")]
    assert "On 6 test pictures" in honest and f"without the temperature of {temperature:.2f}" in honest
    assert any(text.startswith(say("pr", value="100 %")) for text in plain)
    assert say("roc", value="1.000", low="0.34", high="1.00") in plain  # of two pictures
    assert say("curves_n", n=2, label="circle", of=6) in said["caption"]


def said_of_cards(store: Store) -> list[str]:
    texts = visit(store.home, "", "projects")["said"]["projects"]["markdown"]
    return [text.replace("\u00a0", " ") for text in texts if "Right on" in text or text.startswith("Trained")]


def test_the_first_page_shows_the_promoted_or_else_the_newest_score_and_never_one_that_is_too_good(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, best = home
    newest = second(store, best, 3, hidden_units=64)
    assert said_of_cards(store) == [say("card_score", score="50 %", n=6)]  # not the best one, 100 %
    core_runs.promote(store, store.run(best.id))
    assert said_of_cards(store) == [say("card_score", score="100 %", n=6)]
    album.exclude(store, project.id, [evaluation(store, newest).ids[0]])
    flattered = measured_on_the_rest(store, newest)
    core_runs.promote(store, flattered)
    assert said_of_cards(store) == [say("card_score", score="50 %", n=6)]
    for run in (best, newest):
        core_runs.delete(store, store.run(run.id))
    assert said_of_cards(store) == [say("card_too_good")]


def test_a_run_that_is_scored_after_test_pictures_were_left_out_is_marked_wherever_its_score_stands(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    store, project, run = home
    album.exclude(store, project.id, [evaluation(store, run).ids[0]])
    flattered = measured_on_the_rest(store, run)
    job = queue.start(store, project.id, TRAIN, OfRun(flattered.id))
    with queue.claim(store, job.id) as held:
        held.publish(flattered.id, flattered.outcome, store.files(flattered.id))
    said = visit(store.home, project.id, "results:runs", "train")["said"]
    for name in ("results:runs", "train"):
        assert say("test_left_out", n=1) in said[name]["warning"], name
    assert any("(score too good)" in text for text in said["results:runs"]["options"])
    album.exclude(store, project.id, [evaluation(store, run).ids[0]], excluded=False)
    said = visit(store.home, project.id, "results:runs")["said"]["results:runs"]  # which the score was not measured on
    assert say("test_left_out", n=1) in said["warning"]


# Opens the results of the project in argv, and counts the files of scores that are read when they are drawn again.
_AGAIN = """
import sys
from core.disk import blobs
from tests.visits import opened
at = opened(sys.argv[1], "results")
is_sound, read = blobs.is_sound, []
blobs.is_sound = lambda path, sha256: read.append(path) or is_sound(path, sha256)
at.run()
assert not at.exception and not at.error, (at.exception, at.error)
print(len(read))
"""


def test_the_results_of_one_of_many_runs_are_drawn_again_without_reading_the_scores_of_all(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    for seed in range(1, 10):
        second(store, run, 0, seed=seed)
    done = visits.run(_AGAIN, project.id, home=store.home)
    assert done.stdout.split()[-1:] == ["0"], (done.stdout, done.stderr)


def evaluation(store: Store, run: Run, part: str = "test") -> Evaluation:
    return Evaluation.from_dict(json.loads((store.folder(run.id) / f"evaluation-{part}.json").read_bytes()))


def put_evaluation(store: Store, run: Run, scores: Evaluation, part: str = "test") -> None:
    """Write other scores of a run, which are taken for those that it was published with."""
    path = store.folder(run.id) / f"evaluation-{part}.json"
    blobs.write(path, json.dumps(scores.to_dict()).encode())
    with store.write() as db:
        db.execute(
            "UPDATE artifact SET sha256 = ? WHERE run_id = ? AND name = ?",
            (blobs.sha256(path), run.id, f"{path.parent.name}/{path.name}"),
        )


def measured_on_the_rest(store: Store, run: Run) -> Run:
    """A run like this one on the pictures as they are now, which is right on all test pictures that are left."""
    other = second(store, run, 0, seed=9)
    old = evaluation(store, other)
    left = [i for i, key in enumerate(old.ids) if key not in left_out_of_test(store, run.project_id)]
    put_evaluation(store, other, old.take(np.array(left)))
    with store.write() as db:
        result = json.dumps(replace(other.outcome, test_accuracy=1.0, test_n=len(left)).to_dict())
        db.execute("UPDATE run SET result = ? WHERE id = ?", (result, other.id))
    return store.run(other.id)


def test_runs_of_one_score_are_told_apart_by_fine_tuning_and_by_the_settings_that_differ() -> None:
    def made(number: int, tuned: int | None = None, **plan: Any) -> Run:
        phase = None if tuned is None else Phase(best_epoch=tuned)
        result = Result(test_accuracy=0.81, test_n=36, fine_tune=phase)
        return Run(str(number), "p", Plan(**plan).to_dict(), "f", result, float(number))

    runs = [
        made(0), made(1, 0, fine_tune_blocks=3), made(2, 2, fine_tune_blocks=1), made(3, epochs=20),
        made(4, epochs=20, seed=1),
    ]  # fmt: skip
    assert list(names(runs).values()) == [
        "Starter, linear head, 81\u00a0% (Epochs 40, Seed 0)",
        f"Starter, linear head{say('run_tried', n=3)}, 81\u00a0%",
        f"Starter, linear head{say('run_tuned', n=1)}, 81\u00a0%",
        "Starter, linear head, 81\u00a0% (Epochs 20, Seed 0)",
        "Starter, linear head, 81\u00a0% (Epochs 20, Seed 1)",
    ]
    assert len(set(names([made(0), made(1)]).values())) == 2  # of other pictures: nothing in their plans differs


def test_the_results_offer_a_better_backbone_first_and_lead_to_a_run_that_has_one(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    monkeypatch.delenv("HEADSTART_DOWNLOADS")
    store, project, run = home
    worse = second(store, run, 2, "val", hidden_units=64)
    said = results(store, project)
    assert any(say("remedy_better") in text for text in said["markdown"])
    assert say("remedy_better_get", better="MobileNetV2", mb=9) in said["button"]
    second(store, run, 2, backbone="MobileNetV2")  # wrong on test, which decides nothing
    store.describe_run(worse.id, "", "", True)  # comes first
    said = results(store, project)
    told = say("remedy_better_run", better="MobileNetV2", theirs="100\u00a0%", ours="67\u00a0%", part="val")
    assert any(told in text for text in said["markdown"])
    assert say("remedy_better_show") in said["button"]


def test_a_temperature_that_makes_it_worse_on_few_pictures_is_said_to_mean_nothing(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    old = evaluation(store, run)
    answers = [(truth + (i < 3)) % 3 for i, truth in enumerate(old.truth.tolist())]
    sure = np.full((3, 3), 0.025, np.float32) + np.eye(3, dtype=np.float32) * 0.925
    put_evaluation(store, run, Evaluation(old.classes, old.ids, old.truth, sure[answers]))
    with store.write() as db:
        result = json.dumps(replace(run.outcome, temperature=0.5).to_dict())
        db.execute("UPDATE run SET result = ? WHERE id = ?", (result, run.id))
    said = visit(store.home, project.id, "results:confidence")["said"]["results:confidence"]["markdown"]
    found = pattern("calibrated", n=6, after="45\u00a0%", temperature="0.50", before="26\u00a0%")
    (text,) = [text for text in said if found.search(text)]
    assert text.endswith(say("calibrated_by_chance", n=6))


def test_what_the_frozen_backbone_reached_is_a_note_only_beside_fine_tuning(home: tuple[Store, Project, Run]) -> None:
    assert "frozen_score" not in [code for code, _ in home[2].outcome.notes]


# Opens the demo of the project in argv, lets another tab delete the run that is shown, and looks again.
_DELETED = """
import json, sys
from tests.visits import opened
from core.runs import finished_runs
from core.settings import home
from core.store.store import Store
project, key = sys.argv[1:]
at = opened(project, "demo")
before = [e.value for e in at.get("info")]
store = Store(home())
finished_runs.delete(store, store.run(key))
at.run()
print(json.dumps([before, [e.value for e in at.get("info")]]))
"""


def test_a_run_that_was_deleted_in_another_tab_is_named_where_the_demo_goes_on_with_another(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    shown = second(store, run, 2, hidden_units=64)
    done = visits.run(_DELETED, project.id, shown.id, home=store.home)
    before, after = json.loads(done.stdout.splitlines()[-1])
    assert not before
    assert [text.replace("\u00a0", " ") for text in after] == [
        say("run_gone", name=f"Starter, {say('head_hidden', n=64)}, 67 %", now="Starter, linear head, 100 %")
    ]


# Asks to delete the run that Results shows.
_ASKED = """
import json, sys
from tests.visits import opened
at = opened(sys.argv[1], "results")
next(each for each in at.button if each.key == "delete-run").click().run()
print(json.dumps([e.value for e in at.get("warning")]))
"""


def test_who_deletes_a_run_is_told_that_its_demos_end(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    for title in ("One", "Two"):
        stopped = published.publish(store, run, published.Appearance(title))
    published.revoke(store, stopped.id)
    warned = json.loads(visits.run(_ASKED, project.id, home=store.home).stdout.splitlines()[-1])
    assert warned == [say("delete_run_demos", n=1)]


def test_a_cross_validated_val_score_is_marked_beside_others() -> None:
    split = PartSizes(80, 20, 20)
    found = Result(split=split, val_accuracy=0.9, test_accuracy=0.9, test_n=20)
    crossed = replace(found, exact=ExactHead(100, 10.0))
    runs = [Run(str(n), "", BASE.to_dict(), "", created_at=n, result=each) for n, each in enumerate((found, crossed))]
    score = between(0.9, *wilson(18, 20))
    assert [compare_runs._interval(run, "val") for run in runs] == [score, say("crossed", score=score)]
    assert [compare_runs._interval(run, "test") for run in runs] == [score, score]


def test_a_switch_in_which_two_runs_differ_is_said_to_be_on_or_off() -> None:
    plans = [BASE.with_(mirrored=on).to_dict() for on in (0, 1)]
    runs = [Run(str(n), "", plan, "", created_at=n, result=Result()) for n, plan in enumerate(plans)]
    mirrored = say("setting.mirrored")
    off, on = names(runs).values()
    assert off.endswith(f"({mirrored} {say('no')})") and on.endswith(f"({mirrored} {say('yes')})")


def test_two_runs_of_one_name_and_one_that_is_called_like_the_second_are_told_apart() -> None:
    runs = [Run(str(i), "p", {}, "f", Result(), float(i), name) for i, name in enumerate(["x", "x", "x (2)", "y"])]
    assert list(names(runs).values()) == ["x", "x (2)", "x (2) (2)", "y"]


def test_a_run_stands_beside_the_one_that_the_same_plan_made_of_other_labels_until_that_is_deleted(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    picture = store.dataset(project.id).part("train").pictures[0]
    album.relabel(store, project.id, [picture.id], next(x for x in run.outcome.classes if x != picture.label))
    new = second(store, run, 0)
    assert new.plan == run.plan and new.fingerprint != run.fingerprint
    said = results(store, project)
    assert any(pattern("retrained_test").search(text.replace("**", "")) for text in said["markdown"])
    core_runs.delete(store, run)
    assert not any(
        pattern("retrained_test").search(text.replace("**", "")) for text in results(store, project)["markdown"]
    )


def test_a_run_whose_scores_are_damaged_takes_nothing_from_the_results_of_the_one_that_followed_it(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    picture = store.dataset(project.id).part("train").pictures[0]
    album.relabel(store, project.id, [picture.id], next(x for x in run.outcome.classes if x != picture.label))
    second(store, run, 2)
    (store.folder(run.id) / "evaluation-val.json").write_bytes(b"damaged")
    said = results(store, project)  # with no error
    assert said["header"][0].startswith("Right on 4 of 6")
    assert not any(pattern("retrained_test").search(text.replace("**", "")) for text in said["markdown"])


def test_a_comparison_one_of_whose_runs_is_damaged_is_ranked_by_the_scores_that_the_runs_told(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    store, project, run = home
    second(store, run, 0, seed=5)
    job = requests.compare(store, project.id, [BASE, BASE.with_(seed=5)])
    with queue.claim(store, job.id) as held:
        held.succeed()
    (store.folder(run.id) / "evaluation-val.json").write_bytes(b"damaged")
    said = visit(store.home, project.id, "train")["said"]["train"]  # with no error
    assert "**Backbones compared**" in said["markdown"]
    assert any(pattern("compare_unknown").search(text) for text in said["markdown"])


def test_a_retraining_that_is_at_work_since_an_earlier_visit_is_shown_and_not_offered_again(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    store, project, run = home
    picture = store.dataset(project.id).part("train").pictures[0]
    album.relabel(store, project.id, [picture.id], next(x for x in run.outcome.classes if x != picture.label))
    assert "Retrain" in results(store, project)["button"]
    _, job = requests.train(store, project.id, BASE)
    assert job is not None
    said = results(store, project)
    assert any(say("retrain_saving") in text for text in said["caption"])
    assert "Retrain" not in said["button"]


def test_without_test_pictures_the_results_speak_of_val_and_the_demo_shows_its_pictures(
    home: tuple[Store, Project, Run],
) -> None:
    store, project, run = home
    put_evaluation(store, run, evaluation(store, run).take(np.empty(0, np.int64)))
    result = replace(run.outcome, test_n=0, test_accuracy=None).to_dict()
    with store.write() as db:
        db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps(result), run.id))
    said = visit(store.home, project.id, "results", "demo")["said"]
    assert say("headline_none") in said["results"]["header"]
    right = say("headline_val", correct=6, n=6)
    assert right in said["results"]["markdown"] and "**No mistakes on the val pictures**" in said["results"]["markdown"]
    assert names([store.run(run.id)]) == {run.id: "Starter, linear head, 100\u00a0%"}
    assert say("demo_examples") in said["demo"]["caption"]


def test_a_limit_travels_into_the_demo_and_the_export(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    said = visit(store.home, project.id, "demo", "export")["said"]
    assert say("demo_none") not in said["demo"]["header"]
    assert not any(text.startswith("**limits.json**") for text in said["export"]["markdown"])
    Thresholds(1.01).write(store.folder(run.id))
    said = visit(store.home, project.id, "demo", "export")["said"]
    assert say("demo_none") in said["demo"]["header"]
    assert any("101\u00a0%" in text for text in said["demo"]["subheader"]), said["demo"]["subheader"]
    assert any(text.startswith("**limits.json**") for text in said["export"]["markdown"])


def test_a_demo_whose_model_is_not_whole_says_so_and_advises_no_other_picture(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    (store.folder(run.id) / "model.tflite").unlink()
    (error,) = visit(store.home, project.id, "demo", red=True)["said"]["demo"]["error"]
    assert say("train_again") in error and "another picture" not in error, error
