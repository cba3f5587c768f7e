"""The drawings of the lesson, of the glossary and of pages that have nothing to show yet.

Each is a function that answers an SVG; `FIGURES` has them by name, and `figure_NAME` is the text for who cannot see it.
They are sketches: no number in them was measured.
"""

from collections.abc import Callable, Mapping

import streamlit as st

from pages.parts.frame.words import say
from pages.parts.learn.pen import Pen, sheet

_LIGHT = Pen("#171512", "#8A8578", "#E9E5DC", "#DCECEA", "#0F766E", "#B45309", "#FFFFFF")
_DARK = Pen("#ECE9E3", "#8F8A80", "#35322D", "#1D3A37", "#5EC4B8", "#F0A35E", "#12110F")
_NUMBERS = (0.7, 0.3, 0.9, 0.5, 0.2, 0.8, 0.4, 0.6)


def draw(name: str, width: int = 360) -> None:
    """Draw a figure, no wider than its place."""
    pen = _DARK if st.context.theme.type == "dark" else _LIGHT
    st.image(FIGURES[name](pen), width=width, alt=say(f"figure_{name}"))


def coming(page: str) -> None:
    """Draw what will be on a page that has nothing to show yet."""
    with st.container(horizontal_alignment="center"):
        draw(f"empty_{page}", width=280)


def _frozen(pen: Pen) -> str:
    parts = [pen.picture((6, 52), 64), pen.text((38, 136), say("mark_picture")), pen.arrow((76, 84), (92, 84))]
    for i in range(4):
        x, high = 100 + 46 * i, 92 - 14 * i
        parts += [pen.box((x, 84 - high / 2), (38, high), pen.faint, pen.edge), pen.lock((x + 19, 80))]
    parts += [
        pen.text((160, 24), say("mark_frozen")),
        pen.text((100, 152), say("mark_edges"), "start"), pen.text((276, 152), say("mark_parts"), "end"),
        pen.arrow((144, 148), (176, 148)), pen.arrow((284, 84), (302, 84)),
        pen.numbers((312, 42), _NUMBERS), pen.text((354, 24), say("mark_features"), "end"),
    ]  # fmt: skip
    return sheet(parts, 166)


def _head(pen: Pen) -> str:
    parts = [
        pen.numbers((20, 34), _NUMBERS), pen.text((12, 18), say("mark_features"), "start"),
        pen.arrow((62, 74), (88, 74)),
        pen.box((98, 44), (82, 60), pen.accent), pen.text((139, 79), say("mark_head"), color=pen.on_accent, size=15),
        pen.text((139, 142), say("mark_learns")), pen.arrow((190, 74), (214, 74)),
        pen.bars((250, 34), (("A", 0.85), ("B", 0.3), ("C", 0.12)), wide=96),
        pen.text((346, 142), say("mark_classes"), "end"),
    ]  # fmt: skip
    return sheet(parts, 156)


def _fine_tuning(pen: Pen) -> str:
    parts = []
    for i in range(5):
        x, frozen = 8 + 52 * i, i < 3
        parts.append(pen.box((x, 44), (44, 76), pen.faint if frozen else pen.soft, pen.edge if frozen else pen.accent))
        parts.append(pen.lock((x + 22, 78)) if frozen else pen.arrow((x + 32, 82), (x + 14, 82), pen.accent))
    parts += [
        pen.box((272, 44), (80, 76), pen.accent), pen.text((312, 87), say("mark_head"), color=pen.on_accent, size=15),
        pen.text((82, 30), say("mark_frozen")), pen.text((256, 30), say("mark_low_rate")),
        pen.text((8, 142), say("mark_first_blocks"), "start"), pen.text((352, 142), say("mark_last_blocks"), "end"),
    ]  # fmt: skip
    return sheet(parts, 156)


