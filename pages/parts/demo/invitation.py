"""How others come to a demo: its address with a QR code, and what must be open to let them in."""

import streamlit as st

from core.demos import poster
from core.demos.published import Demo
from core.web import reach
from pages.parts.frame.words import about, say

_CODE_PX = 200


def draw(demo: Demo) -> None:
    """Draw the address, its QR code, a sheet to print, and a sentence on who can reach it."""
    found = reach.of(
        st.get_option("server.address") or "0.0.0.0",
        int(st.get_option("server.port")),
        bool(st.get_option("server.sslCertFile")),
        st.context.url or "",
    )
    address = found.address + demo.path
    title = demo.appearance.title
    code, beside = st.columns([1, 3], gap="medium")
    with code:
        st.image(poster.qr_code(address), width=_CODE_PX, alt=say("publish_code", title=title))
    with beside:
        st.code(address, language=None, wrap_lines=True)
        st.markdown(say("reach_shared", address=found.address) if found.is_shared else say("reach_alone"))
        if found.is_shared and not found.is_secure:
            st.caption(say("reach_insecure"))
        with st.container(horizontal=True, gap="small"):
            st.link_button(about(say("publish_open"), title), demo.path, icon=":material/open_in_new:")
            st.download_button(
                about(say("publish_print"), title), poster.sheet(demo.appearance, address), "demo.html", "text/html",
                key=f"print-{demo.id}", icon=":material/print:",
            )  # fmt: skip
