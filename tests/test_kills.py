"""Processes are killed at random moments for twenty seconds, and in the end everything is as if nobody had done it.

HEADSTART_TEST_KILLS_S makes it longer, HEADSTART_TEST_KILLS_SEED draws other moments.
"""

import contextlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.pictures import album
from core.plan import PRESETS
from core.runs import requests
from core.store.store import Project, Run, Store
from tests import browser, forks
from tests.workers import wait

SECONDS = float(os.environ.get("HEADSTART_TEST_KILLS_S", "20"))
SEED = int(os.environ.get("HEADSTART_TEST_KILLS_SEED", "0"))
PLAN = PRESETS["linear"].with_(epochs=20)  # that of `trained`
AGAIN = PLAN.with_(epochs=21)
KINDS = ("server", "worker", "decoder", "predictor", "deleter")
# A picture is asked for twice before it is blamed: the second question must be left alone.
DECODER_REST_S = 4.0
DELETE = """
import sys
from pathlib import Path
from core.store.store import Store
Store(Path(sys.argv[1])).delete_project(sys.argv[2])
"""


class Killer:
    """A home with a server, whose processes die at random moments until the time is up and each kind has died."""

    def __init__(self, home: Path, rng: random.Random) -> None:
        self.home, self.rng = home, rng
        self.kills: Counter[str] = Counter()
        self.ends = time.monotonic() + SECONDS
        self.children: set[psutil.Process] = set()
        self._next, self._decoder_at = time.monotonic(), 0.0
        self._port = browser.free_port()
        self.server = self._serve()

    @property
    def is_over(self) -> bool:
        """Whether the time is up, and every kind that `strike` kills has been."""
        return time.monotonic() > self.ends and all(self.kills[kind] for kind in KINDS[:3])

    def _serve(self) -> psutil.Process:
        environment = os.environ | {"HEADSTART_HOME": str(self.home), "HOME": str(self.home.parent)}
        options = ("--server.port", str(self._port), "--server.headless", "true")
        log = self.home.parent / "server.log"
        return psutil.Process(forks.start("pages", browser.SERVER, *options, environment=environment, log=log))

    def strike(self) -> None:
        """Perhaps kill a server, a worker or a decoder now."""
        workers = browser.workers(self.home)
        decoders = [child for worker in workers for child in _children(worker)]
        self.children |= {*workers, *decoders}
        rested = time.monotonic() - self._decoder_at > DECODER_REST_S
        found = {"server": [self.server], "worker": workers, "decoder": decoders if rested else []}
        if time.monotonic() > self.ends:  # those that have died may live now, else a slow job would never end
            found = {kind: alive for kind, alive in found.items() if not self.kills[kind]}
        # The rarest first, and one that never died at once: decoders live for a second or two.
        kind = min((kind for kind in found if found[kind]), key=lambda kind: self.kills[kind], default=None)
        if kind is None or (time.monotonic() < self._next and self.kills[kind]):
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            self.rng.choice(found[kind]).kill()
            self.kills[kind] += 1
        if kind == "decoder":
            self._decoder_at = time.monotonic()
        if kind == "server":
            self.server.wait()
            self.server = self._serve()
        self._next = time.monotonic() + self.rng.expovariate(1)

    def finish(self, store: Store, job: queue.Job | None) -> None:
        """See to it that a job succeeds, whatever dies on the way."""
        assert job is not None
        end = time.monotonic() + SECONDS + 240
        while (job := queue.tend(store, job.id)).state != "succeeded":  # as a page does that is open
            assert time.monotonic() < end, queue.log_path(store, job.id).read_text()
            if job.state == "failed":
                assert job.error is not None and job.error["code"] == "worker_died", job.error
                job = queue.resume(store, job.id)
            self.strike()
            time.sleep(self.rng.uniform(0.01, 0.15))

    def ask(self, folder: Path, data: bytes) -> tuple[tuple[str, float], ...]:
        """What a model says of a picture, its process being killed before it is asked or while it is."""
        with Predictor(folder) as predictor:
            first = predictor.predict(data).scores
            for child in _children(psutil.Process()):
                if "core.explain.predictor:answer" in child.cmdline():
                    child.kill()
                    self.kills["predictor"] += 1
            with contextlib.suppress(HeadstartError):  # the one that was being answered
                assert predictor.predict(data).scores == first
            assert predictor.predict(data).scores == first
        return first

    def delete(self, store: Store, project: Project) -> None:
        """Delete a project, by processes that are killed while they do."""
        for tries in itertools.count(1):
            if all(each.id != project.id for each in store.projects()):
                return
            deleter = subprocess.Popen([sys.executable, "-c", DELETE, str(self.home), project.id], cwd=browser.ROOT)
            if self.is_over and self.kills["deleter"]:
                assert deleter.wait(60) == 0
                continue
            with contextlib.suppress(subprocess.TimeoutExpired):
                deleter.wait(tries * self.rng.uniform(0.05, 0.25))  # longer each time: it must come to an end
            if deleter.poll() is None:
                deleter.kill()
                self.kills["deleter"] += 1
            deleter.wait()


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in process.children() if "core.sandbox.process" in _words(child)]
    return []


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


