"""Values as charts: Plotly figures for what is finished, ECharts options for what is still moving.

ECharts updates in place where Plotly would be built anew at every tick. Colors are given per theme; a class keeps its
color wherever it is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core import curves
from core.evaluation import Evaluation


@dataclass(frozen=True)
class Colors:
    """One theme: ink for text, line for axes, accent, a second color apart from it, a scale from low to high."""

    ink: str
    line: str
    accent: str
    second: str
    scale: tuple[str, ...]


LIGHT = Colors("#23211D", "#DDD9D0", "#0F766E", "#B45309", ("#F6F4EF", "#BFDDD9", "#4F9F96", "#0F766E", "#07403C"))
DARK = Colors("#ECE9E3", "#3D3A35", "#5EC4B8", "#F0A35E", ("#24221F", "#1F3F3B", "#19544E", "#13675F", "#0F766E"))

# Beyond this many classes numbers in the cells are too small to read; hovering shows them.
_NUMBERED = 16
_LONGEST_LABEL = 18


def confusion(evaluation: Evaluation, colors: Colors, words: Mapping[str, str]) -> go.Figure:
    """The confusion matrix. Colors show shares of a row, numbers counts; each cell can be clicked.

    `words` gives the axis titles (actual, predicted).
    """
    counts = evaluation.confusion
    labels = [_short(label) for label in evaluation.classes]
    k = len(labels)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    # Plotly heat maps report no clicks (https://github.com/streamlit/streamlit/issues/8760): points over them do.
    rows, columns = zip(*[(r, c) for r in range(k) for c in range(k)], strict=True)
    hover = [
        f"{evaluation.classes[r]} \u2192 {evaluation.classes[c]}: {counts[r, c]} ({shares[r, c]:.0%})"
        for r, c in zip(rows, columns, strict=True)
    ]
    scale = [[i / (len(colors.scale) - 1), color] for i, color in enumerate(colors.scale)]
    figure = go.Figure(
        [
            go.Heatmap(
                z=shares, zmin=0, zmax=1, colorscale=scale, showscale=False, xgap=2, ygap=2, hoverinfo="skip",
                text=counts if k <= _NUMBERED else None, texttemplate="%{text}" if k <= _NUMBERED else None,
            ),
            go.Scatter(
                x=columns, y=rows, mode="markers", customdata=[[r, c] for r, c in zip(rows, columns, strict=True)],
                text=hover, hovertemplate="%{text}<extra></extra>",
                marker={"symbol": "square", "size": max(10, 420 // k), "opacity": 0},
                selected={"marker": {"opacity": 0.25, "color": colors.second}}, unselected={"marker": {"opacity": 0}},
            ),
        ]
    )  # fmt: skip
    axis = {
        "tickvals": list(range(k)),
        "ticktext": labels,
        "showgrid": False,
        "zeroline": False,
        "color": colors.ink,
        "automargin": True,
    }
    figure.update_layout(
        xaxis=axis | {"title": {"text": words["predicted"], "standoff": 12}, "range": [-0.5, k - 0.5]},
        yaxis=axis | {"title": {"text": words["actual"], "standoff": 12}, "range": [k - 0.5, -0.5]},
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        height=min(640, 220 + 44 * k),
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": colors.ink},
    )
    return figure


def training(
    head: curves.History, tuned: curves.History, what: str, colors: Colors, words: Mapping[str, str]
) -> dict[str, Any]:
    """ECharts options for one score (`what`: loss or accuracy) over the epochs of head and fine-tuning.

    The epochs of both phases follow each other; a line marks where fine-tuning began, a point the best val epoch.
    `words` gives the names (train, val, epoch, title, tune, best).
    """
    rows = [*head, *tuned]
    series = [
        _line(words["train"], [row.get(what) for row in rows], colors.second),
        _line(words["val"], [row.get(f"val_{what}") for row in rows], colors.accent),
    ]
    best = _best(head, tuned)
    if best is not None and rows[best].get(f"val_{what}") is not None:
        series[1]["markPoint"] = {
            "data": [{"coord": [best + 1, rows[best][f"val_{what}"]], "value": words["best"]}],
            "symbol": "circle",
            "symbolSize": 11,
            # Above the first epoch it would stand on the axis.
            "label": {"show": True, "position": "top" if best else "right", "color": colors.ink},
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


def _best(head: curves.History, tuned: curves.History) -> int | None:
    """The row of the epoch that is kept: of the head by val loss, of fine-tuning only if its val accuracy is higher."""
    if not head or "val_loss" not in head[0]:
        return None
    best = curves.best_epoch(head) - 1
    key = _merit(head[best])
    for i, row in enumerate(tuned):
        if _merit(row) > key:
            best, key = len(head) + i, _merit(row)
    return best


def _merit(row: Mapping[str, float]) -> tuple[float, float]:
    # Rounded: one accuracy is from numpy, the other from Keras in float32.
    return round(row["val_accuracy"], 5), -row["val_loss"]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "\u2026"
