"""The cache of features: computed once for each picture, kept through damage, cancelling and new labels.

The network is a stand-in that answers with the mean color, so every row can be checked by hand.
"""

import hashlib
import io
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.dataset import Dataset, Picture
from core.disk.blobs import Shelf, sha256
from core.errors import HeadstartError
from core.features import feature_cache
from core.features.feature_cache import Cache, Recipe, Rows, View, extract, fresh_views, trim, views
from core.plan import Plan
from core.progress import Cancelled, Silent
from core.sandbox.process import Children
from core.settings import LIMITS
from tests.recorder import Recorder

RECIPE = Recipe("0" * 64, "average", 16)


class MeanColor:
    """A network whose features are the mean red, green and blue; it counts the pictures it is shown."""

    size, batch = 16, 4

    def __init__(self) -> None:
        self.seen = 0

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert pixels.shape[1:] == (16, 16, 3) and pixels.dtype == np.uint8
        self.seen += len(pixels)
        return pixels.mean(axis=(1, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "SHARD_ROWS", 5)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "pictures")


def color(i: int) -> tuple[int, int, int]:
    return (10 * i, 250 - 10 * i, 7 * i)


def add_pictures(shelf: Shelf, numbers: range) -> list[View]:
    """One-colored pictures as PNG."""
    views = []
    for i in numbers:
        out = io.BytesIO()
        Image.new("RGB", (20, 24), color(i)).save(out, "PNG")
        views.append(View(shelf.settle(shelf.stage([out.getvalue()]))))
    return views


def rows_of(cache: Cache, views: list[View]) -> list[list[int]]:
    return np.rint(cache.read(views)).astype(int).tolist()


def test_extract_fills_the_cache_with_one_row_for_each_view(tmp_path: Path, shelf: Shelf) -> None:
    views, engine, watch = add_pictures(shelf, range(12)), MeanColor(), Recorder()
    cache = Cache(tmp_path / "features", RECIPE)
    assert cache.missing(views) == views
    watch.stage("features", 12)
    extract(cache, engine, shelf, views, watch)
    assert (cache.missing(views), engine.seen, watch.ticks) == ([], 12, {"features": 12})
    assert rows_of(cache, views) == [list(color(i)) for i in range(12)]
    assert len(list(cache.folder.glob("*.npy"))) == 3  # 5 + 5 + 2


def test_rows_come_in_the_order_that_is_asked_for_even_twice(tmp_path: Path, shelf: Shelf) -> None:
    views = add_pictures(shelf, range(12))
    cache = Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, views, Silent())
    order = [11, 0, 7, 0, 3]
    assert rows_of(cache, [views[i] for i in order]) == [list(color(i)) for i in order]


def test_a_later_process_finds_all_rows(tmp_path: Path, shelf: Shelf) -> None:
    views = add_pictures(shelf, range(7))
    extract(Cache(tmp_path / "features", RECIPE), MeanColor(), shelf, views, Silent())
    later, engine = Cache(tmp_path / "features", RECIPE), MeanColor()
    extract(later, engine, shelf, views, Silent())
    assert engine.seen == 0
    assert rows_of(later, views) == [list(color(i)) for i in range(7)]


def test_rows_that_another_process_adds_while_a_cache_is_open_are_not_computed_again(
    tmp_path: Path, shelf: Shelf
) -> None:
    views, engine = add_pictures(shelf, range(12)), MeanColor()
    cache = Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, views[:3], Silent())
    extract(Cache(tmp_path / "features", RECIPE), MeanColor(), shelf, views[:10], Silent())
    assert cache.missing(views) == views[10:]
    extract(cache, engine, shelf, views, Silent())
    assert engine.seen == 2 and rows_of(cache, views) == [list(color(i)) for i in range(12)]


def test_adding_ten_pictures_costs_ten_pictures(tmp_path: Path, shelf: Shelf) -> None:
    views, cache = add_pictures(shelf, range(6)), Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, views, Silent())
    more, engine, watch = add_pictures(shelf, range(16)), MeanColor(), Recorder()
    assert cache.missing(more) == more[6:]
    extract(cache, engine, shelf, more, watch)
    assert engine.seen == sum(watch.ticks.values()) == 10
    assert rows_of(cache, more) == [list(color(i)) for i in range(16)]


