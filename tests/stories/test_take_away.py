"""A project leaves as one file and comes back as another project; its report is one file too, in Chromium."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.language.catalog import say
from core.store.store import Store
from tests import browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_project_is_taken_away_and_opened_again_and_its_report_is_read(
    chromium: Browser, trained: Path, tmp_path: Path
) -> None:
    home = Path(shutil.copytree(trained, tmp_path / "home"))
    store = Store(home)
    (first,) = store.projects()
    with browser.server(home, browser.free_port()) as server, browser.tab(chromium, server.url) as page:
        page.goto(server.url)
        with page.expect_download() as download:
            page.get_by_role("link", name=say("take_away")).click()
        archive = tmp_path / download.value.suggested_filename
        download.value.save_as(archive)
        assert re.fullmatch(rf"{first.name}-\d{{8}}-\d{{4}}\.headstart\.zip", archive.name)

        broken = tmp_path / "broken.headstart.zip"
        broken.write_bytes(archive.read_bytes()[:-100])
        for path in (broken, archive):
            browser.button(page, say("archive_open")).click()
            page.locator(".archive .file").set_input_files(path)
            expect(page.get_by_role("dialog")).to_be_hidden(timeout=60_000)
        # Only the card of a project that is whole has this.
        expect(page.get_by_role("link", name=say("take_away"))).to_have_count(2, timeout=60_000)
        second, failed, _ = store.projects()
        expect(page.get_by_text("broken.headstart.zip")).to_be_visible()  # with what is wrong with it
        assert store.dataset(second.id) == store.dataset(first.id) and not store.dataset(failed.id).pictures

        page.goto(f"{server.url}/results?project={second.id}")
        with page.expect_download() as download:
            browser.by_key(page, "report").get_by_role("button").click()
        report = tmp_path / download.value.suggested_filename
        download.value.save_as(report)
        assert report.name == "report.html"
        asked: list[str] = []
        reader = page.context.new_page()
        reader.set_viewport_size({"width": 390, "height": 844})
        reader.on("request", lambda request: asked.append(request.url))
        reader.goto(report.as_uri())
        expect(reader.get_by_role("heading", level=1)).to_contain_text(first.name)
        assert reader.evaluate("document.documentElement.scrollWidth") <= 390
        assert all(url.startswith(("file:", "data:")) for url in asked)
        assert reader.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    browser.stop_workers(home)
