"""Programs and many pictures, from the Demo page: a key that works as its example says, and a table of answers."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.demos import api_keys, published
from core.demos.published import Appearance, Demo
from core.language.catalog import say
from tests import browser, drawing
from tests.bad_files import encoded
from tests.browser import Server, button, by_key
from tests.stories.test_access import faults
from tests.texts import shown

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run, which is published."""
    home = tmp_path_factory.mktemp("api") / "home"
    with browser.server(shutil.copytree(trained, home), browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def test_a_key_is_made_used_and_revoked_and_many_pictures_become_a_table(
    page: Page, app: Server, tmp_path: Path
) -> None:
    (project,) = app.store.projects()
    demo = published.publish(app.store, app.store.runs(project.id)[0], Appearance("Shapes"))
    page.goto(f"{app.url}/demo?project={project.id}")
    browser.await_answer(page)
    _make_a_key(page, app, demo, tmp_path)
    _try_it(page, app, demo, tmp_path)
    page.goto(f"{app.url}/demo?project={project.id}")
    browser.await_answer(page)
    (key,) = api_keys.of_demo(app.store, demo)
    by_key(page, f"danger-api-{key.id}").get_by_role("button").click()
    expect(page.get_by_text(shown("api_revoke_more", name="a robot"))).to_be_visible()
    by_key(page, "danger-api-revoke-yes").get_by_role("button").click()
    expect(page.get_by_text("a robot")).to_have_count(0)
    assert api_keys.of_demo(app.store, demo)[0].revoked_at is not None
    _ask_about_many(page, tmp_path)


def _make_a_key(page: Page, app: Server, demo: Demo, folder: Path) -> None:
    by_key(page, f"api-make-{demo.id}").get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    browser.write(dialog.get_by_label(say("api_name"), exact=True), "a robot")
    dialog.get_by_role("button", name=say("api_make")).click()
    expect(dialog.get_by_text(say("api_once"))).to_be_visible()
    assert not faults(page, "key")
    secret, _, script = dialog.locator("pre code").all_inner_texts()
    assert api_keys.find(app.store, demo, secret.strip()) is not None
    (folder / "picture.jpg").write_bytes(encoded(drawing.draw("circle", 78, side=160), "JPEG"))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, check=True)
    assert "'label': 'circle'" in done.stdout
    (folder / "secret").write_text(secret.strip())
    page.keyboard.press("Escape")
    expect(page.get_by_text(secret.strip())).to_have_count(0)


def _try_it(page: Page, app: Server, demo: Demo, folder: Path) -> None:
    page.goto(f"{app.url}/api/v1/docs#{demo.token}")
    expect(page.get_by_label(say("trial.token"))).to_have_value(demo.token)
    browser.write(page.get_by_label(say("trial.key")), (folder / "secret").read_text())
    page.get_by_label(say("trial.files")).set_input_files(folder / "picture.jpg")
    page.get_by_label(say("trial.heatmap"), exact=True).check()
    page.get_by_role("button", name=say("trial.send")).click()
    expect(page.get_by_text("HTTP 200")).to_be_visible()
    assert json.loads(page.locator("#told").inner_text())["predictions"][0]["label"] == "circle"
    expect(page.get_by_alt_text(say("trial.heatmap_alt"))).to_be_visible()
    assert not faults(page, "trial")


def _ask_about_many(page: Page, folder: Path) -> None:
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for n, label in enumerate(("circle", "square", "triangle")):
            archive.writestr(f"{label}.png", encoded(drawing.draw(label, 60 + n, side=160), "PNG"))
        archive.writestr("words.png", b"words")
    page.locator(".pick-files").set_input_files(folder / "many.zip")
    expect(page.get_by_text(say("many_kept"))).to_be_visible(timeout=60_000)
    with page.expect_download() as begun:
        button(page, say("many_csv")).or_(page.get_by_role("link", name=say("many_csv"))).first.click()
    rows = list(csv.DictReader(io.StringIO(Path(begun.value.path()).read_text())))
    assert [row["file"] for row in rows] == ["circle.png", "square.png", "triangle.png", "words.png"]
    assert rows[3]["verdict"] == "unreadable" and rows[3]["reason"] == say("error.file_not_picture")
    assert not faults(page, "many")