def test_a_picture_that_is_there_twice_is_computed_once(tmp_path: Path, shelf: Shelf) -> None:
    views, engine = add_pictures(shelf, range(3)), MeanColor()
    extract(Cache(tmp_path / "features", RECIPE), engine, shelf, views * 2, Silent())
    assert engine.seen == 3


def test_relabeling_and_dividing_anew_cost_nothing(tmp_path: Path, shelf: Shelf) -> None:
    ids = [view.picture_id for view in add_pictures(shelf, range(4))]
    data = Dataset(tuple(Picture(key, "cat", 20, 24, "train") for key in ids))
    cache = Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, [View(p.id) for p in data.pictures], Silent())
    changed = Dataset(tuple(Picture(key, "dog", 20, 24, "val") for key in (ids[0], *ids[2:])))
    assert changed.fingerprint != data.fingerprint
    assert cache.missing(View(p.id) for p in changed.pictures) == []


def test_augmented_views_are_rows_of_their_own_and_always_the_same(tmp_path: Path, shelf: Shelf) -> None:
    rng = np.random.default_rng(0)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(out, "PNG")
    key = shelf.settle(shelf.stage([out.getvalue()]))
    asked = views([key], 3, ("crop", "flip", "light"))
    tables = []
    for name in ("a", "b"):
        cache = Cache(tmp_path / name, RECIPE)
        extract(cache, MeanColor(), shelf, asked, Silent())
        tables.append(cache.read(asked))
    assert len(np.unique(tables[0].round(3), axis=0)) == 4
    np.testing.assert_array_equal(tables[0], tables[1])


def test_copies_altered_in_other_kinds_share_no_rows_but_the_picture_as_it_is_does(
    tmp_path: Path, shelf: Shelf
) -> None:
    (picture,) = add_pictures(shelf, range(1))
    cache = Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, views([picture.picture_id], 1, ("crop", "flip")), Silent())
    for kinds in (("crop",), ("flip",), ("crop", "flip", "light"), ("crop", "flip", "turn")):
        wanted = views([picture.picture_id], 1, kinds)
        assert cache.missing(wanted) == [View(picture.picture_id, 1, kinds)]
    assert cache.missing(views([picture.picture_id], 0, ("light",))) == []


@pytest.mark.parametrize("what", ["weights", "output", "size", "precision", "computed_in"])
def test_another_network_output_size_or_precision_shares_no_rows(tmp_path: Path, shelf: Shelf, what: str) -> None:
    views = add_pictures(shelf, range(2))
    extract(Cache(tmp_path / "features", RECIPE), MeanColor(), shelf, views, Silent())
    changed = {"weights": "1" * 64, "output": "flatten", "size": 32, "precision": "float16", "computed_in": "bfloat16"}
    other = Recipe(**{"weights": "0" * 64, "output": "average", "size": 16, what: changed[what]})
    assert Cache(tmp_path / "features", other).missing(views) == views


def test_features_of_earlier_versions_are_found_under_the_key_they_were_kept_under() -> None:
    for pooling in ("average", "max", "flatten"):
        recipe = Recipe("0" * 64, Plan(pooling=pooling).output, 128)
        assert recipe.network == hashlib.sha256(f"{'0' * 64} {pooling} 128".encode()).hexdigest()[:32]
    new = {Recipe("0" * 64, each.output, 128).key for each in (Plan(), Plan(mirrored=1), Plan(pooling="depths"))}
    assert len(new) == 3


def test_half_precision_keeps_three_digits_in_half_the_bytes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    views = [View(f"{i:064}") for i in range(5)]
    sizes = []
    for precision in ("float32", "float16"):
        cache = Cache(tmp_path, Recipe("0" * 64, "average", 16, precision))
        cache.add(views, values)
        read = cache.read(views)
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, values, rtol=1e-3, atol=1e-6)
        sizes.append(sum(path.stat().st_size for path in cache.folder.iterdir()))
    assert sizes[1] < 0.6 * sizes[0]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 20)


