"""Altered copies of the user's own pictures, and whether mirroring changes their class."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core import backbones, plan
from core.errors import HeadstartError
from core.learning import ablations
from core.pictures import album
from core.pictures.album import Filter
from core.runs.augmentation_preview import COPIES, Preview
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import plain, say

_PICTURES = 3
_NAMED = 3


@st.cache_resource(show_spinner=False)
def _preview() -> Preview:
    return Preview(context.store().pictures)


@st.cache_data(show_spinner=False, max_entries=64)
def _strips(ids: tuple[str, ...], size: int, copies: int, kinds: tuple[str, ...]) -> list[bytes]:
    return _preview().strips(ids, size, copies, kinds)


def panel(
    project: Project, classes: list[str], backbone: str, measured: dict[str, Any] | None, values: Mapping[str, Any]
) -> None:
    """Some pictures with their altered copies for these settings (`values`); `measured`: by `finished_runs.mirror`."""
    copies, kinds = values["augment"], tuple(values["augment_kinds"].split())
    if values["mirrored"] or ("flip" in kinds and copies):
        _warn(classes, measured)
    elif not plan.may_flip(classes, ablations.may_flip(measured)) and "flip" not in kinds:
        st.caption(say("flip_off"))
    if not copies or not kinds:
        st.caption(say("preview_none"))
        return
    pictures = [
        p for label in classes[:_PICTURES] for p in album.page(context.store(), project.id, Filter(label), 0, 2)
    ]
    shown = sorted(pictures, key=lambda p: pictures.index(p) % 2)[:_PICTURES]  # one per class first
    size = backbones.find(backbone).size
    try:
        strips = _strips(tuple(p.id for p in shown), size, copies, kinds)
    except HeadstartError as error:
        context.quiet(error)
        return
    st.caption(say("preview", n=copies) if copies <= COPIES else say("preview_some", n=copies, shown=COPIES))
    for picture, strip in zip(shown, strips, strict=True):
        st.image(strip, width="stretch", alt=say("preview_alt", label=picture.label))
        st.caption(plain(picture.label))


def _warn(classes: list[str], measured: dict[str, Any] | None) -> None:
    """Warn if a mirrored picture may show another class: by `measured`, or else by the class names."""
    if measured and measured["swapped"]:
        words = {name: plain(value) if isinstance(value, str) else value for name, value in measured["swapped"].items()}
        st.warning(say("flip_swaps", **words), icon=":material/flip:")
        return
    sided = plan.mirror_risks(classes)
    if not sided or (measured and measured["enough"]):
        return
    names = ", ".join(f"**{plain(label)}**" for label in sided[:_NAMED])
    st.warning(say("flip_risk", classes=names + (" ..." if len(sided) > _NAMED else "")), icon=":material/flip:")
