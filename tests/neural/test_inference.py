"""Keras as an engine: the same rows as the converted network, used where there is a GPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import backbones
from core.features import runtime
from core.jobs import queue
from core.jobs.kinds import TRAIN, OfRun
from core.jobs.queue import Ticket
from core.neural import conversion, inference, networks
from core.plan import Plan
from core.store.store import Store
from core.worker import extraction
from tests.worker.test_training import prepare

SMALL = replace(backbones.STARTER, size=64)


def test_it_answers_what_the_converted_network_answers_for_any_number_of_pictures(tmp_path: Path) -> None:
    network = networks.build(SMALL, backbones.weights_path(SMALL))
    features = networks.pool(network.output, "average")
    (tmp_path / "n.tflite").write_bytes(conversion.to_tflite(network.input, features))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)
    ours = inference.engine(network.input, features)
    assert (ours.name, ours.size, ours.batch) == ("Keras", 64, 64)
    expected = runtime.load(tmp_path / "n.tflite", n_pictures=70).run(pixels)
    for n in (1, 64, 70):
        np.testing.assert_allclose(ours.run(pixels[:n]), expected[:n], atol=1e-3)


@pytest.mark.parametrize(("gpu", "name"), [(True, "Keras"), (False, "LiteRT")])
def test_a_training_takes_it_only_where_there_is_a_gpu(
    stocked: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool, name: str
) -> None:
    run = prepare(stocked, Plan())
    monkeypatch.setattr(queue, "PROCESS", [])
    job = queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))
    monkeypatch.setattr(extraction, "_GPU", tmp_path)
    monkeypatch.setattr(inference, "has_gpu", lambda: gpu)
    ticket = Ticket(stocked, job, "token")
    monkeypatch.setattr(ticket, "stage", lambda name, total: None)
    source = extraction.FeatureSource(ticket, *extraction.of_run(stocked, run.id))
    assert source.network.engine(source.recipe("val"), 10).name == name
