import numpy as np
import pytest

from core.scores.evaluation import Evaluation
from pages.parts.frame import charts

WORDS = {"title": "Loss", "train": "train", "val": "val", "epoch": "Epoch", "tune": "fine-tuning", "best": "best"}


def scored(n_classes: int) -> Evaluation:
    classes = tuple(f"class {i}" for i in range(n_classes))
    truth = np.arange(n_classes)
    return Evaluation(classes, tuple(map(str, truth)), truth, np.eye(n_classes, dtype=np.float32)[::-1])


def test_every_cell_of_the_matrix_can_be_clicked_and_says_what_it_counts() -> None:
    figure = charts.confusion(scored(3), charts.LIGHT, {"actual": "Shows", "predicted": "Says"})
    cells = figure.data[1]
    assert [tuple(cell) for cell in cells.customdata] == [(r, c) for r in range(3) for c in range(3)]
    assert cells.text[2] == "class 0 → class 2: 1 (100%)"
    assert figure.data[0].z[0][2] == 1 and figure.data[0].text[0][2] == 1


def test_a_large_matrix_has_no_numbers_in_its_cells_and_a_bounded_height() -> None:
    figure = charts.confusion(scored(18), charts.DARK, {"actual": "Shows", "predicted": "Says"})
    assert figure.data[0].text is None and figure.layout.height == 640


@pytest.mark.parametrize(("n", "across", "down", "height"), [(58, 20, 58, 876), (1_000, 20, 84, 1_200)])
def test_the_names_of_many_classes_have_room_at_the_matrix(n: int, across: int, down: int, height: int) -> None:
    layout = charts.confusion(scored(n), charts.LIGHT, {"actual": "Shows", "predicted": "Says"}).layout
    assert (len(layout.xaxis.ticktext), len(layout.yaxis.ticktext), layout.height) == (across, down, height)
    assert layout.xaxis.ticktext[1] == f"class {layout.xaxis.tickvals[1]}"  # each at its own column
    assert height / down > layout.yaxis.tickfont.size


def test_of_many_classes_the_cells_with_pictures_can_be_clicked() -> None:
    cells = charts.confusion(scored(100), charts.LIGHT, {"actual": "Shows", "predicted": "Says"}).data[1]
    assert [tuple(cell) for cell in cells.customdata] == [(i, 99 - i) for i in range(100)]
    assert (cells.x[3], cells.y[3]) == (96, 3) and cells.text[3] == "class 3 \u2192 class 96: 1 (100%)"


def row(loss: float, accuracy: float) -> dict[str, float]:
    return {"loss": loss, "accuracy": accuracy, "val_loss": loss, "val_accuracy": accuracy}


def test_curves_follow_each_other_and_the_kept_epoch_is_marked() -> None:
    head = [row(0.9, 0.5), row(0.4, 0.8), row(0.5, 0.8)]
    tuned = [row(0.6, 0.8), row(0.5, 0.9)]
    option = charts.training((head, tuned), 4, "loss", charts.LIGHT, WORDS)
    val = option["series"][1]
    assert [x for x, _ in val["data"]] == [1, 2, 3, 4, 5]
    assert val["markPoint"]["data"][0]["coord"] == [5, 0.5]
    assert val["markLine"]["data"] == [{"xAxis": 3.5}]


def test_a_mark_on_the_first_epoch_does_not_stand_on_the_axis() -> None:
    option = charts.training(([row(0.4, 0.8)], [row(0.6, 0.8)]), 0, "loss", charts.LIGHT, WORDS)
    mark = option["series"][1]["markPoint"]
    assert mark["data"][0]["coord"] == [1, 0.4] and mark["label"]["position"] == "right"


def test_without_a_val_part_there_is_one_curve_and_no_mark() -> None:
    option = charts.training(([{"loss": 1.0, "accuracy": 0.5}], []), None, "loss", charts.LIGHT, WORDS)
    assert option["series"][1]["data"] == [] and "markPoint" not in option["series"][1]


def test_bars_have_their_interval_their_share_in_words_and_one_accent() -> None:
    rows = [("Starter", 0.9, 0.8, 0.95), ("Raw pixels", 0.4, 0.3, 0.5)]
    figure = charts.bars(rows, charts.LIGHT, "Right")
    (bar,) = figure.data
    assert bar.x == (90, 40) and bar.y == ("Starter", "Raw pixels")
    np.testing.assert_allclose(bar.error_x.array, [5, 10])
    np.testing.assert_allclose(bar.error_x.arrayminus, [10, 10])
    assert bar.marker.color == (charts.LIGHT.accent, charts.LIGHT.ink)
    assert [note.text for note in figure.layout.annotations] == ["90\u00a0%", "40\u00a0%"]


