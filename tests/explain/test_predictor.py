"""Answers without TensorFlow that are those of the Keras model."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.sandbox import decoding

ROOT = Path(__file__).parents[2]
CLASSES = ("circle", "square", "stripes")

# In a process of its own, so that this one (and the tests of pages beside it) stays free of TensorFlow.
BUILD = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from core import backbones
from core.learning.head import Head
from core.neural import conversion, model, networks
from core.plan import Plan

folder = Path(sys.argv[1])
starter = replace(backbones.STARTER, size=64)
network = networks.build(starter, backbones.weights_path(starter))
rng = np.random.default_rng(0)
head = Head(((rng.normal(size=(512, 3)).astype(np.float32) / 4, rng.normal(size=3).astype(np.float32)),))
(folder / "model.tflite").write_bytes(conversion.to_tflite(network.input, networks.pool(network.output, "average")))
(folder / "head.npz").write_bytes(head.to_bytes())
(folder / "model.json").write_text(json.dumps({"classes": ["circle", "square", "stripes"]}))
(folder / "model.keras").write_bytes(b"not read by a predictor")
pixels = np.load(folder / "pixels.npy")
answers = model.assemble(network, head, Plan())(pixels, training=False)
np.save(folder / "answers.npy", np.asarray(answers))
"""


def drawn(i: int) -> bytes:
    rng = np.random.default_rng(i)
    picture = Image.new("RGB", (90, 70 + i), tuple(rng.integers(0, 256, 3).tolist()))
    pen, fill = ImageDraw.Draw(picture), tuple(rng.integers(0, 256, 3).tolist())
    if i % 3 == 0:
        pen.ellipse((20, 15, 60, 55), fill)
    elif i % 3 == 1:
        pen.rectangle((20, 15, 60, 55), fill)
    else:
        for x in range(0, 90, 12):
            pen.line((x, 0, x, 90), fill, 5)
    out = io.BytesIO()
    picture.save(out, "JPEG" if i % 2 else "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    np.save(folder / "pixels.npy", [decoding.resize(decoding.decode(drawn(i)).pixels, 64) for i in range(9)])
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def predictor(model: Path) -> Iterator[Predictor]:
    with Predictor(model) as ready:
        yield ready


def test_answers_equal_those_of_the_keras_model(model: Path, predictor: Predictor) -> None:
    expected = np.load(model / "answers.npy")
    ours = np.array([[dict(predictor.predict(drawn(i)).scores)[label] for label in CLASSES] for i in range(9)])
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert expected.std(axis=0).max() > 0.05  # the pictures get different answers


def test_the_most_probable_class_comes_first_and_all_add_up_to_1(predictor: Predictor) -> None:
    prediction = predictor.predict(drawn(4))
    values = [value for _, value in prediction.scores]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1, abs=1e-6)
    assert {label for label, _ in prediction.scores} == set(CLASSES) == set(predictor.classes)
    assert (prediction.label, prediction.probability) == prediction.scores[0]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "file_empty"), (b"hello", "file_not_picture"), (drawn(1)[:400], "picture_cut_off")],
    ids=["empty", "text", "cut off"],
)
def test_after_a_bad_picture_the_next_one_is_answered(predictor: Predictor, data: bytes, code: str) -> None:
    before = predictor.predict(drawn(3))
    with pytest.raises(HeadstartError) as caught:
        predictor.predict(data)
    assert caught.value.code == code
    assert predictor.predict(drawn(3)) == before


def test_an_explanation_has_the_same_answer_the_square_that_was_seen_and_a_map_of_the_most_probable_class(
    predictor: Predictor,
) -> None:
    prediction, why = predictor.predict(drawn(4)), predictor.explain(drawn(4), 128)
    assert why.scores == prediction.scores and list(why.heat) == [prediction.label] and why.near == ()
    np.testing.assert_array_equal(why.seen, decoding.square(drawn(4), 128))
    heat = why.heat[prediction.label]
    assert heat.shape == (4, 4) and heat.min() >= 0 and heat.max() == 1


def test_each_class_that_is_asked_about_has_a_map_of_its_own(predictor: Predictor) -> None:
    heat = predictor.explain(drawn(4), 64, CLASSES).heat
    assert set(heat) == set(CLASSES) and next(iter(heat)) == predictor.predict(drawn(4)).label
    maps = [heat[label] for label in CLASSES]
    assert all(not np.allclose(a, b, atol=0.1) for a, b in zip(maps, maps[1:] + maps[:1], strict=True))


def test_a_bad_picture_is_refused_with_its_reason_when_it_is_to_be_explained(predictor: Predictor) -> None:
    with pytest.raises(HeadstartError) as caught:
        predictor.explain(b"hello", 64)
    assert caught.value.code == "file_not_picture"


def test_a_model_can_be_named_by_its_folder_or_its_keras_file(model: Path, predictor: Predictor) -> None:
    with Predictor(model / "model.keras") as other:
        assert other.predict(drawn(2)) == predictor.predict(drawn(2))


@pytest.mark.parametrize("name", ["model.tflite", "head.npz", "model.json"])
def test_a_folder_without_all_files_is_refused_with_what_belongs_there(tmp_path: Path, model: Path, name: str) -> None:
    for other in {"model.tflite", "head.npz", "model.json"} - {name}:
        (tmp_path / other).write_bytes((model / other).read_bytes())
    with pytest.raises(HeadstartError) as caught:
        Predictor(tmp_path)
    assert caught.value.code == "model_missing"
    assert str(tmp_path) in caught.value.message and name in caught.value.hint


def test_a_model_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError, match=r"no model of Headstart at .*nowhere/model\.keras"):
        Predictor(tmp_path / "nowhere" / "model.keras")


def test_neither_the_asking_process_nor_the_child_imports_tensorflow_or_keras(model: Path) -> None:
    code = """
import sys
from core.explain import predictor

data = sys.stdin.buffer.read()
with predictor.Predictor(predictor.Path(sys.argv[1])) as ready:
    ready.predict(data)
assert "ai_edge_litert" not in sys.modules, "the asking process runs no network"
predictor.answer({"model": sys.argv[1]}, data)  # what the child does
assert "ai_edge_litert" in sys.modules
print(sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras", "streamlit"}))
"""
    answer = subprocess.run([sys.executable, "-c", code, model], input=drawn(0), cwd=ROOT, capture_output=True)
    assert answer.returncode == 0, answer.stderr.decode()
    assert answer.stdout.decode().strip() == "[]"
