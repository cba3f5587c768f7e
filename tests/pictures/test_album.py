import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.dataset import Dataset, Facts, File, Received
from core.errors import HeadstartError
from core.pictures import album, receiving
from core.pictures.album import Filter
from core.store.store import Store
from tests.conftest import left_out_of_test


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def project(store: Store) -> str:
    """Twenty cats and ten dogs, divided."""
    key = store.add_project("pets").id
    labels = ["cat"] * 20 + ["dog"] * 10
    files = [
        Received(
            File(i, f"{label}/{i}.png", "used", label, picture_id=f"k{i:02}"), Facts(f"k{i:02}", 1, 1, f"p{i}", ())
        )
        for i, label in enumerate(labels)
    ]
    receiving.receive(store, key, "a", files)
    album.divide(store, key)
    return key


def test_classes_are_counted_by_part(store: Store, project: str) -> None:
    cat, dog = album.classes(store, project)
    assert (cat.label, cat.n, cat.parts) == ("cat", 20, {"train": 14, "val": 3, "test": 3})
    assert (dog.label, dog.n, dog.parts) == ("dog", 10, {"train": 7, "val": 1, "test": 2})


def test_where_all_pictures_came_as_train_some_are_kept_back_all_the_same(store: Store) -> None:
    key = store.add_project("pets").id

    def received(i: int, part: str | None) -> Received:
        label = "cat" if i % 2 else "dog"
        file = File(i, f"train/{label}/{i}.png", "used", label, part, picture_id=f"k{i:02}")
        return Received(file, Facts(f"k{i:02}", 1, 1, f"p{i}", ()))

    receiving.receive(store, key, "a", [received(i, "train") for i in range(40)])
    album.divide(store, key)
    parts = {row.label: row.parts for row in album.classes(store, key)}
    shares = {"train": 14, "val": 3, "test": 3}
    assert parts == {"cat": shares, "dog": shares}
    before = {p.id: p.part for p in store.dataset(key).pictures}
    album.lock_test(store, key, [name for name, part in before.items() if part == "test"])
    assert {p.id: p.part for p in store.dataset(key).pictures} == before
    other = store.add_project("others").id
    receiving.receive(
        store, other, "a", [received(i, "train") for i in range(40)] + [received(i, None) for i in range(40, 80)]
    )
    album.divide(store, other)  # beside pictures that came without a part "train" says what is not tested on
    tested = {p.id for p in store.dataset(other).part("test").pictures}
    assert len(tested) == 6 and all(name >= "k40" for name in tested)


def test_whether_there_are_classes_is_known_without_counting(store: Store, project: str) -> None:
    assert album.some_classes(store, project) == 2
    album.exclude(store, project, [p.id for p in store.dataset(project).pictures if p.label == "dog"])
    assert album.some_classes(store, project) == 1
    album.exclude(store, project, [p.id for p in store.dataset(project).pictures])
    assert album.some_classes(store, project) == 0


def test_a_page_holds_its_rows_and_no_others(store: Store, project: str) -> None:
    assert [p.id for p in album.page(store, project, Filter("dog"), 8, 5)] == ["k28", "k29"]
    assert album.count(store, project, Filter("cat", "test")) == 3
    assert album.count(store, project, Filter(excluded=True)) == 0


def test_pictures_left_out_are_not_counted_until_they_are_taken_back(store: Store, project: str) -> None:
    album.exclude(store, project, ["k00", "k01"])
    assert album.classes(store, project)[0].n == 18
    assert album.count(store, project, Filter(excluded=True)) == 2
    album.exclude(store, project, ["k00", "k01"], excluded=False)
    assert album.classes(store, project)[0].n == 20


def test_a_new_class_is_made_by_moving_pictures_into_it(store: Store, project: str) -> None:
    album.relabel(store, project, ["k00", "k20"], "  lion ")
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("cat", 19), ("dog", 9), ("lion", 2)]


def test_moving_into_a_class_of_another_spelling_joins_it(store: Store, project: str) -> None:
    album.relabel(store, project, ["k00"], "DOG")
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("cat", 19), ("dog", 11)]


def test_a_class_without_a_name_is_refused(store: Store, project: str) -> None:
    with pytest.raises(HeadstartError, match="The name of the class is empty"):
        album.relabel(store, project, ["k00"], " \n ")


