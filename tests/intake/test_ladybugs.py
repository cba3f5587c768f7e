"""The sample that is hard on purpose: its counts, its determinism, and that its classes differ in spots alone."""

import io
from collections import Counter
from functools import cache

import numpy as np
from PIL import Image

from core.intake import ladybugs, sample_sets

N = 24


@cache
def drawn(seed: int = 0, per_class: int = N) -> dict[str, bytes]:
    return dict(ladybugs.draw(seed, per_class))


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (200, 200))
        return np.asarray(picture, np.float32)


def test_every_class_has_as_many_files_as_asked_for_and_the_set_says_how_many_there_are() -> None:
    assert Counter(name.split("/")[0] for name in drawn()) == dict.fromkeys(ladybugs.CLASSES, N)
    assert "Two spots/two-spots-001.jpg" in drawn()
    assert len(set(drawn().values())) == 4 * N
    assert sample_sets.SETS["ladybugs"].n_files == 4 * ladybugs.PER_CLASS == 320


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    assert dict(ladybugs.draw(3, 2)) == dict(ladybugs.draw(3, 2))
    assert drawn(0, 2).items() <= drawn().items()
    assert all(drawn(0, 2)[name] != content for name, content in drawn(1, 2).items())


def test_a_class_has_the_number_of_spots_in_its_name() -> None:
    spots = {label: sum(2 if x else 1 for x, _ in places) for label, places in ladybugs.CLASSES.items()}
    assert spots == {"Two spots": 2, "Five spots": 5, "Seven spots": 7, "Ten spots": 10}


def test_mean_colors_do_not_tell_the_classes_apart() -> None:
    """The nearest class in mean color, of the other pictures, is right hardly more often than chance is (1 in 4)."""
    labels = np.array([name.split("/")[0] for name in drawn()])
    means = np.stack([pixels(content).mean((0, 1)) for content in drawn().values()])
    right = 0
    for i in range(len(means)):
        others = np.arange(len(means)) != i
        centers = {label: means[others & (labels == label)].mean(0) for label in ladybugs.CLASSES}
        right += min(centers, key=lambda label: float(np.linalg.norm(centers[label] - means[i]))) == labels[i]
    assert right / len(means) < 0.4