def _over_fitting(pen: Pen) -> str:
    parts = [
        pen.line([(34, 14), (34, 150), (346, 150)]), pen.text((340, 170), say("mark_epochs"), "end"),
        pen.text((42, 22), say("mark_loss"), "start"),
        pen.curve([(40, 34), (130, 92), (220, 122), (336, 138)], pen.accent),
        pen.curve([(40, 40), (120, 88), (170, 98), (240, 84), (336, 48)], pen.second),
        pen.line([(166, 60), (166, 150)], dashes="4 5"), pen.text((166, 52), say("mark_best_epoch")),
        pen.text((336, 128), say("mark_train"), "end", pen.accent),
        pen.text((336, 38), say("mark_val"), "end", pen.second),
    ]  # fmt: skip
    return sheet(parts, 178)


def _fit(pen: Pen) -> str:
    colors, parts = (pen.accent, pen.edge, pen.faint), [pen.line([(12, 128), (348, 128)])]
    for x, word, shares in ((28, "mark_alike", (0.95, 0.6, 0.5)), (204, "mark_unlike", (0.62, 0.6, 0.52))):
        for i, share in enumerate(shares):
            high = 100 * share
            parts.append(pen.box((x + 42 * i, 127 - high), (34, high), colors[i], pen.edge if i == 2 else ""))
        parts.append(pen.text((x + 59, 148), say(word)))
    for x, y, word, color in (
        (12, 174, "mark_pretrained", colors[0]), (148, 174, "mark_random", colors[1]),
        (288, 174, "mark_pixels", colors[2]),
    ):  # fmt: skip
        parts += [pen.box((x, y - 10), (12, 12), color, pen.edge), pen.text((x + 18, y), say(word), "start", size=12)]
    return sheet(parts, 184)


def _matrix(pen: Pen) -> str:
    parts, counts = [pen.text((206, 18), say("mark_said"))], ((17, 2, 0), (1, 15, 3), (0, 1, 19))
    parts.append(f'<g transform="rotate(-90 84 88)">{pen.text((84, 92), say("mark_shown"))}</g>')
    for row, values in enumerate(counts):
        parts += [pen.text((118, 60 + 38 * row), "ABC"[row]), pen.text((154 + 52 * row, 34), "ABC"[row])]
        for column, n in enumerate(values):
            at, right = (130 + 52 * column, 40 + 38 * row), row == column
            parts.append(pen.box(at, (48, 34), pen.accent if right else pen.soft if n else pen.faint))
            parts.append(pen.text((at[0] + 24, at[1] + 22), str(n), color=pen.on_accent if right else pen.ink))
    return sheet(parts, 160)


def _split(pen: Pen) -> str:
    parts, left = [], 8.0
    for what, wide, color, ink in (
        ("train", 200, pen.accent, pen.on_accent), ("val", 68, pen.soft, pen.ink), ("test", 68, pen.faint, pen.ink),
    ):  # fmt: skip
        parts += [
            pen.box((left, 20), (wide, 44), color, pen.edge),
            pen.text((left + wide / 2, 47), say(f"mark_{what}"), color=ink),
        ]
        parts.append(pen.text((left + wide / 2, 86), say(f"mark_{what}_does"), size=12))
        left += wide + 4
    return sheet(parts, 98)


def _augmentation(pen: Pen) -> str:
    looks = {"mark_own": (0.0, False, 1.0), "mark_cut": (0.0, False, 1.4), "mark_mirrored": (0.0, True, 1.0)}
    parts = []
    for i, (word, look) in enumerate((looks | {"mark_darker": (0.35, False, 1.0)}).items()):
        parts += [pen.picture((8 + 90 * i, 8), 74, *look), pen.text((45 + 90 * i, 100), say(word), size=12)]
    return sheet(parts, 110)


def _threshold(pen: Pen) -> str:
    rows = ((0.94, True), (0.86, True), (0.71, True), (0.52, False), (0.38, False))
    parts = [
        pen.line([(216, 8), (216, 128)], pen.second, "5 5"),
        pen.text((216, 146), say("mark_threshold"), color=pen.second),
    ]
    for i, (share, sure) in enumerate(rows):
        parts.append(pen.box((20, 12 + 24 * i), (300 * share, 14), pen.accent if sure else pen.edge))
    parts.append(pen.text((352, 118), say("mark_no_answer"), "end", size=12))
    return sheet(parts, 156)


