"""How long a job still takes: the steps before it, what each costs on this machine, corrected by what is done.

`steps` lists what a training has to do, with costs that earlier trainings of this home measured, or else with rough
ones of a machine with two cores. A `Forecast` follows the work: the step at work is judged by its own pace, those
after it by how much slower or faster than expected the ones before were.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import backbones
from core.backbones import Backbone
from core.disk import blobs
from core.plan import Plan
from core.settings import REMEMBERED, cores

# What is expected before anything was measured here: fitted to `tests/bench_eta.py` and `bench_engine.py` on two cores
# of an AMD EPYC.
_DECODE_S = 0.003  # to read a photograph, on one core
_BATCH_S, _STEP_S, _WEIGHT_S = 1.3e-4, 3e-9, 1.2e-10  # of a head: a step, each weight in a step and for a picture
_LINEAR = 4  # classes of a head without hidden units; their number hardly matters
_EXACT_S, _TRIED = 7e-4, 3  # a picture in the exact heads of all folds; so many times that where one of them is chosen
_TUNE = 1.9  # a block's part of fine-tuning a picture, in times of computing it
_IMPORT_S = 3.2  # TensorFlow
_BUILD_S, _CONVERT_S, _SAVE_S = 0.005, 0.01, 0.018  # for a layer; saving includes the check
_CONVERTS_S, _SAVES_S, _LOAD_S = 0.2, 0.3, 0.1  # whatever the network
_PARAMETERS = 1e7  # so many are converted or written in a second
_EFFECTS = 100  # the choices of a training are measured in the time of looking at so many pictures
# Heads stopped after 16 to 40 of 40 epochs. However near that share is, something of what is left is still expected.
_STOPS = 0.7
_AT_LEAST = 0.15
# Two measurements count the same, so that one slow hour is soon forgotten.
_NEWER = 0.5
# Seconds of work after which its own pace is believed as much as what was expected: of a stage, and of all of them.
_BELIEF_S = 1.5
_PRIOR_S = 8.0
_PROBE_S = 0.1
# What is said moves toward what is known with this time constant, so that it does not jump.
_CALM_S = 2.0


@dataclass(frozen=True)
class Step:
    """`units` of work that are left in a stage, at `unit_s` seconds each; measured costs are kept under `key`. Where it
    may stop early a `share` is expected to be done, which is kept under `stops`."""

    stage: str
    units: float
    unit_s: float
    key: str
    share: float = 1.0
    stops: str = ""

    @property
    def seconds(self) -> float:
        return self.units * self.unit_s * self.share


@dataclass(frozen=True)
class Took:
    """A step that ended after so many seconds with a share of it done."""

    step: Step
    seconds: float
    share: float = 1.0


class Speeds:
    """What a unit of work took on this machine, and how early work stopped, in one small file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, float] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def step(self, stage: str, what: str, units: float, unit_s: float, epochs: int = 0, patience: int = 0) -> Step:
        """A step at its measured cost, or at `unit_s` when it was never done; so is its share where so many epochs may
        stop early."""
        key = f"{stage} {what}"
        stops = f"{key} stops {epochs} {patience}" if 0 < patience < epochs else ""
        # Two patiences are hardly ever too short to see an end.
        share = self._known.get(stops, _STOPS if 2 * patience < epochs else 1.0) if stops else 1.0
        return Step(stage, units, self._known.get(key, unit_s), key, share, stops)

    def keep(self, took: Took) -> None:
        """Learn from a step that ended."""
        step = took.step
        self._learn(step.key, took.seconds / (step.units * took.share))
        if step.stops:
            self._learn(step.stops, took.share)
        blobs.write(self._path, json.dumps(self._known).encode())

    def _learn(self, key: str, measured: float) -> None:
        known = self._known.get(key, measured)
        self._known[key] = known + _NEWER * (measured - known)


@dataclass(frozen=True)
class Work:
    """What a training finds: the pictures it learns from and those held out; how many views have no features yet, how
    many activations for fine-tuning are missing, how many epochs of it were done and how many pictures are looked at to
    measure its choices (None: nothing is measured); whether the networks of both are converted and the head is
    trained."""

    train: int
    held_out: int
    missing: int
    converted: bool
    head_done: bool = False
    effects: int | None = None
    boundary: int = 0
    tuned_epochs: int = 0
    boundary_converted: bool = False


