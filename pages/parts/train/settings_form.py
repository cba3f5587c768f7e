"""Every setting of a training as a widget that shows its default, in groups, in an expander."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from core import backbones, plan
from core.features import runtime
from core.language import catalog
from core.pictures.counts import Counts
from core.plan import AUGMENTATIONS, Plan
from core.runs.what_if import SETTINGS
from core.store.store import Project
from pages.parts.frame.words import say, with_terms

_GROUPS = {
    "group_head": (
        "pooling", "hidden_units", "hidden_layers", "dropout", "regularization", "choose_regularization",
        "label_smoothing", "balance", "refit",
    ),
    "group_learning": ("epochs", "patience", "learning_rate", "batch_size"),
    "group_tune": ("fine_tune_blocks",),
    "group_augment": ("mirrored", "augment", "augment_kinds"),
    "group_advanced": ("precision", "seed"),
}  # fmt: skip
# The settings of fine-tuning, in short groups; shown once some blocks are fine-tuned.
_TUNE = {
    "tune_what": ("fine_tune_fresh", "fine_tune_batch_norm", "fine_tune_gradual"),
    "tune_pace": ("fine_tune_rate", "fine_tune_decay", "fine_tune_schedule", "fine_tune_warmup"),
    "tune_end": ("fine_tune_epochs", "fine_tune_patience"),
}
_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
_OPTIONS: dict[str, list[Any]] = {
    "epochs": [5, 10, 20, 40, 60, 80, 120, 200],
    "patience": [0, 5, 10, 20, 40],
    "learning_rate": _RATES[2:],
    "batch_size": [8, 16, 32, 64, 128],
    "hidden_units": [0, 64, 128, 256, 512, 1024],
    "hidden_layers": [1, 2, 3],
    "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    "label_smoothing": [0.0, 0.05, 0.1, 0.2, 0.3],
    "balance": [0.0, 0.25, 0.5, 0.75, 1.0],
    "regularization": [0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0],
    "choose_regularization": [0, 1],
    "refit": [0, 1],
    "fine_tune_fresh": [0, 1],
    "fine_tune_batch_norm": list(plan.BATCH_NORMS),
    "fine_tune_gradual": [0, 1, 2, 3, 5],
    "fine_tune_rate": [1e-6, 3e-6, *_RATES[:5]],
    "fine_tune_decay": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "fine_tune_schedule": list(plan.SCHEDULES),
    "fine_tune_warmup": [0, 1, 2, 3, 5],
    "fine_tune_epochs": [3, 5, 8, 12, 20, 40],
    "fine_tune_patience": [0, 3, 5, 10, 20],
    "augment": [0, 1, 2, 3, 4, 8],
    "pooling": list(plan.POOLINGS),
    "mirrored": [0, 1],
    "precision": list(plan.PRECISIONS),
}
# The settings that are on or off.
_SWITCHES = ("mirrored", "choose_regularization", "refit", "fine_tune_fresh")


@dataclass(frozen=True)
class Form:
    """The settings form of a project (with these pictures) at one position of the dial, which has its own values."""

    project: Project
    dial: str
    pictures: Counts

    def key(self, name: str) -> str:
        """The key of the widget of a setting."""
        return f"plan-{self.project.id}-{self.dial}-{name}"

    @property
    def is_suggested(self) -> bool:
        """Whether nobody has chosen another backbone than the dial, which then chooses again where it must."""
        return self.key("backbone") not in st.session_state

    @property
    def backbone(self) -> str:
        """The backbone that was chosen, else that of the dial."""
        return str(st.session_state.get(self.key("backbone"), plan.suggested_backbone(self.dial).name))

    def use(self, values: Mapping[str, Any]) -> None:
        """Put values of settings into the form."""
        if values["backbone"] != self.backbone:
            st.session_state.pop(self.key("fine_tune_blocks"), None)  # the number of blocks is that of one backbone
        st.session_state.update({self.key(name): value for name, value in values.items()})


def title(name: str) -> str:
    """The title of a setting, even one of an older or newer Headstart."""
    key = f"setting.{name}"
    return say(key) if catalog.has(key) else name.replace("_", " ").capitalize()


def _label(name: str) -> str:
    """The title at a widget, with a sign where *What if* answers at once."""
    return f"{title(name)} :material/bolt:" if name in SETTINGS else title(name)


def value(name: str, chosen: Any) -> str:
    """The value of a setting as text."""
    if chosen is None:
        return "-"
    if name in _SWITCHES:
        return say("yes" if chosen else "no")
    return catalog.number(chosen, "g") if isinstance(chosen, float) else str(chosen)


Preview = Callable[[dict[str, Any]], None]


def settings(base: Plan, key: Callable[[str], str], preview: Preview) -> dict[str, Any]:
    """Draw every setting and return the chosen values; `key` gives the key of a setting's widget, `base` the defaults,
    and `preview` draws the effect of values on pictures."""
    values: dict[str, Any] = {}
    with st.expander(say("all_settings"), icon=":material/tune:"):
        for tab, names in zip(st.tabs([say(group) for group in _GROUPS]), _GROUPS.values(), strict=True):
            with tab:
                if "pooling" in names:
                    _presets(base, key)
                if set(names) & set(SETTINGS):
                    st.caption(say("instant_note"))
                for name in names:
                    if name == "precision" and not runtime.has_bfloat16():
                        continue  # nothing to choose on this machine
                    if name == "fine_tune_blocks" and not backbones.find(base.backbone).blocks:
                        st.caption(say("tune_no_blocks", backbone=base.backbone))
                        continue
                    _follow(name, base, key(name))
                    values[name] = _slider(name, base, key(name))
                if "augment" in names:
                    preview(values)
                if values.get("fine_tune_blocks") and names == _GROUPS["group_tune"]:
                    values |= _tuning(base, key, values["learning_rate"])
    return values


def _tuning(base: Plan, key: Callable[[str], str], head_rate: float) -> dict[str, Any]:
    """Draw the settings of fine-tuning, once some blocks are fine-tuned, and return their values."""
    values: dict[str, Any] = {}
    for title, names in _TUNE.items():
        st.markdown(f"**{say(title)}**")
        for start in range(0, len(names), 2):
            for column, name in zip(st.columns(2, gap="medium"), names[start : start + 2], strict=False):
                with column:
                    _follow(name, base, key(name))
                    values[name] = _slider(name, base, key(name))
                    if name == "fine_tune_rate":
                        st.caption(say("tune_rate_share", times=catalog.number(values[name] / head_rate, ".3g")))
    return values


def _follow(name: str, base: Plan, key: str) -> None:
    """Move a widget that is still at its old default to the new default, which changes with the pictures."""
    default, kept = getattr(base, name), f"{key}-default"
    before, now = st.session_state.get(kept, default), st.session_state.get(key)
    if before != default and (" ".join(now) if isinstance(now, list) else now) == before:
        st.session_state[key] = default
    st.session_state[kept] = default


def _presets(base: Plan, key: Callable[[str], str]) -> None:
    """Preset heads; choosing one moves the sliders, and moving a slider clears the choice."""
    sets = {name: plan.preset_settings(name, base) for name in plan.PRESETS}
    now = {name: st.session_state.get(key(name), getattr(base, name)) for name in sets["textbook"]}
    fitting = [name for name, values in sets.items() if values.items() <= now.items()]
    chosen = key("preset")
    st.session_state[chosen] = fitting[0] if fitting else None

    def take() -> None:
        st.session_state.update({key(name): value for name, value in sets.get(st.session_state[chosen], {}).items()})

    st.segmented_control(
        say("preset"), list(sets), format_func=lambda name: say(f"preset_{name}"), key=chosen, on_change=take,
        help=with_terms("preset_help"),
    )  # fmt: skip


def _slider(name: str, base: Plan, key: str) -> Any:
    default = getattr(base, name)
    common: dict[str, Any] = {"key": key, "help": with_terms(f"setting_help.{name}"), "persist_state": "session"}
    if name == "seed":
        return st.number_input(_label(name), 0, 2**31 - 1, default, **common)
    if name == "augment_kinds":
        return _kinds(default, key)
    options = (
        list(range(len(backbones.find(base.backbone).blocks) + 1)) if name == "fine_tune_blocks" else _OPTIONS[name]
    )
    for each in (default, st.session_state.get(key, default)):
        if each not in options:  # perhaps put there by another part of the page
            options = sorted([*options, each])
    common["format_func"] = partial(value, name)
    if key in st.session_state:  # already set; Streamlit warns about a default beside it
        return st.select_slider(_label(name), options, **common)
    return st.select_slider(_label(name), options, default, **common)


def _kinds(default: str, key: str) -> str:
    """The kinds of augmentation, each a pill; returns the chosen ones as one text."""
    kept = st.session_state.get(key)
    if isinstance(kept, str):  # from a plan
        st.session_state[key] = kept.split()
    given: Any = {} if key in st.session_state else {"default": default.split()}
    chosen = st.pills(
        _label("augment_kinds"), AUGMENTATIONS, selection_mode="multi", key=key,
        help=with_terms("setting_help.augment_kinds"), format_func=lambda kind: say(f"kind_{kind}"),
        persist_state="session", **given,
    )  # fmt: skip
    return " ".join(chosen)
