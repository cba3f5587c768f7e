"""The map in a real browser: from points with a line around them to mended labels, and back."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.dataset import Dataset
from core.explain import picture_map
from core.language.catalog import say
from core.pictures import album
from core.store.store import Run, Store
from tests import browser
from tests.browser import by_key, idle
from tests.texts import shown
from tests.workers import wait

pytestmark = pytest.mark.browser

_PAD = 22  # px around all points, as the map has it


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """A home with one finished run on three classes of twelve pictures."""
    return Store(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def run(store: Store) -> Run:
    return store.runs(store.projects()[0].id)[0]


def open_map(page: Page, url: str, run: Run) -> Locator:
    """The frame of the map, with all points of the given layout drawn."""
    page.goto(f"{url}/results?project={run.project_id}")
    page.get_by_role("tab", name=say("map")).click()
    expect(page.get_by_text(say("map_lead"))).to_be_visible()
    frame = page.locator(".frame")
    expect(frame).to_have_attribute("data-drawn", re.compile(r"(pca|tsne) \d+"), timeout=60_000)
    return frame


def places(store: Store, run: Run, layout: str, frame: Locator) -> dict[str, tuple[float, float]]:
    """Where each picture of a run is in the window, in px."""
    found = picture_map.read(store, run.id, layout)
    assert found is not None
    low, high = found.min(axis=0), found.max(axis=0)
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    side = min(box["width"], box["height"]) - 2 * _PAD
    middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    at = (found - (low + high) / 2) / (high - low).max() * side + middle
    data = Dataset.from_bytes((store.root(run.id) / "dataset.json").read_bytes())
    return {picture.id: (float(x), float(y)) for picture, (x, y) in zip(data.pictures, at, strict=True)}


def lasso(page: Page, around: list[tuple[float, float]], reach: float = 9) -> None:
    """Draw a box around some places with the mouse, a few px off."""
    xs, ys = zip(*around, strict=True)
    left, right, top, bottom = min(xs) - reach, max(xs) + reach, min(ys) - reach, max(ys) + reach
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 1)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


def label(store: Store, project: str, picture: str) -> str:
    return next(p.label for p in store.dataset(project).pictures if p.id == picture)


def test_pictures_inside_a_line_are_shown_relabeled_and_brought_back(chromium: Browser, store: Store, run: Run) -> None:
    project = run.project_id
    with browser.server(store.home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        frame = open_map(page, app.url, run)
        by_key(page, "map-table").get_by_role("button").click()
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()
        page.keyboard.press("Escape")
        neighborhoods = page.get_by_role("button", name=say("map_tsne"))
        expect(neighborhoods).to_be_visible(timeout=60_000)  # the first map could be used before
        idle(page)
        page.get_by_role("button", name=say("map_pca")).click()
        expect(frame).to_have_attribute("data-drawn", "pca 36")
        page.wait_for_timeout(700)  # the points move there
        at = places(store, run, "pca", frame)
        square = next(p.id for p in store.dataset(project).pictures if p.label == "square")
        page.mouse.move(*at[square])
        tip = page.locator(".tip")
        expect(tip).to_be_visible()
        assert "/api/thumbnail/" in (tip.locator("img").get_attribute("src") or "")

        x, y = at[square]
        inside = [key for key, (px, py) in at.items() if abs(px - x) < 9 and abs(py - y) < 9]
        lasso(page, [(x, y)])
        expect(page.get_by_text(shown("map_chosen", n=len(inside)))).to_be_visible()
        idle(page)
        sorter = by_key(page, f"sorter-map-{run.id}")
        seen = [image.get_attribute("src") or "" for image in sorter.locator(".cell img").all()]
        assert sorted(seen) == sorted(f"/api/thumbnail/{key}" for key in inside)
        for cell in sorter.locator(".cell").all():
            cell.click()
        browser.write(sorter.get_by_label(say("move_to")), "circle")
        sorter.get_by_role("button", name=say("move")).click()
        expect(by_key(page, "mending")).to_contain_text(say("mended_relabeled", n=len(inside)))
        assert {label(store, project, key) for key in inside} == {"circle"}
        legend = page.locator(".legend")
        expect(legend.get_by_role("button", name=f"square ({12 - len(inside)})")).to_be_visible()
        idle(page)
        expect(frame).to_have_attribute("data-drawn", "pca 36")  # where one looked is where one still is
        sorter.get_by_role("button", name=re.compile("^Undo")).click()
        expect(legend.get_by_role("button", name="square (12)")).to_be_visible()
        assert {label(store, project, key) for key in inside} == {"square"}


def test_with_the_keyboard_and_without_webgl_all_in_view_is_chosen(chromium: Browser, store: Store, run: Run) -> None:
    wait(store, picture_map.start(store, run))
    left_out = store.dataset(run.project_id).pictures[0].id
    album.exclude(store, run.project_id, [left_out])
    arguments = [*browser.CHROMIUM_ARGS, "--disable-3d-apis"]
    with browser.server(store.home, browser.free_port()) as app:
        plain = chromium.browser_type.launch(executable_path=browser.chromium_path(), args=arguments)
        with browser.tab(plain, app.url) as page:
            frame = open_map(page, app.url, run)
            expect(frame).to_have_attribute("data-drawn", "tsne 35")  # what is left out is on no map
            expect(frame.locator("canvas")).to_have_attribute("data-by", "canvas")
            pixels = frame.locator("canvas").evaluate(
                "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(value => value)"
            )
            assert pixels
            idle(page)
            frame.locator(".over").focus()
            page.keyboard.press("Enter")
            expect(page.get_by_text(shown("map_chosen", n=35))).to_be_visible()
            idle(page)
            page.keyboard.press("Escape")
            expect(page.get_by_text(say("map_hint"))).to_be_visible()
        plain.close()
