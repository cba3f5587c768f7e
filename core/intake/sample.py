"""Draws a labeled data set to try the app with: five kinds of traffic sign, as a camera would see them.

A picture depends on (seed, class, number) alone, a seed gives the same bytes with the same Pillow and numpy, and the
set contains the faults in PLANTED for the audit to find. The designs follow no country's law.
"""

import io
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from PIL.Image import Resampling

Array = NDArray[np.floating[Any]]
Rng = np.random.Generator
Size = tuple[int, int]  # (width, height), as Pillow has it; arrays are (height, width, channels) in 0..1
CLASSES = ("Stop", "Yield", "Speed limit", "No entry", "Roundabout")
PER_CLASS = 60


class Planted(NamedTuple):
    """The faults in the set, by file name; a pair is (original, copy)."""

    duplicates: tuple[tuple[str, str], ...]
    near_duplicates: tuple[tuple[str, str], ...]
    wrong_labels: tuple[str, ...]
    unreadable: str


PLANTED = Planted(
    duplicates=(
        ("Stop/stop-002.jpg", "Stop/stop-002-copy.jpg"),
        ("No entry/no-entry-005.jpg", "No entry/no-entry-005-copy.jpg"),
        ("Roundabout/roundabout-008.jpg", "Roundabout/roundabout-008-copy.jpg"),
    ),
    near_duplicates=(
        ("Stop/stop-006.jpg", "Stop/stop-006-small.jpg"),
        ("Yield/yield-003.jpg", "Yield/yield-003-compressed.jpg"),
        ("Speed limit/speed-limit-004.jpg", "Speed limit/speed-limit-004-cropped.jpg"),
        ("Roundabout/roundabout-009.jpg", "Roundabout/roundabout-009-thumbnail.jpg"),
    ),
    wrong_labels=("Yield/yield-007.jpg", "Speed limit/speed-limit-010.jpg"),
    unreadable="Stop/stop-interrupted.jpg",
)
_COPIES = dict(PLANTED.duplicates + PLANTED.near_duplicates)
_SHOWN = {PLANTED.wrong_labels[0]: "No entry", PLANTED.wrong_labels[1]: "Roundabout"}
_RED, _BLUE, _WHITE, _BLACK = (190, 22, 32), (16, 84, 172), (243, 243, 238), (24, 24, 26)
# Probability, sun, share of lit lamps; colors of zenith, of horizon, of the light on the land and on the sign.
_MOODS = {
    "noon": (0.26, 0.3, 0.0, ((0.22, 0.43, 0.74), (0.76, 0.86, 0.94), (1.0, 0.98, 0.92), (1.05, 1.03, 0.98))),
    "gray": (0.19, 0.0, 0.02, ((0.58, 0.63, 0.69), (0.85, 0.87, 0.89), (0.74, 0.77, 0.8), (0.9, 0.92, 0.94))),
    "gold": (0.20, 0.9, 0.03, ((0.36, 0.50, 0.72), (1.0, 0.82, 0.58), (1.0, 0.84, 0.6), (1.1, 0.99, 0.85))),
    "dawn": (0.12, 0.5, 0.08, ((0.55, 0.62, 0.76), (0.98, 0.86, 0.8), (0.86, 0.78, 0.76), (0.98, 0.92, 0.9))),
    "dusk": (0.11, 0.7, 0.35, ((0.19, 0.2, 0.42), (1.0, 0.58, 0.44), (0.46, 0.39, 0.43), (0.85, 0.76, 0.77))),
    "blue": (0.07, 0.0, 0.5, ((0.08, 0.14, 0.32), (0.38, 0.48, 0.66), (0.27, 0.32, 0.44), (0.8, 0.84, 0.92))),
    "dark": (0.05, 0.0, 0.6, ((0.04, 0.05, 0.12), (0.24, 0.22, 0.28), (0.22, 0.22, 0.26), (1.0, 0.96, 0.88))),
}


