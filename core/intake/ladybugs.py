"""Draws a data set that is hard on purpose: ladybugs that differ in nothing but the spots on their backs.

All labels are right, and a person who looks closely can tell all four kinds apart. A pretrained network looks at
colors, shapes and textures first, which are the same in all classes. As in `core.intake.sample`, a picture depends on
(seed, class, number) alone.
"""

import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from PIL.Image import Resampling

Rng = np.random.Generator
Array = NDArray[np.floating[Any]]
Point = tuple[float, float]

# Class -> the spots of the left half and of the middle: x and y on a wing case from -1 to 1, the head at the bottom.
CLASSES: dict[str, tuple[Point, ...]] = {
    "Two spots": ((-0.48, 0.0),),
    "Five spots": ((0.0, 0.72), (-0.52, 0.02), (-0.34, -0.56)),
    "Seven spots": ((0.0, 0.72), (-0.58, 0.3), (-0.34, -0.12), (-0.4, -0.6)),
    "Ten spots": ((-0.3, 0.64), (-0.68, 0.24), (-0.22, 0.1), (-0.6, -0.28), (-0.28, -0.62)),
}
PER_CLASS = 80
_SIDE = 200  # pixels of a picture
_SHELLS = ((196, 34, 22), (214, 60, 20), (224, 96, 24), (168, 26, 26), (222, 128, 40))
_GROUNDS = ((62, 104, 44), (98, 128, 52), (126, 110, 66), (84, 92, 78), (150, 142, 96))


def draw(seed: int = 0, per_class: int = PER_CLASS) -> Iterator[tuple[str, bytes]]:
    """Yield (name, JPEG bytes), seed >= 0."""
    for index, label in enumerate(CLASSES):
        for number in range(1, per_class + 1):
            picture = _photograph(np.random.default_rng([seed, index, number]), CLASSES[label])
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85)
            yield f"{label}/{label.lower().replace(' ', '-')}-{number:03}.jpg", buffer.getvalue()


def _photograph(rng: Rng, spots: Sequence[Point]) -> Image.Image:
    scene = _ground(rng)
    size = round(_SIDE * rng.uniform(0.38, 0.72))
    squash = rng.uniform(0.72, 1.0)  # it is seen from above, or a little from its side
    beetle = _beetle(rng, spots).resize((round(2 * size * squash), 2 * size), Resampling.BILINEAR, reducing_gap=2)
    beetle = beetle.rotate(rng.uniform(0, 360), Resampling.BILINEAR, expand=True).reduce(2)
    x, y = (round((_SIDE - side) / 2 + rng.normal(0, 12)) for side in beetle.size)
    shadow = beetle.getchannel("A").point(lambda alpha: alpha * 0.3)
    scene.paste((10, 14, 6), (x + 4, y + 5), shadow.filter(ImageFilter.BoxBlur(3)))
    scene.paste(beetle, (x, y), beetle)
    _blades(rng, scene)
    return _expose(rng, scene)


def _ground(rng: Rng) -> Image.Image:
    """A leaf or a stone, out of focus, with veins and blotches."""
    base = np.array(_GROUNDS[rng.integers(len(_GROUNDS))], np.float32) * rng.uniform(0.7, 1.25)
    rough = np.zeros((_SIDE, _SIDE), np.float32)
    for bumps, strength in ((3, 1.0), (9, 0.7), (40, 0.5), (100, 0.35)):
        noise = Image.fromarray(rng.random((bumps, bumps), np.float32))
        rough += strength * (np.asarray(noise.resize((_SIDE, _SIDE), Resampling.BILINEAR)) - 0.5)
    ground = base * (1 + 0.5 * rough[..., None])
    scene = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(scene, "RGBA")
    for _ in range(rng.integers(0, 9)):
        x, y, turn = *rng.uniform(0, _SIDE, 2), rng.uniform(0, math.pi)
        reach = rng.uniform(30, 150)
        step = (reach * math.cos(turn), reach * math.sin(turn))
        tint = (*(base * rng.choice([0.6, 1.5])).clip(0, 255).astype(int).tolist(), 110)
        pen.line((x - step[0], y - step[1], x + step[0], y + step[1]), tint, int(rng.integers(1, 5)))
    return scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))


