"""The pictures of a project: bring them, see what was not used and why, sort them, divide them."""

import pandas as pd
import streamlit as st

from core import album, jobs, messages
from core.album import ClassRow, Filter
from core.plan import rarest
from core.store import Project
from pages.parts import division, findings, gallery, live, reading, shell, sorting, undecided, versions, ways
from pages.parts.gallery import Tile
from pages.parts.words import plain, say

_ROWS = 12  # classes with a strip
_STRIP = 7  # pictures beside a class
_FEW = 10  # pictures a class needs for a first impression
_NAMED = 6  # classes named in one finding


def _findings(found: Project) -> None:
    """What the user should know before training, in sentences."""
    outcomes = shell.store().outcomes(found.id)
    total = sum(n for (outcome, _), n in outcomes.items() if outcome != "ignored")
    unused = sum(n for (outcome, _), n in outcomes.items() if outcome == "excluded")
    if len(rows) == 1:
        st.warning(say("one_class"), icon=":material/warning:")
    few = [f"**{plain(row.label)}** ({row.n})" for row in rows if row.n < _FEW]
    if few:
        more = [f"+{len(few) - _NAMED}"] if len(few) > _NAMED else []
        st.warning(say("few", least=_FEW, classes=", ".join(few[:_NAMED] + more)), icon=":material/warning:")
    untaught = [f"**{plain(row.label)}**" for row in rows if not row.parts["train"]]
    if untaught and len(rows) > 1:
        st.warning(say("untaught", classes=", ".join(untaught[:_NAMED])), icon=":material/warning:")
    if (rare := rarest({row.label: row.n for row in rows})) is not None:
        most = max(rows, key=lambda row: row.n)
        text = say("uneven", most=plain(most.label), least=plain(rare[0]), times=round(rare[1]))
        st.warning(text, icon=":material/balance:")
    left_out = album.count(shell.store(), found.id, Filter(excluded=True))
    if not unused:
        more = f" \u00b7 {say('left_out_n', n=left_out)}" if left_out else ""
        st.caption(f":material/check: {say('all_used', n=total)}{more}")
        return
    reasons = [f"{messages.REASONS[reason]} {n}" for (outcome, reason), n in outcomes.items() if outcome == "excluded"]
    with st.expander(f"{say('not_used', n=unused, total=total)}: {', '.join(reasons)}", icon=":material/rule:"):
        sentences = [(file.name, *messages.error(file.reason, file.values)) for file in shell.store().unused(found.id)]
        table = pd.DataFrame(sentences, columns=[say("file"), say("reason"), say("todo")])
        st.dataframe(table, hide_index=True, width="stretch", height="content" if len(table) < 9 else 330)


def _classes(found: Project) -> None:
    st.subheader(say("classes"), anchor=False)
    most = max(row.n for row in rows)
    for row in rows[:_ROWS]:
        name, strip = st.columns([2, 5], vertical_alignment="center", gap="medium")
        name.progress(row.n / most, text=f"{plain(row.label)} \u00b7 {row.n}")
        with strip:
            shown = album.page(shell.store(), found.id, Filter(row.label), 0, _STRIP)
            gallery.show([Tile(p.id, p.label) for p in shown], f"strip-{row.label}", 84, strip=True)
    if len(rows) > _ROWS:
        st.caption(say("more_classes", n=len(rows) - _ROWS))


found = shell.project()
rows: list[ClassRow] = album.classes(shell.store(), found.id)
job = jobs.current(shell.store(), found.id, "intake")

if job is not None:
    live.panel(found, job)
undecided.panel(found, [row.label for row in rows])
if rows:
    reading.show(found)
    _findings(found)
    findings.panel(found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _classes(found)
    with right:
        division.show(found, rows)
        versions.panel(found)
        if len(rows) >= 2 and st.button(say("next_train"), type="primary", key="next", width="stretch"):
            shell.go("train", found)
        st.subheader(say("add_pictures"), anchor=False)
        ways.take_in(found, slim=True)
        ways.take_out(found)
elif job is not None and job.active:
    ways.take_in(found, slim=True)
else:
    hidden = album.count(shell.store(), found.id, Filter(excluded=True))
    st.title(say("all_left_out", n=hidden) if hidden else say("data_empty"), anchor=False)
    st.markdown(say("all_left_out_more") if hidden else say("data_empty_more"))
    ways.take_in(found, slim=False)
if rows or album.count(shell.store(), found.id, Filter(excluded=True)):
    sorting.gallery(found, [row.label for row in rows])
