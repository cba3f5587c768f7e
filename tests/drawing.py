"""Small labeled pictures drawn on the spot, easy enough for any backbone."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLORS = {"circle": (200, 60, 40), "square": (40, 90, 200), "triangle": (60, 160, 70)}


def draw(label: str, number: int, side: int = 96) -> Image.Image:
    """A shape of its class on a noisy ground; each number is another picture."""
    rng = np.random.default_rng([number, *label.encode()])
    image = Image.fromarray(rng.integers(90, 170, (side, side, 3), dtype=np.uint8))
    pen = ImageDraw.Draw(image)
    x, y, r = *rng.integers(side // 3, 2 * side // 3, 2), int(rng.integers(side // 6, side // 4))
    color = tuple(int(c + rng.integers(-30, 30)) for c in COLORS[label])
    if label == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), color)
    elif label == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), color)
    else:
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], color)
    return image


def folders(root: Path, per_class: int = 12, labels: tuple[str, ...] = ("circle", "square", "triangle")) -> Path:
    """Class folders of PNGs below `root`."""
    for label in labels:
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            draw(label, number).save(root / label / f"{number:03}.png")
    return root
