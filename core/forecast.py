"""How long a job still takes: the steps before it, what each costs on this machine, corrected by what is done.

`steps` lists what a training has to do, with costs that earlier trainings of this home measured, or else with rough
ones of a machine with two cores. A `Forecast` follows the work: the step at work is judged by its own pace, those
after it by how much slower or faster than expected the ones before were.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core import backbones, shelf
from core.backbones import Backbone
from core.plan import Plan
from core.settings import cores

# Without measurements: one core's time to read a photograph; on two cores one epoch of a head for one picture and
# 5,000 weights, one epoch of fine-tuning for one picture and block, importing TensorFlow and building a network, saving
# and checking a model, one more second for each so many parameters to convert or save.
_DECODE_S = 0.003
_HEAD_S = 5e-6
_TUNE_S = 0.0007
_LOAD_S = 4.0
_SAVE_S = 2.5
_PARAMETERS = 2e6
# Two measurements count the same, so that one slow hour is soon forgotten.
_NEWER = 0.5
# Seconds of work after which its own pace is believed as much as what was expected.
_BELIEF_S = 1.5
_PRIOR_S = 3.0
_PROBE_S = 0.1
# What is said moves toward what is known with this time constant, so that it does not jump.
_CALM_S = 2.0


@dataclass(frozen=True)
class Step:
    """`units` of work in a stage at `unit_s` seconds each; measured costs are kept under `key`."""

    stage: str
    units: float
    unit_s: float
    key: str

    @property
    def seconds(self) -> float:
        return self.units * self.unit_s


class Speeds:
    """What a unit of work took on this machine, in one small file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, float] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def step(self, stage: str, what: str, units: float, unit_s: float) -> Step:
        """A step at its measured cost, or at `unit_s` when it was never done."""
        key = f"{stage} {what}"
        return Step(stage, units, self._known.get(key, unit_s), key)

    def keep(self, step: Step, seconds: float) -> None:
        """A step has taken so long."""
        measured = seconds / step.units
        known = self._known.get(step.key, measured)
        self._known[step.key] = known + _NEWER * (measured - known)
        shelf.write(self._path, json.dumps(self._known).encode())


@dataclass(frozen=True)
class Work:
    """What a training finds: the pictures it learns from and those held out, how many views have no features yet,
    whether the network is converted and the head is trained."""

    train: int
    held_out: int
    missing: int
    converted: bool
    head_done: bool = False


def steps(plan: Plan, work: Work, speeds: Speeds) -> tuple[Step, ...]:
    """The steps of a training in their order."""
    backbone = backbones.find(plan.backbone)
    size_s = backbone.parameters / _PARAMETERS
    picture_s = picture_cost_s(backbone)
    views = work.train * (plan.augment + 1)
    width = backbone.width * (plan.hidden_units or 4) * (49 if plan.pooling == "flatten" else 1)
    width += plan.hidden_units**2 * max(0, plan.hidden_layers - 1)
    name, found = backbone.name, []
    loaded = False
    if not work.converted:
        found.append(speeds.step("convert", name, 1, _LOAD_S + size_s))
        loaded = True
    if work.missing:
        found.append(speeds.step("features", f"{name} {plan.precision}", work.missing, picture_s))
    if not work.head_done:
        head_s = _HEAD_S * max(1.0, width / 5_000)
        what = f"{name} {plan.pooling} {plan.hidden_units} {plan.hidden_layers} {plan.batch_size}"
        found.append(speeds.step("head", what, (views + work.held_out) * plan.epochs, head_s))
    if plan.fine_tune_blocks:
        what = f"{name} {plan.fine_tune_blocks}"
        if not loaded:
            found.append(speeds.step("load", name, 1, _LOAD_S))
        tune_s = _TUNE_S * plan.fine_tune_blocks
        found += [
            speeds.step("boundary", what, views + work.held_out / 2, picture_s),
            speeds.step("fine_tune", what, views * plan.fine_tune_epochs, tune_s),
            speeds.step("convert", f"{name} tuned", 1, size_s + 1),
            speeds.step("evaluate", name, max(1, work.held_out), picture_s),
        ]
        loaded = True
    kind = "loaded" if loaded else "cold"
    found.append(speeds.step("save", f"{name} {kind}", 1, _SAVE_S + size_s + (0 if loaded else _LOAD_S)))
    return tuple(found)


def picture_cost_s(backbone: Backbone) -> float:
    """About how long one of many pictures takes from its file to its features, on all cores, before it was measured."""
    return (_DECODE_S + backbone.cpu_ms / 1000) / cores()