def test_a_learning_curve_leads_from_its_last_point_to_what_is_expected() -> None:
    rows = [(10, 0.5, 0.4, 0.6), (100, 0.8, 0.7, 0.88)]
    words = {"x": "Pictures", "y": "Right", "expected": "expected"}
    figure = charts.growth(rows, (200, 0.84, 0.78, 0.9), charts.DARK, words)
    measured, ahead = figure.data
    assert measured.x == (10, 100) and measured.y == (50, 80)
    assert ahead.x == (100, 200) and ahead.y == (80, 84) and ahead.line.dash == "dot"
    np.testing.assert_allclose(ahead.error_y.array, [0, 6])
    assert figure.layout.yaxis.range == (35, 106) and figure.layout.xaxis.range[1] > 200


def test_lines_of_several_runs_are_told_apart_by_color_then_by_dashes_and_one_alone_has_no_name() -> None:
    words = {"x": "Found", "y": "Right"}
    lines = {f"run {i}": ([0.0, 1.0], [1.0, 0.5]) for i in range(6)}
    figure = charts.trade(lines, charts.LIGHT, words)
    assert len({(line.line.color, line.line.dash) for line in figure.data}) == 6
    assert figure.data[0].x == (0, 100) and figure.data[5].y == (100, 50)
    assert all(line.showlegend for line in figure.data)
    assert not charts.trade({"": ([0.0], [1.0])}, charts.LIGHT, words).data[0].showlegend


def test_losses_of_several_runs_share_a_frame_that_begins_at_nothing() -> None:
    figure = charts.overlaid({"a": ([1, 2], [0.9, 0.2]), "b": ([1], [0.5])}, charts.DARK, {"x": "Epoch", "y": "Loss"})
    assert [line.y for line in figure.data] == [(0.9, 0.2), (0.5,)]
    assert figure.layout.yaxis.rangemode == "tozero" and figure.layout.yaxis.range is None


def test_a_class_is_named_as_it_was_written() -> None:
    scores = Evaluation(
        ("a<br>b", "c & d"), ("1", "2"), np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    )
    figure = charts.confusion(scores, charts.LIGHT, {"actual": "Actual", "predicted": "Predicted"})
    assert figure.layout.xaxis.ticktext == ("a&lt;br&gt;b", "c &amp; d")
    assert figure.data[1].text[1] == "a&lt;br&gt;b \u2192 c &amp; d: 0 (0%)"
    bar = charts.bars([("<i>x", 0.5, 0.4, 0.6)], charts.LIGHT, "Share")
    assert bar.data[0].y == ("&lt;i&gt;x",) and bar.layout.annotations[0].y == "&lt;i&gt;x"


def test_a_run_keeps_its_color_in_every_chart_and_its_name_as_it_was_written() -> None:
    words = {"x": "Epoch", "y": "Loss"}
    names = {"a": [], "b <b>& 93 %</b> (2)": [0.5], "c": [0.4]}
    loss = charts.overlaid({name: ([1.0] * len(y), y) for name, y in names.items()}, charts.LIGHT, words)
    trade = charts.trade({name: ([0.0], [1.0]) for name in names}, charts.LIGHT, words)
    assert [line.line.color for line in loss.data] == [line.line.color for line in trade.data[1:]]
    assert [line.name for line in loss.data] == ["b &lt;b&gt;&amp; 93 %&lt;/b&gt; (2)", "c"]


def test_what_a_chart_shows_is_also_a_table() -> None:
    words = {"actual": "Shows", "predicted": "Says", "pictures": "Pictures"}
    mixed = Evaluation(("a", "b"), ("1", "2", "3"), np.array([0, 0, 1]), np.array([[0, 1], [0, 1], [0, 1]], np.float32))
    assert charts.cells(mixed, words) == [
        {"Shows": "a", "Says": "b", "Pictures": 2},
        {"Shows": "b", "Says": "b", "Pictures": 1},
    ]
    bars = charts.bars([("Starter", 0.8312, 0.7, 0.9), ("pixels", 0.5, 0.4, 0.6)], charts.LIGHT, "Right, %")
    titles = {"name": "Name", "low": "From", "high": "To"}
    assert charts.as_rows(bars, titles) == [
        {"Name": "Starter", "Right, %": 83.12, "From": 70.0, "To": 90.0},
        {"Name": "pixels", "Right, %": 50.0, "From": 40.0, "To": 60.0},
    ]
    lines = {"one & <b>": ([1.0, 2.0], [0.5, 0.25]), "two": ([1.0], [0.125])}
    drawn = charts.as_rows(charts.overlaid(lines, charts.LIGHT, {"x": "Epoch", "y": "Loss"}), titles)
    assert (
        drawn[0] == {"Name": "one & <b>", "Loss": 0.5, "Epoch": 1.0} and drawn[2]["Name"] == "two" and len(drawn) == 3
    )
