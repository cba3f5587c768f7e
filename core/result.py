"""What came out of a training, as its run keeps it: scores, curves, times, and what the model was made from.

A value that is written as JSON and read again. The results of an older Headstart lack what was not measured then: it
is None or empty here and stays absent when they are written again. What this version does not know stays in them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# A row of scores for each epoch.
History = Sequence[Mapping[str, float]]
# A code of `core.language.messages` and its values.
Note = tuple[str, dict[str, Any]]
# Absent, not null, in a result that was written before they were measured.
_LATER = ("extracted", "caches", "made", "temperature", "learned", "exact")


@dataclass(frozen=True)
class PartSizes:
    """How many pictures each part had."""

    train: int = 0
    val: int = 0
    test: int = 0


@dataclass(frozen=True)
class Accuracies:
    """The shares of val and of test pictures that were right; None where there were none."""

    val_accuracy: float | None = None
    test_accuracy: float | None = None


@dataclass(frozen=True)
class Extracted:
    """How many pictures the backbone looked at for this run, and the seconds that took; `ms` a picture on this machine,
    as measured when it was last done."""

    n: int = 0
    seconds: float = 0.0
    ms: float | None = None


@dataclass(frozen=True)
class Phase:
    """The epochs of the head or of fine-tuning, whose row 0 is the frozen model, and the number of the epoch kept."""

    history: History = ()
    best_epoch: int = 0


@dataclass(frozen=True)
class ExactHead:
    """How the saved head was found where it is the exact linear one: from so many `pictures`, with this regularization.
    `losses` is the log loss of out-of-fold answers for each regularization that was tried."""

    pictures: int = 0
    regularization: float = 0.0
    losses: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class SplitSettings:
    """By which seed and shares the pictures were split."""

    seed: int = 0
    val: float = 0.0
    test: float = 0.0


@dataclass(frozen=True)
class Origin:
    """What a model was made from: the versions of packages, the sha256 of the weights, the settings of the split."""

    versions: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""
    split: SplitSettings = SplitSettings()


@dataclass(frozen=True)
class Result:
    """The result of a run. `seconds` by phase; `caches` are the keys of the features it was made from; `mirror` is what
    `learning.ablations` measured; `temperature` is that of its probabilities; `learned` is the share of its training
    pictures that the model is right on; `exact` is None where the saved head comes from an epoch; `unknown` is what
    another version wrote."""

    classes: tuple[str, ...] = ()
    pictures: int = 0
    split: PartSizes = PartSizes()
    backbone: str = ""
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    test_n: int = 0
    test_interval: tuple[float, float] | None = None
    before_fine_tune: Accuracies | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    extracted: Extracted | None = None
    head: Phase = Phase()
    fine_tune: Phase | None = None
    exact: ExactHead | None = None
    caches: tuple[str, ...] | None = None
    made: Origin | None = None
    notes: tuple[Note, ...] = ()
    mirror: dict[str, Any] | None = None
    temperature: float | None = None
    learned: float | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def test_correct(self) -> int:
        """How many test pictures are right."""
        return round((self.test_accuracy or 0.0) * self.test_n)

    @property
    def learned_from_val(self) -> bool:
        """Whether the model learned from val pictures too; its scores on them are then those of other heads."""
        return self.exact is not None and self.exact.pictures > self.split.train

    @property
    def tuned_epochs(self) -> History:
        """The epochs of fine-tuning, without row 0; empty where there was none."""
        return self.fine_tune.history[1:] if self.fine_tune else ()

    @property
    def phases(self) -> dict[str, History]:
        """The epochs of each phase there was, by its name."""
        return {"head": self.head.history} | ({"fine_tune": self.tuned_epochs} if self.fine_tune else {})

    @property
    def accuracies(self) -> dict[str, float]:
        """The final accuracies by their names here, as far as there are any."""
        found = {"val_accuracy": self.val_accuracy, "test_accuracy": self.test_accuracy}
        return {name: value for name, value in found.items() if value is not None}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Result":
        """Read a result of this or an older version."""
        names = {each.name for each in fields(Result)} - {"unknown"}
        known = {name: value for name, value in values.items() if name in names and value is not None}
        known |= {name: read(known[name]) for name, read in _READ.items() if name in known}
        return Result(**known, unknown={name: value for name, value in values.items() if name not in names})

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` takes back."""
        known: dict[str, Any] = asdict(self)
        unknown: Mapping[str, Any] = known.pop("unknown")
        kept = {name: value for name, value in known.items() if value is not None or name not in _LATER}
        return {**kept, **unknown}


def _of(kind: type[Any], values: Mapping[str, Any], **read: Any) -> Any:
    """A nested value; keys that it does not know are left out."""
    names = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in {**values, **read}.items() if name in names})


def _phase(values: Mapping[str, Any]) -> Any:
    return _of(Phase, values, history=tuple(values.get("history", ())))


# How the JSON of a field becomes its value, where it is not that itself.
_READ: Mapping[str, Callable[[Any], Any]] = {
    "classes": tuple,
    "split": lambda values: _of(PartSizes, values),
    "test_interval": tuple,
    "before_fine_tune": lambda values: _of(Accuracies, values),
    "extracted": lambda values: _of(Extracted, values),
    "head": _phase,
    "fine_tune": _phase,
    "exact": lambda values: _of(ExactHead, values, losses=tuple(tuple(row) for row in values.get("losses", ()))),
    "caches": tuple,
    "made": lambda values: _of(Origin, values, split=_of(SplitSettings, values.get("split") or {})),
    "notes": lambda rows: tuple((code, values) for code, values in rows),
}
