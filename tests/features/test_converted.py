import os
from pathlib import Path

import pytest

from core.features import converted

DATA = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "damaged", [DATA[:5000] + b"\0" * 64 + DATA[5064:], DATA[:5000], b"", None], ids=["flipped", "cut", "empty", "gone"]
)
def test_a_network_that_is_not_as_it_was_kept_counts_as_missing(tmp_path: Path, damaged: bytes | None) -> None:
    path = tmp_path / "a.tflite"
    converted.keep(path, DATA)
    assert converted.is_whole(path) and path.read_bytes() == DATA
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    assert not converted.is_whole(path)
    converted.keep(path, DATA)
    assert converted.is_whole(path)


def test_a_network_of_which_no_sha256_is_known_counts_as_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(DATA)
    assert not converted.is_whole(path)
    converted.keep(path, DATA)
    converted.speed_path(path, "key").write_text("1.5")
    converted.drop(path)
    assert not converted.is_whole(path) and not list(tmp_path.iterdir())


def kept(folder: Path, hour: int, **quota: int) -> Path:
    """A network that was used last in this hour."""
    path = folder / f"{hour:032x}.tflite"
    converted.keep(path, DATA, **quota)
    os.utime(path.with_suffix(".sha256"), (3600 * hour, 3600 * hour))
    return path


def test_networks_used_longest_ago_go_when_all_together_are_too_large(tmp_path: Path) -> None:
    first, second, third = (kept(tmp_path, hour) for hour in (1, 2, 3))
    for path in (first, second):
        converted.speed_path(path, "key").write_text("1.5")
    assert converted.is_whole(first)  # which uses it
    fourth = kept(tmp_path, 4, quota=3 * len(DATA))
    assert [path.exists() for path in (first, second, third, fourth)] == [True, False, True, True]
    assert [path.name for path in tmp_path.glob(f"{second.stem}*")] == []
    assert converted.speed_path(first, "key").is_file()


def test_a_network_stays_that_is_larger_than_all_may_be(tmp_path: Path) -> None:
    old, new = kept(tmp_path, 1), kept(tmp_path, 2, quota=10)
    assert not old.exists() and converted.is_whole(new)


def test_files_that_are_not_known_stay_however_large_they_are(tmp_path: Path) -> None:
    strange = [tmp_path / "mine.tflite", tmp_path / f"{'a' * 32}.tflite", tmp_path / "notes.txt"]
    for path in strange:
        path.write_bytes(DATA)
    (tmp_path / "mine.sha256").write_text("beside")
    kept(tmp_path, 1, quota=10)
    assert all(path.exists() for path in strange)
