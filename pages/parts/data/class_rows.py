"""The classes of a project in rows, each with its pictures and the actions on the class as a whole.

A class can be renamed, colored, moved, merged with another, left out and taken back; `untrainable` offers to merge or
leave out the classes that prevent a training.
"""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.errors import HeadstartError
from core.pictures import album, classes
from core.pictures.album import ClassRow, Filter
from core.settings import LIMITS
from core.store.store import Project
from pages.parts.data import class_cards, class_color
from pages.parts.frame import context, gallery, undo_line
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import about, brief, plain, say

_ROWS = 12  # classes with a strip; the others are chosen by name
_STRIP = 7  # pictures beside a class
_NAMED = 6  # maximum classes with their own buttons in one finding
_PLACE = "classes"
_MOVES = {"up": -1, "down": 1}  # places


def show(project: Project, rows: Sequence[ClassRow], busy: bool) -> None:
    """Draw the first classes by name, one other class of choice, the classes that are left out, and cards of classes
    to come; `busy` is whether pictures are taken in."""
    st.header(say("classes"), anchor=False)
    undo_line.line(project, _PLACE)
    most = max(row.n for row in rows)
    class_color.show(project)
    listed = list(rows[:_ROWS])
    for number, row in enumerate(listed):
        _row(project, rows, row, most, str(number))
    if rows[_ROWS:]:
        others = {row.label: row for row in rows[_ROWS:]}
        chosen = st.selectbox(
            say("more_classes", n=len(others)), list(others), index=None, placeholder=say("more_classes_choose"),
            format_func=lambda label: f"{label} \u00b7 {others[label].n}", key=f"other-class-{project.id}",
        )  # fmt: skip
        if chosen in others:
            listed.append(others[chosen])
            _row(project, rows, others[chosen], most, "other")
    take_back(project)
    class_cards.begin(project, [row.label for row in rows], [row.label for row in listed], busy)


def take_back(project: Project) -> None:
    """Draw the classes that are left out as a whole, each with a button to take it back."""
    gone = classes.left_out(context.store(), project.id)
    if not gone:
        return
    named = ", ".join(f"{plain(brief(label))} ({n})" for label, n in list(gone.items())[:_NAMED])
    more = f", +{len(gone) - _NAMED}" if len(gone) > _NAMED else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="left-out-classes"):
        st.caption(say("classes_left_out", names=named + more), width="content")
        label = st.menu_button(
            say("take_back_class"), list(gone), key="take-back-class", type="tertiary", format_func=plain,
        )  # fmt: skip
    if label is not None:
        undo_line.at(project, _PLACE, lambda: classes.take_back(context.store(), project.id, label))()
        st.rerun()


def untrainable(project: Project, rows: Sequence[ClassRow], place: str) -> bool:
    """Draw the classes that prevent a training, each with the actions against that. Returns whether there are any."""
    undo_line.line(project, place)
    some = classes.untrainable(rows)
    if not some or len(rows) < 2:
        return False
    with st.container(border=True, key=place, gap="small"):
        if len(some) == 1:
            _prevents(project, rows, some[0], place)
        else:
            _prevent(project, rows, some, place)
    return True


