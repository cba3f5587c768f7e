"""Fixtures of all tests: drawn pictures, and homes in which Starter is converted already."""

import fcntl
import gc
import io
import math
import os
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser import Server

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# As the workers of a home: several threads of a small matrix wait for each other, and for those of the other process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No test downloads anything, in whatever process: the dial suggests what is here.
os.environ["HEADSTART_DOWNLOADS"] = "0"

from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language import catalog
from core.store.store import Store
from core.web.local_hosts import is_loopback
from tests import drawing, forks, tiers, workers
from tests.workers import wait


def _ask_nobody_else(event: str, arguments: tuple[Any, ...]) -> None:
    """Tests that allow downloads find no network but that of this machine."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not is_loopback(str(arguments[1][0])):
        raise ConnectionRefusedError(f"a test asked {arguments[1]}")


sys.addaudithook(_ask_nobody_else)

# Once: an audit hook stays to the end of the process.
WATCH = tiers.Watch()
# The settings of `trained`.
TRAINED = ("--preset", "linear", "--epochs", "20")


def once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that is built once for all processes of pytest, by the first that asks, while the others wait. All of
    them read it."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, whole = root / f"once-{name}", root / f"once-{name}.whole"
    with (root / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # begun by one that failed
            build(folder)
            whole.touch()
    return folder


def home_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A copy of a home that is built once for all processes of pytest: two of them may not open one home."""
    return Path(shutil.copytree(once(factory, name, build), factory.mktemp(name) / name))


def left_out_of_test(store: Store, project_id: str) -> set[str]:
    """The pictures that must stay in the test part and are not used."""
    return store.locked_in_test(project_id, math.inf) - {p.id for p in store.dataset(project_id).pictures}


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three class folders of twelve pictures. Read only."""
    return once(tmp_path_factory, "shapes", drawing.folders)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, shapes: Path) -> Path:
    """A home in which Starter was trained on `shapes` once by the command line, and is converted for the features
    that the dial suggests. Read only: copy it to change it."""

    def build(home: Path) -> None:
        _train_once(shapes, home)
        _convert_defaults(home)

    return home_once(tmp_path_factory, "trained", build)


@pytest.fixture(scope="session")
def received(tmp_path_factory: pytest.TempPathFactory, trained: Path, shapes: Path) -> Path:
    """A home whose only project has the pictures of `shapes`, of which nothing was computed yet. Read only."""

    def build(home: Path) -> None:
        shutil.copytree(trained / "networks", home / "networks")
        store = Store(home)
        with workers.no_processes():
            job = queue.start(store, store.add_project("p").id, INTAKE, Delivery(str(shapes), "b"))
            assert wait(store, job).state == "succeeded"

    return home_once(tmp_path_factory, "received", build)


@pytest.fixture(scope="session")
def suggested(tmp_path_factory: pytest.TempPathFactory, received: Path) -> Path:
    """A home in which Starter was trained on `shapes` once, as the dial suggests. Read only: copy it to change it."""
    from core import backbones
    from core.pictures import counts
    from core.plan import suggest
    from core.runs import requests

    def build(home: Path) -> None:
        shutil.copytree(received, home)
        store = Store(home)
        (project,) = store.projects()
        plan = suggest("balanced", counts.of(store, project.id).learned).on(backbones.STARTER)
        with workers.no_processes():
            _, job = requests.train(store, project.id, plan)
            assert job is not None and wait(store, job).state == "succeeded"

    return home_once(tmp_path_factory, "suggested", build)


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A home in which Starter was trained once on four pictures of each class of `names.WORST`. Read only."""
    from tests import names

    def build(home: Path) -> None:
        shutil.copytree(trained / "networks", home / "networks")
        data = tmp_path_factory.mktemp("worst") / "worst.zip"
        with zipfile.ZipFile(data, "w") as archive:
            for n in range(4 * len(names.WORST)):
                drawn = io.BytesIO()
                drawing.draw("circle", n).save(drawn, "PNG")
                archive.writestr(f"{names.WORST[n // 4]}/{n % 4}.png", drawn.getvalue())
        _train_once(data, home)

    return home_once(tmp_path_factory, "named", build)


def _train_once(data: Path, home: Path) -> None:
    from core.__main__ import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_spawn", workers.work)
        assert main(["run", str(data), "--home", str(home), *TRAINED, "--json"]) == 0


