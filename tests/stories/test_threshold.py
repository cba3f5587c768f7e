"""What an answer needs is chosen on Results and kept by the demo, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.language.catalog import say
from core.scores.thresholds import Thresholds
from tests import browser, drawing
from tests.bad_files import encoded, noise
from tests.browser import Server, button, by_key, idle, slide, step

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run."""
    home = tmp_path_factory.mktemp("threshold") / "home"
    with browser.server(shutil.copytree(trained, home), browser.free_port()) as started:
        yield started


def ask(page: Page, name: str, data: bytes) -> None:
    """Give the demo a picture."""
    file = {"name": name, "mimeType": "image/png", "buffer": data}
    by_key(page, "source").locator("input[type=file]").first.set_input_files(file)  # type: ignore[arg-type]
    idle(page)


def test_the_answer_to_a_picture_of_the_camera_stands_beside_it(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/demo?project={project.id}")
    browser.await_answer(page)
    page.get_by_text(say("demo_camera")).click()
    expect(page.locator("video")).to_have_js_property("readyState", 4)  # before that there is nothing to take
    button(page, "Take Photo").click()
    idle(page)
    answer, shot = page.get_by_role("heading", level=2).first, page.get_by_test_id("stCameraInput")
    expect(answer).to_be_visible()
    heading, camera = answer.bounding_box(), shot.bounding_box()
    assert heading is not None and camera is not None
    assert heading["y"] < camera["y"] + camera["height"] and camera["x"] + camera["width"] <= heading["x"]
    by_key(page, "examples").locator("button.cell").first.click()  # puts the camera away
    expect(shot).to_have_count(0)
    browser.await_answer(page)
    page.get_by_text(say("demo_camera")).click()
    expect(shot).to_be_visible()
    ask(page, "circle.png", encoded(drawing.draw("circle", 78, side=160), "PNG"))  # and so does an upload
    expect(shot).to_have_count(0)
    browser.await_answer(page)


def test_what_an_answer_needs_travels_into_the_demo(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    folder = app.store.folder(app.store.runs(project.id)[0].id)
    circle = encoded(drawing.draw("circle", 78, side=160), "PNG")
    stranger = encoded(noise(160, 160), "PNG")
    page.goto(f"{app.url}/results?project={project.id}")
    page.get_by_role("tab", name=say("threshold_tab")).click()
    expect(page.get_by_text("measured by leaving out each class in turn")).to_be_visible()
    slide(page, "refused-", *["ArrowRight"] * 5)
    farthest, refused = Thresholds.read(folder).farthest, Thresholds.read(folder).refused
    assert farthest is not None and 0 < farthest < 1

    some = {
        "1.png": encoded(noise(99, 99, 1), "PNG"),
        "2.png": encoded(noise(99, 99, 2), "PNG"),
        "text.png": b"text",
    }
    files = [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in some.items()]
    page.locator("[class*='st-key-others-'] input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    expect(page.get_by_text(say("unknown_forget"))).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_contain_text("text.png")

    step(page, "Demo")
    browser.await_answer(page)
    ask(page, "stranger.png", stranger)
    expect(page.get_by_role("heading", name=say("unknown"))).to_be_visible()
    ask(page, "circle.png", circle)
    expect(page.get_by_role("heading", name=re.compile("circle"))).to_be_visible()

    step(page, "Results")
    page.get_by_role("tab", name=say("threshold_tab")).click()
    idle(page)
    slide(page, "least-", "End")
    assert Thresholds.read(folder) == Thresholds(0.99, {}, farthest, refused)
    Thresholds(0.7, {}, farthest, refused).write(folder)  # as another tab does
    page.get_by_role("tab", name=say("per_class")).click()
    idle(page)
    page.get_by_role("tab", name=say("threshold_tab")).click()
    idle(page)
    assert Thresholds.read(folder) == Thresholds(0.7, {}, farthest, refused)
    expect(page.locator("[class*='st-key-least-']").get_by_role("slider")).to_have_value("70")
    step(page, "Export")
    expect(page.get_by_role("link", name="Download known.npz")).to_be_visible()
    expect(page.get_by_role("link", name="Download limits.json")).to_be_visible()