def _prevents(project: Project, rows: Sequence[ClassRow], row: ClassRow, place: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        key = "untrainable_few" if row.n == 1 else "untrainable_untaught"
        with st.container(width="stretch"):
            st.markdown(f":material/block: {say(key, label=plain(brief(row.label)))}")
        with st.container(horizontal=True, gap="small", width="content"):
            _out_button(project, [row.label], about(say("leave_class_out"), row.label), f"{place}-out", place)
            if st.button(about(say("merge_into"), row.label), key=f"{place}-merge"):
                _merge(project, rows, row, place)


def _prevent(project: Project, rows: Sequence[ClassRow], some: list[ClassRow], place: str) -> None:
    st.markdown(f":material/block: {say('untrainable', n=len(some))}")
    with st.container(horizontal=True, gap="small"):
        for number, row in enumerate(some[:_NAMED]):
            asked = _menu(row, ["merge", "out"], f"{place}-{number}", "secondary")
            _answer(project, rows, row, asked, place)
        if some[_NAMED:]:
            st.caption(f"+{len(some) - _NAMED}", width="content")
    label = say("leave_classes_out", n=len(some))
    _out_button(project, [row.label for row in some], label, f"{place}-out", place)


def _menu(row: ClassRow, options: list[str], key: str, look: Literal["secondary", "tertiary"]) -> str | None:
    """A menu with the name of a class and its number of pictures; returns the chosen action."""
    return st.menu_button(
        f"{plain(brief(row.label))} \u00b7 {row.n}", options, type=look, key=key,
        format_func=lambda what: say(f"class_{what}"), help=plain(row.label) if brief(row.label) != row.label else None,
    )  # fmt: skip


def _answer(project: Project, rows: Sequence[ClassRow], row: ClassRow, asked: str | None, place: str) -> None:
    if asked == "rename":
        _rename(project, row)
    elif asked == "merge":
        _merge(project, rows, row, place)
    elif asked == "color":
        class_color.ask(project, row.label)
    elif asked in _MOVES:
        classes.move(context.store(), project.id, row.label, _MOVES[asked])
        st.rerun()
    elif asked == "out":
        undo_line.at(project, place, lambda: classes.leave_out(context.store(), project.id, [row.label]))()
        st.rerun()


def _out_button(project: Project, labels: list[str], text: str, key: str, place: str) -> None:
    out = undo_line.at(project, place, lambda: classes.leave_out(context.store(), project.id, labels))
    st.button(text, key=key, on_click=out)


def _row(project: Project, rows: Sequence[ClassRow], row: ClassRow, most: int, number: str) -> None:
    name, strip = st.container(key=class_cards.row_key(row.label)).columns(
        [2, 5], vertical_alignment="center", gap="medium"
    )
    with name.container(gap=None, key=f"class-{number}"):
        moves = [way for way, end in (("up", rows[0]), ("down", rows[-1])) if row != end]
        options = ["rename", "color", *moves, "merge", "out"]
        asked = _menu(row, options, f"class-menu-{number}", "tertiary")
        st.progress(row.n / most)
        _add(project, row)
    with strip:
        shown = album.page(context.store(), project.id, Filter(row.label), 0, _STRIP)
        gallery.show([Tile(p.id, p.label) for p in shown], f"strip-{number}", 84, strip=True)
    _answer(project, rows, row, asked, _PLACE)


def _add(project: Project, row: ClassRow) -> None:
    """A button that opens the ways to add pictures of a class."""
    add = st.popover(
        about(say("row_add"), say("row_add_to", label=row.label)), icon=":material/add:", type="tertiary",
        on_change="rerun", key=f"add-to-{class_cards.row_key(row.label)}",
    )  # fmt: skip
    if add.open:
        with add:
            class_cards.fill(project, row.label)


def _rename(project: Project, row: ClassRow) -> None:
    """Ask for a new name; if another class has it, ask once whether to merge both."""

    def ask() -> None:
        with st.form("rename-class", border=False):
            name = st.text_input(say("class_name"), row.label, max_chars=LIMITS.class_name, key="class-name")
            pressed = st.form_submit_button(say("class_rename"), type="primary", key="class-rename")
        other = classes.namesake(context.store(), project.id, row.label, name)
        if other is not None:
            exists = "class_exists" if other.used else "class_exists_out"
            st.markdown(say(exists, label=plain(row.label), other=plain(other.label), n=other.n))
            pressed = st.button(say("class_one", name=plain(brief(other.label))), type="primary", key="class-merge-yes")
        if pressed:
            _do(project, row, name, _PLACE)

    context.dialog(say("class_rename_title", label=plain(brief(row.label))))(ask)()


def _merge(project: Project, rows: Sequence[ClassRow], row: ClassRow, place: str) -> None:
    """Ask for the class to merge this one into."""

    def ask() -> None:
        others = [each.label for each in rows if each.label != row.label]
        chosen = st.selectbox(say("class"), others, index=None, placeholder=say("class_choose"), key="merge-class")
        st.caption(say("class_merge_n", n=row.n, label=plain(row.label)))
        if st.button(say("class_merge_yes"), type="primary", key="merge-yes", disabled=chosen is None):
            _do(project, row, str(chosen), place)

    context.dialog(say("class_merge_title", label=plain(brief(row.label))))(ask)()


def _do(project: Project, row: ClassRow, name: str, place: str) -> None:
    """Rename and close the dialog; an error is shown in it."""
    change = album.last_change(context.store(), project.id)
    try:
        classes.rename(context.store(), project.id, row.label, name)
    except HeadstartError as error:
        context.show(error)
        return
    undo_line.note(project, place, change.number if change else 0)
    st.rerun()
