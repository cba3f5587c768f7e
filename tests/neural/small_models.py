"""Small Keras models as users may bring them."""

import keras
from keras import layers


def classifier(side: int | None = 32, end: str = "softmax") -> keras.Model:
    """A network of two stages and a block that adds, that answers three classes; `end` is the activation."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((side, side, 3))
    x = layers.Conv2D(8, 3, 2, "same", name="conv_1")(pixels)
    first = layers.ReLU(name="relu_1")(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 3, 2, name="conv_2")(layers.ZeroPadding2D(1)(first))
    below = layers.ReLU(name="relu_2")(x)
    x = layers.Conv2D(16, 3, 1, "same", name="conv_3")(below)
    x = layers.ReLU(name="features")(layers.Add()([x, below]))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pixels, layers.Dense(3, end, name="classes")(x))
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])  # as a trained one is
    return model
