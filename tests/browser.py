"""What browser tests and the web benchmark share: a server on a home of its own, a watched tab, steps of the way."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from core.jobs import queue
from core.language.catalog import say
from core.store.store import Store
from tests import forks
from tests.texts import pattern

ROOT = Path(__file__).parent.parent
# No telemetry, no updates, nothing that leaves this machine; a drawn camera in place of a real one.
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-domain-reliability", "--disable-sync", "--no-first-run",
    "--no-default-browser-check", "--disable-extensions", "--disable-breakpad", "--metrics-recording-only",
    "--disable-features=Translate,MediaRouter,OptimizationHints", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
# `streamlit run app.py`, where jobs get processes that have imported TensorFlow already.
SERVER = """
import sys
from streamlit.web import cli
from core.jobs import queue
from tests import workers
queue._spawn = workers.fork
sys.argv = ["streamlit", "run", "app.py", *sys.argv[1:]]
cli.main()
"""
# What Chromium and Streamlit's front end report while a server is away.
_OUTAGE = re.compile(
    "ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_SOCKET_NOT_CONNECTED|WebSocket|Failed to fetch"
    "|disconnected from server|No response received|server is not responding|Unable to preload CSS"
    r"|409 \(Conflict\)"  # an upload that goes on before the server has written what came last: it is told how much
    "|dynamically imported module"  # a part of the front end that was still to be loaded
)
TRAIN_S = 150  # a training of a few dozen seconds on a busy machine

WAIT_MS = 20_000  # for what is there in a second, unless other processes have the processors
expect.set_options(timeout=WAIT_MS)

# What moves by itself on a page: the largest sum of shifts less than a second apart, in five seconds at most
# (https://web.dev/articles/cls).
SHIFTS = """() => {
  window.shifted = 0
  let begun = -5000, last = -1000, sum = 0
  const see = list => {
    for (const { hadRecentInput, startTime, value } of list.getEntries()) {
      if (hadRecentInput) continue
      if (startTime - last >= 1000 || startTime - begun >= 5000) [begun, sum] = [startTime, 0]
      last = startTime
      sum += value
      window.shifted = Math.max(window.shifted, sum)
    }
  }
  new PerformanceObserver(see).observe({type: 'layout-shift'})
}"""


def chromium_path() -> str | None:
    """Where Chromium is: $CHROMIUM, /usr/bin/chromium, or on the PATH."""
    for path in (os.environ.get("CHROMIUM"), "/usr/bin/chromium", shutil.which("chromium")):
        if path and Path(path).is_file():
            return path
    return None


@dataclass
class Server:
    """A running server."""

    port: int
    home: Path
    process: psutil.Process
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        return Store(self.home)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(home: Path, port: int, keras_home: Path | None = None, by_command: bool = False) -> Iterator[Server]:
    """A server on a home until the end of the block; it and its workers are forked from processes that have done their
    imports, or `by_command` started as users start it. Workers live on: `stop_workers` ends them."""
    home.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"HEADSTART_HOME": str(home), "HOME": str(home), "HEADSTART_DOWNLOADS": "0"}
    if keras_home is not None:
        environment["KERAS_HOME"] = str(keras_home)
    log = home.with_name(f"{home.name}-server.log")
    options = ["--server.port", str(port), "--server.headless", "true"]
    if by_command:
        with log.open("ab") as file:
            command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
            process = psutil.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment
            )
    else:
        process = psutil.Process(forks.start("pages", SERVER, *options, environment=environment, log=log))
    try:
        _await_health(port, process, log)
        yield Server(port, home, process, log)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            try:
                process.wait(10)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(10)


def _await_health(port: int, process: psutil.Process, log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_stcore/health")
            if connection.getresponse().read() == b"ok":
                return
        except OSError:
            pass
        finally:
            connection.close()
        assert process.is_running() and time.monotonic() < end, log.read_text()
        time.sleep(0.05)  # nothing announces that a port is open


def workers(home: Path, job_id: str = "") -> list[psutil.Process]:
    """The worker processes of a home (of one job): what they print goes to its logs."""
    logs = str(queue.log_path(Store(home), job_id)) if job_id else f"{home}{os.sep}"
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{process.pid}/fd/1").startswith(logs):
                found.append(process)
    return found


def stop_workers(home: Path) -> None:
    """Kill what still works on a home that is about to go."""
    for process in workers(home):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def tab(browser: Browser, url: str, outage: bool = False) -> Iterator[Page]:
    """A tab of a new visitor. At the end nothing may have gone wrong in it: no error on the console or in a script, no
    answer over 499, no request to another origin, no exception on the page. With `outage`, what Chromium reports about
    a server that is away is no error."""
    page = _visitor(browser, url).new_page()
    page.set_default_timeout(WAIT_MS)
    problems: list[str] = []
    _watch(page, url, problems)
    try:
        yield page
        if page.get_by_test_id("stException").count():
            problems.append(page.get_by_test_id("stException").first.inner_text())
        if page.get_by_text(say("fault_title")).count():
            problems.append("a fault of ours is shown")
        if outage:
            problems = [problem for problem in problems if not _OUTAGE.search(problem)]
        assert not problems, "\n".join(problems)
    finally:
        page.close()


def _visitor(browser: Browser, url: str) -> BrowserContext:
    """Whose tabs are opened: a new visitor, who has kept nothing, unless another tab is open. The first page of a
    browser is empty and stays. So with `--process-per-site` one process shows all tabs, and it has compiled the front
    end already: half of what a page costs."""
    if not browser.contexts:
        first = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        first.route(url, lambda route: route.fulfill(body=""))
        first.goto(url)
    (context,) = browser.contexts
    if len(context.pages) == 1:
        context.clear_permissions()
        context.grant_permissions(["camera"])
        session = context.new_cdp_session(context.pages[0])
        session.send("Network.clearBrowserCache")
        session.send("Network.clearBrowserCookies")
        session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        session.detach()
    return context


def _watch(page: Page, url: str, problems: list[str]) -> None:
    inside = (url + "/", url.replace("http", "ws", 1) + "/", "data:", "blob:", "about:")

    def said(message: ConsoleMessage) -> None:
        # Streamlit drops a picture once a newer run of the page has replaced it, which a tab may still be asking for.
        told = f"{message.text} {message.location}"
        replaced = "/media/" in told and ("404" in told or "Image source error" in told)
        if message.type == "error" and not replaced:
            problems.append(f"console: {message.text} ({message.location})")

    def asked(request: Request) -> None:
        if not request.url.startswith(inside):
            problems.append(f"outside: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 500:
            problems.append(f"{response.status}: {response.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("request", asked)
    page.on("response", answered)
    page.on("websocket", lambda socket: None if socket.url.startswith(inside) else problems.append(socket.url))


def idle(page: Page, timeout_ms: float = 25_000) -> None:
    """Wait until the page has answered the last action. Not for a page that refreshes itself: wait for its text."""
    page.wait_for_timeout(155)  # until then Streamlit's front end may hold the action back
    page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]").wait_for(timeout=timeout_ms)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=timeout_ms)
    # Not wait_for_function: it polls with eval, which our content security policy refuses.
    expect(page.locator("[data-stale=true],[data-testid=stSkeleton]")).to_have_count(0, timeout=timeout_ms)


def by_key(page: Page, key: str) -> Locator:
    """The element with a key of Streamlit's."""
    return page.locator(".st-key-" + re.sub(r"[^a-zA-Z0-9_-]", "-", key))


