"""The web page that is taken away: one ZIP that answers in any browser, without Headstart and without a network.

It is the page of a demo (`core.demos.visitor_page`) with another engine: LiteRT.js runs the model that lies beside it.
The model answers the probabilities and the distance of `core.explain.novelty`; the limits are in the page. A policy in
its head lets it ask nobody but the server that it comes from.
"""

import base64
import hashlib
import io
import json
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.demos import published, visitor_page
from core.demos.published import Appearance
from core.demos.visitor_page import Example, Front
from core.exports import litert_js
from core.language import catalog
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store

OWN = Path(__file__).parent / "offline_page"
# The text of the license of LiteRT.js is that of our own.
_LICENSE = Path(__file__).parents[2] / "LICENSE"
_TEXTS = ("engine_missing", "unreadable", "as_file")
# Where the page finds the modules of LiteRT.js by their names, without a bundler.
_IMPORTS = json.dumps(
    {"imports": {"@litertjs/core": "./runtime/core.js", "@litertjs/wasm-utils": "./runtime/wasm-utils.js"}}
)
NETWORK, LABELS = "model.tflite", "labels.json"
# What is compressed already stays as it is.
_PACKED = (".jpg",)


@dataclass(frozen=True)
class PageModel:
    """The bytes of a `.tflite` file for one picture (`core.neural.model.for_one_picture`), the classes in the order of
    its answers, the side of its input in px, its limits, and the `terms` of its weights."""

    network: bytes
    classes: tuple[str, ...]
    size: int
    limits: Thresholds
    terms: str


def files(
    model: PageModel, appearance: Appearance, examples: Sequence[tuple[str, bytes]], runtime: Mapping[str, bytes]
) -> dict[str, bytes]:
    """All files of the page by name. `examples`: class and JPEG of each, `runtime` as `litert_js.files` answers."""
    shown = {f"examples/{i}.jpg": each for i, each in enumerate(examples, 1)}
    front = Front(
        appearance.title, appearance.words, appearance.language, appearance.accent, model.classes, model.size,
        "engine_litert", logo="./logo.jpg" if appearance.logo else "",
        examples=tuple(Example(f"./{name}", label) for name, (label, _) in shown.items()),
        facts=_facts(model, appearance.language),
    )  # fmt: skip
    found = {"index.html": visitor_page.html(front, _head()).encode(), NETWORK: model.network}
    found[LABELS] = json.dumps(model.classes, ensure_ascii=False).encode()
    found |= {name: (visitor_page.FOLDER / name).read_bytes() for name in visitor_page.FILES}
    found |= {path.name: path.read_bytes() for path in sorted(OWN.glob("*.js"))}
    found |= {name: data for name, (_, data) in shown.items()}
    found |= {"logo.jpg": appearance.logo} if appearance.logo else {}
    found |= {f"runtime/{name}": data for name, data in runtime.items()}
    return found | {"LICENSE.txt": _LICENSE.read_bytes(), "README.txt": _read_me(model, appearance).encode()}


def pack(found: Mapping[str, bytes]) -> bytes:
    """A ZIP of files; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in found.items():
            kind = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    return out.getvalue()


def appearance(store: Store, run: Run) -> Appearance:
    """What the page looks like: as the newest demo of the run that visitors are let into; without one it has the name
    of the project, and no language yet."""
    demos = published.of_project(store, run.project_id)
    shown = [demo.appearance for demo in demos if demo.run_id == run.id and demo.is_open]
    return replace(shown[0], ends_at=None) if shown else Appearance(store.project(run.project_id).name, language="")


def _facts(model: PageModel, language: str) -> dict[str, object]:
    """What the engine gets; see `offline_page/engine_litert.js`."""
    spoken = catalog.of(language)
    return {
        "model": f"./{NETWORK}", "runtime": f"./runtime/{litert_js.MODULE}",
        "limits": model.limits.facts,
        "texts": {name: spoken.text(f"web_page.{name}") for name in _TEXTS},
    }  # fmt: skip


def _head() -> str:
    """A policy that allows no outside address, where the modules of LiteRT.js are, and the script that speaks when the
    page is opened as a file."""
    allowed = base64.b64encode(hashlib.sha256(_IMPORTS.encode()).digest()).decode()
    policy = {
        "default-src": "'none'", "script-src": f"'self' 'wasm-unsafe-eval' 'sha256-{allowed}'",
        "style-src": "'self' 'unsafe-inline'", "connect-src": "'self'", "img-src": "'self' blob: data:",
        "media-src": "blob:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    told = "; ".join(f"{name} {value}" for name, value in policy.items())
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{told}">\n'
        f'<script type="importmap">{_IMPORTS}</script>\n<script defer src="./as_file.js"></script>\n'
    )


def _read_me(model: PageModel, appearance: Appearance) -> str:
    spoken = catalog.of(appearance.language)
    values = {"mb": len(model.network) / 1e6, "terms": model.terms, "version": litert_js.VERSION}
    parts = (spoken.say(f"web_page.read_me_{name}", **values) for name in ("what", "here", "others", "inside"))
    # An address stays in one piece.
    lines = (textwrap.fill(part, 100, break_long_words=False, break_on_hyphens=False) for part in parts)
    return "\n\n".join([appearance.title, *lines]) + "\n"