def flip_a_value(path: Path) -> None:
    raw = np.load(path).tobytes()
    data = path.read_bytes()
    assert data.count(raw) == 1
    path.write_bytes(data.replace(raw, raw[:-1] + bytes([raw[-1] ^ 1])))


@pytest.mark.parametrize("damage", [cut, empty, overwrite, flip_a_value])
def test_a_damaged_shard_is_dropped_and_computed_again(tmp_path: Path, shelf: Shelf, damage: object) -> None:
    views = add_pictures(shelf, range(10))
    extract(Cache(tmp_path / "features", RECIPE), MeanColor(), shelf, views, Silent())
    first = next((tmp_path / "features").rglob("*.npy"))
    damage(first)  # type: ignore[operator]
    cache, engine = Cache(tmp_path / "features", RECIPE), MeanColor()
    extract(cache, engine, shelf, views, Silent())
    assert engine.seen == 5
    assert rows_of(cache, views) == [list(color(i)) for i in range(10)]


def test_work_that_was_cut_off_goes_on_at_the_last_finished_shard(tmp_path: Path, shelf: Shelf) -> None:
    views = add_pictures(shelf, range(13))
    with pytest.raises(Cancelled):  # batches of 4 and 1: after 8 pictures the second shard has begun
        extract(Cache(tmp_path / "features", RECIPE), MeanColor(), shelf, views, Recorder(cancel_after=8))
    cache, engine = Cache(tmp_path / "features", RECIPE), MeanColor()
    assert cache.missing(views) == views[5:]
    extract(cache, engine, shelf, views, Silent())
    assert engine.seen == 8
    assert rows_of(cache, views) == [list(color(i)) for i in range(13)]


def test_no_views_are_no_rows(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "features", RECIPE)
    assert len(cache.read([])) == 0 and cache.missing([]) == []


def test_a_shard_is_a_plain_numpy_file_named_by_its_checksum(tmp_path: Path) -> None:
    values = np.arange(15, dtype=np.float32).reshape(5, 3)
    cache = Cache(tmp_path, RECIPE)
    cache.add([View(f"{i:064}") for i in range(5)], values)
    path = next(cache.folder.glob("*.npy"))
    assert sha256(path) == path.stem
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, values)


def test_what_is_too_large_for_memory_is_read_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(17, 6, 2)).astype(np.float32)
    views = [View(f"{i:064}") for i in range(17)]
    cache = Cache(tmp_path, Recipe("0" * 64, "after x", 16, "float16"))
    for start in range(0, 17, 5):
        cache.add(views[start : start + 5], values[start : start + 5])
    order = np.random.default_rng(1).permutation(17)
    held = cache.read([views[i] for i in order])
    monkeypatch.setattr(feature_cache, "LIMITS", replace(LIMITS, matrix_bytes=100))
    rows = cache.read([views[i] for i in order])
    assert isinstance(held, np.ndarray) and isinstance(rows, Rows)
    assert (rows.shape, len(rows)) == ((17, 6, 2), 17)
    for asked in (slice(None), slice(3, 9), slice(20, 30), np.array([16, 0, 3, 3])):
        np.testing.assert_array_equal(rows[asked], held[asked])
        assert rows[asked].dtype == np.float32


def aged_shards(root: Path, recipe: Recipe, ages_s: tuple[int, ...]) -> list[Path]:
    """Shards of one row each, last used so long ago; their cache is closed."""
    cache, paths = Cache(root, recipe), []
    for i, age_s in enumerate(ages_s):
        before = set(cache.folder.iterdir())
        cache.add([View(f"{i:064}")], np.full((1, 1000), i, np.float32))
        (path,) = set(cache.folder.iterdir()) - before
        os.utime(path, (time.time() - age_s, time.time() - age_s))
        paths.append(path)
    return paths


