"""Predict pictures with a model made with Headstart: python use_model.py model.keras picture.jpg ...

Needs keras (with tensorflow) and pillow, nothing else. The class names are inside the model file. A limits.json beside
it sets how probable an answer must be, and how far a picture may be from the training pictures in known.npz.
"""

import io
import json
import pathlib
import sys
import zipfile

import keras
import numpy as np
from PIL import Image, ImageCms, ImageOps


def prepare(path: str, size: int) -> np.ndarray:
    """A picture as the input of the model: (size, size, 3) of 0..255."""
    return square(decode(path, size), size)


def decode(path: str, size: int) -> Image.Image:
    """Decode a picture upright, on white, as 8-bit sRGB."""
    image: Image.Image = Image.open(path)
    image.draft(None, (2 * size, 2 * size))  # large JPEGs are read at a reduced size, as in training
    image.load()
    return rgb(upright(image))


def square(image: Image.Image, size: int) -> np.ndarray:
    """Reduce the central square to size x size."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged EXIF data must not prevent the answer
        return image


def rgb(image: Image.Image) -> Image.Image:
    """8-bit sRGB on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        try:
            source, mode = ImageCms.ImageCmsProfile(io.BytesIO(profile)), image.mode if image.mode == "RGBA" else "RGB"
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode) or image
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # damaged profile: read the colors as sRGB
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Convert gray values of 16 or 32 bits to 8 bits."""
    values = np.asarray(image, dtype=np.float32)
    if image.mode == "I" and 0 <= values.min() and values.max() <= 255:
        return Image.fromarray(values.astype(np.uint8))
    if image.mode.startswith("I;16") or (image.mode == "I" and 0 <= values.min() and values.max() <= 65535):
        return Image.fromarray((values / 256).astype(np.uint8))
    values = np.nan_to_num(values, posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))


def far(model: keras.Model, pixels: np.ndarray, known_path: pathlib.Path, farthest: float | None) -> np.ndarray:
    """Which pictures are farther than `farthest` from the training pictures, (n,): by the cosine distance to the k-th
    nearest one, with k = 5 or the size of the smallest class."""
    if farthest is None:
        return np.zeros(len(pixels), bool)
    if not known_path.is_file():
        sys.exit(f"limits.json asks for {known_path.name} beside it: download that too.")
    kept = np.load(known_path)
    known = kept["directions"].astype(np.float32)
    first = next(layer for layer in model.layers if layer.name in ("hidden_1", "classes"))
    features = np.asarray(keras.Model(model.input, first.input).predict(pixels, verbose=0))
    own = features.reshape(len(features), -1, known.shape[1]).mean(axis=1)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    nearest = min(5, *np.unique(kept["targets"], return_counts=True)[1])
    return 1 - np.partition(own @ known.T, -nearest, axis=1)[:, -nearest] > farthest


def main(model_path: str, *picture_paths: str) -> None:
    with zipfile.ZipFile(model_path) as archive:
        facts = json.loads(archive.read("classes.json"))
    model = keras.models.load_model(model_path, compile=False)
    seen = {}
    for path in picture_paths:
        try:
            seen[path] = prepare(path, facts["size"])
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            print(f"{path}: no answer, {error}")
    if not seen:
        return
    pixels = np.stack(list(seen.values()))
    beside = pathlib.Path(model_path).with_name("limits.json")
    limits = json.loads(beside.read_bytes() if beside.is_file() else '{"least": 0.0, "classes": {}}')
    strange = far(model, pixels, beside.with_name("known.npz"), limits.get("farthest"))
    for path, probabilities, unknown in zip(seen, model.predict(pixels, verbose=0), strange, strict=True):
        best = int(probabilities.argmax())
        label = facts["classes"][best]
        least = limits["classes"].get(label, limits["least"])
        doubt = "" if probabilities[best] >= least else f"not sure enough ({least:.0%} asked): "
        doubt = "none of the classes, nearest: " if unknown else doubt
        print(f"{path}: {doubt}{label} ({probabilities[best]:.1%})")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
