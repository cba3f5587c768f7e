"""The mean picture of each class under its mean heat map."""

from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from core import backbones
from core.errors import HeadstartError
from core.explain import grad_cam, mean_heat_maps
from core.explain.mean_heat_maps import MeanHeatMap
from core.store.store import Run
from pages.parts.demo import damaged_files, try_model
from pages.parts.frame import context
from pages.parts.frame.words import percent, plain, say, with_terms

_PX = 192
_PAGE = 24  # classes at a time


def panel(run: Run) -> None:
    """Draw the heat maps, or a button that computes them; a picture takes as long as in the demo."""
    backbone = backbones.find(run.plan["backbone"])
    if not backbone.has_places:
        st.caption(say("why_no_places", backbone=plain(backbone.name)))
        return
    scores = next((each for part in ("test", "val") if (each := context.evaluation(run, part)).n), None)
    if scores is None:
        st.caption(say("look_none"))
        return
    chosen = mean_heat_maps.choose(scores, run.plan["backbone"])
    folder = context.store().folder(run.id)
    found = {shown.label: shown for shown in _read(folder)}
    st.markdown(with_terms("look_help"))
    if not set(chosen) <= set(found):
        n = sum(len(ids) for label, ids in chosen.items() if label not in found)
        if not st.button(say("look", n=n), key="look", type="primary"):
            return
        try:
            _look(run, chosen)
        except HeadstartError as error:
            damaged_files.show(error, run)
            return
        st.rerun()
    _show([found[label] for label in chosen])


def _read(folder: Path) -> tuple[MeanHeatMap, ...]:
    path = folder / mean_heat_maps.FILE
    return _kept(folder, path.stat().st_mtime_ns) if path.is_file() else ()


@st.cache_resource(show_spinner=False, max_entries=4)  # without a copy: 1,000 classes are 30 MB
def _kept(folder: Path, written_at: int) -> tuple[MeanHeatMap, ...]:
    return mean_heat_maps.read(folder)


def _look(run: Run, chosen: dict[str, list[str]]) -> None:
    total = sum(map(len, chosen.values()))
    bar = st.progress(0.0, text=say("looking", done=0, n=total))
    store, predictor = context.store(), try_model.predictor(run)

    def tick(done: int) -> None:
        bar.progress(done / total, text=say("looking", done=done, n=total))

    mean_heat_maps.look(predictor, store.pictures, chosen, store.folder(run.id), tick)


def _show(heat_maps: list[MeanHeatMap]) -> None:
    """Draw the heat maps: the odd ones first, then the others by the share of the border, the largest first."""
    odd = sum(shown.is_odd for shown in heat_maps)
    if odd:
        st.warning(say("look_odd", n=odd, of=len(heat_maps)), icon=":material/visibility:")
    heat_maps = sorted(heat_maps, key=lambda shown: (not shown.is_odd, -shown.border))
    pages = -(-len(heat_maps) // _PAGE)
    current = st.pagination(pages, key="look-page") if pages > 1 else 1
    with st.container(horizontal=True, gap="medium"):
        for shown in heat_maps[(current - 1) * _PAGE : current * _PAGE]:
            with st.container(width=_PX, gap="xsmall"):
                _class(shown)
    st.caption(say("look_limits", area=percent(grad_cam.border_area())))


def _class(shown: MeanHeatMap) -> None:
    mean = np.asarray(Image.fromarray(shown.mean).resize((2 * _PX, 2 * _PX), Image.Resampling.BILINEAR))
    strongest = shown.heat.max()
    heat = shown.heat / strongest if strongest else shown.heat
    st.image(
        grad_cam.overlay(mean, heat), width="stretch", output_format="JPEG", alt=say("look_alt", label=shown.label)
    )
    mark = ":material/visibility: " if shown.is_odd else ""
    st.markdown(f"{mark}**{plain(shown.label)}**")
    if not strongest:
        st.caption(say("why_nothing", label=plain(shown.label)))
        return
    row, column, times = shown.peak
    rows, columns = shown.coarse.shape
    where = say(f"place_{_third(row, rows)}{_third(column, columns)}")
    st.caption(say("look_facts", border=percent(shown.border), where=where, times=times, n=shown.n))


def _third(position: int, n: int) -> int:
    """Which third (0, 1 or 2) of n positions this one is in; the middle of an odd n is in the middle third."""
    return int(3 * (position + 0.5) / n)
