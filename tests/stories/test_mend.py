"""The loop in a real browser: a wrong label is found through the matrix, mended, retrained and brought back."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.language.catalog import say
from core.pictures import album
from core.plan import Plan
from core.runs import finished_runs, requests
from core.store.store import Store
from tests import browser, workers
from tests.browser import button, by_key, idle
from tests.conftest import home_once
from tests.texts import pattern, shown
from tests.workers import wait

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def planted_once(tmp_path_factory: pytest.TempPathFactory, received: Path) -> Path:
    """A home with a run that was tested on a circle which is called a square. Read only."""

    def build(home: Path) -> None:
        store = Store(shutil.copytree(received, home))
        (project,) = store.projects()
        tested = store.dataset(project.id).part("test").pictures
        circle = next(picture.id for picture in tested if picture.label == "circle")
        album.relabel(store, project.id, [circle], "square")
        album.move(store, project.id, [circle], "test")
        with workers.no_processes():
            _, job = requests.train(store, project.id, Plan(epochs=20))
            assert job is not None and wait(store, job).state == "succeeded"

    return home_once(tmp_path_factory, "planted", build)


@pytest.fixture
def store(tmp_path: Path, planted_once: Path) -> Store:
    return Store(shutil.copytree(planted_once, tmp_path / "home"))


@pytest.fixture
def planted(store: Store, received: Path) -> tuple[str, str]:
    """A trained project and the id of a circle of its test part that is called a square."""
    (project,) = store.projects()
    labels = {picture.id: picture.label for picture in Store(received).dataset(project.id).pictures}
    (circle,) = (each.id for each in store.dataset(project.id).pictures if each.label != labels[each.id])
    return project.id, circle


def label(store: Store, project: str, picture: str) -> str:
    return next(p.label for p in store.dataset(project).pictures if p.id == picture)


def test_a_wrong_label_is_found_mended_retrained_and_brought_back(
    chromium: Browser, store: Store, planted: tuple[str, str]
) -> None:
    project, picture = planted
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.goto(f"{app.url}/results?project={project}")
        headline = page.get_by_text(re.compile(r"Right on \d+ of \d+ pictures"))
        expect(headline).to_be_visible()
        right, n = map(int, re.findall(r"\d+", headline.inner_text())[:2])
        assert right < n
        page.get_by_role("button", name=pattern("pair", n=1, truth="square", predicted="circle")).click()
        expect(page.get_by_text(shown("cell", truth="square", predicted="circle", n=1))).to_be_visible()
        idle(page)
        sorter = page.locator("[class*='st-key-sorter-']")
        expect(sorter.locator(".cell")).to_have_count(1)
        cell = sorter.locator(".cell").first
        assert f"/api/thumbnail/{picture}" in (cell.locator("img").get_attribute("src") or "")
        cell.click()
        browser.write(sorter.get_by_label(say("move_to")), "circle")
        sorter.get_by_role("button", name=say("move")).click()
        expect(page.get_by_text(say("mended", what=say("mended_relabeled", n=1)))).to_be_visible()
        assert label(store, project, picture) == "circle"
        idle(page)

        button(page, "Retrain").click()
        outcome = page.get_by_text(pattern("retrained_test"))
        expect(outcome).to_be_visible()
        before = f"{100 * right / n:.0f}"
        after = int(re.findall(r"→ (\d+)", outcome.inner_text())[0])
        assert f"Measured when the first was trained: {before}" in outcome.inner_text().replace("\u00a0", " ")
        assert after > int(before)
        expect(page.get_by_text(say("retrain_saved"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
        new = store.runs(project)[0]
        assert new.fingerprint == store.dataset(project).fingerprint
        assert round(100 * new.outcome.test_accuracy) == after  # what came at once is what the training found
        with browser.tab(chromium, app.url) as other:
            other.goto(page.url)
            expect(by_key(other, "mending")).to_contain_text(f"Measured when the first was trained: {before}\u00a0%")

        finished_runs.delete(store, next(run for run in store.runs(project) if run.id != new.id))  # in another tab, say
        page.get_by_text(say("matrix_row")).first.click()
        expect(by_key(page, "mending")).to_have_count(0)
        expect(page.get_by_role("tab", name=say("per_class"))).to_be_visible()

        idle(page)
        sorter.get_by_role("button", name=say("undo", what=say("change_relabel", n=1, label="circle"))).click()
        expect(by_key(page, "mending")).to_contain_text(say("mended_relabeled", n=1))
        assert label(store, project, picture) == "square"
