"""Every page in every state, with AppTest; each visit is a process of its own, in which nothing was imported before."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language.catalog import say
from core.pictures import album
from core.store import recovery
from core.store.store import Store
from pages.parts.frame.words import plain
from tests import drawing, visits
from tests.bad_files import png
from tests.inputs import Lab
from tests.texts import pattern
from tests.visits import PAGES, visit
from tests.workers import wait


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> dict[str, Any]:
    """A visit to all pages of a project with a finished run."""
    home = tmp_path_factory.mktemp("pages") / "home"
    shutil.copytree(trained, home)
    (project,) = Store(home).projects()
    return visit(home, project.id, *PAGES, "learn")


def test_without_projects_the_first_page_invites_and_the_others_lead_back(tmp_path: Path) -> None:
    said = visit(tmp_path / "home", "", *PAGES)["said"]
    assert said["projects"]["title"] == [say("hero")]
    buttons = [say("try_signs"), say("try_ladybugs"), say("new_project"), say("archive_open")]
    assert said["projects"]["button"] == buttons
    for name in PAGES[1:]:
        assert said[name]["title"] == [name.capitalize()] and not said[name]["button"], name


def test_shares_that_no_slider_offers_are_shown_all_the_same(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    album.set_split(store, project.id, 0, 0.0, 0.5)  # as a run file may
    assert visit(home, project.id, "data")["said"]["data"]["header"]
    assert (store.project(project.id).val, store.project(project.id).test) == (0.0, 0.5)


def test_an_empty_project_asks_for_pictures_and_each_later_step_says_what_is_missing(tmp_path: Path) -> None:
    project = Store(tmp_path / "home").add_project("Empty *one*")
    said = visit(tmp_path / "home", project.id, *PAGES)["said"]
    assert [said[name]["title"] for name in ("data", "present")] == [
        [r"Empty \*one\*: Data"],
        [r"Empty \*one\*: Present"],
    ]
    assert said["data"]["header"] == [say("data_empty"), say("classes_here")]
    titles = {name: said[name]["header"][-1] for name in PAGES[2:]}
    assert titles == {
        "train": say("train_locked"),
        "results": say("results_empty"),
        "demo": say("demo_empty"),
        "export": say("export_empty"),
        "present": say("demo_empty"),
    }


@pytest.mark.usefixtures("in_process")
def test_a_project_with_pictures_can_be_sorted_and_trained(tmp_path: Path, shapes: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("Shapes")
    job = queue.start(store, project.id, INTAKE, Delivery(str(shapes), "a"))
    assert wait(store, job).state == "succeeded"
    said = visit(tmp_path / "home", project.id, *PAGES)["said"]
    assert any(say("all_used", n=36) in text for text in said["data"]["caption"])
    assert say("next_train") in said["data"]["button"] and say("start") in said["train"]["button"]
    assert said["train"]["header"][-1] == say("live_empty")


def project_of(home: Path, folder: Path) -> tuple[Store, str]:
    """A project with the pictures of a folder, not trained."""
    store = Store(home)
    project = store.add_project("Own")
    job = queue.start(store, project.id, INTAKE, Delivery(str(folder), "a"))
    assert wait(store, job).state == "succeeded"
    return store, project.id


@pytest.mark.usefixtures("in_process")
def test_a_rare_class_is_named_with_what_is_done_about_it(tmp_path: Path) -> None:
    folder = drawing.folders(tmp_path / "set", per_class=14, labels=("circle", "square"))
    for path in sorted((folder / "square").iterdir())[2:]:
        path.unlink()
    store, project = project_of(tmp_path / "home", folder)
    said = visit(store.home, project, "train")["said"]["train"]["caption"]
    assert say("uneven_balanced", label="square", times=6) in said


@pytest.mark.usefixtures("in_process")
def test_few_pictures_are_shown_with_their_copies_and_sided_names_turn_flips_off(tmp_path: Path) -> None:
    folder = drawing.folders(tmp_path / "set", per_class=6, labels=("circle", "square"))
    (folder / "circle").rename(folder / "left")
    store, project = project_of(tmp_path / "home", folder)
    said = visit(store.home, project, "train")["said"]["train"]["caption"]
    assert say("preview", n=3) in said
    assert say("flip_off") in said


def test_a_finished_run_is_shown_by_every_page(finished: dict[str, Any]) -> None:
    said = finished["said"]
    assert "Open" in said["projects"]["button"]
    assert any(text.startswith("Right on **") for text in said["projects"]["markdown"])
    assert say("train_again") in said["train"]["button"] and say("see_results") in said["train"]["button"]
    assert said["results"]["header"][0].startswith("Right on ")
    for name in ("demo", "present"):
        assert any(text.startswith("Answered in ") for text in said[name]["caption"]), name
        assert {"circle", "square", "triangle"} & set(said[name]["header"])
    assert any("model.keras" in text for text in said["export"]["markdown"])
    assert plain("Weights of Starter: Apache-2.0, from Headstart") in said["export"]["caption"]


# Opens the data page of the project in argv with its list of unused files closed and open, and counts what it reads.
_UNUSED = """
import json, sys
from core.store.store import Store
from tests.visits import opened
project, read = sys.argv[1], []
unused = Store.unused
Store.unused = lambda *told: read.append(told) or unused(*told)
at = opened(project, "data")
closed = len(read)
at.session_state[f"unused-{project}"] = True
at.run()
assert not at.exception and not at.error, (at.exception, at.error)
print(json.dumps([closed, len(read), [table.value.to_csv() for table in at.dataframe]]))
"""


def test_files_that_are_not_used_are_read_once_their_list_is_open(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    files = [(f"{label}/{n}.png", png(9 * place + n)) for place, label in enumerate(("cat", "dog")) for n in range(2)]
    project = lab.take([*files, ("cat/broken.png", b"broken")]).project_id
    done = visits.run(_UNUSED, project, home=lab.store.home)
    assert done.returncode == 0, done.stderr
    closed, both, (table,) = json.loads(done.stdout.splitlines()[-1])
    assert (closed, both) == (0, 1) and "cat/broken.png" in table


def test_a_project_that_is_gone_is_named_and_leads_back(tmp_path: Path) -> None:
    done = visits.run(visits.VISIT, "0" * 32, "data", home=tmp_path / "home")
    said = json.loads(done.stdout.splitlines()[-1])["said"]["data"]
    assert len(said["error"]) == 1 and not said["exception"]


def test_visiting_all_pages_loads_no_tensorflow_keras_sklearn_or_scipy(finished: dict[str, Any]) -> None:
    assert tuple(finished["said"]) == (*PAGES, "learn")
    assert finished["heavy"] == []


def test_a_database_that_is_damaged_while_it_is_in_use_is_said_on_every_page(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    (project,) = Store(home).projects()
    with (home / "headstart.db").open("r+b") as file:  # the first pages, which say what tables there are, stay
        size = file.seek(0, os.SEEK_END)
        file.seek(5 * 4096)
        file.write(b"\xa5" * (size - 5 * 4096))
    for name, said in visit(home, project.id, *PAGES, red=True)["said"].items():
        assert "database" in said["error"][0] and "is damaged" in said["error"][0], (name, said)
        assert "start it again" in said["error"][0] and say("fault_title") not in said["error"][0]


def test_what_a_start_found_stands_above_every_page_until_someone_has_read_it(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    (home / "headstart.db").unlink()
    store = recovery.open_home(home)
    said = visit(home, "", "projects")["said"]["projects"]
    assert any(pattern("notice_begun_missing").search(text.replace("**", "")) for text in said["markdown"])
    assert any(pattern("notice_aside", pictures=36).search(text.replace("**", "")) for text in said["markdown"])
    assert said["button"][:3] == [say("notice_read"), say("notice_rebuild"), say("notice_read")]
    recovery.rebuild(store, say("notice_rebuilt_name"))
    (project,) = store.projects()
    said = visit(home, project.id, *PAGES)["said"]
    for name in PAGES[:-1]:
        assert any("Pictures that are in a project again: 36." in text for text in said[name]["markdown"]), name
    assert not any("again" in text for text in said["present"]["markdown"])
    recovery.dismiss(home, recovery.notices(home)[0])
    assert "Understood" not in visit(home, project.id, "projects")["said"]["projects"]["button"]
