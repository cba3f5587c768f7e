"""A camera that takes many pictures of one class while its button is held; they go through the upload route."""

from pages.parts import shell
from pages.parts.words import say

_COMPONENT = shell.component("camera")
_PX = 640  # longer side of a picture; networks see at most 600
_EVERY_MS = 125
_MOST = 400  # pictures of one burst: 50 seconds


def take(key: str, label: str) -> str | None:
    """Draw the camera; answers the batch of a burst that has arrived just now."""
    words = {name: say(f"camera_{name}") for name in ("on", "hold", "taken", "sending", "refused", "no_class")}
    data = {"words": words, "ready": bool(label.strip()), "px": _PX, "every": _EVERY_MS, "most": _MOST}
    return shell.batch(_COMPONENT(key=f"camera-{key}", data=data, on_done_change=lambda: None).done)