def _convert_defaults(home: Path) -> None:
    """Convert Starter for what training and audit ask of it by default: else each new process would import TensorFlow
    to do so."""
    from core import backbones
    from core.features import converted
    from core.features.feature_cache import Recipe
    from core.neural import conversion, networks
    from core.plan import Plan

    starter, store = backbones.STARTER, Store(home)
    made = store.runs(store.projects()[0].id)[0].outcome.made
    assert made is not None
    network = networks.build(starter, backbones.weights_path(starter))
    for plan in (Plan(pooling="depths"), Plan(pooling="depths", mirrored=1)):
        features = networks.features(network, plan)
        path = home / "networks" / f"{Recipe(made.weights, plan.output, starter.size).network}.tflite"
        converted.keep(path, conversion.to_tflite(features.input, features.output))


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """An empty store that need not convert Starter again."""
    home = tmp_path / "home"
    shutil.copytree(trained / "networks", home / "networks")
    return Store(home)


@pytest.fixture
def stocked(tmp_path: Path, received: Path) -> Store:
    """A store whose only project has the pictures of `shapes`, and need not convert Starter again."""
    return Store(shutil.copytree(received, tmp_path / "stocked"))


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs get no process: `wait` does them in this one, or the test plays their worker."""
    monkeypatch.setattr(queue, "PROCESS", [])


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs get no process: they are done where they are started."""
    monkeypatch.setattr(queue, "_spawn", workers.work)


@pytest.fixture
def tuned_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fine-tuned model whose epoch was best on val is kept: six val pictures show no clear gain."""
    monkeypatch.setattr("core.worker.measuring.is_clearly_better", lambda *_: True)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs get processes that have imported TensorFlow already."""
    monkeypatch.setattr(queue, "_spawn", workers.fork)


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
        launched = playwright.chromium.launch(executable_path=path, args=[*browser.CHROMIUM_ARGS, "--process-per-site"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def server_of_file(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> "Iterator[Server]":
    """A server on a home in which nothing is but Starter, converted; once per file."""
    from tests import browser

    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(trained / "networks", home / "networks")
    with browser.server(home, browser.free_port()) as started:
        yield started


@pytest.fixture
def app(server_of_file: "Server") -> "Iterator[Server]":
    """The server of the file, on which there is no project yet."""
    from tests import browser

    yield server_of_file
    browser.stop_workers(server_of_file.home)
    for project in server_of_file.store.projects():
        server_of_file.store.delete_project(project.id)


@pytest.fixture
def page(chromium: "Browser", app: "Server") -> "Iterator[Page]":
    """A tab for that server, in which nothing may go wrong."""
    from tests import browser

    with browser.tab(chromium, app.url) as opened:
        yield opened


@pytest.fixture
def language(request: pytest.FixtureRequest) -> "Iterator[str]":
    """A language, in which `say` speaks in the test too; given by indirect parameters."""
    token = catalog.speaking.set(request.param)
    yield request.param
    catalog.speaking.reset(token)


def pytest_configure(config: pytest.Config) -> None:
    """One process of each kind forks for all processes of pytest."""
    if "PYTEST_XDIST_WORKER" not in os.environ and config.option.markexpr != "fast":
        forks.prepare("pages", "workers", "keras")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m fast` does not read what imports TensorFlow or opens a browser."""
    return (config.option.markexpr == "fast" and collection_path.is_file() and tiers.is_heavy(collection_path)) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast tests, and let the files that take longest come first: the last ones fill what time is left."""
    cost: Counter[Path] = Counter()
    for item in items:
        if isinstance(item, pytest.Function) and tiers.is_fast(item):
            item.add_marker("fast")
        cost[item.path] += tiers.cost(item)
    items.sort(key=lambda item: -cost[item.path])


def pytest_collection_finish() -> None:
    """Thousands of tests stay in memory to the end: garbage is not looked for among them. Elsewhere it is looked for
    rarely, since tracing a network makes many objects that stay: a tenth of the time of `tests/neural`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test that `-m fast` runs fails where it starts a process."""
    WATCH.is_on, WATCH.started = item.config.option.markexpr == "fast", []
    try:
        answer = yield
    finally:
        WATCH.is_on = False
    assert not WATCH.started, f"it starts a process, so it is not fast: add its name to tests/tiers.py {WATCH.started}"
    return answer


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs of the table behave as promised, whenever the table was run."""
    rows = {
        outcome: [report for report in terminalreporter.getreports(outcome) if "test_an_input_behaves" in report.nodeid]
        for outcome in ("passed", "failed")
    }
    n = sum(map(len, rows.values()))
    if n:
        terminalreporter.write_line(f"inputs: {len(rows['passed'])} of {n} behave as promised")
