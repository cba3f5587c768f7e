"""Writes the curves of a training as event files for TensorBoard: one folder each for train and val.

`head/loss` and the like have a point for each epoch; the settings and scores are text.
"""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from core.result import History

# The names of the scores in a row of a history, for each folder.
_PARTS = {"train": ("loss", "accuracy"), "val": ("val_loss", "val_accuracy")}


def write(folder: Path, phases: Mapping[str, History], facts: Mapping[str, Any]) -> bytes:
    """Write the event files below `folder`, replacing its contents, and return them as a ZIP. `phases` has the history
    of each phase by name, `facts` the rows of the table of settings and scores."""
    shutil.rmtree(folder, ignore_errors=True)
    for part, names in _PARTS.items():
        writer = tf.summary.create_file_writer(str(folder / part))
        with writer.as_default():
            if part == "train":
                rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
                _write("settings", tf.constant([f"| | |\n|---|---|\n{rows}"]), 0, "text")
            for phase, history in phases.items():
                for epoch, row in enumerate(history, start=1):
                    for name in names:
                        if name in row:
                            tag = f"{phase}/{name.removeprefix('val_')}"
                            _write(tag, tf.constant(row[name], tf.float32), epoch, "scalars")
        writer.close()
        for number, path in enumerate(sorted((folder / part).iterdir())):
            # TensorFlow puts the machine's name into the file's name; TensorBoard needs only the beginning.
            path.rename(path.with_name(f"events.out.tfevents.{number}"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path("logs") / path.relative_to(folder))
    return out.getvalue()


def _write(tag: str, value: tf.Tensor, step: int, plugin: str) -> None:
    # The same as tf.summary.scalar and tf.summary.text, which exist only where TensorBoard is installed.
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(tag, value, step, metadata)
