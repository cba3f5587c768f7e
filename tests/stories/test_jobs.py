import re
import shutil
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from core import backbones
from core.jobs import queue
from core.jobs.kinds import COMPARE, DOWNLOAD, INTAKE, SEARCH, Delivery, OfWeights
from core.plan import Plan
from core.runs import requests
from core.scores import comparison
from core.store.store import Project, Store
from pages.parts.frame.words import say
from tests import browser, drawing, workers
from tests.browser import Server, button
from tests.texts import shown
from tests.workers import wait

pytestmark = pytest.mark.browser


@pytest.fixture
def found(app: Server, tmp_path: Path) -> Project:
    """A project with pictures of three classes, whose training begins with a few seconds of converting."""
    store = app.store
    shutil.rmtree(app.home / "networks", ignore_errors=True)
    project = store.add_project("Shapes")
    folder = drawing.folders(tmp_path / "shapes")
    with workers.no_processes():
        job = queue.start(store, project.id, INTAKE, Delivery(str(folder), "shapes"))
        assert wait(store, job).state == "succeeded"
    return project


def open_training(page: Page, app: Server, found: Project) -> None:
    page.goto(f"{app.url}/train?project={found.id}")
    browser.choose_fast(page)
    expect(button(page, say("start"))).to_be_enabled()


def trainings(store: Store) -> list[str]:
    """The states of all training jobs."""
    return [row["state"] for row in store.read("SELECT state FROM job WHERE kind = 'train'")]


def test_two_tabs_that_press_start_watch_one_job(chromium: Browser, app: Server, found: Project) -> None:
    with browser.tab(chromium, app.url) as one, browser.tab(chromium, app.url) as two:
        open_training(one, app, found)
        open_training(two, app, found)
        button(one, say("start")).click(no_wait_after=True)
        button(two, say("start")).click(no_wait_after=True)
        expect(button(one, "Cancel")).to_be_visible()
        expect(button(two, "Cancel")).to_be_visible()
        assert len(trainings(app.store)) == 1
        assert len(browser.workers(app.home)) == 1
        button(two, "Cancel").click()
        expect(one.get_by_text(say("train_cancelled"))).to_be_visible()
        expect(two.get_by_text(say("train_cancelled"))).to_be_visible()
        expect(button(one, say("start"))).to_be_enabled()
        assert trainings(app.store) == ["cancelled"]


def test_a_killed_worker_is_reported_within_20_seconds_and_go_on_finishes_the_training(
    page: Page, app: Server, found: Project
) -> None:
    _, job = requests.train(app.store, found.id, Plan(epochs=500, hidden_units=1024))
    assert job is not None
    page.goto(f"{app.url}/train?project={found.id}")
    steps = "|".join(say(f"stage.{name}") for name in ("convert", "features", "head"))
    expect(page.get_by_role("status").get_by_text(re.compile(steps))).to_be_visible()
    (worker,) = browser.workers(app.home, job.id)
    worker.kill()
    expect(page.get_by_text(say("train_died"))).to_be_visible(timeout=20_000)
    button(page, say("resume")).click()
    browser.await_results(page)
    again = queue.get(app.store, job.id)
    assert (again.state, again.attempt) == ("succeeded", 2)
    assert app.store.is_whole(again.runs[0])


def test_a_training_goes_on_without_the_server_and_is_there_after_its_restart(
    chromium: Browser, tmp_path: Path
) -> None:
    home, port = tmp_path / "home", browser.free_port()
    store = Store(home)
    project = store.add_project("Shapes")
    folder = drawing.folders(tmp_path / "shapes")
    assert wait(store, queue.start(store, project.id, INTAKE, Delivery(str(folder), "a"))).state == "succeeded"
    try:
        with browser.tab(chromium, f"http://127.0.0.1:{port}", outage=True) as page:
            with browser.server(home, port, by_command=True) as first:
                open_training(page, first, project)
                button(page, say("start")).click()
                expect(button(page, "Cancel")).to_be_visible()
                (worker,) = browser.workers(home)
            assert not first.process.is_running() and psutil.pid_exists(worker.pid)
            with browser.server(home, port, by_command=True):
                browser.await_results(page)  # the same tab finds its server again
    finally:
        browser.stop_workers(home)
    assert [(job["state"], job["attempt"]) for job in store.read("SELECT * FROM job WHERE kind = 'train'")] == [
        ("succeeded", 1)
    ]


def test_cancel_stops_a_training_and_go_on_finishes_it(page: Page, app: Server, found: Project) -> None:
    run, job = requests.train(app.store, found.id, Plan(epochs=500))
    assert job is not None
    page.goto(f"{app.url}/train?project={found.id}")
    button(page, "Cancel").click()
    expect(page.get_by_text(say("train_cancelled"))).to_be_visible()
    assert queue.get(app.store, job.id).state == "cancelled"
    assert app.store.run(run.id).result is None
    button(page, say("resume")).click()
    browser.await_results(page)
    assert queue.get(app.store, job.id).state == "succeeded"


