"""What every page stands on: the store, the project of the URL, links to other steps, and how errors look.

The truth is in the store; the session holds an id or two. A page calls `project()` first and draws what it likes below.
"""

import gc
import json
import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from core import audit, charts, forecast, mending, settings
from core import runs as core_runs
from core.charts import Colors
from core.dataset import Dataset
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.forecast import Speeds
from core.plan import Plan
from core.store import Project, Run, Store
from pages.parts.words import plain, say

ART = Path(__file__).parent / "art"
FRONT = Path(__file__).parent / "front"
STEPS = ("data", "train", "results", "demo", "export")
# The settings that decide which features a training computes.
_LOOKED = ("backbone", "pooling", "precision", "augment", "augment_kinds")
PAGES: dict[str, "st.Page"] = {}  # filled by studio.py on every run


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """The one store of this server."""
    gc.collect()
    gc.freeze()  # Streamlit collects after every run; without this it walks all imported modules each time
    return Store(settings.home())


def component(name: str, *before: str) -> Any:
    """A component of ours from its files in `front`, read once; `before` are scripts that its own stands on."""
    html, css = ((FRONT / f"{name}.{kind}").read_text() for kind in ("html", "css"))
    js = "\n".join((FRONT / f"{each}.js").read_text() for each in (*before, name))
    return st.components.v2.component(name, html=html, css=css, js=js)


def dark() -> bool:
    """Whether the page is shown on dark ground."""
    return st.context.theme.type == "dark"


def colors() -> Colors:
    """The colors of charts on this ground."""
    return charts.DARK if dark() else charts.LIGHT


def chart(figure: Figure, key: str, alt: str, **options: Any) -> None:
    """A chart in our colors, without tools; `alt` says in words what it is."""
    st.plotly_chart(figure, key=key, alt=alt, theme=None, config={"displayModeBar": False}, **options)


def project() -> Project:
    """The project of the URL. Without one, the page says so and sends to the projects."""
    key = st.query_params.get("project")
    if key:
        try:
            return store().project(key)
        except HeadstartError as error:
            show(error)
    else:
        empty(say("project_none"), say("project_none_more"))
    st.page_link(PAGES["projects"], label=say("all_projects"), icon=":material/arrow_back:")
    st.stop()


def finished(found: Project) -> list[Run]:
    """The runs of a project that have a model: the promoted one, starred ones, then the others, the newest first."""
    done = [run for run in store().runs(found.id) if run.result is not None]
    promoted = {each.run_id for each in core_runs.promotions(store(), found.id)[:1]}
    return sorted(done, key=lambda run: (run.id not in promoted, not run.starred))


def evaluation(run: Run, part: str = "test") -> Evaluation:
    """The scores of a run on its test or val pictures."""
    name = f"evaluation-{part}.json"
    return _evaluation(str(store().folder(run.id) / name), store().artifacts(run.id)[name])


def scores_now(run: Run, part: str) -> Evaluation:
    """The same against the labels as they are now, of the pictures that are still in this part."""
    return _scores_now(run.id, part, state(run))


def state(run: Run) -> str:
    """Changes with the pictures of a run's project, and with its model."""
    return f"{audit.version(store(), run.project_id)} {model(run)}"


@st.cache_resource(show_spinner=False, max_entries=8)  # the value itself, which nothing changes
def _scores_now(run_id: str, part: str, state: str) -> Evaluation:
    run = store().run(run_id)
    return mending.as_now(evaluation(run, part), _current(run.project_id), part)


def model(run: Run) -> str:
    """The sha256 of a run's model: what is kept of a model is kept under it, as a run may be trained again."""
    return store().artifacts(run.id)["model.tflite"]


def estimate_s(found: Project, chosen: Plan, n_pictures: int) -> float:
    """About how many seconds a training takes on this machine, with what earlier ones of the project have looked at."""
    alike = [run for run in finished(found) if all(run.plan.get(name) == getattr(chosen, name) for name in _LOOKED)]
    looked_at = max((run.result["pictures"] for run in alike if run.result), default=0)
    return forecast.estimate_s(chosen, n_pictures, speeds(), looked_at)


def speeds() -> Speeds:
    """What work took on this machine."""
    return Speeds(store().home / "speeds.json")


def dataset(found: Project) -> Dataset:
    """The used pictures of a project; 20,000 are read anew only when one has changed."""
    return _current(found.id)


def _current(project_id: str) -> Dataset:
    return _dataset(project_id, audit.version(store(), project_id))


@st.cache_resource(show_spinner=False, max_entries=4)  # the value itself, which nothing changes: a copy takes as long
def _dataset(project_id: str, state: str) -> Dataset:
    return store().dataset(project_id)


def is_stale(run: Run) -> bool:
    """Whether the pictures, labels or parts have changed since a run was started."""
    return _current(run.project_id).fingerprint != run.fingerprint


@st.cache_data(show_spinner=False, max_entries=8)
def _evaluation(path: str, sha256: str) -> Evaluation:
    return Evaluation.from_dict(json.loads(Path(path).read_bytes()))


def link(step: str, found: Project, label: str | None = None, **options: object) -> None:
    """A link to a step of the same project."""
    st.page_link(PAGES[step], label=label or say(step), query_params={"project": found.id}, **options)  # type: ignore[arg-type]


def go(step: str, found: Project) -> None:
    """Switch to a step of the same project."""
    st.switch_page(PAGES[step], query_params={"project": found.id})


def show(error: HeadstartError) -> None:
    """What happened and what to do next."""
    st.error(f"{plain(error.message)} {plain(error.hint)}", icon=":material/error:")


def quiet(error: HeadstartError) -> None:
    """The same where nothing went wrong: something is not there yet."""
    st.caption(f"{plain(error.message)} {plain(error.hint)}")


def attempt(action: Callable[[], object]) -> Callable[[], None]:
    """A callback whose HeadstartError is shown at the top of the page that follows."""

    def guarded() -> None:
        try:
            action()
        except HeadstartError as error:
            st.session_state["error"] = error
        except Exception as error:  # noqa: BLE001 - callbacks run outside of the page's own last stop
            fault(error)

    return guarded


def show_pending_error() -> None:
    """The error of the last action, once."""
    error = st.session_state.pop("error", None)
    if error is not None:
        show(error)
        st.toast(plain(error.message), icon=":material/error:")  # the top may be far from where one pressed


def empty(title: str, more: str, step: str | None = None, found: Project | None = None, label: str = "") -> None:
    """What a page says when it has nothing to show yet, and where to go."""
    with st.container(horizontal_alignment="center", key="empty", gap="small"):
        st.space("large")
        st.subheader(title, anchor=False, text_alignment="center")
        st.markdown(more, text_alignment="center")
        if step and found and st.button(label, type="primary", key="empty-go"):
            go(step, found)


def fault(error: Exception) -> None:
    """A fault of ours: an id for the user, the traceback for the log."""
    key = uuid.uuid4().hex[:8]
    logging.getLogger("headstart").exception("error %s", key, exc_info=error)
    st.error(f"**{say('fault_title')}.** {say('fault', id=key)}", icon=":material/error:")
