"""Ask a model made with Headstart about pictures: python use_model.py model.keras picture.jpg ...

Needs keras (with tensorflow) and pillow, nothing else. The class names are inside the model file.
"""

import io
import json
import sys
import zipfile

import keras
import numpy as np
from PIL import Image, ImageCms, ImageOps


def prepare(path: str, size: int) -> np.ndarray:
    """Decode a picture upright, on white, as 8-bit sRGB; reduce its central square to size x size."""
    image: Image.Image = Image.open(path)
    image.draft(None, (2 * size, 2 * size))  # large JPEGs are read at a reduced size, as in training
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile and b"RGB " in profile[:20]:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB")) or image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))


def main(model_path: str, *picture_paths: str) -> None:
    with zipfile.ZipFile(model_path) as archive:
        facts = json.loads(archive.read("classes.json"))
    model = keras.models.load_model(model_path, compile=False)
    pixels = np.stack([prepare(path, facts["size"]) for path in picture_paths])
    for path, probabilities in zip(picture_paths, model.predict(pixels, verbose=0), strict=True):
        best = int(probabilities.argmax())
        print(f"{path}: {facts['classes'][best]} ({probabilities[best]:.1%})")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
