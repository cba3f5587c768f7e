"""A project as an archive, and back: what comes out is what went in, or nothing does."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.archives import contents, opening, packing
from core.demos import published, reviews
from core.demos.published import Appearance
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.intake import archive
from core.jobs import queue
from core.jobs.queue import Job
from core.pictures import album, versions
from core.store.rows import archive_rows
from core.store.store import Project, Run, Store
from tests import drawing
from tests.workers import wait

OLD = Path(__file__).with_name("format_1.headstart.zip")
Change = Callable[[dict[str, bytes]], None]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, suggested: Path) -> Store:
    """A home whose project has all that an archive carries."""
    store = Store(shutil.copytree(suggested, tmp_path_factory.mktemp("source") / "home"))
    (project,) = store.projects()
    run = _finished(store, project)
    store.describe_run(run.id, name="best", note="one note")
    store.promote(run)
    album.relabel(store, project.id, [store.dataset(project.id).pictures[0].id], "new class")
    demo = published.publish(store, run, Appearance("Shapes"), "a passcode")
    with Predictor(*store.model(run.id)) as predictor:
        data = _png(7)
        reviews.keep(store, demo, predictor.predict(data, show_px=64), "circle")
    return store


@pytest.fixture(scope="module")
def packed(source: Store) -> bytes:
    return b"".join(packing.chunks(source, source.projects()[0].id))


def _png(n: int) -> bytes:
    out = io.BytesIO()
    drawing.draw("circle", n).save(out, "PNG")
    return out.getvalue()


def _finished(store: Store, project: Project) -> Run:
    return next(run for run in store.runs(project.id) if run.result is not None)


def _open(store: Store, data: bytes, tmp_path: Path) -> Job:
    path = tmp_path / f"{hashlib.sha256(data).hexdigest()[:8]}.headstart.zip"
    path.write_bytes(data)
    return wait(store, opening.begin_file(store, path, path.name))


def _changed(data: bytes, change: Change, sums: bool = True) -> bytes:
    """The archive with some entries changed, and a manifest that says so (`sums`) or not."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    if sums:
        manifest = json.loads(entries[contents.MANIFEST])
        told = {name: hashlib.sha256(each).hexdigest() for name, each in entries.items() if name != contents.MANIFEST}
        entries[contents.MANIFEST] = json.dumps(manifest | {"sums": told}).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, each in entries.items():
            file.writestr(name, each)
    return out.getvalue()


def _row(entries: dict[str, bytes], table: str, **values: object) -> None:
    """Change some columns of the first row of a table."""
    name = f"tables/{table}.jsonl"
    first, *others = entries[name].splitlines()
    entries[name] = b"\n".join([json.dumps(json.loads(first) | values).encode(), *others])


@pytest.mark.usefixtures("in_process")
def test_what_comes_out_is_what_went_in(source: Store, packed: bytes, store: Store, tmp_path: Path) -> None:
    job = _open(store, packed, tmp_path)
    assert job.state == "succeeded", job.failure
    (before,), (after,) = source.projects(), store.projects()
    assert after.id == job.project_id != before.id
    assert (after.name, after.split_seed, after.val, after.test) == (
        before.name, before.split_seed, before.val, before.test,
    )  # fmt: skip
    assert store.dataset(after.id) == source.dataset(before.id)
    assert store.outcomes(after.id) == source.outcomes(before.id)
    assert store.revision(after.id) == source.revision(before.id)
    one, other = _finished(source, before), _finished(store, after)
    assert (one.plan, one.result, one.name, one.note) == (other.plan, other.result, other.name, other.note)
    assert versions.of_run(source, one.id) == versions.of_run(store, other.id)
    assert store.artifacts(other.id) == source.artifacts(one.id) and store.is_whole(other.id)
    assert [key for key, _ in store.promotions(after.id)] == [other.id]
    data = _png(99)
    answers = []
    for home, run in ((source, one), (store, other)):
        with Predictor(*home.model(run.id)) as predictor:
            answers.append(predictor.predict(data).scores)
    assert answers[0] == answers[1]
    (demo,), (review,) = published.of_project(store, after.id), reviews.waiting(store, after.id)
    assert demo.appearance.title == "Shapes" and not demo.is_open and published.find(store, demo.token) is None
    assert review.word == "circle" and review.demo_id == demo.id
    assert (reviews.find(store, review.id) or Path()).is_file()
    assert json.loads((store.root(other.id) / Run.FILE).read_bytes())["project_id"] == after.id
    album.relabel(store, after.id, [store.dataset(after.id).pictures[1].id], "another")  # it can be worked on


