from collections.abc import Mapping
from pathlib import Path

import pytest

from core.__main__ import main
from core.dataset import Facts, File, Received
from core.jobs import queue
from core.language.catalog import say
from core.pictures import album, counts, receiving
from core.plan import DIALS, Plan, suggest
from core.store.store import Store
from tests import drawing
from tests.visits import visit


def received(store: Store, parts: Mapping[str | None, int], labels: tuple[str, ...] = ("cat", "dog")) -> str:
    """A project with so many pictures of each class from folders of these names (None: of no part); not divided."""
    key = store.add_project("pets").id
    named = [(part, label) for part, n in parts.items() for label in labels for _ in range(n)]
    files = [
        Received(
            File(i, f"{i}.png", "used", label, part=part, picture_id=f"k{i:04}"), Facts(f"k{i:04}", 1, 1, f"p{i}", ())
        )
        for i, (part, label) in enumerate(named)
    ]
    receiving.receive(store, key, "a", files)
    return key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_what_is_learned_from_is_train_and_val_and_never_test(store: Store) -> None:
    key = received(store, {"train": 20, "val": 5, "test": 100})
    album.divide(store, key)
    found = counts.of(store, key)
    assert found.learned == {"cat": 25, "dog": 25} and found.n_learned == 50
    assert found.by_part == {"train": 40, "val": 10, "test": 200}


@pytest.mark.parametrize(
    "parts", [{None: 40}, {"train": 40}, {"train": 20, "val": 20}, {"train": 30, "test": 10}, {"train": 3, "val": 2}]
)
def test_pictures_that_are_not_divided_yet_count_as_they_will_be(store: Store, parts: dict[str | None, int]) -> None:
    key = received(store, parts)
    before = counts.of(store, key).learned
    assert {row["part"] for row in store.read("SELECT part FROM dataset")} == {None}  # asking divides nothing
    album.divide(store, key)
    assert counts.of(store, key).learned == before


def test_pictures_that_are_left_out_do_not_count(store: Store) -> None:
    key = received(store, {"train": 20, "test": 5})
    album.divide(store, key)
    album.exclude(store, key, ["k0000", "k0001"])
    assert counts.of(store, key).learned == {"cat": 18, "dog": 20}


def test_the_dial_suggests_the_same_plan_with_45_and_with_500_test_pictures_beside_250(store: Store) -> None:
    labels = ("a1", "b2", "c3", "d4", "e5")
    plans = []
    for tested in (9, 100):
        key = received(store, {"train": 42, "val": 8, "test": tested}, labels)
        album.divide(store, key)
        assert len(store.dataset(key).pictures) == 5 * (50 + tested)
        plans.append([suggest(dial, counts.of(store, key).learned) for dial in DIALS])
    assert plans[0] == plans[1]
    assert [plan.augment for plan in plans[0]] == [0, 3, 3] and plans[0][2].fine_tune_blocks == 3


@pytest.fixture
def many_tested(tmp_path: Path) -> Path:
    """Ten pictures a class to learn from beside seventy to test on, which are too many for altered copies."""
    root = tmp_path / "set"
    for part, first, n in (("train", 0, 8), ("val", 100, 2), ("test", 200, 70)):
        for label in ("circle", "square"):
            (root / part / label).mkdir(parents=True)
            for i in range(n):
                drawing.draw(label, first + i, side=32).save(root / part / label / f"{i}.png")
    return root


@pytest.mark.usefixtures("at_once")
def test_the_command_line_and_the_page_suggest_the_plan_of_what_is_learned_from(
    tmp_path: Path, many_tested: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    home = tmp_path / "home"
    assert main(["run", str(many_tested), "--home", str(home), "--json"]) == 0
    store = Store(home)
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    expected = suggest("balanced", {"circle": 10, "square": 10})
    assert Plan.from_dict(run.plan) == expected and expected.augment == 3
    monkeypatch.setattr(queue, "PROCESS", [])
    said = visit(home, project.id, "train")["said"]["train"]
    assert say("preview", n=3) in said["caption"]
    assert suggest("balanced", {"circle": 80, "square": 80}).augment == 0
