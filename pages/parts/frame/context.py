"""What every page needs: the store, the project of the URL, links to other steps, and how errors look.

All state is in the store; the session only has an id or two. A page calls `project()` before it draws anything.
"""

import contextlib
import functools
import gc
import json
import logging
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import pandas as pd
import streamlit as st
from plotly.graph_objects import Figure

from core import settings
from core.dataset import Dataset
from core.disk import blobs, space
from core.errors import HeadstartError
from core.jobs import eta
from core.jobs.eta import Speeds
from core.language import catalog
from core.pictures.counts import Counts
from core.plan import Plan
from core.runs import finished_runs as core_runs
from core.scores import rescoring
from core.scores.evaluation import Evaluation
from core.store.store import Project, Run, Store
from pages.parts.frame import charts
from pages.parts.frame.charts import Colors
from pages.parts.frame.words import about, plain, say

ART = Path(__file__).parents[1] / "art"
PIECE = 8_000_000  # bytes of an upload that are sent at once
FRONT = Path(__file__).parents[1] / "front"
STEPS = ("data", "train", "results", "demo", "export")
# The settings on which the features of a training depend.
_FEATURE_SETTINGS = ("backbone", "pooling", "mirrored", "precision", "augment", "augment_kinds")
# Text that a spreadsheet may take for a formula; not a sign alone, nor a sign before a number.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20](?![\d.,]*$)")
_INERT = "\u2060"  # word joiner: without width
# The buttons, menus and fields of a component get their names from its script: they are hidden until it has run.
_NAMELESS = (
    ":is(button:empty, select, input:not([type])):not([aria-label]), label:has(span:empty) { visibility: hidden }\n"
)
_P = ParamSpec("_P")
PAGES: dict[str, "st.Page"] = {}  # filled by studio.py on every run


@st.cache_resource(show_spinner=False)
def store() -> Store:
    """The store of this server, opened once."""
    gc.collect()
    gc.freeze()  # else Streamlit's garbage collection after every run would traverse all imported modules
    return Store(settings.home())


def component(name: str, *inside: str) -> Any:
    """A component from its files in `front`, read once; `inside` names other styles that it needs.

    Streamlit runs inline code as a module without an address, which can import nothing; ours are served at /scripts.
    """
    html = (FRONT / f"{name}.html").read_text()
    styles = [FRONT / f"{each}.css" for each in (*inside, name)]
    css = "".join(path.read_text() for path in styles if path.is_file())
    js = f"const script = await import(`${{location.origin}}/scripts/{name}.js`)\nexport default script.default"
    return st.components.v2.component(name, html=html, css=_NAMELESS + css, js=js)


def dark() -> bool:
    """Whether the page has a dark theme."""
    return st.context.theme.type == "dark"


def colors() -> Colors:
    """The colors of charts in the present theme."""
    return charts.DARK if dark() else charts.LIGHT


def palette() -> list[str]:
    """The colors of classes in the present theme."""
    chosen: list[str] = st.get_option(f"theme.{'dark' if dark() else 'light'}.chartCategoricalColors")
    return chosen


def chart(figure: Figure, key: str, alt: str, rows: Callable[[], Any] | None = None, **options: Any) -> None:
    """A chart in our colors, without a toolbar; `alt` describes it for screen readers. Below it is what it shows as a
    table: `rows`, or those of its bars or lines."""
    spoken = catalog.current()
    figure.update_layout(separators=spoken.decimal + spoken.group)
    st.plotly_chart(figure, key=key, alt=alt, theme=None, config={"displayModeBar": False}, **options)
    words = {name: say(f"table_{name}") for name in ("name", "low", "high")}
    as_table(key, alt, rows or (lambda: charts.as_rows(figure, words)))


def as_table(key: str, alt: str, rows: Callable[[], Any]) -> None:
    """A button that opens what a chart shows as a table."""
    opened = st.popover(about(say("as_table"), alt), type="tertiary", key=f"{key}-table", on_change="rerun")
    if opened.open:
        with opened:
            table(rows(), key=f"{key}-rows")


