"""A model of one's own is brought, trained on and tried, in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.language.catalog import say
from tests import browser
from tests.browser import TRAIN_S, Server, button, by_key, idle, step, write
from tests.conftest import once
from tests.texts import pattern

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run, whose Keras cache is empty."""
    home = tmp_path_factory.mktemp("bring") / "home"
    shutil.copytree(trained, home)
    with browser.server(home, browser.free_port(), home / "keras") as started:
        yield started
    browser.stop_workers(home)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small network with random weights."""

    def build(folder: Path) -> None:
        from tests.neural import small_models

        folder.mkdir()
        small_models.classifier(64).save(folder / "mine.keras")

    return once(tmp_path_factory, "brought", build) / "mine.keras"


def test_a_model_of_ones_own_is_brought_trained_on_and_tried(page: Page, app: Server, given: Path) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/train?project={project.id}")
    button(page, say("backbone_change")).click()
    page.get_by_text(say("own_model"), exact=True).click()
    for key, text in (("own_model_name", "Shapes"), ("license", "mine alone")):
        write(page.get_by_role("textbox", name=say(key), exact=True), text)
        page.keyboard.press("Tab")
        idle(page)
    by_key(page, "weights-own-model").locator("input.file").set_input_files(given)
    expect(page.get_by_text(say("note.own_cut"))).to_be_visible(timeout=TRAIN_S * 1000)
    row = page.locator("[class*='st-key-own-Shapes-']")
    expect(row.get_by_text("License: mine alone.")).to_be_visible()
    row.get_by_role("button", name=pattern("use")).click()
    idle(page)
    page.keyboard.press("Escape")
    button(page, say("start")).or_(button(page, say("train_again"))).click()
    expect(page.get_by_text(pattern("done_score"))).to_contain_text("Shapes-", timeout=TRAIN_S * 1000)
    step(page, "Demo")
    browser.await_answer(page)
    page.get_by_text(say("demo_why"), exact=True).click()
    expect(page.get_by_alt_text(pattern("why_hot"))).to_be_visible()
    step(page, "Export")
    expect(page.get_by_text("mine alone").first).to_be_visible()
