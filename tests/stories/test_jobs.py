import re
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from core import jobs
from core.plan import Plan
from core.store import Project, Store
from tests import browser, pictures
from tests.browser import Server, button
from tests.conftest import wait

pytestmark = pytest.mark.browser


@pytest.fixture
def found(app: Server, tmp_path: Path) -> Project:
    """A project of that server with pictures of three classes."""
    store = app.store
    project = store.add_project("Shapes")
    folder = pictures.folders(tmp_path / "shapes")
    job = jobs.start(store, project.id, "intake", {"path": str(folder), "batch": "shapes"})
    assert wait(store, job).state == "succeeded"
    return project


def open_training(page: Page, app: Server, found: Project) -> None:
    page.goto(f"{app.url}/train?project={found.id}")
    browser.choose_fast(page)
    expect(button(page, "Start training")).to_be_enabled()


def trainings(store: Store) -> list[str]:
    """The states of all training jobs."""
    return [row["state"] for row in store.read("SELECT state FROM job WHERE kind = 'train'")]


def test_two_tabs_that_press_start_watch_one_job(chromium: Browser, app: Server, found: Project) -> None:
    with browser.tab(chromium, app.url) as one, browser.tab(chromium, app.url) as two:
        open_training(one, app, found)
        open_training(two, app, found)
        button(one, "Start training").click(no_wait_after=True)
        button(two, "Start training").click(no_wait_after=True)
        expect(button(one, "Cancel")).to_be_visible()
        expect(button(two, "Cancel")).to_be_visible()
        assert len(trainings(app.store)) == 1
        assert len(browser.workers(app.home)) == 1
        button(two, "Cancel").click()
        expect(one.get_by_text("The training was cancelled")).to_be_visible()
        expect(two.get_by_text("The training was cancelled")).to_be_visible()
        expect(button(one, "Start training")).to_be_enabled()
        assert trainings(app.store) == ["cancelled"]


def test_a_killed_worker_is_reported_within_20_seconds_and_go_on_finishes_the_training(
    page: Page, app: Server, found: Project
) -> None:
    open_training(page, app, found)
    button(page, "Start training").click()
    expect(page.get_by_text(re.compile("Preparing the backbone|Looking at each picture"))).to_be_visible()
    job = jobs.latest(app.store, found.id, "train")
    assert job is not None
    (worker,) = browser.workers(app.home, job.id)
    worker.kill()
    expect(page.get_by_text("The training was interrupted")).to_be_visible(timeout=20_000)
    button(page, "Go on").click()
    browser.await_results(page)
    again = jobs.get(app.store, job.id)
    assert (again.state, again.attempt) == ("succeeded", 2)
    assert app.store.is_whole(str(again.run_id))


def test_a_training_goes_on_without_the_server_and_is_there_after_its_restart(
    chromium: Browser, tmp_path: Path
) -> None:
    home, port = tmp_path / "home", browser.free_port()
    store = Store(home)
    project = store.add_project("Shapes")
    folder = pictures.folders(tmp_path / "shapes")
    assert (
        wait(store, jobs.start(store, project.id, "intake", {"path": str(folder), "batch": "a"})).state == "succeeded"
    )
    try:
        with browser.tab(chromium, f"http://127.0.0.1:{port}", outage=True) as page:
            with browser.server(home, port) as first:
                open_training(page, first, project)
                button(page, "Start training").click()
                expect(button(page, "Cancel")).to_be_visible()
                (worker,) = browser.workers(home)
            assert first.process.poll() is not None and psutil.pid_exists(worker.pid)
            with browser.server(home, port):
                browser.await_results(page)  # the same tab finds its server again
    finally:
        browser.stop_workers(home)
    assert [(job["state"], job["attempt"]) for job in store.read("SELECT * FROM job WHERE kind = 'train'")] == [
        ("succeeded", 1)
    ]


def test_cancel_stops_a_training_and_go_on_finishes_it(page: Page, app: Server, found: Project) -> None:
    run, job = jobs.train(app.store, found.id, Plan(epochs=500))
    assert job is not None
    page.goto(f"{app.url}/train?project={found.id}")
    button(page, "Cancel").click()
    expect(page.get_by_text("The training was cancelled")).to_be_visible()
    assert jobs.get(app.store, job.id).state == "cancelled"
    assert app.store.run(run.id).result is None
    button(page, "Go on").click()
    browser.await_results(page)
    assert jobs.get(app.store, job.id).state == "succeeded"


