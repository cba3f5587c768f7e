"""Pictures of none of the classes: the distance from which on a picture is refused, and both error rates."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import HeadstartError
from core.explain import novelty
from core.explain.novelty import Array, Distances, Other
from core.sandbox import decoding
from core.scores.evaluation import wilson
from core.scores.thresholds import Thresholds
from core.store.store import Run
from pages.parts.demo import try_model
from pages.parts.frame import context
from pages.parts.frame.words import between, percent, plain, say, with_terms

_MOST = 20  # maximum percent of pictures of the classes to refuse
_OTHERS = 200  # maximum pictures to try at once: some seconds
_NAMED = 10  # maximum pictures that are named
_TELLS = 0.8  # below it, a picture of a new class is nearer than one of the known classes in one of five pairs


def panel(run: Run, limits: Thresholds) -> None:
    """Draw the choice of the share of known pictures to refuse, the resulting errors, and a field to try pictures."""
    folder = context.store().folder(run.id)
    with st.container(key="unknown"):
        st.markdown(f"**{say('unknown')}**  \n{say('unknown_lead')}")
    parts = {part: novelty.measured(folder, part) for part in ("val", "test")}
    val, test = parts["val"], parts["test"]
    if val is None or test is None:
        st.caption(say("unknown_old"))
        return
    if not len(val.known):
        st.caption(say("unknown_no_val"))
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        _choose(run, limits, val.known)
        _try(run, folder)
    with right:
        others = novelty.others(folder)
        st.table(_table(limits, val, test, others), border="horizontal", hide_index=True)
        if some := [f"{plain(each.name)} ({plain(each.label)})" for each in _accepted(limits, others)[:_NAMED]]:
            st.caption(say("unknown_named", names=", ".join(some)))
        _how_well(val, test)


def _choose(run: Run, limits: Thresholds, val: Array) -> None:
    key = f"refused-{run.id}"

    def keep() -> None:
        share = st.session_state[key] / 100
        farthest = novelty.limit(val, share) if share else None
        Thresholds.change(context.store().folder(run.id), farthest=farthest, refused=share)

    st.session_state[key] = min(_percent(limits, val), _MOST)  # the stored value, perhaps from another session
    st.slider(
        say("unknown_refuse"), 0, _MOST, step=1, format="%d %%", help=with_terms("threshold_help"), key=key,
        on_change=context.attempt(keep),
    )  # fmt: skip


def _percent(limits: Thresholds, val: Array) -> int:
    """How many of 100 pictures of the classes the limits refuse, as it was chosen or, before, as it is on val."""
    if limits.farthest is None:
        return 0
    refused = float((val > limits.farthest).mean()) if limits.refused is None else limits.refused
    return max(1, round(100 * refused))


def _table(limits: Thresholds, val: Distances, test: Distances, others: tuple[Other, ...]) -> pd.DataFrame:
    unseen = np.concatenate([val.unseen, test.unseen])
    rows: list[dict[str, Any]] = [
        _row("unknown_own", int((~limits.knows(test.known)).sum()), len(test.known)),
        _row("unknown_new", int(limits.knows(unseen).sum()), len(unseen)),
    ]
    if others:
        rows.append(_row("unknown_others", len(_accepted(limits, others)), len(others)))
    return pd.DataFrame(rows)


def _accepted(limits: Thresholds, others: tuple[Other, ...]) -> list[Other]:
    """The other pictures that the model still puts into a class."""
    return [each for each in others if limits.knows(each.distance) and each.probability >= limits.of(each.label)]


def _row(what: str, n: int, of: int) -> dict[str, Any]:
    share = between(n / of, *wilson(n, of)) if of else plain("-")
    return {say("unknown_error"): say(what), say("unknown_n"): f"{n} / {of}", say("unknown_share"): share}


def _how_well(val: Distances, test: Distances) -> None:
    known, unseen = (np.concatenate(both) for both in ((val.known, test.known), (val.unseen, test.unseen)))
    share = novelty.separation(known, unseen)
    if share is not None:
        weak = "" if share >= _TELLS else f" {say('unknown_weak')}"
        st.caption(say("unknown_tells", share=percent(share)) + weak)


def _try(run: Run, folder: Path) -> None:
    """Draw a field for pictures that the user knows to be in none of the classes."""
    turn, refused = st.session_state.get("others-turn", 0), f"others-failed-{run.id}"
    files = st.file_uploader(
        say("unknown_try"), decoding.ENDINGS, accept_multiple_files=True, key=f"others-{run.id}-{turn}"
    )
    if files:
        found, failed = [], []
        if len(files) > _OTHERS:
            failed.append(say("unknown_many", n=_OTHERS, more=len(files) - _OTHERS))
        predictor = try_model.predictor(run)
        for file in files[:_OTHERS]:
            try:
                answer = predictor.predict(file.getvalue())
            except HeadstartError as error:
                failed.append(f"{plain(file.name)}: {plain(error.message)}")
            else:
                found.append(Other(file.name, answer.label, answer.probability, answer.distance))
        novelty.keep_others(folder, [*novelty.others(folder), *found])
        st.session_state["others-turn"] = turn + 1
        st.session_state[refused] = failed
        st.rerun()
    for line in st.session_state.get(refused, []):
        st.warning(line, icon=":material/error:")
    if novelty.others(folder):
        forget = context.attempt(lambda: _forget(folder, refused))
        st.button(say("unknown_forget"), key=f"forget-{run.id}", type="tertiary", on_click=forget)


def _forget(folder: Path, refused: str) -> None:
    novelty.keep_others(folder, ())
    st.session_state.pop(refused, None)
