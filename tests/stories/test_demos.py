"""A run is shown to others: published, tried on a phone, corrected, taken in, stopped; in a real browser."""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core.demos import published, reviews, visitor_page
from core.demos.visitor_page import Front
from core.language.catalog import say
from tests import browser, drawing
from tests.bad_files import encoded
from tests.browser import Server, button, by_key, idle
from tests.stories.test_access import faults, headings, in_order
from tests.texts import pattern

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run."""
    home = tmp_path_factory.mktemp("demos") / "home"
    with browser.server(shutil.copytree(trained, home), browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def wide(page: Page) -> int:
    """How much wider than the screen a page is."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def test_a_run_is_published_tried_on_a_phone_corrected_and_stopped(page: Page, app: Server, chromium: Browser) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/demo?project={project.id}")
    browser.await_answer(page)
    button(page, say("publish_run")).click()
    dialog = page.get_by_role("dialog")
    browser.write(dialog.get_by_label(say("publish_title"), exact=True), "Shapes of ours")
    dialog.get_by_role("button", name=say("publish_run")).click()
    expect(page.get_by_text(say("reach_alone").split("`")[0].strip())).to_be_visible()
    (demo,) = published.of_project(app.store, project.id)
    assert demo.appearance.title == "Shapes of ours" and len(demo.appearance.examples) == 6
    address = f"{app.url}{demo.path}"
    expect(by_key(page, f"demo-{demo.id}").get_by_text(address)).to_be_visible()
    expect(page.get_by_alt_text(say("publish_code", title="Shapes of ours"))).to_be_visible()

    phone = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, bypass_csp=True, permissions=["camera"]
    )
    try:
        _as_a_visitor(phone.new_page(), app, address)
        _as_the_owner(page, app, project.id)
        page.goto(f"{app.url}/demo?project={project.id}")
        by_key(page, f"danger-stop-{demo.id}").get_by_role("button").click()
        by_key(page, "danger-stop-yes").get_by_role("button").click()
        expect(page.get_by_text(say("published_ended", n=1))).to_be_visible()
        late = phone.new_page()
        assert late.goto(address).status == 404  # type: ignore[union-attr]
        expect(late.get_by_role("heading", name=say("error.demo_closed"))).to_be_visible()
    finally:
        phone.close()


def _as_a_visitor(visitor: Page, app: Server, address: str) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    visitor.goto(address)
    expect(visitor.get_by_role("heading", name="Shapes of ours")).to_be_visible()
    assert not faults(visitor, "before a picture") and in_order(headings(visitor)) and wide(visitor) <= 0
    visitor.locator("#examples button").first.click()
    answer = visitor.locator("#answer")
    expect(answer.get_by_text(pattern("visitor.time"))).to_be_visible()
    expect(answer.get_by_role("heading")).to_have_text(re.compile("circle|square|triangle"))
    expect(answer.locator(".bars li")).to_have_count(3)
    visitor.get_by_role("button", name=say("demo_why")).click()
    expect(visitor.locator("#heat img")).to_be_visible()
    assert not faults(visitor, "answered") and in_order(headings(visitor)) and wide(visitor) <= 0
    wrong = visitor.get_by_role("button", name=say("visitor.wrong"))
    expect(wrong).to_be_hidden()  # an example is a picture of the project
    own = {"name": "own.png", "mimeType": "image/png", "buffer": encoded(drawing.draw("circle", 78, side=160), "PNG")}
    visitor.locator("#file").set_input_files(own)  # type: ignore[arg-type]
    assert reviews.waiting(app.store, app.store.projects()[0].id) == []
    wrong.click()
    dialog = visitor.get_by_role("dialog")
    expect(dialog.get_by_text(say("visitor.wrong_told"))).to_be_visible()
    assert not faults(visitor, "correction")
    dialog.get_by_label(say("visitor.shows")).select_option(label=say("visitor.another"))
    expect(dialog.get_by_role("button", name=say("visitor.send"))).to_be_disabled()
    browser.write(dialog.get_by_label(say("visitor.own_word")), "oval")
    dialog.get_by_role("button", name=say("visitor.send")).click()
    expect(visitor.get_by_text(say("visitor.sent"))).to_be_visible()
    visitor.get_by_role("button", name=say("visitor.live")).click()
    expect(answer.get_by_text(pattern("visitor.live_rate"))).to_be_visible()
    assert not faults(visitor, "live") and wide(visitor) <= 0
    visitor.get_by_role("button", name=say("visitor.take")).click()
    expect(answer.get_by_text(pattern("visitor.time"))).to_be_visible()
    expect(visitor.locator("video")).to_be_hidden()
    assert all(url.startswith((address, "blob:", "data:")) for url in asked), asked
    visitor.close()


