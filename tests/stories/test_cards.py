"""Classes that are made on the page, in a real browser: cards are named and filled by files, the clipboard, the camera
and what is dropped on them."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from core.language.catalog import say
from core.pictures import album
from tests import browser
from tests.bad_files import png
from tests.browser import Server, button, by_key
from tests.stories.test_ways import hold_camera, loose, new_project

pytestmark = pytest.mark.browser


def card(page: Page, name: str) -> Locator:
    """The card of a class that is not there yet."""
    return page.locator("[class*='st-key-cards-']").get_by_role("group", name=name, exact=True)


def way(at: Locator, name: str) -> Locator:
    """A button of a card, whose name says of which class it is."""
    return at.get_by_role("button", name=re.compile(f"^{say(name)} "))


def choose(page: Page, at: Locator, name: str, what: Path | list[Path]) -> None:
    """Choose files or a folder in the chooser that a button of a card opens."""
    with page.expect_file_chooser() as chooser:
        way(at, name).click()
    chooser.value.set_files(what)


def copy(page: Page, number: int) -> None:
    """Put a picture into the clipboard, as another program does."""
    page.evaluate(
        """async data => {
            const blob = await (await fetch("data:image/png;base64," + data)).blob()
            await navigator.clipboard.write([new ClipboardItem({"image/png": blob})])
        }""",
        base64.b64encode(png(number)).decode(),
    )


def counts(app: Server, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(app.store, project)}


def row(page: Page, label: str, n: int) -> Locator:
    """The row of a class that there is."""
    found = page.locator("[class*='st-key-class-row-']").filter(has=page.get_by_text(f"{label} \u00b7 {n}", exact=True))
    expect(found).to_be_visible(timeout=30_000)
    return found


def drop(at: Locator, paths: list[Path]) -> None:
    """Drop files on an element, as from the desktop."""
    at.scroll_into_view_if_needed()
    box = at.bounding_box()
    assert box is not None
    place = {"x": box["x"] + 5, "y": box["y"] + 5}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = at.page.context.new_cdp_session(at.page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_two_classes_are_made_on_the_page_by_files_and_the_clipboard(page: Page, app: Server, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = new_project(page, app.url)
    names = page.get_by_role("textbox", name=say("class_name"))
    browser.write(names.nth(0), "crickets r c")  # what are keys of the page elsewhere are letters here
    choose(page, card(page, "crickets r c"), "card_files", loose(tmp_path, range(3)))
    browser.write(names.nth(1), "bees")
    row(page, "crickets r c", 3)
    expect(card(page, "bees").get_by_role("textbox")).to_have_value("bees")  # though the page is another one now
    expect(card(page, "bees").get_by_role("textbox")).to_be_focused()
    expect(card(page, "crickets r c")).to_have_count(0)

    copy(page, 20)
    way(card(page, "bees"), "card_paste").click()
    row(page, "bees", 1)
    more = tmp_path / "more"
    more.mkdir()
    at = row(page, "bees", 1)
    at.get_by_role("button", name=f"{say('row_add')} {say('row_add_to', label='bees')}").click()
    choose(page, page.get_by_role("group", name="bees", exact=True), "card_files", loose(more, range(30, 32)))
    row(page, "bees", 3)
    expect(button(page, say("next_train"))).to_be_visible()
    assert counts(app, key) == {"bees": 3, "crickets r c": 3}
    for label in ("crickets r c", "bees"):  # one after the other, as one looks for the right one
        row(page, label, 3).get_by_role("button", name=say("row_add")).click()
        expect(page.get_by_role("group", name=label, exact=True)).to_be_visible()


def test_pictures_go_where_they_are_dropped_or_pasted(page: Page, app: Server, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    key = new_project(page, app.url)
    drop(card(page, say("card_numbered", n=2)), loose(tmp_path, range(2)))  # which has no name yet
    row(page, say("card_numbered", n=2), 2)
    drop(row(page, say("card_numbered", n=2), 2), loose(tmp_path, range(2, 4)))
    at = row(page, say("card_numbered", n=2), 4)
    copy(page, 5)
    at.get_by_role("button").first.focus()
    page.keyboard.press("ControlOrMeta+v")
    row(page, say("card_numbered", n=2), 5)
    assert counts(app, key) == {"Class 2": 5}
    drop(by_key(page, "way"), loose(tmp_path, range(6, 9)))
    expect(page.get_by_text(say("ask_lot", n=3))).to_be_visible(timeout=30_000)


def test_the_camera_of_a_card_goes_on_when_its_class_is_there(page: Page, app: Server) -> None:
    key = new_project(page, app.url)
    button(page, say("card_add")).click()
    page.keyboard.type("desk")  # the new card has the focus
    at = card(page, "desk")
    way(at, "card_camera").click()
    hold_camera(page)
    rows = page.locator("[class*='st-key-class-row-']")
    expect(rows).to_contain_text(re.compile(r"desk \u00b7 \d+"), timeout=30_000)
    before = counts(app, key)["desk"]
    hold_camera(page)
    expect(rows).not_to_contain_text(f"desk \u00b7 {before}", timeout=30_000)
    way(at, "card_camera").click()
    expect(at).to_have_count(0)
    assert list(counts(app, key)) == ["desk"] and counts(app, key)["desk"] > before


@pytest.mark.parametrize("answer", ["one", "each"])
def test_a_folder_of_folders_is_one_class_or_one_in_each(page: Page, app: Server, tmp_path: Path, answer: str) -> None:
    key = new_project(page, app.url)
    for label, numbers in (("dark", range(2)), ("light", range(2, 5))):
        (tmp_path / "cats" / label).mkdir(parents=True)
        loose(tmp_path / "cats" / label, numbers)
    name = say("card_numbered", n=1)
    choose(page, card(page, name), "card_folder", tmp_path / "cats")
    expect(card(page, name)).to_contain_text(say("card_folders", n=2, folders="dark, light"))
    button(page, say("card_folders_one", label=name) if answer == "one" else say("card_folders_each")).click()
    classes = {name: 5} if answer == "one" else {"dark": 2, "light": 3}
    for label, n in classes.items():
        row(page, label, n)
    assert counts(app, key) == classes
