"""Names in a real browser: shown as they are, nowhere a link, and nothing that a spreadsheet would compute."""

import csv
import io
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.language.catalog import say
from core.store.store import Store
from tests import browser, drawing, names
from tests.browser import button, idle

pytestmark = pytest.mark.browser

_MARKED = "a, strong, em, del, code, img, sub, sup, ul, ol, hr, blockquote, pre, .katex, [role=img]"


def read(places: Locator) -> list[str]:
    """What stands there, without the marks around a name that runs the other way."""
    return [re.sub("[\u2068\u2069]", "", text).strip() for text in places.all_text_contents()]


def download(page: Page) -> list[list[str]]:
    """The cells of the first table on the page, as it offers to download them."""
    table = page.get_by_test_id("stDataFrame").first
    table.evaluate("table => table.scrollIntoView({block: 'center'})")  # its buttons out of the way of the tabs on top
    table.hover()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download as CSV").first.click()
    text = Path(coming.value.path()).read_text(encoding="utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def test_every_name_is_shown_as_it_is_and_no_address_in_one_becomes_a_link_and_no_table_holds_a_formula(
    chromium: Browser, trained: Path, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(trained, tmp_path / "home"))
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    store.describe_run(run.id, note="\n".join(names.KEPT))
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.add_init_script("delete window.showSaveFilePicker")  # a window of the system, which nobody could press
        page.goto(f"{app.url}/results?project={project.id}")
        note = page.get_by_test_id("stMarkdownContainer").filter(has_text="Tomato___Late_blight")
        expect(note).to_have_count(1)
        idle(page)
        (shown,) = read(note)
        assert shown.removeprefix("sticky_note_2 ").split("\n") == list(names.KEPT)
        marked = note.locator(_MARKED)
        assert [each.text_content() for each in marked.all()] == ["sticky_note_2"]  # our own icon

        store.describe_run(run.id, name='=HYPERLINK("http://evil.example")', note="+1+cmd")
        page.reload()
        page.get_by_role("tab", name=say("runs"), exact=True).click()
        idle(page)
        (_, row) = download(page)
        assert '\u2060=HYPERLINK("http://evil.example")' in row and "\u2060+1+cmd" in row
        assert not [cell for cell in row if cell.startswith(("=", "+", "@", "-", " ", "\t", "\r"))]


# -- a ZIP of the worst, all the way and back

SENT = (
    "Tomato___Late_blight", names.FAMILY, "\u05d1\u05d9\u05ea (1)", "=1+1", "**b** $x$ :smile:", "x www.evil.example",
    "2024-01-01",
)  # fmt: skip
TABS = tuple(map(say, ("per_class", "confidence", "threshold_tab", "look_tab", "curves", "map", "fit", "runs")))


def packed(path: Path) -> Path:
    """Four pictures of each class; no class can be told from the others, so that there are mistakes."""
    with zipfile.ZipFile(path, "w") as archive:
        for n in range(4 * len(SENT)):
            out = io.BytesIO()
            drawing.draw("circle", n).save(out, "PNG")
            archive.writestr(f"{SENT[n // 4]}/{n % 4}.png", out.getvalue())
    return path


def new_project(page: Page, url: str, name: str, path: Path) -> str:
    """A project of a name with a ZIP, once all of that is used."""
    page.goto(url)
    button(page, say("new_project")).click()
    browser.write(page.get_by_label(say("project_name")), name)
    page.keyboard.press("Enter")
    key = browser.project_id(page)
    page.locator("input.pick-files").set_input_files(path)
    expect(page.get_by_text(f"All {4 * len(SENT)} files are used")).to_be_visible(timeout=browser.TRAIN_S * 1000)
    idle(page)
    return key


def nothing_read(page: Page) -> None:
    """No name became a link, a formula or a face."""
    idle(page)
    assert page.locator("a[href*=evil], .katex, [data-testid=stTable] li").count() == 0
    assert page.locator("[data-testid=stMarkdownContainer] strong", has_text=re.compile("^b$")).count() == 0
    assert "\U0001f604" not in page.locator("body").inner_text()