def _as_the_owner(page: Page, app: Server, project_id: str) -> None:
    before = {picture.id for picture in app.store.dataset(project_id).pictures}
    page.goto(f"{app.url}/data?project={project_id}")
    queue = by_key(page, "reviews")
    expect(queue.get_by_text(say("review_n", n=1))).to_be_visible()
    expect(queue.locator("img")).to_have_js_property("complete", True)
    expect(queue.get_by_text(pattern("review_said", word="oval"))).to_be_visible()
    queue.get_by_role("button", name=say("review_accept_one", n=1, word="oval")).click()
    expect(queue).to_have_count(0, timeout=60_000)  # the first worker may have to wait for TensorFlow
    end = time.monotonic() + 60
    while not (new := [p for p in app.store.dataset(project_id).pictures if p.id not in before and p.part]):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert [(picture.label, picture.part) for picture in new] == [("oval", "train")]
    idle(page)


# In place of the camera of a phone: how many of those that were opened are on, each opened only when it `may`.
CAMERAS = """
window.may = Promise.resolve(); window.streams = []
const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await window.may
  const stream = await real(wanted)
  window.streams.push(stream)
  return stream
}
window.on = () => window.streams.filter((stream) => stream.active).length
window.hold = () => { window.may = new Promise((resolve) => { window.release = resolve }) }
"""
ENGINE = """
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export const open = async () => ({ ask: async () => {
  await wait(50)
  return { scores: [["a", 0.9], ["b", 0.1]], verdict: "answer", least: 0, ms: 1 }
} })
"""


def test_no_camera_stays_on_that_nobody_looks_through(chromium: Browser) -> None:
    context = chromium.new_context(permissions=["camera"])
    visitor, at = context.new_page(), "https://demo.example/"

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(at)
        body, kind = visitor_page.file(name) or (visitor_page.html(front).encode(), "text/html")
        route.fulfill(body=ENGINE if name == "engine_server.js" else body, content_type=kind)

    front = Front("T", "", "en", "#0f766e", ("a", "b"), 160, "engine_server")
    visitor.route(f"{at}**", answer)
    visitor.add_init_script(CAMERAS)
    try:
        visitor.goto(at)
        live, take = (visitor.get_by_role("button", name=say(f"visitor.{name}")) for name in ("live", "take"))
        visitor.evaluate("hold()")
        live.click()
        expect(visitor.locator("#stage")).to_be_visible()
        expect(take).to_be_hidden()  # before the camera is on there is nothing to take
        live.click()
        visitor.evaluate("release()")
        expect(visitor.locator("#answer").get_by_text(pattern("visitor.live_rate"))).to_be_visible()
        expect(take).to_be_visible()
        visitor.wait_for_function("streams.length === 2 && on() === 1")
        visitor.evaluate("hold()")
        visitor.get_by_role("button", name=say("visitor.camera")).click()
        picture = {"name": "a.png", "mimeType": "image/png", "buffer": encoded(drawing.draw("circle", 1), "PNG")}
        visitor.locator("#file").set_input_files(picture)  # type: ignore[arg-type]
        visitor.evaluate("release()")
        visitor.wait_for_function("streams.length === 3 && on() === 0")
        expect(visitor.locator("#answer").get_by_text(pattern("visitor.time"))).to_be_visible()
        visitor.evaluate("void (HTMLMediaElement.prototype.play = () => Promise.reject(new Error('no')))")
        live.click()
        expect(visitor.get_by_text(say("visitor.camera_denied"))).to_be_visible()
        visitor.wait_for_function("streams.length === 4 && on() === 0")
    finally:
        context.close()


def test_an_upload_goes_along_to_the_presentation(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/demo?project={project.id}")
    browser.await_answer(page)
    data = encoded(drawing.draw("circle", 78, side=160), "PNG")
    file = {"name": "mine.png", "mimeType": "image/png", "buffer": data}
    by_key(page, "source").locator("input[type=file]").first.set_input_files(file)  # type: ignore[arg-type]
    expect(page.get_by_alt_text(re.compile(r"^mine\.png"))).to_be_visible()
    page.get_by_role("link", name=say("present_open")).click()
    page.wait_for_url(re.compile("/present"))
    expect(page.get_by_alt_text(re.compile(r"^mine\.png"))).to_be_visible()
    by_key(page, "examples").locator("button.cell").first.click()
    expect(page.get_by_alt_text(re.compile(r"^mine\.png"))).to_have_count(0)
