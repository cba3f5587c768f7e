import errno
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from core.dataset import Dataset
from core.demos import api_keys, published
from core.demos.published import Appearance
from core.disk.blobs import sha256
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.jobs import queue
from core.language.catalog import say
from core.pictures import album
from core.plan import PRESETS, Plan
from core.result import Result
from core.runs import requests
from core.store import backups, recovery
from core.store.schema import SCRIPTS
from core.store.sqlite import database
from core.store.store import Run, Store


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> Path:
    """A home with 36 pictures and one finished training."""
    shutil.copytree(trained, tmp_path / "home")
    return tmp_path / "home"


def rows(store: Store) -> list[tuple[object, ...]]:
    """What is known of every picture."""
    sql = "SELECT project_id, picture_id, label, part FROM dataset ORDER BY project_id, picture_id"
    return [tuple(row) for row in store.read(sql)]


def codes(home: Path) -> list[str]:
    return [notice.code for notice in recovery.notices(home)]


def files(home: Path, *folders: str) -> dict[str, str]:
    """Every file below some folders: its name and what is in it."""
    found = [path for folder in folders for path in (home / folder).rglob("*") if path.is_file()]
    return {path.name: sha256(path) for path in found}


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "header":
        data[:100] = bytes(100)
    elif how == "half":
        del data[len(data) // 2 :]
    elif how == "page":
        data[8192 : 8192 + 400] = b"\xff" * 400
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["gone", "empty", "older", "foreign"])
def test_a_start_without_the_right_database_loses_not_one_picture_and_says_so(
    home: Path, tmp_path: Path, how: str
) -> None:
    before = files(home, "pictures", "runs")
    path = database(home)
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "older":
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA foreign_keys=ON")
            db.executescript("DELETE FROM project; DELETE FROM picture;")
    else:
        Store(tmp_path / "other").add_project("another home's")
        shutil.copy(database(tmp_path / "other"), path)
    recovery.open_home(home)
    assert len(list((home / "aside" / "pictures").glob("*/*"))) == 36
    after = files(home, "aside")
    assert {name: after[name] for name in before if name != Run.FILE} == {
        name: key for name, key in before.items() if name != Run.FILE
    }
    last = recovery.notices(home)[-1]
    assert (last.code, last.values["pictures"], last.values["runs"]) == ("aside", 36, 1)
    if how in ("gone", "empty"):
        assert codes(home)[0] == "begun_missing" and recovery.notices(home)[0].values["pictures"] == 36


def test_pictures_come_back_by_themselves_when_their_database_does(home: Path, tmp_path: Path) -> None:
    before = rows(Store(home))
    shutil.move(database(home), tmp_path / "kept.db")
    recovery.open_home(home)
    shutil.move(tmp_path / "kept.db", database(home))
    store = recovery.open_home(home)
    assert rows(store) == before and len(store.pictures.keys()) == 36
    assert not list((home / "aside" / "pictures").glob("*/*")) and not list((home / "aside" / "runs").glob("*"))
    assert store.is_whole(store.runs(store.projects()[0].id)[0].id)


def test_projects_labels_parts_and_runs_are_rebuilt_from_what_the_runs_wrote_down(home: Path) -> None:
    store = recovery.open_home(home)  # which writes down what an older version had not
    before, project = rows(store), store.projects()[0]
    run = store.runs(project.id)[0]
    database(home).unlink()
    store = recovery.open_home(home)
    assert store.projects() == []
    assert recovery.rebuild(store, say("notice_rebuilt_name")) == 36
    assert rows(store) == before and store.projects()[0].name == project.name
    again = store.run(run.id)
    assert (again.plan, again.result, again.fingerprint) == (run.plan, run.result, run.fingerprint)
    assert requests.is_finished(store, again)
    assert codes(home) == ["rebuilt"] and recovery.notices(home)[0].values == {"pictures": 36, "left": 0}
    picture = store.pictures.path(str(before[0][1]))
    with Predictor(store.folder(run.id)) as predictor:
        assert predictor.predict(picture.read_bytes()).label in {label for _, _, label, _ in before}


