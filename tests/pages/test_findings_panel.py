"""What the Data page says of an audit in each state; the test plays the worker."""

import time
from typing import Any

from core.audit import findings
from core.audit.findings import Scored
from core.dataset import File, Received
from core.jobs import queue
from core.jobs.kinds import AUDIT
from core.language.catalog import say
from core.pictures import album, receiving
from core.store.store import Project, Store
from tests.pages.test_choosing import idle, worker
from tests.visits import visit
from tests.workers import watch

__all__ = ["idle"]  # a fixture


def data_page(store: Store, project: Project) -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, "data")["said"]["data"]
    return said


def told(store: Store, project: Project, rows: dict[str, list[Scored]]) -> dict[str, Any]:
    job = findings.start(store, project.id)
    with worker(store, job) as ticket:
        findings.write(store, project.id, tuple(rows), rows)
        ticket.found("audit", "", {"revision": store.labels_revision(project.id), "n": 36})
        ticket.succeed()
    return data_page(store, project)


def left_alone(store: Store, project: Project, since: float, look_s: float = 1.0) -> None:
    """As if the last change and the last look, which took so long, were so long ago."""
    with store.write() as db:
        db.execute("UPDATE change SET at = ? WHERE project_id = ?", (since, project.id))
        db.execute("UPDATE job SET created_at = ?, ended_at = ? WHERE kind = 'audit'", (since - look_s, since))


def test_before_the_first_audit_the_page_offers_one_and_while_it_runs_says_so(idle: tuple[Store, Project]) -> None:
    store, project = idle
    said = data_page(store, project)
    assert say("audit_look") in said["button"]
    job = findings.start(store, project.id)
    with worker(store, job) as ticket:
        ticket.stage("measure", 36)
        said = data_page(store, project)
        assert say("audit_look") not in said["button"] and "Cancel" in said["button"]
        ticket.fail("internal", {"id": "abc"})
    said = data_page(store, project)
    assert any(text.startswith(f"**{say('audit_failed')}.** ") for text in said["warning"])
    assert say("audit_again") in said["button"]


def test_an_audit_without_findings_is_one_quiet_line(idle: tuple[Store, Project]) -> None:
    said = told(*idle, {})
    assert any(say("audit_nothing") in text for text in said["caption"])
    assert say("audit_again") not in said["button"]


def test_each_finding_is_a_sentence_with_a_number_and_a_remedy(idle: tuple[Store, Project]) -> None:
    store, project = idle
    used = store.dataset(project.id).pictures
    first, second = used[0].id, used[1].id
    other = next(label for label in store.dataset(project.id).classes if label != used[2].label)
    album.relabel(store, project.id, [second], used[0].label)
    album.apply_groups(store, project.id, {first: "x", second: "x"}, "audit")
    rows = {
        "near": [Scored(first, 0.95, {"twins": {second: 0.95}}), Scored(second, 0.95, {"twins": {first: 0.95}})],
        "wrong": [Scored(used[2].id, 0.97, {"label": used[2].label, "suggested": other})],
        "dark": [Scored(used[3].id, 230, {})],
        "blurry": [Scored(used[4].id, 0.9, {}), Scored(used[5].id, 0.8, {})],
        "shortcut": [Scored("bytes", 0.8, {"correct": 33, "n": 36, "chance": 1 / 3})],
    }
    said = told(store, project, rows)
    sentences = " ".join(said["markdown"])
    assert say("found_near", n=2, groups=say("groups_n", n=1)) in sentences and say("keep_one") in said["button"]
    assert say("found_wrong", n=1) in sentences and say("finding_open_single") in said["button"]
    assert say("found_shortcut_bytes", right="92\u00a0%", n=36, chance="33\u00a0%") in sentences
    assert say("findings_more", n=2) in said["expander"]
    album.relabel_each(store, project.id, {used[2].id: other})
    left_alone(store, project, time.time(), 1_000)  # not yet long enough to be looked at again
    said = data_page(store, project)
    assert say("found_wrong", n=1) not in " ".join(said["markdown"])
    assert any(say("audit_changed") in text for text in said["caption"]) and say("audit_again") in said["button"]


