"""The rules that the page for every browser has in JavaScript give what those of Python give."""

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.explain.predictor import Prediction
from core.exports.web_page import OWN
from core.sandbox import decoding
from core.scores.thresholds import Thresholds

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

RESIZE = """
import { isTall, reduce, resize, span, weigh } from "./resize.js"
export function answer({ pixels, width, height, factor, size }) {
  const [w, h] = [Math.ceil(width / factor), Math.ceil(height / factor)]
  const part = Math.min(w, h)
  const [columns, rows] = [weigh(w, part, size), weigh(h, part, size)]
  const [[left, right], [top, bottom]] = [columns, rows].map(span)
  const [x, y] = [left * factor, top * factor]
  const cut = { width: Math.min(right * factor, width) - x, height: Math.min(bottom * factor, height) - y }
  const data = new Uint8Array(cut.width * cut.height * 4)
  for (let i = 0; i < data.length; i++) {
    const [row, column] = [Math.trunc(i / 4 / cut.width) + y, (Math.trunc(i / 4) % cut.width) + x]
    data[i] = i % 4 < 3 ? pixels[(row * width + column) * 3 + (i % 4)] : 255
  }
  return [...resize(reduce({ data, ...cut }, factor), columns, rows, isTall(w, h, size)).pixels]
}
"""


def run(script: str, questions: list[dict[str, Any]]) -> list[Any]:
    """What a function `answer` of a module, which may import from the page's folder, answers to each question."""
    reader = 'import { readFileSync } from "node:fs"\n'
    printer = "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(answer)))"
    module = script.replace('"./', f'"{OWN.as_uri()}/')
    done = subprocess.run(
        ["node", "--input-type=module", "-e", f"{reader}{module}{printer}"],
        input=json.dumps(questions), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng([width, height]).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_same_pixels_are_resized_to_the_same_numbers_as_by_pillow() -> None:
    # Wide, tall, tall enough to be reduced downward first, both sides of that bound, smaller than the square.
    shapes = [(120, 80), (80, 120), (60, 200), (100, 136), (100, 137), (31, 97), (9, 8), (64, 64), (65, 64)]
    pictures = [noise(width, height) for width, height in shapes]
    questions = [
        {"pixels": each.ravel().tolist(), "width": each.shape[1], "height": each.shape[0], "factor": 1, "size": 64}
        for each in pictures
    ]
    for shape, picture, found in zip(shapes, pictures, run(RESIZE, questions), strict=True):
        expected = decoding.resize(picture, 64)
        np.testing.assert_array_equal(np.reshape(found, expected.shape), expected, str(shape))


def test_a_jpeg_is_reduced_by_the_means_of_blocks_as_its_decoder_does_it() -> None:
    picture = noise(131, 98)
    expected = decoding.resize(np.asarray(Image.fromarray(picture).reduce(2)), 32)
    question = {"pixels": picture.ravel().tolist(), "width": 131, "height": 98, "factor": 2, "size": 32}
    found = np.reshape(run(RESIZE, [question])[0], expected.shape)
    assert np.abs(found.astype(int) - expected).max() <= 1  # Pillow rounds the means of blocks in another way


def test_the_size_at_which_a_jpeg_is_read_is_that_of_pillow() -> None:
    sizes = [(447, 448), (448, 448), (900, 896), (1792, 3000), (4000, 3000), (8000, 6000), (30, 4000)]
    script = 'import { reduction } from "./resize.js"\nexport const answer = ({ w, h }) => reduction(w, h, 224)\n'
    found = run(script, [{"w": w, "h": h} for w, h in sizes])
    expected = [next(s for s in (8, 4, 2, 1) if s == 1 or min(w // 448, h // 448) >= s) for w, h in sizes]
    assert found == expected == [1, 1, 2, 4, 4, 8, 1]


def test_an_answer_is_judged_as_the_app_judges_it() -> None:
    classes = ["a", "b", "__proto__"]
    limits = [
        Thresholds(), Thresholds(least=0.6), Thresholds(0.2, {"a": 0.9}), Thresholds(farthest=0.3),
        Thresholds(0.9, {"__proto__": 0.1}, farthest=0.5),
    ]  # fmt: skip
    answers = [([0.5, 0.3, 0.2], 0.3), ([0.1, 0.75, 0.15], 0.31), ([0.2, 0.2, 0.6], 0.0), ([0.4, 0.4, 0.2], 0.6)]
    cases = [(limit, *answer) for limit in limits for answer in answers]
    questions = [
        {"said": [*p, d], "labels": classes, "limits": {"least": x.least, "classes": x.classes, "farthest": x.farthest}}
        for x, p, d in cases
    ]
    script = 'import { judge } from "./verdict.js"\nexport const answer = ({ said, labels, limits }) =>'
    found = run(f"{script} judge(said, labels, limits)\n", questions)
    for (limit, p, d), said in zip(cases, found, strict=True):
        ranked = tuple(sorted(zip(classes, p, strict=True), key=lambda pair: -pair[1]))
        ours = Prediction(ranked, distance=d, limits=limit)
        assert said == {"scores": [list(pair) for pair in ranked], "verdict": ours.verdict, "least": ours.least}
    assert {said["verdict"] for said in found} == {"answer", "unsure", "unknown"}
