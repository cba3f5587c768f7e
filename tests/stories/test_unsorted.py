"""In a real browser, with real keys: pictures in no folder are kept, asked about, and taken in by the answer."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.language.catalog import say
from core.pictures import album, unsorted
from tests.bad_files import png
from tests.browser import Server, button
from tests.stories.test_ways import loose, new_project
from tests.texts import pattern, shown

pytestmark = pytest.mark.browser


def send(page: Page, paths: list[Path]) -> None:
    page.locator("input.pick-files").set_input_files(paths)


def await_pictures(page: Page, n: int) -> None:
    """Wait until so many pictures of a question are there to be seen."""
    shown = page.locator("[class*='st-key-ask-lot'] img")
    expect(shown).to_have_count(n)
    for i in range(n):
        expect(shown.nth(i)).not_to_have_js_property("naturalWidth", 0)


def test_loose_pictures_become_two_classes_by_typing_one_and_choosing_the_other(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    send(page, loose(tmp_path, range(12)))
    expect(page.get_by_text(say("ask_lot", n=12))).to_be_visible(timeout=30_000)
    expect(page.get_by_text("stopped")).to_have_count(0)
    await_pictures(page, 12)
    page.reload()
    expect(page.get_by_text(say("ask_lot", n=12))).to_be_visible()
    cells = page.locator("[class*='st-key-ask-lot'] button.cell")
    cells.nth(0).click()
    expect(page.get_by_text(f"{say('ask_lot', n=1)} {say('ask_lot_of', n=12)}")).to_be_visible()
    cells.nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text(f"{say('ask_lot', n=3)} {say('ask_lot_of', n=12)}")).to_be_visible()
    expect(cells.nth(2)).to_be_focused()
    field = page.get_by_role("textbox", name=say("loose_class"))
    field.click()
    page.keyboard.type("wasps")
    page.keyboard.press("Enter")
    expect(page.get_by_text("wasps \u00b7 3")).to_be_visible()
    expect(page.get_by_text(say("ask_lot", n=9))).to_be_visible()
    field.click()
    page.keyboard.type("ants")
    button(page, say("ask_take")).click()  # at once, without leaving the field
    expect(page.get_by_text("ants \u00b7 9")).to_be_visible()
    expect(page.get_by_text("Which class do")).to_have_count(0)
    more = tmp_path / "more"
    more.mkdir()
    send(page, loose(more, range(20, 22)))
    expect(page.get_by_text(say("ask_lot", n=2))).to_be_visible(timeout=30_000)
    button(page, "ants").click()
    expect(page.get_by_text("ants \u00b7 11")).to_be_visible()
    assert {row.label: row.n for row in album.classes(app.store, key)} == {"ants": 11, "wasps": 3}


def insects(folder: Path) -> None:
    """A folder of three ants and three bees."""
    for label, numbers in (("ants", range(3)), ("bees", range(3, 6))):
        (folder / "insects" / label).mkdir(parents=True)
        loose(folder / "insects" / label, numbers)


def test_of_a_folder_with_stray_pictures_those_are_asked_about_and_can_be_discarded(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    insects(tmp_path)
    loose(tmp_path / "insects", range(6, 9))
    page.locator("input.pick-folder").set_input_files(tmp_path / "insects")
    expect(page.get_by_role("paragraph").filter(has_text="bees \u00b7 3")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(say("ask_lot", n=3))).to_be_visible()
    button(page, "Discard").click()
    expect(page.get_by_text("Which class do")).to_have_count(0)
    assert unsorted.waiting(app.store, key) == ()
    button(page, say("undo", what=say("change_discard", n=3))).click()
    expect(page.get_by_text(say("ask_lot", n=3))).to_be_visible()
    button(page, "Discard").click()
    expect(page.get_by_text(say("discarded", n=3))).to_be_visible()
    page.reload()
    button(page, say("ask_again")).click()
    expect(page.get_by_text(say("ask_lot", n=3))).to_be_visible()
    expect(button(page, say("ask_again"))).to_have_count(0)


def test_a_copy_in_another_class_is_asked_about_and_both_names_are_one_click(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    insects(tmp_path)
    (tmp_path / "insects" / "bees" / "copy_of_ant.png").write_bytes(png(0))
    page.locator("input.pick-folder").set_input_files(tmp_path / "insects")
    expect(page.get_by_text(re.compile(shown("ask_dispute", n=1, classes="ants and in bees")))).to_be_visible(
        timeout=30_000
    )
    button(page, "ants").click()
    expect(page.get_by_text(pattern("ask_dispute", n=1))).to_have_count(0)
    expect(page.get_by_text("ants \u00b7 3")).to_be_visible()
    assert {row.label: row.n for row in album.classes(app.store, key)} == {"ants": 3, "bees": 3}
