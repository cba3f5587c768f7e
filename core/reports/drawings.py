"""The figures of a report as inline SVG: no script, no font, a text alternative for each, and the colors of the page.

Sizes are in units of the drawing, which is as wide as the page lets it be.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.language import catalog
from core.language.numerals import percent
from core.reports.markup import Node, node

_SIDE = 10  # squares in a row of a hundred
_WIDE, _HIGH = 640, 260  # of a chart
_LEFT, _BELOW = 52, 40
_CELL, _NAMES = 34, 130  # of a matrix
_LETTERS = 17  # of a name that fit beside it
_DARK = 0.55  # share from which ink on a cell is light


def hundred(share: float, alt: str) -> Node:
    """A hundred squares, of which as many are filled as pictures in a hundred are right."""
    filled = round(100 * share)
    squares = [
        node("rect", x=12 * (n % _SIDE), y=12 * (n // _SIDE), width=10, height=10, rx=2, class_=_filled(n < filled))
        for n in range(100)
    ]
    return _drawing(118, 118, alt, *squares, class_="hundred")


def curves(lines: Mapping[str, Sequence[float | None]], kept: int | None, words: Mapping[str, str], alt: str) -> Node:
    """Accuracies by epoch: name -> values (epochs,), where None was not measured; `kept` is the row of the epoch whose
    model is kept. `words` has `epoch` and `best`."""
    n = max(len(values) for values in lines.values())
    least = min((value for values in lines.values() for value in values if value is not None), default=0.0)
    low = np.floor(10 * least) / 10 if least < 1 else 0.9

    def x(row: int) -> float:
        return _LEFT + (row / max(1, n - 1)) * (_WIDE - _LEFT - 90)

    def y(value: float) -> float:
        return 12 + (1 - (value - low) / (1 - low)) * (_HIGH - _BELOW - 12)

    drawn: list[Node] = []
    for value in np.linspace(low, 1, 5):
        drawn.append(node("line", x1=_LEFT, x2=x(n - 1), y1=y(value), y2=y(value), class_="grid"))
        drawn.append(node("text", percent(value), x=_LEFT - 8, y=y(value) + 4, text_anchor="end"))
    for row in sorted({0, n // 2, n - 1}):
        drawn.append(node("text", str(row + 1), x=x(row), y=_HIGH - _BELOW + 18, text_anchor="middle"))
    drawn.append(node("text", words["epoch"], x=(_LEFT + x(n - 1)) / 2, y=_HIGH - 4, text_anchor="middle"))
    if kept is not None and kept < n:
        drawn.append(node("line", x1=x(kept), x2=x(kept), y1=y(1), y2=y(low), class_="kept"))
        drawn.append(node("text", words["best"], x=x(kept) - 4, y=y(low) - 6, text_anchor="end"))
    ends: list[float] = []
    for number, (name, values) in enumerate(lines.items()):
        known = [(x(row), y(value)) for row, value in enumerate(values) if value is not None]
        if not known:
            continue
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in known)
        drawn.append(node("polyline", points=points, class_=f"line-{number}"))
        end = known[-1][1] + 4
        while any(abs(end - other) < 14 for other in ends):  # names must not lie on each other
            end += 14
        ends.append(end)
        drawn.append(node("text", name, x=known[-1][0] + 6, y=end))
    return _drawing(_WIDE, _HIGH, alt, *drawn, class_="chart")


def matrix(counts: NDArray[np.int64], labels: Sequence[str], alt: str) -> Node:
    """Counts (classes, classes): a row for what pictures show, a column for what was said; shaded by the share of the
    row."""
    k = len(labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn: list[Node] = []
    for i, label in enumerate(labels):
        middle = _NAMES + _CELL * i + _CELL / 2
        drawn.append(node("text", brief(label), x=_NAMES - 8, y=middle + 4, text_anchor="end"))
        turned = f"rotate(-60 {middle:g} {_NAMES - 8})"
        drawn.append(node("text", brief(label), x=middle, y=_NAMES - 8, transform=turned))
        for j in range(k):
            x, y, share = _NAMES + _CELL * j, _NAMES + _CELL * i, float(shares[i, j])
            place = {"x": x, "y": y, "width": _CELL - 2, "height": _CELL - 2, "rx": 3}
            drawn.append(node("rect", **place, class_="cell"))
            drawn.append(node("rect", **place, class_="share", fill_opacity=round(share, 3)))
            if counts[i, j]:
                shade = "light" if share > _DARK else "ink"
                text = catalog.number(int(counts[i, j]), "d")
                middle_x, middle_y = x + _CELL / 2 - 1, y + _CELL / 2 + 3
                drawn.append(node("text", text, x=middle_x, y=middle_y, text_anchor="middle", class_=shade))
    side = _NAMES + _CELL * k
    return _drawing(side + _NAMES // 2, side, alt, *drawn, class_="matrix")


def brief(name: str) -> str:
    """A name that fits beside a matrix: names differ at their start and end."""
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 6]}\u2026{name[-5:]}"


def _filled(is_filled: bool) -> str:
    return "full" if is_filled else "empty"


def _drawing(width: float, height: float, alt: str, *content: Node, class_: str) -> Node:
    size = {"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}", "height": f"{height:g}"}
    return node("svg", node("title", alt), *content, **size, role="img", aria_label=alt, class_=class_)
