"""The settings of a training, with defaults and bounds, and suggestions for them.

A `Plan` checks itself when it is made, so every `Plan` is valid. `PRESETS` are whole plans by name.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

from core import backbones
from core.backbones import Backbone, Depth
from core.errors import HeadstartError

# The kinds of augmentation. Their order is part of cache keys and must not change.
AUGMENTATIONS = ("crop", "flip", "light", "turn")
POOLINGS = ("average", "max", "flatten", "depths")
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "cosine")
BATCH_NORMS = ("frozen", "scales", "adapt")


def _setting(default: Any, **bounds: Any) -> Any:
    return field(default=default, metadata=bounds)


@dataclass(frozen=True)
class Plan:
    """The settings of one training. Rates are Adam's; `fine_tune_*` matter only when `fine_tune_blocks` is over 0.

    Their help is `setting_help.<name>` in `core/language/texts.pot`. Raises HeadstartError for a value that is not
    valid.
    """

    backbone: str = _setting("Starter")
    pooling: str = _setting("average", choices=POOLINGS)
    mirrored: int = _setting(0, low=0, high=1)
    hidden_units: int = _setting(0, low=0, high=4096)
    hidden_layers: int = _setting(1, low=1, high=3)
    dropout: float = _setting(0.0, low=0.0, high=0.9)
    augment: int = _setting(0, low=0, high=8)
    augment_kinds: str = _setting("crop flip light", words=AUGMENTATIONS)
    epochs: int = _setting(40, low=1, high=500)
    # Measured on both sets of the benchmarks, linear heads and MLPs: 10 gives the accuracy of never stopping, 5 costs
    # up to a point of test accuracy.
    patience: int = _setting(10, low=0, high=500)
    learning_rate: float = _setting(1e-3, low=1e-6, high=1e-1)
    batch_size: int = _setting(32, low=1, high=512)
    label_smoothing: float = _setting(0.0, low=0.0, high=0.3)
    regularization: float = _setting(50.0, low=0.0, high=10_000.0)
    balance: float = _setting(0.0, low=0.0, high=1.0)
    choose_regularization: int = _setting(0, low=0, high=1)
    refit: int = _setting(0, low=0, high=1)
    precision: str = _setting("float32", choices=PRECISIONS)
    fine_tune_blocks: int = _setting(0, low=0, high=50)
    fine_tune_epochs: int = _setting(8, low=1, high=200)
    fine_tune_patience: int = _setting(5, low=0, high=200)
    fine_tune_rate: float = _setting(3e-4, low=1e-7, high=1e-2)
    fine_tune_schedule: str = _setting("cosine", choices=SCHEDULES)
    fine_tune_warmup: int = _setting(0, low=0, high=50)
    fine_tune_decay: float = _setting(1.0, low=0.1, high=1.0)
    fine_tune_gradual: int = _setting(0, low=0, high=50)
    fine_tune_fresh: int = _setting(0, low=0, high=1)
    fine_tune_batch_norm: str = _setting("frozen", choices=BATCH_NORMS)
    seed: int = _setting(0, low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        backbone = backbones.find(str(self.backbone))
        object.__setattr__(self, "backbone", backbone.name)
        if self.pooling == "depths" and not backbone.depths:  # it has no earlier maps: equal plans are equal
            object.__setattr__(self, "pooling", "average")
        words = str(self.augment_kinds).split()
        known = [kind for kind in AUGMENTATIONS if kind in words]  # in one order, so that equal plans are equal
        object.__setattr__(self, "augment_kinds", " ".join([*known, *(word for word in words if word not in known)]))
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        self._check_fine_tuning()
        if self.augment and not self.kinds:
            raise HeadstartError("augment_kinds_none", n=self.augment)
        if self.fine_tune_blocks and self.fine_tune_fresh and not self.kinds:
            raise HeadstartError("fresh_kinds_none")

    def _check_fine_tuning(self) -> None:
        n, limit = self.fine_tune_blocks, len(backbones.find(self.backbone).blocks)
        if n > limit:
            raise HeadstartError("too_many_blocks", n=n, backbone=self.backbone, limit=limit)
        if n and self.fine_tune_rate > self.learning_rate:
            raise HeadstartError("fine_tune_rate", rate=self.fine_tune_rate, limit=self.learning_rate)
        needed = 1 + self.fine_tune_gradual * (n - 1)
        if n and needed > self.fine_tune_epochs:
            raise HeadstartError("fine_tune_gradual", n=n, needed=needed, epochs=self.fine_tune_epochs)

    def on(self, backbone: Backbone) -> "Plan":
        """These settings on another backbone, which may have fewer blocks to fine-tune."""
        blocks = min(self.fine_tune_blocks, len(backbone.blocks))
        return self.with_(backbone=backbone.name, fine_tune_blocks=blocks)

    @property
    def depths(self) -> tuple[Depth, ...]:
        """The earlier layers whose averages are features too."""
        return backbones.find(self.backbone).depths if self.pooling == "depths" else ()

    @property
    def channels(self) -> int:
        """The channels of all feature maps that are pooled."""
        return backbones.find(self.backbone).width + sum(depth.width for depth in self.depths)

    @property
    def output(self) -> str:
        """What the network answers, as text: a part of cache keys, which must not change for plans of older
        versions."""
        layers = [depth.layer for depth in self.depths]
        return " ".join([self.pooling, *layers, *(["mirrored"] if self.mirrored else [])])

    @property
    def boundary(self) -> str:
        """What the blocks that are not fine-tuned answer, likewise."""
        block = backbones.find(self.backbone).blocks[self.fine_tune_blocks - 1]
        return " ".join(["after", block.after, *self.output.split()[1:]])

    @property
    def kinds(self) -> tuple[str, ...]:
        """`augment_kinds` as a tuple."""
        return tuple(self.augment_kinds.split())

    @property
    def flips(self) -> bool:
        """Whether the copies include mirrored ones."""
        return self.augment > 0 and "flip" in self.kinds

    @property
    def ends_exact(self) -> bool:
        """Whether the head of the frozen model is the exact linear one, after the regularization was chosen or to learn
        from val pictures too. Other heads keep the epoch that is best on val."""
        is_linear = not self.hidden_units and self.pooling != "flatten"
        return is_linear and bool(self.refit or self.choose_regularization)

    @property
    def learns_from_val(self) -> bool:
        """Whether the head of the frozen model learns from the val pictures too."""
        return self.ends_exact and bool(self.refit)

    def with_val(self, n_val: int) -> "Plan":
        """The plan as it is followed with so many val pictures: without any, nothing is fine-tuned, because the frozen
        model is only given up for one that is better on val."""
        return self if n_val else self.with_(fine_tune_blocks=0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Plan":
        """A plan from names and values. Raises HeadstartError when a name is not a setting of this version."""
        known = {setting.name for setting in fields(Plan)}
        for name in values:
            if name not in known:
                raise HeadstartError("setting_unknown", setting=name)
        return Plan(**values)

    def with_(self, **changes: Any) -> "Plan":
        """This plan with some settings changed, checked again."""
        return replace(self, **changes)


def _check(setting: Field[Any], value: Any) -> None:
    name, rule = setting.name, setting.metadata
    if "choices" in rule and value not in rule["choices"]:
        raise HeadstartError("setting_choice", setting=name, value=value, choices=", ".join(rule["choices"]))
    for word in value.split() if "words" in rule else ():
        if word not in rule["words"]:
            raise HeadstartError("setting_choice", setting=name, value=word, choices=", ".join(rule["words"]))
    if "low" not in rule:
        return
    whole = isinstance(setting.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "whole_number" if whole else "number"
        raise HeadstartError("setting_kind", setting=name, value=value, kind=kind)
    if not rule["low"] <= value <= rule["high"]:
        raise HeadstartError("setting_bounds", setting=name, value=value, low=rule["low"], high=rule["high"])


PRESETS: Mapping[str, Plan] = {
    "linear": Plan(),
    # Twice the batch size updates the many weights of a hidden layer half as often, at the same val accuracy.
    "mlp": Plan(hidden_units=256, dropout=0.3, batch_size=64),
    # VGG16, Flatten, Dense(1024, relu), softmax and nothing against overfitting: the recipe of most textbooks.
    "textbook": Plan(
        backbone="VGG16", pooling="flatten", hidden_units=1024, regularization=0.0, epochs=20, batch_size=64
    ),
}

# The settings that a preset changes: the head and its training.
_HEAD_SETTINGS = (
    "pooling", "hidden_units", "hidden_layers", "dropout", "regularization", "choose_regularization", "refit",
    "label_smoothing", "epochs", "learning_rate", "batch_size",
)  # fmt: skip


def preset_settings(name: str, suggested: Plan) -> dict[str, Any]:
    """The settings for the head of a preset, on any backbone. "linear" takes them from the suggested plan, if that has
    a linear head; "textbook" also turns mirrored views, augmentation, balance and fine-tuning off."""
    source = suggested if name == "linear" and not suggested.hidden_units else PRESETS[name]
    also = ("mirrored", "augment", "balance", "fine_tune_blocks")
    names = (*_HEAD_SETTINGS, *also) if name == "textbook" else _HEAD_SETTINGS
    return {each: getattr(source, each) for each in names}


DIALS = ("fast", "balanced", "best")

# Pictures per class up to which altered copies are suggested. Measured on photographs of ants and bees and on hand
# signs: with 5 training pictures a class copies brought up to 10 points of accuracy, with 50 about 1, with more than
# 100 none. Counted over train and val, as all numbers below: a class gives about a fifth of its pictures to val.
_FEW = 64
# Altered copies of each picture.
_COPIES = 3
# Most pictures and copies together: extraction takes at most a minute or two on two cores.
_VIEWS = 10_000
# Most pictures in train and val up to which views are mirrored, which takes twice the time. Measured with MobileNetV2:
# 96.1 to 96.6 % on 244 photographs of ants and bees.
_MIRRORED = 1_000
# Steps of Adam: it needs about 2,000 to reach the score of the exact solution on 1,400 pictures.
_STEPS = 2_200
# Fewest and most epochs. The fewest, because 100,000 pictures need more than those steps to be seen often enough.
_EPOCHS = (10, 100)
# Smallest and largest batch.
_BATCHES = (32, 256)
# Imbalance (largest class / smallest class) above which balance is suggested. Measured with one class cut down to a
# fifth and a tenth (64 cases): balance 1 brings its recall from 56 to 71 % (+- 2), 0.5 to 64 %, and the accuracy on
# pictures as uneven as the training's goes from 92.6 to 92.2 % (+- 0.5).
_UNEVEN = 3.0
# The balance that is suggested then.
_BALANCE = 1.0
# Most milliseconds per picture on one core, without fine-tuning and with it: 1,000 pictures take about 10 and 30 s on
# two cores.
_SLOWEST_MS = (20.0, 60.0)


def suggest(dial: str, counts: Mapping[str, int], flips_safe: bool | None = None) -> Plan:
    """A whole plan from one dial: `fast` is Starter with a linear head, `balanced` has a better backbone that is fast
    too, `best` may be slower and is also fine-tuned. Weights that are not on this machine may have to be downloaded
    (`suggested_backbone`).

    `counts`: pictures of each class in train and val. `flips_safe`: whether mirrored pictures keep their class, as
    measured; None: not measured, so the names of the classes decide.

    A hidden layer is never suggested: it gained nothing with 1,400 pictures and cost 3 to 15 points with 5 a class.
    """
    n, n_classes = sum(counts.values()), max(1, len(counts))
    best = dial == "best"
    copies = 0 if dial == "fast" else _copies(n, n_classes)
    views = max(1, n * (1 + copies))
    batch = 2 ** round(math.log2(min(max(views / 64, _BATCHES[0]), _BATCHES[1])))
    kinds = [kind for kind in ("crop", "flip", "light") if kind != "flip" or may_flip(counts, flips_safe)]
    backbone = suggested_backbone(dial)
    return Plan(
        backbone=backbone.name,
        # Measured with MobileNetV2 and an exact head on five splits: 93.9 to 96.4 % on hand signs, 95.7 to 96.1 % on
        # photographs of ants and bees, for a tenth more time.
        pooling="depths",
        mirrored=int(dial != "fast" and "flip" in kinds and n <= _MIRRORED),
        # The weights of a class compete with the loss of its own pictures, a share of 1 / classes: a constant value
        # regularizes many classes too strongly (sign digits: log loss 0.25 at 50, 0.19 at 10).
        regularization=round(100 / n_classes, 1),
        epochs=min(max(10 * round(_STEPS * batch / views / 10), _EPOCHS[0]), _EPOCHS[1]),
        batch_size=batch,
        balance=_BALANCE if rarest(counts) else 0.0,
        choose_regularization=1,
        refit=1,
        augment=copies,
        augment_kinds=" ".join(kinds),
        fine_tune_blocks=_tuned_blocks(backbone, n) if best else 0,
        fine_tune_fresh=1,
    )


def _copies(n: int, n_classes: int) -> int:
    return _COPIES if n / n_classes <= _FEW and n * (1 + _COPIES) <= _VIEWS else 0


def suggested_backbone(dial: str) -> Backbone:
    """The backbone of a position of the dial, whose weights are on this machine or may be downloaded: for `balanced`
    the one whose frozen features are expected to transfer best, for `best` the one with the highest ImageNet accuracy,
    which fine-tuned networks follow however they were trained (r = 0.96; Kornblith et al., CVPR 2019)."""
    if dial == "fast":
        return backbones.STARTER
    best = dial == "best"
    available = [b for b in backbones.CATALOGUE if b.is_available and b.cpu_ms <= _SLOWEST_MS[best]]
    return max(available, key=lambda b: b.top1 or 0.0 if best else b.transfer)


def best_here(slowest_ms: float = _SLOWEST_MS[0]) -> Backbone:
    """The backbone whose features are expected to transfer best, of those that are fast enough and have weights
    here."""
    here = [b for b in backbones.CATALOGUE if b.has_weights and b.cpu_ms <= slowest_ms]
    return max(here, key=lambda b: b.transfer)


def _tuned_blocks(backbone: Backbone, n: int) -> int:
    """How many blocks to fine-tune. Measured on val with MobileNetV2: with 2,000 pictures of hand signs seven blocks
    are better than two (92.6 % frozen, 99.7 % with seven); 240 photographs are soon overfitted with any number."""
    return min(3 if n < 500 else 7, len(backbone.blocks))


def rarest(counts: Mapping[str, int]) -> tuple[str, float] | None:
    """The smallest class, and how many times as many pictures the largest has, if more than _UNEVEN times."""
    if not counts:
        return None
    label = min(counts, key=lambda each: counts[each])
    times = max(counts.values()) / max(1, counts[label])
    return (label, times) if times > _UNEVEN else None


def may_flip(classes: Iterable[str], flips_safe: bool | None = None) -> bool:
    """Whether mirrored pictures keep their class: as measured, or else as the names of the classes suggest."""
    return not mirror_risks(classes) if flips_safe is None else flips_safe


def mirror_risks(classes: Iterable[str]) -> tuple[str, ...]:
    """The classes whose names suggest that a mirror changes them: digits, letters, left and right."""
    return tuple(label for label in classes if _SIDED.search(label))


# A digit or letter, alone or after a word for it, or a side: "0", "b", "digit 7", "letter_q", "turn left", "LeftArrow".
_SIDED = re.compile(
    r"(?i:^(?:(?:letter|char|character|digit|number|num|sign)s?[ _-]?)?(?:[a-z]|\d{1,4})$)"
    r"|(?i:(?<![a-z])(?:left|right|clockwise|anticlockwise|counterclockwise)(?![a-z]))|(?:Left|Right)(?=[A-Z]|$)"
)
