"""Why a model thinks so, in a real browser: asked from the large view of a picture, mended there, and taken back."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from core.language.catalog import say
from core.store.store import Store
from tests import browser
from tests.browser import button, idle
from tests.stories.test_mend import label, planted, planted_once, store
from tests.texts import pattern, shown

pytestmark = pytest.mark.browser
__all__ = ["planted", "planted_once", "store"]  # fixtures


def ask(page: Page, answer: str, enlarged: bool) -> None:
    """Ask why of the first picture."""
    cell = page.locator("[class*='st-key-sorter-'] .cell").first
    expect(cell).to_be_visible()
    idle(page)
    if enlarged:
        cell.dblclick()
        page.locator("dialog.large").get_by_role("button", name="Why").click()
    else:
        cell.press("w")
    expect(page.get_by_role("dialog").get_by_text(answer)).to_be_visible()
    idle(page)


def look(page: Page) -> None:
    """Have the model looked at class by class; what was found is there when the page is opened again."""
    page.get_by_role("tab", name=say("look_tab")).click()
    button(page, say("look", n=6)).click()
    for again in (False, True):
        if again:
            page.reload()
            page.get_by_role("tab", name=say("look_tab")).click()
        expect(page.get_by_alt_text(re.compile("Where the model looks for"))).to_have_count(3)
        expect(page.get_by_text("Border: the outer eighth on each side, 44")).to_be_visible()
        expect(button(page, say("look", n=6))).to_have_count(0)
    idle(page)


def test_a_mistake_is_explained_mended_in_the_explanation_and_taken_back(
    chromium: Browser, store: Store, planted: tuple[str, str]
) -> None:
    project, picture = planted
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/results?project={project}")
        page.get_by_role("button", name=pattern("pair", n=1, truth="square", predicted="circle")).click()
        expect(page.get_by_text(shown("cell", truth="square", predicted="circle", n=1))).to_be_visible()
        ask(page, say("why_near"), enlarged=True)
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("The model says circle")).to_be_visible()
        expect(dialog.get_by_text("The picture is in the class square.")).to_be_visible()
        expect(dialog.get_by_alt_text(say("why_hot", label="circle"))).to_be_visible()
        expect(dialog.get_by_text("A place that looks right does not prove a right reason")).to_be_visible()
        expect(dialog.locator("[class*='st-key-why-near'] img")).to_have_count(8)
        dialog.get_by_role("radio", name="square").click()
        expect(dialog.get_by_alt_text(say("why_hot", label="square"))).to_be_visible()

        dialog.get_by_label(say("move_to")).click()
        page.get_by_test_id("stSelectboxVirtualDropdown").get_by_role("option", name="circle").click()
        idle(page)
        dialog.get_by_role("button", name=say("move")).click()
        expect(page.get_by_text(say("mended", what=say("mended_relabeled", n=1)))).to_be_visible()
        expect(page.get_by_text("The model says circle")).to_have_count(0)
        assert label(store, project, picture) == "circle"
        idle(page)
        page.get_by_role("button", name=re.compile("^Undo")).click()
        expect(page.get_by_text(shown("cell", truth="square", predicted="circle", n=1))).to_be_visible()
        assert label(store, project, picture) == "square"
        look(page)
        browser.step(page, "Demo")
        browser.await_answer(page)
        expect(page.get_by_alt_text(pattern("why_hot"))).to_have_count(0)
        page.get_by_text(say("demo_why")).click()
        expect(page.get_by_alt_text(pattern("why_hot"))).to_be_visible()
        expect(page.get_by_text("as coarse as 8 × 8 places")).to_be_visible()

    folder = store.folder(store.runs(project)[0].id)
    (folder / "head.npz").unlink()
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/results?project={project}")
        ask(page, "Files of this model are missing", enlarged=False)
        page.keyboard.press("Escape")
        expect(page.locator("[class*='st-key-sorter-'] .cell").first).to_be_focused()


def test_the_gallery_of_the_data_page_has_no_model_to_ask(
    chromium: Browser, store: Store, planted: tuple[str, str]
) -> None:
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/data?project={planted[0]}")
        page.locator("[class*='st-key-gallery-'] .cell").first.dblclick()
        large = page.locator("dialog.large")
        expect(large.get_by_role("button", name=say("mark"))).to_be_visible()
        expect(large.get_by_role("button", name="Why")).to_be_hidden()
