"""Who runs a network changes its speed, not what it says; and nobody is told that it ran."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.errors import HeadstartError
from core.features import runtime

ROOT = Path(__file__).parents[2]
STARTER = replace(backbones.STARTER, size=96)
needs_openvino = pytest.mark.skipif(not runtime._has_openvino(), reason="openvino is not installed")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.neural import conversion, networks

    network = networks.build(STARTER, backbones.weights_path(STARTER))
    path = tmp_path_factory.mktemp("engine") / "starter.tflite"
    path.write_bytes(conversion.to_tflite(network.input, networks.pool(network.output, "average")))
    return path


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    with np.load(Path(__file__).parents[1] / "starter_reference.npz") as file:
        return file["pictures"]


@pytest.fixture(scope="module")
def expected(path: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    return runtime._litert(path, 1).run(pictures)


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_any_number_of_pictures_and_streams_gives_the_same_rows_in_order(
    path: Path, pictures: NDArray[np.uint8], expected: NDArray[np.float32], streams: int
) -> None:
    loaded = runtime._litert(path, streams)
    assert loaded.size == 96 and expected.shape == (8, 512) and expected.std() > 0.1
    for n in (1, 2, 5, 8):
        np.testing.assert_allclose(loaded.run(pictures[:n]), expected[:n], atol=1e-4)


def test_an_answer_stays_as_it_is_when_the_engine_goes_on(path: Path, pictures: NDArray[np.uint8]) -> None:
    loaded = runtime.load(path, n_pictures=8)
    first = loaded.run(pictures[:4])
    kept = first.copy()
    loaded.run(pictures[4:])
    np.testing.assert_array_equal(first, kept)


@needs_openvino
def test_a_description_changes_nothing_of_a_network(
    path: Path, tmp_path: Path, pictures: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    from ai_edge_litert import schema_py_generated as schema

    other = tmp_path / "described.tflite"
    other.write_bytes(runtime.described(path.read_bytes(), "Weights of Starter: Apache-2.0 \u2713"))
    assert schema.Model.GetRootAs(other.read_bytes(), 0).Description().decode() == (
        "Weights of Starter: Apache-2.0 \u2713"
    )
    assert (runtime.load(other).run(pictures) == runtime.load(path).run(pictures)).all()
    (found,) = runtime.load_map(other).run(pictures[0])
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), expected[0], atol=1e-5)


def test_openvino_says_what_litert_says(path: Path, pictures: NDArray[np.uint8], expected: NDArray[np.float32]) -> None:
    loaded = runtime._openvino(path, "f32", 2)
    assert (loaded.name, loaded.size) == ("OpenVINO", 96)
    np.testing.assert_allclose(loaded.run(pictures), expected, atol=1e-3)


@needs_openvino
@pytest.mark.parametrize(("rates", "name"), [((100, 111), "OpenVINO"), ((100, 109), "LiteRT"), ((100, 50), "LiteRT")])
def test_openvino_takes_over_where_it_was_measured_to_be_a_tenth_faster(
    path: Path, tmp_path: Path, rates: tuple[float, float], name: str
) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    copy.with_suffix(".speed.json").write_text(json.dumps(dict(zip(("LiteRT", "OpenVINO"), rates, strict=True))))
    assert runtime.load(copy, n_pictures=2).name == name
    assert runtime.load(copy).name == "LiteRT"  # a single picture is never worth the trial


@needs_openvino
def test_the_faster_one_is_found_by_trying_once(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert runtime.load(copy, n_pictures=100).name == "LiteRT"
    assert not copy.with_suffix(".speed.json").exists()  # not worth it
    first = runtime.load(copy, n_pictures=10_000)
    rates = json.loads(copy.with_suffix(".speed.json").read_bytes())
    assert set(rates) == {"LiteRT", "OpenVINO"} and min(rates.values()) > 10
    assert first.name == ("OpenVINO" if rates["OpenVINO"] > 1.1 * rates["LiteRT"] else "LiteRT")


@pytest.mark.skipif(not runtime.has_bfloat16(), reason="this machine does not compute in bfloat16")
def test_bfloat16_is_close_to_float32_but_not_the_same(
    path: Path, pictures: NDArray[np.uint8], expected: NDArray[np.float32]
) -> None:
    rows = runtime.load(path, "bfloat16", 8).run(pictures)
    cosine = (rows * expected).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(expected, axis=1)
    assert 0.95 < cosine.min() < 0.99999


def test_a_precision_that_this_machine_lacks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_processor", lambda: "flags: fpu sse2 avx512f")
    with pytest.raises(HeadstartError, match="bfloat16") as caught:
        runtime.load(path, "bfloat16")
    assert caught.value.code == "precision_missing"


QUIET = """
import socket, sys
from pathlib import Path
calls = []
socket.socket.connect = lambda *arguments: calls.append(arguments)
socket.getaddrinfo = lambda *arguments, **more: calls.append(arguments)
from core.features import runtime
loaded = runtime._openvino(Path(sys.argv[1]), "f32", 2)
import openvino, threading, time
time.sleep(0.5)  # the report is sent by a thread
print(calls, [name for name in sys.modules if "telemetry" in name and sys.modules[name] is not None and "stub" not in
    name and "utils" not in name and "params" not in name])
"""


@needs_openvino
def test_openvino_phones_nobody_and_leaves_nothing_in_the_home(path: Path, tmp_path: Path) -> None:
    # Its telemetry is silent where CI is set, which would hide a report sent from a user's machine.
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] []"
    assert list(tmp_path.iterdir()) == []