@pytest.fixture
def killer(tmp_path: Path, trained: Path) -> Iterator[Killer]:
    home = tmp_path / "home"
    shutil.copytree(trained / "networks", home / "networks")
    Store(home)
    found = Killer(home, random.Random(SEED))
    yield found
    with contextlib.suppress(psutil.NoSuchProcess):  # dead already where all went well
        found.server.kill()
        found.server.wait()
    browser.stop_workers(home)


def relabel(store: Store, project: Project) -> None:
    """The first training picture gets another class."""
    first = next(picture for picture in store.dataset(project.id).pictures if picture.part == "train")
    album.relabel(store, project.id, [first.id], "square" if first.label != "square" else "circle")


def outcome(store: Store, run: Run) -> tuple[Any, ...]:
    """All of a finished run that must not depend on what happened on the way."""
    result = store.run(run.id).result
    assert result is not None and store.is_whole(run.id)
    head = (store.folder(run.id) / "head.npz").read_bytes()
    return result.test_accuracy, result.val_accuracy, result.head, result.split, head


def calm(trained: Path, home: Path) -> list[tuple[Any, ...]]:
    """What comes out when nobody is killed: of the first training, and of that after a picture got another class."""
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    first = store.runs(project.id)[0]
    relabel(store, project)
    second, job = requests.train(store, project.id, AGAIN)
    assert job is not None and wait(store, job).state == "succeeded"
    return [outcome(store, run) for run in (first, second)]


def disturbed(killer: Killer, store: Store, shapes: Path) -> tuple[Project, list[tuple[Any, ...]]]:
    """Intake, training, another class for a picture, retraining, with processes dying all the time."""
    project = store.add_project("p")
    killer.finish(store, queue.start(store, project.id, INTAKE, Delivery(str(shapes), "b")))
    runs = []
    for plan in (PLAN, AGAIN):
        run, job = requests.train(store, project.id, plan)
        killer.finish(store, job)
        runs.append(run)
        if plan is PLAN:
            relabel(store, project)
    data = store.pictures.read(store.dataset(project.id).pictures[0].id)
    assert killer.ask(store.folder(runs[0].id), data)
    assert [run.id for run in store.runs(project.id)] == [run.id for run in reversed(runs)]
    assert store.outcomes(project.id) == {("used", ""): 36}
    return project, [outcome(store, run) for run in runs]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def settled(killer: Killer, store: Store) -> None:
    """A last start, which finishes what was cut off; then nobody works on the home any more."""
    killer.server.kill()
    killer.server.wait()
    store.sweep()
    end = time.monotonic() + 30
    while left := [each for each in killer.children if _lives(each)]:
        assert time.monotonic() < end, [_words(each) for each in left]
        time.sleep(0.1)
    assert not browser.workers(killer.home)


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_whatever_is_killed_nothing_is_lost_or_doubled_and_every_score_is_the_same(
    killer: Killer, trained: Path, shapes: Path, tmp_path: Path
) -> None:
    expected, store = calm(trained, tmp_path / "calm"), Store(killer.home)
    killer.ends = time.monotonic() + SECONDS
    kept: list[Project] = []
    for _ in range(20):
        if len(kept) > 1 and killer.is_over:
            break
        project, found = disturbed(killer, store, shapes)
        assert found == expected
        kept.append(project)
        if len(kept) > 2:  # whose pictures are those of the others too
            killer.delete(store, kept.pop(killer.rng.randrange(len(kept))))
    killer.delete(store, kept.pop())
    settled(killer, store)
    print(dict(killer.kills))
    assert set(killer.kills) >= set(KINDS) - {"deleter"}  # a deletion may be done before it is killed
    (project,) = kept
    pictures = {row["id"] for row in store.read("SELECT id FROM picture")}
    assert len(pictures) == 36 == len(store.dataset(project.id).pictures) and store.pictures.keys() == pictures
    assert all(blobs.sha256(store.pictures.path(key)) == key for key in pictures)
    assert {path.stem for path in (store.home / "thumbnails").glob("*/*.jpg")} == pictures
    assert {path.name for path in (store.home / "runs").iterdir()} == {run.id for run in store.runs(project.id)}
    assert [outcome(store, run) for run in reversed(store.runs(project.id))] == expected
    assert store.read("PRAGMA integrity_check")[0][0] == "ok" and not store.read("PRAGMA foreign_key_check")
    killer.delete(store, project)
    store.sweep()
    assert not store.pictures.keys() and not list((store.home / "runs").iterdir())