def _calibration(pen: Pen) -> str:
    parts = [
        pen.line([(110, 12), (110, 142), (270, 142)]), pen.line([(110, 142), (256, 20)], dashes="4 5"),
        pen.curve([(110, 142), (170, 118), (222, 86), (256, 50)], pen.second),
        pen.text((98, 22), say("mark_right"), "end"), pen.text((270, 162), say("mark_sure"), "end"),
        pen.text((236, 108), say("mark_too_sure"), "start", pen.second),
    ]  # fmt: skip
    return sheet(parts, 170)


def _heat_map(pen: Pen) -> str:
    glow = (
        f'<radialGradient id="glow"><stop offset="0" stop-color="{pen.second}" stop-opacity="0.95"/>'
        f'<stop offset="1" stop-color="{pen.second}" stop-opacity="0"/></radialGradient>'
    )
    parts = [
        glow, pen.picture((52, 8), 116), pen.arrow((178, 66), (202, 66)), pen.picture((212, 8), 116),
        '<circle cx="252" cy="76" r="40" fill="url(#glow)"/>',
    ]  # fmt: skip
    return sheet(parts, 132)


def _empty_train(pen: Pen) -> str:
    parts = [
        pen.box((20, 12), (320, 12), pen.faint), pen.box((20, 12), (190, 12), pen.edge),
        pen.line([(20, 44), (20, 150), (340, 150)]),
        pen.curve([(26, 130), (90, 88), (170, 66), (250, 58)], pen.accent),
        pen.curve([(26, 136), (90, 102), (170, 84), (250, 80)], pen.second),
        pen.line([(250, 50), (250, 150)], dashes="4 5"),
    ]  # fmt: skip
    return sheet(parts, 160)


def _empty_results(pen: Pen) -> str:
    parts = []
    for row in range(3):
        for column in range(3):
            shade = pen.accent if row == column else pen.soft if row + column == 1 else pen.faint
            parts.append(pen.box((24 + 46 * column, 10 + 46 * row), (42, 42), shade))
    for i in range(4):
        at = (196 + 78 * (i % 2), 10 + 70 * (i // 2))
        parts.append(pen.picture(at, 64, flip=i in (1, 2), shade=0.2 * (i == 2)))
    cross = [(336, 12), (328, 20)], [(328, 12), (336, 20)]
    parts += [pen.dot((332, 16), 10, pen.second), *(pen.line(each, pen.on_accent) for each in cross)]
    return sheet(parts, 154)


def _empty_demo(pen: Pen) -> str:
    bars = pen.bars((206, 34), (("", 0.9), ("", 0.25), ("", 0.1)), wide=140)
    return sheet([pen.picture((20, 10), 132), pen.arrow((162, 76), (188, 76)), bars], 152)


def _empty_export(pen: Pen) -> str:
    parts = []
    for i, name in enumerate((".keras", ".tflite", ".py")):
        x = 28 + 108 * i
        parts += [
            pen.line([(x, 12), (x + 62, 12), (x + 88, 38), (x + 88, 112), (x, 112), (x, 12)]),
            pen.line([(x + 62, 12), (x + 62, 38), (x + 88, 38)]), pen.text((x + 44, 74), name, size=15),
            pen.line([(x + 26, 94), (x + 38, 104), (x + 62, 84)], pen.accent, width=3),
        ]  # fmt: skip
    return sheet(parts, 124)


FIGURES: Mapping[str, Callable[[Pen], str]] = {
    "frozen": _frozen, "head": _head, "fine_tuning": _fine_tuning, "over_fitting": _over_fitting, "fit": _fit,
    "matrix": _matrix, "split": _split, "augmentation": _augmentation, "threshold": _threshold,
    "calibration": _calibration, "heat_map": _heat_map, "empty_train": _empty_train, "empty_results": _empty_results,
    "empty_demo": _empty_demo, "empty_export": _empty_export,
}  # fmt: skip