def test_the_shares_of_the_parts_can_be_chosen_until_the_test_part_is_locked(store: Store, project: str) -> None:
    album.set_split(store, project, 0, 0.1, 0.4)
    assert [row.parts["test"] for row in album.classes(store, project)] == [8, 4]
    assert not album.test_is_locked(store, project)
    tested = [p.id for p in album.page(store, project, Filter(part="test"), 0, 99)]
    album.lock_test(store, project, tested)
    album.set_split(store, project, 7, 0.3, 0.1)
    assert [p.id for p in album.page(store, project, Filter(part="test"), 0, 99)] == tested
    assert album.test_is_locked(store, project)


def parts(store: Store, project: str) -> dict[str, str | None]:
    return {p.id: p.part for p in store.dataset(project).pictures}


def state(store: Store, project: str) -> list[tuple[object, ...]]:
    """All that a change may touch."""
    rows = store.read("SELECT * FROM dataset WHERE project_id = ? ORDER BY picture_id", project)
    files = store.read("SELECT * FROM file WHERE project_id = ? ORDER BY batch, number", project)
    return [tuple(row) for row in (*rows, *files)]


# -- undo


def test_every_change_can_be_undone_the_last_one_first(store: Store, project: str) -> None:
    states = [state(store, project)]
    before = (picture for picture in store.dataset(project).pictures if picture.id != "k05")
    earlier = [replace(picture, label="dog") if picture.id == "k06" else picture for picture in before]
    assert album.last_change(store, project) is None and album.undo(store, project) is None
    for change in (
        lambda: album.relabel(store, project, ["k00", "k01"], "lion"),
        lambda: album.exclude(store, project, ["k00", "k22"]),
        lambda: album.exclude(store, project, ["k22"], excluded=False),
        lambda: album.move(store, project, ["k01", "k23"], "val"),
        lambda: album.restore(store, project, Dataset(tuple(earlier))),
    ):
        change()
        states.append(state(store, project))
    codes = []
    while (change := album.last_change(store, project)) is not None:
        states.pop()
        assert album.undo(store, project) == change
        assert state(store, project) == states[-1]
        codes.append((change.code, change.values["n"]))
    assert codes[0][0] == "restore"
    assert codes[1:] == [("move", 2), ("take_back", 1), ("exclude", 2), ("relabel", 2)]
    assert len(states) == 1


def test_a_change_is_undone_once_however_often_its_button_is_pressed(store: Store, project: str) -> None:
    album.exclude(store, project, ["k00"])
    album.exclude(store, project, ["k01"])
    last = album.last_change(store, project)
    assert last is not None
    assert album.undo(store, project, last.number) == last
    assert album.undo(store, project, last.number) is None
    assert album.count(store, project, Filter(excluded=True)) == 1


def test_undoing_a_decision_about_two_classes_brings_the_question_back(store: Store, project: str) -> None:
    twin = Received(File(90, "dog/0.png", "used", "dog", picture_id="k99"), Facts("k99", 1, 1, "p0", ()))
    receiving.receive(store, project, "a", [twin])
    album.divide(store, project)
    before = state(store, project)
    assert store.outcomes(project)[("excluded", "label_conflict")] == 2
    album.relabel(store, project, ["k00"], "dog")
    assert store.outcomes(project)[("excluded", "duplicate")] == 1
    album.undo(store, project)
    assert state(store, project) == before


def test_a_change_that_an_older_headstart_kept_can_be_undone(store: Store, project: str) -> None:
    picture = store.dataset(project).pictures[0]
    before = json.dumps({"pictures": [[picture.id, "old", 0, None, picture.label, 0, None]], "files": []})
    with store.write() as db:
        what = json.dumps({"code": "relabel", "n": 1, "label": picture.label})
        db.execute("INSERT INTO change(project_id, what, before, at) VALUES (?, ?, ?, 1)", (project, what, before))
    assert album.undo(store, project) is not None
    assert {p.id: p.label for p in store.dataset(project).pictures}[picture.id] == "old"


def test_what_came_after_a_change_is_not_overwritten_by_undoing_it(store: Store, project: str) -> None:
    album.move(store, project, ["k00", "k01"], "test")
    album.lock_test(store, project, ["k00"])
    album.undo(store, project)
    now = parts(store, project)
    assert now["k00"] == "test"  # a run has been measured on it
    rows = store.read("SELECT placed FROM dataset WHERE project_id = ? AND picture_id IN ('k00', 'k01')", project)
    assert [row[0] for row in rows] == [None, None]


