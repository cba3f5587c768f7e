"""Every page in every state, with AppTest; each visit is a process of its own, in which nothing was imported before."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import album, jobs
from core.store import Store
from tests import pictures
from tests.conftest import wait

ROOT = Path(__file__).parent.parent
PAGES = ("projects", "data", "train", "results", "demo", "export", "present")

# Visits all pages of the project in argv ("results:Runs" with that tab open), and tells what each says and which heavy
# modules were loaded by that.
_VISIT = """
import json, sys
from streamlit.testing.v1 import AppTest
root, project, *names = sys.argv[1:]
said = {}
at = AppTest.from_file(f"{root}/pages/studio.py", default_timeout=30)
if project:
    at.query_params["project"] = project
at.run()
for name in names:
    page, _, tab = name.partition(":")
    at.switch_page(f"{page}.py")
    if tab:
        at.session_state[f"{page}-tab"] = tab
    if project:
        at.query_params["project"] = project
    at.run()
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "success", "info", "button", "expander")
    shown = {kind: [e.label if hasattr(e, "label") else e.value for e in at.get(kind)] for kind in kinds}
    said[name] = {**shown, "exception": [e.value for e in at.exception]}
heavy = [m for m in ("tensorflow", "keras", "sklearn", "scipy", "torch", "ai_edge_litert") if m in sys.modules]
print(json.dumps({"said": said, "heavy": heavy}))
"""


def visit(home: Path, project: str, *names: str, red: bool = False) -> dict[str, Any]:
    """What the pages say about a project, in a fresh process; none may be an error unless something `red` is due."""
    done = subprocess.run(
        [sys.executable, "-c", _VISIT, str(ROOT), project, *names],
        cwd=ROOT, env=os.environ | {"HEADSTART_HOME": str(home)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, said in answer["said"].items():
        assert not said["exception"] and bool(said["error"]) is red, (name, said, done.stderr)
    return answer


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> dict[str, Any]:
    """A visit to all pages of a project with a finished run."""
    home = tmp_path_factory.mktemp("pages") / "home"
    shutil.copytree(trained, home)
    (project,) = Store(home).projects()
    return visit(home, project.id, *PAGES)


def test_without_projects_the_first_page_invites_and_the_others_lead_back(tmp_path: Path) -> None:
    said = visit(tmp_path / "home", "", *PAGES)["said"]
    assert said["projects"]["title"] == ["Teach a network to tell your pictures apart"]
    assert said["projects"]["button"] == ["Try the sample", "New project"]
    for name in PAGES[1:]:
        assert not said[name]["title"] and not said[name]["button"], name


def test_shares_that_no_slider_offers_are_shown_all_the_same(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    album.set_split(store, project.id, 0, 0.0, 0.5)  # as a run file may
    assert visit(home, project.id, "data")["said"]["data"]["subheader"]
    assert (store.project(project.id).val, store.project(project.id).test) == (0.0, 0.5)


def test_an_empty_project_asks_for_pictures_and_each_later_step_says_what_is_missing(tmp_path: Path) -> None:
    project = Store(tmp_path / "home").add_project("Empty *one*")
    said = visit(tmp_path / "home", project.id, *PAGES)["said"]
    assert said["data"]["title"] == ["Add the pictures you want to learn from"]
    titles = {name: said[name]["subheader"][-1] for name in PAGES[2:]}
    assert titles == {
        "train": "Add pictures of at least two classes first",
        "results": "No model yet",
        "demo": "Nothing to show yet",
        "export": "No model to take away yet",
        "present": "Nothing to show yet",
    }


def test_a_project_with_pictures_can_be_sorted_and_trained(tmp_path: Path, shapes: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("Shapes")
    job = jobs.start(store, project.id, "intake", {"path": str(shapes), "batch": "a"})
    assert wait(store, job).state == "succeeded"
    said = visit(tmp_path / "home", project.id, *PAGES)["said"]
    assert any("All 36 files are used" in text for text in said["data"]["caption"])
    assert "Train a model" in said["data"]["button"] and "Start training" in said["train"]["button"]
    assert said["train"]["subheader"][-1] == "The training will be shown here"


def project_of(home: Path, folder: Path) -> tuple[Store, str]:
    """A project with the pictures of a folder, not trained."""
    store = Store(home)
    project = store.add_project("Own")
    job = jobs.start(store, project.id, "intake", {"path": str(folder), "batch": "a"})
    assert wait(store, job).state == "succeeded"
    return store, project.id


def test_a_rare_class_is_named_with_what_is_done_about_it(tmp_path: Path) -> None:
    folder = pictures.folders(tmp_path / "set", per_class=14, labels=("circle", "square"))
    for path in sorted((folder / "square").iterdir())[2:]:
        path.unlink()
    store, project = project_of(tmp_path / "home", folder)
    said = visit(store.home, project, "train")["said"]["train"]["caption"]
    assert (
        "**square** has 7 times fewer pictures than the largest class: its pictures count more. Turn *Balance* to 0 to "
        "undo." in said
    )


def test_few_pictures_are_shown_with_their_copies_and_sided_names_turn_flips_off(tmp_path: Path) -> None:
    folder = pictures.folders(tmp_path / "set", per_class=6, labels=("circle", "square"))
    (folder / "circle").rename(folder / "left")
    store, project = project_of(tmp_path / "home", folder)
    said = visit(store.home, project, "train")["said"]["train"]["caption"]
    assert "As the training will see them: each picture, then its altered copies (3)." in said
    assert "Flips are off: the classes may not be the same in a mirror." in said


def test_a_finished_run_is_shown_by_every_page(finished: dict[str, Any]) -> None:
    said = finished["said"]
    assert "Open" in said["projects"]["button"]
    assert any(text.startswith("Right on **") for text in said["projects"]["markdown"])
    assert "Train again" in said["train"]["button"] and "See results" in said["train"]["button"]
    assert said["results"]["subheader"][0].startswith("Right on ")
    for name in ("demo", "present"):
        assert any(text.startswith("Answered in ") for text in said[name]["caption"]), name
        assert said[name]["title"][-1] in ("circle", "square", "triangle")
    assert any("model.keras" in text for text in said["export"]["markdown"])


def test_a_project_that_is_gone_is_named_and_leads_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _VISIT, str(ROOT), "0" * 32, "data"],
        cwd=ROOT, env=os.environ | {"HEADSTART_HOME": str(tmp_path / "home")}, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    said = json.loads(done.stdout.splitlines()[-1])["said"]["data"]
    assert len(said["error"]) == 1 and not said["exception"]


def test_visiting_all_pages_loads_no_tensorflow_keras_sklearn_or_scipy(finished: dict[str, Any]) -> None:
    assert tuple(finished["said"]) == PAGES
    assert finished["heavy"] == []
