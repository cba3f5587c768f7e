"""Models of one's own among the backbones: those that are here, and the form in which one is given."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from core import backbones
from core.backbones import LICENSE, SCALINGS, Backbone
from core.runs import own_backbones
from pages.parts.frame import context
from pages.parts.frame.words import about, plain, say
from pages.parts.train import weights_field


def panel(project_id: str, disabled: bool, draw_button: Callable[[Backbone], None]) -> None:
    """Draw the models of users' own, each with the button that uses it and, where no run needs it, one that removes it;
    and the form that gives another. `disabled`: one is being checked."""
    own = [entry for entry in backbones.known() if entry.own]
    used = own_backbones.used(context.store()) if own else frozenset()
    for entry in own:
        with st.container(border=True, key=f"own-{entry.name}", horizontal=True, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(f"**{plain(entry.name)}**")
                st.caption(f"{facts(entry)} {'' if entry.has_weights else say('own_model_gone')}")
            if entry.has_weights:
                draw_button(entry)
            if entry.name not in used:
                remove = context.attempt(partial(own_backbones.remove, context.store(), entry))
                label = about(say("own_model_remove"), entry.name)
                st.button(label, key=f"remove-{entry.name}", type="tertiary", on_click=remove)
    with st.expander(say("own_model"), icon=":material/upload_file:"):
        _form(project_id, disabled)


def facts(entry: Backbone) -> str:
    """What is read of a model, and what that costs."""
    if entry.own is None:
        return ""
    size = {"width": entry.width, "side": entry.own.side, "px": entry.size}
    read = say("own_model_map" if entry.has_places else "own_model_vector", layer=plain(entry.own.layer), **size)
    cut = say("own_model_cut") if entry.own.is_cut else ""
    cost = say("card_size", mb=float(f"{entry.megabytes:.2g}"), ms=float(f"{entry.cpu_ms:.2g}"))
    terms = say("own_model_license", license=plain(entry.license))
    return " ".join(filter(None, (read, cut, cost, terms)))


def _form(project_id: str, disabled: bool) -> None:
    st.markdown(say("own_model_lead"))
    name = st.text_input(say("own_model_name"), max_chars=40, help=say("own_model_name_help"), key="own-model-name")
    scaling = st.selectbox(
        say("own_model_scaling"), SCALINGS, format_func=lambda each: say(f"scaling_{each}"), key="own-model-scaling",
        help=say("own_model_scaling_help"),
    )  # fmt: skip
    license = st.text_input(
        say("license"), say("own_model_unknown"), max_chars=LICENSE, key="own-model-license",
        help=say("own_model_license_help"),
    )  # fmt: skip
    values = {"name": name, "scaling": scaling, "license": license}
    data = {"project": project_id, "address": "own_model", "values": values, "disabled": disabled}
    weights_field.field("own-model", data | {"accept": ".keras", "folders": False}, say("own_model_file"))
