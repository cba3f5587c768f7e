"""Fixtures of all tests: drawn pictures, and homes in which Starter is converted already."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser import Server

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from core import jobs
from core.store import Store
from tests import pictures

# The settings of `trained`.
TRAINED = ("--preset", "linear", "--epochs", "20")


def wait(store: Store, job: jobs.Job, timeout_s: float = 120) -> jobs.Job:
    """The job once it has ended."""
    import time

    end = time.monotonic() + timeout_s
    while (job := jobs.get(store, job.id)).active:
        if time.monotonic() > end:
            raise TimeoutError(jobs.log_path(store, job.id).read_text())
        time.sleep(0.05)
    return job


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders of twelve pictures."""
    return pictures.folders(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Path:
    """A home in which Starter was trained on `shapes` once by the command line. Read only: copy it to change it."""
    from core.__main__ import main

    home = tmp_path_factory.mktemp("home")
    assert main(["run", str(shapes), "--home", str(home), *TRAINED, "--json"]) == 0
    return home


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """An empty store that need not convert Starter again."""
    home = tmp_path / "home"
    shutil.copytree(trained / "networks", home / "networks")
    return Store(home)


@pytest.fixture(scope="session")
def keras_home() -> Path:
    """A KERAS_HOME with the ImageNet weights of MobileNetV2."""
    from core import backbones

    root = os.environ.get("HEADSTART_TEST_KERAS_HOME")
    if not root or not (Path(root) / "models" / backbones.MOBILENET_V2.weights_file).is_file():
        pytest.skip("HEADSTART_TEST_KERAS_HOME names no KERAS_HOME with MobileNetV2 weights")
    return Path(root)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder with hymenoptera and sign-language-digits."""
    root = os.environ.get("HEADSTART_TEST_DATA")
    if not root or not (Path(root) / "hymenoptera").is_dir():
        pytest.skip("HEADSTART_TEST_DATA names no folder with hymenoptera and sign-language-digits")
    return Path(root)


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Browser]":
    """Chromium, once per file: as long as Playwright runs, no other test of its thread could use asyncio."""
    from playwright.sync_api import sync_playwright

    from tests import browser

    path = browser.chromium_path()
    if path is None:
        if os.environ.get("HEADSTART_REQUIRE_BROWSER"):
            pytest.fail("HEADSTART_REQUIRE_BROWSER is set, and Chromium is missing")
        pytest.skip("Chromium is missing: install it, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=browser.CHROMIUM_ARGS)
        yield launched
        launched.close()


@pytest.fixture
def app(tmp_path: Path) -> "Iterator[Server]":
    """A server on an empty home."""
    from tests import browser

    home = tmp_path / "server-home"
    with browser.server(home, browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


@pytest.fixture
def page(chromium: "Browser", app: "Server") -> "Iterator[Page]":
    """A tab for that server, in which nothing may go wrong."""
    from tests import browser

    with browser.tab(chromium, app.url) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs of the table behave as promised, whenever the table was run."""
    rows = {
        outcome: [report for report in terminalreporter.getreports(outcome) if "test_an_input_behaves" in report.nodeid]
        for outcome in ("passed", "failed")
    }
    n = sum(map(len, rows.values()))
    if n:
        terminalreporter.write_line(f"inputs: {len(rows['passed'])} of {n} behave as promised")
