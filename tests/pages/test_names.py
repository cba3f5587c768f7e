"""Every page and tab with the worst names of classes, runs and projects: no fault is shown, and no key holds a name."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.disk import blobs
from core.jobs.job_context import write_result
from core.language.catalog import say
from core.scores.evaluation import Evaluation
from core.store.store import Store
from pages.parts.frame.words import plain
from tests import drawing, names, visits
from tests.pages.test_pages import project_of
from tests.visits import PAGES, visit

TABS = ("per_class", "confidence", "threshold_tab", "look_tab", "curves", "map", "fit", "runs")

# Opens everything on the results page that is opened by a button or a choice, and tells which keys the session has.
_OPEN = """
import json, sys
from tests.visits import opened
(project,) = sys.argv[1:]
at = opened(project, "results", "threshold_tab")
(own,) = [box for box in at.multiselect if str(box.key).startswith("own-")]
own.set_value(own.options).run()
shows = lambda: [button for button in at.button if button.label.startswith("Show them")]  # what is of each is hidden
n = len(shows())
while shows():
    shows()[0].click().run()
for button in [button.key for button in at.button if "-pair-" in str(button.key)]:
    at.button(key=button).click().run()
    assert not at.exception and not at.error, at.error[0].value
sliders = [slider.label for slider in at.slider if str(slider.key).startswith("limit-")]
said = {"shown": n, "sliders": sliders, "keys": list(at.session_state._state.filtered_state)}
print(json.dumps({**said, "error": [e.value for e in at.error], "exception": [e.value for e in at.exception]}))
"""


@pytest.fixture(scope="module")
def mistaken(named: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """The home of `named` with a model that takes each class for the one beside it, its run and project named badly."""
    home = tmp_path_factory.mktemp("mistaken") / "home"
    shutil.copytree(named, home)
    store = Store(home)
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    for part in ("val", "test"):
        path = store.folder(run.id) / f"evaluation-{part}.json"
        old = Evaluation.from_dict(json.loads(path.read_bytes()))
        said = np.eye(len(old.classes), dtype=np.float32)[old.truth ^ 1]
        blobs.write(path, json.dumps(Evaluation(old.classes, old.ids, old.truth, said).to_dict()).encode())
    hashes = {path: blobs.sha256(store.root(run.id) / path) for path in store.files(run.id)}
    with store.write() as db:
        write_result(db, run.id, replace(run.outcome, test_accuracy=0.0, val_accuracy=0.0), hashes)
        db.execute("UPDATE project SET name = ?", ("=1+1 **b** http://evil.example __ <b>",))
    store.describe_run(run.id, name=":smile: [x](http://evil.example)", note="www.evil.example\n\n# =1+1")
    return store, project.id


@pytest.mark.usefixtures("in_process")
def test_a_class_with_two_underscores_leaves_the_data_page_whole(tmp_path: Path) -> None:
    folder = drawing.folders(tmp_path / "set", per_class=4, labels=("circle", "square"))
    (folder / "circle").rename(folder / "Tomato___Late_blight")
    (folder / "square").rename(folder / "dog__big")
    store, project = project_of(tmp_path / "home", folder)
    said = visit(store.home, project, "data")["said"]["data"]
    assert say("next_train") in said["button"] and "Pictures" in said["header"]


def test_no_page_and_no_tab_shows_a_fault_whatever_classes_runs_and_projects_are_called(
    mistaken: tuple[Store, str],
) -> None:
    store, project = mistaken
    said = visit(store.home, project, *PAGES, *(f"results:{tab}" for tab in TABS))["said"]
    for page in ("data", "results", "results:confidence"):
        assert set(names.WORST) <= set(said[page]["options"]), page
    assert said["present"]["header"][:1] == [plain("=1+1 **b** http://evil.example __ <b>")]
    assert any("taken for" in text and "\\*\\*b\\*\\*" in text for text in said["results"]["button"])


def test_what_can_be_opened_on_the_results_shows_no_fault_and_no_key_holds_a_name(mistaken: tuple[Store, str]) -> None:
    store, project = mistaken
    done = visits.run(_OPEN, project, home=store.home)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not said["exception"] and not said["error"], (said, done.stderr)
    assert said["shown"] == 2 and said["sliders"] == [plain(name) for name in names.WORST]
    telling = [name for name in names.WORST if len(name) > 4]
    assert not [key for key in said["keys"] for name in telling if name in key]
