"""Where a model looks, class by class: the mean picture and over it, on average, what speaks for the class."""

from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from core import attention, heatmap
from core.attention import Gaze
from core.errors import HeadstartError
from core.store import Run
from pages.parts import shell, trial
from pages.parts.words import percent, plain, say

_PX = 192
_PAGE = 24  # classes at a time


def panel(run: Run) -> None:
    """What was found, or the button that finds it: it takes as long as so many pictures in the demo."""
    scores = next((each for part in ("test", "val") if (each := shell.evaluation(run, part)).n), None)
    if scores is None:
        st.caption(say("look_none"))
        return
    chosen = attention.choose(scores, run.plan["backbone"])
    folder = shell.store().folder(run.id)
    found = {gaze.label: gaze for gaze in _read(folder)}
    st.markdown(say("look_help"))
    if not set(chosen) <= set(found):
        n = sum(len(ids) for label, ids in chosen.items() if label not in found)
        if not st.button(say("look", n=n), key="look", type="primary"):
            return
        try:
            _look(run, chosen)
        except HeadstartError as error:
            shell.show(error)
            return
        st.rerun()
    _show([found[label] for label in chosen])


def _read(folder: Path) -> tuple[Gaze, ...]:
    path = folder / attention.FILE
    return _kept(folder, path.stat().st_mtime_ns) if path.is_file() else ()


@st.cache_resource(show_spinner=False, max_entries=4)  # the values themselves: 1,000 classes are 30 MB
def _kept(folder: Path, written_at: int) -> tuple[Gaze, ...]:
    return attention.read(folder)


def _look(run: Run, chosen: dict[str, list[str]]) -> None:
    total = sum(map(len, chosen.values()))
    bar = st.progress(0.0, text=say("looking", done=0, n=total))
    store, predictor = shell.store(), trial.predictor(run)

    def tick(done: int) -> None:
        bar.progress(done / total, text=say("looking", done=done, n=total))

    attention.look(predictor, store.pictures, chosen, store.folder(run.id), tick)


def _show(gazes: list[Gaze]) -> None:
    """The odd ones first, then those that are looked at most in the border."""
    odd = sum(gaze.is_odd for gaze in gazes)
    if odd:
        st.warning(say("look_odd", n=odd, of=len(gazes)), icon=":material/visibility:")
    gazes = sorted(gazes, key=lambda gaze: (not gaze.is_odd, -gaze.border))
    pages = -(-len(gazes) // _PAGE)
    current = st.pagination(pages, key="look-page") if pages > 1 else 1
    with st.container(horizontal=True, gap="medium"):
        for gaze in gazes[(current - 1) * _PAGE : current * _PAGE]:
            with st.container(width=_PX, gap="xsmall"):
                _class(gaze)
    st.caption(say("look_limits", area=percent(heatmap.border_area())))


def _class(gaze: Gaze) -> None:
    mean = np.asarray(Image.fromarray(gaze.mean).resize((2 * _PX, 2 * _PX), Image.Resampling.BILINEAR))
    strongest = gaze.heat.max()
    heat = gaze.heat / strongest if strongest else gaze.heat
    st.image(heatmap.overlay(mean, heat), width="stretch", output_format="JPEG", alt=say("look_alt", label=gaze.label))
    mark = ":material/visibility: " if gaze.is_odd else ""
    st.markdown(f"{mark}**{plain(gaze.label)}**")
    if not strongest:
        st.caption(say("why_nothing", label=plain(gaze.label)))
        return
    row, column, times = gaze.peak
    where = say(f"place_{_third(row, len(heat))}{_third(column, heat.shape[1])}")
    st.caption(say("look_facts", border=percent(gaze.border), where=where, times=times, n=gaze.n))


def _third(position: int, n: int) -> int:
    """0, 1 or 2: the third of n places that one lies in; an odd one in the middle is in the middle."""
    return int(3 * (position + 0.5) / n)