def table(data: Any, **options: Any) -> Any:
    """Rows as a table that can be sorted, searched, copied and downloaded; returns the selection, if there can be one.

    Copied into a spreadsheet, a name must not become a formula: it gets an invisible first character.
    """
    frame = pd.DataFrame(data).map(lambda cell: inert(cell) if isinstance(cell, str) else cell)
    given: Any = {"hide_index": True, "width": "stretch"} | options
    return st.dataframe(frame, **given)


def inert(text: str) -> str:
    """Text that looks the same but that no spreadsheet takes for a formula."""
    return f"{_INERT}{text}" if _FORMULA.match(text) else text


def project() -> Project:
    """The project of the URL. Without one, the page says so, links to the projects and stops."""
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


def asked() -> Project | None:
    """The project of the URL, or None."""
    key = st.query_params.get("project")
    with contextlib.suppress(HeadstartError):
        return store().project(key) if key else None
    return None


def finished(project: Project) -> list[Run]:
    """The runs of a project with a model: the promoted one, then starred ones, then the others, the newest first."""
    return list(_finished(project.id, store().revision(project.id)))


@st.cache_resource(show_spinner=False, max_entries=64)  # the values themselves, which nothing changes
def _finished(project_id: str, revision: int) -> list[Run]:
    done = [run for run in store().runs(project_id) if run.result is not None]
    promoted = {each.run_id for each in core_runs.promotions(store(), project_id)[:1]}
    return sorted(done, key=lambda run: (run.id not in promoted, not run.starred))


def evaluation(run: Run, part: str = "test") -> Evaluation:
    """The scores of a run on its test or val pictures. Raises HeadstartError("model_damaged") when their file has
    changed, and HeadstartError("run_incomplete") when it is missing."""
    name = f"evaluation-{part}.json"
    folder, sums = store().model(run.id)
    return _evaluation(str(folder / name), sums[name])


def scores_now(run: Run, part: str) -> Evaluation:
    """The same with the present labels, for the pictures that are still in this part."""
    return _scores_now(run.id, part, store().revision(run.project_id))


@st.cache_resource(show_spinner=False, max_entries=8)  # the value itself, which nothing changes
def _scores_now(run_id: str, part: str, revision: int) -> Evaluation:
    run = store().run(run_id)
    return rescoring.as_now(evaluation(run, part), _current(run.project_id), part)


def model(run: Run) -> str:
    """The sha256 of a run's model. Caches use it as a key, since a run may be trained again."""
    return store().artifacts(run.id)["model.tflite"]


def estimate_s(project: Project, chosen: Plan, pictures: Counts) -> float:
    """About how many seconds a training takes on this machine, given the features that earlier runs have computed."""
    defaults = Plan().to_dict()  # a run may be older than a setting
    alike = [
        run
        for run in finished(project)
        if all((defaults | run.plan)[name] == getattr(chosen, name) for name in _FEATURE_SETTINGS)
    ]
    looked_at = max((run.outcome.pictures for run in alike), default=0)
    return eta.estimate_s(chosen, pictures.by_part, speeds(), looked_at)


def speeds() -> Speeds:
    """The speeds that were measured on this machine."""
    return Speeds(store().home / "speeds.json")


def dataset(project: Project) -> Dataset:
    """The used pictures of a project; read again only when one has changed, since there may be 20,000."""
    return _current(project.id)


def _current(project_id: str) -> Dataset:
    return _dataset(project_id, store().revision(project_id))


@st.cache_resource(show_spinner=False, max_entries=4)  # the value itself, which nothing changes: a copy takes as long
def _dataset(project_id: str, revision: int) -> Dataset:
    return store().dataset(project_id)


def is_stale(run: Run) -> bool:
    """Whether the pictures, labels or parts have changed since a run was started."""
    return _current(run.project_id).fingerprint != run.fingerprint


@st.cache_resource(show_spinner=False, max_entries=8)  # the value itself, with what it has computed of itself
def _evaluation(path: str, sha256: str) -> Evaluation:
    file = Path(path)
    if not file.is_file():
        raise HeadstartError("run_incomplete", path=str(file.parent))
    if not blobs.is_sound(file, sha256):
        raise HeadstartError("model_damaged", names=file.name)
    return Evaluation.from_dict(json.loads(file.read_bytes()))


