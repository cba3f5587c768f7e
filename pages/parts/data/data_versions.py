"""Earlier versions of the pictures: what has changed since a training, shown in pictures, and a way to restore them."""

import streamlit as st

from core.dataset import Dataset
from core.errors import HeadstartError
from core.pictures import album, versions
from core.pictures.versions import Version
from core.store.store import Project
from pages.parts.frame import context, gallery
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import say
from pages.parts.results import run_list

_SHOWN = 24  # pictures of one kind of change
_KINDS = ("added", "removed", "relabeled", "moved")


def panel(project: Project) -> None:
    """The panel of versions; closed at first, since a comparison reads whole datasets."""
    known = versions.versions(context.store(), project.id)
    if not known:
        return
    box = st.expander(say("versions", n=len(known)), icon=":material/history:", key="versions", on_change="rerun")
    if box.open:
        with box:
            try:
                _compare(project, known)
            except HeadstartError as error:
                context.quiet(error)


def _compare(project: Project, known: list[Version]) -> None:
    st.caption(say("versions_more"))
    names = run_list.names(context.finished(project))
    before_box, after_box = st.columns(2)
    before = before_box.selectbox(say("version_before"), known, format_func=lambda v: _title(v, names), key="version")
    after = after_box.selectbox(
        say("version_after"), [None, *known], format_func=lambda v: _title(v, names) if v else say("version_now"),
        key="version-after",
    )  # fmt: skip
    then = _load(project.id, before)
    now = _load(project.id, after) if after else context.store().dataset(project.id)
    difference = versions.compare(then, now)
    if not difference:
        st.markdown(say("version_same", n=len(now.pictures)))
        return
    ids = {kind: getattr(difference, kind) for kind in _KINDS}
    kinds = [kind for kind in _KINDS if ids[kind]]
    kind = st.segmented_control(
        say("version_changes"), kinds, default=kinds[0], required=True, key=f"changes-{'-'.join(kinds)}",
        format_func=lambda kind: f"{say(f'version_{kind}')} {len(ids[kind])}",
    )  # fmt: skip
    _show(kind, ids[kind][:_SHOWN], then, now)
    if len(ids[kind]) > _SHOWN:
        st.caption(say("version_more", n=len(ids[kind]) - _SHOWN))
    if after is None:
        restore = context.attempt(lambda: _restore(project, before))
        st.button(say("restore"), key="restore", on_click=restore, help=say("restore_help"))


def _show(kind: str, ids: tuple[str, ...], then: Dataset, now: Dataset) -> None:
    old, new = {p.id: p for p in then.pictures}, {p.id: p for p in now.pictures}
    tiles = []
    for key in ids:
        picture = new.get(key) or old[key]
        text = picture.label
        if kind == "relabeled":
            text = f"{old[key].label} \u2192 {new[key].label}"
        if kind == "moved":
            text = f"{picture.label}: {old[key].part} \u2192 {new[key].part}"
        tiles.append(Tile(key, text, text))
    gallery.show(tiles, f"changed-{kind}", 110)


def _restore(project: Project, version: Version) -> None:
    stayed = album.restore(context.store(), project.id, _load(project.id, version))
    st.toast(say("restored_but", n=stayed) if stayed else say("restored"))


def _title(version: Version, names: dict[str, str]) -> str:
    some = [names[key] for key in version.run_ids if key in names]
    more = f" +{len(some) - 1}" if len(some) > 1 else ""
    return f"{version.when} \u00b7 {some[0] if some else version.fingerprint[:8]}{more}"


@st.cache_resource(show_spinner=False, max_entries=4)  # the value itself, which nothing changes
def _load(project_id: str, version: Version) -> Dataset:
    return versions.load(context.store(), version)