def steps(plan: Plan, work: Work, speeds: Speeds) -> tuple[Step, ...]:
    """The steps of a training in their order."""
    backbone = backbones.find(plan.backbone)
    name, found = backbone.name, list[Step]()
    how = f"{plan.precision} mirrored" if plan.mirrored else plan.precision
    features = speeds.step("features", f"{name} {how}", work.missing, picture_cost_s(plan))
    views = work.train * (plan.augment + 1)

    def neural(stage: str, what: str, seconds: float) -> None:
        """A step with the network in Keras: the first one has to import and build it."""
        if not any(" cold" in step.key for step in found):
            what, seconds = f"{what} cold", seconds + _IMPORT_S + backbone.layers * _BUILD_S
        found.append(speeds.step(stage, what, 1, seconds))

    if not work.converted:
        neural("convert", name, _convert_s(backbone))
    if work.missing:
        found.append(features)
    if not work.head_done:
        found.append(_head_step(plan, backbone, views + work.held_out, speeds))
    if plan.ends_exact:
        found.append(_exact_step(plan, views + work.held_out, speeds))
    if work.effects is not None:
        found.append(speeds.step("effects", name, work.effects + _EFFECTS, features.unit_s))
    if plan.fine_tune_blocks:
        what = f"{name} {plan.fine_tune_blocks}{' mirrored' if plan.mirrored else ''}"
        neural("load", name, _LOAD_S)
        if not work.boundary_converted:
            neural("convert", what, _convert_s(backbone))
        if work.boundary:
            found.append(speeds.step("boundary", what, work.boundary, features.unit_s))
        deep = plan.fine_tune_blocks / len(backbone.blocks)
        tune_s = _TUNE * deep * backbone.cpu_ms / 1000 * (1 + plan.mirrored) / cores()
        epochs = max(1, plan.fine_tune_epochs - work.tuned_epochs)
        units = (views + work.held_out / 2) * epochs
        if plan.fine_tune_fresh:  # each epoch decodes the pictures and runs the frozen blocks
            what, tune_s = f"{what} fresh", tune_s + features.unit_s
        found.append(speeds.step("fine_tune", what, units, tune_s, epochs, plan.fine_tune_patience))
        neural("convert", f"{name} tuned", _convert_s(backbone))
        found.append(speeds.step("evaluate", name, work.held_out + min(work.train, REMEMBERED), features.unit_s))
    neural("save", name, backbone.layers * _SAVE_S + _SAVES_S + backbone.parameters / _PARAMETERS)
    return tuple(found)


def head_s(plan: Plan, n_pictures: int, speeds: Speeds) -> float:
    """About how many seconds it takes to find the head of a plan alone."""
    if plan.ends_exact:
        return _exact_step(plan, n_pictures * (plan.augment + 1), speeds).seconds
    return _head_step(plan, backbones.find(plan.backbone), n_pictures * (plan.augment + 1), speeds).seconds


def _convert_s(backbone: Backbone) -> float:
    return _CONVERTS_S + backbone.layers * _CONVERT_S + backbone.parameters / _PARAMETERS


