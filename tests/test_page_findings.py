"""What the Data page says of an audit in each state; the test plays the worker."""

from typing import Any

from core import album, audit, jobs
from core.audit import Row
from core.dataset import File
from core.intake import Received
from core.store import Project, Store
from tests.test_page_choosing import idle, worker
from tests.test_pages import visit

__all__ = ["idle"]  # a fixture


def data_page(store: Store, project: Project) -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, "data")["said"]["data"]
    return said


def told(store: Store, project: Project, rows: dict[str, list[Row]]) -> dict[str, Any]:
    job = audit.start(store, project.id)
    with worker(store, job) as ticket:
        audit.write(store, project.id, tuple(rows), rows)
        ticket.found("audit", "", {"stamp": audit.stamp(store, project.id), "n": 36})
        ticket.succeed({}, {})
    return data_page(store, project)


def test_before_the_first_audit_the_page_offers_one_and_while_it_runs_says_so(idle: tuple[Store, Project]) -> None:
    store, project = idle
    said = data_page(store, project)
    assert "Look for faults" in said["button"]
    job = audit.start(store, project.id)
    with worker(store, job) as ticket:
        ticket.stage("measure", 36)
        said = data_page(store, project)
        assert "Look for faults" not in said["button"] and "Cancel" in said["button"]
        ticket.fail("internal", {"id": "abc"})
    said = data_page(store, project)
    assert any(text.startswith("**Looking for faults stopped.** ") for text in said["warning"])
    assert "Look again" in said["button"]


def test_an_audit_without_findings_is_one_quiet_line(idle: tuple[Store, Project]) -> None:
    said = told(*idle, {})
    assert any("nothing to report" in text for text in said["caption"])
    assert "Look again" not in said["button"]


def test_each_finding_is_a_sentence_with_a_number_and_a_remedy(idle: tuple[Store, Project]) -> None:
    store, project = idle
    used = store.dataset(project.id).pictures
    first, second = used[0].id, used[1].id
    other = next(label for label in store.dataset(project.id).classes if label != used[2].label)
    album.relabel(store, project.id, [second], used[0].label)
    album.apply_groups(store, project.id, {first: "x", second: "x"}, "audit")
    rows = {
        "near": [Row(first, 0.95, {"twins": {second: 0.95}}), Row(second, 0.95, {"twins": {first: 0.95}})],
        "wrong": [Row(used[2].id, 0.97, {"label": used[2].label, "suggested": other})],
        "dark": [Row(used[3].id, 230, {})],
        "blurry": [Row(used[4].id, 0.9, {}), Row(used[5].id, 0.8, {})],
        "shortcut": [Row("bytes", 0.8, {"correct": 33, "n": 36, "chance": 1 / 3})],
    }
    said = told(store, project, rows)
    sentences = " ".join(said["markdown"])
    assert "**2 pictures** show the same." in sentences and "Keep one of each" in said["button"]
    assert "**1 picture** may be in the wrong class" in sentences and "Look through them" in said["button"]
    assert "The **file size** alone tells the class of 92\u00a0% of 36 pictures (by chance: 33\u00a0%)" in sentences
    assert "2 more findings" in said["expander"]
    album.relabel_each(store, project.id, {used[2].id: other})
    said = data_page(store, project)
    assert "may be in the wrong class" not in " ".join(said["markdown"])
    assert "The pictures have changed since they were looked at." in said["caption"]
    assert "Look again" in said["button"]


def test_a_class_that_is_called_right_is_doubted_no_more_until_it_is_another_one(idle: tuple[Store, Project]) -> None:
    store, project = idle
    first, second, third = store.dataset(project.id).pictures[:3]
    rows = [Row(p.id, 0.97, {"label": p.label, "suggested": "x"}) for p in (first, second, third)]
    told(store, project, {"wrong": rows})
    audit.confirm(store, project.id, [first.id, second.id])
    said = data_page(store, project)
    assert any("**1 picture** may be in the wrong class" in text for text in said["markdown"])
    assert "Look again" not in said["button"]  # nothing has changed that another look would find
    told(store, project, {"wrong": rows})  # which doubts the same
    assert audit.ids(store, project.id, "wrong") == (third.id,)
    album.relabel(store, project.id, [first.id], "new")
    told(store, project, {"wrong": [Row(first.id, 0.97, {"label": "new", "suggested": first.label})]})
    assert audit.ids(store, project.id, "wrong") == (first.id,)
    assert album.undo(store, project.id) is not None and album.undo(store, project.id) is not None
    told(store, project, {"wrong": rows})
    assert audit.ids(store, project.id, "wrong") == tuple(sorted((first.id, second.id, third.id)))


def test_accepted_classes_are_taken_back_in_one_step(idle: tuple[Store, Project]) -> None:
    store, project = idle
    before = {p.id: p.label for p in store.dataset(project.id).pictures}
    circle = next(key for key, label in before.items() if label == "circle")
    square = next(key for key, label in before.items() if label == "square")
    album.relabel_each(store, project.id, {circle: "square", square: "triangle"})
    after = {p.id: p.label for p in store.dataset(project.id).pictures}
    assert (after[circle], after[square]) == ("square", "triangle")
    assert album.undo(store, project.id) is not None
    assert {p.id: p.label for p in store.dataset(project.id).pictures} == before
    assert jobs.latest(store, project.id, "audit") is None


def test_pictures_that_came_in_two_classes_are_asked_about_first_and_a_class_without_training_pictures_is_told(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    first = store.dataset(project.id).pictures[0]
    other = next(label for label in store.dataset(project.id).classes if label != first.label)
    batch = store.read("SELECT batch FROM file WHERE project_id = ?", project.id)[0]["batch"]
    facts = store.facts(first.id)
    assert facts is not None
    twin = Received(File(900, f"{other}/again.png", "used", other, picture_id=first.id), facts)
    store.receive(project.id, batch, [twin])
    train = store.dataset(project.id).part("train").pictures
    some = [picture.id for picture in train if picture.label == other]
    album.move(store, project.id, some, "val")
    said = data_page(store, project)
    assert any("**1 pictures came in more than one class.**" in text for text in said["markdown"])
    text = f"**Nothing to learn from:** **{other}**. All pictures are in val or test; move some to train."
    assert text in said["warning"]
    rest = [picture.id for picture in store.dataset(project.id).pictures]
    album.exclude(store, project.id, rest, True)
    assert any("more than one class" in text for text in data_page(store, project)["markdown"])  # alone, too
    album.exclude(store, project.id, rest, False)
    album.relabel(store, project.id, [first.id], first.label)
    assert not any("more than one class" in text for text in data_page(store, project)["markdown"])
