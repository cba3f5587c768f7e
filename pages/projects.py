"""The projects of this server: an introduction if there are none, else a card for each."""

from functools import partial
from typing import Any

import streamlit as st

from core.disk import space
from core.intake import sample_sets
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language import catalog
from core.pictures import album
from core.pictures.album import Filter
from core.store.store import Project, Run
from pages.parts.frame import context, gallery
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import about, percent, plain, say
from pages.parts.projects import archive_field, opening_state
from pages.parts.results import run_list

_MOSAIC = 6  # pictures on a card


def _create(name: str) -> None:
    project = context.store().add_project(name.strip())
    st.session_state["open"] = project.id


def _sample(chosen: str) -> None:
    """Open the project of a drawn set, which is made once."""
    name, source = say(f"sample_{chosen}"), sample_sets.SETS[chosen].source
    project = context.store().add_project(name, source=source)
    st.session_state["open"] = project.id
    if queue.latest(context.store(), project.id) is None:
        spoken = catalog.current().language
        drawn = Delivery(sample=0, sample_set=chosen, language=spoken, audit=True)
        queue.start(context.store(), project.id, INTAKE, drawn)


@context.dialog(say("new_project"))
def _ask_name() -> None:
    with st.form("new-project", border=False):
        name = st.text_input(say("project_name"), placeholder=say("project_name_hint"), max_chars=80, key="new-name")
        if st.form_submit_button(say("create"), type="primary", key="create") and name.strip():
            _create(name)
            st.rerun()


@context.dialog(say("delete_title"))
def _ask_delete(project: Project) -> None:
    store, n = context.store(), len(context.finished(project))
    name = plain(project.name)
    st.markdown(say("delete_text", name=name, runs=n) if n else say("delete_text_bare", name=name))
    delete = partial(space.deleting, store.home, lambda: store.delete_project(project.id))
    context.confirm(say("delete_yes"), "delete", delete)


def _buttons(rest: bool) -> None:
    """The buttons that create a project; `rest`: other projects exist, so that no button is the primary one."""
    wide: Any = "content" if rest else "stretch"
    with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center", width=wide):
        looks: dict[str, Any] = {"signs": "secondary" if rest else "primary", "ladybugs": "tertiary"}
        for chosen, look in looks.items():
            st.button(
                say(f"try_{chosen}"), type=look, key=f"sample-{chosen}", help=say(f"try_{chosen}_help"),
                on_click=context.attempt(partial(_sample, chosen)),
            )  # fmt: skip
        if st.button(say("new_project"), key="new", type="secondary"):
            _ask_name()
        if st.button(say("archive_open"), key="open-archive", type="tertiary", icon=":material/unarchive:"):
            archive_field.open_one()
        if not rest:
            st.page_link(context.PAGES["learn"], label=say("learn"), icon=":material/school:")


def _hero() -> None:
    st.markdown(f"**{say('app')}**", text_alignment="center")
    st.title(say("hero"), anchor=False, text_alignment="center")
    st.markdown(say("hero_more"), text_alignment="center")
    _buttons(rest=False)
    st.space("small")
    for column, name in zip(st.columns(3, gap="large"), ("upload", "train", "show"), strict=True):
        with column:
            st.image(str(context.ART / f"{name}.webp"), width="stretch", alt=say(f"hero_{name}").replace("**", ""))
            st.markdown(say(f"hero_{name}"), text_alignment="center")


def _card(project: Project) -> None:
    store = context.store()
    rows = album.classes(store, project.id)
    total = sum(row.n for row in rows)
    with st.container(border=True, key=f"card-{project.id}", height="stretch"):
        per_class = max(1, -(-_MOSAIC // max(1, len(rows))))
        shown = [p for row in rows[:_MOSAIC] for p in album.page(store, project.id, Filter(row.label), 0, per_class)]
        if shown:
            gallery.show([Tile(p.id, p.label) for p in shown[:_MOSAIC]], f"mosaic-{project.id}", 64)
        st.header(plain(project.name), anchor=False)
        if not opening_state.is_open(project):
            opening_state.draw(project)
            _delete_button(project)
            return
        reading = queue.current(store, project.id, INTAKE)
        counts = say("card_counts", pictures=say("pictures_n", n=total), classes=say("classes_n", n=len(rows)))
        empty = say("card_reading" if reading is not None and reading.active else "card_empty")
        st.markdown(counts if rows else empty)
        done = context.finished(project)
        st.markdown(_score(done))
        with st.container(horizontal=True):
            if st.button(about(say("open"), project.name), key=f"open-{project.id}", type="primary"):
                context.go("results" if done else "data", project)
            archive_field.take_away(project)
            _delete_button(project)


def _delete_button(project: Project) -> None:
    label = about(say("delete"), project.name)
    if st.button(label, key=f"delete-{project.id}", type="tertiary", icon=":material/delete:"):
        _ask_delete(project)


def _score(done: list[Run]) -> str:
    """The score of the promoted run or else of the newest one, whichever has an honest score."""
    shown = run_list.to_show(done)
    if shown is not None:
        return say("card_score", score=percent(shown.outcome.test_accuracy), n=shown.outcome.test_n)
    if any(run.outcome.test_n for run in done):
        return say("card_too_good")
    return say("card_untested" if done else "card_untrained")


opened = st.session_state.pop("open", None)
if opened:
    context.go("data", context.store().project(opened))

projects = context.store().projects()
if not projects:
    _hero()
else:
    st.markdown(f"**{say('app')}**")
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.title(say("projects"), anchor=False)
        _buttons(rest=True)
    columns = st.columns(3, gap="medium")
    for number, found in enumerate(projects):
        with columns[number % 3]:
            _card(found)
