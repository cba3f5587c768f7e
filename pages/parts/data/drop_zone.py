"""The drop zone: files go to the server piece by piece, not through the session, and continue after a lost connection.

The browser starts the intake when all files have arrived, whichever page is open by then; the intake checks the files.
"""

from typing import Any

from pages.parts.frame import context
from pages.parts.frame.words import say

_COMPONENT = context.component("uploader")
WORDS = (  # of whatever sends files
    "drop", "drop_more", "choose_files", "choose_folder", "uploading", "upload_failed", "upload_gave_up",
    "upload_foreign", "upload_stopped", "upload_stopped_class", "upload_again", "upload_next", "drop_nothing",
    "drop_unreadable", "dismiss", "left",
)  # fmt: skip


def receive(project_id: str, label: str, slim: bool) -> bool:
    """Draw the drop zone; returns whether an intake has just begun. `label` is the class of pictures in no folder that
    are dropped now."""
    return _draw(f"uploader-{project_id}", {"project": project_id, "label": label.strip(), "slim": slim})


def ask(run_id: str) -> bool:
    """Draw a drop zone for pictures about which the model of a run is asked; returns whether that has just begun."""
    data = {"project": f"predict {run_id}", "label": "", "slim": True, "address": f"/api/predictions/{run_id}"}
    return _draw(f"asker-{run_id}", data)


def _draw(key: str, data: dict[str, Any]) -> bool:
    data |= {"chunk": context.PIECE, "words": {name: say(name) for name in WORDS}}
    return bool(_COMPONENT(key=key, data=data, on_done_change=lambda: None).done)
