"""Visits to the pages with AppTest, each in a new process."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.language.catalog import say
from tests import forks

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parent.parent
PAGES = ("projects", "data", "train", "results", "demo", "export", "present")

# Visits all pages of the project in argv ("results:runs" with that tab open), and tells what each says and which heavy
# modules were loaded by that.
VISIT = """
import json, sys
from tests.visits import begin, turn
project, *names = sys.argv[1:]
said = {}
at = begin(project)
for name in names:
    turn(at, project, *name.split(":")).run()
    kinds = "title header subheader markdown caption error warning success info button expander".split()
    shown = {kind: [e.label if hasattr(e, "label") else e.value for e in at.get(kind)] for kind in kinds}
    shown["options"] = [option for e in at.get("selectbox") for option in e.options]
    # A button as it looks: without what only those hear who do not see of what it is.
    shown["button"] = [label.split(" :gray[")[0] for label in shown["button"]]
    said[name] = {**shown, "exception": [e.value for e in at.exception]}
heavy = [m for m in ("tensorflow", "keras", "sklearn", "scipy", "torch", "ai_edge_litert") if m in sys.modules]
print(json.dumps({"said": said, "heavy": heavy}))
"""


def begin(project: str) -> "AppTest":
    """The app on its first page, with a project in its address unless that is empty; for scripts of `run`."""
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_file(f"{ROOT}/pages/studio.py", default_timeout=60)
    if project:
        at.query_params["project"] = project
    return at.run()


def turn(at: "AppTest", project: str, page: str, tab: str = "") -> "AppTest":
    """Turn to a page, and to the tab of this key; it is not run yet."""
    at.switch_page(f"{page}.py")
    if tab:
        at.session_state[f"{page}-tab"] = say(tab)
    if project:
        at.query_params["project"] = project
    return at


def opened(project: str, page: str, tab: str = "") -> "AppTest":
    """A page of a project, which was run once."""
    return turn(begin(project), project, page, tab).run()


def visit(home: Path, project: str, *names: str, red: bool = False) -> dict[str, Any]:
    """What the pages say about a project, in a new process; none may be an error unless something `red` is due."""
    done = run(VISIT, project, *names, home=home)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name, said in answer["said"].items():
        assert not said["exception"] and bool(said["error"]) is red, (name, said, done.stderr)
    return answer


def run(script: str, *arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script that opens pages in a new process, with `sys.argv[1:]` as given."""
    with tempfile.TemporaryDirectory() as folder:
        return forks.run(
            "pages", script, *arguments, out=Path(folder), environment=os.environ | {"HEADSTART_HOME": str(home)}
        )
