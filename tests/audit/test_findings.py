"""Planted faults are found by the job, told by `audit.findings` and taken back by its remedies."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.audit import findings, image_statistics
from core.audit.findings import Finding
from core.dataset import Dataset, Picture
from core.features.feature_cache import Cache, Recipe, View
from core.intake import sample
from core.jobs import queue
from core.jobs.kinds import AUDIT, INTAKE, Delivery
from core.learning import cross_validation
from core.pictures import album, counts
from core.plan import Plan, suggest
from core.store.store import Store
from core.worker import audit_job
from tests.audit.test_near_duplicates import cropped, other
from tests.workers import no_processes, wait

pytestmark = pytest.mark.usefixtures("in_process")


def plant(root: Path, name: str, image: Image.Image) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    image.save(root / name)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of thirty pictures, and faults of each kind that needs no network."""
    root = tmp_path_factory.mktemp("planted")
    for number in range(60):
        plant(root, f"{'ab'[number % 2]}/{number:02}.png", other(number))
    plant(root, "a/00-small.png", other(0).resize((150, 150)))
    plant(root, "a/00-cropped.png", cropped(other(0), 0.03, 0.02, 0, 0.01))
    plant(root, "b/02-elsewhere.png", other(2).resize((180, 180)))
    plant(root, "a/dark.png", Image.fromarray((np.asarray(other(100)) * 0.15).astype(np.uint8)))
    plant(root, "a/bright.png", Image.fromarray((255 - (255 - np.asarray(other(101))) * 0.15).astype(np.uint8)))
    plant(root, "b/blurry.png", other(102).filter(ImageFilter.GaussianBlur(7)))
    plant(root, "b/flat.png", Image.new("RGB", (240, 240), (90, 120, 60)))
    plant(root, "b/tiny.png", other(103).resize((30, 34)))
    plant(root, "a/odd.png", other(104).resize((400, 100)))
    return root


def audited(store: Store, project: str) -> dict[str, Finding]:
    job = wait(store, findings.start(store, project))
    assert job.state == "succeeded", queue.log_path(store, job.id).read_text()
    return told(store, project)


def taken_in(store: Store, data: Path) -> str:
    project = store.add_project("Planted").id
    assert wait(store, queue.start(store, project, INTAKE, Delivery(str(data), "b"))).state == "succeeded"
    return project


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, trained: Path, planted: Path) -> Path:
    """A home with a project that has the planted faults, of which nothing was looked through. Read only."""
    home = tmp_path_factory.mktemp("delivered") / "home"
    shutil.copytree(trained / "networks", home / "networks")
    with no_processes():
        taken_in(Store(home), planted)
    return home


@pytest.fixture(scope="module")
def looked_through(tmp_path_factory: pytest.TempPathFactory, delivered: Path) -> Path:
    """The same home after an audit. Read only."""
    home = tmp_path_factory.mktemp("looked_through") / "home"
    store, project = copy(delivered, home)
    with no_processes():
        audited(store, project)
    return home


def copy(home: Path, path: Path) -> tuple[Store, str]:
    """The store and the only project of a copy of a home."""
    store = Store(shutil.copytree(home, path))
    (project,) = store.projects()
    return store, project.id


def told(store: Store, project: str) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings.findings(store, project)}


def names(store: Store, project: str, finding: Finding) -> set[str]:
    rows = store.read("SELECT picture_id, name FROM file WHERE project_id = ?", project)
    return {row["name"] for row in rows if row["picture_id"] in finding.ids}


def test_every_planted_fault_is_found_and_nothing_else(delivered: Path, tmp_path: Path) -> None:
    store, project = copy(delivered, tmp_path / "home")
    assert findings.state(store, project) == "never"
    found = audited(store, project)
    assert findings.state(store, project) == "current"
    for kind in ("dark", "bright", "blurry", "flat", "tiny"):
        assert {Path(name).stem for name in names(store, project, found[kind])} == {kind}
    assert {Path(name).stem for name in names(store, project, found["odd"])} == {"odd"}
    assert {Path(name).stem for name in names(store, project, found["near"])} == {"00", "00-small", "00-cropped"}
    assert found["near"].values == {"groups": 1}
    assert {Path(name).stem for name in names(store, project, found["conflict"])} == {"02", "02-elsewhere"}
    assert "leak" not in found


