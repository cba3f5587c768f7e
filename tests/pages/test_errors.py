"""What a user reads where a part of a page fails that is redrawn alone, or whose button does not work."""

import json
import shutil
from pathlib import Path
from typing import Any

from core.language.catalog import say
from core.store.store import Store
from tests import visits
from tests.visits import visit

# A page with a part of its own: what it draws and what its button does, with argv[1] and argv[2] as the errors.
_PART = '''
import json, sys
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.testing.v1 import AppTest, local_script_runner

page = """
import sys
import streamlit as st
from core.errors import HeadstartError
from pages.parts.frame import context

def fail(how):
    if how:
        raise HeadstartError(how) if how == "disk_full" else ValueError(how)

def part():
    st.button("press", key="press", on_click=context.attempt(lambda: fail(sys.argv[2])))
    fail(sys.argv[1])

context.show_pending_error()
context.fragment(part)()
st.caption("after")
"""

def told():
    return {kind: [e.value for e in at.get(kind)] for kind in ("error", "exception", "caption")}

at = AppTest.from_string(page, default_timeout=30).run()
first = told()
(part,) = at._fragment_storage._fragments
at.button(key="press").click()
whole = local_script_runner.RerunData
local_script_runner.RerunData = lambda **values: whole(**values, fragment_id_queue=[part])  # as the browser asks
at.run()
print(json.dumps([first, told()]))
'''


def part(tmp_path: Path, drawing: str = "", pressing: str = "") -> list[dict[str, Any]]:
    """What a page says at first, and after a press of the button in its part."""
    done = visits.run(_PART, drawing, pressing, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_a_part_of_a_page_that_fails_says_so_in_our_words_and_the_rest_is_drawn(tmp_path: Path) -> None:
    for code, words in (("disk_full", say("error.disk_full")), ("unforeseen", say("fault_title"))):
        first, alone = part(tmp_path, drawing=code)
        assert first["caption"] == ["after"] and not alone["caption"]  # what is drawn again is the part alone
        for said in (first, alone):
            (error,) = said["error"]
            assert words in error.replace("\\", "") and not said["exception"]


def test_an_error_of_a_button_in_a_part_of_a_page_is_shown_at_once_on_the_whole_page(tmp_path: Path) -> None:
    for code, words in (("disk_full", say("error.disk_full")), ("unforeseen", say("fault_title"))):
        first, pressed = part(tmp_path, pressing=code)
        assert not first["error"]
        (error,) = pressed["error"]
        assert words in error.replace("\\", "") and pressed["caption"] == ["after"] and not pressed["exception"]


def test_a_file_of_distances_that_is_damaged_takes_nothing_from_the_results_but_its_own_panel(
    tmp_path: Path, trained: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    (store.folder(store.runs(project.id)[0].id) / "known.npz").write_bytes(b"damaged")
    said = visit(home, project.id, "results:threshold_tab", red=True)["said"]["results:threshold_tab"]
    assert say("fault_title") in said["error"][0] and said["header"][0].startswith("Right on ")


def test_a_damaged_file_of_distances_is_one_error_on_the_demo_with_its_remedy(tmp_path: Path, trained: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    (store.folder(store.runs(project.id)[0].id) / "known.npz").write_bytes(b"damaged")
    said = visit(home, project.id, "demo", red=True)["said"]["demo"]
    (error,) = said["error"]
    assert "known" in error and say("fault_title") not in error and say("train_again") in said["button"]


# A page with the field for folders of the server, where the disk is full.
_FOLDER = '''
import json, os, sys
from streamlit.testing.v1 import AppTest

page = """
import streamlit as st
from core.errors import HeadstartError
from core.intake import deliveries
from core.store.store import Project
from pages.parts.data import add_pictures

def fail(*told):
    raise HeadstartError("disk_full")

deliveries.take_folder = fail
add_pictures._folder(Project("p", "P", 0.0, 0, 0.1, 0.1), "")
st.caption("after")
"""

os.environ["HEADSTART_FOLDERS"] = sys.argv[1]
at = AppTest.from_string(page, default_timeout=30).run()
at.button[0].click().run()
print(json.dumps({kind: [e.value for e in at.get(kind)] for kind in ("error", "exception", "caption")}))
'''


def test_a_folder_that_cannot_be_taken_says_so_beside_its_field(tmp_path: Path) -> None:
    done = visits.run(_FOLDER, str(tmp_path), home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert say("error.disk_full") in said["error"][0].replace("\\", "")
    assert said["caption"] == ["after"] and not said["exception"]
