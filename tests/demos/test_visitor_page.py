import json
import re
from html.parser import HTMLParser

import pytest

from core.demos import visitor_page
from core.demos.visitor_page import Example, Front
from core.language import catalog
from tests import names

FRONT = Front("Signs", "Try it.", "pt_BR", "#ffff00", ("a", "b"), 160, "engine_server")


class Seen(HTMLParser):
    """The elements of a page, and the text of its data block."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.told, self._inside = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self._inside = ("id", "front") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        self.told += data if self._inside else ""


def test_the_page_is_in_the_language_of_the_demo_and_has_the_app_s_words_for_an_answer() -> None:
    page = visitor_page.html(FRONT)
    assert '<html lang="pt-BR">' in page
    told = json.loads(Seen(page).told)
    spoken = catalog.of("pt_BR")
    assert told["texts"]["demo_unknown"] == spoken.text("demo_unknown") != catalog.of("en").text("demo_unknown")
    assert told["classes"] == ["a", "b"] and told["engine"] == "engine_server" and told["decimal"] == ","


@pytest.mark.parametrize("text", [*names.WORST, "</script><script>alert(1)</script>", "<!--<script>", "$title ${x}"])
def test_no_text_becomes_markup(text: str) -> None:
    plain = Seen(visitor_page.html(FRONT))
    front = Front(text, text, "en", "#ffff00", (text,), 160, "engine_server", examples=(Example("./example/0", text),))
    hostile = Seen(visitor_page.html(front))
    assert hostile.tags == plain.tags and hostile.attributes == plain.attributes
    assert json.loads(hostile.told)["classes"] == [text]


def test_only_files_of_the_page_are_served() -> None:
    for name in visitor_page.FILES:
        found = visitor_page.file(name)
        assert found is not None and found[0] and found[1] in ("text/css", "text/javascript")
    for name in ("index.html", "", "../published.py", "engine_../x.js", "visitor_page.py"):
        assert visitor_page.file(name) is None


def test_every_module_and_every_word_of_the_page_is_there() -> None:
    scripts = {path.name: path.read_text() for path in visitor_page.FOLDER.glob("*.js")}
    assert {name for name in scripts if not name.startswith("engine_")} == {
        name for name in visitor_page.FILES if name.endswith(".js")
    }
    used = {name for text in scripts.values() for name in re.findall(r'fill\(\s*"(\w+)"', text)}
    used |= {name for text in scripts.values() for pair in re.findall(r'\? "(\w+)" : "(\w+)"', text) for name in pair}
    given = set(json.loads(Seen(visitor_page.html(FRONT)).told)["texts"])
    assert used <= given and given - used <= {"live", "take", "close", "camera", "offline"}
    for text in scripts.values():
        assert {each.removeprefix("./") for each in re.findall(r'from "([^"]+)"', text)} <= set(scripts)
        assert "http:" not in text and "https:" not in text