def test_over_the_quota_the_shards_unused_for_longest_go(tmp_path: Path) -> None:
    paths = aged_shards(tmp_path, RECIPE, (9_000, 5_400, 7_200, 60))
    trim(tmp_path, 2 * paths[0].stat().st_size)
    assert [path.exists() for path in paths] == [False, True, False, True]
    left = Cache(tmp_path, RECIPE)
    assert left.missing([View(f"{i:064}") for i in range(4)]) == [View(f"{i:064}") for i in (0, 2)]
    del left
    trim(tmp_path, 0)
    assert not any(path.exists() for path in paths)


def test_what_a_cache_is_open_on_is_never_removed_in_any_process(tmp_path: Path) -> None:
    used, idle = RECIPE, Recipe("1" * 64, "average", 16)
    mine, other = aged_shards(tmp_path, used, (9_000,)), aged_shards(tmp_path, idle, (60,))
    cache = Cache(tmp_path, used)
    script = (
        "import sys; from pathlib import Path; from core.features.feature_cache import trim; trim(Path(sys.argv[1]), 0)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[2], check=True)
    assert mine[0].exists() and not other[0].exists()
    assert len(cache.read([View("0" * 64)])) == 1


def test_rows_on_disk_hold_their_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = aged_shards(tmp_path, RECIPE, (9_000, 9_000))
    monkeypatch.setattr(feature_cache, "LIMITS", replace(LIMITS, matrix_bytes=100))
    rows = Cache(tmp_path, RECIPE).read([View("0" * 64), View(f"{1:064}")])
    trim(tmp_path, 0)
    assert isinstance(rows, Rows) and rows[np.array([1, 0])][:, 0].tolist() == [1, 0]
    del rows
    trim(tmp_path, 0)
    assert not any(path.exists() for path in paths)


def test_more_than_all_features_may_be_is_refused_after_the_first_shard(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "LIMITS", replace(LIMITS, feature_bytes=100))
    engine = MeanColor()
    with pytest.raises(HeadstartError) as caught:
        extract(Cache(tmp_path / "features", RECIPE), engine, shelf, add_pictures(shelf, range(12)), Silent())
    assert caught.value.code == "features_too_large" and engine.seen == 5


def test_the_limit_of_all_features_counts_the_bytes_on_the_disk(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "LIMITS", replace(LIMITS, feature_bytes=100))
    views, engine = add_pictures(shelf, range(12)), MeanColor()  # 12 rows of 3 numbers, 72 bytes
    extract(Cache(tmp_path / "features", replace(RECIPE, precision="float16")), engine, shelf, views, Silent())
    assert engine.seen == 12


def test_reading_counts_as_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path, RECIPE)
    cache.add([View("0" * 64)], np.ones((1, 3), np.float32))
    path = next(cache.folder.glob("*.npy"))
    written = path.stat().st_mtime
    os.utime(path, (1, 1))
    cache.read([View("0" * 64)])
    assert path.stat().st_mtime >= written


def test_pictures_that_are_too_much_together_are_decoded_one_by_one(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = add_pictures(shelf, range(6))
    asked: list[int] = []
    ask = Children.ask

    def limited(self: Children, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        asked.append(len(question["squares"]))
        if asked[-1] > 1:
            raise HeadstartError("child_died")
        return ask(self, question, body)

    monkeypatch.setattr(Children, "ask", limited)
    cache = Cache(tmp_path / "features", RECIPE)
    extract(cache, MeanColor(), shelf, views, Silent())
    assert asked == [6, 1, 1, 1, 1, 1, 1]
    assert rows_of(cache, views) == [list(color(i)) for i in range(6)]


def test_fresh_copies_are_new_in_each_epoch_and_half_of_them_are_mirrored() -> None:
    ids = [f"{n:064}" for n in range(5)]
    seen = [view for epoch in (1, 2, 3) for view in fresh_views(ids, 1, ("flip",), epoch)]
    assert len(seen) == len(set(seen)) == 3 * 2 * 5
    assert all(view.number and view.kinds == ("flip",) for view in seen)
    for epoch in (1, 2, 3):
        mirrored = [view.picture_id for view in fresh_views(ids, 1, ("flip",), epoch) if view.number % 2]
        assert sorted(mirrored) == ids  # each picture once as it is, once mirrored
