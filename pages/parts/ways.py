"""The ways in and out of a project's pictures: one drop zone first, everything else behind one button."""

from collections.abc import Callable

import streamlit as st

from core import fetch, inbox, places
from core.errors import HeadstartError
from core.store import Project
from pages.parts import camera, shell, uploader
from pages.parts.words import say


def take_in(found: Project, slim: bool) -> None:
    """The drop zone, and below it the other ways."""
    if uploader.receive(found.id, st.session_state.get(f"loose-{found.id}", ""), slim):
        st.rerun()
    # What is open stays open when the page changes around it: a camera in use takes pictures of the next class.
    opened = st.popover(say("more_ways"), icon=":material/more_horiz:", key=f"ways-{found.id}", on_change="rerun")
    with opened:
        label = st.text_input(
            say("loose_class"), key=f"loose-{found.id}", placeholder=say("loose_class_hint"), help=say("loose_help"),
            max_chars=80,
        )  # fmt: skip
        ways: dict[str, Callable[[Project, str], None]] = {"camera": _camera}
        ways |= {"addresses": _addresses} if fetch.allowed() else {}
        # Folders of this machine are for whoever sits at it.
        here = places.sits_here(st.context.ip_address, st.context.headers.get("Host") or "")
        ways |= {"folder": _folder} if here and places.roots() else {}
        way = st.segmented_control(
            say("way"), list(ways), format_func=lambda name: say(f"way_{name}"), key=f"way-{found.id}",
            label_visibility="collapsed",
        )  # fmt: skip
        if way:
            ways[way](found, label)


def take_out(found: Project) -> None:
    """All pictures as one ZIP, from the server's own route: it is made while it is sent."""
    st.link_button(
        say("take_out"), f"/api/dataset/{found.id}", icon=":material/download:", width="stretch",
        help=say("take_out_help"),
    )  # fmt: skip


def _camera(found: Project, label: str) -> None:
    if camera.take(found.id, label):
        st.rerun()


def _addresses(found: Project, label: str) -> None:
    text = st.text_area(say("addresses"), key=f"addresses-{found.id}", placeholder=say("addresses_hint"), height=140)
    if st.button(say("addresses_go"), disabled=not text.strip()):
        try:
            inbox.take(shell.store(), found.id, inbox.addresses(shell.store(), text, label), label)
        except HeadstartError as error:
            shell.show(error)
        else:
            st.rerun()


def _folder(found: Project, label: str) -> None:
    roots = places.roots()
    root = st.selectbox(say("folder_root"), roots, format_func=lambda each: each.name) if len(roots) > 1 else roots[0]
    name = st.text_input(say("folder_name", root=root.name), key=f"folder-{found.id}")
    if st.button(say("folder_go")):
        try:
            path = places.inside(root, name)
        except HeadstartError as error:
            shell.show(error)
        else:
            inbox.take_folder(shell.store(), found.id, path, label)
            st.rerun()
