"""How far from the truth the time left is that a page shows: `python -m tests.bench_eta [--quick]`.

Real trainings, each in a home of its own in which nothing is cached; then all again in one home, where the costs of
the steps are known. Needs HEADSTART_TEST_DATA, and HEADSTART_TEST_KERAS_HOME for MobileNetV2.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from core import jobs
from core.plan import Plan
from core.store import Store

_EVERY_S = 0.5
_SHARES = (0.1, 0.25, 0.5, 0.75)
_PLANS = {
    "Starter, frozen": Plan(),
    "Starter, fine-tuned": Plan(fine_tune_blocks=2),
    "MobileNetV2, frozen": Plan(backbone="MobileNetV2"),
    "MobileNetV2, fine-tuned": Plan(backbone="MobileNetV2", fine_tune_blocks=2),
}


def project(store: Store, data: Path) -> str:
    """A project with these pictures."""
    made = store.add_project(data.name, data.name)
    job = jobs.start(store, made.id, "intake", {"path": str(data), "batch": "b"})
    while (job := jobs.get(store, job.id)).active:
        time.sleep(_EVERY_S)
    assert job.state == "succeeded", job.error
    return made.id


def watch(store: Store, project_id: str, plan: Plan) -> tuple[float, list[tuple[float, float]]]:
    """Train; answers the seconds that it took, and what was said to be left at which second."""
    _, job = jobs.train(store, project_id, plan)
    assert job is not None
    while jobs.get(store, job.id).state == "queued":
        time.sleep(0.01)
    started, said = time.time(), []
    while (job := jobs.get(store, job.id)).active:
        left = job.left_s(time.time())
        if left is not None:
            said.append((time.time() - started, left))
        time.sleep(_EVERY_S)
    assert job.state == "succeeded", jobs.log_path(store, job.id).read_text()
    return (job.ended_at or 0.0) - started, said


def report(name: str, total: float, said: list[tuple[float, float]]) -> None:
    """One line: the error of what is left, as a share of what was really left, at some shares of the time."""
    cells = []
    for share in _SHARES:
        at, left = min(said, key=lambda each: abs(each[0] - share * total))
        cells.append(f"{(at + left - total) / (total - at):+.0%} ({(at + left - total) / total:+.0%})")
    later = [abs(at + left - total) / total for at, left in said if at >= 0.1 * total]
    within = sum(error <= 0.2 for error in later) / len(later)
    print(f"| {name} | {total:.0f} s | {' | '.join(cells)} | {within:.0%} |", flush=True)


def main() -> None:
    data = Path(os.environ["HEADSTART_TEST_DATA"])
    os.environ["KERAS_HOME"] = os.environ.get("HEADSTART_TEST_KERAS_HOME", "")
    sets = ("hymenoptera",) if "--quick" in sys.argv else ("hymenoptera", "sign-language-digits")
    print("Error of the time left, as a share of what was left (of the whole time), and how much of what was shown")
    print("after the first tenth was within 20 % of the whole time.\n")
    print("| training | took | at 10 % | at 25 % | at 50 % | at 75 % | within 20 % |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in sets:
            for number, (plan_name, plan) in enumerate(_PLANS.items()):
                store = Store(Path(folder) / f"{name}-{number}")
                report(f"{name}, {plan_name}", *watch(store, project(store, data / name), plan))
        for name in sets:
            store = Store(Path(folder) / f"{name}-{len(_PLANS) - 1}")
            for plan_name in ("MobileNetV2, frozen", "MobileNetV2, fine-tuned"):
                plan = _PLANS[plan_name].with_(seed=1)
                report(f"{name}, {plan_name}, again", *watch(store, project(store, data / name), plan))


if __name__ == "__main__":
    main()
