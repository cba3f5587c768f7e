import contextlib
import json
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from core.dataset import Dataset, Facts, File, Picture, Received
from core.disk import locks
from core.errors import HeadstartError
from core.language.catalog import say
from core.pictures import album, receiving, unsorted
from core.pictures.unsorted import Dispute
from core.plan import Plan
from core.result import Result
from core.store.database import _journal, _statements
from core.store.schema import SCRIPTS
from core.store.store import Store


def received(number: int, label: str, key: str, pixels: str | None = None) -> Received:
    file = File(number, f"{label}/{number}.png", "used", label, picture_id=key)
    return Received(file, Facts(key, 10, 20, pixels or key, ()))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_the_same_source_is_the_same_project(store: Store) -> None:
    first = store.add_project("birds", "source")
    assert store.add_project("birds again", "source") == first
    assert store.add_project("birds").id != store.add_project("birds").id
    assert len(store.projects()) == 3


def test_all_projects_are_read_by_one_query(store: Store) -> None:
    for name in ("birds", "pets", "trees"):
        store.add_project(name)
    asked: list[str] = []
    store._connection().set_trace_callback(asked.append)
    assert [project.name for project in store.projects()] == ["trees", "pets", "birds"]
    assert len(asked) == 1


def test_a_picture_received_twice_in_one_class_is_used_once_and_named(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(
        store, project, "a", [received(0, "cat", "k1"), received(1, "cat", "k1"), received(2, "dog", "k2")]
    )
    assert [p.label for p in store.dataset(project).pictures] == ["cat", "dog"]
    assert store.outcomes(project) == {("used", ""): 2, ("excluded", "duplicate"): 1}
    assert [(f.name, f.values["twin"]) for f in store.unused(project)] == [("cat/1.png", "cat/0.png")]


def test_a_picture_with_equal_pixels_in_two_classes_is_used_in_neither(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(store, project, "a", [received(0, "cat", "k1", "same"), received(1, "dog", "k2", "same")])
    assert store.dataset(project).pictures == ()
    assert {(f.name, f.values["twin"]) for f in store.unused(project)} == {
        ("cat/0.png", "dog/1.png"),
        ("dog/1.png", "cat/0.png"),
    }


def test_of_copies_the_file_that_came_first_is_used_whatever_its_delivery_is_called(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(store, project, "z", [received(7, "cat", "k1")])
    receiving.receive(store, project, "m", [received(0, "cat", "k1")])
    receiving.receive(store, project, "z/0", [received(3, "dog", "k1")])  # of the first delivery
    assert unsorted.disputes(store, project) == (Dispute(("cat", "dog"), False, ("k1",)),)
    assert [(f.name, f.reason, f.values["twin"]) for f in store.unused(project)] == [
        ("cat/7.png", "label_conflict", "dog/3.png"),
        ("cat/0.png", "duplicate", "cat/7.png"),
        ("dog/3.png", "label_conflict", "cat/7.png"),
    ]
    album.relabel(store, project, ["k1"], "dog")
    assert [(f.name, f.reason, f.values["twin"]) for f in store.unused(project)] == [
        ("cat/0.png", "duplicate", "cat/7.png"),
        ("dog/3.png", "duplicate", "cat/7.png"),
    ]


def test_a_set_that_is_delivered_again_leaves_what_was_corrected_as_it_is(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(store, project, "z", [received(0, "cat", "k1"), received(1, "dog", "k2")])
    album.relabel(store, project, ["k1"], "dog")
    receiving.receive(store, project, "a", [received(0, "Cat", "k1"), received(1, "dog", "k2")])
    assert store.outcomes(project) == {("used", ""): 2, ("excluded", "duplicate"): 2}
    assert [p.label for p in store.dataset(project).pictures] == ["dog", "dog"]
    receiving.receive(store, project, "b", [received(0, "horse", "k1")])  # this is new, and takes nothing away
    assert store.outcomes(project)[("excluded", "label_other")] == 1
    assert [p.label for p in store.dataset(project).pictures] == ["dog", "dog"]
    assert unsorted.disputes(store, project) == (Dispute(("dog", "horse"), True, ("k1",)),)  # but is asked about


def test_files_of_a_batch_are_remembered_so_that_they_are_not_received_again(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(store, project, "a", [received(0, "cat", "k1"), received(5, "cat", "k2")])
    assert store.received(project, "a") == {0, 5}
    assert store.received(project, "b") == set()


def test_the_same_plan_on_the_same_data_is_one_run(store: Store) -> None:
    project = store.add_project("p").id
    data = Dataset((Picture("k1", "cat", 1, 1, "train"),))
    run = store.add_run(project, {"epochs": 3, "seed": 0}, data)
    assert store.add_run(project, {"seed": 0, "epochs": 3}, data) == run
    assert store.add_run(project, {"epochs": 4, "seed": 0}, data).id != run.id
    assert (
        store.add_run(project, {"epochs": 3, "seed": 0}, Dataset((Picture("k1", "dog", 1, 1, "train"),))).id != run.id
    )


def test_a_plan_of_before_a_setting_came_is_the_plan_with_its_default(store: Store) -> None:
    project = store.add_project("p").id
    data = Dataset((Picture("k1", "cat", 1, 1, "train"),))
    plan = Plan(epochs=3).to_dict()
    older = {name: value for name, value in plan.items() if not name.startswith("fine_tune_")}
    run = store.add_run(project, older, data)
    assert store.add_run(project, plan, data) == run and len(store.runs(project)) == 1
    assert store.add_run(project, plan | {"fine_tune_decay": 0.5}, data).id != run.id


def test_a_failed_transaction_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as db:
        db.execute("INSERT INTO project(id, name, created_at) VALUES ('x', 'x', 0)")
        raise ZeroDivisionError
    assert store.projects() == []


def test_many_threads_write_without_losing_a_row(store: Store) -> None:
    threads = [threading.Thread(target=lambda: [store.add_project("p") for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.projects()) == 80


def test_a_database_of_a_newer_version_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    Store(tmp_path).add_project("p")
    with sqlite3.connect(tmp_path / "headstart.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = (tmp_path / "headstart.db").read_bytes()
    with pytest.raises(HeadstartError) as error:
        Store(tmp_path)
    assert error.value.code == "store_newer" and "version 99" in error.value.message
    assert (tmp_path / "headstart.db").read_bytes() == before


def test_a_home_of_the_first_version_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "headstart.db") as db:
        db.executescript(SCRIPTS[0] + "PRAGMA user_version=1;")
        db.execute("INSERT INTO project(id, name, created_at) VALUES ('p', 'p', 1)")
        job = "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES (?, 'p', ?, '{}', ?, 1)"
        db.executemany(job, [("a", "intake", "failed"), ("b", "train", "cancelled")])
    db.close()
    store = Store(tmp_path)
    rows = store.read("SELECT id, line, spawns FROM job ORDER BY id")
    assert [tuple(row) for row in rows] == [("a", "intake p", 0), ("b", "compute", 0)]
    assert store.row("PRAGMA user_version")[0] == len(SCRIPTS)


@pytest.mark.parametrize(
    ("version", "mode"),
    [((3, 40, 1), "DELETE"), ((3, 44, 6), "WAL"), ((3, 50, 7), "WAL"), ((3, 51, 2), "DELETE"), ((3, 51, 3), "WAL")],
)
def test_wal_is_used_only_where_its_reset_bug_is_fixed(version: tuple[int, ...], mode: str) -> None:
    assert _journal(version)[0] == mode


def test_unknown_ids_are_said_to_be_missing(store: Store) -> None:
    for ask, code in ((store.project, "project_missing"), (store.run, "run_missing")):
        with pytest.raises(HeadstartError) as error:
            ask("nope")
        assert error.value.code == code


def test_a_decision_about_a_picture_in_two_classes_reaches_all_of_its_files(store: Store) -> None:
    project = store.add_project("p").id
    files = [received(0, "cat", "k1", "same"), received(1, "dog", "k2", "same"), received(2, "cat", "k3", "same")]
    receiving.receive(store, project, "a", files)
    assert {file.reason for file in store.unused(project)} == {"label_conflict"}
    album.relabel(store, project, ["k1"], "dog")
    assert [(p.id, p.label) for p in store.dataset(project).pictures] == [("k1", "dog")]
    assert store.outcomes(project) == {("used", ""): 1, ("excluded", "duplicate"): 2}


def test_a_copy_of_a_picture_that_was_left_out_is_not_called_used(store: Store) -> None:
    project = store.add_project("p").id
    receiving.receive(store, project, "a", [received(0, "cat", "k1")])
    album.exclude(store, project, ["k1"])
    receiving.receive(store, project, "b", [received(0, "cat", "k1")])
    assert [file.reason for file in store.unused(project)] == ["left_out"]


def test_a_commit_that_fails_leaves_the_connection_usable(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError), store.write() as db:
        db.execute("PRAGMA defer_foreign_keys=ON")
        db.execute(
            "INSERT INTO run(id, project_id, plan, fingerprint, created_at) VALUES ('r', 'no project', '{}', '', 0)"
        )
    store.add_project("p")
    assert len(store.projects()) == 1


def test_deleting_a_project_keeps_the_pictures_of_others(store: Store) -> None:
    one, two = store.add_project("one").id, store.add_project("two").id
    own, shared = (
        store.pictures.settle(store.pictures.stage([b"own"])),
        store.pictures.settle(store.pictures.stage([b"shared"])),
    )
    receiving.receive(store, one, "a", [received(0, "cat", own), received(1, "cat", shared)])
    receiving.receive(store, two, "a", [received(0, "cat", shared)])
    store.delete_project(one)
    assert [p.id for p in store.dataset(two).pictures] == [shared]
    assert store.pictures.path(shared).is_file() and not store.pictures.path(own).exists()


def test_bytes_are_kept_while_any_project_takes_pictures_in_and_go_with_the_next_chance(store: Store) -> None:
    one, two = store.add_project("one").id, store.add_project("two").id
    shared, own = (
        store.pictures.settle(store.pictures.stage([b"shared"])),
        store.pictures.settle(store.pictures.stage([b"own"])),
    )
    receiving.receive(store, one, "a", [received(0, "cat", shared), received(1, "cat", own)])
    with store.write() as db:
        db.execute(
            "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES ('j', ?, 'intake', '{}', "
            "'running', 0)",
            (two,),
        )
    facts = store.facts(shared)
    store.delete_project(one)
    assert facts is not None
    receiving.receive(store, two, "b", [Received(File(0, "cat/0.png", "used", "cat", picture_id=shared), facts)])
    assert store.pictures.keys() == {shared, own}
    with store.write() as db:
        db.execute("UPDATE job SET state = 'succeeded', ended_at = 1")
    store.sweep()
    assert store.pictures.keys() == {shared}
    assert [p.id for p in store.dataset(two).pictures] == [shared]


def test_bytes_that_an_intake_could_not_use_stay_where_another_has_taken_them_in_or_may_have(store: Store) -> None:
    one, two = store.add_project("one").id, store.add_project("two").id
    row = "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES (?, ?, 'intake', '{}', 'running', 0)"
    with store.write() as db:
        db.executemany(row, [("mine", one), ("other", two)])
    loose, taken = (
        store.pictures.settle(store.pictures.stage([b"loose"])),
        store.pictures.settle(store.pictures.stage([b"taken"])),
    )
    store.discard({loose, taken})
    store.sweep()  # the other has both on the shelf, and has written no row yet
    assert store.pictures.keys() == {loose, taken}
    receiving.receive(store, two, "a", [received(0, "cat", taken)])
    with store.write() as db:
        db.execute("UPDATE job SET state = 'succeeded', ended_at = 1")
    store.sweep()
    assert store.pictures.keys() == {taken}


def test_a_home_of_the_first_version_keeps_its_runs_and_learns_to_describe_them(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "headstart.db") as db:
        for statement in _statements(SCRIPTS[0]):
            db.execute(statement)
        db.execute("INSERT INTO project(id, name, created_at) VALUES ('p', 'birds', 1)")
        db.execute("INSERT INTO run VALUES ('r', 'p', '{\"epochs\": 3}', 'f', '{\"test_n\": 6}', 2)")
        db.execute("PRAGMA user_version=1")
    db.close()
    store = Store(tmp_path)
    run = store.run("r")
    assert (run.result, run.name, run.note, run.starred) == (Result(test_n=6), "", "", False)
    # Settings that came later mean what was done before there was a choice.
    assert (run.plan["epochs"], run.plan["patience"], run.plan["fine_tune_schedule"]) == (3, 0, "constant")
    store.describe_run("r", " the good one ", "light was bad", True)
    again = Store(tmp_path).run("r")
    assert (again.name, again.note, again.starred) == ("the good one", "light was bad", True)
    fresh = Store(tmp_path / "fresh")
    tables = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name"
    assert [tuple(row) for row in store.read(tables)] == [tuple(row) for row in fresh.read(tables)]


def test_a_name_without_end_is_cut(store: Store) -> None:
    run = store.add_run(store.add_project("p").id, {}, Dataset(()))
    store.describe_run(run.id, "n" * 500, "", False)
    assert store.run(run.id).name == "n" * 60


def test_what_is_said_of_a_run_leaves_the_rest_that_is_said_of_it(store: Store) -> None:
    run = store.add_run(store.add_project("p").id, {}, Dataset(()))
    store.describe_run(run.id, name="good")
    store.describe_run(run.id, starred=True)
    store.describe_run(run.id, note="light was bad")
    store.describe_run(run.id, starred=False)
    kept = store.run(run.id)
    assert (kept.name, kept.note, kept.starred) == ("good", "light was bad", False)
    store.describe_run(run.id, name="")
    assert (store.run(run.id).name, store.run(run.id).note) == ("", "light was bad")


def test_a_start_removes_no_bytes_that_no_deletion_wrote_down(store: Store) -> None:
    unknown = store.pictures.settle(store.pictures.stage([b"nobody knows these"]))
    (store.folder("unknown") / "features").mkdir(parents=True)
    store.sweep()
    assert store.pictures.keys() == {unknown} and store.folder("unknown").is_dir()


def test_a_deletion_that_was_cut_short_is_finished_by_the_next_start(store: Store, tmp_path: Path) -> None:
    project = store.add_project("p").id
    key = store.pictures.settle(store.pictures.stage([b"own"]))
    receiving.receive(store, project, "a", [received(0, "cat", key)])
    store.thumbnail(key).parent.mkdir(parents=True)
    store.thumbnail(key).write_bytes(b"jpeg")
    run = store.add_run(project, {}, Dataset(()))
    store.folder(run.id).mkdir(parents=True)
    store.sweep = lambda: None  # type: ignore[method-assign]  # the process dies right after the transaction
    store.delete_project(project)
    assert store.pictures.keys() == {key} and store.folder(run.id).is_dir()
    again = Store(store.home)
    again.sweep()
    assert not again.pictures.keys() and not again.folder(run.id).exists() and not again.thumbnail(key).exists()
    assert again.read("SELECT * FROM removal") == []


def test_bytes_that_came_again_after_their_deletion_stay_even_where_no_row_knows_them(store: Store) -> None:
    project = store.add_project("p").id
    key = store.pictures.settle(store.pictures.stage([b"own"]))
    receiving.receive(store, project, "a", [received(0, "cat", key)])
    store.sweep = lambda: None  # type: ignore[method-assign]
    store.delete_project(project)
    assert store.pictures.settle(store.pictures.stage([b"own"])) == key
    Store(store.home).sweep()
    assert store.pictures.keys() == {key}


def test_a_project_can_be_deleted_while_a_picture_of_an_earlier_deletion_is_here_again(store: Store) -> None:
    one, two = store.add_project("one").id, store.add_project("two").id
    key = store.pictures.settle(store.pictures.stage([b"own"]))
    receiving.receive(store, one, "a", [received(0, "cat", key)])
    with store.write() as db:
        db.execute("INSERT INTO removal VALUES ('picture', ?, 1)", (key,))
    store.delete_project(two)
    assert [p.id for p in store.dataset(one).pictures] == [key] and store.pictures.keys() == {key}


def test_a_database_of_another_program_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "headstart.db") as db:
        db.execute("CREATE TABLE project (x)")
    db.close()
    before = (tmp_path / "headstart.db").read_bytes()
    with pytest.raises(HeadstartError) as error:
        Store(tmp_path)
    assert error.value.code == "store_foreign" and (tmp_path / "headstart.db").read_bytes() == before


def test_a_busy_or_damaged_database_is_said_in_a_sentence(store: Store, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(store.home / "headstart.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store.read("SELECT 1")
        store._connection().execute("PRAGMA busy_timeout=50")  # not ten seconds
        with pytest.raises(HeadstartError) as error:
            store.add_project("p")
    assert error.value.code == "store_busy" and say("try_again") in error.value.hint
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "headstart.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(HeadstartError) as error:
        Store(tmp_path / "other")
    assert error.value.code == "store_damaged"


def test_the_locks_of_the_queues_of_a_project_go_with_it_once_no_process_of_it_lives(store: Store) -> None:
    one, two = store.add_project("one").id, store.add_project("two").id
    row = (
        "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES ('j', ?, 'audit', '{}', 'running', 0)"
    )
    with store.write() as db:
        db.execute(row, (one,))
    queues = [f"line {kind} {one}" for kind in ("intake", "audit", "map")]
    for name in (*queues, f"line intake {two}", "line compute"):
        os.close(locks.take(store.home, name) or 0)
    worker = locks.take(store.home, "j")
    assert worker is not None
    store.delete_project(one)
    assert all((store.home / "locks" / name).exists() for name in queues)
    os.close(worker)
    store.sweep()
    assert {path.name for path in (store.home / "locks").iterdir()} == {f"line intake {two}", "line compute"}
    assert store.read("SELECT * FROM removal") == []


def test_an_upload_that_failed_goes_with_its_project_and_no_name_of_a_removal_leads_elsewhere(store: Store) -> None:
    project = store.add_project("p").id
    for name in ("a1", "a2"):
        (store.home / "inbox" / name).mkdir(parents=True)
    (store.home / "runs" / "other").mkdir(parents=True)
    row = "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES (?, ?, ?, ?, 'failed', 0)"
    with store.write() as db:
        db.execute(row, ("j", project, "intake", json.dumps({"batch": "a1", "path": "x"})))
        db.execute(row, ("k", project, "predict", json.dumps({"batch": "a2", "run": "r"})))
        db.executemany("INSERT INTO removal VALUES ('run', ?, 1)", [("",), ("..",), ("../inbox",)])
    store.delete_project(project)
    assert not list((store.home / "inbox").iterdir()) and (store.home / "runs" / "other").is_dir()
    assert store.read("SELECT * FROM removal") == []