def test_a_zip_of_the_worst_names_goes_through_every_page_and_tab_and_comes_back(
    chromium: Browser, store: Store, tmp_path: Path
) -> None:
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        key = new_project(page, app.url, "__ **b** www.evil.example", packed(tmp_path / "worst.zip"))
        classes = page.locator("[class*='st-key-class-menu-'] [data-testid=stMarkdownContainer]")
        assert {text.removesuffix(" \u00b7 4") for text in read(classes)} == set(SENT)
        nothing_read(page)

        browser.step(page, "Train")
        browser.choose_fast(page)
        nothing_read(page)
        button(page, say("start")).click()
        browser.await_results(page)
        nothing_read(page)
        _mistakes(page)
        _tabs(page)

        browser.step(page, "Demo")
        for wide in (False, True):
            if wide:
                page.get_by_role("link", name=say("present")).click()
                page.wait_for_url(re.compile("/present"))
            browser.await_answer(page)
            shown = read(page.get_by_test_id("stProgress"))
            assert len(shown) == 5 and {text.rpartition(" \u00b7 ")[0] for text in shown} <= set(SENT)
            nothing_read(page)
        expect(page.get_by_role("heading", name="__ **b** www.evil.example", exact=True)).to_be_visible()
        page.get_by_role("link", name=say("present_leave")).click()
        browser.step(page, "Export")
        expect(page.get_by_text("train.zip").first).to_be_visible()
        nothing_read(page)

        browser.step(page, "Data")
        with page.expect_download() as coming:
            page.get_by_role("link", name=say("take_out")).click()
        coming.value.save_as(tmp_path / "back.zip")
        back = new_project(page, app.url, "Back", tmp_path / "back.zip")
        assert store.dataset(back).classes == tuple(sorted(SENT)) == store.dataset(key).classes
        assert store.dataset(back).fingerprint == store.dataset(key).fingerprint
    browser.stop_workers(store.home)


def _mistakes(page: Page) -> None:
    """The ticks of the matrix, the classes that are confused, a picture enlarged and explained."""
    short = {name if len(name) <= 18 else f"{name[:17]}\u2026" for name in SENT}
    assert set(read(page.locator(".ytick text"))) == short
    pair = page.locator("[class*='-pair-'] button").filter(has_text="taken for").first
    (text,) = read(pair)
    sentence = re.fullmatch(r".* pictures? of (.+) (?:was|were) taken for (.+?)\.?", text)
    assert sentence, text
    truth, said = sentence.groups()
    assert {truth, said} <= set(SENT)
    pair.click()
    expect(
        page.get_by_text(
            re.compile(rf"^\u2068?{re.escape(truth)}\u2069? taken for \u2068?{re.escape(said)}\u2069?: \d+$")
        )
    ).to_be_visible()
    idle(page)
    cell = page.locator("[class*='st-key-sorter-'] .cell").first
    assert truth in (cell.text_content() or "")
    cell.press("w")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(re.compile(rf"The model says \u2068?{re.escape(said)}"))).to_be_visible(timeout=60_000)
    idle(page)
    assert {text.rpartition(" \u00b7 ")[0] for text in dialog.get_by_test_id("stProgress").all_text_contents()} <= {
        *SENT
    }
    nothing_read(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def _tabs(page: Page) -> None:
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        if tab == say("threshold_tab"):
            box = page.get_by_label(say("threshold_own"))
            for name in SENT:
                box.click()
                page.keyboard.type(name[:4] if name != names.FAMILY else name)
                page.get_by_role("option", name=name, exact=True).click()
                idle(page)
            page.keyboard.press("Tab")  # the list hides what is beside it as long as it is open
            assert set(read(page.locator("[class*='st-key-limit-'] label"))) == set(SENT)
            cells = read(page.get_by_test_id("stTable").first.locator("td"))
            assert {f"{part}: {name}" for name in SENT for part in ("val", "test")} <= set(cells)
        if tab == say("look_tab"):
            page.get_by_role("button", name=re.compile(r"^Look at \d+ pictures")).click()
            expect(page.get_by_alt_text(re.compile("Where the model looks for"))).to_have_count(
                len(SENT), timeout=60_000
            )
            idle(page)
            assert set(SENT) <= set(read(page.get_by_role("tabpanel").locator("strong")))
        nothing_read(page)
