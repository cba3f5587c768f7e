import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core import jobs
from core.errors import HeadstartError
from core.progress import Cancelled
from core.store import Store
from tests.conftest import wait


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def idle(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, str]]:
    """A project whose jobs get no worker: the test plays it."""
    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    yield store, store.add_project("p").id


def pid_of(job: jobs.Job) -> int:
    found = {
        p.pid: p.info["ppid"] for p in psutil.process_iter(["cmdline", "ppid"]) if job.id in (p.info["cmdline"] or [])
    }
    # A process that it starts has its command line too, until it runs its own.
    (first,) = [pid for pid, parent in found.items() if parent not in found]
    return first


def test_a_double_click_is_one_job(idle: tuple[Store, str]) -> None:
    store, project = idle
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(jobs.start(store, project, "intake", {}).id)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1
    assert len(store.read("SELECT id FROM job")) == 1


def test_only_one_worker_gets_a_job(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = jobs.start(store, project, "intake", {})
    with jobs.claim(store, job.id), pytest.raises(HeadstartError, match="Another worker"), jobs.claim(store, job.id):
        pass


def test_reports_are_rows_that_a_later_reader_sees(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = jobs.start(store, project, "train", {})
    with jobs.claim(store, job.id) as ticket:
        ticket.stage("head", 10)
        ticket.epoch(1, {"loss": 0.5})
        ticket.epoch(2, {"loss": 0.25})
        time.sleep(0.5)
        ticket.tick(4)
        seen = jobs.get(store, job.id)
        assert (seen.state, seen.stage, seen.done, seen.total) == ("running", "head", 4, 10)
        ticket.succeed({}, {})
    events = jobs.events(store, job.id)
    assert [(e.kind, e.key) for e in events] == [("stage", "head"), ("epoch", "head 1"), ("epoch", "head 2")]
    assert jobs.events(store, job.id, after=events[1].number) == events[2:]
    assert jobs.get(store, job.id).state == "succeeded"


def test_cancelling_stops_the_worker_at_its_next_report(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = jobs.start(store, project, "train", {})
    with jobs.claim(store, job.id) as ticket:
        jobs.cancel(store, job.id)
        assert jobs.get(store, job.id).state == "cancelling"
        with pytest.raises(Cancelled):
            ticket.epoch(1, {})
        ticket.stop()
    assert jobs.get(store, job.id).state == "cancelled"


def test_a_worker_that_lost_its_job_changes_nothing(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = jobs.start(store, project, "train", {})
    with jobs.claim(store, job.id) as ticket:
        with store.write() as db:
            db.execute("UPDATE job SET token = 'of another worker' WHERE id = ?", (job.id,))
        for report in (lambda: ticket.succeed({}, {}), lambda: ticket.stage("x", 1)):
            with pytest.raises(Cancelled):
                report()
        ticket.fail("internal", {"id": "x"})
        assert jobs.get(store, job.id).state == "running"


def test_a_queued_job_that_never_gets_a_process_is_failed_after_some_tries(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = jobs.start(store, project, "train", {})
    for _ in range(3):
        assert jobs.get(store, job.id).state == "queued"
        with store.write() as db:
            db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    assert jobs.get(store, job.id).state == "queued"
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    assert jobs.get(store, job.id).state == "failed"


def test_a_killed_worker_is_noticed_at_once_and_the_job_can_go_on(store: Store, shapes: Path) -> None:
    project = store.add_project("p").id
    job = jobs.start(store, project, "intake", {"path": str(shapes), "batch": "b"})
    while not jobs.get(store, job.id).stage:
        time.sleep(0.01)
    os.kill(pid_of(job), signal.SIGKILL)
    job = wait(store, job, 5)
    assert job.state == "failed" and job.error == {"code": "worker_died", "values": {"stage": "intake"}}
    job = wait(store, jobs.resume(store, job.id))
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert len(store.dataset(project).pictures) == 36
    assert store.outcomes(project) == {("used", ""): 36}


def test_an_error_of_the_user_reaches_the_job_as_code_and_values(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"Rar!" + bytes(100))
    project = store.add_project("p").id
    job = wait(store, jobs.start(store, project, "intake", {"path": str(tmp_path / "x.zip"), "batch": "b"}))
    assert job.error == {"code": "not_a_zip", "values": {"name": "x.zip", "kind": "a RAR archive"}}


def test_a_fault_of_ours_shows_an_id_and_logs_the_traceback(store: Store) -> None:
    project = store.add_project("p").id
    job = wait(store, jobs.start(store, project, "intake", {"batch": "b"}))
    assert job.error is not None and job.error["code"] == "internal"
    log = jobs.log_path(store, job.id).read_text()
    assert job.error["values"]["id"] in log and "KeyError: 'path'" in log