def link(step: str, project: Project, label: str | None = None, **options: object) -> None:
    """A link to a step of the same project."""
    st.page_link(PAGES[step], label=label or say(step), query_params={"project": project.id}, **options)  # type: ignore[arg-type]


def go(step: str, project: Project) -> None:
    """Switch to a step of the same project."""
    st.switch_page(PAGES[step], query_params={"project": project.id})


def danger(label: str, key: str, **options: Any) -> bool:
    """A button for an action that cannot be undone: with an icon, red by its key (`look.css`), and never primary."""
    return st.button(label, key=f"danger-{key}", icon=":material/delete_forever:", **options)


def confirm(label: str, key: str, action: Callable[[], object]) -> None:
    """In a dialog: the button for an action that cannot be undone, and the one that leaves all as it is."""
    with st.container(horizontal=True):
        if danger(label, f"{key}-yes", on_click=attempt(action)):
            st.rerun()
        if st.button(say("cancel"), key=f"{key}-no"):
            st.rerun()


def show(error: HeadstartError) -> None:
    """Show an error: what happened and what to do next."""
    st.error(f"{plain(error.message)} {plain(error.hint)}", icon=":material/error:")


def quiet(error: HeadstartError) -> None:
    """The same in a quiet form, when nothing failed but something does not exist yet."""
    st.caption(f"{plain(error.message)} {plain(error.hint)}")


def attempt(action: Callable[[], object]) -> Callable[[], None]:
    """A callback whose error is shown at the top of the page, which is redrawn even if the widget is in a fragment."""

    def guarded() -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - callbacks run outside of the page's own last stop
            st.session_state["error"] = error
            st.rerun()

    return guarded


def fragment(draw: Callable[_P, None], run_every: float | None = None) -> Callable[_P, None]:
    """A part of the page that can be redrawn alone, also every so many seconds. Its errors are shown in its place."""
    return st.fragment(_guarded(draw), run_every=run_every)


def dialog(title: str, **options: Any) -> Callable[[Callable[_P, None]], Callable[_P, None]]:
    """A decorator for the content of a dialog, in which its errors are shown."""
    return lambda draw: st.dialog(title, **options)(_guarded(draw))


def _guarded(draw: Callable[_P, None]) -> Callable[_P, None]:
    # Streamlit itself handles what a fragment or dialog raises, so it would never reach the page's own last stop.
    @functools.wraps(draw)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - as the last stop of the page
            report(error)

    return guarded


def show_pending_error() -> None:
    """Show the error of the last action, once."""
    error = st.session_state.pop("error", None)
    if error is not None:
        report(error)
    if isinstance(error, HeadstartError):
        st.toast(plain(error.message), icon=":material/error:")  # the top of the page may be out of view


def empty(title: str, more: str, project: Project | None = None, go_to: tuple[str, str] = ("", "")) -> None:
    """The message of a page that has nothing to show yet, and a button to the step to do first (its name and the
    label); `figures.coming` draws what will be there above it."""
    with st.container(horizontal_alignment="center", key="empty", gap="small"):
        st.space("small")
        st.header(title, anchor=False, text_alignment="center")
        st.markdown(more, text_alignment="center")
        if project and st.button(go_to[1], type="primary", key="empty-go"):
            go(go_to[0], project)


def headline(text: str) -> None:
    """The heading of a page with a single message, in large letters."""
    with st.container(key="headline"):
        st.header(text, anchor=False)


def report(error: Exception) -> None:
    """Show an error: the sentences of a HeadstartError or of a full disk; of any other an id, with the traceback in the
    log."""
    if isinstance(error, HeadstartError):
        show(error)
        return
    key = uuid.uuid4().hex[:8]
    logging.getLogger("headstart").exception("error %s", key, exc_info=error)
    if space.is_full(error):
        show(HeadstartError("disk_full"))
        return
    st.error(f"**{say('fault_title')}.** {say('fault', id=key)}", icon=":material/error:")
