"""Everything a user may choose about a training, with its default, bounds and help in one place.

A `Plan` is checked when it is made, so whoever holds one holds a usable one. `PRESETS` are whole plans by name.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any

from core import backbones, images
from core.backbones import Backbone
from core.errors import HeadstartError

POOLINGS = ("average", "max", "flatten")
PRECISIONS = ("float32", "bfloat16")
SCHEDULES = ("constant", "cosine")
BATCH_NORMS = ("frozen", "scales", "adapt")


def _setting(default: Any, help: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"help": help, **bounds})


@dataclass(frozen=True)
class Plan:
    """The settings of one training. Rates are Adam's; `fine_tune_*` count only when `fine_tune_blocks` is over 0."""

    backbone: str = _setting("Starter", "The pretrained network whose features are used.")
    pooling: str = _setting(
        "average",
        "How the last feature map becomes one row of numbers: the average of each channel, its highest value (max), or "
        "all of the map (flatten).",
        choices=POOLINGS,
    )
    hidden_units: int = _setting(
        0, "Neurons of a layer between the features and the classes; 0 is none.", low=0, high=4096
    )
    hidden_layers: int = _setting(
        1, "How many such layers, one after the other; counts only when they have neurons.", low=1, high=3
    )
    dropout: float = _setting(
        0.0, "Share of the head's inputs that is ignored at random, to stop it from memorizing.", low=0.0, high=0.9
    )
    augment: int = _setting(
        0, "Altered copies of each training picture to learn from too; each costs one more extraction.", low=0, high=8
    )
    augment_kinds: str = _setting(
        "crop flip light",
        "What altered copies differ in: crop (70 to 100 % of the picture), flip (every second one is mirrored), light "
        "(brightness and contrast), turn (by up to 12 degrees).",
        words=images.KINDS,
    )
    epochs: int = _setting(40, "How often the head sees all training pictures.", low=1, high=500)
    # Measured on both sets of the README, linear heads and MLPs: 10 ends where never stopping does, 5 costs up to
    # a point of test accuracy.
    patience: int = _setting(
        10,
        "After how many epochs without a lower val loss the head stops before its last one; 0 is never. The best epoch "
        "is kept in any case.",
        low=0,
        high=500,
    )
    learning_rate: float = _setting(1e-3, "How far each step moves the head's weights.", low=1e-6, high=1e-1)
    batch_size: int = _setting(32, "Pictures per step.", low=1, high=512)
    label_smoothing: float = _setting(
        0.0,
        "Share of each label that is spread over all classes, so that the head learns not to be too sure of it.",
        low=0.0,
        high=0.3,
    )
    regularization: float = _setting(
        50.0,
        "Weight decay (L2): pull of the head's weights toward zero, divided by the number of training pictures (1/C of "
        "a logistic regression); a head with hidden layers gets a hundredth of it.",
        low=0.0,
        high=10_000.0,
    )
    balance: float = _setting(
        0.0,
        "How much rare classes are helped: at 0 every picture counts the same, at 1 every class does.",
        low=0.0,
        high=1.0,
    )
    precision: str = _setting(
        "float32",
        "What the backbone computes in: bfloat16 is faster where the processor has it, and a little coarser.",
        choices=PRECISIONS,
    )
    fine_tune_blocks: int = _setting(
        0, "How many of the backbone's last blocks go on learning after the head; 0 keeps all frozen.", low=0, high=50
    )
    fine_tune_epochs: int = _setting(
        8, "How often fine-tuning sees all training pictures, if it does not stop earlier.", low=1, high=200
    )
    fine_tune_patience: int = _setting(
        5,
        "After how many epochs without a better one fine-tuning stops; 0 is never. The best one is kept in any case.",
        low=0,
        high=200,
    )
    fine_tune_rate: float = _setting(
        3e-4,
        "How far each step moves the head and the top block, at most as far as in the head's training: large steps "
        "destroy what the backbone knows.",
        low=1e-7,
        high=1e-2,
    )
    fine_tune_schedule: str = _setting(
        "cosine",
        "Whether steps stay as large as they are (constant) or shrink to a hundredth toward the end (cosine).",
        choices=SCHEDULES,
    )
    fine_tune_warmup: int = _setting(
        0, "Epochs in which steps grow evenly to their full size, so that the first ones break nothing.", low=0, high=50
    )
    fine_tune_decay: float = _setting(
        1.0,
        "Step of each block as a share of the step of the block above it: lower blocks know more general things, which "
        "need to change less. 1 is the same for all.",
        low=0.1,
        high=1.0,
    )
    fine_tune_gradual: int = _setting(
        0,
        "Epochs until one more block learns, from the top down; 0 is all chosen blocks at once.",
        low=0,
        high=50,
    )
    fine_tune_batch_norm: str = _setting(
        "frozen",
        "BatchNormalization in these blocks: it stays as it is (frozen), its scale and shift learn (scales), or its "
        "mean and variance follow your pictures too (adapt; for batches of at least 32).",
        choices=BATCH_NORMS,
    )
    seed: int = _setting(0, "Start of all random numbers; the same seed gives the same model.", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "backbone", backbones.find(str(self.backbone)).name)
        words = str(self.augment_kinds).split()
        known = [kind for kind in images.KINDS if kind in words]  # in one order: it is a part of what is compared
        object.__setattr__(self, "augment_kinds", " ".join([*known, *(word for word in words if word not in known)]))
        for setting in fields(self):
            _check(setting, getattr(self, setting.name))
        self._check_fine_tuning()
        if self.augment and not self.kinds:
            raise HeadstartError("augment_kinds_none", n=self.augment)

    def _check_fine_tuning(self) -> None:
        n, limit = self.fine_tune_blocks, len(backbones.find(self.backbone).blocks)
        if n > limit:
            raise HeadstartError("too_many_blocks", n=n, backbone=self.backbone, limit=limit)
        if n and self.fine_tune_rate > self.learning_rate:
            raise HeadstartError("fine_tune_rate", rate=self.fine_tune_rate, limit=self.learning_rate)
        needed = 1 + self.fine_tune_gradual * (n - 1)
        if n and needed > self.fine_tune_epochs:
            raise HeadstartError("fine_tune_gradual", n=n, needed=needed, epochs=self.fine_tune_epochs)

    @property
    def kinds(self) -> tuple[str, ...]:
        """`augment_kinds`, each by itself."""
        return tuple(self.augment_kinds.split())

    @property
    def flips(self) -> bool:
        """Whether mirrored copies are learned from."""
        return self.augment > 0 and "flip" in self.kinds

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Plan":
        """Raises HeadstartError when a name is not a setting of this version."""
        known = {setting.name for setting in fields(Plan)}
        for name in values:
            if name not in known:
                raise HeadstartError("setting_unknown", setting=name)
        return Plan(**values)

    def with_(self, **changes: Any) -> "Plan":
        """The same plan with some settings changed, checked again."""
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
        kind = "a whole number" if whole else "a number"
        raise HeadstartError("setting_kind", setting=name, value=value, kind=kind)
    if not rule["low"] <= value <= rule["high"]:
        raise HeadstartError("setting_bounds", setting=name, value=value, low=rule["low"], high=rule["high"])


