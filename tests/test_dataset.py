"""Datasets as values, and how they are divided."""

import hashlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from core.dataset import PARTS, Dataset, Picture, Split, split
from core.errors import HeadstartError
from core.language.catalog import say


def made(counts: Mapping[str, int], part: str | None = None) -> Dataset:
    """So many pictures of each class, with ids as the sha256 of anything gives them."""
    return Dataset(
        tuple(
            Picture(hashlib.sha256(f"{label} {n}".encode()).hexdigest(), label, 30, 20, part)
            for label, count in counts.items()
            for n in range(count)
        )
    )


def pinned(dataset: Dataset, *runs: tuple[str | None, int]) -> Dataset:
    """The first pictures get a part, the next ones another, the rest stays."""
    parts = [part for part, n in runs for _ in range(n)]
    parts += [None] * (len(dataset.pictures) - len(parts))
    return Dataset(tuple(replace(p, part=part) for p, part in zip(dataset.pictures, parts, strict=True)))


def sizes(result: Split, dataset: Dataset) -> dict[str, tuple[int, int, int]]:
    """Train, val and test pictures of each class."""
    counts = Counter((p.label, result.parts[p.id]) for p in dataset.pictures)
    return {label: tuple(counts[label, part] for part in PARTS) for label in dataset.classes}  # type: ignore[misc]


# -- values


def test_classes_and_counts_are_sorted_by_name() -> None:
    data = made({"dog": 3, "Cat": 2, "ant": 1})
    assert data.classes == ("Cat", "ant", "dog")
    assert list(data.counts.items()) == [("Cat", 2), ("ant", 1), ("dog", 3)]


def test_a_part_is_a_dataset_of_its_pictures() -> None:
    data = pinned(made({"cat": 4}), ("train", 3), ("test", 1))
    assert [len(data.part(name).pictures) for name in PARTS] == [3, 0, 1]


def test_the_fingerprint_is_that_of_ids_labels_and_parts_in_any_order() -> None:
    data = made({"cat": 3, "dog": 3}, "train")
    first = data.pictures[0]
    assert Dataset(data.pictures[::-1]).fingerprint == data.fingerprint
    changed = [
        Dataset((replace(first, label="dog"), *data.pictures[1:])),
        Dataset(data.pictures[1:]),
        Dataset((replace(first, part="val"), *data.pictures[1:])),
        Dataset((replace(first, part=None), *data.pictures[1:])),
        Dataset((replace(first, id="0" * 64), *data.pictures[1:])),
    ]
    assert len({data.fingerprint, *(d.fingerprint for d in changed)}) == 6


