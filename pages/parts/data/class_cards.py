"""Cards of classes that are made on the page: a name, and pictures by files, a folder, the clipboard or the camera.

What is written in a card stays in the browser; its pictures take the way of the drop zone, with the class of the card.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from core.settings import LIMITS
from core.store.store import Project
from pages.parts.data import camera_burst, drop_zone
from pages.parts.frame import context
from pages.parts.frame.words import say

_COMPONENT = context.component("class_cards", "camera")
_WORDS = (
    "card_files", "card_folder", "card_paste", "card_camera", "card_add", "card_remove", "card_numbered", "card_busy",
    "card_folders", "card_folders_one", "card_folders_each", "paste_nothing", "paste_keys", "class_name",
)  # fmt: skip


def begin(project: Project, labels: Sequence[str], listed: Sequence[str], busy: bool) -> None:
    """Draw the cards of classes to come, at least as many as make two classes. `labels` are all classes, `listed` those
    with a row of their own, which takes what is dropped or pasted on it; `busy` is whether pictures are taken in."""
    rows = {row_key(label): label for label in listed}
    more = {"labels": list(labels), "rows": rows, "busy": busy, "longest": LIMITS.class_name}
    _COMPONENT(key=f"cards-{project.id}", data=_data(project) | more)


def fill(project: Project, label: str) -> None:
    """Draw the card of a class that there is."""
    _COMPONENT(key=f"{row_key(label)}-card", data=_data(project) | {"label": label, "busy": False})


def row_key(label: str) -> str:
    """The key of the row of a class."""
    return f"class-row-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def _data(project: Project) -> dict[str, Any]:
    words = {name: say(name) for name in (*drop_zone.WORDS, *_WORDS)}
    words |= {name: say(key) for name, key in camera_burst.WORDS.items()}
    return {"project": project.id, "chunk": context.PIECE, "words": words} | camera_burst.BURST
