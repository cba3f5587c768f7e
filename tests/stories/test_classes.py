"""Whole classes in a real browser: renamed, merged, left out and taken back where they are listed."""

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.dataset import Facts, File, Received
from core.language.catalog import say
from core.pictures import album, classes, receiving
from tests.browser import Server, button, by_key, idle, step, write
from tests.texts import shown

pytestmark = pytest.mark.browser


@pytest.fixture
def project(app: Server) -> str:
    """Fifteen classes of four small pictures and one, the first, of a single one."""
    key = app.store.add_project("Classes").id
    labels = ["an insect", *(f"class {i:02}" for i in range(15) for _ in range(4))]
    files = []
    for i, label in enumerate(labels):
        buffer = io.BytesIO()
        Image.new("RGB", (9, 9), (4 * i, 255 - i, 7 * i % 256)).save(buffer, "PNG")
        name = app.store.pictures.settle(app.store.pictures.stage([buffer.getvalue()]))
        files.append(Received(File(i, f"{i}.png", "used", label, picture_id=name), Facts(name, 9, 9, f"p{i}", ())))
    receiving.receive(app.store, key, "a", files)
    album.divide(app.store, key)
    return key


def counts(app: Server, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(app.store, project)}


def undo(page: Page, done: str) -> None:
    deed = by_key(page, "deed")
    expect(deed).to_contain_text(done)
    idle(page)
    deed.get_by_role("button", name=say("deed_undo")).click()
    expect(deed).to_have_count(0)
    idle(page)


def choose(page: Page, entry: str) -> None:
    """An entry of the menu that is open."""
    roles = [page.get_by_role(role, name=entry, exact=True) for role in ("menuitem", "option")]
    roles[0].or_(roles[1]).click()


def menu(page: Page, label: str, action: str) -> None:
    opener = page.locator("[class*='st-key-class-menu']").get_by_role("button", name=label)
    opener.scroll_into_view_if_needed()
    opener.press("Enter")
    entries = [page.get_by_role(role, name=action, exact=True) for role in ("menuitem", "option")]
    entries[0].or_(entries[1]).press("Enter")
    idle(page)


def test_a_class_is_renamed_merged_left_out_and_taken_back_where_it_is_listed(
    page: Page, app: Server, project: str
) -> None:
    before = counts(app, project)
    page.goto(f"{app.url}/data?project={project}")
    menu(page, "class 03", "Rename")
    expect(page.get_by_label(say("class_name"))).to_be_focused()  # the only thing to do there
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("a beetle")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("a beetle \u00b7 4")).to_be_visible()
    assert counts(app, project)["a beetle"] == 4
    undo(page, say("deed", what=say("change_rename", label="class 03", name="a beetle")))
    assert counts(app, project) == before

    menu(page, "class 03", "Rename")
    write(page.get_by_label(say("class_name")), "CLASS 04")
    page.keyboard.press("Enter")
    expect(page.get_by_text(shown("class_exists", other="class 04", n=4, label="class 03"))).to_be_visible()
    assert counts(app, project) == before  # it is asked first
    button(page, say("class_one", name="class 04")).click()
    expect(page.get_by_text("class 04 \u00b7 8")).to_be_visible()
    assert counts(app, project)["class 04"] == 8 and "class 03" not in counts(app, project)
    undo(page, say("deed", what=say("change_merge", label="class 03", name="class 04")))

    field = page.get_by_role("combobox", name=say("more_classes", n=4))  # a class that has no row
    field.click()
    page.keyboard.type("class 13")
    page.keyboard.press("Enter")
    idle(page)
    menu(page, "class 13", say("class_out"))
    expect(page.get_by_text("Left out: class 13 (4)")).to_be_visible()
    assert "class 13" not in counts(app, project)
    page.reload()  # the line of the deed is gone, the class is still there to be taken back
    expect(page.get_by_text("Left out: class 13 (4)")).to_be_visible()
    idle(page)
    button(page, say("take_back_class")).press("Enter")
    choose(page, "class 13")
    expect(page.get_by_text("Left out: class 13 (4)")).to_have_count(0)
    assert counts(app, project) == before


def test_a_class_that_prevents_a_training_is_dealt_with_on_data_and_on_train(
    page: Page, app: Server, project: str
) -> None:
    before = counts(app, project)
    page.goto(f"{app.url}/data?project={project}")
    expect(page.get_by_text(shown("untrainable_few", label="an insect"))).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="Fewer than 10 pictures")).not_to_contain_text("an insect")
    idle(page)
    button(page, say("leave_class_out")).click()
    undo(page, say("deed", what=say("change_class_out", label="an insect")))
    assert counts(app, project) == before

    step(page, "Train")
    expect(page.get_by_text(shown("untrainable_few", label="an insect"))).to_be_visible()
    expect(button(page, say("start"))).to_be_disabled()
    idle(page)
    button(page, say("merge_into")).click()
    page.get_by_role("dialog").get_by_role("combobox").click()
    page.keyboard.type("class 02")
    page.keyboard.press("Enter")
    idle(page)
    button(page, "Merge").click()
    expect(by_key(page, "deed")).to_contain_text(
        say("deed", what=say("change_merge", label="an insect", name="class 02"))
    )
    expect(button(page, say("start"))).to_be_enabled()
    assert counts(app, project)["class 02"] == 5


def test_a_class_is_moved_and_colored_where_it_is_listed(page: Page, app: Server, project: str) -> None:
    page.goto(f"{app.url}/data?project={project}")
    menu(page, "an insect", say("class_down"))
    expect(page.locator("[class*='st-key-class-menu']").first).to_contain_text("class 00")
    assert list(counts(app, project))[:3] == ["class 00", "an insect", "class 01"]
    menu(page, "an insect", say("class_color"))
    button(page, say("color_orange")).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert classes.colors(app.store, project) == {"an insect": 1}
    bar = page.locator("[class*='st-key-class-row-']").filter(has_text="an insect").locator("[role=progressbar]")
    expect(bar.locator("> div > div")).to_have_css("background-color", "rgb(213, 94, 0)")