@pytest.mark.usefixtures("in_process")
def test_opened_twice_it_is_two_projects_that_share_their_pictures(packed: bytes, store: Store, tmp_path: Path) -> None:
    first, second = (_open(store, packed, tmp_path).project_id for _ in range(2))
    assert first != second and store.dataset(first) == store.dataset(second)
    store.delete_project(first)
    assert all(store.pictures.path(p.id).is_file() for p in store.dataset(second).pictures)
    assert store.is_whole(_finished(store, store.project(second)).id)


def test_no_secret_of_a_demo_is_in_an_archive(source: Store, packed: bytes) -> None:
    (demo,) = published.of_project(source, source.projects()[0].id)
    assert demo.token.encode() not in packed and demo.passcode and demo.passcode.encode() not in packed


def test_each_table_travels_or_is_said_to_stay(store: Store) -> None:
    rows = store.read("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    tables = {row["name"] for row in rows}
    assert tables <= set(archive_rows.CARRIED) | set(archive_rows.LEFT)
    assert set(archive_rows.CARRIED) <= tables and not set(archive_rows.CARRIED) & set(archive_rows.LEFT)


def _cut(entries: dict[str, bytes]) -> None:
    name = next(name for name in entries if name.startswith("pictures/"))
    entries[name] = entries[name][:-1]


def _without_a_picture(entries: dict[str, bytes]) -> None:
    del entries[next(name for name in entries if name.startswith("pictures/"))]


def _lead_out(entries: dict[str, bytes]) -> None:
    entries["runs/../../evil"] = b"x"


def _other_run(entries: dict[str, bytes]) -> None:
    entries[f"runs/{'0' * 32}/dataset.json"] = b"[]"


def _two_folders(entries: dict[str, bytes]) -> None:
    row = json.loads(entries["tables/artifact.jsonl"].splitlines()[0])
    name = f"other/{row['name'].rpartition('/')[2]}"
    entries[f"runs/{row['run_id']}/{name}"] = entries[f"runs/{row['run_id']}/{row['name']}"]
    _row(entries, "artifact", name=name)


def _run_code(entries: dict[str, bytes]) -> None:
    row = next(row for row in map(json.loads, entries["tables/artifact.jsonl"].splitlines()) if "keras" in row["name"])
    name = f"runs/{row['run_id']}/{row['name']}"
    layer = json.dumps({"module": "keras.layers", "class_name": "Lambda", "config": {}}).encode()
    entries[name] = _changed(entries[name], lambda each: each.update({"config.json": layer}), sums=False)
    sums = {"sha256": hashlib.sha256(entries[name]).hexdigest()}
    rows = [json.loads(each) for each in entries["tables/artifact.jsonl"].splitlines()]
    told = [each | sums if each["name"] == row["name"] else each for each in rows]
    entries["tables/artifact.jsonl"] = b"\n".join(json.dumps(each).encode() for each in told)


def _no_picture(entries: dict[str, bytes]) -> None:
    data = b"GIF89a, but not really"
    entries[f"pictures/{hashlib.sha256(data).hexdigest()}"] = data


def _newer(entries: dict[str, bytes]) -> None:
    values = json.loads(entries[contents.MANIFEST])
    entries[contents.MANIFEST] = json.dumps(values | {"headstart_archive": 2}).encode()


def _no_manifest(entries: dict[str, bytes]) -> None:
    del entries[contents.MANIFEST]


DAMAGED: dict[str, tuple[Change, bool, str]] = {
    "a picture that is cut": (_cut, False, "archive_damaged"),
    "a name that leads out": (_lead_out, True, "archive_damaged"),
    "a run that no row names": (_other_run, True, "archive_damaged"),
    "a picture that is not there": (_without_a_picture, True, "archive_damaged"),
    "a picture that is none": (_no_picture, True, "archive_damaged"),
    "a newer format": (_newer, False, "archive_newer"),
    "no manifest": (_no_manifest, False, "archive_foreign"),
    "a text for a number": (lambda e: _row(e, "project", val="much"), True, "archive_damaged"),
    "a column of another version": (lambda e: _row(e, "run", shape="round"), True, "archive_damaged"),
    "a class that hides": (lambda e: _row(e, "dataset", label="a\u202eb"), True, "archive_damaged"),
    "a plan that is none": (lambda e: _row(e, "run", plan='{"epochs": "many"}'), True, "archive_damaged"),
    "another project": (lambda e: _row(e, "dataset", project_id="0" * 32), True, "archive_damaged"),
    "an id that is a path": (lambda e: _row(e, "run", id="../../evil"), True, "archive_damaged"),
    "a model of this machine": (lambda e: _row(e, "artifact", name="/etc/passwd"), True, "archive_damaged"),
    "a model in a folder above": (lambda e: _row(e, "artifact", name="../model.keras"), True, "archive_damaged"),
    "a model with another sum": (lambda e: _row(e, "artifact", sha256="0" * 64), True, "archive_damaged"),
    "a model of another run": (lambda e: _row(e, "artifact", run_id="0" * 32), True, "archive_damaged"),
    "a model that runs code": (_run_code, True, "archive_foreign_model"),
    "a model in two folders": (_two_folders, True, "archive_damaged"),
    "a promotion of another run": (lambda e: _row(e, "promotion", run_id="0" * 32), True, "archive_damaged"),
    "an event of another job": (lambda e: _row(e, "event", job_id="0" * 32), True, "archive_damaged"),
    "a job of another run": (lambda e: _row(e, "job", run_id="0" * 32), True, "archive_damaged"),
    "a project without a name": (lambda e: _row(e, "project", name=None), True, "archive_damaged"),
    "nothing left to train on": (lambda e: _row(e, "project", val=0.5, test=0.5), True, "archive_damaged"),
    "a part that is none": (lambda e: _row(e, "dataset", part="exam"), True, "archive_damaged"),
    "facts that are none": (lambda e: _row(e, "file", facts="[1]"), True, "archive_damaged"),
    "a time that no clock shows": (lambda e: _row(e, "run", created_at=1e15), True, "archive_damaged"),
    "nothing where something must be": (lambda e: _row(e, "run", note=None), True, "archive_damaged"),
    "an event that says nothing": (lambda e: _row(e, "event", kind="note", facts="{}"), True, "archive_damaged"),
    "a change that cannot be undone": (
        lambda e: _row(e, "change", before='{"pictures": [["a", "b"]], "files": []}'),
        True,
        "archive_damaged",
    ),
    "a logo that is none": (lambda e: _row(e, "demo", logo="x"), True, "archive_damaged"),
    "a logo that is a page": (lambda e: _row(e, "demo", logo="PGh0bWw+"), True, "archive_damaged"),
    "examples that are none": (lambda e: _row(e, "demo", examples="[1]"), True, "archive_damaged"),
    "a word that hides": (lambda e: _row(e, "review", word="a\u202eb"), True, "archive_damaged"),
    "a demo of another run": (lambda e: _row(e, "demo", run_id="0" * 32), True, "archive_damaged"),
}


@pytest.mark.usefixtures("in_process")
def test_a_damaged_or_hostile_archive_is_refused_and_leaves_nothing(
    packed: bytes, store: Store, tmp_path: Path
) -> None:
    for what, (change, sums, code) in DAMAGED.items():
        job = _open(store, _changed(packed, change, sums), tmp_path)
        assert job.failure is not None and job.failure.code == code, (what, job.failure)
        assert not store.dataset(job.project_id).pictures and not store.runs(job.project_id), what
        store.delete_project(job.project_id)
    assert not store.pictures.keys() and not list((store.home / "runs").glob("*")) and not store.projects()
    assert not (tmp_path / "evil").exists()


def test_only_finished_files_of_the_model_and_no_exports_travel() -> None:
    for path in ("dataset.json", "model-1/model.keras", "model-1/drafts.json", "model-1/maps/a.npy"):
        assert contents.travels(path, "model-1"), path
    for path in (
        "run.json", "draft/model.keras", "model-1/exports/keras/facts.json", "model-1/exports/draft-onnx/model.onnx",
        "model-1/draft/a.npy", "model-1/.tmp-a", "model-2/model.keras", "model-1/../draft/a", "model-11/model.keras",
    ):  # fmt: skip
        assert not contents.travels(path, "model-1"), path
    assert contents.travels("model.keras", "") and not contents.travels("model.keras", None)
    assert not contents.travels("exports/keras/facts.json", "") and not contents.travels("run.json", "")


@pytest.mark.usefixtures("in_process")
def test_an_export_that_an_archive_brings_is_not_kept(packed: bytes, store: Store, tmp_path: Path) -> None:
    def verify(entries: dict[str, bytes]) -> None:
        name = next(name for name in entries if name.endswith("model.keras"))
        entries[f"{name.rpartition('/')[0]}/exports/keras/facts.json"] = b"{}"

    job = _open(store, _changed(packed, verify), tmp_path)
    assert job.state == "succeeded", job.failure
    folder = store.folder(_finished(store, store.project(job.project_id)).id)
    assert (folder / "model.keras").is_file() and not (folder / "exports").exists()


@pytest.mark.usefixtures("in_process")
def test_a_job_of_an_archive_leads_to_no_file_of_the_server(packed: bytes, store: Store, tmp_path: Path) -> None:
    def lead(entries: dict[str, bytes]) -> None:
        _row(entries, "job", kind="intake", params='{"path": "/etc", "batch": "b"}')

    job = _open(store, _changed(packed, lead), tmp_path)
    assert job.state == "succeeded", job.failure
    rows = store.read("SELECT params FROM job WHERE project_id = ? AND id <> ?", job.project_id, job.id)
    assert rows and not any("path" in json.loads(row["params"]) for row in rows)
    assert not any(json.loads(row["params"]).get("batch") == "b" for row in rows)  # a deletion would remove it


@pytest.mark.usefixtures("in_process")
def test_one_that_is_cut_off_before_its_end_leaves_nothing_and_goes_on(
    packed: bytes, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:  # as a kill does: what follows an error is not done either
        patch.setattr(archive_rows, "add", die)
        patch.setattr(opening._Opening, "_forget", lambda _: None)
        with pytest.raises(Killed):
            _open(store, packed, tmp_path)
    (project,) = store.projects()
    assert not store.dataset(project.id).pictures and not store.runs(project.id)
    (job,) = queue.of_project(store, project.id)
    assert wait(store, queue.tend(store, job.id)).state in ("failed", "succeeded")
    if queue.get(store, job.id).state == "failed":
        assert wait(store, queue.resume(store, job.id)).state == "succeeded"
    assert len(store.dataset(project.id).pictures) == 36


@pytest.mark.usefixtures("in_process")
def test_an_archive_of_the_first_format_is_opened(store: Store, tmp_path: Path) -> None:
    job = _open(store, OLD.read_bytes(), tmp_path)
    assert job.state == "succeeded", job.failure
    dataset = store.dataset(job.project_id)
    assert dataset.classes == ("circle", "square") and len(dataset.pictures) == 4
    assert store.project(job.project_id).name == "two shapes"


@pytest.mark.usefixtures("in_process")
def test_a_damaged_picture_is_named_and_left_out(source: Store, store: Store, tmp_path: Path) -> None:
    home = Store(shutil.copytree(source.home, tmp_path / "copy"))
    (project,) = home.projects()
    gone = home.dataset(project.id).pictures[3].id
    home.pictures.path(gone).write_bytes(b"other")
    lost: list[str] = []
    job = _open(store, b"".join(packing.chunks(home, project.id, lost)), tmp_path)
    assert lost == [gone] and job.state == "succeeded", job.failure
    assert {"code": "archive_lacks", "values": {"n": 1}} in [each.facts for each in queue.events(store, job.id)]
    assert {p.id for p in home.dataset(project.id).pictures} - {
        p.id for p in store.dataset(job.project_id).pictures
    } == {gone}


def test_a_project_whose_model_is_damaged_or_replaced_meanwhile_is_no_archive(source: Store, tmp_path: Path) -> None:
    home = Store(shutil.copytree(source.home, tmp_path / "copy"))
    (project,) = home.projects()
    packing.check(home, project.id)
    chunks = packing.chunks(home, project.id)
    next(chunks)
    shutil.rmtree(home.folder(_finished(home, project).id))  # as the end of a training does
    for pack in (lambda: list(chunks), lambda: packing.check(home, project.id)):
        with pytest.raises(HeadstartError) as error:
            pack()
        assert error.value.code == "archive_model"


def test_where_a_delivery_lay_does_not_travel(source: Store, tmp_path: Path) -> None:
    home = Store(shutil.copytree(source.home, tmp_path / "copy"))
    (project,) = home.projects()
    with home.write() as db:
        db.execute("UPDATE job SET params = ? WHERE kind = 'intake'", ('{"path": "/srv/secret", "batch": "b"}',))
    with archive_rows.snapshot(home, project.id) as tables:
        told = [json.loads(json.loads(line)["params"]) for line in tables["job"]]
    assert {"batch": "b"} in told and not any("path" in each for each in told)


def test_probabilities_of_an_archive_are_those_that_were_measured(source: Store, packed: bytes) -> None:
    run = _finished(source, source.projects()[0])
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        (name,) = [each for each in file.namelist() if each.endswith("evaluation-test.json")]
        told = json.loads(file.read(name))
    kept = json.loads((source.folder(run.id) / "evaluation-test.json").read_bytes())
    assert np.array_equal(told["probabilities"], kept["probabilities"])


@pytest.mark.usefixtures("in_process")
def test_a_table_of_any_size_is_not_read_into_memory(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = OLD.read_bytes()
    for name, most in (("_MOST_LINE", 64), ("_MOST", {"tables": 1000})):
        with monkeypatch.context() as patch:
            patch.setattr(opening, name, most)
            patch.setattr(archive, "CHUNK", 100)
            job = _open(store, data, tmp_path)
            assert job.failure is not None and job.failure.code == "archive_damaged", name
    assert not store.pictures.keys()


def test_what_has_not_arrived_is_not_opened(store: Store) -> None:
    for batch, code in (("../x", "upload_unclear"), ("0" * 32, "upload_missing")):
        with pytest.raises(HeadstartError) as error:
            opening.begin(store, batch)
        assert error.value.code == code and not store.projects()