def _head_step(plan: Plan, backbone: Backbone, n: int, speeds: Speeds) -> Step:
    positions = (backbone.size // 32) ** 2 if plan.pooling == "flatten" else 1
    n_weights = plan.channels * positions * (plan.hidden_units or _LINEAR)
    n_weights += plan.hidden_units**2 * max(0, plan.hidden_layers - 1)
    picture_s = n_weights * _WEIGHT_S + (_BATCH_S + n_weights * _STEP_S) / plan.batch_size
    what = f"{backbone.name} {plan.pooling} {plan.hidden_units} {plan.hidden_layers} {plan.batch_size}"
    return speeds.step("head", what, n * plan.epochs, picture_s, plan.epochs, plan.patience)


def _exact_step(plan: Plan, n: int, speeds: Speeds) -> Step:
    tries = _TRIED if plan.choose_regularization else 1
    return speeds.step("exact", f"{plan.backbone} {plan.output} {tries}", n, tries * _EXACT_S)


def picture_cost_s(plan: Plan) -> float:
    """About how long one of many pictures takes from its file to its features, on all cores, before it was measured."""
    return (_DECODE_S + backbones.find(plan.backbone).cpu_ms / 1000 * (1 + plan.mirrored)) / cores()


def estimate_s(plan: Plan, n: Mapping[str, int], speeds: Speeds, looked_at: int = 0) -> float:
    """About how many seconds a training takes that knows what its steps cost here, with `n` pictures in each part. As
    many of all as were `looked_at` are taken to have their features, and the network to be converted then; nothing else
    is done. A training that stops early takes less."""
    n_pictures, copies = sum(n.values()), plan.augment * (n["train"] + n["val"] * plan.learns_from_val)
    missing = round((n_pictures + copies) * max(0, n_pictures - looked_at) / max(1, n_pictures))
    boundary = n["val"] + (0 if plan.fine_tune_fresh else n["train"] + copies)
    work = Work(n["train"], n["val"] + n["test"], missing, looked_at > 0, boundary=boundary)
    return sum(step.seconds for step in steps(plan.with_val(n["val"]), work, speeds))


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
        self._total = self._before = 0.0
        self._ticks: list[tuple[float, float]] = []  # the first and the last one: when, and how much was done
        self._taken, self._expected = _PRIOR_S * crowd, _PRIOR_S  # by the steps that are done, and what is believed
        self._said: tuple[float, float] | None = None  # when something was said, and what

    def stage(self, name: str, total: float, now: float, done: float = 0) -> Took | None:
        """A stage begins, of `total` units, of which so many were done before. Answers the step that ended with that
        and what it took (would have taken without others), if all of it was done now."""
        if self._step is not None and self._step.stage == name and name not in {step.stage for step in self._todo[:1]}:
            self._more(total, done, now)
            return None
        ended = self.end(now)
        place = next((i for i, step in enumerate(self._todo) if step.stage == name), None)
        if place is not None:
            self._step = self._todo[place]
            del self._todo[: place + 1]
        self._began, self._total, self._before = now, total, done
        return ended

    def _more(self, total: float, done: float, now: float) -> None:
        """The stage at work goes on with another lot of the same work, or tells only now how much there is."""
        step, ticks = self._step, self._ticks
        if step is not None and ticks:
            worked = ticks[-1][1] - self._before
            self._taken += now - self._began
            self._expected += worked * step.unit_s
            self._step = replace(step, units=max(1.0, step.units - worked))
            self._began, self._ticks = now, []
        self._total, self._before = total, done

    def tick(self, done: float, now: float) -> None:
        """So much of the stage is done."""
        self._ticks[1:] = [(now, done)]

    def end(self, now: float) -> Took | None:
        """The stage has ended; answers as `stage`."""
        step, ticks, seconds = self._step, self._ticks, now - self._began
        self._step, self._ticks = None, []
        if step is None:
            return None
        share = self._share(ticks[-1][1]) if ticks else 1.0
        self._taken += seconds
        self._expected += share * step.units * step.unit_s
        if not share or (self._before and step.stops):
            return None  # how early an end was is not known from a part of it
        return Took(step, seconds / self._crowd, share)

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
            calm = before + (total - before) * min(1.0, passed / _CALM_S)
            total, later = calm, later * calm / total if total else 0.0
        self._said = (now, total)
        return total, later

    def _pace(self, now: float) -> float:
        """How many times slower than expected the work is so far."""
        taken, expected = self._taken, self._expected
        if self._step is not None:
            seconds, share = self._moved()
            if share:
                taken, expected = taken + seconds, expected + share * self._step.units * self._step.unit_s
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
        to_do = 1 - self._share(self._ticks[-1][1])
        open_share = max(0.0, to_do - (1 - self._step.share), _AT_LEAST * to_do)
        belief = seconds / (seconds + _BELIEF_S)
        whole = belief * seconds / share + (1 - belief) * pace * self._step.units * self._step.unit_s
        return max(0.0, open_share * whole - (now - self._ticks[-1][0]))

    def _moved(self) -> tuple[float, float]:
        """Seconds between the first tick and the last, and the share of the stage that was done in them."""
        if len(self._ticks) < 2 or not self._total:
            return 0.0, 0.0
        (begun, first), (now, last) = self._ticks
        return now - begun, (last - first) / max(1, self._total - self._before)

    def _share(self, done: float) -> float:
        """How much of what the stage had to do is done."""
        return min(1.0, (done - self._before) / max(1, self._total - self._before)) if self._total else 1.0
