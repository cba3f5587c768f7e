"""The accent color of a demo, made lighter or darker until what is written in it or on it can be read.

Contrasts are those of WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
"""

import re
from dataclasses import dataclass

from core.errors import HeadstartError

DEFAULT = "#0f766e"
# Of what `page.css` has below text in the accent, the one with the least contrast: its ground, and by night its cards.
_GROUNDS = {"light": "#fcfbf9", "dark": "#24221f"}
_LEAST = 4.5
_COLOR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class Shades:
    """The accent on a light and on a dark page. White text can be read on `light`, black text on `dark`."""

    light: str
    dark: str


def checked(color: str) -> str:
    """The color as #rrggbb in small letters. Raises HeadstartError("accent_unclear")."""
    color = color.strip().lower()
    if not _COLOR.fullmatch(color):
        raise HeadstartError("accent_unclear", color=color[:20])
    return color


def shades(color: str) -> Shades:
    """The shades of a color with a contrast of at least 4.5 to what lies below it on the page, so that text in it can
    be read; text in the extreme of the ground, white or black, can then be read on it too."""
    return Shades(
        *(_readable(color, ground, toward) for ground, toward in zip(_GROUNDS.values(), (0, 255), strict=True))
    )


def contrast(one: str, other: str) -> float:
    """How much two colors differ in lightness, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _readable(color: str, ground: str, toward: int) -> str:
    for step in range(101):
        mixed = [round(value + (toward - value) * step / 100) for value in bytes.fromhex(color[1:])]
        shade = f"#{bytes(mixed).hex()}"
        if contrast(shade, ground) >= _LEAST:
            break
    return shade


def _luminance(color: str) -> float:
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (b / 255 for b in bytes.fromhex(color[1:]))
    ]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
