"""The sample set: its counts, its determinism and the faults that PLANTED promises."""

import io
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.intake import sample, sample_sets

N = 10  # the fewest pictures per class that hold every planted fault


@cache
def drawn(seed: int = 0, per_class: int = N) -> dict[str, bytes]:
    return dict(sample.draw(seed, per_class))


def pixels(content: bytes, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BOX), np.float32)


def redness(content: bytes) -> float:
    """The share of pixels that are a sign's red, minus the share that are a sign's blue."""
    red, _, blue = np.moveaxis(pixels(content), 2, 0)
    return float((red > 1.8 * blue + 40).mean() - (blue > 2.5 * red + 40).mean())


def test_every_class_has_the_asked_number_of_pictures_plus_the_planted_copies() -> None:
    names = list(drawn())
    copies = [copy for _, copy in sample.PLANTED.duplicates + sample.PLANTED.near_duplicates]
    extra = Counter(name.split("/")[0] for name in [*copies, sample.PLANTED.unreadable])
    assert Counter(name.split("/")[0] for name in names) == {c: N + extra[c] for c in sample.CLASSES}
    assert len(names) == 5 * N + 3 + 4 + 1
    assert "Speed limit/speed-limit-001.jpg" in names


def test_no_name_comes_twice() -> None:
    names = [name for name, _ in sample.draw(per_class=2)]
    assert len(names) == len(set(names)) == 5 * 2 + 2


def test_planted_faults_are_as_many_as_announced_and_inside_one_class() -> None:
    planted = sample.PLANTED
    assert (len(planted.duplicates), len(planted.near_duplicates), len(planted.wrong_labels)) == (3, 4, 2)
    for original, copy in planted.duplicates + planted.near_duplicates:
        assert original.split("/")[0] == copy.split("/")[0]
        assert {original, copy} <= set(drawn())
    assert {*planted.wrong_labels, planted.unreadable} <= set(drawn())


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert dict(sample.draw(5, 1)) == dict(sample.draw(5, 1))


def test_another_seed_gives_other_pictures_under_the_same_names() -> None:
    one, other = drawn(0, 2), drawn(1, 2)
    assert list(one) == list(other)
    assert all(one[name] != other[name] for name in one)


def test_a_picture_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = drawn(0, 2), drawn(0, N)
    assert few.items() <= many.items()


def test_duplicates_are_byte_equal_and_nothing_else_is() -> None:
    files = drawn()
    for original, copy in sample.PLANTED.duplicates:
        assert files[original] == files[copy]
    assert len(set(files.values())) == len(files) - 3


def test_near_duplicates_differ_in_bytes_but_hardly_in_pixels() -> None:
    files = drawn()
    for original, copy in sample.PLANTED.near_duplicates:
        assert files[original] != files[copy]
        assert np.abs(pixels(files[original], (16, 16)) - pixels(files[copy], (16, 16))).mean() < 8, copy


def test_pictures_that_are_no_planted_pair_are_far_apart() -> None:
    copies = {copy for _, copy in sample.PLANTED.duplicates + sample.PLANTED.near_duplicates}
    names = [name for name in drawn() if name not in copies and name != sample.PLANTED.unreadable]
    small = np.stack([pixels(drawn()[name], (16, 16)) for name in names])
    apart = np.abs(small[:, None] - small[None]).mean((2, 3, 4)) + 255 * np.eye(len(names))
    assert apart.min() > 15


def test_near_duplicates_are_a_resized_a_recompressed_a_cropped_copy_and_a_thumbnail() -> None:
    files = drawn()
    pairs = sample.PLANTED.near_duplicates
    sizes = [[Image.open(io.BytesIO(files[name])).size for name in pair] for pair in pairs]
    shares = [round(copy[0] / original[0], 2) for original, copy in sizes]
    assert shares == [0.75, 1.0, 1.0, 0.5]
    assert len(files[pairs[1][1]]) < 0.7 * len(files[pairs[1][0]])


@pytest.mark.parametrize("seed", range(3))
def test_the_unreadable_file_is_a_jpeg_that_pillow_cannot_load(seed: int) -> None:
    content = drawn(seed, 1)[sample.PLANTED.unreadable]
    with Image.open(io.BytesIO(content)) as picture, pytest.raises(OSError, match="truncated"):
        picture.load()


def test_every_other_file_is_an_rgb_jpeg_of_moderate_size() -> None:
    for name, content in drawn().items():
        if name == sample.PLANTED.unreadable:
            continue
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            low = 120 if "thumbnail" in name or "small" in name else 240
            assert low <= min(picture.size) <= max(picture.size) <= 360
        assert 2_000 < len(content) < 60_000


def test_the_wrong_labels_show_a_sign_of_another_color_or_shape_than_their_folder() -> None:
    files, (no_entry, roundabout) = drawn(), sample.PLANTED.wrong_labels
    assert no_entry.startswith("Yield/")
    assert roundabout.startswith("Speed limit/")
    blue = np.median([redness(files[f"Roundabout/roundabout-{n:03}.jpg"]) for n in range(1, N + 1)])
    red = np.median([redness(files[f"No entry/no-entry-{n:03}.jpg"]) for n in range(1, N + 1)])
    assert blue < 0 < red
    assert redness(files[roundabout]) < 0 < redness(files[no_entry])


def test_pictures_vary_in_shape_and_light() -> None:
    contents = [content for name, content in drawn().items() if name != sample.PLANTED.unreadable]
    shapes = {Image.open(io.BytesIO(content)).size for content in contents}
    light = [float(pixels(content).mean()) for content in contents]
    assert len(shapes) >= 5
    assert min(light) < 60
    assert max(light) > 130


def test_a_zip_and_a_folder_hold_the_same_files(tmp_path: Path) -> None:
    sample_sets.write(tmp_path / "signs.ZIP", sample.draw(per_class=2))
    sample_sets.write(tmp_path / "signs", sample.draw(per_class=2))
    with zipfile.ZipFile(tmp_path / "signs.ZIP") as archive:
        zipped = {name: archive.read(name) for name in archive.namelist()}
    folder = tmp_path / "signs"
    written = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert zipped == written == drawn(0, 2)


def test_the_same_seed_gives_the_same_zip_byte_by_byte(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        sample_sets.write(tmp_path / name, sample.draw(3, 1))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_fewer_pictures_leave_out_only_the_faults_whose_picture_is_missing() -> None:
    assert set(drawn(0, 2)) - {
        f"{c}/{c.lower().replace(' ', '-')}-{n:03}.jpg" for c in sample.CLASSES for n in (1, 2)
    } == {"Stop/stop-002-copy.jpg", sample.PLANTED.unreadable}
