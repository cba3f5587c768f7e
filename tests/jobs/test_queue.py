import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.disk import locks
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import COMPUTE, INTAKE, TRAIN, Delivery, Kind, OfProject, OfRun
from core.language.catalog import say
from core.progress import Cancelled
from core.store.store import Store
from tests import drawing
from tests.workers import wait


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def idle(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, str]]:
    """A project whose jobs get no worker: the test plays it."""
    monkeypatch.setattr(queue, "PROCESS", [])
    yield store, store.add_project("p").id


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many pictures that a worker is still at them when it is killed, however busy the machine is."""
    return drawing.folders(tmp_path_factory.mktemp("many"), 300)


def pid_of(job: queue.Job) -> int:
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
        threading.Thread(target=lambda: made.append(queue.start(store, project, INTAKE, Delivery()).id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1
    assert len(store.read("SELECT id FROM job")) == 1


def test_only_one_worker_gets_a_job(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = queue.start(store, project, INTAKE, Delivery())
    with queue.claim(store, job.id), pytest.raises(HeadstartError, match="Another worker"), queue.claim(store, job.id):
        pass


def test_reports_are_rows_that_a_later_reader_sees(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = queue.start(store, project, TRAIN, OfRun())
    with queue.claim(store, job.id) as ticket:
        ticket.stage("head", 10)
        ticket.epoch(1, {"loss": 0.5})
        ticket.epoch(2, {"loss": 0.25})
        time.sleep(0.5)
        ticket.tick(4)
        seen = queue.get(store, job.id)
        assert (seen.state, seen.stage, seen.done, seen.total) == ("running", "head", 4, 10)
        ticket.succeed()
    events = queue.events(store, job.id)
    assert [(e.kind, e.key) for e in events] == [("stage", "head"), ("epoch", "head 1"), ("epoch", "head 2")]
    assert queue.events(store, job.id, after=events[1].number) == events[2:]
    assert queue.get(store, job.id).state == "succeeded"


def test_cancelling_stops_the_worker_at_its_next_report(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = queue.start(store, project, TRAIN, OfRun())
    with queue.claim(store, job.id) as ticket:
        queue.cancel(store, job.id)
        assert queue.get(store, job.id).state == "cancelling"
        with pytest.raises(Cancelled):
            ticket.epoch(1, {})
        ticket.stop()
    assert queue.get(store, job.id).state == "cancelled"


def test_a_worker_that_lost_its_job_changes_nothing(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = queue.start(store, project, TRAIN, OfRun())
    with queue.claim(store, job.id) as ticket:
        with store.write() as db:
            db.execute("UPDATE job SET token = 'of another worker' WHERE id = ?", (job.id,))
        for report in (lambda: ticket.succeed(), lambda: ticket.stage("x", 1)):
            with pytest.raises(Cancelled):
                report()
        ticket.fail("internal", {"id": "x"})
        assert queue.get(store, job.id).state == "running"


def test_a_queued_job_that_never_gets_a_process_is_failed_after_some_tries(idle: tuple[Store, str]) -> None:
    store, project = idle
    job = queue.start(store, project, TRAIN, OfRun())
    for _ in range(3):
        assert queue.tend(store, job.id).state == "queued"
        with store.write() as db:
            db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    assert queue.tend(store, job.id).state == "queued"
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    assert queue.tend(store, job.id).state == "failed"


def test_a_killed_worker_is_noticed_at_once_and_the_job_can_go_on(store: Store, many: Path) -> None:
    project = store.add_project("p").id
    job = queue.start(store, project, INTAKE, Delivery(str(many), "b"))
    while not queue.get(store, job.id).stage:
        time.sleep(0.01)
    os.kill(pid_of(job), signal.SIGKILL)
    job = wait(store, job, 5)
    assert job.state == "failed" and job.error == {"code": "worker_died", "values": {"stage": "intake"}}
    job = wait(store, queue.resume(store, job.id))
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert len(store.dataset(project).pictures) == 900
    assert store.outcomes(project) == {("used", ""): 900}


def test_a_worker_that_was_killed_while_memory_ran_out_says_so_and_its_job_can_go_on(
    store: Store, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = store.add_project("p").id
    job = queue.start(store, project, INTAKE, Delivery(str(many), "b"))
    while not queue.get(store, job.id).stage:
        time.sleep(0.01)
    count = locks._stopped()
    assert not locks.ran_out(store.home, job.id)
    monkeypatch.setattr(locks, "_stopped", lambda: count + 1)  # as the kernel counts one more
    os.kill(pid_of(job), signal.SIGKILL)
    job = wait(store, job, 5)
    assert job.state == "failed" and job.error == {"code": "worker_starved", "values": {"stage": "intake"}}
    assert job.failure is not None
    assert job.failure.message == (say("error.worker_starved", stage="Reading pictures"))
    monkeypatch.undo()
    assert wait(store, queue.resume(store, job.id)).state == "succeeded"
    assert not locks.ran_out(store.home, job.id)


def test_an_error_of_the_user_reaches_the_job_as_code_and_values(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"Rar!" + bytes(100))
    project = store.add_project("p").id
    job = wait(store, queue.start(store, project, INTAKE, Delivery(str(tmp_path / "x.zip"), "b")))
    assert job.error == {"code": "not_a_zip", "values": {"name": "x.zip", "kind": "rar"}}


def test_a_fault_of_ours_shows_an_id_and_logs_the_traceback(store: Store) -> None:
    project = store.add_project("p").id
    nobody = Kind("no such kind", COMPUTE, OfProject, "", "")
    job = wait(store, queue.start(store, project, nobody, OfProject()))
    assert job.error is not None and job.error["code"] == "internal"
    log = queue.log_path(store, job.id).read_text()
    assert job.error["values"]["id"] in log and "Traceback" in log
