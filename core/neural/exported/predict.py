"""Predict pictures with the model in this folder: python predict.py picture.jpg ...

Needs what requirements.txt names, nothing else. labels.json has the classes in the order of the answers; limits.json
says how probable an answer must be, and how far a picture may be from the training pictures.
"""

import json
import pathlib
import struct
import sys
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from core.neural.exported.use_model import prepare

FOLDER = pathlib.Path(__file__).parent
BAD_PICTURE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
)


class Model:
    """The model in this folder, for one picture and one thread at a time."""

    def __init__(self) -> None:
        self.classes = json.loads((FOLDER / "labels.json").read_bytes())
        self.limits = json.loads((FOLDER / "limits.json").read_bytes())
        self.interpreter = Interpreter(str(FOLDER / "model.tflite"))
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.output = self.interpreter.get_output_details()[0]

    def answer(self, picture: Any) -> dict[str, Any]:
        """The answer for a picture: a path, or a file in memory. The verdict is "answer", "unsure" (not probable
        enough) or "unknown" (none of the classes)."""
        pixels = prepare(picture, int(self.input["shape"][1]))
        self.interpreter.set_tensor(self.input["index"], pixels[None].astype(np.float32))
        self.interpreter.invoke()
        # Where there is a limit for it, the distance from the training pictures follows the probabilities.
        values = self.interpreter.get_tensor(self.output["index"])[0].tolist()
        scores = dict(zip(self.classes, values, strict=False))
        label = max(scores, key=scores.__getitem__)
        least = self.limits["classes"].get(label, self.limits["least"])
        verdict = "answer" if scores[label] >= least else "unsure"
        if len(values) > len(self.classes) and values[-1] > self.limits["farthest"]:
            verdict = "unknown"
        return {"label": label, "probability": scores[label], "verdict": verdict, "scores": scores}


def main(*paths: str) -> None:
    model = Model()
    for path in paths:
        try:
            found = model.answer(path)
        except BAD_PICTURE as error:
            print(f"{path}: no answer, {error}")
            continue
        doubt = {"unsure": "not sure enough: ", "unknown": "none of the classes, nearest: "}.get(found["verdict"], "")
        print(f"{path}: {doubt}{found['label']} ({found['probability']:.1%})")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