def draw(seed: int = 0, per_class: int = PER_CLASS) -> Iterator[tuple[str, bytes]]:
    """Yield (name, JPEG bytes), seed >= 0. With fewer than 10 per class, some faults of PLANTED are missing."""
    for index, label in enumerate(CLASSES):
        for number in range(1, per_class + 1):
            name = f"{label}/{label.lower().replace(' ', '-')}-{number:03}.jpg"
            rng = np.random.default_rng([seed, index, number])
            # A person must be able to see the fault, so these pictures are never hard ones.
            content = _encode(_photograph(rng, _SHOWN.get(name, label), name in _COPIES or name in _SHOWN))
            yield name, content
            if name in _COPIES:
                yield _COPIES[name], _copy(content, _COPIES[name])
        if PLANTED.unreadable.startswith(f"{label}/"):
            content = _encode(_photograph(np.random.default_rng([seed, index, 0]), label, easy=True))
            yield PLANTED.unreadable, content[: len(content) * 2 // 5]


def _encode(picture: Image.Image, quality: int = 88) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _copy(content: bytes, name: str) -> bytes:
    """A copy of the kind that the last word of its name says."""
    kind = Path(name).stem.rsplit("-", 1)[1]
    if kind == "copy":
        return content
    picture = Image.open(io.BytesIO(content))
    width, height = picture.size
    box = (width // 60, height // 80, width - width // 70, height - height // 60)
    share = {"small": 0.75, "thumbnail": 0.5}.get(kind, 1.0)
    size = (round(width * share), round(height * share))
    copy = picture.resize(size, Resampling.LANCZOS, box if kind == "cropped" else None)
    return _encode(copy, quality=55 if kind == "compressed" else 88)


class Shot(NamedTuple):
    """Everything that is drawn by lot before a picture is painted; pixels, radians, colors and shares 0..1."""

    size: Size
    hard: frozenset[str]  # empty, or three of: small, dark, blurred, hidden, foggy
    sign_px: int
    center: tuple[float, float]
    turn: tuple[float, ...]  # pitch, yaw, roll
    sun: float
    lamps: float
    zenith: Array
    horizon: Array
    land: Array
    sign: Array


def _photograph(rng: Rng, label: str, easy: bool) -> Image.Image:
    """Choose everything at random, then draw. One picture in eight is hard, so that no model is perfect."""
    trouble = rng.choice(["small", "dark", "blurred", "hidden", "foggy"], 3, replace=False)
    hard = frozenset(trouble.tolist() if rng.random() < 0.125 and not easy else ())
    width, height = [(340, 256), (360, 270), (360, 256), (320, 256), (300, 300), (256, 340)][rng.integers(6)]
    share = rng.uniform(0.13, 0.2) if "small" in hard else 0.28 + 0.47 * rng.beta(1.5, 1.6)
    px = round(share * min(width, height))
    x = float(np.clip(width * rng.normal(0.5, 0.15), 0.5 * px, width - 0.52 * px))
    y = float(np.clip(height * rng.normal(0.43, 0.08), 0.5 * px, height - 0.52 * px))
    turn = tuple(rng.normal((0.05, 0, 0), (0.12, 0.36, 0.07)).tolist())
    _, sun, lamps, colors = _MOODS[rng.choice(list(_MOODS), p=[mood[0] for mood in _MOODS.values()])]
    shot = Shot((width, height), hard, px, (x, y), turn, sun, lamps, *np.array(colors, np.float32))
    words = {"Stop": "STOP", "Speed limit": str(rng.choice(["20", "30", "50", "80"]))}.get(label, "")
    side = 120 * min(4, math.ceil(px / 70))  # more than px: reducing it smooths the edges
    scene = _erect(rng, _scenery(rng, shot), _warp(_art(label, words, side), turn), shot)
    return _expose(rng, _weather(rng, _branches(rng, scene, shot), shot), shot)


def _noise(rng: Rng, size: Size, across: int, down: int, octaves: int = 3) -> Array:
    """Fractal noise in 0..1 with `across` x `down` bumps in its coarsest octave."""
    total = rng.random((down + 1, across + 1), dtype=np.float32)
    for octave in range(1, octaves):
        finer = rng.random(((down << octave) + 1, (across << octave) + 1), dtype=np.float32)
        coarse = Image.fromarray(total).resize(finer.shape[::-1], Resampling.BICUBIC)
        total = np.asarray(coarse) + finer * np.float32(0.5**octave)
    noise = np.array(Image.fromarray(total).resize(size, Resampling.BICUBIC))
    noise -= noise.min()
    return noise / max(float(noise.max()), 1e-6)


def _mix(under: Array, over: ArrayLike, share: ArrayLike) -> Array:
    """Lay `over` on `under` with an opacity per pixel."""
    mixed = (np.asarray(over, np.float32) - under) * np.asarray(share, np.float32)[..., None]
    mixed += under  # in place: half the time of a third array
    return mixed


def _image(pixels: Array) -> Image.Image:
    return Image.fromarray((np.clip(pixels, 0, 1) * np.float32(255.99)).astype(np.uint8))


def _ink(color: ArrayLike) -> tuple[int, ...]:
    return tuple((np.clip(color, 0, 1) * 255).astype(int).tolist())


def _scenery(rng: Rng, shot: Shot) -> Array:
    """The background, drawn at half size because it is out of focus anyway."""
    size = (shot.size[0] // 2, shot.size[1] // 2)
    horizon = int(size[1] * rng.uniform(0.55, 0.82))
    place = rng.choice(["hills", "forest", "city"])
    land = _hills(rng, _sky(rng, shot, size, horizon), shot, horizon, 0.3 + 0.7 * (place == "forest"))
    if place == "city":
        _houses(rng, land, shot, horizon)
    land[horizon:] = _road(rng, (size[0], size[1] - horizon), shot)
    for x in rng.integers(9, size[0] - 20, rng.integers(0, 4)):  # boards and lamp posts, which belong to no class
        top, tint = int(horizon * rng.uniform(0.2, 0.75)), rng.uniform(0.2, 0.8) + rng.uniform(-0.15, 0.15, 3)
        land[top : horizon + 8, x : x + 2] = 0.32 * shot.land
        land[top : top + int(rng.choice([2, 11])), x - 8 : x + 10] = tint * shot.land
    lights = Image.new("RGB", size)
    for _ in range(int(shot.lamps * rng.uniform(8, 45))):  # far lamps, which a lens shows as discs
        color = np.array([(1.0, 0.72, 0.36), (1.0, 0.93, 0.8), (1.0, 0.3, 0.15)])[rng.integers(3)]
        spot, radius = (rng.uniform(0, size[0]), rng.normal(horizon - 8, 16)), rng.uniform(1, 6)
        ImageDraw.Draw(lights).circle(spot, radius, _ink(color * rng.uniform(0.2, 0.75)))
    far = np.asarray(_image(land).filter(ImageFilter.GaussianBlur(rng.uniform(0.7, 2.4))), np.float32)
    far = (far + np.asarray(lights.filter(ImageFilter.BoxBlur(0.6)))) / 255
    return np.asarray(_image(far).resize(shot.size, Resampling.BICUBIC), np.float32) / 255


def _sky(rng: Rng, shot: Shot, size: Size, horizon: int) -> Array:
    down = np.linspace(0, size[1] / horizon, size[1], dtype=np.float32)[:, None]
    across = np.linspace(0, size[0] / size[1], size[0], dtype=np.float32)[None, :]
    sky = _mix(shot.zenith, shot.horizon, np.clip(down, 0, 1) ** 1.4 + across * 0)
    bulk = _noise(rng, size, 3, 5, 5)
    relief = (bulk - np.roll(bulk, (-3, 2), (0, 1)))[..., None]  # lit from above, as clouds are
    cover = np.clip((bulk - rng.uniform(0.35, 0.7)) * 3.2, 0, 1) * (0.9 - 0.5 * np.clip(down, 0, 1))
    sky = _mix(sky, shot.horizon * 0.75 + shot.horizon.max() * (0.25 + 0.9 * relief), cover)
    glow = np.hypot(across - rng.uniform(0, size[0] / size[1]), down - rng.uniform(0.35, 0.95))
    return _mix(sky, sky + np.array((1.0, 0.85, 0.6)), np.exp(-3.5 * glow) * shot.sun)


def _hills(rng: Rng, land: Array, shot: Shot, horizon: int, wood: float) -> Array:
    """Ridges that pale with distance, then trees with the sky between their leaves."""
    height, width = land.shape[:2]
    rows = np.arange(height, dtype=np.float32)[:, None]
    green = np.array([(0.20, 0.32, 0.14), (0.27, 0.33, 0.14), (0.44, 0.29, 0.12)])[rng.choice(3)] * shot.land
    for near, bumps in zip((0.25, 0.5, 0.75), _noise(rng, (width, 3), 3, 2), strict=True):
        line = horizon - height * (0.2 - 0.16 * near) * bumps
        land = _mix(land, shot.horizon * (1 - near) + green * near, np.clip(rows - line + 0.5, 0, 1))
    crowns = _noise(rng, (width, 1), 5, 1, 4)
    leaves = _noise(rng, (width, height), width // 9, height // 9)
    top = horizon - rng.uniform(0.35, 1.0) * wood * horizon * (0.35 + crowns)
    solid = np.clip(rows - top + 9 * (leaves - 0.4), 0, 1) * (1 - 0.75 * np.clip((leaves - 0.78) * 12, 0, 1))
    clump = leaves * 0.9 + _noise(rng, (width, height), 7, 6, 2) * 0.8 - 0.05
    return _mix(land, green * clump[..., None] + shot.horizon * 0.06, solid)


def _houses(rng: Rng, land: Array, shot: Shot, horizon: int) -> None:
    width, left = land.shape[1], -int(rng.integers(0, 12))
    paints = np.array([(0.72, 0.62, 0.52), (0.55, 0.37, 0.31), (0.62, 0.64, 0.66), (0.80, 0.76, 0.68)])
    while left < width:
        right = left + int(rng.integers(width // 8, width // 3))
        front = land[int(horizon * rng.uniform(0.05, 0.75)) : horizon, max(left, 0) : max(right, 0)]
        left = right + int(rng.choice([0, 0, 2, width // 9]))
        wall = paints[rng.integers(4)] * rng.uniform(0.55, 1.0) * shot.land
        story, bay = int(rng.integers(7, 12)), int(rng.integers(6, 10))
        down, across = np.ogrid[: front.shape[0], : front.shape[1]]
        pane = (down % story >= story // 2) & (across % bay >= bay // 2)
        lit = (rng.random((40, 40)) < shot.lamps)[down // story, across // bay]
        glass = np.where(lit[..., None], (1.0, 0.78, 0.42), wall * 0.35 + shot.horizon * 0.18)
        front[:] = _mix(wall * np.linspace(1.08, 0.85, len(down))[:, None, None], glass, pane)


def _road(rng: Rng, size: Size, shot: Shot) -> Array:
    """Verge, asphalt and markings in perspective; at night in the beam of our headlights."""
    near = (np.arange(1, size[1] + 1, dtype=np.float32) / size[1])[:, None]
    across = np.linspace(0, 1, size[0], dtype=np.float32)[None, :]
    middle = rng.uniform(0.2, 0.8) + rng.uniform(-0.6, 0.6) * near + rng.uniform(-0.3, 0.3) * (1 - near) ** 2
    side = abs(across - middle) / (0.03 + rng.uniform(0.35, 0.8) * near)  # 0 in the middle, 1 at the curb
    grain = (0.65 + 0.6 * _noise(rng, size, size[0] // 6, 12))[..., None]
    verge = np.array([(0.30, 0.38, 0.16), (0.44, 0.42, 0.24), (0.42, 0.41, 0.39)])[rng.integers(3)]
    ground = _mix(verge * grain, (0.36, 0.36, 0.38) * grain, np.clip((1 - side) * 14 * near + 0.5, 0, 1))
    paint = (np.sin(9 / near) > 0) * (side < 0.035) + np.exp(-(((side - 0.9) / 0.03) ** 2))
    beam = 0.9 * shot.lamps**2 * near * np.exp(-2 * (across - 0.5) ** 2)
    light = (1.1 - 0.25 * near)[..., None] * shot.land + beam[..., None] * shot.sign
    return np.asarray(_mix(ground, (0.86, 0.86, 0.82), np.clip(paint, 0, 1) * 0.8) * light)


@lru_cache(maxsize=64)
def _art(label: str, words: str, side: int) -> Image.Image:
    """The clean sign, drawn 960 pixels wide and reduced to `side`."""
    art = Image.new("RGBA", (960, 960))
    pen = ImageDraw.Draw(art)
    if label == "Stop":
        pen.regular_polygon((480, 480, 480), 8, 22.5, _WHITE)
        pen.regular_polygon((480, 480, 447), 8, 22.5, _RED)
    elif label == "Yield":
        for reach, radius, color in ((490, 42, _WHITE), (470, 36, _RED), (228, 14, _WHITE)):
            corners = [(480 + reach * x, 370 + reach * y) for x, y in ((-0.866, -0.5), (0.866, -0.5), (0, 1))]
            pen.polygon(corners, color)
            pen.line([*corners, *corners[:2]], color, 2 * radius, "curve")
    else:
        pen.circle((480, 480), 475, _WHITE)
        pen.circle((480, 480), 460, _BLUE if label == "Roundabout" else _RED)
    if label == "Speed limit":
        pen.circle((480, 480), 370, _WHITE)
    elif label == "No entry":
        pen.rounded_rectangle((125, 398, 835, 562), 14, _WHITE)
    elif label == "Roundabout":
        for start in (20, 140, 260):
            pen.arc((160, 160, 800, 800), start, start + 68, _WHITE, 92)
            x, y = 274 * math.cos(math.radians(start - 9)), 274 * math.sin(math.radians(start - 9))
            pen.regular_polygon((480 + x, 480 + y, 132), 3, 9 - start, _WHITE)
    if words:  # bold and narrow, as on roads; Pillow ships one regular font
        wide, tall, color = (680, 300, _WHITE) if label == "Stop" else (500, 385, _BLACK)
        text, font = Image.new("L", (900, 400)), ImageFont.load_default(300)
        ImageDraw.Draw(text).text((450, 200), words, 255, font, "mm", stroke_width=13)
        text = text.crop(text.getbbox()).resize((wide, tall), Resampling.LANCZOS)
        art.paste(color, (480 - wide // 2, 480 - tall // 2), text)
    return art.resize((side, side), Resampling.LANCZOS)


def _warp(art: Image.Image, turn: tuple[float, ...]) -> Image.Image:
    """The sign as seen by a camera that is not straight in front of it."""
    (a, b, c), (d, e, f) = np.cos(turn), np.sin(turn)
    spin = np.array([(b, 0, e), (0, 1, 0), (-e, 0, b)]) @ np.array([(1, 0, 0), (0, a, -d), (0, d, a)])
    spin = spin @ np.array([(c, -f, 0), (f, c, 0), (0, 0, 1)])
    spin[:, 2] = (0, 0, 4)  # the plane of the sign, seen from four half-widths away
    spin[:2] *= 3.6  # less than 4, to leave space for the near edge
    canvas = np.array([(1, 0, 1), (0, 1, 1), (0, 0, 2 / art.width)])
    back = canvas @ np.linalg.inv(canvas @ spin)
    coefficients = (back / back[2, 2]).ravel()[:8].tolist()
    return art.transform(art.size, Image.Transform.PERSPECTIVE, coefficients, Resampling.BILINEAR)


def _weathered(rng: Rng, face: Array, shot: Shot) -> Array:
    """The colors of the sign after some winters, in the light of this picture."""
    size, color, solid = (face.shape[1], face.shape[0]), face[..., :3], face[..., 3]
    color = _mix(color, color.mean(2, keepdims=True) * 0.5 + 0.3, solid * rng.choice([0, 0, 0.1, 0.25]))
    if rng.random() < 0.45:  # dirt runs down
        streaks = _noise(rng, size, 14, 2) * 0.6 + _noise(rng, size, 5, 5) * 0.4
        color = _mix(color, (0.24, 0.20, 0.15), np.clip((streaks - rng.uniform(0.5, 0.7)) * 2.5, 0, 0.65))
    angle, line = rng.uniform(0, 2 * math.pi), np.linspace(-1, 1, size[0], dtype=np.float32)
    slope = line[None, :] * math.cos(angle) + line[:, None] * math.sin(angle)
    light = 0.97 + rng.uniform(0.03, 0.16) * slope
    if shot.sun and rng.random() < 0.4:  # the shadow of a tree that is not in the picture
        light = light * (1 - 0.45 * np.clip((_noise(rng, size, 3, 3) - 0.5) * 7, 0, 1))
    sheen = np.exp(-(((slope - rng.uniform(-0.6, 0.6)) / 0.35) ** 2)) * rng.uniform(0, 0.14)
    return color * light[..., None] * shot.sign + sheen[..., None]


def _erect(rng: Rng, scene: Array, art: Image.Image, shot: Shot) -> Array:
    """Put the post and the sign into the scene."""
    px, (x, y) = shot.sign_px, shot.center
    face = np.asarray(art.resize((px, px), Resampling.LANCZOS), np.float32) / 255
    half, lean = max(1.2, px * rng.uniform(0.022, 0.04)), math.tan(shot.turn[2])
    left = max(int(x) - 80, 0)  # a post that leans by four sigma is still within 80 pixels of x
    spot = scene[int(y) :, left : int(x) + 80]
    rows, columns = np.ogrid[: spot.shape[0], : spot.shape[1]]
    off = (columns + left - x + lean * rows) / half
    metal = (0.56 - 0.3 * np.clip(off, -1, 1) + 0.2 * np.exp(-((off + 0.35) ** 2) * 12))[..., None]
    spot[:] = _mix(spot, metal * (shot.land + 0.1 * shot.sign), np.clip((1 - abs(off)) * half + 0.5, 0, 1))
    color = _weathered(rng, face, shot)
    for shift, tint in ((max(1, px // 90), 0.25), (0, 1.0)):  # first the back of the plate: only its edge shows
        top, left = int(y - px / 2) + shift, int(x - px / 2) + shift
        spot = scene[top : top + px, left : left + px]
        spot[:] = _mix(spot, color * tint, face[..., 3])
    return scene


def _branches(rng: Rng, scene: Array, shot: Shot) -> Array:
    """Twigs before the lens, out of focus, that may hide a part of the sign."""
    layer = Image.new("RGBA", (shot.size[0] // 2, shot.size[1] // 2))
    pen = ImageDraw.Draw(layer)
    count = rng.integers(2, 4) if "hidden" in shot.hard else rng.choice(3, p=[0.66, 0.24, 0.1])
    leaf = np.array([(-1, 0), (-0.45, 0.36), (0.2, 0.36), (1, 0), (0.2, -0.36), (-0.45, -0.36)])
    tints = np.array([(0.32, 0.45, 0.16), (0.20, 0.33, 0.13), (0.20, 0.33, 0.13), (0.60, 0.40, 0.14)])
    for side in rng.uniform(0, 2 * math.pi, count):
        toward, color = np.array((math.cos(side), math.sin(side))), tints[rng.integers(4)] * shot.land
        aim = np.array(shot.center) / 2 + rng.uniform(0.15, 0.26) * shot.sign_px * toward
        start = aim + 130 * np.array((toward[0], -abs(toward[1])))
        pen.line((*start, *aim), (*_ink(0.25 * shot.land), 255), 2)
        for share in np.linspace(0, 1, 26):
            a, b = rng.normal(0, 5, 2)  # rotates and stretches the leaf
            shape = start + (aim - start) * share + rng.normal(0, 4.5, 2) + leaf @ [(a, b), (-b, a)]
            pen.polygon(shape.ravel().tolist(), (*_ink(color * rng.uniform(0.6, 1.35)), 255))
    if not count:
        return scene
    layer = layer.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.3)))
    twigs = np.asarray(layer.resize(shot.size, Resampling.BICUBIC), np.float32) / 255
    return _mix(scene, twigs[..., :3], twigs[..., 3])


def _weather(rng: Rng, picture: Array, shot: Shot) -> Array:
    """Fog, rain or snow in front of everything."""
    air = shot.horizon * 0.5 + shot.horizon.mean() * 0.45
    if "foggy" in shot.hard or rng.random() < 0.08:
        picture = _mix(picture, air, rng.uniform(0.3, 0.6) * (0.55 + 0.45 * _noise(rng, shot.size, 2, 3)))
    kind = rng.choice(["clear", "rain", "snow"], p=[0.8, 0.13, 0.07])
    if kind == "clear":
        return picture
    layer, lean = Image.new("L", shot.size), rng.uniform(-0.35, 0.35)
    pen = ImageDraw.Draw(layer)
    for x, y, near in (rng.random((int(rng.integers(90, 220)), 3)) * (*shot.size, 1)).tolist():
        fall, width = (8 + 26 * near, 1) if kind == "rain" else (2 + 2 * near, round(2 + 2 * near))
        pen.line((x, y, x + lean * fall, y + fall), int(60 + 110 * near), width)
    drops = np.asarray(layer.filter(ImageFilter.BoxBlur(0.6)), np.float32) / 320
    return _mix(picture, air * 0.5 + 0.45, drops)


def _expose(rng: Rng, picture: Array, shot: Shot) -> Image.Image:
    """The camera: motion, focus, vignette, sensor noise, white balance, contrast."""
    blurred = "blurred" in shot.hard
    if rng.random() < (0.5 if blurred else 0.06):
        step = rng.uniform(-1.2, 1.2, 2)
        moves = [np.roll(picture, np.rint(step * k).astype(int).tolist(), (0, 1)) for k in range(-3, 4)]
        picture = np.mean(moves, 0)[4:-4, 4:-4]  # without the rows that rolled around the edge
    softness = rng.uniform(1.0, 2.2) if blurred else float(rng.choice([0, 0.4, 0.8], p=[0.75, 0.15, 0.1]))
    if softness:
        picture = np.asarray(_image(picture).filter(ImageFilter.GaussianBlur(softness)), np.float32) / 255
    down, across = (np.linspace(-1, 1, n, dtype=np.float32) ** 2 for n in picture.shape[:2])
    vignette = 1 - np.float32(rng.uniform(0.04, 0.15)) * (down[:, None] + across[None, :])
    # A scene lit by lamps is already dark: darkened as much as a sunny one, its sign could not be recognized.
    exposure = rng.uniform(0.4, 0.6) + 0.7 * shot.lamps if "dark" in shot.hard else rng.uniform(1.0, 1.2)
    grain = [rng.integers(-127, 128, (*vignette.shape, n), np.int8) for n in (1, 3)]  # luminance and color
    strength = np.float32(rng.uniform(0.03, 0.07) if "dark" in shot.hard else rng.uniform(0.006, 0.02)) / 100
    image = _image(picture * vignette[..., None] + (grain[0] * strength + grain[1] * strength))
    tone = np.clip(np.linspace(0, exposure + rng.normal(0, 0.025, 3), 256), 0, 1).T.ravel()
    tone += rng.uniform(0.1, 0.45) * tone * (1 - tone) * (2 * tone - 1)  # an S, as film has
    return image.point(_ink(tone))
