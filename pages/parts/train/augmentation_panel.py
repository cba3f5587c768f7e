"""What altered copies look like, on the user's own pictures, and whether a mirror would change what they show."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core import album, backbones, effects, plan
from core.album import Filter
from core.errors import HeadstartError
from core.preview import COPIES, Preview
from core.store import Project
from pages.parts import shell
from pages.parts.words import plain, say

_PICTURES = 3
_NAMED = 3


@st.cache_resource(show_spinner=False)
def _preview() -> Preview:
    return Preview(shell.store().pictures)


@st.cache_data(show_spinner=False, max_entries=64)
def _strips(ids: tuple[str, ...], size: int, copies: int, kinds: tuple[str, ...]) -> list[bytes]:
    return _preview().strips(ids, size, copies, kinds)


def mirror(found: Project, classes: list[str]) -> dict[str, Any] | None:
    """What a training of these classes measured with mirrored pictures."""
    results = (run.result or {} for run in shell.finished(found))
    return next((r["mirror"] for r in results if r.get("mirror") and list(r["classes"]) == classes), None)


def panel(
    found: Project, classes: list[str], backbone: str, measured: dict[str, Any] | None, values: Mapping[str, Any]
) -> None:
    """Some pictures with their copies in these settings; `measured` is the mirror's work."""
    copies, kinds = values["augment"], tuple(values["augment_kinds"].split())
    if "flip" in kinds and copies:
        _warn(classes, measured)
    elif not plan.may_flip(classes, effects.may_flip(measured)) and "flip" not in kinds:
        st.caption(say("flip_off"))
    if not copies or not kinds:
        st.caption(say("preview_none"))
        return
    pictures = [p for label in classes[:_PICTURES] for p in album.page(shell.store(), found.id, Filter(label), 0, 2)]
    shown = sorted(pictures, key=lambda p: pictures.index(p) % 2)[:_PICTURES]  # one of each class first
    size = backbones.find(backbone).size
    try:
        strips = _strips(tuple(p.id for p in shown), size, copies, kinds)
    except HeadstartError as error:
        shell.quiet(error)
        return
    st.caption(say("preview" if copies <= COPIES else "preview_some", n=copies, shown=COPIES))
    for picture, strip in zip(shown, strips, strict=True):
        st.image(strip, width="stretch")
        st.caption(plain(picture.label))


def _warn(classes: list[str], measured: dict[str, Any] | None) -> None:
    """Where a mirrored picture shows another class: as measured, or else by the names."""
    if measured and measured["swapped"]:
        words = {name: plain(value) if isinstance(value, str) else value for name, value in measured["swapped"].items()}
        st.warning(say("flip_swaps", **words), icon=":material/flip:")
        return
    sided = plan.mirror_risks(classes)
    if not sided or (measured and measured["enough"]):
        return
    names = ", ".join(f"**{plain(label)}**" for label in sided[:_NAMED])
    st.warning(say("flip_risk", classes=names + (" ..." if len(sided) > _NAMED else "")), icon=":material/flip:")
