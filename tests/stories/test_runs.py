import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.language.catalog import say
from core.store.store import Store
from tests import browser
from tests.browser import button, by_key, idle, step
from tests.pages.test_run_list import second

pytestmark = pytest.mark.browser


def test_runs_are_named_starred_compared_and_deleted_up_to_the_last(
    chromium: Browser, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    project = store.projects()[0]
    old = store.runs(project.id)[0]
    new = second(store, old, 4, hidden_units=64)
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/results?project={project.id}")
        expect(page.get_by_text(re.compile("Right on 2 of 6 pictures"))).to_be_visible()
        idle(page)
        button(page, say("describe")).click()
        browser.write(page.get_by_label(say("run_label"), exact=True), "Small <b>head</b>")
        page.keyboard.press("Enter")
        browser.write(page.get_by_label(say("run_note"), exact=True), "Too few pictures")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("Too few pictures").last).to_be_visible()
        page.keyboard.press("Escape")
        idle(page)
        button(page, "Star").click()
        expect(button(page, "Starred")).to_be_visible()
        kept = store.run(new.id)
        assert (kept.name, kept.note, kept.starred) == ("Small <b>head</b>", "Too few pictures", True)

        page.get_by_role("tab", name=say("runs"), exact=True).click()
        n = round(old.outcome.test_accuracy * 6) - 2
        expect(page.get_by_text(re.compile(f"Right only with .*: {n}$")).first).to_be_visible()
        expect(page.get_by_role("row", name=re.compile(say("neurons")))).to_contain_text("64")
        pictures = page.locator("[class*='st-key-only-'] .cell")
        expect(pictures).to_have_count(n)

        step(page, "Export")
        expect(page.get_by_role("button", name="Download train.zip")).to_be_visible()
        with page.expect_download() as coming:
            by_key(page, "file-run.yaml").get_by_role("button", name=say("download_file")).click()
        assert "hidden_units: 64" in Path(coming.value.path()).read_text()

        step(page, "Results")
        button(page, "Delete").click()
        expect(page.get_by_text(say("delete_run_title"))).to_be_visible()
        button(page, say("delete_run_yes")).click()
        expect(page.get_by_label(say("compare_runs"))).to_have_count(0)
        expect(page.get_by_text(say("delete_run_title"))).to_have_count(0)
        assert [run.id for run in store.runs(project.id)] == [old.id]
        assert not store.folder(new.id).exists() and store.folder(old.id).is_dir()

        idle(page)
        button(page, "Delete").click()
        button(page, say("delete_run_yes")).click()
        expect(page.get_by_text(say("results_empty"))).to_be_visible()
        assert not store.runs(project.id)


def test_under_another_filter_of_as_many_mistakes_other_pictures_are_shown_and_chosen(
    chromium: Browser, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    project = store.projects()[0]
    run = second(store, store.runs(project.id)[0], 6, hidden_units=64)  # wrong on both test pictures of each class
    ids = {p.id: p.label for p in store.dataset(project.id).part("test").pictures}
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/results?project={project.id}")
        expect(page.get_by_text(re.compile("Right on 0 of 6 pictures"))).to_be_visible()
        cells = page.locator("[class*='st-key-sorter-'] .cell")
        button(page, "Filter").click()
        for label in ("circle", "square"):
            box = by_key(page, f"cell-{run.id}-test-class").get_by_role("combobox")
            browser.write(box, label)
            page.keyboard.press("Enter")
            idle(page)
            expect(cells).to_have_count(2)
            expect(cells.locator(".text span").first).to_have_text(label)
        page.keyboard.press("Escape")
        cells.first.click()
        page.locator("[class*='st-key-sorter-']").get_by_role("button", name=say("class_out")).click()
        expect(cells).to_have_count(1)
        left = {p.id for p in store.dataset(project.id).part("test").pictures}
        assert [ids[key] for key in ids.keys() - left] == ["square"]