def test_a_second_training_waits_in_line_and_both_can_be_paused_resumed_and_cancelled(
    page: Page, app: Server, found: Project
) -> None:
    store = app.store
    _, long = requests.train(store, found.id, Plan(epochs=500, hidden_units=4096))
    assert long is not None
    page.goto(f"{app.url}/train?project={found.id}")
    browser.choose_fast(page)
    button(page, say("enqueue")).click()
    expect(page.get_by_text("1. Training of Starter in Shapes")).to_be_visible()
    (waiting,) = [job for job in queue.computing(store) if job.id != long.id]
    button(page, say("enqueue")).click()
    expect(page.get_by_text(say("already_queued"))).to_be_visible()
    assert [job.id for job in queue.computing(store)] == [long.id, waiting.id]
    browser.by_key(page, f"pause-{long.id}").get_by_role("button").click()
    expect(page.get_by_text(re.compile("Training of Starter in Shapes.*paused"))).to_be_visible()
    assert queue.get(store, long.id).state == "paused"
    browser.await_results(page)  # the short one went first
    assert queue.get(store, waiting.id).state == "succeeded"
    browser.step(page, "Train")
    browser.by_key(page, f"resume-{long.id}").get_by_role("button").click()
    browser.by_key(page, f"cancel-{long.id}").get_by_role("button").click()
    expect(page.get_by_text(say("train_cancelled"))).to_be_visible()
    assert queue.get(store, long.id).state == "cancelled"


def test_weights_that_could_not_be_had_are_told_until_one_closes_that(
    page: Page, app: Server, found: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    job = queue.start(app.store, found.id, DOWNLOAD, OfWeights("VGG16"))
    with queue.claim(app.store, job.id) as ticket:
        ticket.fail("weights_missing", {"backbone": "VGG16", "url": "https://example.org/w.h5", "folder": "models"})
    page.goto(f"{app.url}/train?project={found.id}")
    expect(page.get_by_text(say("download_failed"))).to_be_visible()
    button(page, "Close").click()
    expect(page.get_by_text(say("download_failed"))).to_have_count(0)
    expect(button(page, say("start"))).to_be_enabled()


_TOLD = """
window.told = []
window.Notification = class extends Notification {
  constructor(title, options) { super(title, options); window.told.push([title, options.body]) }
}
"""


def test_a_delivery_of_which_nothing_can_be_used_is_dismissed_by_one_click(
    page: Page, app: Server, tmp_path: Path
) -> None:
    project = app.store.add_project("Letters")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("hello")
    delivery = Delivery(str(tmp_path / "letters"), "letters")
    assert wait(app.store, queue.start(app.store, project.id, INTAKE, delivery)).state == "failed"
    page.goto(f"{app.url}/data?project={project.id}")
    failed = page.get_by_text(say("intake_failed"))
    expect(failed).to_be_visible()
    button(page, "Dismiss").click()
    expect(failed).to_have_count(0)
    expect(page.get_by_text(say("data_empty"))).to_be_visible()


def test_the_end_of_a_training_is_told_by_a_notification_and_by_the_title_of_a_hidden_tab(
    page: Page, app: Server, found: Project
) -> None:
    page.context.grant_permissions(["notifications"])
    page.add_init_script(_TOLD)
    open_training(page, app, found)
    requests.train(app.store, found.id, Plan(epochs=500, hidden_units=1024))
    page.reload()
    page.get_by_role("switch", name=say("bell")).check()
    browser.step(page, "Data")  # any page tells
    expect(page.get_by_text(say("all_used", n=36))).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    expect(page).to_have_title("Done - Headstart", timeout=browser.TRAIN_S * 1000)
    assert page.evaluate("window.told") == [["Done: training of Starter", "Shapes"]]
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_title(re.compile("^Headstart$|^Data"))


@pytest.mark.weights
def test_comparing_backbones_ends_in_a_leaderboard_and_a_search_in_a_run(
    chromium: Browser, tmp_path: Path, keras_home: Path, received: Path
) -> None:
    home = Path(shutil.copytree(received, tmp_path / "home"))
    try:
        with browser.server(home, browser.free_port(), keras_home) as app, browser.tab(chromium, app.url) as page:
            project = app.store.projects()[0].id
            page.goto(f"{app.url}/train?project={project}")
            browser.choose_fast(page)
            button(page, say("compare")).click()
            expect(page.get_by_text(re.compile(r"\(1 of 2\)"))).to_be_visible()
            expect(page.get_by_text(say("leaderboard"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
            names = {run.id: run.outcome.backbone for run in app.store.runs(project)}
            assert sorted(names.values()) == ["MobileNetV2", "Starter"]
            job = queue.latest(app.store, project, COMPARE)
            assert job is not None
            (folds,) = [event.facts["right"] for event in queue.events(app.store, job.id) if event.kind == "folds"]
            hits = {key: [hit == "1" for hit in folds[key]] for key in names}
            order, best = comparison.ranked(hits, {key: backbones.find(name).transfer for key, name in names.items()})
            if len(best) == 1:
                verdict = shown("compare_clear", best=names[order[0]], second=names[order[1]])
            else:
                listed = names[best[0]] + say("and_last", name=names[best[1]])
                verdict = shown("compare_close", n=len(hits[order[0]]), names=listed)
            expect(page.get_by_text(verdict)).to_be_visible()
            button(page, say("search")).click()
            expect(page.get_by_role("status").get_by_text(say("stage.search"))).to_be_visible(timeout=60_000)
            expect(page.get_by_text(say("tries"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
            job = queue.latest(app.store, project, SEARCH)
            assert job is not None and job.state == "succeeded"
            (told,) = [event.facts for event in queue.events(app.store, job.id) if event.kind == "search"]
            assert app.store.is_whole(told["run"])
            browser.step(page, "Results")
            expect(page.get_by_text(re.compile(r"Right on \d+ of \d+ pictures"))).to_be_visible()
    finally:
        browser.stop_workers(home)