def button(page: Page, label: str) -> Locator:
    """The button with this label; its name may also say of what it is, which only a screen reader tells."""
    named = page.locator(f"xpath=//button[.//p[normalize-space(text()[1])='{label}']]")
    # Of a button with help Streamlit draws a second one for small screens.
    return page.get_by_role("button", name=label, exact=True).or_(named.filter(visible=True))


def project_id(page: Page) -> str:
    """The project in the address."""
    page.wait_for_url(re.compile(r"project=\w+"))
    return re.findall(r"project=(\w+)", page.url)[0]


def step(page: Page, name: str) -> None:
    """Go to a step by the way on top."""
    by_key(page, "way").get_by_role("link", name=name).click()
    page.wait_for_url(re.compile(rf"/{name.lower()}\?"))


def write(field: Locator, text: str) -> None:
    """Type into a field, in place of what stands in it, with a user's keys: `fill` sets a value past all of them."""
    field.click()
    field.press("ControlOrMeta+a")
    field.page.keyboard.type(text)
    expect(field).to_have_value(text)


def slide(page: Page, key: str, *presses: str) -> None:
    """Move a slider, found by a part of its key, with the keyboard."""
    knob = page.locator(f"[class*='{key}']").get_by_role("slider")
    for press in presses:
        knob.press(press)
    idle(page)


# -- the way through the sample


def try_sample(page: Page, url: str) -> str:
    """From the first look to the sample's data page; answers the project's id."""
    page.goto(url)
    button(page, say("try_signs")).click()
    expect(page.get_by_text(say("not_used", n=4, files=say("files_n", n=308)))).to_be_visible(timeout=90_000)
    return project_id(page)


def choose_fast(page: Page) -> None:
    """On the training page: turn the dial to Fast."""
    page.get_by_test_id("stRadio").get_by_text(say("fast"), exact=True).click()
    idle(page)


def await_results(page: Page) -> None:
    """Wait for the end of the training and open its results."""
    button(page, say("see_results")).click(timeout=TRAIN_S * 1000)
    page.wait_for_url(re.compile("/results"))
    expect(page.get_by_text(pattern("headline"))).to_be_visible()


def await_answer(page: Page) -> None:
    """Wait until demo or presentation has answered a picture."""
    expect(page.get_by_text(pattern("demo_time"))).to_be_visible(timeout=30_000)
