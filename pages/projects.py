"""The projects of this machine: a first look for newcomers, cards for the others."""

import streamlit as st

from core import album, jobs
from core.album import Filter
from core.store import Project
from pages.parts import gallery, shell
from pages.parts.gallery import Tile
from pages.parts.words import percent, plain, say

_MOSAIC = 6  # pictures on a card


def _create(name: str) -> None:
    found = shell.store().add_project(name.strip())
    st.session_state["open"] = found.id


def _sample() -> None:
    found = shell.store().add_project(say("sample_name"), source="sample 0")
    st.session_state["open"] = found.id
    if jobs.latest(shell.store(), found.id) is None:
        jobs.start(shell.store(), found.id, "intake", {"sample": 0, "audit": True})


@st.dialog(say("new_project"))
def _ask_name() -> None:
    with st.form("new-project", border=False):
        name = st.text_input(say("project_name"), placeholder=say("project_name_hint"), max_chars=80, key="new-name")
        if st.form_submit_button(say("create"), type="primary", key="create") and name.strip():
            _create(name)
            st.rerun()


@st.dialog(say("delete_title"))
def _ask_delete(found: Project) -> None:
    runs = len(shell.finished(found))
    st.markdown(say("delete_text", name=plain(found.name), runs=runs))
    with st.container(horizontal=True):
        if st.button(say("delete_yes"), type="primary", key="delete-yes"):
            shell.store().delete_project(found.id)
            st.rerun()
        if st.button(say("cancel"), key="delete-no"):
            st.rerun()


def _buttons(rest: bool) -> None:
    """What begins a project; beside others it is quiet."""
    with st.container(horizontal=True, horizontal_alignment="center", width="content" if rest else "stretch"):
        st.button(
            say("try_sample"),
            type="secondary" if rest else "primary",
            key="sample",
            help=say("try_sample_help"),
            on_click=shell.attempt(_sample),
        )
        if st.button(say("new_project"), key="new", type="secondary"):
            _ask_name()


def _hero() -> None:
    st.title(say("hero"), anchor=False, text_alignment="center")
    st.markdown(say("hero_more"), text_alignment="center")
    _buttons(rest=False)
    st.space("small")
    for column, name in zip(st.columns(3, gap="large"), ("upload", "train", "show"), strict=True):
        with column:
            st.image(str(shell.ART / f"{name}.webp"), width="stretch", alt=say(f"hero_{name}"))
            st.markdown(say(f"hero_{name}"), text_alignment="center")


def _card(found: Project) -> None:
    store = shell.store()
    rows = album.classes(store, found.id)
    total = sum(row.n for row in rows)
    with st.container(border=True, key=f"card-{found.id}"):
        per_class = max(1, -(-_MOSAIC // max(1, len(rows))))
        shown = [p for row in rows[:_MOSAIC] for p in album.page(store, found.id, Filter(row.label), 0, per_class)]
        if shown:
            gallery.show([Tile(p.id, p.label) for p in shown[:_MOSAIC]], f"mosaic-{found.id}", 72)
        st.subheader(plain(found.name), anchor=False)
        st.markdown(say("card_counts", n=total, classes=len(rows)) if rows else say("card_empty"))
        scores = [run.result for run in shell.finished(found) if run.result and run.result["test_n"]]
        if scores:
            best = max(scores, key=lambda result: result["test_accuracy"])
            st.markdown(say("card_score", score=percent(best["test_accuracy"]), n=best["test_n"]))
        else:
            st.markdown(say("card_untrained"))
        with st.container(horizontal=True):
            if st.button(say("open"), key=f"open-{found.id}", type="primary"):
                shell.go("results" if scores else "data", found)
            if st.button(say("delete"), key=f"delete-{found.id}", type="tertiary", icon=":material/delete:"):
                _ask_delete(found)


opened = st.session_state.pop("open", None)
if opened:
    shell.go("data", shell.store().project(opened))

projects = shell.store().projects()
if not projects:
    _hero()
else:
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(say("projects"), anchor=False)
        _buttons(rest=True)
    columns = st.columns(3, gap="medium")
    for number, found in enumerate(projects):
        with columns[number % 3]:
            _card(found)