def test_near_duplicates_become_one_group_and_stand_in_one_part(looked_through: Path, tmp_path: Path) -> None:
    store, project = copy(looked_through, tmp_path / "home")
    found = told(store, project)
    pictures = [p for p in store.dataset(project).pictures if p.id in found["near"].ids]
    assert len(pictures) == 3 and len({p.part for p in pictures}) == 1


def test_one_of_each_group_is_kept_the_largest(looked_through: Path, tmp_path: Path) -> None:
    store, project = copy(looked_through, tmp_path / "home")
    found = told(store, project)
    spare = findings.spare(store, project, "near")
    album.exclude(store, project, spare)
    (kept,) = [p for p in store.dataset(project).pictures if p.id in found["near"].ids]
    assert len(spare) == 2 and kept.width == 240
    assert "near" not in {finding.kind for finding in findings.findings(store, project)}
    assert findings.state(store, project) == "changed"


def test_a_leak_is_told_where_pictures_came_in_parts(store: Store, tmp_path: Path) -> None:
    for number in range(12):
        for part in ("train", "test"):
            plant(
                tmp_path / "parts",
                f"{part}/{'ab'[number % 2]}/{number}.png",
                other(200 + number + 50 * (part == "test")),
            )
    plant(tmp_path / "parts", "train/a/copy.png", other(250).resize((120, 120)))
    project = taken_in(store, tmp_path / "parts")
    found = audited(store, project)
    assert names(store, project, found["leak"]) == {"train/a/copy.png", "test/a/0.png"}
    (spare,) = findings.spare(store, project, "leak")
    (gone,) = [p for p in store.dataset(project).pictures if p.id == spare]
    assert gone.part != "test"


def measured(store: Store, project: str) -> set[str]:
    """A finished run hangs on the test part, whose ids are answered."""
    tested = {p.id for p in store.dataset(project).pictures if p.part == "test"}
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    album.lock_test(store, project, sorted(tested))
    return tested


def test_a_leak_in_a_score_already_given_is_told_and_the_test_part_stays(delivered: Path, tmp_path: Path) -> None:
    store, project = copy(delivered, tmp_path / "home")
    alike = {row[0] for row in store.read("SELECT picture_id FROM file WHERE name LIKE 'a/00%'")}
    for seed in range(99):  # a division that tears the three asunder
        album.set_split(store, project, seed, 0.15, 0.15)
        before = {p.id: p.part for p in store.dataset(project).pictures}
        if sorted(str(before[key]) for key in alike) == ["test", "test", "train"]:
            break
    tested = measured(store, project)
    found = audited(store, project)
    after = {p.id: p.part for p in store.dataset(project).pictures}
    assert {key for key, part in after.items() if part == "test"} == tested
    assert {key: after[key] for key in alike} == {key: before[key] for key in alike}
    assert set(found["leak"].ids) == alike and found["leak"].remedy == "one"
    assert set(findings.ids(store, project, "leak")) == alike
    spare = findings.spare(store, project, "leak")
    assert len(spare) == 1 and after[spare[0]] == "train"
    album.exclude(store, project, spare)
    left = store.dataset(project).pictures
    assert {p.id for p in left if p.part == "test"} == tested
    assert "leak" not in {finding.kind for finding in findings.findings(store, project)}


