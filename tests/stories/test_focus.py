"""With the Tab key through every page, forward and backward: focus is never held, and no dialog keeps Escape."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.audit import findings
from core.audit.findings import Scored
from core.language.catalog import say
from core.store.store import Store
from tests import browser
from tests.browser import Server, button, by_key, idle

pytestmark = pytest.mark.browser

_MOST = 400  # tab stops of a page; more are no way for anybody
_COLUMNS = 12  # a table is left after the cells of a row
# The element with the focus: a number that it keeps, 0 where the page has none, and how it begins.
_FOCUSED = """() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  if (!at || at === document.body || at === document.documentElement) return [0, "the page"]
  const known = window.walked ??= new Map()
  if (!known.has(at)) known.set(at, known.size + 1)
  return [known.get(at), at.outerHTML.slice(0, 300)]
}"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server with a trained project about whose pictures something was found."""
    home = tmp_path_factory.mktemp("focus") / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    first, second, *_ = store.dataset(project.id).pictures
    rows = {"wrong": [Scored(first.id, 0.97, {"label": first.label, "suggested": second.label})]}
    findings.write(store, project.id, ("wrong", "dark"), {**rows, "dark": [Scored(second.id, 230, {})]})
    with browser.server(home, browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def walk(page: Page, key: str) -> list[int]:
    """The elements that a key leads through on its way around the whole page, beginning with the link that skips the
    navigation, which is the first of every page."""
    stops: list[int] = []
    first, before, held = 0, -1, 0
    while len(stops) < _MOST:
        page.keyboard.press(key)
        at, name = page.evaluate(_FOCUSED)
        held = held + 1 if at == before else 0
        if held:
            assert re.search("data-grid-canvas|glide-cell", name) and held <= _COLUMNS, (
                f"{key} stays after {len(stops)} steps at {name}"
            )
            continue
        before = at
        if at in stops:  # what a page shows only for a moment may come before the round
            around = stops[stops.index(at) :]
            assert first in around, f"{key} goes round in a part of the page, back to {name}"
            start = around.index(first)
            return around[start:] + around[:start]
        if at:
            stops.append(at)
            first = at if "stSkipToContent" in name else first
    raise AssertionError(f"{key} comes to no end after {_MOST} steps, now at {name}")


def both_ways(page: Page) -> list[int]:
    """Around the page and back by the same stops, so that every one can be reached and left again. A page on which
    something came meanwhile, such as the answer to a question, is walked once more: a trap holds every time."""
    for _ in range(2):
        with contextlib.suppress(AssertionError):
            return _both_ways(page)
        idle(page)
    return _both_ways(page)


def _both_ways(page: Page) -> list[int]:
    page.evaluate("() => { window.walked = new Map() }")
    there = walk(page, "Tab")
    back = walk(page, "Shift+Tab")
    assert back == there[:1] + there[:0:-1]
    return there


@pytest.mark.parametrize("step", ["", "data", "train", "results", "demo", "present", "export"])
def test_tab_leads_through_the_whole_page_and_back(page: Page, app: Server, step: str) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/{step}?project={project.id}" if step else app.url)
    if step in ("demo", "present"):
        browser.await_answer(page)
    idle(page)
    if step == "data":
        by_key(page, "finding-wrong").get_by_role("button").first.click()  # opened, with its pictures to select
        expect(by_key(page, "finding-wrong").locator(".cell")).to_have_count(1)
        idle(page)
    assert len(both_ways(page)) >= (3 if step == "present" else 5)


def test_tab_leads_through_every_tab_of_the_results_and_back(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/results?project={project.id}")
    for tab in map(say, ("confidence", "threshold_tab", "look_tab", "curves", "map", "fit", "runs")):
        page.get_by_role("tab", name=tab, exact=True).click()
        idle(page)
        assert len(both_ways(page)) >= 10, tab


@pytest.mark.parametrize("name", [say("new_project"), "Delete"])
def test_a_dialog_is_walked_through_and_left_with_escape(page: Page, app: Server, name: str) -> None:
    page.goto(app.url)
    idle(page)
    button(page, name).press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    idle(page)
    before, _ = page.evaluate(_FOCUSED)
    for key in ("Tab", "Shift+Tab"):
        for _ in range(6):
            page.keyboard.press(key)
            now, at = page.evaluate(_FOCUSED)
            assert now != before, f"{key} stays at {at}"
            before = now
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert len(both_ways(page)) >= 5
