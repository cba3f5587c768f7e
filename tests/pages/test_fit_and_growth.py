"""What the training page says when asked whether the backbone fits and whether more pictures help; the test plays the
worker."""

from pathlib import Path
from typing import Any

import pytest

from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language.catalog import say
from core.learning.learning_curve import Growth, Point
from core.learning.transferability import FeatureScores, Fit
from core.pictures import album
from core.plan import Plan
from core.runs import questions
from core.store.store import Project, Store
from tests import visits
from tests.pages.test_choosing import idle, train_page, worker
from tests.texts import pattern

__all__ = ["idle"]  # a fixture

BASE = Plan(epochs=20)  # the run that `trained` has


def fit(won: int, lost: int, correct: int = 90) -> dict[str, Any]:
    """The facts of a backbone right on `correct` of 100, and on so many more and fewer than raw pixels."""
    rival = correct - won + lost
    sets = (
        FeatureScores("pretrained", correct, 80, 0.31, 0, 0),
        FeatureScores("random", rival - 5, 30, -0.2, won + 5, lost),
        FeatureScores("pixels", rival, 40, -0.1, won, lost),
    )
    return Fit(100, 3, sets).to_dict()


def growth(gain: float, low: float, high: float, n_val: int = 200) -> dict[str, Any]:
    points = tuple(Point(n, (n_val * 3 // 4, n_val * 3 // 4 + 2)) for n in (10, 20, 40, 70, 100))
    return Growth(points, 100, n_val, gain, low, high).to_dict()


def told(store: Store, project: Project, kind: str, facts: dict[str, Any], red: bool = False) -> dict[str, Any]:
    """What the page says after a job has told these facts about the pictures as they are."""
    ask = questions.ask_fit if kind == "fit" else questions.ask_more
    job = ask(store, project.id, BASE)
    with worker(store, job) as ticket:
        fingerprint = store.run(job.runs[0]).fingerprint
        ticket.found(kind, "Starter", {"fingerprint": fingerprint, **facts})
        ticket.succeed()
    return train_page(store, project, red)


def test_before_anything_was_asked_each_tab_says_what_it_would_measure(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    assert say("fit_ask", backbone="Starter") in said["button"] and say("more_ask") in said["button"]
    assert any(text.startswith("Does what **Starter** learned elsewhere help") for text in said["markdown"])
    assert sum(text.startswith("Takes about ") for text in said["caption"]) == 2


@pytest.mark.parametrize(
    ("won", "lost", "correct", "kind", "begins", "advises"),
    [
        (50, 5, 90, "success", say("fit_clear", backbone="Starter") + " 90", say("fit_advice_clear")),
        (1, 1, 98, "error", say("fit_none", backbone="Starter"), say("fit_advice_easy")),
        (2, 20, 60, "error", say("fit_none", backbone="Starter"), say("fit_advice_none")),
        (12, 8, 60, "info", say("fit_unclear", backbone="Starter"), say("fit_advice_unclear")),
    ],
)
def test_a_verdict_has_its_color_its_numbers_and_an_advice(
    idle: tuple[Store, Project], won: int, lost: int, correct: int, kind: str, begins: str, advises: str
) -> None:
    said = told(*idle, "fit", fit(won, lost, correct), red=kind == "error")
    (sentence,) = [text for text in said[kind] if text.startswith(begins)]
    rival = correct - won + lost
    measured = {"score": f"{correct}\u00a0%", "other": f"{rival}\u00a0%", "rival": say("set_pixels_in")}
    assert pattern("fit_numbers", n=100, **measured).search(sentence)
    assert any(advises in text for text in said["markdown"])
    assert say("numbers") in said["expander"] and say("fit_ask", backbone="Starter") not in said["button"]


def test_the_curve_is_one_sentence_with_its_interval(idle: tuple[Store, Project]) -> None:
    said = told(*idle, "more", growth(0.031, 0.004, 0.06))
    assert say("more_helps", gain="3 points", low="0.4", high="6") in said["markdown"]
    said = told(*idle, "more", growth(0.001, -0.004, 0.006))
    assert any(text == say("more_hardly", gain="0.1 points", low="\u22120.4", high="0.6") for text in said["markdown"])
    said = told(*idle, "more", growth(0.012, -0.04, 0.08, n_val=20))
    assert say("more_rough", gain="1 point", low="\u22124", high="8", n=20) in said["markdown"]


def test_while_it_is_measured_the_tab_says_so_and_afterwards_why_it_stopped(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = questions.ask_fit(store, project.id, BASE)
    with worker(store, job) as ticket:
        ticket.stage("compare", 15)
        said = train_page(store, project)
        assert say("answer_running") in said["caption"]
        assert "Cancel" in said["button"] and say("fit_ask", backbone="Starter") not in said["button"]
        queue.cancel(store, job.id)
        ticket.stop()
    said = train_page(store, project)
    assert say("fit_cancelled") in said["info"]
    assert say("resume") in said["button"] and say("fit_ask", backbone="Starter") in said["button"]


def test_an_answer_about_other_pictures_is_shown_as_such_and_can_be_measured_again(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    told(store, project, "fit", fit(50, 5))
    album.exclude(store, project.id, [store.dataset(project.id).part("train").pictures[0].id], True)
    said = train_page(store, project)
    assert say("answer_stale") in said["info"]
    assert say("answer_again") in said["button"] and any("clearly helps" in text for text in said["success"])


# Opens the training page of the project in argv with a tab of its questions, and tells whether What if was asked.
_OPEN = """
import sys
from core.runs.what_if import Refit
from tests.visits import begin, turn
project, tab = sys.argv[1:]
asked, fit = [], Refit.fit
Refit.fit = lambda *told: asked.append(told) or fit(*told)
at = turn(begin(project), project, "train")
at.session_state[f"questions-{project}"] = tab
at.run()
assert not at.exception and not at.error, (at.exception, at.error)
print(bool(asked))
"""


@pytest.mark.parametrize(("tab", "asked"), [("refit", True), ("fit", False), ("more", False)])
def test_what_if_is_computed_only_where_it_is_seen(idle: tuple[Store, Project], tab: str, asked: bool) -> None:
    store, project = idle
    done = visits.run(_OPEN, project.id, say(tab), home=store.home)
    assert done.stdout.split()[-1:] == [str(asked)], (done.stdout, done.stderr)


@pytest.mark.usefixtures("in_process")
def test_without_a_training_the_sliders_say_that_they_wait_for_one(
    tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.workers import wait

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    store = Store(tmp_path / "home")
    project = store.add_project("Shapes")
    job = queue.start(store, project.id, INTAKE, Delivery(str(shapes), "a"))
    assert wait(store, job).state == "succeeded"
    said = train_page(store, project)
    assert say("refit_untrained") in said["caption"]
