"""The split into parts: its present state, the effect of groups, and its settings."""

import streamlit as st

from core.dataset import PARTS
from core.pictures import album
from core.pictures.album import ClassRow
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import part_name, percent, say, with_terms

_SHADES = ("#0F766E", "#4F9F96", "#B45309")
_SEEDS = 2**31  # the range of seeds in a run file


def show(project: Project, rows: list[ClassRow]) -> None:
    """Draw one bar, the settings of the shares, and why some can no longer be changed."""
    st.header(say("split"), anchor=False, help=with_terms("split_help"))
    total = sum(row.n for row in rows)
    parts = {part: sum(row.parts[part] for row in rows) for part in PARTS}
    shades = zip(_SHADES, parts.values(), strict=True)
    pieces = [f'<div style="flex:{n};background:{color};height:14px"></div>' for color, n in shades]
    st.html(f'<div style="display:flex;gap:3px;border-radius:7px;overflow:hidden">{"".join(pieces)}</div>')
    st.caption(" \u00b7 ".join(f"**{part_name(name)}** {n} ({percent(n / total)})" for name, n in parts.items()))
    st.caption(say("split_means"))
    for source, (groups, n, spanning) in album.groups(context.store(), project.id).items():
        what = say("groups_span", n=spanning) if spanning else say("groups_whole", n=groups)
        st.caption(f":material/group_work: {say(f'groups_{source}', n=n, groups=say('groups_n', n=groups))} {what}")
    locked = album.test_is_locked(context.store(), project.id)
    if locked:
        st.caption(f":material/lock: {say('split_locked')}")
    test, val = st.columns(2)
    # A run file may have set shares that the sliders do not offer: they stay until one is moved.
    now_test, now_val = (min(40, max(5, round(share * 100))) for share in (project.test, project.val))
    chosen_test = test.slider(say("split_test"), 5, 40, now_test, 5, "%d %%", disabled=locked)
    chosen_val = val.slider(say("split_val"), 5, 40, now_val, 5, "%d %%", disabled=locked)
    if locked:
        return
    if (chosen_test, chosen_val) != (now_test, now_val):
        album.set_split(context.store(), project.id, project.split_seed, chosen_val / 100, chosen_test / 100)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            say("new_seed"), key="new-seed", type="tertiary", icon=":material/shuffle:", help=say("new_seed_help"),
            on_click=context.attempt(lambda: _new_seed(project)),
        )  # fmt: skip
        st.caption(say("seed", seed=project.split_seed))


def _new_seed(project: Project) -> None:
    album.set_split(context.store(), project.id, (project.split_seed + 1) % _SEEDS, project.val, project.test)
