"""The report of a run: a page that holds all it shows, whatever the names of its classes are."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.language import catalog
from core.language.catalog import say
from core.reports import report
from core.store.store import Run, Store
from tests import names


class _Page(HTMLParser):
    """All elements with their attributes, and all text, of a page as browsers read it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: dict[str, list[str]] = {}
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def _run(home: Path) -> tuple[Store, Run]:
    store = Store(home)
    return store, store.runs(store.projects()[0].id)[0]


@pytest.fixture(scope="module")
def made(trained: Path) -> _Page:
    return _Page(report.build(*_run(trained)))


def test_the_first_words_say_how_good_the_model_is(made: _Page, trained: Path) -> None:
    result = _run(trained)[1].outcome
    assert result.test_interval is not None and result.test_accuracy is not None
    low, high = result.test_interval
    headline = say(
        "report_headline", share=round(100 * result.test_accuracy), low=round(100 * low), high=round(100 * high)
    )
    assert headline in made.text and made.text.index(headline) < made.text.index(say("report_plan"))
    sizes = result.split
    assert say("report_parts", train=sizes.train, val=sizes.val, test=sizes.test) in made.text
    assert "headstart_run: 1" in made.text  # the run file


def test_it_asks_nobody_for_anything(made: _Page) -> None:
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(made.tags)
    assert not {"href", "style", "srcset", "action"} & set(made.attributes)
    assert not [name for name in made.attributes if name.startswith("on")]
    assert made.tags["img"] >= 6 and all(src.startswith("data:image/jpeg;base64,") for src in made.attributes["src"])


def test_each_figure_has_a_text_and_sections_are_in_order(made: _Page) -> None:
    assert made.tags["svg"] == 3 == made.attributes["role"].count("img") == len(made.attributes["aria-label"])
    assert all(made.attributes["alt"]) and len(made.attributes["alt"]) == made.tags["img"]
    assert made.tags["h1"] == 1 and made.tags["h2"] >= 10 and not made.tags["h3"]


@pytest.mark.parametrize("language", ["pt_BR"], indirect=True)
def test_it_is_in_the_language_that_is_spoken(language: str, trained: Path) -> None:
    page = _Page(report.build(*_run(trained)))
    assert page.attributes["lang"] == ["pt-BR"] and "De 100 imagens novas como estas" in page.text
    said = page.text.split("}")[-1].split(say("report_repeat"))[0]  # after the style, before the run file
    assert not re.search(r"\b(pictures|classes of|right)\b", said)
    assert catalog.current().language == language


def test_no_name_becomes_an_element_or_an_attribute(named: Path, made: _Page) -> None:
    page = _Page(report.build(*_run(named)))
    assert set(page.tags) <= set(made.tags) | {"figure"} and set(page.attributes) <= set(made.attributes)
    for name in names.WORST:
        assert name in page.text
