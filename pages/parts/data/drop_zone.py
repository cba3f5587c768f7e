"""The drop zone: files go to the server piece by piece, never through the session, and go on after a lost connection.

The browser has what has arrived taken in, whatever page is looked at by then; what is in it is the intake's business.
"""

from pages.parts import shell
from pages.parts.words import say

_CHUNK = 8_000_000
_COMPONENT = shell.component("uploader", "sending")
_WORDS = (
    "drop", "drop_more", "choose_files", "choose_folder", "uploading", "upload_failed", "upload_gave_up",
    "upload_foreign", "upload_stopped", "upload_stopped_class", "upload_again", "upload_next", "drop_nothing",
    "drop_unreadable", "dismiss", "left",
)  # fmt: skip


def receive(project_id: str, label: str, slim: bool) -> bool:
    """Draw the drop zone; answers whether something is being taken in since just now. `label` is the class of pictures
    in no folder that are dropped now."""
    words = {name: say(name) for name in _WORDS}
    data = {"project": project_id, "label": label.strip(), "chunk": _CHUNK, "slim": slim, "words": words}
    return bool(_COMPONENT(key=f"uploader-{project_id}", data=data, on_done_change=lambda: None).done)