def test_what_was_measured_is_never_measured_again(looked_through: Path, tmp_path: Path) -> None:
    store, project = copy(looked_through, tmp_path / "home")
    with store.write() as db:
        db.execute("UPDATE measure SET facts = json_set(facts, '$.blur', 0.9) WHERE kind = ?", (image_statistics.KIND,))
        some = db.execute("SELECT picture_id FROM measure LIMIT 3").fetchall()
        db.execute("DELETE FROM measure WHERE picture_id IN (?, ?, ?)", [row[0] for row in some])
    job = wait(store, findings.start(store, project))
    totals = {event.key: event.facts["total"] for event in queue.events(store, job.id) if event.kind == "stage"}
    assert totals["measure"] == 3
    # All but those three are blurry now, which is what the set is like: no fault.
    assert len(findings.rows(store, project, "blurry")) >= 60
    assert "blurry" not in {finding.kind for finding in findings.findings(store, project)}


def test_another_threshold_recomputes_nothing(looked_through: Path, tmp_path: Path) -> None:
    store, project = copy(looked_through, tmp_path / "home")
    known = [tuple(row) for row in store.read("SELECT * FROM measure ORDER BY picture_id, kind")]
    usual = findings.ids(store, project, "stranger")
    looser = findings.ids(store, project, "stranger", findings.BY_KIND["stranger"].kept)
    assert looser[: len(usual)] == usual and len(looser) > len(usual)
    alike = findings.ids(store, project, "near", findings.BY_KIND["near"].kept)
    assert set(alike) >= set(findings.ids(store, project, "near")) and findings.ids(store, project, "near", 1.1) == ()
    assert findings.highest(store, project, "near") >= findings.BY_KIND["near"].least
    # No job but the one, and nothing that it had measured was touched.
    assert len(store.read("SELECT id FROM job WHERE kind = 'audit'")) == 1
    assert [tuple(row) for row in store.read("SELECT * FROM measure ORDER BY picture_id, kind")] == known


def test_an_audit_looks_at_the_features_that_a_training_is_told_to_use(received: Path, tmp_path: Path) -> None:
    store, project = copy(received, tmp_path / "home")
    data = album.divide(store, project)
    run = store.add_run(project, Plan().to_dict(), data)
    mirror = {"swapped": {"label": "circle", "other": "square", "n": 4, "of": 6}, "enough": True}
    with store.write() as db:
        result = json.dumps({"classes": data.classes, "mirror": mirror})
        db.execute("UPDATE run SET result = ? WHERE id = ?", (result, run.id))
    with store.write() as db:  # test pictures decide no settings
        db.execute("UPDATE dataset SET part = 'test' WHERE label = 'circle' AND part <> 'train'")
    learned = counts.of(store, project).learned
    assert learned != data.counts
    job = findings.start(store, project)
    with queue.claim(store, job.id) as ticket:
        assert audit_job._suggested(ticket) == suggest("balanced", learned, False) != suggest("balanced", data.counts)


def test_an_intake_that_asks_for_it_is_followed_by_an_audit(store: Store, shapes: Path) -> None:
    project = store.add_project("Shapes").id
    wait(store, queue.start(store, project, INTAKE, Delivery(str(shapes), "b", audit=True)))
    job = queue.latest(store, project, AUDIT)
    assert job is not None and wait(store, job).state == "succeeded"
    # Two of the drawn shapes have one place and size: nearly the same picture.
    assert findings.state(store, project) == "current"
    assert [(finding.kind, finding.n) for finding in findings.findings(store, project)] in ([], [("near", 2)])


