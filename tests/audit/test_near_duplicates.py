import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.audit import image_statistics, near_duplicates
from core.progress import Silent
from tests.audit.test_image_statistics import scene


def thumbnails(images: list[Image.Image]) -> NDArray[np.uint8]:
    return np.stack([image_statistics.thumbnail(image_statistics.measure(np.asarray(image), 1)) for image in images])


def other(seed: int) -> Image.Image:
    """A smooth picture of its own, with structure of all sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.random((n, n), np.float32)).resize((240, 240), Image.Resampling.BICUBIC))
        for n in (3, 6, 12, 24, 48)
    ]
    values = np.sum(layers, axis=0) / 5 * 255
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    w, h = image.size
    return image.crop((round(left * w), round(top * h), round(w - right * w), round(h - bottom * h)))


@pytest.mark.parametrize("edges", [(0, 0, 0, 0), (0.05, 0, 0, 0), (0, 0.05, 0.03, 0), (0.04, 0.04, 0.04, 0.04)])
def test_a_crop_in_other_light_is_like_its_original_from_either_side(edges: tuple[float, ...]) -> None:
    whole = other(1)
    part = Image.fromarray((np.asarray(cropped(whole, *edges)) * 0.7 + 40).astype(np.uint8))
    both = thumbnails([whole, part])
    assert (
        near_duplicates.likeness(both[:1], both[1:])[0] > 0.85
        and near_duplicates.likeness(both[1:], both[:1])[0] > 0.85
    )


def test_different_pictures_are_not_alike() -> None:
    small = thumbnails([other(seed) for seed in range(30)])
    assert near_duplicates.likeness(small[:-1], small[1:]).max() < 0.6


def test_candidates_hold_every_copy_once_and_hardly_anything_else() -> None:
    originals = [other(seed) for seed in range(40)]
    copies = [image.resize((90, 90)) for image in originals[:10]] + [
        cropped(o, 0.03, 0, 0, 0.03) for o in originals[:10]
    ]
    pairs = near_duplicates.candidates(thumbnails(originals + copies), Silent())
    assert (pairs[:, 0] < pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == len(pairs)
    found = {tuple(pair) for pair in pairs.tolist()}
    assert {(row, row + 40) for row in range(10)} | {(row, row + 50) for row in range(10)} <= found
    assert len(found) <= 40


def test_nearest_in_blocks_is_what_all_cosines_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_BLOCK", 7)
    vectors = near_duplicates.unit(np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    rows, found = near_duplicates.nearest(vectors, 4, Silent())
    assert np.array_equal(rows, np.argsort(-cosines, axis=1)[:, :4])
    assert np.allclose(found, -np.sort(-cosines, axis=1)[:, :4], atol=1e-6)
    assert near_duplicates.nearest(vectors[:1], 4, Silent())[0].shape == (1, 0) and near_duplicates.nearest(
        vectors[:3], 4, Silent()
    )[0].shape == (3, 2)


def test_groups_join_through_others_and_leave_out_those_that_stand_alone() -> None:
    assert near_duplicates.groups(7, [(4, 1), (1, 6), (2, 3)]) == [[1, 4, 6], [2, 3]]
    assert near_duplicates.groups(3, []) == []


def test_the_sample_scene_is_no_twin_of_itself_turned(tmp_path) -> None:  # type: ignore[no-untyped-def]
    both = thumbnails([scene(), scene().rotate(90)])
    assert near_duplicates.likeness(both[:1], both[1:])[0] < 0.5
