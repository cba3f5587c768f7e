"""Pieces of drawings as SVG, in the colors of a theme: boxes, pictures, arrows, locks, curves and words.

A drawing is 360 pixels wide, which fits on a phone, and has letters of 12 pixels or more.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 360
Point = tuple[float, float]


@dataclass(frozen=True)
class Pen:
    """The colors to draw with: `ink` for words, `edge` for lines, `faint` for what recedes, `soft` for areas, `accent`
    and `second` for what matters, `on_accent` for words on it."""

    ink: str
    edge: str
    faint: str
    soft: str
    accent: str
    second: str
    on_accent: str

    def text(self, at: Point, words: str, anchor: str = "middle", color: str = "", size: int = 13) -> str:
        return (
            f'<text x="{at[0]:g}" y="{at[1]:g}" text-anchor="{anchor}" fill="{color or self.ink}" font-size="{size}">'
            f"{html.escape(words)}</text>"
        )

    def box(self, at: Point, size: Point, fill: str = "", edge: str = "") -> str:
        return (
            f'<rect x="{at[0]:g}" y="{at[1]:g}" width="{size[0]:g}" height="{size[1]:g}" rx="5" '
            f'fill="{fill or "none"}" stroke="{edge or "none"}" stroke-width="2"/>'
        )

    def line(self, points: Iterable[Point], color: str = "", dashes: str = "", width: float = 2) -> str:
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        return (
            f'<polyline points="{path}" fill="none" stroke="{color or self.edge}" stroke-width="{width:g}" '
            f'stroke-linecap="round" stroke-linejoin="round" stroke-dasharray="{dashes or "none"}"/>'
        )

    def curve(self, points: Sequence[Point], color: str) -> str:
        """A smooth curve through points (Catmull-Rom)."""
        around = [points[0], *points, points[-1]]
        path = f"M{points[0][0]:g} {points[0][1]:g}"
        for before, (a, b), (c, d), after in zip(around, around[1:], around[2:], around[3:], strict=False):
            first = (a + (c - before[0]) / 6, b + (d - before[1]) / 6)
            second = (c - (after[0] - a) / 6, d - (after[1] - b) / 6)
            path += f" C{first[0]:.1f} {first[1]:.1f} {second[0]:.1f} {second[1]:.1f} {c:g} {d:g}"
        return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="3" stroke-linecap="round"/>'

    def arrow(self, start: Point, end: Point, color: str = "") -> str:
        """A level arrow to the right or to the left."""
        way = 6 if end[0] > start[0] else -6
        head = [(end[0] - way, end[1] - 5), end, (end[0] - way, end[1] + 5)]
        return self.line([start, end], color) + self.line(head, color)

    def dot(self, at: Point, radius: float, fill: str) -> str:
        return f'<circle cx="{at[0]:g}" cy="{at[1]:g}" r="{radius:g}" fill="{fill}"/>'

    def lock(self, at: Point) -> str:
        """A closed lock: what is frozen."""
        x, y = at
        bow = f'<path d="M{x - 5:g} {y} v-5 a5 5 0 0 1 10 0 v5" fill="none" stroke="{self.edge}" stroke-width="2"/>'
        return bow + f'<rect x="{x - 8:g}" y="{y}" width="16" height="12" rx="2" fill="{self.edge}"/>'

    def picture(self, at: Point, side: float, shade: float = 0, flip: bool = False, zoom: float = 1) -> str:
        """A picture of a hill with a sun; darker by `shade`, mirrored by `flip`, cut out by `zoom`."""
        x, y = at
        inner = (
            f'<rect width="60" height="60" fill="{self.soft}"/><circle cx="42" cy="18" r="8" fill="{self.second}"/>'
            f'<path d="M0 60 L0 46 L20 26 L36 44 L44 36 L60 50 L60 60 Z" fill="{self.accent}"/>'
            f'<rect width="60" height="60" fill="#000" opacity="{shade:g}"/>'
        )
        turn = f"translate(60 0) scale(-{zoom:g} {zoom:g})" if flip else f"scale({zoom:g})"
        return (
            f'<svg x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" viewBox="0 0 60 60">'
            f'<g transform="{turn}">{inner}</g></svg>' + self.box(at, (side, side), edge=self.edge)
        )

    def numbers(self, at: Point, shares: Sequence[float], high: float = 11) -> str:
        """A column of numbers as short bars."""
        x, y = at
        return "".join(
            f'<rect x="{x:g}" y="{y + i * high:g}" width="{share * 30:g}" height="{high - 4:g}" fill="{self.second}"/>'
            for i, share in enumerate(shares)
        )

    def bars(self, at: Point, rows: Sequence[tuple[str, float]], best: int = 0, wide: float = 90) -> str:
        """Bars to the right, each with its word before it; the `best` one is in the accent."""
        x, y = at
        return "".join(
            self.text((x - 8, y + i * 30 + 15), word, "end")
            + self.box((x, y + i * 30), (wide, 20), fill=self.faint)
            + self.box((x, y + i * 30), (wide * share, 20), fill=self.accent if i == best else self.edge)
            for i, (word, share) in enumerate(rows)
        )


def sheet(parts: Iterable[str], height: int) -> str:
    """The drawing of these pieces."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif">{"".join(parts)}</svg>'
    )
