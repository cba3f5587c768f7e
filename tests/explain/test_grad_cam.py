"""Heat maps: what they are of a network that can be computed by hand, how they look, and what lies in the border."""

import numpy as np
import pytest

from core import heatmap
from core.head import Head


def layer(*rows: list[float]) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.array(rows, np.float32)
    return kernel, np.zeros(kernel.shape[1], np.float32)


# Two channels: the first is on at the top left, the second at the bottom right; (2, 2, 2).
MAP = np.zeros((2, 2, 2), np.float32)
MAP[0, 0, 0] = 4
MAP[1, 1, 1] = 2


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_each_class_of_a_linear_head_shows_its_own_channel(pooling: str) -> None:
    head = Head((layer([1, 0], [0, 1]),))
    assert heatmap.grad_cam(MAP, pooling, head, 0).tolist() == [[1, 0], [0, 0]]
    assert heatmap.grad_cam(MAP, pooling, head, 1).tolist() == [[0, 0], [0, 1]]


def test_strengths_are_relative_to_the_strongest_place_and_what_speaks_against_a_class_is_0() -> None:
    assert heatmap.grad_cam(MAP, "average", Head((layer([1, 0], [1, 0]),)), 0).tolist() == [[1, 0], [0, 0.5]]
    assert heatmap.grad_cam(MAP, "average", Head((layer([1, 0], [-1, 0]),)), 0).tolist() == [[1, 0], [0, 0]]
    assert not heatmap.grad_cam(MAP, "average", Head((layer([-1, 0], [-1, 0]),)), 0).any()


def test_a_hidden_neuron_that_is_off_carries_nothing() -> None:
    # The second neuron would carry the second channel to class 0, but what it reads is negative.
    head = Head((layer([1, 0], [0, -1]), layer([1, 0], [-5, 0])))
    assert heatmap.grad_cam(MAP, "average", head, 0).tolist() == [[1, 0], [0, 0]]


def test_of_a_flatten_head_each_channel_counts_by_its_mean_weight_over_all_places() -> None:
    kernel = np.zeros((2, 2, 2, 2), np.float32)  # row, column, channel, class
    kernel[..., 0, 0] = [[4, 0], [0, 0]]
    kernel[..., 1, 0] = [[1, 1], [1, 1]]
    head = Head(((kernel.reshape(8, 2), np.zeros(2, np.float32)),))
    assert heatmap.grad_cam(MAP, "flatten", head, 0).tolist() == [[1, 0], [0, 0.5]]


def test_the_gradient_of_a_head_is_what_a_small_step_changes() -> None:
    rng = np.random.default_rng(0)
    sizes = [(6, 8), (8, 5), (5, 3)]
    head = Head(tuple((rng.normal(size=s).astype(np.float32), rng.normal(size=s[1]).astype(np.float32)) for s in sizes))
    x = rng.normal(size=(4, 6)).astype(np.float32)

    def score(values: np.ndarray) -> np.ndarray:
        for i, (kernel, bias) in enumerate(head.layers):
            values = values @ kernel.astype(np.float64) + bias
            values = np.maximum(values, 0) if i < 2 else values
        return values[:, 1]

    steps = 1e-6 * np.eye(6)
    measured = np.stack([(score(x + step) - score(x - step)) / 2e-6 for step in steps], axis=1)
    np.testing.assert_allclose(head.gradient(x, 1), measured, atol=1e-4)


def test_a_picture_under_its_heat_map_is_colored_where_it_is_hot_grey_elsewhere_and_has_a_line_between() -> None:
    pixels = np.full((80, 80, 3), (40, 120, 200), np.uint8)
    shown = heatmap.overlay(pixels, np.array([[1, 0], [0, 0]], np.float32))
    hot, cold = shown[10, 10].astype(int), shown[70, 70].astype(int)
    assert hot[0] - hot[2] > 100 and cold.max() == cold.min()
    row = shown[10].tolist()
    assert [255, 255, 255] in row and [0, 0, 0] in row


@pytest.mark.parametrize("n", [1, 4, 7, 8, 19])
def test_an_even_heat_map_has_as_much_in_the_border_as_the_border_has_of_the_picture(n: int) -> None:
    assert heatmap.border_share(np.ones((n, n), np.float32)) == pytest.approx(heatmap.border_area()) == 0.4375


def test_what_is_in_the_middle_is_not_in_the_border_and_what_is_in_a_corner_mostly_is() -> None:
    middle, corner = np.zeros((2, 8, 8), np.float32)
    middle[3:5, 3:5] = corner[0, 0] = 1
    assert heatmap.border_share(middle) == pytest.approx(0) and heatmap.border_share(corner) == pytest.approx(1)
    assert heatmap.border_share(np.zeros((8, 8), np.float32)) == 0
