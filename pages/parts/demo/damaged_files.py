"""The message about damaged or missing files of a run, with the button that restores them."""

import streamlit as st

from core.errors import HeadstartError
from core.runs import requests
from core.store.store import Run
from pages.parts.frame import context
from pages.parts.frame.words import say

# Errors that a training of the same run repairs.
_REPAIRED = ("model_damaged", "run_incomplete")


def show(error: HeadstartError, run: Run) -> None:
    """Draw the error, and if that helps a button that trains the run again."""
    context.show(error)
    if error.code in _REPAIRED and st.button(
        say("train_again"), key=f"mend-{run.id}", icon=":material/replay:", type="primary"
    ):
        requests.again(context.store(), run)
        context.go("train", context.store().project(run.project_id))


def of_scores(run: Run) -> HeadstartError | None:
    """The error in the files of a run's scores, or None."""
    try:
        for part in ("test", "val"):
            context.evaluation(run, part)
    except HeadstartError as error:
        return error
    return None
