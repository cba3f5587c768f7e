"""Sorting pictures in a real browser: by mouse and by keyboard, undone again, a page or all of a filter at once."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from core.audit import findings
from core.audit.findings import Scored
from core.dataset import Facts, File, Received
from core.language.catalog import say
from core.pictures import album, receiving
from core.pictures.album import Filter
from tests.browser import Server, button, by_key, idle, write
from tests.texts import shown

pytestmark = pytest.mark.browser


@pytest.fixture
def project(app: Server) -> str:
    """Two hundred small pictures of two classes."""
    key = app.store.add_project("Sorting").id
    files = []
    for i in range(200):
        buffer = io.BytesIO()
        Image.new("RGB", (9, 9), (i, 255 - i, 7 * i % 256)).save(buffer, "PNG")
        name = app.store.pictures.settle(app.store.pictures.stage([buffer.getvalue()]))
        label = "cat" if i < 120 else "dog"
        files.append(Received(File(i, f"{i}.png", "used", label, picture_id=name), Facts(name, 9, 9, f"p{i}", ())))
        path = app.store.thumbnail(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
    receiving.receive(app.store, key, "a", files)
    album.divide(app.store, key)
    return key


@pytest.fixture
def sorter(page: Page, app: Server, project: str) -> Locator:
    page.goto(f"{app.url}/data?project={project}")
    found = by_key(page, f"gallery-{project}")
    expect(found.locator(".cell")).to_have_count(60)
    idle(page)
    return found


def counts(app: Server, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(app.store, project)}


def test_a_range_is_moved_to_a_new_class_and_the_move_undone(
    page: Page, app: Server, project: str, sorter: Locator
) -> None:
    cells = sorter.locator(".cell")
    cells.nth(2).click()
    cells.nth(7).click(modifiers=["Shift"])
    expect(sorter.get_by_text("6 selected")).to_be_visible()
    for label in ("lion", "tiger"):  # the second one while the first is drawn
        write(sorter.get_by_label(say("move_to")), label)
        sorter.get_by_role("button", name=say("move")).click()
        expect(page.get_by_text(f"{label} \u00b7 6")).to_be_visible()
        assert counts(app, project) == {"cat": 114, "dog": 80, label: 6}
        sorter.get_by_role("button", name=say("undo", what=say("change_relabel", n=6, label=label))).click()
        expect(page.get_by_text("cat \u00b7 120")).to_be_visible()
        expect(sorter.get_by_text(say("select_hint"))).to_be_visible()
        assert counts(app, project) == {"cat": 120, "dog": 80}
        cells.nth(2).click()
        cells.nth(7).click(modifiers=["Shift"])


def test_all_of_a_filter_is_moved_to_a_part(page: Page, app: Server, project: str, sorter: Locator) -> None:
    box = page.get_by_role("combobox", name=say("class"), exact=True)
    box.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # the list closes when the page scrolls under it
    box.click()
    page.get_by_role("option", name="dog", exact=True).click()
    expect(sorter.locator(".cell").first).to_have_attribute("aria-label", re.compile("^dog"))
    sorter.get_by_role("button", name=say("select_all")).click()
    sorter.get_by_role("button", name=say("select_every", n=80)).click()
    expect(sorter.get_by_text("80 selected")).to_be_visible()
    sorter.get_by_label(say("why_part")).select_option("val")
    expect(sorter.get_by_role("button", name=say("undo", what=say("change_move", n=80, part="val")))).to_be_visible()
    assert album.count(app.store, project, Filter("dog", "val")) == 80


def test_the_keyboard_is_enough(page: Page, app: Server, project: str, sorter: Locator) -> None:
    sorter.locator(".cell").first.focus()
    for key in ("ArrowRight", "Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(sorter.get_by_text("2 selected")).to_be_visible()
    page.keyboard.press("Enter")
    dialog = sorter.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(sorter.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("Delete")
    expect(page.get_by_text("cat \u00b7 117")).to_be_visible()
    idle(page)
    page.keyboard.press("z")
    expect(page.get_by_text("cat \u00b7 120")).to_be_visible()
    idle(page)
    page.keyboard.press("Control+a")
    expect(sorter.get_by_text("60 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sorter.get_by_text(say("select_hint"))).to_be_visible()
    assert counts(app, project) == {"cat": 120, "dog": 80}


def test_selecting_does_not_redraw_the_page(page: Page, sorter: Locator) -> None:
    page.evaluate(
        "() => { window.drawn = 0; const drawn = () => window.drawn++; new MutationObserver(drawn).observe("
        "document.querySelector('[data-testid=stApp]'), {attributeFilter: ['data-test-script-state']})}"
    )
    for i in range(5):
        sorter.locator(".cell").nth(i).click()
    expect(sorter.get_by_text("5 selected")).to_be_visible()
    page.wait_for_timeout(500)
    assert page.evaluate("window.drawn") == 0


def test_a_suggested_class_is_accepted_in_the_opened_finding_and_undone(page: Page, app: Server, project: str) -> None:
    (first, second, *_) = (p.id for p in app.store.dataset(project).pictures if p.label == "cat")
    rows = [Scored(key, 0.97, {"label": "cat", "suggested": "dog"}) for key in (first, second)]
    findings.write(app.store, project, ("wrong",), {"wrong": rows})
    page.goto(f"{app.url}/data?project={project}")
    finding = by_key(page, "finding-wrong")
    expect(finding).to_contain_text(shown("found_wrong", n=2))
    finding.get_by_role("button", name=say("finding_open_look")).click()
    idle(page)
    finding.locator(".cell").first.click()
    accept = finding.get_by_role("button", name=re.compile("Accept"))
    expect(accept).to_be_enabled()
    accept.click()
    expect(finding).to_contain_text(shown("found_wrong", n=1))
    assert counts(app, project) == {"cat": 119, "dog": 81}
    deed = by_key(page, "deed")
    expect(deed).to_contain_text(say("deed", what=say("change_relabel_each", n=1)))
    deed.get_by_role("button", name=say("deed_undo")).click()
    expect(finding).to_contain_text(shown("found_wrong", n=2))
    assert counts(app, project) == {"cat": 120, "dog": 80}
    idle(page)
    finding.locator(".cell").first.click()
    right = button(page, say("confirm"))
    expect(right).to_be_enabled()
    right.click()
    expect(finding).to_contain_text(shown("found_wrong", n=1))
    assert counts(app, project) == {"cat": 120, "dog": 80}
    expect(deed).to_contain_text(say("deed", what=say("change_confirm", n=1)))
    idle(page)
    finding.locator(".cell").first.click()  # the last one: its card goes, what was done stays said
    button(page, say("leave_out_n", n=1)).click()
    expect(finding).to_have_count(0)
    expect(deed).to_contain_text(say("deed", what=say("change_exclude", n=1)))
    deed.get_by_role("button", name=say("deed_undo")).click()
    expect(finding).to_contain_text(shown("found_wrong", n=1))
    expect(deed).to_have_count(0)  # what was done before it is for the gallery's button
    assert counts(app, project) == {"cat": 120, "dog": 80}