def estimate_s(plan: Plan, n_pictures: int, speeds: Speeds) -> float:
    """About how many seconds a training takes that finds nothing done but knows what its steps cost here. A training
    that stops early takes less."""
    train = round(0.7 * n_pictures)
    work = Work(train, n_pictures - train, n_pictures + train * plan.augment, converted=False)
    return sum(step.seconds for step in steps(plan, work, speeds))


def crowd() -> float:
    """How many times slower than alone this process is, because others want the processors too: the time that passes
    while it computes for a tenth of a second."""
    started, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < _PROBE_S:
        pass
    return max(1.0, (time.perf_counter() - started) / _PROBE_S)


def remaining(left: float, later: float, passed: float) -> float:
    """What is left of `left` seconds, `later` of them after the stage at work, when nothing was heard for `passed`
    seconds: a stage that takes longer than was expected says that the machine is slower."""
    here = left - later
    if passed <= here:
        return left - passed
    return later * (_PRIOR_S + passed) / (_PRIOR_S + here)


class Forecast:
    """Where a job is among its steps. Times are seconds of any clock; `ahead_s` is work after the steps, `crowd` how
    many times slower than expected all is at first."""

    def __init__(self, todo: Sequence[Step] = (), ahead_s: float = 0.0, crowd: float = 1.0) -> None:
        self._todo = list(todo)
        self._ahead_s = ahead_s
        self._crowd = crowd
        self._step: Step | None = None
        self._began = 0.0
        self._total = 0.0
        self._ticks: list[tuple[float, float]] = []  # the first and the last one: when, and how much was done
        self._taken, self._expected = _PRIOR_S * crowd, _PRIOR_S  # by the steps that are done, and what is believed
        self._said: tuple[float, float] | None = None  # when something was said, and what

    def stage(self, name: str, total: float, now: float) -> tuple[Step, float] | None:
        """A stage begins, of `total` units. Answers the step that ended with that and the seconds it took (would have
        taken without others), if all of it was done now."""
        ended = self.end(now)
        place = next((i for i, step in enumerate(self._todo) if step.stage == name), None)
        if place is not None:
            self._step = self._todo[place]
            del self._todo[: place + 1]
        self._began, self._total = now, total
        return ended

    def tick(self, done: float, now: float) -> None:
        """So much of the stage is done."""
        self._ticks[1:] = [(now, done)]

    def end(self, now: float) -> tuple[Step, float] | None:
        """The stage has ended; answers as `stage`."""
        step, ticks, seconds = self._step, self._ticks, now - self._began
        self._step, self._ticks = None, []
        if step is None:
            return None
        self._taken += seconds
        self._expected += step.seconds
        partly = ticks and (ticks[0][1] > self._total / 10 or ticks[-1][1] < self._total)
        return None if partly else (step, seconds / self._crowd)

    def left(self, now: float) -> tuple[float, float] | None:
        """Seconds to the end of the job, and those of them that come after the stage at work; None: not known."""
        if self._step is None and not self._todo:
            return None
        pace = self._pace(now)
        later = pace * (sum(step.seconds for step in self._todo) + self._ahead_s)
        total = self._here(now, pace) + later
        if self._said is not None:
            passed = now - self._said[0]
            before = max(0.0, self._said[1] - passed)
            total = before + (total - before) * min(1.0, passed / _CALM_S)
        self._said = (now, total)
        return total, min(later, total)

    def _pace(self, now: float) -> float:
        """How many times slower than expected the work is so far."""
        taken, expected = self._taken, self._expected
        if self._step is not None:
            seconds, share = self._moved()
            if share:
                taken, expected = taken + seconds, expected + share * self._step.seconds
            else:  # no word yet: only that it takes longer than expected is known
                taken += now - self._began
                expected += min(now - self._began, self._step.seconds)
        return taken / expected

    def _here(self, now: float, pace: float) -> float:
        """Seconds left in the step at work."""
        if self._step is None:
            return 0.0
        seconds, share = self._moved()
        if not share:
            return max(0.0, pace * self._step.seconds - (now - self._began))
        open_share = max(0.0, 1 - self._ticks[-1][1] / self._total)
        belief = seconds / (seconds + _BELIEF_S)
        whole = belief * seconds / share + (1 - belief) * pace * self._step.seconds
        return max(0.0, open_share * whole - (now - self._ticks[-1][0]))

    def _moved(self) -> tuple[float, float]:
        """Seconds between the first tick and the last, and the share of the stage that was done in them."""
        if len(self._ticks) < 2 or not self._total:
            return 0.0, 0.0
        (begun, first), (now, last) = self._ticks
        return now - begun, (last - first) / self._total
