"""The loop in a real browser: a wrong label is found through the matrix, mended, retrained and brought back."""

import re

import pytest
from playwright.sync_api import Browser, expect

from core import album, jobs, runs
from core.plan import Plan
from core.store import Store
from tests import browser
from tests.browser import button, by_key, idle
from tests.conftest import wait

pytestmark = pytest.mark.browser


@pytest.fixture
def planted(store: Store, shapes) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """A trained project and the id of a circle of its test part that is called a square."""
    project = store.add_project("Mending").id
    wait(store, jobs.start(store, project, "intake", {"path": str(shapes), "batch": "b"}))
    for picture in store.dataset(project).part("test").pictures:
        if picture.label != "circle":
            continue
        album.relabel(store, project, [picture.id], "square")
        album.move(store, project, [picture.id], "test")
        _, job = jobs.train(store, project, Plan(epochs=20))
        assert job is not None and wait(store, job).state == "succeeded"
        return project, picture.id
    raise AssertionError("no circle is tested on")


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
        page.get_by_role("button", name=re.compile("1 of the . pictures of square were taken for circle")).click()
        expect(page.get_by_text("square taken for circle: 1")).to_be_visible()
        idle(page)
        sorter = page.locator("[class*='st-key-sorter-']")
        expect(sorter.locator(".cell")).to_have_count(1)
        cell = sorter.locator(".cell").first
        assert f"/api/thumbnail/{picture}" in (cell.locator("img").get_attribute("src") or "")
        cell.click()
        sorter.get_by_label("Class, also a new one").fill("circle")
        sorter.get_by_role("button", name="Move to class").click()
        expect(page.get_by_text("Since this model was trained: 1 relabelled")).to_be_visible()
        assert label(store, project, picture) == "circle"
        idle(page)

        button(page, "Retrain").click()
        outcome = page.get_by_text(re.compile("both models against the labels as they are now"))
        expect(outcome).to_be_visible()
        before = f"{100 * right / n:.0f}"
        after = int(re.findall(r"→ (\d+)", outcome.inner_text())[0])
        assert f"Measured when the first was trained: {before}" in outcome.inner_text().replace("\u00a0", " ")
        assert after > int(before)
        expect(page.get_by_text("The new model is saved.")).to_be_visible(timeout=browser.TRAIN_S * 1000)
        new = store.runs(project)[0]
        assert new.fingerprint == store.dataset(project).fingerprint
        assert round(100 * new.result["test_accuracy"]) == after  # what came at once is what the training found
        with browser.tab(chromium, app.url) as other:
            other.goto(page.url)
            expect(by_key(other, "mending")).to_contain_text(f"Measured when the first was trained: {before}\u00a0%")

        runs.delete(store, next(run for run in store.runs(project) if run.id != new.id))  # in another tab, say
        page.get_by_text("% of row").first.click()
        expect(by_key(page, "mending")).to_have_count(0)
        expect(page.get_by_role("tab", name="Per class")).to_be_visible()

        idle(page)
        sorter.get_by_role("button", name="Undo: 1 to class circle").click()
        expect(by_key(page, "mending")).to_contain_text("1 relabelled")
        assert label(store, project, picture) == "square"
