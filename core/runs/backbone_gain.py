"""What a better backbone than Starter brought on the pictures of a project, as a comparison there measured it."""

from dataclasses import dataclass

from core import backbones
from core.scores.comparison import LEVEL, adjusted, mcnemar
from core.store.rows import event_rows
from core.store.store import Store


@dataclass(frozen=True)
class BackboneGain:
    """Of `n` pictures of train and val, each judged by a head that had not learned from it, Starter has `ours` right
    and the best other backbone (`better`, compared in `run`) `theirs`. `chance`: how often chance alone sets any of the
    backbones that were compared this far apart from Starter."""

    better: str
    run: str
    theirs: int
    ours: int
    n: int
    chance: float

    @property
    def is_clear(self) -> bool:
        """Whether the other backbone is better by more than chance."""
        return self.theirs > self.ours and self.chance < LEVEL


def measured(store: Store, project_id: str, now: str) -> BackboneGain | None:
    """The gain in the newest comparison of a project; None where it did not compare Starter with another backbone, or
    not on the present pictures, whose fingerprint is `now`."""
    told = event_rows.last(store, project_id, "folds") or {"right": {}}
    names = {run.id: run.plan["backbone"] for run in store.runs(project_id) if run.fingerprint == now}
    right: dict[str, str] = {run: hits for run, hits in told["right"].items() if run in names}
    ours = next((hits for run, hits in right.items() if names[run] == backbones.STARTER.name), None)
    others = [run for run in right if names[run] != backbones.STARTER.name]
    if ours is None or not others:
        return None
    best = max(others, key=lambda run: right[run].count("1"))
    pairs = [list(zip(right[run], ours, strict=True)) for run in others]
    # The best was chosen among all, so the p-values of all are corrected.
    chances = adjusted([mcnemar(pair.count(("1", "0")), pair.count(("0", "1"))) for pair in pairs])
    theirs = right[best].count("1")
    return BackboneGain(names[best], best, theirs, ours.count("1"), len(ours), chances[others.index(best)])