def test_no_more_than_twenty_changes_are_kept(store: Store, project: str) -> None:
    for i in range(25):
        album.exclude(store, project, ["k00"], excluded=i % 2 == 0)
    undone = 0
    while album.undo(store, project) is not None:
        undone += 1
    assert undone == 20


def test_what_changes_nothing_is_no_change(store: Store, project: str) -> None:
    album.exclude(store, project, ["k00"], excluded=False)
    album.relabel(store, project, ["k00"], "cat")
    assert album.last_change(store, project) is None


# -- parts and groups


def test_moving_pictures_to_a_part_moves_no_others(store: Store, project: str) -> None:
    before = parts(store, project)
    ids = [key for key, part in before.items() if part == "train"][:3]
    album.move(store, project, ids, "test")
    assert parts(store, project) == before | dict.fromkeys(ids, "test")


def test_a_test_part_that_a_run_was_measured_on_can_neither_be_left_nor_entered(store: Store, project: str) -> None:
    before = parts(store, project)
    tested = [key for key, part in before.items() if part == "test"]
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    album.lock_test(store, project, tested)
    trained = next(key for key, part in before.items() if part == "train")
    with pytest.raises(HeadstartError, match="would enter or leave it: 1"):
        album.move(store, project, [trained, tested[0]], "val")
    with pytest.raises(HeadstartError, match="The test part is locked"):
        album.move(store, project, [trained], "test")
    album.move(store, project, [trained], "val")
    assert parts(store, project) == before | {trained: "val"}


def test_groups_stand_in_one_part_and_the_audit_never_outweighs_a_manifest(store: Store, project: str) -> None:
    album.apply_groups(store, project, {"k00": "patient 1", "k01": "patient 1"}, "manifest")
    album.apply_groups(store, project, {"k01": "0", "k02": "0", "k10": "1", "k21": "1"}, "audit")
    groups = {p.id: p.group for p in store.dataset(project).pictures if p.group}
    assert groups == {"k00": "patient 1", "k01": "patient 1", "k02": "patient 1", "k10": "audit 1", "k21": "audit 1"}
    assert album.groups(store, project) == {"manifest": (1, 3, 0), "audit": (1, 2, 0)}
    now = parts(store, project)
    assert now["k00"] == now["k01"] == now["k02"] and now["k10"] == now["k21"]
    album.apply_groups(store, project, {}, "audit")
    groups = {p.id: p.group for p in store.dataset(project).pictures if p.group}
    assert groups == {"k00": "patient 1", "k01": "patient 1"}


def test_pictures_that_are_left_out_keep_their_group_through_an_audit(store: Store, project: str) -> None:
    album.apply_groups(store, project, {"k00": "0", "k01": "0", "k02": "0"}, "audit")
    album.exclude(store, project, ["k01"])
    album.apply_groups(store, project, {"k00": "0", "k02": "0"}, "audit")
    album.exclude(store, project, ["k01"], excluded=False)
    assert [p.group for p in store.dataset(project).pictures if p.group] == ["audit 0"] * 3


def test_groups_of_a_manifest_stay_two_where_an_audit_joins_them(store: Store, project: str) -> None:
    album.apply_groups(store, project, {"k00": "a", "k01": "a", "k02": "b", "k03": "b"}, "manifest")
    album.apply_groups(store, project, dict.fromkeys(["k01", "k02", "k04"], "0"), "audit")
    groups = {p.id: p.group for p in store.dataset(project).pictures if p.group}
    assert groups == {"k00": "a", "k01": "a", "k02": "b", "k03": "b", "k04": "a"}


def test_a_picture_is_moved_with_its_group(store: Store, project: str) -> None:
    album.apply_groups(store, project, {"k00": "a", "k25": "a"}, "manifest")
    album.move(store, project, ["k00"], "test")
    assert (parts(store, project)["k00"], parts(store, project)["k25"]) == ("test", "test")


# -- some pictures


def test_pictures_among_some_are_listed_in_the_order_of_those(store: Store, project: str) -> None:
    which = Filter(among=("k03", "k01", "k25", "k26", "unknown"))
    assert [p.id for p in album.page(store, project, which, 0, 9)] == ["k03", "k01", "k25", "k26"]
    assert album.ids(store, project, which, 1, 2) == ["k01", "k25"]
    assert album.count(store, project, Filter("dog", among=("k03", "k25"))) == 1
    assert album.count(store, project, Filter(among=())) == 0


# -- versions


