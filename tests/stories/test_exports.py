"""The table of formats: an export is made, compared and taken away; what is missing or failed says why."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.exports import formats, made
from core.exports.formats import FORMATS
from core.language.catalog import say
from core.store.store import Store
from tests import browser
from tests.browser import Server, by_key, idle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(trained, home)
    with browser.server(home, browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def test_an_export_is_made_compared_and_taken_away(chromium: Browser, server: Server, tmp_path: Path) -> None:
    store = server.store
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    with browser.tab(chromium, server.url) as page:
        page.goto(f"{server.url}/export?project={project.id}")
        idle(page)
        for each in FORMATS:
            row = by_key(page, f"format-{each.key}")
            expect(row).to_contain_text(say(f"format.{each.key}"))
            expect(row).to_contain_text(say("format_make") if each.is_installed else each.install)
        row = by_key(page, "format-litert")
        row.get_by_role("button").click()
        expect(row).to_contain_text(say("cancel"), timeout=60_000)
        expect(row).to_contain_text(say("format_same", same=6, n=6), timeout=120_000)
        idle(page)
        with page.expect_download() as coming:
            row.get_by_role("link").click()
        facts = made.read(store, run.id, formats.find("litert"))
        assert facts is not None and coming.value.suggested_filename == "model.tflite"
        assert hashlib.sha256(coming.value.path().read_bytes()).hexdigest() == facts.sha256
        with page.expect_download() as coming:
            page.get_by_role("link", name=say("formats_zip")).click()
        assert zipfile.ZipFile(coming.value.path()).namelist() == ["model.tflite", "exports.csv"]
        _refuse(store, run.id)
        row = by_key(page, "format-keras")
        row.get_by_role("button").click()
        expect(row).to_contain_text("0.001", timeout=120_000)  # the limit that it exceeds
        expect(row).to_contain_text(say("format_make"))
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 844})
            idle(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        answer = page.request.get(f"{server.url}/api/export/{run.id}/keras")
        assert answer.status == 404
        assert page.request.get(f"{server.url}/api/export/{run.id}/none").status == 404


def _refuse(store: Store, run_id: str) -> None:
    """Change what was measured of the model: no export agrees with it any more."""
    path = store.folder(run_id) / "evaluation-test.json"
    scores = json.loads(path.read_bytes())
    scores["probabilities"] = [[1 / 3, 1 / 3, 1 / 3] for _ in scores["probabilities"]]
    path.write_text(json.dumps(scores))
