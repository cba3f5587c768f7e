"""Durable writes and content-addressed bytes."""

import hashlib
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.disk import blobs
from core.disk.blobs import Shelf

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of b"abc", FIPS 180


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def failing(error: BaseException) -> Iterator[bytes]:
    yield b"half"
    raise error


@pytest.mark.parametrize("chunks", [b"new", [b"n", b"", b"ew"]])
def test_a_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path, chunks: bytes | list[bytes]) -> None:
    path = tmp_path / "deep" / "er" / "file"
    blobs.write(path, b"old and longer")
    blobs.write(path, chunks)
    assert path.read_bytes() == b"new"
    assert files(tmp_path) == ["deep/er/file"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    blobs.write(path, b"old")
    seen = []

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * 100_000
            seen.append(path.read_bytes())

    blobs.write(path, chunks())
    assert seen == [b"old"] * 3
    assert path.stat().st_size == 300_000


def test_what_a_disk_changed_behind_the_back_of_time_is_told_by_a_look_at_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert blobs.is_sound(path, ABC) and blobs.seems_sound(path, ABC)
    at = path.stat().st_mtime_ns
    path.write_bytes(b"abd")
    os.utime(path, ns=(at, at))
    assert not blobs.is_sound(path, ABC) and blobs.seems_sound(path, ABC)
    path.write_bytes(b"abcd")
    assert not blobs.seems_sound(path, ABC)
    path.unlink()
    assert not blobs.is_sound(path, ABC) and not blobs.seems_sound(path, ABC)


def test_an_open_reader_keeps_the_old_bytes_over_a_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    blobs.write(path, b"old")
    with path.open("rb") as reader:
        blobs.write(path, b"new")
        assert reader.read() == b"old"


@pytest.mark.parametrize("error", [ValueError("stream"), OSError(28, "full"), KeyboardInterrupt()])
def test_a_failing_stream_leaves_nothing_and_the_old_file_as_it_was(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    blobs.write(path, b"old")
    with pytest.raises(type(error)):
        blobs.write(path, failing(error))
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    blobs.write(path, b"old" * 1000)
    script = (
        "import resource, sys; from pathlib import Path; from core.disk import blobs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"  # writing more is an OSError
        "blobs.write(Path(sys.argv[1]), [b'x' * 60_000] * 10)"
    )
    root = Path(blobs.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script, str(path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert path.read_bytes() == b"old" * 1000
    assert files(tmp_path) == ["file"]


def test_a_write_over_a_folder_fails_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        blobs.write(tmp_path / "folder", b"x")
    assert files(tmp_path) == []


def test_bytes_are_kept_under_their_sha256(tmp_path: Path) -> None:
    kept = Shelf(tmp_path / "shelf")
    assert kept.settle(kept.stage([b"a", b"", b"bc"])) == ABC
    assert kept.path(ABC) == tmp_path / "shelf" / "ba" / ABC
    assert kept.path(ABC).read_bytes() == b"abc"
    assert blobs.sha256(kept.path(ABC)) == ABC


def test_no_bytes_have_a_key_too(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    assert kept.settle(kept.stage([])) == hashlib.sha256().hexdigest()
    assert kept.path(kept.settle(kept.stage([]))).read_bytes() == b""


def test_keeping_the_same_bytes_twice_stores_them_once(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    kept.settle(kept.stage([b"abc"]))
    before = os.stat(kept.path(ABC))
    assert kept.settle(kept.stage([b"ab", b"c"])) == ABC
    assert os.stat(kept.path(ABC)).st_ino == before.st_ino
    assert files(tmp_path) == [f"ba/{ABC}"]


def test_a_failing_stream_is_not_kept_in_part(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    with pytest.raises(ValueError, match="stream"):
        kept.settle(kept.stage(failing(ValueError("stream"))))
    assert files(tmp_path) == []


def test_dropped_bytes_are_gone_and_can_be_kept_again(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    kept.settle(kept.stage([b"abc"]))
    kept.drop(ABC)
    assert files(tmp_path) == []
    kept.drop(ABC)
    assert kept.settle(kept.stage([b"abc"])) == ABC
    assert files(tmp_path) == [f"ba/{ABC}"]


def test_threads_that_keep_the_same_bytes_get_one_file(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: kept.settle(kept.stage([b"ab", b"c"])), range(64)))
    assert keys == {ABC}
    assert files(tmp_path) == [f"ba/{ABC}"]


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    kept = Shelf(tmp_path)
    tracemalloc.start()
    try:
        kept.settle(kept.stage(bytes([n]) * blobs.CHUNK for n in range(64)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
