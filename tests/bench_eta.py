"""How far from the truth the time left is that a page shows: `python -m tests.bench_eta [--quick] [--json]`.

Real trainings, each in a home of its own in which nothing is known or cached, then another of the same kind there.
Needs HEADSTART_TEST_DATA, and HEADSTART_TEST_KERAS_HOME for MobileNetV2.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.pictures import counts
from core.plan import Plan, suggest
from core.runs import requests
from core.store.store import Store

_EVERY_S = 0.5
_SHARES = (0.1, 0.25, 0.5, 0.75)
_FROM, _WITHIN = 0.1, 0.2
# Those of the dial for pictures like these, and two that take long in ways of their own.
_PLANS: Mapping[str, Callable[[Mapping[str, int]], Plan]] = {
    "fast": partial(suggest, "fast"),
    "balanced": partial(suggest, "balanced"),
    "best": partial(suggest, "best"),
    "Starter, fine-tuned": lambda _: Plan(fine_tune_blocks=2),
    "Flatten and 1,024 neurons": lambda _: Plan(pooling="flatten", hidden_units=1024),
}


def project(store: Store, data: Path) -> str:
    """A project with these pictures."""
    made = store.add_project(data.name, data.name)
    job = queue.start(store, made.id, INTAKE, Delivery(str(data), "b"))
    while (job := queue.tend(store, job.id)).active:
        time.sleep(_EVERY_S)
    assert job.state == "succeeded", job.error
    return made.id


def watch(store: Store, project_id: str, plan: Plan) -> tuple[float, list[tuple[float, float]]]:
    """Train; answers the seconds that it took, and what was said to be left at which second."""
    _, job = requests.train(store, project_id, plan)
    assert job is not None
    while queue.get(store, job.id).state == "queued":
        time.sleep(0.01)
    started, said = time.time(), []
    while (job := queue.tend(store, job.id)).active:
        left = job.left_s(time.time())
        if left is not None:
            said.append((time.time() - started, left))
        time.sleep(_EVERY_S)
    assert job.state == "succeeded", queue.log_path(store, job.id).read_text()
    return (job.ended_at or 0.0) - started, said


def errors(total: float, said: Sequence[tuple[float, float]]) -> dict[str, float]:
    """How much longer than the truth the whole was said to take, as a share of it: at some shares of the time, and how
    much of all that was said after the first tenth was within a fifth."""
    found = {"seconds": total}
    for share in _SHARES:
        at, left = min(said, key=lambda each: abs(each[0] - share * total))
        found[f"at_{share:.0%}"] = (at + left - total) / total
    later = [abs(at + left - total) / total for at, left in said if at >= _FROM * total]
    return found | {"within": sum(error <= _WITHIN for error in later) / len(later)}


def main() -> None:
    data = Path(os.environ["HEADSTART_TEST_DATA"])
    os.environ |= {"KERAS_HOME": os.environ.get("HEADSTART_TEST_KERAS_HOME", ""), "HEADSTART_DOWNLOADS": "0"}
    sets = ("hymenoptera",) if "--quick" in sys.argv else ("hymenoptera", "sign-language-digits")
    results: dict[str, dict[str, float]] = {}
    as_json = "--json" in sys.argv
    if not as_json:
        print(
            "What the whole was said to take against what it took, and how much of what was said after the first tenth"
        )
        print("was within 20 % of that.\n")
        print("| training | took | " + " | ".join(f"at {share:.0%}" for share in _SHARES) + " | within 20 % |")
        print("|---|---|" + "---|" * (len(_SHARES) + 1), flush=True)
    for name in sets:
        for plan_name in _PLANS:
            with tempfile.TemporaryDirectory() as folder:
                store = Store(Path(folder))
                project_id = project(store, data / name)
                plan = _PLANS[plan_name](counts.of(store, project_id).learned)
                for turn, each in (("first", plan), ("again", plan.with_(seed=1))):
                    title = f"{name}, {plan_name}, {turn}"
                    row = results[title] = errors(*watch(store, project_id, each))
                    if not as_json:
                        cells = [f"{row[f'at_{share:.0%}']:+.0%}" for share in _SHARES]
                        print(
                            f"| {title} | {row['seconds']:.0f} s | {' | '.join(cells)} | {row['within']:.0%} |",
                            flush=True,
                        )
    if as_json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