def test_a_run_that_does_not_say_whose_it_was_gives_a_new_project_with_its_classes_and_parts(home: Path) -> None:
    store = Store(home)
    before = rows(store)
    for path in (home / "runs").glob(f"*/{Run.FILE}"):
        path.unlink()
    database(home).unlink()
    store = recovery.open_home(home)
    recovery.rebuild(store, say("notice_rebuilt_name"))
    assert [project.name for project in store.projects()] == ["Rebuilt project 1"]
    assert [row[1:] for row in rows(store)] == [row[1:] for row in before]
    assert len(list((home / "aside" / "runs").glob("*"))) == 1  # its files stay
    # It goes on like any other project.
    data = album.divide(store, store.projects()[0].id)
    assert data.counts == {"circle": 12, "square": 12, "triangle": 12}
    assert store.outcomes(store.projects()[0].id) == {("used", ""): 36}


def test_rebuilding_with_damaged_lists_takes_the_others_and_leaves_the_rest_aside(home: Path) -> None:
    recovery.open_home(home)
    shutil.copytree(next((home / "runs").glob("*")), home / "runs" / "cut")
    (home / "runs" / "cut" / "dataset.json").write_text('[["ab')
    database(home).unlink()
    store = recovery.open_home(home)
    assert recovery.rebuild(store, say("notice_rebuilt_name")) == 36
    assert [path.name for path in (home / "aside" / "runs").glob("*")] == ["cut"]


@pytest.mark.parametrize("how", ["header", "half", "page"])
def test_a_damaged_database_is_kept_and_the_newest_sound_backup_put_in_its_place(home: Path, how: str) -> None:
    store = Store(home)
    before = rows(store)
    backups.make(home, "daily")
    newer = backups.make(home, "upgrade").path
    newer.write_bytes(newer.read_bytes()[:5000])  # not sound: the older one is taken
    store.add_project("of after the backup")
    damage(database(home), how)
    damaged = database(home).read_bytes()
    store = recovery.open_home(home)
    assert rows(store) == before and len(store.projects()) == 1
    notice = recovery.notices(home)[0]
    assert notice.code == "restored_damaged"
    assert notice.values["when"] == time.strftime("%Y-%m-%d %H:%M", time.localtime(backups.all_of(home)[-1].at))
    assert (home / notice.values["kept"]).read_bytes() == damaged
    recovery.dismiss(home, notice)
    recovery.open_home(home)
    assert codes(home) == []


def test_without_a_backup_a_damaged_database_is_kept_and_the_runs_bring_the_projects_back(home: Path) -> None:
    before = rows(recovery.open_home(home))
    damage(database(home), "header")
    store = recovery.open_home(home)
    assert codes(home) == ["begun_damaged", "aside"] and len(list((home / "replaced").glob("*"))) == 1
    recovery.rebuild(store, say("notice_rebuilt_name"))
    assert rows(store) == before


def test_a_restored_backup_takes_up_no_work_of_then_and_removes_nothing(home: Path) -> None:
    store = Store(home)
    project, key = store.projects()[0].id, str(rows(store)[0][1])
    with store.write() as db:
        db.execute("INSERT INTO removal VALUES ('picture', ?, ?)", (key, time.time() + 60))
        db.execute(
            "INSERT INTO job(id, project_id, kind, params, state, created_at) "
            "VALUES ('j', ?, 'train', '{}', 'queued', 1)",
            (project,),
        )
    backups.make(home, "daily")
    database(home).unlink()
    gone = str(rows(store)[1][1])
    store.pictures.drop(gone)
    store = recovery.open_home(home)
    assert store.read("SELECT * FROM removal") == [] and queue.get(store, "j").state == "cancelled"
    assert len(store.pictures.keys()) == 35
    # Bytes that have gone since are not used: a row never points to what is not there.
    assert gone not in {p.id for p in store.dataset(project).pictures}


def test_only_a_start_of_the_server_begins_a_database_beside_pictures(home: Path) -> None:
    database(home).unlink()
    with pytest.raises(HeadstartError) as error:
        Store(home)
    assert error.value.code == "store_missing" and "streamlit run app.py" in error.value.hint
    assert not database(home).exists()


def test_a_database_that_goes_while_it_is_in_use_is_not_made_anew_by_the_way(home: Path) -> None:
    store = Store(home)
    database(home).unlink()
    del store._local.connection  # as in a new thread
    with pytest.raises(HeadstartError) as error:
        store.projects()
    assert error.value.code == "disk_trouble" and not database(home).exists()


