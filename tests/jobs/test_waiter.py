import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.disk import locks
from core.jobs import queue
from core.jobs.kinds import DOWNLOAD, INTAKE, SEARCH, Delivery, OfRun, OfWeights
from core.pictures import album
from core.plan import Plan
from core.runs import requests
from core.store.store import Store
from tests.workers import wait


def workers(store: Store) -> list[psutil.Process]:
    """The processes of a home that work or wait, in the order they were started."""
    asked = psutil.process_iter(["cmdline", "create_time"])
    found = [process for process in asked if str(store.home) in (process.info["cmdline"] or [])]
    return sorted(found, key=lambda process: process.info["create_time"])  # one that has ended does not answer any more


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, str]]:
    """A project whose jobs wait until a file `go` lies in the home."""
    monkeypatch.setattr(queue, "PROCESS", [queue.PROCESS[0], "-m", "tests.patient_worker"])
    store = Store(tmp_path / "home")
    yield store, store.add_project("p").id
    for process in workers(store):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def train(store: Store, project: str, number: int | str) -> queue.Job:
    return queue.start(store, project, SEARCH, OfRun(str(number)))


def go(store: Store) -> None:
    (store.home / "go").touch()


def until(condition: Callable[[], object], timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def states(store: Store, *of: queue.Job) -> list[str]:
    return [queue.tend(store, job.id).state for job in of]


def process_of(store: Store, job: queue.Job) -> psutil.Process:
    """The process of a job, once it has the job's lock."""
    until(lambda: locks.holder(store.home, job.id))
    return psutil.Process(locks.holder(store.home, job.id))


def test_jobs_that_compute_work_one_at_a_time_in_the_order_they_came(line: tuple[Store, str]) -> None:
    store, project = line
    other = store.add_project("other").id
    three = [train(store, project, 1), train(store, other, 2), train(store, project, 3)]
    until(lambda: states(store, *three) == ["running", "queued", "queued"])
    assert [job.id for job in queue.computing(store)] == [job.id for job in three]
    assert queue.current(store, project).id == three[0].id and queue.current(store, other).id == three[1].id
    time.sleep(1)
    assert states(store, *three) == ["running", "queued", "queued"]
    go(store)
    ended = [wait(store, job) for job in three]
    assert [job.state for job in ended] == ["succeeded"] * 3 and queue.computing(store) == []
    assert ended[0].ended_at < ended[1].stage_at < ended[1].ended_at < ended[2].stage_at


def test_the_same_request_is_one_job_while_it_waits_and_goes_on_when_it_was_paused(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    assert train(store, project, 2).id == second.id
    queue.pause(store, second.id)
    assert states(store, second) == ["paused"]
    assert train(store, project, 2).id == second.id and states(store, second) == ["queued"]
    go(store)
    assert wait(store, first).state == wait(store, second).state == "succeeded"


def test_pictures_are_read_and_weights_fetched_beside_a_training_one_delivery_at_a_time(
    line: tuple[Store, str],
) -> None:
    store, project = line
    other = store.add_project("other").id
    training = train(store, project, 1)
    first, second = (queue.start(store, project, INTAKE, Delivery(batch=batch)) for batch in "ab")
    elsewhere = queue.start(store, other, INTAKE, Delivery(batch="a"))
    download = queue.start(store, project, DOWNLOAD, OfWeights())
    until(lambda: states(store, training, first, elsewhere, download) == ["running"] * 4)
    assert states(store, second) == ["queued"] and [job.id for job in queue.computing(store)] == [training.id]


def test_when_a_worker_is_killed_the_next_begins(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    until(lambda: states(store, first) == ["running"])
    process_of(store, first).kill()
    until(lambda: states(store, first, second) == ["failed", "running"])


def test_a_killed_process_that_waited_is_replaced_by_whoever_looks_and_keeps_its_place(line: tuple[Store, str]) -> None:
    store, project = line
    three = [train(store, project, number) for number in (1, 2, 3)]
    until(lambda: states(store, *three) == ["running", "queued", "queued"])
    waiting = process_of(store, three[1])
    waiting.kill()
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    assert states(store, three[1]) == ["queued"] and process_of(store, three[1]).pid != waiting.pid
    queue.cancel(store, three[0].id)
    until(lambda: states(store, *three) == ["cancelled", "running", "queued"])


def test_a_worker_that_ends_replaces_those_that_were_killed_while_they_waited(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    process_of(store, second).kill()
    until(lambda: states(store, first) == ["running"])
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    go(store)  # from here on nobody looks at the second
    sql = "SELECT state FROM job WHERE id = ?"
    until(lambda: store.row(sql, second.id)["state"] == "succeeded")


def test_after_a_restart_of_the_machine_the_server_gives_jobs_that_wait_a_process(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    until(lambda: states(store, first) == ["running"])
    for job in (second, first):
        process_of(store, job).kill()
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at - 60")
    queue.tend_all(Store(store.home))
    until(lambda: states(store, first, second) == ["failed", "running"])


def test_cancelling_and_pausing_what_waits_takes_it_out_of_the_line_and_resuming_puts_it_at_the_end(
    line: tuple[Store, str],
) -> None:
    store, project = line
    four = [train(store, project, number) for number in range(4)]
    until(lambda: states(store, four[0]) == ["running"])
    queue.cancel(store, four[1].id)
    queue.pause(store, four[2].id)
    assert states(store, *four) == ["running", "cancelled", "paused", "queued"]
    assert [job.id for job in queue.paused(store)] == [four[2].id]
    queue.resume(store, four[2].id)
    assert [job.id for job in queue.computing(store)] == [four[0].id, four[3].id, four[2].id]
    go(store)
    assert wait(store, four[3]).ended_at < wait(store, four[2]).stage_at
    until(lambda: workers(store) == [])
    assert states(store, *four) == ["succeeded", "cancelled", "succeeded", "succeeded"]


def test_a_paused_training_holds_nobody_up_and_is_as_paused_after_a_restart(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    until(lambda: states(store, first) == ["running"])
    queue.pause(store, first.id)
    until(lambda: states(store, first, second) == ["paused", "running"])
    later = Store(store.home)
    queue.tend_all(later)
    assert states(later, first) == ["paused"]
    queue.resume(later, first.id)
    go(store)
    assert (wait(later, first).state, queue.get(later, first.id).attempt) == ("succeeded", 2)


@pytest.mark.parametrize(("ask", "ended"), [(queue.cancel, "cancelled"), (queue.pause, "paused")])
def test_work_that_cannot_be_interrupted_is_ended_from_outside(
    line: tuple[Store, str], ask: Callable[[Store, str], None], ended: str
) -> None:
    store, project = line
    job = train(store, project, "deaf")
    until(lambda: queue.get(store, job.id).stage == "head")
    ask(store, job.id)
    until(lambda: states(store, job) == [ended])
    assert queue.get(store, job.id).failure is None


def test_a_process_that_waits_is_small_and_becomes_the_worker_that_trains(store: Store, shapes: Path) -> None:
    project = store.add_project("p").id
    wait(store, queue.start(store, project, INTAKE, Delivery(str(shapes), "b")))
    album.divide(store, project)
    _, first = requests.train(store, project, Plan(epochs=500, hidden_units=4096))
    run, second = requests.train(store, project, Plan(epochs=3))
    assert first is not None and second is not None
    waiting = process_of(store, second)
    assert waiting.memory_info().rss < 25e6
    assert not [entry.path for entry in waiting.memory_maps() if "numpy" in entry.path]
    assert states(store, second) == ["queued"]
    queue.cancel(store, first.id)
    until(lambda: states(store, second) == ["running"])
    assert process_of(store, second).pid == waiting.pid
    assert wait(store, second).state == "succeeded" and requests.is_finished(store, store.run(run.id))


def test_a_clock_that_was_set_back_makes_no_line_wait(line: tuple[Store, str]) -> None:
    store, project = line
    three = [train(store, project, number) for number in (1, 2, 3)]
    until(lambda: states(store, *three) == ["running", "queued", "queued"])
    gone = process_of(store, three[1])
    gone.kill()
    with store.write() as db:  # started when the clock was a day ahead
        db.execute("UPDATE job SET spawned_at = spawned_at + 86400 WHERE id = ?", (three[1].id,))
    go(store)  # from here on nobody looks: neither may wait for the day to come again
    ended = "SELECT COUNT(*) n FROM job WHERE state = 'succeeded'"
    until(lambda: store.row(ended)["n"] == 3)


def test_a_clock_that_was_set_back_gives_a_job_that_lost_its_process_another(line: tuple[Store, str]) -> None:
    store, project = line
    first, second = train(store, project, 1), train(store, project, 2)
    until(lambda: states(store, first) == ["running"])
    gone = process_of(store, second)
    gone.kill()
    with store.write() as db:
        db.execute("UPDATE job SET spawned_at = spawned_at + 86400 WHERE id = ?", (second.id,))
    assert states(store, second) == ["queued"] and process_of(store, second).pid != gone.pid


def test_a_clock_that_was_set_back_spares_no_worker_that_does_not_stop(line: tuple[Store, str]) -> None:
    store, project = line
    deaf = train(store, project, "deaf")
    until(lambda: states(store, deaf) == ["running"])
    queue.cancel(store, deaf.id)
    with store.write() as db:  # asked when the clock was an hour ahead
        db.execute("UPDATE job SET asked_at = asked_at + 3600 WHERE id = ?", (deaf.id,))
    until(lambda: states(store, deaf) == ["cancelled"])
    assert locks.holder(store.home, deaf.id) is None
