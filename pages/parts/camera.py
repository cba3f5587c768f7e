"""A camera that takes many pictures of one class while its button is held; they go through the upload route."""

from pages.parts import shell
from pages.parts.words import say

_COMPONENT = shell.component("camera", "sending")
_PX = 640  # longer side of a picture; networks see at most 600
_EVERY_MS = 125
_MOST = 400  # pictures of one burst: 50 seconds


def take(project_id: str, label: str) -> bool:
    """Draw the camera; answers whether a burst is being taken in since just now. `label` is the class of a burst that
    begins now."""
    words = {name: say(f"camera_{name}") for name in ("on", "hold", "taken", "sending", "refused", "no_class")}
    words |= {name: say(name) for name in ("upload_gave_up", "upload_foreign")}
    data = {"project": project_id, "label": label.strip(), "px": _PX, "every": _EVERY_MS, "most": _MOST, "words": words}
    return bool(_COMPONENT(key=f"camera-{project_id}", data=data, on_done_change=lambda: None).done)