PRESETS: Mapping[str, Plan] = {
    "linear": Plan(),
    # Larger batches pass over the many weights of a hidden layer half as often, at the same val accuracy.
    "mlp": Plan(hidden_units=256, dropout=0.3, batch_size=64),
    # VGG16, Flatten, Dense(1024, relu), softmax and nothing against memorizing: the recipe of most textbooks.
    "textbook": Plan(
        backbone="VGG16", pooling="flatten", hidden_units=1024, regularization=0.0, epochs=20, batch_size=64
    ),
}

# What a preset says of the head and how it learns; the rest of a plan is not its business.
_OF_THE_HEAD = (
    "pooling", "hidden_units", "hidden_layers", "dropout", "regularization", "label_smoothing", "epochs",
    "learning_rate", "batch_size",
)  # fmt: skip


def preset_settings(name: str, suggested: Plan) -> dict[str, Any]:
    """The settings that make the head of a preset, on whatever backbone. The linear one is that of a suggested plan, if
    that has one; the textbook's is trained on the pictures as they are and on a frozen backbone."""
    source = suggested if name == "linear" and not suggested.hidden_units else PRESETS[name]
    also = ("augment", "balance", "fine_tune_blocks")
    names = (*_OF_THE_HEAD, *also) if name == "textbook" else _OF_THE_HEAD
    return {each: getattr(source, each) for each in names}


DIALS = ("fast", "balanced", "best")