def test_what_an_intake_has_not_committed_yet_is_not_moved(home: Path) -> None:
    store = Store(home)
    key = store.pictures.settle(store.pictures.stage([b"just arrived"]))
    with store.write() as db:
        db.execute(
            "INSERT INTO job(id, project_id, kind, params, state, created_at) "
            "VALUES ('j', ?, 'intake', '{}', 'paused', 1)",
            (store.projects()[0].id,),
        )
    recovery.open_home(home)
    assert store.pictures.path(key).is_file() and codes(home) == []


def test_a_backup_is_made_once_a_day_and_before_an_upgrade_and_old_ones_go(home: Path) -> None:
    store = Store(home)
    recovery.back_up(store)
    recovery.back_up(store)
    assert [each.why for each in backups.all_of(home)] == ["daily"]
    first = backups.all_of(home)[0].path
    first.rename(first.with_name("20200101-000000-daily.db"))
    recovery.back_up(store)
    assert len(backups.all_of(home)) == 2
    for day in range(1, 10):
        shutil.copy(backups.all_of(home)[0].path, home / "backups" / f"202101{day:02}-000000-daily.db")
    (home / "backups" / "of mine.db").write_bytes(b"not ours")
    backups.all_of(home)[0].path.unlink()
    recovery.back_up(store)
    assert len(backups.all_of(home)) == 7 and (home / "backups" / "of mine.db").exists()
    database(home).unlink()
    with closing(sqlite3.connect(database(home))) as db:
        db.executescript("".join(SCRIPTS[:6]) + "PRAGMA user_version=6;")
    Store(home)
    made = backups.all_of(home)[0]
    assert made.why == "upgrade" and backups.version(made.path) == 6
    assert backups.version(database(home)) == len(SCRIPTS)


def test_an_empty_home_is_not_backed_up_and_a_failed_backup_is_told_until_one_succeeds(tmp_path: Path) -> None:
    store = recovery.open_home(tmp_path / "home")
    recovery.back_up(store)
    assert backups.all_of(store.home) == [] and codes(store.home) == []
    store.add_project("p")
    (store.home / "backups").write_bytes(b"a file where the folder should be")
    recovery.back_up(store)
    assert codes(store.home) == ["backup_failed"]
    (store.home / "backups").unlink()
    recovery.back_up(store)
    assert codes(store.home) == [] and len(backups.all_of(store.home)) == 1


def test_a_chosen_backup_is_put_back_and_what_it_replaces_is_backed_up_first(home: Path) -> None:
    store = Store(home)
    then = backups.make(home, "daily")
    store.add_project("of after the backup")
    store = recovery.restore(home, then)
    assert len(store.projects()) == 1 and codes(home) == ["restored_chosen"]
    newest = backups.all_of(home)[0]
    assert newest.why == "restore"
    assert len(recovery.restore(home, newest).projects()) == 2


def test_a_restored_backup_lets_nobody_in_again_whom_its_owner_had_shut_out(home: Path) -> None:
    store = Store(home)
    run = store.runs(store.projects()[0].id)[0]
    still, ended = (published.publish(store, run, Appearance(title)) for title in ("still", "ended"))
    (kept, _), (gone, _) = (api_keys.make(store, still, name) for name in ("kept", "gone"))
    then = backups.make(home, "daily")
    published.revoke(store, ended.id)
    api_keys.revoke(store, gone)
    store = recovery.restore(home, then)
    assert [demo.id for demo in published.of_project(store, run.project_id) if demo.is_open] == [still.id]
    assert [key.id for key in api_keys.of_demo(store, still) if key.revoked_at is None] == [kept.id]


def test_a_finished_run_is_written_down_with_all_that_its_row_says(home: Path) -> None:
    store = recovery.open_home(home)
    run = store.runs(store.projects()[0].id)[0]
    written = json.loads((store.root(run.id) / Run.FILE).read_bytes())
    assert written["project_id"] == run.project_id and Plan.from_dict(written["plan"]) == Plan.from_dict(run.plan)
    assert written["artifacts"] == store.files(run.id) and Result.from_dict(written["result"]) == run.result
    assert Dataset.from_bytes((store.root(run.id) / "dataset.json").read_bytes()).fingerprint == run.fingerprint


def test_a_sound_database_that_may_not_be_read_is_neither_replaced_nor_called_damaged(home: Path) -> None:
    backups.make(home, "daily")
    database(home).rename(home / "elsewhere")
    database(home).mkdir()  # what SQLite cannot open, whoever asks
    (database(home) / "file").write_bytes(b"x" * 5_000)
    with pytest.raises(HeadstartError) as error:
        backups.version(database(home))
    assert error.value.code == "disk_trouble"


