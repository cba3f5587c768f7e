"""Opens an export whose runtime is TensorFlow, as `core.exports.runtimes` does for the others."""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[np.float32]


def keras_file(path: Path) -> Callable[[Array], Array]:
    """A `.keras` file that Headstart has written."""
    model = keras.models.load_model(path, compile=False)
    return lambda picture: np.asarray(model.predict_on_batch(picture), np.float32)


def saved_model(path: Path) -> Callable[[Array], Array]:
    """A ZIP of a SavedModel."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        loaded = tf.saved_model.load(f"{folder}/saved_model")
    # The signature alone would let go of the variables: what was loaded must live as long as it is called.
    return lambda picture: np.asarray(loaded.serve(tf.constant(picture)), np.float32)
