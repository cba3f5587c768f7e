"""How it works: the user's own numbers, the terms and what leads to them, the drawings, and the tour of the sample."""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from core import backbones
from core.jobs.kinds import FIT
from core.language import catalog
from core.language.catalog import say
from core.learning.transferability import FeatureScores, Fit
from core.plan import Plan
from core.reports import sentences
from core.result import Accuracies, Phase, Result
from core.runs import questions
from core.runs.questions import Answered
from core.store.rows import setting_rows
from core.store.store import Run, Store
from pages.parts.frame import context
from pages.parts.frame.words import TERMS, percent, with_terms
from pages.parts.learn import figures, lesson, own_numbers, pen, tour
from tests import visits
from tests.visits import visit

ROOT = Path(__file__).parents[2]
TEXTS = catalog.of(catalog.ENGLISH).texts
CODE = "\n".join(path.read_text() for path in (ROOT / "pages").glob("**/*.py"))
MOBILE = backbones.MOBILENET_V2


def a_run(plan: Plan, **result: object) -> Run:
    values: dict = {
        "pictures": 100,
        "test_n": 50,
        "test_accuracy": 0.9,
        "val_accuracy": 0.88,
        "backbone": plan.backbone,
    }
    return Run("r", "p", plan.to_dict(), "f", Result(**(values | result)), 0.0)


# -- own numbers


