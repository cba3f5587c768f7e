"""A camera that takes many pictures of one class while its button is held and sends them to the upload route."""

from pages.parts.frame import context
from pages.parts.frame.words import say

_COMPONENT = context.component("camera")
# Of a burst: longer side of a picture (networks see at most 600), ms between two, maximum pictures (50 seconds).
BURST = {"px": 640, "every": 125, "most": 400}
WORDS = {
    "on": "camera_on", "hold": "camera_hold", "taken": "camera_taken", "sending": "camera_sending",
    "refused": "camera_refused", "no_class": "camera_no_class", "upload_gave_up": "upload_gave_up",
    "upload_foreign": "upload_foreign",
}  # fmt: skip


def take(project_id: str, label: str) -> bool:
    """Draw the camera; returns whether the intake of a burst has just begun. `label` is the class of a burst that
    begins now."""
    words = {name: say(key) for name, key in WORDS.items()}
    data = {"project": project_id, "label": label.strip(), "words": words} | BURST
    return bool(_COMPONENT(key=f"camera-{project_id}", data=data, on_done_change=lambda: None).done)
