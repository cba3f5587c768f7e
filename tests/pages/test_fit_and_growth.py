"""What the training page says when asked whether the backbone fits and whether more pictures help; the test plays the
worker."""

from pathlib import Path
from typing import Any

import pytest

from core import advice, album, jobs
from core.growth import Growth, Point
from core.plan import Plan
from core.store import Project, Store
from core.transfer import Fit, Scored
from tests.test_page_choosing import idle, train_page, worker

__all__ = ["idle"]  # a fixture

BASE = Plan(epochs=20)  # the run that `trained` has


def fit(won: int, lost: int, correct: int = 90) -> dict[str, Any]:
    """The facts of a backbone right on `correct` of 100, and on so many more and fewer than raw pixels."""
    rival = correct - won + lost
    sets = (
        Scored("pretrained", correct, 80, 0.31, 0, 0),
        Scored("random", rival - 5, 30, -0.2, won + 5, lost),
        Scored("pixels", rival, 40, -0.1, won, lost),
    )
    return Fit(100, 3, sets).to_dict()


def growth(gain: float, low: float, high: float, n_val: int = 200) -> dict[str, Any]:
    points = tuple(Point(n, (n_val * 3 // 4, n_val * 3 // 4 + 2)) for n in (10, 20, 40, 70, 100))
    return Growth(points, 100, n_val, gain, low, high).to_dict()


def told(store: Store, project: Project, kind: str, facts: dict[str, Any], red: bool = False) -> dict[str, Any]:
    """What the page says after a job has told these facts about the pictures as they are."""
    ask = advice.ask_fit if kind == "fit" else advice.ask_more
    job = ask(store, project.id, BASE)
    with worker(store, job) as ticket:
        fingerprint = store.run(job.params["run"]).fingerprint
        ticket.found(kind, "Starter", {"fingerprint": fingerprint, **facts})
        ticket.succeed({}, {})
    return train_page(store, project, red)


def test_before_anything_was_asked_each_tab_says_what_it_would_measure(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    assert "Does Starter fit?" in said["button"] and "Will more pictures help?" in said["button"]
    assert any(text.startswith("Does what **Starter** learned elsewhere help") for text in said["markdown"])
    assert sum(text.startswith("Takes about ") for text in said["caption"]) == 2


@pytest.mark.parametrize(
    ("won", "lost", "correct", "kind", "begins", "advises"),
    [
        (50, 5, 90, "success", "**Starter clearly helps.** 90", "Go on with it."),
        (1, 1, 98, "error", "**Starter does not help with these pictures.**", "take the smallest"),
        (2, 20, 60, "error", "**Starter does not help with these pictures.**", "Try another backbone"),
        (12, 8, 60, "info", "**Too few pictures to say whether Starter helps.**", "more pictures of each class"),
    ],
)
def test_a_verdict_has_its_color_its_numbers_and_an_advice(
    idle: tuple[Store, Project], won: int, lost: int, correct: int, kind: str, begins: str, advises: str
) -> None:
    said = told(*idle, "fit", fit(won, lost, correct), red=kind == "error")
    (sentence,) = [text for text in said[kind] if text.startswith(begins)]
    rival = correct - won + lost
    assert f"of 100 pictures are right with what it learned, {rival}\u00a0% with raw pixels" in sentence
    assert any(advises in text for text in said["markdown"])
    assert "All numbers" in said["expander"] and "Does Starter fit?" not in said["button"]


def test_the_curve_is_one_sentence_with_its_interval(idle: tuple[Store, Project]) -> None:
    said = told(*idle, "more", growth(0.031, 0.004, 0.06))
    assert "**With twice as many pictures expect about 3 points more** (0.4 to 6)." in said["markdown"]
    said = told(*idle, "more", growth(0.001, -0.004, 0.006))
    assert any(text.startswith("**More pictures of the same kind will hardly help.**") for text in said["markdown"])
    said = told(*idle, "more", growth(0.012, -0.04, 0.08, n_val=20))
    (sentence,) = [text for text in said["markdown"] if text.startswith("**With twice")]
    assert "perhaps 1 point more** (\u22124 to 8)" in sentence and "20 val pictures" in sentence


def test_while_it_is_measured_the_tab_says_so_and_afterwards_why_it_stopped(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = advice.ask_fit(store, project.id, BASE)
    with worker(store, job) as ticket:
        ticket.stage("compare", 15)
        said = train_page(store, project)
        assert "This is being measured; the line at the top of the page says how far it is." in said["caption"]
        assert "Cancel" in said["button"] and "Does Starter fit?" not in said["button"]
        jobs.cancel(store, job.id)
        ticket.stop()
    said = train_page(store, project)
    assert "Measuring the fit was cancelled" in said["info"]
    assert "Go on" in said["button"] and "Does Starter fit?" in said["button"]


def test_an_answer_about_other_pictures_is_shown_as_such_and_can_be_measured_again(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    told(store, project, "fit", fit(50, 5))
    album.exclude(store, project.id, [store.dataset(project.id).part("train").pictures[0].id], True)
    said = train_page(store, project)
    assert "The pictures have changed since this was measured." in said["info"]
    assert "Measure again" in said["button"] and any("clearly helps" in text for text in said["success"])


def test_without_a_training_the_sliders_say_that_they_wait_for_one(
    tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import wait

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    store = Store(tmp_path / "home")
    project = store.add_project("Shapes")
    job = jobs.start(store, project.id, "intake", {"path": str(shapes), "batch": "a"})
    assert wait(store, job).state == "succeeded"
    said = train_page(store, project)
    assert any(text.startswith("After the first training this shows") for text in said["caption"])