def test_a_version_is_restored_with_its_pictures_labels_and_parts(store: Store, project: str) -> None:
    album.apply_groups(store, project, {"k00": "a", "k25": "a"}, "manifest")
    then = store.dataset(project)
    album.relabel(store, project, ["k00", "k21"], "lion")
    album.exclude(store, project, ["k05"])
    album.move(store, project, ["k07", "k08"], "val")
    album.set_split(store, project, 9, 0.3, 0.3)
    assert album.restore(store, project, then) == 0
    assert store.dataset(project).fingerprint == then.fingerprint


def test_restoring_pictures_that_were_in_two_classes_decides_about_their_files(store: Store, project: str) -> None:
    then = store.dataset(project)
    twin = Received(File(90, "dog/0.png", "used", "dog", picture_id="k99"), Facts("k99", 1, 1, "p0", ()))
    receiving.receive(store, project, "a", [twin])
    album.divide(store, project)
    before = state(store, project)
    assert store.outcomes(project) == {("used", ""): 29, ("excluded", "label_conflict"): 2}
    album.restore(store, project, then)
    assert store.outcomes(project) == {("used", ""): 30, ("excluded", "duplicate"): 1}
    assert store.dataset(project).fingerprint == then.fingerprint
    album.undo(store, project)
    assert state(store, project) == before


def test_pictures_that_are_taken_back_have_the_spelling_that_their_class_has_now(store: Store, project: str) -> None:
    dogs = album.ids(store, project, Filter("dog"))
    album.exclude(store, project, dogs)
    album.relabel(store, project, ["k00", "k01"], "Dog")
    before = store.dataset(project)
    album.exclude(store, project, dogs, excluded=False)
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("Dog", 12), ("cat", 18)]
    album.undo(store, project)
    assert store.dataset(project) == before


def test_no_picture_that_a_measured_model_was_taught_with_comes_into_the_test_part(store: Store, project: str) -> None:
    tested = [key for key, part in parts(store, project).items() if part == "test"]
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    album.lock_test(store, project, tested)
    taught = [key for key, part in parts(store, project).items() if part == "train"]
    album.relabel(store, project, taught[:9], "lion")  # a class without a test part, which would be dealt one
    album.set_split(store, project, 5, 0.2, 0.4)
    album.exclude(store, project, taught[9:12])
    album.exclude(store, project, taught[9:12], excluded=False)
    assert {key for key, part in parts(store, project).items() if part == "test"} == set(tested)
    came = [
        Received(File(i, f"lion/{i}.png", "used", "lion", picture_id=f"n{i}"), Facts(f"n{i}", 1, 1, f"n{i}", ()))
        for i in range(10)
    ]
    receiving.receive(store, project, "later", came)
    album.divide(store, project)
    dealt = {key for key, part in parts(store, project).items() if part == "test"} - set(tested)
    assert len(dealt) == 8 and all(key.startswith("n") for key in dealt)  # nobody has seen those
    before = parts(store, project)
    album.divide(store, project)
    assert parts(store, project) == before
    album.exclude(store, project, [sorted(key for key in before if key not in tested and key.startswith("k"))[0]])
    left = {key for key, part in parts(store, project).items() if part == "test"} - set(tested)
    assert left <= dealt and len(left) == 7  # 0.4 of 18


def test_test_pictures_that_are_left_out_after_a_measurement_are_known(store: Store, project: str) -> None:
    tested = [key for key, part in parts(store, project).items() if part == "test"]
    album.exclude(store, project, tested[:1])
    assert left_out_of_test(store, project) == set()  # nothing was measured on it
    album.lock_test(store, project, tested[1:])
    album.exclude(store, project, tested[1:3])
    assert left_out_of_test(store, project) == set(tested[1:3])


def test_a_val_folder_that_is_the_test_part_stays_that_for_all_but_what_was_moved(store: Store) -> None:
    key = store.add_project("folders").id
    files = [
        Received(
            File(i, f"{label}/{i}.png", "used", label, part=part, picture_id=f"k{i:02}"),
            Facts(f"k{i:02}", 1, 1, f"p{i}", ()),
        )
        for i, (label, part) in enumerate([(k, "train") for k in "ab" * 20] + [(k, "val") for k in "ab" * 8])
    ]
    receiving.receive(store, key, "a", files)
    album.divide(store, key)
    album.move(store, key, ["k40"], "train")
    album.exclude(store, key, ["k41"])
    before = parts(store, key)
    assert sum(part == "val" for part in before.values()) == 8  # of what was in train
    album.lock_test(store, key, [name for name, part in before.items() if part == "test"])
    assert parts(store, key) == before
    album.exclude(store, key, ["k41"], excluded=False)
    assert parts(store, key) == before | {"k41": "test"}