def test_a_class_needs_two_pictures() -> None:
    made({"cat": 2, "dog": 2}).require_trainable()
    with pytest.raises(HeadstartError) as caught:
        made({"cat": 9, "birds": 1}).require_trainable()
    assert caught.value.message == say("error.too_few_pictures", label="birds", n=1)
    assert caught.value.hint == say("hint.too_few_pictures", label="birds")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 9}, say("error.too_few_classes", n=1, names="cat")),
        ({}, say("error.too_few_classes", n=0, names="none")),
    ],
)
def test_a_model_needs_two_classes(counts: dict[str, int], message: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        made(counts).require_trainable()
    assert caught.value.message == message


# -- splits


def test_each_class_is_divided_by_the_same_fractions() -> None:
    data = made({"cat": 100, "dog": 40, "ant": 20})
    assert sizes(split(data), data) == {"ant": (14, 3, 3), "cat": (70, 15, 15), "dog": (28, 6, 6)}
    assert sizes(split(data, val=0.25, test=0.25), data) == {
        "ant": (10, 5, 5),
        "cat": (50, 25, 25),
        "dog": (20, 10, 10),
    }
    assert sizes(split(data, val=0, test=0.5), data) == {"ant": (10, 0, 10), "cat": (50, 0, 50), "dog": (20, 0, 20)}
    assert sizes(split(data, val=0.5, test=0), data) == {"ant": (10, 10, 0), "cat": (50, 50, 0), "dog": (20, 20, 0)}
    assert sizes(split(data, val=0, test=0), data) == {"ant": (20, 0, 0), "cat": (100, 0, 0), "dog": (40, 0, 0)}


def test_every_picture_is_in_one_part() -> None:
    data = made({"cat": 31, "dog": 7, "ant": 2})
    assert set(split(data).parts) == {p.id for p in data.pictures}
    assert set(split(data).parts.values()) == set(PARTS)
    assert Counter(p.part for p in split(data).apply(data).pictures) == Counter(split(data).parts.values())


@pytest.mark.parametrize(
    ("n", "expected"), [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (2, 0, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (8, (6, 1, 1))]
)
def test_a_tiny_class_keeps_pictures_to_train_on(n: int, expected: tuple[int, int, int]) -> None:
    data = made({"tiny": n, "large": 100})
    assert sizes(split(data), data)["tiny"] == expected


@pytest.mark.parametrize("fractions", [(0.45, 0.5), (0.1, 0.85), (0.85, 0.1), (0.3, 0.3)])
def test_train_is_never_empty(fractions: tuple[float, float]) -> None:
    for n in range(1, 40):
        data = made({"cat": n})
        assert sizes(split(data, 0, *fractions), data)["cat"][0] >= 1, n


def test_the_same_seed_divides_the_same_and_another_differently() -> None:
    data = made({"cat": 50, "dog": 50})
    assert split(data, 7).parts == split(data, 7).parts
    assert split(data, 7).parts != split(data, 8).parts
    assert sizes(split(data, 7), data) == sizes(split(data, 8), data)


def test_the_order_in_which_files_came_does_not_matter() -> None:
    data = made({"cat": 50, "dog": 50})
    shuffled = list(data.pictures)
    random.Random(1).shuffle(shuffled)
    assert split(Dataset(tuple(shuffled)), 3).parts == split(data, 3).parts


def test_pictures_that_have_a_part_keep_it() -> None:
    data = pinned(made({"cat": 40, "dog": 40}), ("train", 20), ("val", 6), ("test", 14))
    result = split(data)
    assert all(result.parts[p.id] == p.part for p in data.pictures if p.part)
    # a class that came without parts is divided like any other
    assert sizes(result, data)["dog"] == (28, 6, 6)


def test_a_part_called_val_without_a_test_part_becomes_the_test_part() -> None:
    data = pinned(made({"cat": 40}), ("train", 30), ("val", 10))
    result = split(data)
    assert {result.parts[p.id] for p in data.pictures if p.part == "val"} == {"test"}
    # and val is taken from train, as for a dataset with a test part of its own
    train, val, test = sizes(result, data)["cat"]
    assert (test, train + val) == (10, 30)
    assert 4 <= val <= 6


def test_the_test_pictures_that_were_sent_are_all_of_their_class() -> None:
    data = pinned(made({"cat": 40, "dog": 40}), ("test", 10))
    result = split(data)
    tested = {key for key, part in result.parts.items() if part == "test"}
    assert tested & {p.id for p in data.pictures if p.label == "cat"} == {p.id for p in data.pictures[:10]}
    assert sizes(result, data)["dog"][2] == 6


def test_a_picture_that_comes_later_deals_no_other_anew() -> None:
    old, more = made({"cat": 40, "dog": 40}), made({"aardvark": 20, "cat": 40, "dog": 40})
    before, after = split(old, 5).parts, split(more, 5).parts
    assert {key: after[key] for key in before} == before


def test_a_class_with_nothing_in_train_cannot_be_learned() -> None:
    data = pinned(made({"cat": 4, "dog": 4}), ("test", 4))
    divided = split(data).apply(data)
    with pytest.raises(HeadstartError, match="All pictures of 'cat' are kept back"):
        divided.require_trainable()


def test_locking_the_test_part_later_changes_nothing_for_the_others() -> None:
    data = made({"cat": 41, "dog": 17, "ant": 5})
    before = split(data, 5).parts
    locked = Dataset(tuple(replace(p, part="test" if before[p.id] == "test" else None) for p in data.pictures))
    assert split(locked, 5).parts == before


def test_pictures_added_later_never_join_a_locked_test_part() -> None:
    old = made({"cat": 40, "dog": 40})
    before = split(old, 5).parts
    new = made({"cat": 60, "dog": 60})
    locked = Dataset(tuple(replace(p, part="test" if before.get(p.id) == "test" else None) for p in new.pictures))
    after = split(locked, 5).parts
    assert {key for key, part in after.items() if part == "test"} == {k for k, part in before.items() if part == "test"}


def test_an_empty_dataset_is_divided_into_nothing() -> None:
    assert split(Dataset(())).parts == {}


# -- groups


def grouped(dataset: Dataset, groups: Mapping[int, str]) -> Dataset:
    """The pictures at these positions get a group."""
    return Dataset(tuple(replace(p, group=groups.get(i)) for i, p in enumerate(dataset.pictures)))


def spans(parts: Mapping[str, str], dataset: Dataset) -> dict[str, set[str]]:
    """The groups that stand in more than one part."""
    found: dict[str, set[str]] = {}
    for p in dataset.pictures:
        if p.group is not None:
            found.setdefault(p.group, set()).add(parts[p.id])
    return {name: some for name, some in found.items() if len(some) > 1}


@pytest.mark.parametrize("seed", range(20))
def test_a_group_never_spans_parts_whatever_classes_it_has(seed: int) -> None:
    rng = random.Random(seed)
    data = made({"cat": 60, "dog": 40, "ant": 25})
    data = grouped(data, {i: f"g{rng.randrange(25)}" for i in range(125) if rng.random() < 0.7})
    result = split(data, seed)
    assert not spans(result.parts, data)
    for label, (train, val, test) in sizes(result, data).items():
        n = data.counts[label]
        assert abs(test - 0.15 * n) <= 4 and abs(val - 0.15 * n) <= 4 and train >= n / 2, (label, train, val, test)


def test_groups_of_one_size_are_divided_by_the_fractions() -> None:
    data = made({"cat": 100, "dog": 100})
    data = grouped(data, {i: f"burst {i // 5}" for i in range(200)})
    assert sizes(split(data), data) == {"cat": (70, 15, 15), "dog": (70, 15, 15)}


def test_a_group_of_one_picture_changes_nothing_for_the_others() -> None:
    data = made({"cat": 40, "dog": 40})
    one = grouped(data, {3: "alone"})
    before, after = split(data, 5), split(one, 5)
    key = data.pictures[3].id
    changed = {k for k in before.parts if before.parts[k] != after.parts[k]} - {key}
    assert len(changed) <= 2  # at most one in test and one in val make room for it


def test_a_class_of_few_large_groups_still_gets_a_test_part() -> None:
    data = made({"cat": 60, "dog": 60})
    data = grouped(data, {i: f"day {i // 20}" for i in range(60)})
    assert sizes(split(data), data)["cat"] == (20, 20, 20)
    halves = grouped(made({"cat": 20}), {i: f"{i // 12}" for i in range(20)})
    assert sizes(split(halves), halves)["cat"] == (12, 0, 8)


def test_a_class_that_is_one_group_stays_in_train() -> None:
    data = grouped(made({"cat": 30, "dog": 30}), dict.fromkeys(range(30), "all"))
    assert sizes(split(data), data)["cat"] == (30, 0, 0)


def test_free_members_follow_the_one_in_the_locked_test_part_and_the_locked_one_stays() -> None:
    data = pinned(made({"cat": 40, "dog": 40}), ("test", 6))
    data = grouped(data, {0: "twin", 20: "twin", 50: "twin"})
    result = split(data)
    assert [result.parts[data.pictures[i].id] for i in (0, 20, 50)] == ["test", "test", "test"]
    assert sizes(result, data)["cat"][2] == 7
    # the dog that came with it counts among the test pictures of its class
    assert sizes(result, data)["dog"][2] == 6


def test_a_group_that_comes_later_never_joins_a_locked_test_part() -> None:
    data = pinned(made({"cat": 40}), ("test", 6))
    data = grouped(data, {i: f"new {i % 7}" for i in range(6, 40)})
    result = split(data)
    assert {key for key, part in result.parts.items() if part == "test"} == {p.id for p in data.pictures[:6]}
    assert not spans(result.parts, data)


def test_a_layout_that_came_with_a_group_in_two_parts_stays_as_it_came() -> None:
    data = pinned(made({"cat": 40}), ("train", 30), ("test", 10))
    data = grouped(data, {0: "twin", 35: "twin"})
    result = split(data)
    assert result.parts[data.pictures[0].id] == "train" and result.parts[data.pictures[35].id] == "test"


def test_a_group_that_came_in_train_is_never_tested() -> None:
    data = pinned(made({"cat": 40}), ("train", 4))
    data = grouped(data, {i: f"g{i % 4}" for i in range(20)})
    for seed in range(20):
        result = split(data, seed)
        assert not spans(result.parts, data)
        assert "test" not in {result.parts[p.id] for p in data.pictures[:20]}


def test_a_picture_that_was_moved_takes_its_group_along_and_deals_no_other_anew() -> None:
    data = grouped(made({"cat": 40, "dog": 40}), {1: "pair", 45: "pair"})
    before = split(data, 3).parts
    target = "val" if before[data.pictures[1].id] != "val" else "train"
    after = split(data, 3, placed={data.pictures[1].id: target}).parts
    pair = {data.pictures[1].id, data.pictures[45].id}
    assert {after[key] for key in pair} == {target}
    assert {key for key in before if before[key] != after[key]} == pair


def test_rows_of_before_there_were_groups_can_still_be_read() -> None:
    data = grouped(made({"cat": 2}, "train"), {1: "g"})
    assert Dataset.from_bytes(data.to_bytes()) == data
    assert Dataset.from_bytes(b'[["k", "cat", 3, 2, "val"]]') == Dataset((Picture("k", "cat", 3, 2, "val"),))


def test_groups_do_not_change_the_fingerprint() -> None:
    data = made({"cat": 4}, "train")
    assert grouped(data, {0: "a", 1: "a"}).fingerprint == data.fingerprint


def test_what_must_stay_does_not_follow_its_group_into_test() -> None:
    data = Dataset(
        tuple(
            Picture(f"{i:02}", "cat", 1, 1, "test" if i < 3 else None, "g" if i in (0, 5, 6, 7) else None)
            for i in range(20)
        )
    )
    assert {split(data, 1).parts[key] for key in ("05", "06", "07")} == {"test"}
    stay = {"05": "train", "06": "val"}
    found = split(data, 1, stay=stay).parts
    assert {key: found[key] for key in ("00", "05", "06", "07")} == {"00": "test", **stay, "07": "val"}
    assert [key for key, part in found.items() if part == "test"] == ["00", "01", "02"]
    assert Counter(found.values()) == {"test": 3, "val": 3, "train": 14}
