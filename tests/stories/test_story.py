import hashlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.jobs.kinds import FIT, MORE
from core.language.catalog import say
from core.pictures import album, counts
from core.plan import suggest
from core.runs import questions
from pages.parts.frame.words import points, points_n
from tests import browser, drawing
from tests.browser import Server, button, by_key, idle, step
from tests.texts import shown

pytestmark = pytest.mark.browser


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Server]:
    """A server that has just been started, on an empty home."""
    home = tmp_path / "server-home"
    with browser.server(home, browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def test_the_sample_leads_from_the_first_look_over_both_questions_to_a_checked_model(page: Page, app: Server) -> None:
    key = browser.try_sample(page, app.url)
    unused = page.get_by_text(say("not_used", n=4, files=say("files_n", n=308)))
    unused.click()
    expect(page.locator("td", has_text="stop-interrupted.jpg")).to_be_attached()

    step(page, "Train")
    browser.choose_fast(page)
    _ask_both_questions(page, app, key)
    browser.choose_fast(page)
    page.get_by_text(say("all_settings"), exact=True).click()
    _preview_copies(page)
    page.get_by_role("tab", name=say("group_tune")).click()
    browser.slide(page, "fine_tune_blocks", "ArrowRight")
    browser.slide(page, "fine_tune_epochs", "ArrowLeft", "ArrowLeft")
    expect(page.get_by_text("then the last of its 5 blocks is fine-tuned")).to_be_visible()
    button(page, say("start")).click()
    expect(button(page, "Cancel")).to_be_visible()
    page.reload()
    expect(button(page, "Cancel")).to_be_visible()
    browser.await_results(page)
    run = app.store.runs(key)[0]
    assert (run.plan["fine_tune_blocks"], run.plan["fine_tune_epochs"]) == (1, 3)
    assert run.outcome.test_accuracy > 0.85

    _see_a_cell(page)
    step(page, "Demo")
    _ask_about_an_example(page)
    page.get_by_role("link", name=say("present")).click()
    page.wait_for_url(re.compile("/present"))
    browser.await_answer(page)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    picture, title = page.get_by_test_id("stImageContainer").locator("img").first, page.get_by_role("heading").first
    left = "shown => shown.getBoundingClientRect().left"
    assert picture.evaluate(left) == title.evaluate(left)  # flush, as on Demo
    page.get_by_role("link", name=say("present_leave")).click()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    step(page, "Export")
    _take_the_model(page, app, key)


def _ask_both_questions(page: Page, app: Server, key: str) -> None:
    """Whether the backbone fits and whether more pictures help is answered before any training, and stays answered."""
    button(page, say("fit_ask", backbone="Starter")).click()
    expect(page.get_by_text(say("answer_running"))).to_be_visible()
    expect(page.get_by_text(shown("fit_clear", backbone="Starter"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
    expect(by_key(page, "fit-chart").locator(".bars .point")).to_have_count(3)
    page.get_by_role("tab", name=say("more")).click()
    button(page, say("more_ask")).click()
    expect(by_key(page, "more-chart")).to_be_visible(timeout=browser.TRAIN_S * 1000)
    plan = suggest("fast", counts.of(app.store, key).learned)
    now = app.store.dataset(key).fingerprint
    told = {kind.name: questions.answer(app.store, key, kind, plan, now) for kind in (FIT, MORE)}
    assert told["fit"] is not None and told["fit"].fit.verdict == "clear"
    assert told["more"] is not None and told["more"].growth.n_train > 200
    growth = told["more"].growth
    numbers = {"gain": points_n(growth.gain), "low": points(growth.low), "high": points(growth.high)}
    expect(page.get_by_text(shown(f"more_{growth.verdict}", n=growth.n_val, **numbers))).to_be_visible()
    page.reload()
    idle(page)
    expect(page.get_by_text(shown("fit_clear", backbone="Starter"))).to_be_attached()


def _preview_copies(page: Page) -> None:
    """Altered copies of own pictures are shown as soon as some are asked for, and gone when none are."""
    page.get_by_role("tab", name=say("group_augment")).click()
    last, row = (page.get_by_role("tab", name=say("group_advanced")), page.get_by_role("tablist").first)
    assert last.evaluate("tab => tab.getBoundingClientRect().right") <= row.evaluate(
        "row => row.getBoundingClientRect().right"
    )  # the last tab is not cut off
    strips = page.get_by_role("tabpanel").get_by_test_id("stImage").locator("img:visible")
    browser.slide(page, "-augment", "ArrowRight")
    expect(strips).to_have_count(3)
    browser.slide(page, "-augment", "ArrowLeft")
    expect(strips).to_have_count(0)


def _see_a_cell(page: Page) -> None:
    """A click on the first cell of the diagonal shows the pictures of that class that were recognized."""
    plot = page.get_by_test_id("stPlotlyChart").locator(".nsewdrag").first
    plot.scroll_into_view_if_needed()
    idle(page)
    box = plot.bounding_box()
    assert box is not None
    side_x, side_y = box["width"] / 5, box["height"] / 5
    page.mouse.click(box["x"] + side_x / 2, box["y"] + side_y / 2)
    text = page.get_by_text(re.compile(r"^.+, recognized: \d+$"))  # which class is first depends on what is confused
    expect(text).to_be_visible()
    label, n = text.inner_text().split(", recognized: ")
    cells = page.locator("[class*='st-key-sorter-'] .cell")
    expect(cells).to_have_count(int(n))
    assert all(label in text for text in cells.all_inner_texts())


def _ask_about_an_example(page: Page) -> None:
    browser.await_answer(page)
    example = by_key(page, "examples").locator("button.cell").nth(2)
    shows = str(example.locator("img").get_attribute("title"))
    expect(example).to_have_accessible_name(f"{shows}, picture 3 of 12")
    example.click()
    expect(page.get_by_text(f"Shows: {shows}")).to_be_visible()
    browser.await_answer(page)
    expect(example).to_be_focused()
    labels = page.get_by_test_id("stProgress").all_inner_texts()
    assert len(labels) == 5 and all("%" in label for label in labels)


def _take_the_model(page: Page, app: Server, key: str) -> None:
    with page.expect_download() as coming:
        by_key(page, "file-model.keras").get_by_role("link", name=say("download_file")).click()
    assert coming.value.suggested_filename == "model.keras"
    got = hashlib.sha256(Path(coming.value.path()).read_bytes()).hexdigest()
    assert got == app.store.artifacts(app.store.runs(key)[0].id)["model.keras"]


def test_an_own_zip_is_taken_in_sorted_and_divided(page: Page, app: Server, tmp_path: Path) -> None:
    folder = drawing.folders(tmp_path / "own")
    whole = (folder / "circle" / "000.png").read_bytes()
    (folder / "square" / "broken.png").write_bytes(whole[: len(whole) // 3])
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for file in sorted(folder.rglob("*.png")):
            zipped.write(file, file.relative_to(folder).as_posix())

    page.goto(app.url)
    button(page, say("new_project")).click()
    browser.write(page.get_by_label(say("project_name")), "Own shapes")
    page.keyboard.press("Enter")
    key = browser.project_id(page)
    page.locator("input.pick-files").set_input_files(path)

    unused = page.get_by_text(say("not_used", n=1, files=say("files_n", n=37)))
    expect(unused).to_be_visible(timeout=30_000)
    for label in ("circle", "square", "triangle"):
        expect(page.get_by_text(f"{label} \u00b7 12")).to_be_visible()
    unused.click()
    expect(page.locator("td", has_text="square/broken.png")).to_be_attached()

    _exclude(page)
    found = {row.label: row.n for row in album.classes(app.store, key)}
    assert found == {"circle": 11, "square": 12, "triangle": 12}
    _divide_anew(page, app, key)


def _exclude(page: Page) -> None:
    cells = page.locator("[class*='st-key-gallery-'] .cell")
    expect(cells).to_have_count(36)
    cells.first.click()
    expect(page.get_by_text("1 selected")).to_be_visible()
    button(page, say("class_out")).click()
    expect(page.get_by_text("circle \u00b7 11")).to_be_visible()
    expect(cells).to_have_count(35)
    idle(page)


def _divide_anew(page: Page, app: Server, key: str) -> None:
    before = sum(row.parts["test"] for row in album.classes(app.store, key))
    expect(page.get_by_text(re.compile(rf"test {before} \("))).to_be_visible()
    knob = page.get_by_test_id("stSlider").get_by_role("slider").first
    for _ in range(8):
        knob.press("ArrowRight")
    # The slider sends its value a moment after the last key, so the page may be idle before it has heard.
    expect(page.get_by_text(re.compile(rf"test (?!{before} )\d+ \("))).to_be_visible()
    idle(page)
    rows = album.classes(app.store, key)
    after = sum(row.parts["test"] for row in rows)
    assert after > before and sum(row.n for row in rows) == 35
    expect(page.get_by_text(re.compile(rf"test {after} \("))).to_be_visible()


def test_a_deep_link_is_the_first_request_a_cold_server_can_answer(chromium: Browser, app: Server) -> None:
    found = app.store.add_project("Deep")
    with browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/train?project={found.id}")
        for name in ("Data", "Train", "Results", "Demo", "Export"):
            expect(by_key(page, "way").get_by_role("link", name=name)).to_be_visible()
        expect(page.get_by_text(say("train_locked"))).to_be_visible()
        expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)