def test_a_second_training_waits_in_line_and_both_can_be_paused_resumed_and_cancelled(
    page: Page, app: Server, found: Project
) -> None:
    store = app.store
    _, long = jobs.train(store, found.id, Plan(epochs=500, hidden_units=4096))
    assert long is not None
    page.goto(f"{app.url}/train?project={found.id}")
    browser.choose_fast(page)
    button(page, "Add to queue").click()
    expect(page.get_by_text("1. Training of Starter in Shapes")).to_be_visible()
    (waiting,) = [job for job in jobs.line(store) if job.id != long.id]
    button(page, "Add to queue").click()
    expect(page.get_by_text("This training is at work or waits already")).to_be_visible()
    assert [job.id for job in jobs.line(store)] == [long.id, waiting.id]
    browser.by_key(page, f"pause-{long.id}").get_by_role("button").click()
    expect(page.get_by_text(re.compile("Training of Starter in Shapes.*paused"))).to_be_visible()
    assert jobs.get(store, long.id).state == "paused"
    browser.await_results(page)  # the short one went first
    assert jobs.get(store, waiting.id).state == "succeeded"
    browser.step(page, "Train")
    browser.by_key(page, f"resume-{long.id}").get_by_role("button").click()
    browser.by_key(page, f"cancel-{long.id}").get_by_role("button").click()
    expect(page.get_by_text("The training was cancelled")).to_be_visible()
    assert jobs.get(store, long.id).state == "cancelled"


def test_weights_that_could_not_be_had_are_told_until_one_closes_that(
    page: Page, app: Server, found: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    job = jobs.start(app.store, found.id, "download", {"backbone": "VGG16"})
    with jobs.claim(app.store, job.id) as ticket:
        ticket.fail("weights_missing", {"backbone": "VGG16", "url": "https://example.org/w.h5", "folder": "models"})
    page.goto(f"{app.url}/train?project={found.id}")
    expect(page.get_by_text("The download stopped")).to_be_visible()
    button(page, "Close").click()
    expect(page.get_by_text("The download stopped")).to_have_count(0)
    expect(button(page, "Start training")).to_be_enabled()


_TOLD = """
window.told = []
window.Notification = class extends Notification {
  constructor(title, options) { super(title, options); window.told.push([title, options.body]) }
}
"""


def test_the_end_of_a_training_is_told_by_a_notification_and_by_the_title_of_a_hidden_tab(
    page: Page, app: Server, found: Project
) -> None:
    page.context.grant_permissions(["notifications"])
    page.add_init_script(_TOLD)
    open_training(page, app, found)
    jobs.train(app.store, found.id, Plan(epochs=500, hidden_units=1024))
    page.reload()
    page.get_by_role("switch", name="Tell me when it is done").check()
    browser.step(page, "Data")  # any page tells
    expect(page.get_by_text("All 36 files are used")).to_be_visible()
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    expect(page).to_have_title("Done - Headstart", timeout=browser.TRAIN_S * 1000)
    assert page.evaluate("window.told") == [["Done: training of Starter", "Shapes"]]
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_title(re.compile("^Headstart$|^Data"))


@pytest.mark.weights
def test_comparing_backbones_ends_in_a_leaderboard_and_a_search_in_a_run(
    chromium: Browser, tmp_path: Path, keras_home: Path
) -> None:
    home = tmp_path / "home"
    try:
        with browser.server(home, browser.free_port(), keras_home) as app, browser.tab(chromium, app.url) as page:
            project = browser.try_sample(page, app.url)
            browser.step(page, "Train")
            button(page, "Compare backbones").click()
            expect(page.get_by_text(re.compile(r"\(1 of 2\)"))).to_be_visible()
            expect(page.get_by_text("Backbones compared")).to_be_visible(timeout=browser.TRAIN_S * 1000)
            expect(page.get_by_text(re.compile("by more than chance|within the noise"))).to_be_visible()
            names = {str((run.result or {})["backbone"]) for run in app.store.runs(project)}
            assert names == {"Starter", "MobileNetV2"}
            button(page, "Find the best head settings").click()
            expect(page.get_by_text("Trying settings of the head")).to_be_visible(timeout=60_000)
            expect(page.get_by_text("Head settings tried")).to_be_visible(timeout=browser.TRAIN_S * 1000)
            job = jobs.latest(app.store, project, "search")
            assert job is not None and job.state == "succeeded"
            (told,) = [event.facts for event in jobs.events(app.store, job.id) if event.kind == "search"]
            assert app.store.is_whole(told["run"])
            browser.step(page, "Results")
            expect(page.get_by_text(re.compile(r"Right on \d+ of \d+ pictures"))).to_be_visible()
    finally:
        browser.stop_workers(home)
