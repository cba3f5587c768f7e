"""Pictures come in: over a line that breaks, from several files at once, from a camera; and go out again."""

import contextlib
import hashlib
import os
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from core.jobs import queue
from core.jobs.kinds import INTAKE
from core.language.catalog import say
from core.pictures import album
from core.pictures.album import Filter
from tests import browser
from tests.bad_files import encoded, noise, png
from tests.browser import Server, button
from tests.texts import pattern

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
    browser.idle(page)
    button(page, say("new_project")).click()
    browser.write(page.get_by_label(say("project_name")), "Ways")
    page.keyboard.press("Enter")
    expect(button(page, say("choose_files"))).to_be_visible()  # its words come with its script
    return browser.project_id(page)


def name_class(page: Page, label: str) -> None:
    """Write the class of pictures in no folder into its field, which is open."""
    browser.write(page.get_by_role("textbox", name=say("loose_class")), label)
    page.keyboard.press("Enter")
    browser.idle(page)


def loose(folder: Path, numbers: range) -> list[Path]:
    """Pictures in no folder."""
    paths = [folder / f"{n}.png" for n in numbers]
    for n, path in zip(numbers, paths, strict=True):
        path.write_bytes(png(n))
    return paths


class Gate:
    """Requests that are held on their way to the server until it is opened."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page, self._pattern = page, re.compile(pattern)
        self._held: list[Route] = []
        page.route(self._pattern, lambda route: self._held.append(route))

    def open(self) -> None:
        self._page.unroute(self._pattern)  # which lets go on what is held

    def await_one(self) -> None:
        while not self._held:
            self._page.wait_for_timeout(20)


def await_sent(page: Page, project: str, n: int) -> None:
    """Wait until the tab knows that so many files of an upload have arrived: several are on their way at once."""
    sent = "key => Math.max(0, ...JSON.parse(sessionStorage.getItem('uploads-' + key) ?? '[]').map(one => one.sent))"
    while page.evaluate(sent, project) < n:
        page.wait_for_timeout(20)


def take_pictures(page: Page, label: str) -> None:
    button(page, say("more_ways")).click()
    name_class(page, label)
    page.get_by_role("radio", name=say("way_camera")).or_(button(page, "Camera")).first.click()
    button(page, say("camera_on")).click()
    hold_camera(page)


def hold_camera(page: Page) -> None:
    """Take a few pictures."""
    hold = button(page, say("camera_hold"))
    expect(hold).to_be_enabled()
    browser.idle(page)  # what comes above it meanwhile moves it from under the pointer
    hold.hover()
    page.mouse.down()
    expect(page.get_by_text(re.compile(rf"^([5-9]|\d\d+) {re.escape(say('camera_taken'))}"))).to_be_visible()
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
        page.get_by_role("link", name=re.compile(say("take_out"))).click()
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
    expect(
        page.get_by_text(re.compile(f"{pattern('upload_stopped', n=6).pattern} {re.escape(say('upload_foreign'))}"))
    ).to_be_visible()
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
    name_class(page, "lamp")  # the camera is on, though the page is another one now
    hold_camera(page)
    expect(page.get_by_text(re.compile(r"lamp \u00b7 \d+"))).to_be_visible(timeout=30_000)
    assert album.count(app.store, key, Filter("desk")) >= 2
    assert album.count(app.store, key, Filter("lamp")) >= 2


def test_a_burst_and_loose_files_get_the_class_that_stood_when_they_began(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    gate = Gate(page, "/api/upload/.*/3[?]")
    take_pictures(page, "cup")
    gate.await_one()
    name_class(page, "pen")
    gate.open()
    expect(page.get_by_text(re.compile(r"cup \u00b7 \d+"))).to_be_visible(timeout=30_000)
    name_class(page, "pen")
    gate = Gate(page, "/api/upload/.*/1[?]")
    page.locator("input.pick-files").set_input_files(loose(tmp_path, range(2)))
    gate.await_one()
    name_class(page, "jar")
    gate.open()
    expect(page.get_by_text("pen \u00b7 2")).to_be_visible(timeout=30_000)
    assert [row.label for row in album.classes(app.store, key)] == ["cup", "pen"]


def test_an_upload_that_a_reload_stopped_is_told_and_goes_on_with_what_is_missing(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    button(page, say("more_ways")).click()
    name_class(page, "cat")
    page.keyboard.press("Escape")
    gate = Gate(page, "/api/upload/.*/[34][?]")
    files = loose(tmp_path, range(5))
    page.locator("input.pick-files").set_input_files(files)
    gate.await_one()
    await_sent(page, key, 3)
    expect(page.get_by_text(say("uploading"))).to_be_visible()
    page.reload()
    page.unroute_all()
    told = page.get_by_text(f"{say('upload_stopped_class', label='cat', sent=3, n=5)} {say('upload_again')}")
    expect(told).to_be_visible()
    begins: list[str] = []  # of each file, the byte from which it is sent
    page.on("request", lambda request: begins.extend(re.findall(r"[?]offset=(\d+)", request.url)))
    page.locator("input.pick-files").set_input_files(files)
    expect(page.get_by_text("cat \u00b7 5")).to_be_visible(timeout=30_000)
    expect(told).to_have_count(0)
    assert sorted(map(int, begins)) == sorted([len(png(0)), len(png(1)), len(png(2)), 0, 0])
    assert len(app.store.dataset(key).pictures) == 5


def test_a_file_that_was_corrected_since_an_upload_stopped_is_sent_anew(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    gate = Gate(page, "/api/upload/.*/1[?]")
    files = loose(tmp_path, range(2))
    page.locator("input.pick-files").set_input_files(files)
    gate.await_one()
    await_sent(page, key, 1)
    page.reload()
    page.unroute_all()
    expect(page.get_by_text(say("upload_stopped", sent=1, n=2))).to_be_visible()
    os.utime(files[0], (0, 0))  # of the same size
    button(page, say("more_ways")).click()
    name_class(page, "cat")
    page.keyboard.press("Escape")
    begins: list[str] = []
    page.on("request", lambda request: begins.extend(re.findall(r"[?]offset=(\d+)", request.url)))
    page.locator("input.pick-files").set_input_files(files)
    expect(page.get_by_text("cat \u00b7 2")).to_be_visible(timeout=30_000)
    assert begins == ["0", "0"] and len(app.store.dataset(key).pictures) == 2


def test_an_upload_that_stopped_can_be_dismissed(page: Page, app: Server, tmp_path: Path) -> None:
    key = new_project(page, app.url)
    gate = Gate(page, "/api/upload/.*/1[?]")
    page.locator("input.pick-files").set_input_files(loose(tmp_path, range(2)))
    gate.await_one()
    await_sent(page, key, 1)
    for _ in range(2):
        page.reload()
        expect(page.get_by_text(say("upload_stopped", sent=1, n=2))).to_be_visible()
    button(page, "Dismiss").click()
    expect(page.get_by_text("The upload stopped")).to_have_count(0)
    page.reload()
    expect(page.get_by_text(say("drop"))).to_be_visible()
    expect(page.get_by_text("The upload stopped")).to_have_count(0)


def test_an_upload_goes_on_and_is_taken_in_while_another_step_is_looked_at(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    gate = Gate(page, "/api/upload/.*/1[?]")
    table = tmp_path / "labels.csv"
    table.write_text("0.png,cat\n1.png,dog\n")
    page.locator("input.pick-files").set_input_files([*loose(tmp_path, range(2)), table])
    gate.await_one()
    browser.step(page, "Train")
    browser.idle(page)
    gate.open()
    browser.idle(page)
    while queue.latest(app.store, key, INTAKE) is None:
        page.wait_for_timeout(50)
    browser.step(page, "Data")
    expect(page.get_by_text("dog \u00b7 1").first).to_be_visible(timeout=30_000)


def test_an_upload_of_which_all_had_arrived_when_the_page_was_left_is_taken_in_later(
    page: Page, app: Server, tmp_path: Path
) -> None:
    new_project(page, app.url)
    button(page, say("more_ways")).click()
    name_class(page, "cat")
    page.keyboard.press("Escape")
    gate = Gate(page, "/api/intake/")
    page.locator("input.pick-files").set_input_files(loose(tmp_path, range(3)))
    gate.await_one()
    page.reload()
    page.unroute_all()
    expect(page.get_by_text("cat \u00b7 3")).to_be_visible(timeout=30_000)


def test_files_chosen_while_others_are_sent_follow_as_a_delivery_of_their_own(
    page: Page, app: Server, tmp_path: Path
) -> None:
    key = new_project(page, app.url)
    button(page, say("more_ways")).click()
    name_class(page, "cat")
    page.keyboard.press("Escape")
    gate = Gate(page, "/api/upload/.*/1[?]")
    page.locator("input.pick-files").set_input_files(loose(tmp_path, range(2)))
    gate.await_one()
    page.locator("input.pick-files").set_input_files(loose(tmp_path, range(2, 5)))
    expect(page.get_by_text(say("upload_next", n=3))).to_be_visible()
    gate.open()
    expect(page.get_by_text("cat \u00b7 5")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(say("note.came_all", n=3))).to_be_visible()
    rows = app.store.read("SELECT COUNT(*) n FROM file WHERE project_id = ? GROUP BY batch", key)
    assert sorted(row["n"] for row in rows) == [2, 3]


def drop(page: Page, path: Path) -> None:
    """Drop a file or folder on the zone, as from the desktop."""
    box = page.locator(".zone").bounding_box()
    assert box is not None
    place = {"x": box["x"] + 20, "y": box["y"] + 20}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_a_folder_that_is_dropped_comes_with_its_class_folders(page: Page, app: Server, tmp_path: Path) -> None:
    key = new_project(page, app.url)
    for label, numbers in (("cat", range(3)), ("dog", range(3, 123))):  # a browser lists 100 at a time
        folder = tmp_path / "animals" / label
        folder.mkdir(parents=True)
        loose(folder, numbers)
    drop(page, tmp_path / "animals")
    expect(page.get_by_text("dog \u00b7 120")).to_be_visible(timeout=60_000)
    assert album.count(app.store, key, Filter("cat")) == 3


def test_a_folder_that_cannot_be_read_is_told(page: Page, app: Server, tmp_path: Path) -> None:
    key = new_project(page, app.url)
    loose(tmp_path, range(2))
    # As the browser answers for a folder whose disk was taken out.
    page.evaluate(
        """() => {
            const real = DataTransferItem.prototype.webkitGetAsEntry
            DataTransferItem.prototype.webkitGetAsEntry = function () {
                const entry = real.call(this)
                entry.createReader().__proto__.readEntries = (_, fail) => fail(new DOMException("It is gone."))
                return entry
            }
        }"""
    )
    drop(page, tmp_path)
    expect(page.get_by_text(say("drop_unreadable", why="It is gone."))).to_be_visible()
    button(page, "Dismiss").click()
    expect(page.get_by_text(pattern("drop_unreadable"))).to_have_count(0)
    assert queue.latest(app.store, key, INTAKE) is None


def test_a_drop_without_a_file_is_told(page: Page, app: Server) -> None:
    new_project(page, app.url)
    page.locator(".zone").dispatch_event("drop", {"dataTransfer": page.evaluate_handle("() => new DataTransfer()")})
    expect(page.get_by_text(say("drop_nothing"))).to_be_visible()