def test_what_is_delivered_during_an_audit_is_looked_through_and_a_training_comes_first_all_the_while(
    store: Store, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver(path: Path) -> None:
        wait(store, queue.start(store, project, INTAKE, Delivery(str(path), path.name, audit=True)))

    def interrupted(*values: Any) -> Any:
        if not rounds:
            deliver(tmp_path / "more")
        rounds.append(len(values[0]))
        return twin_pairs(*values)

    project, rounds, gave_way = store.add_project("Shapes").id, list[int](), Counter[str]()
    for number in range(4):
        plant(tmp_path / "more", f"circle/{number}.png", other(number))
    plant(tmp_path / "more", "circle/0-small.png", other(0).resize((150, 150)))
    deliver(shapes)
    (job,) = [job for job in queue.recent(store, 0) if job.kind is AUDIT]
    twin_pairs = audit_job.twin_pairs
    monkeypatch.setattr(audit_job, "twin_pairs", interrupted)
    monkeypatch.setattr(audit_job, "give_way", lambda _: gave_way.update([queue.get(store, job.id).stage]))
    assert wait(store, job).state == "succeeded"
    assert rounds == [36, 41] and findings.state(store, project) == "current"
    assert [found.id for found in queue.recent(store, 0) if found.kind is AUDIT] == [job.id]
    (near,) = [finding for finding in findings.findings(store, project) if finding.kind == "near"]
    assert {"circle/0.png", "circle/0-small.png"} <= names(store, project, near)
    # After each fold of the labels and of three shortcuts, and after the block of neighbors, in both rounds.
    assert gave_way["doubts"] >= 2 * (4 * cross_validation.FOLDS + 1) and gave_way["twins"] >= 4


def test_a_look_asks_for_each_picture_in_one_part_and_gives_way_before_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Source:
        """Features that are the number of their picture."""

        def __init__(self, n: int) -> None:
            self.data = Dataset(tuple(Picture(f"{i:064}", "a", 9, 9) for i in range(n)))
            self.kept = Cache(tmp_path / "features", Recipe("0" * 64, "average", 16))
            self.ticket, self.parts = None, list[int]()

        def recipe(self, part: str) -> Recipe:
            return self.kept.recipe

        def cache(self, recipe: Recipe) -> Cache:
            return self.kept

        def extract(self, stage: str, recipe: Recipe, seen: list[View]) -> None:
            self.parts.append(len(seen))
            self.kept.add(seen, np.array([[int(view.picture_id)] for view in seen], np.float32))

    waited: list[int] = []
    monkeypatch.setattr(audit_job, "_LOOKED_AT", 5)
    source: Any = Source(12)
    monkeypatch.setattr(audit_job, "give_way", lambda _: waited.append(len(source.parts)))
    assert audit_job.look(source)[:, 0].tolist() == list(range(12))
    assert source.parts == [5, 5, 2] and waited == [0, 1, 2]
    audit_job.look(source)
    assert len(waited) == 3  # nothing is missing, so nothing waits


def test_the_audits_of_two_projects_do_not_wait_for_each_other(store: Store) -> None:
    first, second = (findings.start(store, store.add_project(name).id) for name in "ab")
    lines = store.read("SELECT DISTINCT line FROM job")
    assert len(lines) == 2  # in one queue the second claim would wait for ever
    with queue.claim(store, first.id), queue.claim(store, second.id):
        assert [queue.get(store, job.id).state for job in (first, second)] == ["running", "running"]


def test_what_is_told_is_put_together_anew_once_parts_or_what_is_locked_change(received: Path, tmp_path: Path) -> None:
    store, project = copy(received, tmp_path / "home")
    seen = [store.revision(project)]
    assert store.revision(project) == seen[0]
    for seed, val, test in ((1, 0.15, 0.15), (1, 0.2, 0.15), (1, 0.2, 0.2)):
        album.set_split(store, project, seed, val, test)
        seen.append(store.revision(project))
    measured(store, project)
    seen.append(store.revision(project))
    assert len(set(seen)) == 5


def test_all_faults_of_the_sample_are_found_and_hardly_any_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    project = store.add_project("Sample").id
    assert wait(store, queue.start(store, project, INTAKE, Delivery(sample=0))).state == "succeeded"
    found = audited(store, project)
    near = {name for pair in sample.PLANTED.near_duplicates for name in pair}
    assert names(store, project, found["near"]) == near and found["near"].values == {"groups": 4}
    wrong = names(store, project, found["wrong"])
    assert set(sample.PLANTED.wrong_labels) <= wrong and len(wrong) <= 5  # with Starter, the smallest backbone
    assert set(found) == {"near", "wrong"}
    twins = {
        frozenset((file.name, file.values["twin"])) for file in store.unused(project) if file.reason == "duplicate"
    }
    assert twins == {frozenset(pair) for pair in sample.PLANTED.duplicates}
