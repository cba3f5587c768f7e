"""Publish a run for others to try: what they will see, and every demo with its address, its use and its end."""

import datetime
from collections.abc import Sequence

import streamlit as st

from core.demos import published, reviews
from core.demos.published import Appearance, Demo
from core.language import catalog
from core.store.store import Project, Run
from pages.parts.demo import invitation, try_model
from pages.parts.frame import context, gallery
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import about, plain, say

_FIRST = 6  # examples that are selected to begin with: two rows of a phone


def panel(project: Project, run: Run) -> None:
    """Draw what has been published of a project, and the form that publishes this run."""
    demos = published.of_project(context.store(), project.id)
    st.header(say("publish"), anchor=False)
    st.markdown(say("publish_more"))
    if waits := len(reviews.waiting(context.store(), project.id)):
        context.link("data", project, say("review_waits", n=waits), icon=":material/rate_review:")
    for demo in demos:
        if demo.is_open:
            _open_demo(demo)
    if st.button(say("publish_run"), key="publish", icon=":material/public:", type="secondary" if demos else "primary"):
        context.dialog(say("publish"), width="large")(_form)(project, run)
    if ended := [demo for demo in demos if not demo.is_open]:
        with st.expander(say("published_ended", n=len(ended))):
            for demo in ended:
                st.markdown(f"**{plain(demo.appearance.title)}** \u00b7 {_use(demo)}")


def _open_demo(demo: Demo) -> None:
    with st.container(border=True, key=f"demo-{demo.id}"):
        st.subheader(plain(demo.appearance.title), anchor=False)
        st.caption(_use(demo))
        invitation.draw(demo)
        with st.container(horizontal=True, gap="small"):
            title = demo.appearance.title
            if st.button(about(say("publish_change"), title), key=f"change-{demo.id}", icon=":material/edit:"):
                run = context.store().run(demo.run_id)
                project = context.store().project(demo.project_id)
                context.dialog(say("publish_change"), width="large")(_form)(project, run, demo)
            if context.danger(about(say("publish_stop"), title), f"stop-{demo.id}"):
                context.dialog(say("publish_stop"))(_ask_to_stop)(demo)


def _use(demo: Demo) -> str:
    """How often a demo was asked, since when, and until when."""
    parts = [say("published_asked", n=demo.asked), say("published_since", day=_day(demo.created_at))]
    if demo.revoked_at is not None:
        parts.append(say("published_stopped", day=_day(demo.revoked_at)))
    elif demo.appearance.ends_at is not None:
        key = "published_until" if demo.is_open else "published_over"
        parts.append(say(key, day=_day(demo.appearance.ends_at)))
    if demo.passcode:
        parts.append(say("published_locked"))
    return " \u00b7 ".join(parts)


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at).strftime("%Y-%m-%d")


def _ask_to_stop(demo: Demo) -> None:
    st.markdown(say("publish_stop_more", title=plain(demo.appearance.title)))
    context.confirm(say("publish_stop"), "stop", lambda: published.revoke(context.store(), demo.id))


def _form(project: Project, run: Run, demo: Demo | None = None) -> None:
    """What visitors will see of a run, or see of a demo; published or changed with the button."""
    key = demo.id if demo else "new"
    old = demo.appearance if demo else Appearance(project.name, language=catalog.current().language)
    title = st.text_input(say("publish_title"), old.title, max_chars=published.TITLE, key=f"publish-title-{key}")
    words = st.text_area(
        say("publish_words"), old.words, max_chars=published.WORDS, key=f"publish-words-{key}", height=90
    )
    examples = _examples(run, old.examples if demo else None, key)
    left, middle, right = st.columns(3, vertical_alignment="top")
    names = catalog.languages()
    language = left.selectbox(
        say("publish_language"), list(names), list(names).index(old.language) if old.language in names else 0,
        format_func=lambda name: names[name], key=f"publish-language-{key}",
    )  # fmt: skip
    accent = middle.color_picker(say("publish_accent"), old.accent, key=f"publish-accent-{key}")
    ends = right.date_input(
        say("publish_ends"), datetime.date.fromtimestamp(old.ends_at) if old.ends_at else None,
        help=say("publish_ends_help"), key=f"publish-ends-{key}",
    )  # fmt: skip
    logo = st.file_uploader(say("publish_logo"), ["png", "jpg", "jpeg", "webp"], key=f"publish-logo-{key}")
    drops_logo = bool(old.logo) and st.checkbox(say("publish_no_logo"), key=f"publish-no-logo-{key}")
    passcode = st.text_input(
        say("publish_passcode"), key=f"publish-passcode-{key}", autocomplete="off",
        help=say("publish_passcode_keep" if demo and demo.passcode else "publish_passcode_help", least=published.LEAST),
    )  # fmt: skip
    is_open = bool(demo and demo.passcode) and st.checkbox(say("publish_no_passcode"), key=f"publish-open-{key}")
    if st.button(say("publish_save" if demo else "publish_run"), key=f"publish-go-{key}", type="primary"):
        shown = published.logo_of(logo.getvalue()) if logo else b"" if drops_logo else old.logo
        appearance = Appearance(title, words, shown, accent, tuple(examples), str(language), _end_of(ends))
        if demo is None:
            published.publish(context.store(), run, appearance, passcode)
        else:
            published.change(context.store(), demo.id, appearance, passcode or ("" if is_open else None))
        st.rerun()


def _examples(run: Run, chosen: Sequence[str] | None, key: str) -> list[str]:
    """The pictures that visitors may try; to begin with the first few, or those of a demo."""
    offered = try_model.examples(run)
    first = [picture for picture, _ in offered][:_FIRST] if chosen is None else list(chosen)
    st.markdown(say("publish_examples"))
    tiles = [Tile(picture, label) for picture, label in offered]
    return gallery.select(tiles, f"publish-examples-{key}", 84, of=say("publish_examples"), first=first)


def _end_of(day: datetime.date | None) -> float | None:
    """The last second of a day, by the clock of the server."""
    return None if day is None else datetime.datetime.combine(day, datetime.time.max).timestamp()
