"""The pictures of a project: add them, see which files were not used and why, sort and split them."""

import streamlit as st

from core.intake import deliveries
from core.jobs import queue
from core.jobs.kinds import INTAKE, OPENING
from core.language import messages
from core.pictures import album
from core.pictures.album import ClassRow, Filter
from core.plan import rarest
from core.store.store import Project
from pages.parts.data import (
    add_pictures,
    class_cards,
    class_rows,
    data_versions,
    findings_panel,
    folder_panel,
    review_queue,
    split_panel,
    unsorted_pictures,
)
from pages.parts.frame import context, job_panel, picture_actions
from pages.parts.frame.words import brief, plain, say

_FEW = 10  # pictures that a class needs for a first impression
_LINE = 45  # characters that fit on one line of a cell
_LINES = 72  # height in px of a row whose cells have several lines
_NAMED = 6  # classes that one finding names


def _next(project: Project, rows: list[ClassRow]) -> None:
    """What there is, and the way on."""
    total = sum(row.n for row in rows)
    with st.container(horizontal=True, vertical_alignment="center", key="row-next"):
        n = say("card_counts", pictures=say("pictures_n", n=total), classes=say("classes_n", n=len(rows)))
        st.markdown(f"**{n}**", width="stretch")
        if len(rows) >= 2 and st.button(say("next_train"), type="primary", key="next"):
            context.go("train", project)


def _findings(project: Project, rows: list[ClassRow]) -> None:
    """What the user should know about the pictures before a training; `rows` are the classes."""
    outcomes = context.store().outcomes(project.id)
    total = sum(n for (outcome, _), n in outcomes.items() if outcome != "ignored")
    unused = sum(n for (outcome, _), n in outcomes.items() if outcome == "excluded")
    if len(rows) == 1:
        st.warning(say("one_class"), icon=":material/warning:")
    class_rows.untrainable(project, rows, "untrainable")
    small = [f"**{plain(brief(row.label))}** ({row.n})" for row in rows if 1 < row.n < _FEW]
    if small:
        others = [f"+{len(small) - _NAMED}"] if len(small) > _NAMED else []
        st.warning(say("few", least=_FEW, classes=", ".join(small[:_NAMED] + others)), icon=":material/warning:")
    if (rare := rarest({row.label: row.n for row in rows})) is not None:
        most = max(rows, key=lambda row: row.n)
        text = say("uneven", most=plain(brief(most.label)), least=plain(brief(rare[0])), times=round(rare[1]))
        st.warning(text, icon=":material/balance:")
    left_out = album.count(context.store(), project.id, Filter(excluded=True))
    if not unused:
        more = f" \u00b7 {say('left_out_n', n=left_out)}" if left_out else ""
        st.caption(f":material/check: {say('all_used', n=total)}{more}")
        return
    reasons = [f"{n} {messages.reason(reason)}" for (outcome, reason), n in outcomes.items() if outcome == "excluded"]
    label = f"{say('not_used', n=unused, files=say('files_n', n=total))}: {', '.join(reasons)}"
    box = st.expander(label, icon=":material/rule:", key=f"unused-{project.id}", on_change="rerun")
    if box.open:  # there may be many thousands
        with box:
            _unused(project)


def _unused(project: Project) -> None:
    """Draw the files that are not used, each with the reason and what to do."""
    sentences = [(file.name, *messages.error(file.reason, file.values)) for file in context.store().unused(project.id)]
    table = dict(zip((say("file"), say("reason"), say("todo")), zip(*sentences, strict=True), strict=True))
    widths = {say("file"): 190, say("reason"): 330, say("todo"): 300}
    columns = {name: st.column_config.TextColumn(width=px) for name, px in widths.items()}
    tall = _LINES if any(len(text) > _LINE for _, *texts in sentences for text in texts) else None
    high = "content" if len(sentences) < (4 if tall else 9) else 330
    context.table(table, height=high, row_height=tall, column_config=columns)


def _begin(project: Project, busy: bool) -> None:
    """Draw the cards of the first classes."""
    st.header(say("classes_here"), anchor=False)
    class_cards.begin(project, [], [], busy)


project = context.project()
rows = album.classes(context.store(), project.id)
job = queue.current(context.store(), project.id, INTAKE, OPENING)

if job is not None and not deliveries.is_dismissed(context.store(), job):
    job_panel.panel(project, job)
busy = job is not None and job.active
asked = unsorted_pictures.panel(project, [row.label for row in rows])
review_queue.panel(project, [row.label for row in rows])
if rows:
    _next(project, rows)
    folder_panel.show(project)
    _findings(project, rows)
    findings_panel.panel(project)
    left, right = st.columns([3, 2], gap="large")
    with left:
        class_rows.show(project, rows, busy)
    with right:
        split_panel.show(project, rows)
        data_versions.panel(project)
        st.header(say("add_pictures"), anchor=False)
        add_pictures.take_in(project, slim=True)
        if asked:
            st.caption(f":material/help: {say('asked_above')}")
        add_pictures.take_out(project)
elif busy and project.source:
    pass  # a sample is being drawn
elif asked or busy:
    add_pictures.take_in(project, slim=True, between=lambda: _begin(project, busy))
else:
    hidden = album.count(context.store(), project.id, Filter(excluded=True))
    context.headline(say("all_left_out", n=hidden) if hidden else say("data_empty"))
    st.markdown(say("all_left_out_more") if hidden else say("data_empty_more"))
    class_rows.take_back(project)
    add_pictures.take_in(project, slim=False, between=lambda: _begin(project, busy))
if rows or album.count(context.store(), project.id, Filter(excluded=True)):
    picture_actions.gallery(project, [row.label for row in rows])