def _beetle(rng: Rng, spots: Sequence[Point]) -> Image.Image:
    """The beetle alone, head up, 400 pixels long."""
    art = Image.new("RGBA", (400, 400))
    pen = ImageDraw.Draw(art)
    dark = tuple(rng.integers(14, 46, 3).tolist())
    for y, reach in ((150, 30), (210, 44), (280, 34)):
        for way in (-1, 1):
            foot = (200 + way * (150 + reach + rng.normal(0, 8)), y + rng.normal(0, 18))
            pen.line((200 + way * 100, y, *foot), dark, 12)
    pen.ellipse((130, 18, 270, 130), dark)  # the head, with two pale cheeks
    for way in (-1, 1):
        pen.ellipse((200 + way * 48 - 16, 52, 200 + way * 48 + 16, 92), (232, 226, 204))
        pen.line((200 + way * 26, 30, 200 + way * (60 + rng.normal(0, 8)), 2), dark, 6)
    shell = np.array(_SHELLS[rng.integers(len(_SHELLS))]) * rng.uniform(0.8, 1.1) + rng.normal(0, 8, 3)
    pen.ellipse((52, 84, 348, 392), tuple(shell.clip(0, 255).astype(int).tolist()))
    pen.line((200, 86, 200, 392), dark, 5)
    _spot(rng, pen, spots, dark)
    return _lit(rng, art)


def _spot(rng: Rng, pen: ImageDraw.ImageDraw, spots: Sequence[Point], dark: tuple[int, ...]) -> None:
    """The spots of both halves, each a little elsewhere and of another size, and specks of dirt among them."""
    size = rng.uniform(17, 33)
    for x, y in spots:
        for way in (1, -1) if x else (1,):
            at = (200 + way * 138 * x + rng.normal(0, 7), 240 - 140 * y + rng.normal(0, 7))
            wide, high = size * rng.uniform(0.75, 1.25, 2)
            pen.ellipse((at[0] - wide, at[1] - high, at[0] + wide, at[1] + high), dark)
    for _ in range(rng.integers(0, 7)):
        turn, reach = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform(0, 0.8))
        at, wide = (200 + 140 * reach * math.cos(turn), 238 + 148 * reach * math.sin(turn)), rng.uniform(3, 8)
        pen.ellipse((at[0] - wide, at[1] - wide, at[0] + wide, at[1] + wide), dark)


def _lit(rng: Rng, art: Image.Image) -> Image.Image:
    """Light on a round back: bright toward the lamp, dark at the edge, and one reflection."""
    pixels = np.asarray(art, np.float32)
    down, across = (np.linspace(-1.35, 1.35, 400, dtype=np.float32) for _ in range(2))
    turn = rng.uniform(0, 2 * math.pi)
    toward = across[None, :] * math.cos(turn) + (down[:, None] - 0.2) * math.sin(turn)
    far = np.hypot(across[None, :], down[:, None] - 0.2)
    light = 1.02 + 0.3 * toward - 0.32 * np.clip(far, 0, 1.2) ** 3
    glint = np.hypot(across[None, :] - 0.45 * math.cos(turn), down[:, None] - 0.2 - 0.45 * math.sin(turn))
    shine = rng.uniform(60, 230) * np.exp(-((glint / rng.uniform(0.1, 0.24)) ** 2))
    color = pixels[..., :3] * light[..., None] + shine[..., None]
    lit = np.concatenate([color, pixels[..., 3:]], axis=2)
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8), "RGBA")


def _blades(rng: Rng, scene: Image.Image) -> None:
    """Grass before the lens, which may hide a spot."""
    for _ in range(rng.choice(3, p=[0.5, 0.35, 0.15])):
        x, lean, tint = rng.uniform(0, _SIDE), rng.normal(0, 60), rng.uniform(0.6, 1.3)
        blade = Image.new("L", scene.size)
        ImageDraw.Draw(blade).line((x, -5, x + lean, _SIDE + 5), 255, int(rng.integers(4, 15)))
        color = (int(86 * tint), int(122 * tint), int(48 * tint))
        scene.paste(color, (0, 0), blade.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3))))


def _expose(rng: Rng, picture: Image.Image) -> Image.Image:
    """The camera: focus, light, color and the noise of its sensor."""
    picture = picture.filter(ImageFilter.GaussianBlur(abs(rng.normal(0, 0.9))))
    light = (rng.uniform(0.55, 1.2) * rng.normal(1, 0.05, 3)).astype(np.float32)
    pixels = np.asarray(picture, np.float32) * light
    pixels += rng.standard_normal((_SIDE, _SIDE, 1), np.float32) * np.float32(rng.uniform(4, 18))
    pixels += rng.standard_normal((_SIDE, _SIDE, 3), np.float32) * np.float32(6)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
