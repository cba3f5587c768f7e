import io
import socket
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from core.neural import tensorboard_log
from core.store.store import Store

HEAD = [
    {"loss": 1.0, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.25},
    {"loss": 0.5, "accuracy": 0.75, "val_loss": 1.0, "val_accuracy": 0.5},
]
TUNED = [{"loss": 0.25, "accuracy": 1.0}]


def points(folder: Path) -> dict[tuple[str, int], tuple[str, Any]]:
    """All points below a folder, as TensorBoard's format has them: (tag, step) -> plugin and value."""
    found = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                key = f"{path.parent.name}/{value.tag}", event.step
                found[key] = (value.metadata.plugin_data.plugin_name, array.item() if array.ndim == 0 else array)
    return found


def test_each_epoch_of_each_phase_is_a_point_in_the_folder_of_its_part(tmp_path: Path) -> None:
    tensorboard_log.write(tmp_path / "logs", {"head": HEAD, "fine_tune": TUNED}, {"epochs": 2})
    found = points(tmp_path / "logs")
    scalars = {key: value for key, (plugin, value) in found.items() if plugin == "scalars"}
    assert scalars == {
        ("train/head/loss", 1): 1.0, ("train/head/loss", 2): 0.5,
        ("train/head/accuracy", 1): 0.5, ("train/head/accuracy", 2): 0.75,
        ("val/head/loss", 1): 2.0, ("val/head/loss", 2): 1.0,
        ("val/head/accuracy", 1): 0.25, ("val/head/accuracy", 2): 0.5,
        ("train/fine_tune/loss", 1): 0.25, ("train/fine_tune/accuracy", 1): 1.0,
    }  # fmt: skip
    plugin, text = found["train/settings", 0]
    assert plugin == "text" and b"| epochs | 2 |" in np.ravel(text)[0]


def test_the_zip_holds_the_same_bytes_and_no_name_of_the_machine(tmp_path: Path) -> None:
    data = tensorboard_log.write(tmp_path / "logs", {"head": HEAD}, {})
    tensorboard_log.write(tmp_path / "logs", {"head": HEAD}, {})  # again replaces, and adds nothing
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["logs/train/events.out.tfevents.0", "logs/val/events.out.tfevents.0"]
        assert socket.gethostname() not in "".join(archive.namelist())
    assert len(list((tmp_path / "logs").rglob("events*"))) == 2


def test_a_finished_run_has_its_curves_in_its_folder_and_among_its_files(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    found = points(store.folder(run.id) / "logs")
    for epoch, row in enumerate(run.outcome.head.history, start=1):
        assert found["val/head/loss", epoch][1] == pytest.approx(row["val_loss"])
    assert "logs.zip" in store.artifacts(run.id)
