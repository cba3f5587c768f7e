"""The ways to add and export a project's pictures: one drop zone first, all others behind one button."""

from collections.abc import Callable

import streamlit as st

from core.errors import HeadstartError
from core.intake import deliveries, download, server_folders
from core.store.store import Project
from core.web import local_hosts
from pages.parts.data import camera_burst, drop_zone
from pages.parts.frame import context
from pages.parts.frame.words import say


def take_in(project: Project, slim: bool, between: Callable[[], None] = lambda: None) -> None:
    """Draw the drop zone, and below it the other ways to add pictures, after what stands `between`."""
    if drop_zone.receive(project.id, st.session_state.get(f"loose-{project.id}", ""), slim):
        st.rerun()
    between()
    # The popover stays open when the page changes: a camera in use goes on with the next class.
    opened = st.popover(say("more_ways"), icon=":material/more_horiz:", key=f"ways-{project.id}", on_change="rerun")
    with opened:
        label = st.text_input(
            say("loose_class"), key=f"loose-{project.id}", placeholder=say("loose_class_hint"), help=say("loose_help"),
            max_chars=80,
        )  # fmt: skip
        ways: dict[str, Callable[[Project, str], None]] = {"camera": _camera}
        ways |= {"addresses": _addresses} if download.allowed() else {}
        # Only a browser on the server's own machine may read its folders.
        here = local_hosts.sits_here(st.context.ip_address, st.context.headers.get("Host") or "")
        ways |= {"folder": _folder} if here and server_folders.roots() else {}
        way = st.segmented_control(
            say("way"), list(ways), format_func=lambda name: say(f"way_{name}"), key=f"way-{project.id}",
            label_visibility="collapsed",
        )  # fmt: skip
        if way:
            ways[way](project, label)


def take_out(project: Project) -> None:
    """A link to all pictures as one ZIP, from the server's own route, which builds it while sending it."""
    st.link_button(
        say("take_out"), f"/api/dataset/{project.id}", icon=":material/download:", width="stretch",
        help=say("take_out_help"),
    )  # fmt: skip


def _camera(project: Project, label: str) -> None:
    if camera_burst.take(project.id, label):
        st.rerun()


def _addresses(project: Project, label: str) -> None:
    text = st.text_area(say("addresses"), key=f"addresses-{project.id}", placeholder=say("addresses_hint"), height=140)
    if st.button(say("addresses_go"), disabled=not text.strip()):
        try:
            deliveries.take(context.store(), project.id, deliveries.addresses(context.store(), text, label), label)
        except HeadstartError as error:
            context.show(error)
        else:
            st.rerun()


def _folder(project: Project, label: str) -> None:
    roots = server_folders.roots()
    root = st.selectbox(say("folder_root"), roots, format_func=lambda each: each.name) if len(roots) > 1 else roots[0]
    name = st.text_input(say("folder_name", root=root.name), key=f"folder-{project.id}")
    if st.button(say("folder_go")):
        try:
            deliveries.take_folder(context.store(), project.id, server_folders.inside(root, name), label)
        except HeadstartError as error:
            context.show(error)
        else:
            st.rerun()
