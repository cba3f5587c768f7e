"""Pictures come in: over a line that breaks, from several files at once, from a camera; and go out again."""

import contextlib
import hashlib
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core import album
from core.album import Filter
from tests import browser
from tests.bad_files import encoded, noise, png
from tests.browser import Server, button

pytestmark = pytest.mark.browser


class Line:
    """A line to a server that breaks once, when so many bytes have gone up."""

    def __init__(self, port: int, breaks_at: int) -> None:
        self.n_up, self.breaks_at, self.broken = 0, breaks_at, 0
        self._target = port
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._threads.append(threading.Thread(target=self._join, args=(near, far), daemon=True))
                self._threads[-1].start()

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            down = threading.Thread(target=self._pump, args=(far, near, False), daemon=True)
            down.start()
            self._pump(near, far, True)
            down.join()

    def _pump(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
                self.n_up += len(data) if up else 0
                if up and self.n_up > self.breaks_at and not self.broken:
                    self.broken = self.n_up
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line(app: Server) -> Iterator[Line]:
    line = Line(app.port, 13_000_000)
    yield line
    line.close()


def new_project(page: Page, url: str) -> str:
    page.goto(url)
    button(page, "New project").click()
    page.get_by_label("Name of the project").fill("Ways")
    page.get_by_label("Name of the project").press("Enter")
    return browser.project_id(page)


def take_pictures(page: Page, label: str) -> None:
    button(page, "More ways").click()
    page.get_by_role("textbox", name="Class of pictures").fill(label)
    page.get_by_role("textbox", name="Class of pictures").press("Enter")
    page.get_by_role("radio", name="Camera").or_(button(page, "Camera")).first.click()
    button(page, "Turn the camera on").click()
    hold = button(page, "Hold to take pictures")
    expect(hold).to_be_enabled()
    hold.hover()
    page.mouse.down()
    expect(page.get_by_text(re.compile(r"^[5-9] pictures taken"))).to_be_visible()
    page.mouse.up()


def test_an_upload_goes_on_at_the_last_byte_that_came_after_the_line_broke(
    chromium: Browser, app: Server, line: Line, tmp_path: Path
) -> None:
    members = [(f"{'cat' if n % 2 else 'dog'}/{n}.bmp", encoded(noise(1000, 700, n), "BMP")) for n in range(10)]
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    size = path.stat().st_size
    assert size > 20_000_000
    with browser.tab(chromium, line.url, outage=True) as page:
        key = new_project(page, line.url)
        page.locator("input.pick-files").set_input_files(path)
        expect(page.get_by_text("dog \u00b7 5")).to_be_visible(timeout=60_000)
    # Chromium itself sends the piece again that was on its way (8 MB); then the page goes on from what had come.
    assert line.broken and line.n_up < size + 8_000_000 + 2_000_000
    ids = {picture.id for picture in app.store.dataset(key).pictures}
    assert ids == {hashlib.sha256(data).hexdigest() for _, data in members}


def test_several_files_with_a_table_come_at_once_and_the_whole_goes_out_again(
    page: Page, app: Server, tmp_path: Path
) -> None:
    for n in range(12):
        (tmp_path / f"{n}.png").write_bytes(png(n))
    table = "file,label,split\n" + "".join(f"{n}.png,{'cat' if n % 2 else 'dog'},\n" for n in range(12))
    (tmp_path / "labels.csv").write_text(table)
    key = new_project(page, app.url)
    page.locator("input.pick-files").set_input_files([*tmp_path.glob("*.png"), tmp_path / "labels.csv"])
    expect(page.get_by_text("dog \u00b7 6")).to_be_visible(timeout=30_000)
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile("Download the pictures")).click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert len(archive.namelist()) == 13
    assert album.count(app.store, key, Filter("cat")) == 6


@pytest.mark.parametrize("left", [False, True], ids=["on the same page", "after leaving the page"])
def test_other_files_after_an_upload_that_failed_are_a_delivery_of_their_own(
    page: Page, app: Server, tmp_path: Path, left: bool
) -> None:
    for n in range(12):
        (tmp_path / f"{n}.png").write_bytes(png(n))
    (tmp_path / "labels.csv").write_text("".join(f"{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(6, 12)))
    key = new_project(page, app.url)
    # What stands between the page and the server answers in its place, as the login page of a network does.
    page.route(re.compile("/api/upload/.*/3[?]"), lambda route: route.fulfill(body="<html>Log in</html>"))
    page.locator("input.pick-files").set_input_files([tmp_path / f"{n}.png" for n in range(6)])
    expect(page.locator(".zone.failed")).to_be_visible()
    page.unroute_all()
    if left:
        for step in ("Train", "Data"):
            page.get_by_role("link", name=step).click()
            browser.idle(page)
    page.locator("input.pick-files").set_input_files(
        [*(tmp_path / f"{n}.png" for n in range(6, 12)), tmp_path / "labels.csv"]
    )
    expect(page.get_by_text("dog \u00b7 3")).to_be_visible(timeout=30_000)
    ids = {picture.id for picture in app.store.dataset(key).pictures}
    assert ids == {hashlib.sha256(png(n)).hexdigest() for n in range(6, 12)}
    assert sum(app.store.outcomes(key).values()) == 7


def test_a_picture_of_the_camera_that_is_lost_on_its_way_is_sent_again(chromium: Browser, app: Server) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        lost.append(route.request.url)
        route.abort("connectionreset") if len(lost) == 1 else route.continue_()

    with browser.tab(chromium, app.url, outage=True) as page:
        key = new_project(page, app.url)
        page.route(re.compile("/api/upload/.*/2[?]"), lose)
        take_pictures(page, "shelf")
        expect(page.get_by_text(re.compile(r"shelf \u00b7 \d+"))).to_be_visible(timeout=30_000)
    assert len(lost) == 2
    names = [row["name"] for row in app.store.read("SELECT name FROM file WHERE project_id = ? ORDER BY number", key)]
    assert [name[-7:] for name in names] == [f"{n:03}.jpg" for n in range(len(names))] and len(names) >= 5


def test_a_camera_takes_pictures_of_a_class_while_its_button_is_held(page: Page, app: Server) -> None:
    key = new_project(page, app.url)
    take_pictures(page, "desk")
    expect(page.get_by_text(re.compile(r"desk \u00b7 \d+"))).to_be_visible(timeout=30_000)
    assert album.count(app.store, key, Filter("desk")) >= 2