def test_a_backup_for_which_there_is_no_room_leaves_the_database_as_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, before = Store(home), database(home).read_bytes()
    then = backups.make(home, "daily")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        recovery.restore(home, then)
    assert database(home).read_bytes() == before and len(store.projects()) == 1
    assert not (home / "replaced").exists() and not list(home.glob(".tmp-*"))


def test_a_database_without_tables_beside_pictures_counts_as_lost(home: Path) -> None:
    before = rows(Store(home))
    backups.make(home, "daily")
    database(home).unlink()
    with closing(sqlite3.connect(database(home))) as db:
        db.executescript("CREATE TABLE x(y); DROP TABLE x;")
    assert database(home).stat().st_size > 0
    assert rows(recovery.open_home(home)) == before and codes(home) == ["restored_missing"]


def test_what_was_left_out_before_the_newest_training_is_left_out_in_a_rebuilt_project(home: Path) -> None:
    store = recovery.open_home(home)
    project, key = store.projects()[0].id, str(rows(store)[0][1])
    album.exclude(store, project, [key])
    run = requests.prepare(store, project, PRESETS["linear"], album.divide(store, project))
    store.record(run.id, Result(test_n=0), {})
    os.utime(store.root(run.id) / "dataset.json", (time.time() + 10, time.time() + 10))
    database(home).unlink()
    store = recovery.open_home(home)
    assert recovery.rebuild(store, say("notice_rebuilt_name")) == 36
    assert len(store.dataset(project).pictures) == 35
    assert key not in {p.id for p in store.dataset(project).pictures} and key in {row[1] for row in rows(store)}


def test_a_record_that_is_not_whole_costs_the_row_of_its_run_and_nothing_else(home: Path) -> None:
    store = recovery.open_home(home)
    run = store.runs(store.projects()[0].id)[0]
    path = store.root(run.id) / Run.FILE
    path.write_text(json.dumps({"project_id": "p", "plan": {}}))
    database(home).unlink()
    store = recovery.open_home(home)
    assert recovery.rebuild(store, say("notice_rebuilt_name")) == 36
    assert store.runs(store.projects()[0].id) == []


def test_what_a_user_said_of_a_run_comes_back_with_it(home: Path) -> None:
    store = recovery.open_home(home)
    run = store.runs(store.projects()[0].id)[0]
    store.describe_run(run.id, "the good one", "light was bad", True)
    database(home).unlink()
    store = recovery.open_home(home)
    recovery.rebuild(store, say("notice_rebuilt_name"))
    again = store.run(run.id)
    assert (again.name, again.note, again.starred) == ("the good one", "light was bad", True)


def test_a_stop_makes_a_copy_if_something_has_changed_since_the_newest(home: Path) -> None:
    store = Store(home)
    recovery.back_up(store)
    os.utime(database(home), (time.time() + 5, time.time() + 5))
    recovery.back_up(store, stopping=True)
    assert [each.why for each in backups.all_of(home)] == ["stop", "daily"]
    os.utime(database(home), (1, 1))
    recovery.back_up(store, stopping=True)
    assert len(backups.all_of(home)) == 2


def test_a_start_offers_to_rebuild_for_as_long_as_there_is_something_to_rebuild(home: Path) -> None:
    recovery.open_home(home)
    database(home).unlink()
    recovery.open_home(home)
    for notice in recovery.notices(home):
        recovery.dismiss(home, notice)
    store = recovery.open_home(home)
    assert codes(home) == ["aside"]
    recovery.rebuild(store, say("notice_rebuilt_name"))
    recovery.dismiss(home, recovery.notices(home)[0])
    recovery.open_home(home)
    assert codes(home) == []


def test_what_came_again_meanwhile_is_kept_once_and_a_damaged_copy_costs_no_sound_one(home: Path) -> None:
    known = [str(row[1]) for row in rows(Store(home))]
    database(home).rename(home / "kept.db")
    recovery.open_home(home)
    (home / "kept.db").replace(database(home))
    for key in known[:2]:
        aside = home / "aside" / "pictures" / key[:2] / key
        target = home / "pictures" / key[:2] / key
        target.write_bytes(aside.read_bytes() if key == known[0] else b"damaged")
    store = recovery.open_home(home)
    assert {path.name for path in (home / "aside" / "pictures").glob("*/*")} == {known[1]}
    assert store.pictures.keys() == set(known)
