"""Keys with which programs ask the model of a demo, and examples of such a program that work as they are."""

from urllib.parse import urlsplit

import streamlit as st

from core.demos import api_keys, published
from core.demos.api_keys import ApiKey
from core.demos.published import Demo
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import about, plain, say

_PYTHON = """import json, urllib.request

picture = open("picture.jpg", "rb").read()
asked = urllib.request.Request("{address}", picture, {{"Authorization": "Bearer {key}"}})
print(json.load(urllib.request.urlopen(asked)))"""
_CURL = 'curl -H "Authorization: Bearer {key}" --data-binary @picture.jpg {address}'


def panel(project: Project) -> None:
    """Draw the keys of each demo that is open, with the buttons to make and revoke them."""
    demos = [demo for demo in published.of_project(context.store(), project.id) if demo.is_open]
    if not demos:
        return
    st.header(say("api"), anchor=False)
    st.markdown(say("api_more"))
    for demo in demos:
        with st.container(border=True, key=f"api-{demo.id}"):
            st.subheader(plain(demo.appearance.title), anchor=False)
            for key in api_keys.of_demo(context.store(), demo):
                if key.revoked_at is None:
                    _key(key)
            with st.container(horizontal=True, gap="small"):
                label = about(say("api_make"), demo.appearance.title)
                if st.button(label, key=f"api-make-{demo.id}", icon=":material/key:"):
                    # Closed, the dialog leaves the key in the list, where it can be revoked.
                    context.dialog(say("api_make"), width="large", on_dismiss="rerun")(_make)(demo)
                st.link_button(say("api_try"), f"/api/v1/docs#{demo.token}", icon=":material/play_arrow:")


def _key(key: ApiKey) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(key.name)}** \u00b7 {say('api_rate', n=key.per_minute)}")
        if context.danger(about(say("api_revoke"), key.name), f"api-{key.id}"):
            context.dialog(say("api_revoke"))(_ask_to_revoke)(key)


def _ask_to_revoke(key: ApiKey) -> None:
    st.markdown(say("api_revoke_more", name=plain(key.name)))
    context.confirm(say("api_revoke"), "api-revoke", lambda: api_keys.revoke(context.store(), key))


def _make(demo: Demo) -> None:
    """Ask for whom the key is, then show it: this once."""
    place = f"api-secret-{demo.id}"
    name = st.text_input(say("api_name"), max_chars=api_keys.NAME, key=f"api-name-{demo.id}")
    per_minute = st.number_input(
        say("api_per_minute"), api_keys.SLOWEST, api_keys.FASTEST, api_keys.USUAL, key=f"api-rate-{demo.id}"
    )
    if st.button(say("api_make"), key=f"api-go-{demo.id}", type="primary"):
        _, st.session_state[place] = api_keys.make(context.store(), demo, name, int(per_minute))
    secret = st.session_state.pop(place, None)
    if secret is None:
        return
    st.success(say("api_once"), icon=":material/key:")
    st.code(secret, language=None, wrap_lines=True)
    parts = urlsplit(st.context.url or "")
    values = {"key": secret, "address": f"{parts.scheme}://{parts.netloc}/api/v1/demos/{demo.token}/predict"}
    st.markdown(say("api_examples"))
    st.code(_CURL.format(**values), language="bash", wrap_lines=True)
    st.code(_PYTHON.format(**values), language="python", wrap_lines=True)
