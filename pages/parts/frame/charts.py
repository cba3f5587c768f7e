"""Values as charts: Plotly figures for finished values, ECharts options for values that still change.

ECharts updates in place, where Plotly would be rebuilt at every tick. Colors depend on the theme; a line keeps its
color even when others are missing.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.learning.calibration import Bin
from core.result import History
from core.scores.evaluation import Evaluation

# What the cells of a confusion matrix may show.
NUMBERS = ("count", "row", "column")


@dataclass(frozen=True)
class Colors:
    """The colors of one theme: ink for text, line for axes, accent, a contrasting second color, a scale low to high."""

    ink: str
    line: str
    accent: str
    second: str
    scale: tuple[str, ...]


LIGHT = Colors("#23211D", "#DDD9D0", "#0F766E", "#B45309", ("#F6F4EF", "#BFDDD9", "#4F9F96", "#0F766E", "#07403C"))
DARK = Colors("#ECE9E3", "#3D3A35", "#5EC4B8", "#F0A35E", ("#24221F", "#1F3F3B", "#19544E", "#13675F", "#0F766E"))

# Beyond this many classes numbers in the cells are too small to read; hovering shows them.
_NUMBERED = 16
# Up to this many classes, all names fit at the matrix.
_CROWDED = 25
# With more classes: how many names fit at its lower edge.
_ACROSS = 20
# With more classes: how many names fit at its left edge.
_DOWN = 85
# Height in pixels of a name at the left edge.
_LINE_PX = 12
_LONGEST_LABEL = 18
_PERCENT = "\u00a0%"
_DASHES = ("solid", "dash", "dot")
Line = tuple[Sequence[float], Sequence[float]]  # x and y


def confusion(
    evaluation: Evaluation,
    colors: Colors,
    words: Mapping[str, str],
    show: str = "count",
    order: Sequence[int] | None = None,
) -> go.Figure:
    """The confusion matrix. Each cell can be clicked, of many classes each with pictures: its customdata are row and
    column among the classes.

    Numbers and colors are shares of a row, or of a column where `show` is "column"; with "count" the numbers are
    counts. `order`: class indices to show, in this order; None shows all. `words` gives the axis titles (actual,
    predicted).
    """
    chosen = list(range(len(evaluation.classes))) if order is None else list(order)
    all_counts = evaluation.confusion
    along = 0 if show == "column" else 1
    all_shares = all_counts / all_counts.sum(axis=along, keepdims=True).clip(1)
    counts, shares = (table[chosen][:, chosen] for table in (all_counts, all_shares))
    labels = [_short(evaluation.classes[i]) for i in chosen]
    k = len(labels)
    gap = 1 if k > _CROWDED else 2
    numbers = counts if show == "count" else [[f"{share:.0%}" if share else "" for share in row] for row in shares]
    # Plotly heat maps report no clicks (https://github.com/streamlit/streamlit/issues/8760): points over them do. Of
    # many classes only where pictures are: the browser draws each point, and Plotly copies each value.
    rows, columns = np.nonzero(counts if k > _CROWDED else np.ones_like(counts))
    # As arrays, and of objects where they come back as JSON: Plotly looks at each value of a list.
    places = np.array(chosen)[np.stack([rows, columns], axis=1)].astype(object)
    names = [_text(evaluation.classes[i]) for i in chosen]
    hover = [
        f"{names[r]} \u2192 {names[c]}: {counts[r, c]} ({shares[r, c]:.0%})" for r, c in zip(rows, columns, strict=True)
    ]
    scale = [[i / (len(colors.scale) - 1), color] for i, color in enumerate(colors.scale)]
    figure = go.Figure(
        [
            go.Heatmap(
                z=shares, zmin=0, zmax=1, colorscale=scale, showscale=False, xgap=gap, ygap=gap, hoverinfo="skip",
                text=numbers if k <= _NUMBERED else None, texttemplate="%{text}" if k <= _NUMBERED else None,
            ),
            go.Scatter(
                x=columns, y=rows, mode="markers", customdata=places,
                text=np.array(hover, object), hovertemplate="%{text}<extra></extra>",
                marker={"symbol": "square", "size": max(10, 420 // k), "opacity": 0},
                selected={"marker": {"opacity": 0.25, "color": colors.second}}, unselected={"marker": {"opacity": 0}},
            ),
        ]
    )  # fmt: skip
    high = 180 + _LINE_PX * min(k, _DOWN) if k > _CROWDED else min(640, 220 + 44 * k)
    figure.update_layout(xaxis=_names(labels, words["predicted"], colors, _ACROSS, 90), height=high, **_plain(colors))
    figure.update_layout(yaxis=_names(labels, words["actual"], colors, _DOWN) | {"range": [k - 0.5, -0.5]})
    return figure


def _names(labels: Sequence[str], title: str, colors: Colors, most: int, angle: int | None = None) -> dict[str, Any]:
    """An axis of classes with their names. If names would overlap, they are small and at this `angle`, and at most
    `most` are drawn; hovering shows the others."""
    crowded = len(labels) > _CROWDED
    every = -(-len(labels) // most) if crowded else 1
    return {
        "tickvals": list(range(0, len(labels), every)),
        "ticktext": list(labels[::every]),
        "tickfont": {"size": 9} if crowded else {},
        "tickangle": angle if crowded else None,
        "ticklabeloverflow": "allow",  # else Plotly omits the last slanted name
        "title": {"text": title, "standoff": 12},
        "range": [-0.5, len(labels) - 0.5],
        "color": colors.ink,
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }


def bars(rows: Sequence[tuple[str, float, float, float]], colors: Colors, title: str) -> go.Figure:
    """Shares with their intervals, (name, share, low, high) each, as horizontal bars; the first in the accent color."""
    names = [_short(name) for name, *_ in rows]
    shares, lows, highs = zip(*[(100 * share, 100 * low, 100 * high) for _, share, low, high in rows], strict=True)
    others = len(rows) - 1
    figure = go.Figure(
        go.Bar(
            x=shares, y=names, orientation="h", width=0.6, error_x=_whiskers(shares, lows, highs, colors),
            # Gray for the others, with a contrast of 3 to 1 on either background.
            marker={"color": [colors.accent, *[colors.ink] * others], "opacity": [1, *[0.55] * others]},
            customdata=list(zip(lows, highs, strict=True)),
            hovertemplate="%{y}: %{x:.0f} % (%{customdata[0]:.0f} \u2013 %{customdata[1]:.0f})<extra></extra>",
        )
    )  # fmt: skip
    for name, share, high in zip(names, shares, highs, strict=True):
        figure.add_annotation(
            x=high, y=name, text=f"{share:.0f}{_PERCENT}", showarrow=False, xanchor="left", xshift=8,
            font={"color": colors.ink},
        )  # fmt: skip
    axis = {"color": colors.ink, "zeroline": False, "fixedrange": True, "automargin": True}
    ticks = {"tickvals": [0, 25, 50, 75, 100], "ticksuffix": _PERCENT, "gridcolor": colors.line}
    figure.update_layout(
        xaxis=axis | ticks | {"title": {"text": title, "standoff": 8}, "range": [0, 116]},
        yaxis=axis | {"type": "category", "autorange": "reversed", "showgrid": False, "ticksuffix": " "},
        height=100 + 44 * len(rows),
        **_plain(colors),
    )
    return figure


def growth(
    rows: Sequence[tuple[int, float, float, float]],
    expected: tuple[float, float, float, float],
    colors: Colors,
    words: Mapping[str, str],
) -> go.Figure:
    """A learning curve, (pictures, share, low, high) each, and a dotted line to its expected next point.

    `words` gives the axis titles (x, y) and the name of the expectation (expected).
    """
    sizes = [row[0] for row in rows]
    shares, lows, highs = zip(*[(100 * share, 100 * low, 100 * high) for _, share, low, high in rows], strict=True)
    end, middle, low, high = expected[0], *(100 * value for value in expected[1:])
    hover = f"%{{x}}: %{{y:.1f}}{_PERCENT}<extra></extra>"
    measured = go.Scatter(
        x=sizes, y=shares, mode="lines+markers", line={"color": colors.accent, "width": 2}, marker={"size": 8},
        error_y=_whiskers(shares, lows, highs, colors), hovertemplate=hover,
    )  # fmt: skip
    ahead = go.Scatter(
        x=[sizes[-1], end], y=[shares[-1], middle], mode="lines+markers",
        line={"color": colors.second, "width": 2, "dash": "dot"},
        marker={"size": [0, 10], "symbol": "diamond", "color": colors.second},
        error_y=_whiskers([shares[-1], middle], [shares[-1], low], [shares[-1], high], colors), hovertemplate=hover,
    )  # fmt: skip
    figure = go.Figure([measured, ahead])
    figure.add_annotation(
        x=end, y=high, text=words["expected"], showarrow=False, yanchor="bottom", xanchor="right",
        font={"color": colors.ink},
    )  # fmt: skip
    axis = {"color": colors.ink, "zeroline": False, "fixedrange": True, "gridcolor": colors.line, "automargin": True}
    floor = max(0.0, min(*lows, low) - 5)
    figure.update_layout(
        xaxis=axis | {"title": {"text": words["x"], "standoff": 8}, "range": [0, 1.06 * end]},
        yaxis=axis | {"title": {"text": words["y"]}, "range": [floor, 106], "ticksuffix": _PERCENT},
        height=300,
        **_plain(colors),
    )
    return figure


def reliability(before: Sequence[Bin], after: Sequence[Bin], colors: Colors, words: Mapping[str, str]) -> go.Figure:
    """Accuracy by confidence, before and after the temperature; an honest model lies on the diagonal.

    `words` gives the axis titles (x, y) and the names of both (before, after).
    """
    even = {"color": colors.line, "width": 2, "dash": "dot"}
    figure = go.Figure(go.Scatter(x=[0, 100], y=[0, 100], mode="lines", line=even, hoverinfo="skip", showlegend=False))
    for name, found, color in (("before", before, colors.second), ("after", after, colors.accent)):
        figure.add_scatter(
            x=[100 * each.confidence for each in found], y=[100 * each.accuracy for each in found],
            mode="lines+markers", name=words[name], line={"color": color, "width": 2},
            marker={"size": [6 + 14 * (each.n / max(one.n for one in found)) ** 0.5 for each in found]},
            customdata=[each.n for each in found],
            hovertemplate=f"%{{x:.0f}}{_PERCENT}: %{{y:.0f}}{_PERCENT} (%{{customdata}})<extra></extra>",
        )  # fmt: skip
    return _square(figure, colors, words["x"], words["y"])


def trade(lines: Mapping[str, Line], colors: Colors, words: Mapping[str, str]) -> go.Figure:
    """The trade-off of a threshold: shares against shares, a line per name. `words` gives the axis titles (x, y)."""
    shares = {name: ([100 * value for value in x], [100 * value for value in y]) for name, (x, y) in lines.items()}
    hover = f"%{{x:.0f}}{_PERCENT}, %{{y:.0f}}{_PERCENT}<extra>%{{fullData.name}}</extra>"
    return _square(go.Figure(_lines(shares, colors, "hv", hover)), colors, words["x"], words["y"])


def overlaid(lines: Mapping[str, Line], colors: Colors, words: Mapping[str, str]) -> go.Figure:
    """Lines of any two quantities in one frame, the lower axis at 0. `words` gives the axis titles (x, y)."""
    figure = go.Figure(_lines(lines, colors, "linear", "%{x}: %{y:.3f}<extra>%{fullData.name}</extra>"))
    _square(figure, colors, words["x"], words["y"])
    plain = {"range": None, "tickvals": None, "ticksuffix": ""}
    figure.update_layout(xaxis=plain, yaxis=plain | {"rangemode": "tozero"})
    return figure


def _lines(lines: Mapping[str, Line], colors: Colors, shape: str, hover: str) -> list[go.Scatter]:
    """Lines with a color for each position, then with dashes. An empty line is left out without changing the others. A
    single line has no name."""
    inks = (colors.accent, colors.second, colors.ink)
    return [
        go.Scatter(
            x=list(x), y=list(y), mode="lines", name=_text(name), showlegend=len(lines) > 1,
            hovertemplate=hover,
            line={"color": inks[i % 3], "width": 2, "shape": shape, "dash": _DASHES[i // 3 % len(_DASHES)]},
        )
        for i, (name, (x, y)) in enumerate(lines.items())
        if len(x)
    ]  # fmt: skip


def _square(figure: go.Figure, colors: Colors, x: str, y: str) -> go.Figure:
    """Set shares on both axes."""
    axis = {"color": colors.ink, "zeroline": False, "fixedrange": True, "gridcolor": colors.line, "automargin": True}
    axis |= {"range": [-3, 106], "tickvals": [0, 25, 50, 75, 100], "ticksuffix": _PERCENT}
    # Below, a line for each: long names would lie over the curves.
    legend = {"showlegend": True, "legend": {"orientation": "v", "y": -0.22, "yanchor": "top", "x": 0}}
    titles = {"xaxis": axis | {"title": {"text": x, "standoff": 8}}, "yaxis": axis | {"title": {"text": y}}}
    named = sum(line.showlegend is not False for line in figure.data)
    figure.update_layout(**(_plain(colors) | legend | titles), height=320 + 20 * named)
    return figure


def _whiskers(middle: Sequence[float], lows: Sequence[float], highs: Sequence[float], colors: Colors) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "color": colors.ink, "thickness": 1.5, "width": 5,
        "array": [high - value for value, high in zip(middle, highs, strict=True)],
        "arrayminus": [value - low for value, low in zip(middle, lows, strict=True)],
    }  # fmt: skip


def _plain(colors: Colors) -> dict[str, Any]:
    """The layout of all our charts: without what they do not need."""
    return {
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "showlegend": False, "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"color": colors.ink},
    }  # fmt: skip


def as_rows(figure: go.Figure, words: Mapping[str, str]) -> list[dict[str, Any]]:
    """What bars or lines show, as rows of a table: by axis titles, with intervals where they have some. `words` gives
    the titles of names, of lines or bars, and of the ends of an interval (name, low, high)."""
    x, y = (axis.title.text or words["name"] for axis in (figure.layout.xaxis, figure.layout.yaxis))
    drawn = [trace for trace in figure.data if trace.hoverinfo != "skip"]
    rows = []
    for trace in drawn:
        named = {words["name"]: html.unescape(trace.name)} if sum(bool(each.name) for each in drawn) > 1 else {}
        lying = getattr(trace, "orientation", None) == "h"
        ends = trace.error_x if lying else trace.error_y
        for i, (across, up) in enumerate(zip(trace.x, trace.y, strict=True)):
            row = named | {y: _rounded(up), x: _rounded(across)}
            if ends.array is not None:
                middle = across if lying else up
                low, high = middle - ends.arrayminus[i], middle + ends.array[i]
                row |= {words["low"]: _rounded(low), words["high"]: _rounded(high)}
            rows.append(row)
    return rows


def cells(evaluation: Evaluation, words: Mapping[str, str]) -> list[dict[str, Any]]:
    """The cells of a confusion matrix in which there are pictures, as rows of a table, the most pictures first. `words`
    gives the titles (actual, predicted, pictures)."""
    counts = evaluation.confusion
    found = sorted(zip(*np.nonzero(counts), strict=True), key=lambda cell: -counts[cell])
    return [
        {
            words["actual"]: evaluation.classes[row],
            words["predicted"]: evaluation.classes[column],
            words["pictures"]: int(counts[row, column]),
        }
        for row, column in found
    ]


def _rounded(value: Any) -> Any:
    return html.unescape(value) if isinstance(value, str) else round(float(value), 3)


def training(
    phases: tuple[History, History], kept: int | None, what: str, colors: Colors, words: Mapping[str, str]
) -> dict[str, Any]:
    """ECharts options for one score (`what`: loss or accuracy) over the epochs of head and fine-tuning.

    The epochs of both phases follow each other; a line marks where fine-tuning began, a point the epoch whose
    model is `kept` (its row in both phases, from 0).
    `words` gives the names (train, val, epoch, title, tune, best).
    """
    (head, tuned), rows = phases, [*phases[0], *phases[1]]
    series = [
        _line(words["train"], [row.get(what) for row in rows], colors.second),
        _line(words["val"], [row.get(f"val_{what}") for row in rows], colors.accent),
    ]
    if kept is not None and kept < len(rows) and rows[kept].get(f"val_{what}") is not None:
        series[1]["markPoint"] = {
            "data": [{"coord": [kept + 1, rows[kept][f"val_{what}"]], "value": words["best"]}],
            "symbol": "circle",
            "symbolSize": 11,
            # Above the first epoch the label would be on the axis.
            "label": {"show": True, "position": "top" if kept else "right", "color": colors.ink},
            "itemStyle": {"color": colors.accent},
        }
    if tuned:
        series[1]["markLine"] = {
            "data": [{"xAxis": len(head) + 0.5}],
            "symbol": "none",
            "label": {"formatter": words["tune"], "color": colors.ink, "position": "insideStartTop"},
            "lineStyle": {"color": colors.line, "type": "solid", "width": 2},
        }
    axis = {"axisLabel": {"color": colors.ink}, "nameTextStyle": {"color": colors.ink}}
    return {
        "animation": False,
        "title": {
            "text": words["title"], "left": 0, "top": 0,
            "textStyle": {"color": colors.ink, "fontSize": 14, "fontWeight": "normal"},
        },
        "legend": {"right": 0, "top": 0, "textStyle": {"color": colors.ink}},
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 8, "right": 16, "top": 44, "bottom": 28, "containLabel": True},
        "xAxis": axis
        | {"type": "value", "min": 1, "max": max(2, len(rows)), "minInterval": 1, "name": words["epoch"],
           "nameLocation": "middle", "nameGap": 24, "splitLine": {"show": False}},
        "yAxis": axis
        | ({"type": "value", "min": 0, "max": 1} if what == "accuracy" else {"type": "value", "min": 0})
        | {"splitLine": {"lineStyle": {"color": colors.line, "opacity": 0.5}}},
        "series": series,
    }  # fmt: skip


def _line(name: str, values: Sequence[float | None], color: str) -> dict[str, Any]:
    points = [[i + 1, round(value, 4)] for i, value in enumerate(values) if value is not None]
    return {
        "name": name, "type": "line", "data": points, "showSymbol": len(points) < 3,
        "lineStyle": {"color": color, "width": 2}, "itemStyle": {"color": color},
    }  # fmt: skip


def _short(label: str) -> str:
    return _text(label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "\u2026")


def _text(name: str) -> str:
    """A user's name for Plotly, which would read tags in it."""
    return html.escape(name, quote=False)
