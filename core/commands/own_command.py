"""`python -m core own-model`: take a Keras model of one's own as a backbone."""

import argparse
from pathlib import Path
from typing import Any

from core import backbones
from core.backbones import SCALINGS
from core.errors import HeadstartError
from core.language import messages
from core.worker import weights_jobs


def expect(parser: argparse.ArgumentParser) -> None:
    """Describe what may be given to `own-model`."""
    parser.add_argument("model", type=Path, metavar="FILE", help="a Keras 3 model of Keras layers alone (.keras)")
    parser.add_argument("--name", help="what to call it (default: the name of the file)")
    parser.add_argument(
        "--scaling", choices=SCALINGS, default="inside", help="pixels that it was trained with: inside (0 to 255), "
        "signed (-1 to 1), unit (0 to 1), torch (mean and deviation of ImageNet), caffe (default: inside)",
    )  # fmt: skip
    parser.add_argument("--license", default="unknown", help="its license, in your words (default: unknown)")


def own_model(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The backbone that the file became."""
    path = options.model
    if not path.is_file():
        raise HeadstartError("data_missing", path=str(path))
    backbone = weights_jobs.own_model(path, path.name, options.name or path.stem, options.scaling, options.license)
    said = [messages.note(code, values) for code, values in weights_jobs.facts(backbone)]
    return backbones.to_description(backbone), " ".join(said)
