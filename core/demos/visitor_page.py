"""The page that a visitor of a demo sees, as plain files in `page/`: no Streamlit, whose WebSocket would open the whole
app, no bundler, and only relative addresses, so that any static server can show it too.

`html` fills `index.html`. What answers a picture is a module of JavaScript named by `Front.engine`. It exports
`open(front)`, which gives an engine with `ask(blob, {live})`, answered by `{scores: [[label, p], ...], verdict, least,
ms}`: the most probable class first, the `verdict` of a `Prediction`, the probability that an answer needs, and the
milliseconds. Where the page offers it, the engine also has `explain(blob)`, answered by `{address, label, nothing,
rows, columns}` of a heat map, and `report(blob, word)`. The `message` of an error that it throws is for the visitor.
"""

import html as markup
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from core.demos import accent
from core.language import catalog
from core.sandbox import decoding
from core.scores.thresholds import SURE

FOLDER = Path(__file__).parent / "page"
# The modules and styles of the page, without the modules that answer.
FILES = (
    "page.css", "main.js", "answer.js", "camera.js", "correction.js", "elements.js", "heat_map.js", "sources.js",
    "words.js",
)  # fmt: skip
_KINDS = {".css": "text/css", ".js": "text/javascript"}
_SHOWN = 5  # classes with a bar, as in the demo of the app
_TEXTS = (
    "demo_alt", "demo_alt_none", "demo_from", "demo_none", "demo_none_more", "demo_shot", "demo_sure",
    "demo_unknown", "demo_unknown_more", "demo_unsure", "demo_why", "less_than", "more_than", "why_hot",
    "why_limits", "why_nothing", "visitor.another", "visitor.asking", "visitor.camera", "visitor.camera_denied",
    "visitor.camera_secure", "visitor.cancel", "visitor.close", "visitor.drop", "visitor.examples", "visitor.live",
    "visitor.live_rate", "visitor.logo", "visitor.now_live", "visitor.offline", "visitor.own_word",
    "visitor.picture", "visitor.send", "visitor.sent", "visitor.shows", "visitor.take", "visitor.time",
    "visitor.ways", "visitor.why_hide", "visitor.wrong", "visitor.wrong_title", "visitor.wrong_told",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A picture to try: its relative address, and what it shows."""

    address: str
    label: str


@dataclass(frozen=True)
class Front:
    """What the page of a demo is made of. `engine` is the name of the module that answers, `size` the side of the
    network's input in px, `logo` a relative address (empty: none), `language` as catalogs are named. `facts` are values
    for the engine alone."""

    title: str
    words: str
    language: str
    accent: str
    classes: tuple[str, ...]
    size: int
    engine: str
    logo: str = ""
    examples: tuple[Example, ...] = ()
    explains: bool = False
    takes_words: bool = False
    facts: Mapping[str, object] | None = None


def html(front: Front, head: str = "") -> str:
    """The page as HTML; `head` is more markup for its head. All text is escaped."""
    spoken, shades = catalog.of(front.language), accent.shades(front.accent)
    words = {name.removeprefix("visitor."): spoken.text(name) for name in _TEXTS}
    told = asdict(front) | {"texts": words, "sure": SURE, "shown": _SHOWN, "decimal": spoken.decimal}
    values = {
        "lang": spoken.tag, "title": front.title, "words": front.words, "light": shades.light, "dark": shades.dark,
        "accept": ",".join(f".{ending}" for ending in decoding.ENDINGS),
    }  # fmt: skip
    escaped = {name: markup.escape(text) for name, text in values.items()}
    page = Template((FOLDER / "index.html").read_text(encoding="utf-8"))
    return page.substitute(escaped, front=_inside_script(told), head=head)


def file(name: str) -> tuple[bytes, str] | None:
    """A file of the page and its media type; None if it has no such file."""
    known = {*FILES, *(path.name for path in FOLDER.glob("engine_*.js"))}
    if name not in known:
        return None
    path = FOLDER / name
    return path.read_bytes(), _KINDS[path.suffix]


def _inside_script(value: object) -> str:
    """JSON that no text can end early."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