def test_undoing_gives_a_class_the_spelling_that_it_has_now(store: Store, project: str) -> None:
    cats = album.ids(store, project, Filter("cat"))
    album.relabel(store, project, cats, "dog")
    came = Received(File(0, "Cat/0.png", "used", "Cat", picture_id="n0"), Facts("n0", 1, 1, "n0", ()))
    receiving.receive(store, project, "later", [came])
    album.undo(store, project)
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("Cat", 21), ("dog", 10)]


def test_undoing_does_not_use_a_picture_that_has_come_in_two_classes_since(store: Store, project: str) -> None:
    album.exclude(store, project, ["k00"])
    twin = Received(File(90, "dog/0.png", "used", "dog", picture_id="k99"), Facts("k99", 1, 1, "p0", ()))
    receiving.receive(store, project, "a", [twin])
    album.undo(store, project)
    assert "k00" not in parts(store, project)
    assert store.outcomes(project)[("excluded", "label_conflict")] == 2
    album.relabel(store, project, ["k00"], "dog")
    assert store.outcomes(project)[("excluded", "duplicate")] == 1 and "k00" in parts(store, project)


def test_a_restored_version_leaves_a_measured_test_part_as_it_is(store: Store, project: str) -> None:
    then = store.dataset(project)
    album.set_split(store, project, 9, 0.15, 0.15)
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    tested = {key for key, part in parts(store, project).items() if part == "test"}
    album.lock_test(store, project, sorted(tested))
    stayed = album.restore(store, project, then)
    now = parts(store, project)
    assert {key for key, part in now.items() if part == "test"} == tested
    assert stayed == sum(p.part != now[p.id] for p in then.pictures) > 0


def test_dividing_only_the_classes_that_were_touched_leads_to_what_dividing_all_does(
    store: Store, project: str
) -> None:
    groups = {f"k{i:02}": f"g{i % 3}" for i in (0, 4, 9, 20, 21, 27)}
    album.apply_groups(store, project, groups, "manifest")
    for change in (
        lambda: album.relabel(store, project, ["k00", "k11"], "lion"),
        lambda: album.relabel(store, project, ["k28", "k01"], "lion"),
        lambda: album.exclude(store, project, ["k21", "k12", "k03"]),
        lambda: album.move(store, project, ["k09"], "val"),
        lambda: album.undo(store, project),
        lambda: album.undo(store, project),
    ):
        change()
        now = parts(store, project)
        assert {p.id: p.part for p in album.divide(store, project).pictures} == now


def test_pictures_that_wait_for_a_class_are_no_test_part(store: Store, project: str) -> None:
    loose = File(0, "test/0.png", "used", "", "test", picture_id="w00")
    receiving.receive(store, project, "w", [Received(loose, Facts("w00", 1, 1, "pw", ()))])
    assert not album.test_is_locked(store, project)
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    (key, *_) = album.ids(store, project, Filter("cat", "train"))
    album.move(store, project, [key], "test")  # no score hangs on the part
    assert album.pictures(store, project, [key])[0].part == "test"
    receiving.receive(store, project, "v", [Received(File(0, "val/0.png", "used", "", "val", picture_id="v00"),
                                          Facts("v00", 1, 1, "pv", ()))])  # fmt: skip
    assert not album.test_is_locked(store, project)


def test_a_picture_that_waits_in_a_test_folder_takes_the_test_part_from_no_val_folder(store: Store) -> None:
    project = store.add_project("val").id
    parts = ["train"] * 4 + ["val"] * 4
    files = [
        Received(
            File(i, f"{i}.png", "used", ("cat", "dog")[i % 2], part, picture_id=f"k{i}"),
            Facts(f"k{i}", 1, 1, f"p{i}", ()),
        )
        for i, part in enumerate(parts)
    ]
    loose = File(9, "test/9.png", "used", "", "test", picture_id="k9")
    receiving.receive(store, project, "a", [*files, Received(loose, Facts("k9", 1, 1, "p9", ()))])
    album.divide(store, project)
    tested = [p.id for p in store.dataset(project).part("test").pictures]
    assert tested == ["k4", "k5", "k6", "k7"]
    album.lock_test(store, project, tested[:1])
    with store.write() as db:
        pinned = db.execute("SELECT picture_id FROM dataset WHERE pinned = 'val'").fetchall()
    assert [row[0] for row in pinned] == []
