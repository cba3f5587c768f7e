"""Heat maps: what they are of a network that can be computed by hand, how they look, and what lies in the border."""

import numpy as np
import pytest

from core.explain import grad_cam
from core.learning.head import Head


def layer(*rows: list[float]) -> tuple[np.ndarray, np.ndarray]:
    kernel = np.array(rows, np.float32)
    return kernel, np.zeros(kernel.shape[1], np.float32)


# Two channels: the first is on at the top left, the second at the bottom right; one view of one map, (1, 2, 2, 2).
MAP = np.zeros((1, 2, 2, 2), np.float32)
MAP[0, 0, 0, 0] = 4
MAP[0, 1, 1, 1] = 2
MAPS = (MAP,)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_each_class_of_a_linear_head_shows_its_own_channel(pooling: str) -> None:
    head = Head((layer([1, 0], [0, 1]),))
    assert grad_cam.grad_cam(MAPS, pooling, head, 0).tolist() == [[1, 0], [0, 0]]
    assert grad_cam.grad_cam(MAPS, pooling, head, 1).tolist() == [[0, 0], [0, 1]]


def test_strengths_are_relative_to_the_strongest_place_and_what_speaks_against_a_class_is_0() -> None:
    assert grad_cam.grad_cam(MAPS, "average", Head((layer([1, 0], [1, 0]),)), 0).tolist() == [[1, 0], [0, 0.5]]
    assert grad_cam.grad_cam(MAPS, "average", Head((layer([1, 0], [-1, 0]),)), 0).tolist() == [[1, 0], [0, 0]]
    assert not grad_cam.grad_cam(MAPS, "average", Head((layer([-1, 0], [-1, 0]),)), 0).any()


def test_a_hidden_neuron_that_is_off_carries_nothing() -> None:
    # The second neuron would carry the second channel to class 0, but what it reads is negative.
    head = Head((layer([1, 0], [0, -1]), layer([1, 0], [-5, 0])))
    assert grad_cam.grad_cam(MAPS, "average", head, 0).tolist() == [[1, 0], [0, 0]]


def test_of_a_flatten_head_each_channel_counts_by_its_mean_weight_over_all_places() -> None:
    kernel = np.zeros((2, 2, 2, 2), np.float32)  # row, column, channel, class
    kernel[..., 0, 0] = [[4, 0], [0, 0]]
    kernel[..., 1, 0] = [[1, 1], [1, 1]]
    head = Head(((kernel.reshape(8, 2), np.zeros(2, np.float32)),))
    assert grad_cam.grad_cam(MAPS, "flatten", head, 0).tolist() == [[1, 0], [0, 0.5]]


def test_the_evidence_of_an_earlier_map_is_added_where_it_is() -> None:
    # The last map is on at the left, the earlier and finer one in one cell at the right.
    last, earlier = np.zeros((1, 2, 2, 1), np.float32), np.zeros((1, 4, 4, 1), np.float32)
    last[0, :, 0], earlier[0, 1, 3] = 4, 16
    head = Head((layer([1.0], [2.0]),))
    assert grad_cam.pool((last, earlier), "average").tolist() == [[2, 1]]
    heat = grad_cam.evidence((last, earlier), "average", head, 0)
    assert heat.shape == (4, 4) and heat[1, 3] == pytest.approx(2.0)
    # Interpolated: each row of the last map is spread over four cells, of which the first two are its own.
    np.testing.assert_allclose(heat[0], [0.25, 0.1875, 0.0625, 0.0])
    assert heat.sum() == pytest.approx(2 * 1 + 1 * 2)


def test_maps_whose_sides_do_not_divide_each_other_add_up_too() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.random((1, n, n, 3)).astype(np.float32) for n in (8, 17, 35)]
    head = Head((layer(*rng.normal(size=(9, 2)).tolist()),))
    heat = grad_cam.evidence(maps, "average", head, 1)
    assert heat.shape == (35, 35)
    assert heat.sum() == pytest.approx(float((grad_cam.pool(maps, "average") @ head.layers[0][0])[0, 1]), rel=1e-5)


def test_the_view_of_the_mirror_image_is_turned_back() -> None:
    both = np.concatenate([MAP, MAP[:, :, ::-1]])  # as a network sees them that treats left and right alike
    head = Head((layer([1, 0], [0, 1]),))
    assert grad_cam.grad_cam((both,), "average", head, 0).tolist() == [[1, 0], [0, 0]]
    assert grad_cam.pool((both,), "average").tolist() == grad_cam.pool(MAPS, "average").tolist()


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
    shown = grad_cam.overlay(pixels, np.array([[1, 0], [0, 0]], np.float32))
    hot, cold = shown[10, 10].astype(int), shown[70, 70].astype(int)
    assert hot[0] - hot[2] > 100 and cold.max() == cold.min()
    row = shown[10].tolist()
    assert [255, 255, 255] in row and [0, 0, 0] in row


@pytest.mark.parametrize("n", [1, 4, 7, 8, 19])
def test_an_even_heat_map_has_as_much_in_the_border_as_the_border_has_of_the_picture(n: int) -> None:
    assert grad_cam.border_share(np.ones((n, n), np.float32)) == pytest.approx(grad_cam.border_area()) == 0.4375


def test_what_is_in_the_middle_is_not_in_the_border_and_what_is_in_a_corner_mostly_is() -> None:
    middle, corner = np.zeros((2, 8, 8), np.float32)
    middle[3:5, 3:5] = corner[0, 0] = 1
    assert grad_cam.border_share(middle) == pytest.approx(0) and grad_cam.border_share(corner) == pytest.approx(1)
    assert grad_cam.border_share(np.zeros((8, 8), np.float32)) == 0
