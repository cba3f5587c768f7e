"""A camera that takes many pictures of one class while its button is held; they go through the upload route."""

import re

from pages.parts import shell
from pages.parts.words import say

_COMPONENT = shell.component("camera")
_BATCH = re.compile(r"[0-9a-f]{32}")
_PX = 640  # longer side of a picture; networks see at most 600
_EVERY_MS = 125
_MOST = 400  # pictures of one burst: 50 seconds


def take(key: str, label: str) -> str | None:
    """Draw the camera; answers the batch of a burst that has arrived just now."""
    words = {name: say(f"camera_{name}") for name in ("on", "hold", "taken", "sending", "refused", "no_class")}
    data = {"words": words, "ready": bool(label.strip()), "px": _PX, "every": _EVERY_MS, "most": _MOST}
    done = _COMPONENT(key=f"camera-{key}", data=data, on_done_change=lambda: None).done
    batch = str((done or {}).get("batch", ""))
    return batch if _BATCH.fullmatch(batch) else None