def test_a_finished_run_puts_its_own_numbers_into_the_lesson(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    said = visit(home, project.id, "learn")["said"]["learn"]
    own = [text for text in said["markdown"] if text.startswith(f"**{say('learn_own')}.**")]
    assert len(own) == len(lesson.SECTIONS) == 5
    weights = {"backbone": "Starter", "weights": "793,064", "features": "512", "pictures": say("pictures_n", n=36)}
    assert say("own_frozen", **weights) in own[0] and say("own_starter") in own[0]
    trained_weights = 512 * 3 + 3
    head_words = say(
        "own_head", head=say("head_linear"), weights=f"{trained_weights:,}", share=own_share(trained_weights)
    )
    assert head_words in own[1]
    assert run.outcome.test_n == 6 and run.outcome.learned is not None
    score = percent(run.outcome.test_accuracy)
    assert say("own_head_score", score=score, n=6) in own[1]
    assert say("own_not_tuned", backbone="Starter") in own[2]
    assert say("own_gap", train=percent(run.outcome.learned), test=score, n=6) in own[3]
    assert say("own_not_asked", backbone="Starter") in own[4]
    assert said["title"] == [say("learn")]


def own_share(weights: int) -> str:
    assert weights / (weights + backbones.STARTER.parameters) < 0.005
    return say("less_than", share=percent(0.01))


def test_without_a_run_the_lesson_says_how_to_see_numbers(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("Empty")
    for key in ("", project.id):
        said = visit(store.home, key, "learn")["said"]["learn"]
        assert say("learn_no_run") in said["caption"]
        assert not any(say("learn_own") in text for text in said["markdown"])
        assert [say(f"learn_{name}") for name in lesson.SECTIONS] == said["header"][:5]


def test_fine_tuning_is_told_with_its_rate_against_that_of_the_head_and_what_came_of_it() -> None:
    plan = Plan(backbone=MOBILE.name, fine_tune_blocks=3, fine_tune_rate=1e-4, learning_rate=1e-3)
    before = Accuracies(0.85, 0.8)
    kept = a_run(plan, before_fine_tune=before, fine_tune=Phase((), 4))
    values = {
        "n": 3,
        "all": len(MOBILE.blocks),
        "backbone": MOBILE.name,
        "rate": "0.0001",
        "head": "0.001",
        "times": "0.1",
    }
    told = list(own_numbers._tuning(kept))
    assert told == [say("own_tuned", **values), say("own_tuned_kept", before=percent(0.8), after=percent(0.9))]
    assert own_numbers._head(kept, []).__next__() == say("own_head_score", score=percent(0.8), n=50)  # the frozen one's
    left = a_run(plan, before_fine_tune=before, fine_tune=Phase((), 0))
    assert list(own_numbers._tuning(left))[1] == say("own_tuned_left", before=percent(0.8))
    untested = a_run(plan, before_fine_tune=Accuracies(0.85), fine_tune=Phase((), 4), test_n=0)
    assert list(own_numbers._tuning(untested)) == [say("own_tuned", **values)]


def test_over_fitting_is_told_by_the_share_that_was_learned_against_what_was_never_seen() -> None:
    run = a_run(Plan(), learned=0.99)
    assert list(own_numbers._over(run)) == [say("own_gap", train=percent(0.99), test=percent(0.9), n=50)]
    assert list(own_numbers._over(a_run(Plan()))) == [say("own_no_gap")]
    history = tuple(
        {"loss": 1 / epoch, "accuracy": 0.9, "val_loss": 0.5 + 0.1 * abs(epoch - 3), "val_accuracy": 0.8}
        for epoch in range(1, 11)
    )
    rising = a_run(Plan(), learned=0.99, head=Phase(history, 3))
    assert list(own_numbers._over(rising))[1:] == [own_numbers.plain(say("note.rising_head", n=7, best=3))]


def test_an_answer_to_does_it_fit_is_in_the_lesson_and_an_old_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = (
        FeatureScores("pretrained", 70, 60, 0.0, 0, 0), FeatureScores("random", 60, 55, 0.0, 20, 10),
        FeatureScores("pixels", 40, 30, 0.0, 40, 10),
    )  # fmt: skip
    fit = Fit(100, 4, sets)
    asked: list[object] = []

    def answer(*told: object) -> Answered:
        asked.append(told[2])
        return Answered(fit.to_dict(), current=False)

    pictures = type("Pictures", (), {"fingerprint": "now"})()
    monkeypatch.setattr(questions, "answer", answer)
    monkeypatch.setattr(context, "store", lambda: None)
    monkeypatch.setattr(context, "dataset", lambda _: pictures)
    project = type("Of", (), {"id": "p"})()
    told = list(own_numbers._fit(project, a_run(Plan())))
    assert told == [sentences.fit(fit, "Starter"), say("answer_stale")] and asked == [FIT]
    assert percent(0.7) in told[0] and percent(0.6) in told[0]


# -- terms


def test_there_are_25_terms_each_with_a_meaning_and_something_that_leads_to_it() -> None:
    assert len(TERMS) == 25
    for term, keys in TERMS.items():
        assert TEXTS[f"meaning.{term}"][0].endswith("."), term
        for key in keys:
            linked = f'with_terms("{key}"' in CODE or f"with_terms('{key}'" in CODE
            assert key in TEXTS and (linked or key.startswith("setting_help.") or key == "fit_lead"), key
            assert f"[{say(f'term.{term}')}](/learn#{term})" in with_terms(key, backbone="Starter")
    assert with_terms("setting_help.seed") == say("setting_help.seed")


def test_links_within_the_lesson_lead_to_terms() -> None:
    linked = {name for forms in TEXTS.values() for name in re.findall(r"\]\(#([\w-]+)\)", forms[0])}
    assert len(linked) > 10 and linked <= TERMS.keys()


# Prints the headings of the glossary, as the page orders them.
_ORDER = """
import json, sys
from core.language import catalog
from tests.visits import opened
at = opened("", "learn")
print(json.dumps([e.value for e in at.subheader]))
"""


@pytest.mark.parametrize(("language", "first", "last"), [
    ("en", ["Accuracy", "Augmentation", "Backbone"], "Transfer learning"),
    ("pt_BR", ["Acurácia", "Ajuste fino", "Aumento de dados"], "Validação cruzada"),
])  # fmt: skip
def test_terms_stand_in_the_order_of_the_alphabet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, first: list[str], last: str
) -> None:
    monkeypatch.setenv(catalog.ENVIRONMENT, language)
    done = visits.run(_ORDER, home=tmp_path / "home")
    names = json.loads(done.stdout.splitlines()[-1])
    assert names[:3] == first and names[-1] == last and len(names) == 25


# -- drawings


def light(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05


def contrast(one: str, other: str) -> float:
    a, b = light(one), light(other)
    return max(a, b) / min(a, b)


@pytest.mark.parametrize(("colors", "ground"), [(figures._LIGHT, "#FCFBF9"), (figures._DARK, "#191816")])
def test_words_and_lines_of_drawings_are_seen_in_both_themes(colors: pen.Pen, ground: str) -> None:
    assert min(contrast(color, ground) for color in (colors.ink, colors.accent, colors.second)) >= 4.5
    assert min(contrast(colors.ink, area) for area in (colors.soft, colors.faint)) >= 4.5
    assert contrast(colors.on_accent, colors.accent) >= 4.5
    assert contrast(colors.edge, ground) >= 3


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_drawing_is_whole_fits_on_a_phone_and_is_told_to_who_cannot_see_it(name: str) -> None:
    drawn = ElementTree.fromstring(figures.FIGURES[name](figures._LIGHT))
    assert int(drawn.attrib["width"]) == 360
    for text in drawn.iter("{http://www.w3.org/2000/svg}text"):
        assert int(text.attrib["font-size"]) >= 12
        assert 0 <= float(text.attrib["x"]) <= 360 and 0 <= float(text.attrib["y"]) <= int(drawn.attrib["height"])
    assert TEXTS[f"figure_{name}"][0].endswith(".")


# -- the tour


def of_sample(source: Path, home: Path) -> tuple[Store, str]:
    """A copy of a home, in which the project is the sample."""
    shutil.copytree(source, home)
    store = Store(home)
    (project,) = store.projects()
    with store.write() as db:
        db.execute("UPDATE project SET source = 'sample 0'")
    return store, project.id


def boxes(said: dict) -> dict[str, list[str]]:
    return {page: [t for t in each["markdown"] if ":material/explore:" in t] for page, each in said.items()}


def test_the_sample_has_a_tour_until_it_was_seen_once(tmp_path: Path, trained: Path) -> None:
    store, project = of_sample(trained, tmp_path / "home")
    pages = ("projects", *tour.STEPS, "export", "present", "learn")
    found = boxes(visit(store.home, project, *pages)["said"])
    assert {page: len(each) for page, each in found.items()} == {page: int(page in tour.STEPS) for page in pages}
    for n, page in enumerate(tour.STEPS, 1):
        assert say("tour_place", step=n, steps=4) in found[page][0]
    setting_rows.write(store, "tour", "seen")
    assert not any(boxes(visit(store.home, project, *pages)["said"]).values())


def test_other_projects_have_no_tour(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    (project,) = Store(home).projects()
    assert not any(boxes(visit(home, project.id, *tour.STEPS)["said"]).values())


def test_the_tour_says_nothing_of_classes_and_results_that_are_not_there(tmp_path: Path, received: Path) -> None:
    drawn, project = of_sample(received, tmp_path / "home")
    empty = Store(tmp_path / "empty")
    homes = [(empty, empty.add_project("Signs", source="sample 0").id), (drawn, project)]
    found = [boxes(visit(each.home, key, *tour.STEPS)["said"]) for each, key in homes]
    assert [[len(each[page]) for page in tour.STEPS] for each in found] == [[0, 0, 0, 0], [1, 1, 0, 0]]
