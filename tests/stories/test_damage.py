"""What is damaged is mended where the page says so, in Chromium."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.language.catalog import say
from core.plan import PRESETS
from core.runs import requests
from core.store.store import Store
from tests import browser
from tests.pictures.test_damage import damage
from tests.workers import wait

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_damaged_pictures_are_left_out_and_a_damaged_model_is_trained_again_where_that_is_said(
    chromium: Browser, trained: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    lost = next(picture.id for picture in store.dataset(project.id).pictures if picture.part == "train")
    damage(store.pictures.path(lost), "flipped")
    shutil.rmtree(home / "features")
    _, job = requests.train(store, project.id, PRESETS["linear"].with_(epochs=2))
    assert job is not None and wait(store, job).state == "failed"
    with browser.server(home, browser.free_port()) as server, browser.tab(chromium, server.url) as page:
        page.goto(f"{server.url}/train?project={project.id}")
        browser.button(page, say("train_without")).click()
        see = browser.button(page, say("see_results"))
        see.wait_for(timeout=browser.TRAIN_S * 1000)
        assert len(store.dataset(project.id).pictures) == 35
        newest = store.runs(project.id)[0]
        damage(store.folder(newest.id) / "model.tflite", "flipped")
        page.goto(f"{server.url}/demo?project={project.id}")
        expect(page.get_by_text("Files of this model are damaged: model.tflite.")).to_be_visible()
        browser.button(page, say("train_again")).click()
        page.wait_for_url("**/train?**")
        see.wait_for(timeout=browser.TRAIN_S * 1000)
        browser.step(page, "Demo")
        browser.await_answer(page)
        assert store.is_whole(newest.id)
    browser.stop_workers(home)
