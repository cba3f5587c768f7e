"""The bundle: one ZIP with the model, what reads it, a small server, its model card, and pictures that check it.

Its scripts are those of `core.neural.exported`, in the language that is spoken; they import nothing of Headstart. The
model answers the distance from the training pictures where there is a limit for it, as in the app.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.explain.predictor import Prediction
from core.exports import runtimes, web_page
from core.language.catalog import say
from core.runs import script_language
from core.scores import thresholds
from core.scores.thresholds import Thresholds

_ROOT = Path(__file__).parents[2]
_SCRIPTS = _ROOT / "core" / "neural" / "exported"
_PACKAGES = ("ai-edge-litert", "numpy", "pillow")
# The functions of `use_model.py` that read a picture, and what they import.
_READS = ("prepare", "decode", "square", "upright", "rgb", "eight_bits")
_IMPORTS = "import io\n\nimport numpy as np\nfrom PIL import Image, ImageCms, ImageOps\n"
_DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && useradd --no-create-home --uid 10001 app
COPY . .
USER 10001
EXPOSE 8000
CMD ["python", "server.py", "8000", "0.0.0.0"]
"""


@dataclass(frozen=True)
class Golden:
    """A picture that checks the bundle: the bytes of a JPEG, and what the app answers for them."""

    picture: bytes
    expected: Prediction


def write(
    path: Path, network: bytes, classes: Sequence[str], limits: Thresholds, card: bytes, golden: Sequence[Golden]
) -> None:
    """Write the ZIP. `network`: a `.tflite` file for one picture (`core.neural.model.for_one_picture`)."""
    shown = {f"golden/{i}.jpg": each for i, each in enumerate(golden, 1)}
    found: dict[str, bytes] = {
        "README.md": card + _read_me().encode(),
        web_page.NETWORK: network,
        web_page.LABELS: _json(list(classes)),
        thresholds.FILE: _json(limits.facts),
        "predict.py": _script("predict"), "picture.py": _picture(), "server.py": _script("server"),
        "check.py": _script("check"), "requirements.txt": _requirements(), "Dockerfile": _DOCKERFILE.encode(),
        "golden.json": _json({name: _expected(each.expected) for name, each in shown.items()}),
    }  # fmt: skip
    found |= {name: each.picture for name, each in shown.items()}
    path.write_bytes(web_page.pack(found))


def network(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The model inside a bundle, once its own script has found the expected answers. Raises RuntimeError with what that
    prints where it has not."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        done = subprocess.run([sys.executable, "check.py"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join((done.stdout or done.stderr).split()))
    return runtimes.zipped(path)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _expected(answer: Prediction) -> Mapping[str, Any]:
    return {"verdict": answer.verdict, "scores": {label: round(score, 6) for label, score in answer.scores}}


def _script(name: str) -> bytes:
    """A script as it stands in the bundle: beside the others."""
    text = _spoken(name).replace("from core.neural.exported.use_model ", "from picture ")
    return text.replace("from core.neural.exported.", "from ").encode()


def _picture() -> bytes:
    """What reads a picture, in a file of its own: `use_model.py` needs Keras."""
    text = _spoken("use_model")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    parts = [ast.get_source_segment(text, functions[name]) or "" for name in _READS]
    return ("\n\n".join([_IMPORTS, *parts]) + "\n").encode()


def _spoken(name: str) -> str:
    return script_language.spoken((_SCRIPTS / f"{name}.py").read_text(encoding="utf-8"))


def _requirements() -> bytes:
    """The lines of our own requirements for what the scripts import."""
    lines = (_ROOT / "requirements.txt").read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if re.split(r"[~=<>;\s]", line)[0] in _PACKAGES).encode()


def _read_me() -> str:
    """How the bundle is used, below the model card."""
    steps = ("pip install -r requirements.txt", "python check.py", "python predict.py golden/1.jpg", "python server.py")
    docker = "docker build -t model . && docker run -p 8000:8000 model"
    lines = [f"- `{line}`: {say(f'bundle.step_{i}')}" for i, line in enumerate((*steps, docker), 1)]
    return "\n".join([f"\n## {say('bundle.use')}\n", say("bundle.files"), "", *lines, ""])