# Measured on photographs of ants and bees and on hand signs: with 5 training pictures a class altered copies brought up
# to 10 points of accuracy, with 50 about 1, with more than 100 none; a class gives a third of its pictures to val and
# test.
_FEW = 75
_COPIES = 3
# All copies together: extraction stays under a minute or two on two cores.
_VIEWS = 10_000
# Adam needs some 2,000 steps to the score of the exact solution on 1,400 pictures, and 100,000 want to be seen.
_STEPS = 2_500
_EPOCHS = (10, 100)
_BATCHES = (32, 256)
# A class that has so many times the pictures of another is learned at its cost. Measured with one class cut down to a
# fifth and a tenth (64 cases): balance 1 brings its recall from 56 to 71 % (+- 2), 0.5 to 64 %, and the accuracy on
# pictures as uneven as the training's goes from 92.6 to 92.2 % (+- 0.5).
_UNEVEN = 3.0
_BALANCE = 1.0
# What one core may spend on a picture, without fine-tuning and with it: 1,000 pictures take about 10 and 30 s on two.
_SLOWEST_MS = (20.0, 60.0)


def suggest(dial: str, counts: Mapping[str, int], mirrored: bool | None = None) -> Plan:
    """A whole plan from one dial, for pictures of so many of each class: `fast` is Starter with a linear head,
    `balanced` the best quick backbone whose weights are on this machine, `best` may be slower and is fine-tuned too.
    `mirrored`: whether it was measured that mirrored pictures keep their class; None: only the names of the classes are
    known.

    A hidden layer is never suggested: it gained nothing with 1,400 pictures and cost 3 to 15 points with 5 a class.
    """
    n, n_classes = sum(counts.values()), max(1, len(counts))
    best = dial == "best"
    copies = 0 if dial == "fast" else _copies(n, n_classes)
    views = max(1, n * (1 + copies))
    batch = 2 ** round(math.log2(min(max(views / 64, _BATCHES[0]), _BATCHES[1])))
    kinds = [kind for kind in ("crop", "flip", "light") if kind != "flip" or may_flip(counts, mirrored)]
    backbone = backbones.STARTER if dial == "fast" else _here(_SLOWEST_MS[best])
    return Plan(
        backbone=backbone.name,
        # A class is pulled against its own pictures, a share of 1 / classes: without that the many weights of many
        # classes are held down (sign digits: log loss 0.25 at 50, 0.19 at 10).
        regularization=round(100 / n_classes, 1),
        epochs=min(max(10 * round(_STEPS * batch / views / 10), _EPOCHS[0]), _EPOCHS[1]),
        batch_size=batch,
        balance=_BALANCE if rarest(counts) else 0.0,
        augment=copies,
        augment_kinds=" ".join(kinds),
        fine_tune_blocks=_tuned_blocks(backbone, n) if best else 0,
    )


def _copies(n: int, n_classes: int) -> int:
    return _COPIES if n / n_classes <= _FEW and n * (1 + _COPIES) <= _VIEWS else 0


def _here(slowest_ms: float) -> Backbone:
    """Of the backbones whose weights are on this machine and that are not slower, the most accurate on ImageNet."""
    here = [b for b in backbones.CATALOGUE if b.has_weights and b.cpu_ms <= slowest_ms]
    return max(here, key=lambda b: b.top1 or 0.0)


def _tuned_blocks(backbone: Backbone, n: int) -> int:
    """How many blocks to fine-tune. Measured on val with MobileNetV2: 2,000 pictures of hand signs teach seven blocks
    more than two (92.6 % frozen, 99.7 % with seven); 240 photographs are soon known by heart, whatever learns."""
    return min(3 if n < 500 else 7, len(backbone.blocks))


def rarest(counts: Mapping[str, int]) -> tuple[str, float] | None:
    """The class with the fewest pictures and how many times fewer they are, when that is more than three times."""
    if not counts:
        return None
    label = min(counts, key=lambda each: counts[each])
    times = max(counts.values()) / max(1, counts[label])
    return (label, times) if times > _UNEVEN else None


def may_flip(classes: Iterable[str], mirrored: bool | None = None) -> bool:
    """Whether mirroring leaves the classes what they are: as measured, or else as far as their names say."""
    return not mirror_risks(classes) if mirrored is None else mirrored


def mirror_risks(classes: Iterable[str]) -> tuple[str, ...]:
    """The classes whose names say that their mirror image may be another: digits, letters, left and right."""
    return tuple(label for label in classes if _SIDED.search(label))


# A digit or letter alone or after such a word, or a side; "0", "b", "digit 7", "letter_q", "turn left", "LeftArrow".
_SIDED = re.compile(
    r"(?i:^(?:(?:letter|char|character|digit|number|num|sign)s?[ _-]?)?(?:[a-z]|\d{1,4})$)"
    r"|(?i:(?<![a-z])(?:left|right|clockwise|anticlockwise|counterclockwise)(?![a-z]))|(?:Left|Right)(?=[A-Z]|$)"
)