def test_pictures_that_changed_are_looked_at_again_by_themselves_once_they_are_left_alone(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    told(store, project, {})
    looks = "SELECT COUNT(*) n FROM job WHERE kind = 'audit'"
    first = store.dataset(project.id).pictures[0]
    album.relabel(store, project.id, [first.id], "new")
    now = time.time()
    left_alone(store, project, now)
    assert not findings.is_due(store, project.id, now + 2.9) and findings.is_due(store, project.id, now + 3)
    left_alone(store, project, time.time(), 1_000)
    assert say("audit_again") in data_page(store, project)["button"] and store.row(looks)["n"] == 1
    left_alone(store, project, now - 1_000)
    said = data_page(store, project)
    assert store.row(looks)["n"] == 2 and say("audit_again") not in said["button"] and "Cancel" in said["button"]
    job = queue.latest(store, project.id, AUDIT)
    assert job is not None and watch(store, job).state == "succeeded"  # the page has a worker of its own
    album.relabel(store, project.id, [first.id], "newer")
    with worker(store, findings.start(store, project.id)) as ticket:
        ticket.fail("internal", {"id": "abc"})
    left_alone(store, project, now - 1_000)
    assert not findings.is_due(store, project.id, now)  # what failed is not tried for ever
    assert say("audit_again") in data_page(store, project)["button"] and store.row(looks)["n"] == 3


def test_a_clock_that_was_set_back_keeps_no_look_from_repeating_itself(idle: tuple[Store, Project]) -> None:
    store, project = idle
    told(store, project, {})
    first, second = store.dataset(project.id).pictures[:2]
    album.relabel(store, project.id, [first.id], "new")
    with store.write() as db:  # looked at and changed when the clock was a day ahead
        db.execute("UPDATE job SET created_at = created_at + 86400, ended_at = ended_at + 86400 WHERE kind = 'audit'")
        db.execute("UPDATE change SET at = at + 86400")
    assert findings.is_due(store, project.id, time.time())
    album.relabel(store, project.id, [second.id], "new")  # a change of now is waited for as ever
    now = time.time()
    assert not findings.is_due(store, project.id, now) and findings.is_due(store, project.id, now + 3)


def test_a_class_that_is_called_right_is_doubted_no_more_until_it_is_another_one(idle: tuple[Store, Project]) -> None:
    store, project = idle
    first, second, third = store.dataset(project.id).pictures[:3]
    rows = [Scored(p.id, 0.97, {"label": p.label, "suggested": "x"}) for p in (first, second, third)]
    told(store, project, {"wrong": rows})
    findings.confirm(store, project.id, [first.id, second.id])
    said = data_page(store, project)
    assert any(say("found_wrong", n=1) in text for text in said["markdown"])
    assert say("audit_again") not in said["button"]  # nothing has changed that another look would find
    told(store, project, {"wrong": rows})  # which doubts the same
    assert findings.ids(store, project.id, "wrong") == (third.id,)
    album.relabel(store, project.id, [first.id], "new")
    told(store, project, {"wrong": [Scored(first.id, 0.97, {"label": "new", "suggested": first.label})]})
    assert findings.ids(store, project.id, "wrong") == (first.id,)
    assert album.undo(store, project.id) is not None and album.undo(store, project.id) is not None
    told(store, project, {"wrong": rows})
    assert findings.ids(store, project.id, "wrong") == tuple(sorted((first.id, second.id, third.id)))


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
    assert queue.latest(store, project.id, AUDIT) is None


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
    receiving.receive(store, project.id, batch, [twin])
    train = store.dataset(project.id).part("train").pictures
    some = [picture.id for picture in train if picture.label == other]
    album.move(store, project.id, some, "val")
    said = data_page(store, project)
    both = say("ask_and").join(f"**{label}**" for label in sorted((first.label, other)))
    assert any(say("ask_dispute", n=1, classes=both) in text for text in said["markdown"])
    text = say("untrainable_untaught", label=other)
    assert any(text in each for each in said["markdown"])
    rest = [picture.id for picture in store.dataset(project.id).pictures]
    album.exclude(store, project.id, rest, True)
    assert any(
        say("ask_dispute", n=1, classes=both) in text for text in data_page(store, project)["markdown"]
    )  # alone, too
    album.exclude(store, project.id, rest, False)
    album.relabel(store, project.id, [first.id], first.label)
    assert not any(say("ask_dispute", n=1, classes=both) in text for text in data_page(store, project)["markdown"])
