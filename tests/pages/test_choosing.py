"""What the training page says about comparisons and searches, in every state; the test plays the worker."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import backbones
from core.disk import blobs
from core.jobs import queue
from core.jobs.kinds import DOWNLOAD, TRAIN, WEIGHTS, OfWeights
from core.language import catalog, messages
from core.language.catalog import say
from core.learning.head_search import Trial
from core.learning.transferability import difference
from core.plan import Plan
from core.result import Extracted
from core.runs import requests
from core.scores.evaluation import Evaluation, wilson
from core.store.store import Project, Store
from pages.parts.frame.words import duration, plain, points
from pages.parts.train import automatic_search
from tests import visits
from tests.texts import pattern
from tests.visits import visit

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def idle(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Project]:
    """A project with a finished run, whose jobs get no worker."""
    monkeypatch.setattr(queue, "PROCESS", [])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    return store, store.projects()[0]


@contextlib.contextmanager
def worker(store: Store, job: queue.Job) -> Iterator[queue.Ticket]:
    with queue.claim(store, job.id) as ticket:
        yield ticket


def train_page(store: Store, project: Project, red: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, "train", red=red)["said"]["train"]
    return said


def search_page(store: Store, project: Project, mine: int, best: int, own: Plan = BASE) -> dict[str, Any]:
    """The page after a search in which the own settings were right on `mine` and others on `best` of 100."""
    job = requests.search(store, project.id, own)
    other = Trial(BASE.with_(hidden_units=64, dropout=0.3), best, 100, 0.3, 20)
    tries = sorted([Trial(own, mine, 100, 0.4, 20), other], key=lambda found: -found.correct)
    with worker(store, job) as ticket:
        ticket.found("search", "", {"run": job.runs[0], "tries": [found.to_dict() for found in tries]})
        ticket.succeed()
    return train_page(store, project)


def search_says(store: Store, project: Project, mine: int, best: int) -> list[str]:
    """What that page says of the best settings."""
    said = search_page(store, project, mine, best)
    assert say("use_settings") in said["button"]
    assert any("*Results*" in text for text in said["caption"])
    return [text for text in said["markdown"] if text.startswith("On Starter, ")]


def test_the_section_offers_both_and_says_how_long_they_take(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    assert say("compare") in said["button"] and say("search") in said["button"]
    assert "**Let Headstart choose**" in said["markdown"]
    assert any(text.startswith("Trying 24 head settings on Starter takes about ") for text in said["caption"])


def test_a_comparison_shows_where_it_is_and_then_a_leaderboard(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = requests.compare(store, project.id, [BASE, Plan(backbone="VGG16", epochs=20)])
    with worker(store, job) as ticket:
        ticket.found("run", job.runs[1], {})
        ticket.stage("features", 36)
        said = train_page(store, project)
        assert say("compare_at", backbone="VGG16", n=2, total=2) in said["markdown"] and "Cancel" in said["button"]
        assert any(text.startswith(":material/check: Starter: 100\u00a0%") for text in said["caption"])
        ticket.found("run", job.runs[1], {"code": "memory_full", "values": {}})
        ticket.succeed()
    said = train_page(store, project)
    assert "**Backbones compared**" in said["markdown"] and "Use Starter" in said["button"]
    assert any("VGG16" in text and "memory" in text for text in said["warning"])


def test_a_stopped_comparison_can_go_on_and_shows_what_it_has(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = requests.compare(store, project.id, [BASE, BASE.with_(seed=1)])
    queue.cancel(store, job.id)
    said = train_page(store, project)
    assert said["info"] == [say("compare_cancelled")]
    assert say("resume") in said["button"] and "**Backbones compared**" in said["markdown"]


def leaderboard_says(store: Store, project: Project, wrong: list[range], offered: int) -> str:
    """The sentence under a comparison of two runs that are wrong on these of 43 val pictures, and how many of them it
    offers to use."""
    job = requests.compare(store, project.id, [BASE.with_(seed=number) for number in range(1, 3)])
    (done,) = [run for run in store.runs(project.id) if run.result is not None]
    with worker(store, job) as ticket:
        for run_id, missed in zip(job.runs, wrong, strict=True):
            said = np.eye(2, dtype=np.float32)[[int(i in missed) for i in range(43)]]
            scores = Evaluation(("a", "b"), tuple(map(str, range(43))), np.zeros(43, np.int64), said)
            path = store.folder(run_id) / "evaluation-val.json"
            blobs.write(path, json.dumps(scores.to_dict()).encode())
            split = replace(done.outcome.split, val=43)
            result = replace(done.outcome, val_accuracy=scores.accuracy, split=split)
            ticket.publish(run_id, result, {path.name: blobs.sha256(path)})
        ticket.succeed()
    said = train_page(store, project)
    assert said["button"].count("Use Starter") + said["button"].count(say("use_used", backbone="Starter")) == offered
    return next(text for text in said["markdown"] if "chance" in text or "no difference" in text)


def test_a_leaderboard_compares_on_the_same_pictures_where_intervals_alone_would_touch(
    idle: tuple[Store, Project],
) -> None:
    assert wilson(42, 43)[0] < wilson(34, 43)[1]
    assert "better than Starter by more than chance" in leaderboard_says(*idle, [range(1), range(9)], 1)


def test_a_leaderboard_says_what_a_few_pictures_cannot_tell_and_offers_both(idle: tuple[Store, Project]) -> None:
    said = leaderboard_says(*idle, [range(1), range(4)], 2)
    assert said.startswith(say("compare_close", n=43, names="**Starter** and **Starter**"))
    assert said.endswith(say("compare_ahead", best="Starter"))


def folds_say(store: Store, project: Project, wrong: tuple[int, int]) -> dict[str, Any]:
    """The page after a comparison of Starter and MobileNetV2, which are wrong on so many of 208 pictures of train and
    val; on the val pictures alone both are right on all."""
    job = requests.compare(store, project.id, [BASE, BASE.with_(backbone="MobileNetV2")])
    (done,) = [run for run in store.runs(project.id) if run.result is not None]
    starter, other = job.runs
    shutil.copytree(store.root(done.id), store.root(other), dirs_exist_ok=True)
    with worker(store, job) as ticket:
        ticket.publish(other, done.outcome, store.files(done.id))
        right = {key: "0" * n + "1" * (208 - n) for key, n in zip((starter, other), wrong, strict=True)}
        ticket.found("folds", "", {"right": right})
        ticket.succeed()
    return train_page(store, project)


def test_backbones_are_compared_on_all_pictures_but_test_where_val_alone_cannot_tell(
    idle: tuple[Store, Project],
) -> None:
    said = folds_say(*idle, wrong=(36, 7))
    assert say("compare_clear", best="MobileNetV2", second="Starter") in said["markdown"]
    assert "Use MobileNetV2" in said["button"] and "Use Starter" not in said["button"]


def test_of_backbones_with_as_many_right_both_are_offered_and_first_the_one_expected_to_transfer_better(
    idle: tuple[Store, Project],
) -> None:
    said = folds_say(*idle, wrong=(7, 7))
    close = say("compare_close", n=208, names="**MobileNetV2** and **Starter**")
    (text,) = [text for text in said["markdown"] if text.startswith(close)]
    assert say("compare_prior", best="MobileNetV2") in text
    offered = [
        label
        for label in said["button"]
        if label in ("Use MobileNetV2", "Use Starter", say("use_used", backbone="Starter"))
    ]
    assert offered[0] == "Use MobileNetV2" and len(offered) == 2


def test_a_comparison_says_how_far_each_is_behind_and_what_looking_at_the_project_costs(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    first, other = [True] * 200 + [False] * 8, [True] * 171 + [False] * 37
    low, high = difference(29, 0, 208)
    assert automatic_search._behind(first, other) == f"14 ({points(low)} to {points(high)})" == "14 (9 to 19)"
    assert automatic_search._behind(first, first) == "-"
    (run,) = [run for run in store.runs(project.id) if run.result is not None]
    n = run.outcome.pictures
    for facts, said in (
        (Extracted(n, 3.2, 4.0), duration(3)),
        (Extracted(0, 0.0, 2000.0), say("extracted", time=duration(2 * n))),  # all were looked at before
        (Extracted(), say("cached")),
    ):
        assert automatic_search._extraction(replace(run, result=replace(run.outcome, extracted=facts))) == said


def test_the_cost_of_looking_counts_the_copies_of_all_pictures_that_the_head_learns_from(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    (run,) = [run for run in store.runs(project.id) if run.result is not None]
    split = run.outcome.split
    for refit, n in ((0, run.outcome.pictures + 3 * split.train), (1, 4 * (split.train + split.val) + split.test)):
        plan = BASE.with_(augment=3, refit=refit).to_dict()
        cached, now = Extracted(0, 0.0, 2000.0), Extracted(n, 3.2, 4.0)
        for facts, said in ((cached, say("extracted", time=duration(2 * n))), (now, duration(3))):
            changed = replace(run, plan=plan, result=replace(run.outcome, extracted=facts))
            assert automatic_search._extraction(changed) == said


def test_nothing_is_ever_called_equally_good() -> None:
    assert not [key for key, forms in catalog.current().texts.items() if "equally good" in " ".join(forms).lower()]


def test_a_search_says_whether_its_best_is_better_than_chance(idle: tuple[Store, Project]) -> None:
    (close,) = search_says(*idle, mine=90, best=93)
    assert "**93\u00a0% (86\u201197)**" in close and pattern("search_close").search(close.replace("**", ""))
    (clear,) = search_says(*idle, mine=60, best=93)
    assert pattern("search_clear").search(clear.replace("**", ""))
    (same,) = search_says(*idle, mine=93, best=90)
    assert pattern("search_same", backbone="Starter", tries=2).search(same.replace("**", ""))


def test_a_search_from_settings_that_end_with_the_exact_head_says_that_it_measured_another(
    idle: tuple[Store, Project],
) -> None:
    own = BASE.with_(refit=1, choose_regularization=1)
    both = f"{say('search_by_epochs')} {say('search_choose_off')}"
    assert both in search_page(*idle, mine=90, best=93, own=own)["caption"]
    assert say("search_by_epochs") in search_page(*idle, mine=93, best=90, own=own)["caption"]  # they stay on
    assert not any(say("search_by_epochs") in text for text in search_page(*idle, mine=90, best=93)["caption"])


def test_while_it_learns_the_page_says_since_when_val_loss_rises_and_what_to_try(idle: tuple[Store, Project]) -> None:
    store, project = idle
    plan = Plan(epochs=30, hidden_units=512, augment=1)
    _, job = requests.train(store, project.id, plan)
    assert job is not None
    with worker(store, job) as ticket:
        ticket.stage("head", 30)
        for epoch, loss in enumerate([0.9, 0.7, 0.6, 0.7, 0.8, 0.9, 1.0], start=1):
            scores = {"loss": 1 / epoch, "accuracy": 1.0, "val_loss": loss, "val_accuracy": 0.5}
            ticket.epoch(epoch, scores)
        said = train_page(store, project)["markdown"]
    assert plain(say("note.rising_head", n=4, best=3)) in said
    assert plain(messages.note("gap_large", {"train": 1.0, "val": 0.5, "n": 50})) in said
    (tries,) = [text for text in said if text.startswith("**To try next**")]
    notes = (
        ("try_fewer", {"n": 512}),
        ("try_dropout", {}),
        ("try_pictures", {"n": len(store.dataset(project.id).part("train").pictures)}),
    )
    assert tries.splitlines()[2:] == [f"- {plain(messages.note(*each))}" for each in notes]


def test_four_backbones_are_offered_and_those_without_weights_can_be_got(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    for name in ("Starter", "MobileNetV2", "EfficientNetV2B0", "ConvNeXtTiny"):
        assert f"**{name}**" in said["markdown"]
    assert said["button"].count(say("used")) == 1
    assert [label for label in said["button"] if pattern("download").search(label)] == [
        say("download", mb=9), say("download", mb=24), say("download", mb=111),
    ]  # fmt: skip


def test_weights_are_fetched_beside_a_training_and_both_are_shown(idle: tuple[Store, Project]) -> None:
    store, project = idle
    requests.train(store, project.id, BASE.with_(epochs=30))
    queue.start(store, project.id, DOWNLOAD, OfWeights("MobileNetV2"))
    said = train_page(store, project)  # with no error and no exception
    assert said["button"].count("Cancel") >= 2


def test_an_error_about_missing_weights_names_three_ways_and_goes_when_they_are_there(
    idle: tuple[Store, Project], tmp_path: Path
) -> None:
    store, project = idle
    _, training = requests.train(store, project.id, BASE.with_(backbone="MobileNetV2"))
    assert training is not None
    for job in (training, queue.start(store, project.id, DOWNLOAD, OfWeights("MobileNetV2"))):
        with worker(store, job) as ticket:
            values = {"backbone": "MobileNetV2", "url": "https://example.org/w.h5", "folder": "models"}
            ticket.fail("weights_missing", values)
    errors = train_page(store, project, red=True)["error"]
    assert len(errors) == 2
    assert all("into models" in e and "in the browser" in e and "use Starter" in e for e in errors)
    path = backbones.weights_path(backbones.MOBILENET_V2)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    said = train_page(store, project)  # in which nothing is red
    assert say("used") in said["button"]
    assert say("weights_now_here", backbone="MobileNetV2") in said["info"] and say("resume") in said["button"]


def test_why_the_users_weights_are_not_used_is_said(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = queue.start(store, project.id, WEIGHTS, OfWeights("MobileNetV2", "mine.h5"))
    with worker(store, job) as ticket:
        ticket.fail("weights_foreign", {"path": "mine.h5", "backbone": "MobileNetV2"})
    said = visit(store.home, project.id, "train", red=True)["said"]["train"]
    assert any(say("weights_failed") in text for text in said["error"])


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads are allowed; no job gets a process that would begin one."""
    monkeypatch.delenv("HEADSTART_DOWNLOADS")


@pytest.mark.usefixtures("online")
def test_each_button_whose_job_downloads_weights_first_says_how_much(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    labels = [say("train_again"), say("search"), say("fit_ask", backbone="MobileNetV2")]
    labels += [say("more_ask", backbone="MobileNetV2")]
    assert {say("with_download", label=label, mb=9) for label in labels} <= set(said["button"])
    assert "downloads 9 MB once" in say("with_download", label="", mb=9)
    # What is in use is fetched by the training; the others can be fetched now.
    assert said["button"].count(say("used")) == 1
    offered = [label for label in said["button"] if pattern("download").fullmatch(label)]
    assert offered == [say("download", mb=24), say("download", mb=111)]


def test_where_downloads_are_forbidden_the_dial_takes_what_is_here(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    assert say("train_again") in said["button"] and say("search") in said["button"]
    assert not [label for label in said["button"] if "downloads" in label]


# Presses the start button of the project in argv; no process is started for the job.
_START = """
import sys
from tests.visits import opened
from core.jobs import queue
queue.PROCESS = []
project, *pressed = sys.argv[1:]
at = opened(project, "train")
for key in pressed:
    at.button(key=key).click().run()
assert not at.exception and not at.error, (at.exception, at.error)
"""


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    ("pressed", "backbone", "suggested"), [((), "MobileNetV2", True), (("use-Starter",), "Starter", False)]
)
def test_only_a_backbone_that_nobody_chose_may_be_replaced(
    idle: tuple[Store, Project], pressed: tuple[str, ...], backbone: str, suggested: bool
) -> None:
    store, project = idle
    done = visits.run(_START, project.id, *pressed, "start", home=store.home)
    assert done.returncode == 0, done.stderr
    job = queue.latest(store, project.id, TRAIN)
    assert job is not None and job.state == "queued"
    assert (store.run(job.runs[0]).plan["backbone"], job.is_suggested) == (backbone, suggested)


# Moves the blocks to fine-tune on the training page of the project in argv, uses the best settings of a search, and
# tells blocks and neurons.
_USE = """
import json, sys
from tests.visits import opened
project = sys.argv[1]
at = opened(project, "train")
blocks, neurons = (f"plan-{project}-balanced-{name}" for name in ("fine_tune_blocks", "hidden_units"))
at.select_slider(key=blocks).set_value(2).run()
at.button(key="use-best").click().run()
assert not at.exception and not at.error, (at.exception, at.error)
print(json.dumps([at.select_slider(key=key).value for key in (blocks, neurons)]))
"""


def test_settings_for_the_backbone_that_the_dial_has_leave_the_blocks_to_fine_tune_alone(
    idle: tuple[Store, Project],
) -> None:
    store, project = idle
    search_page(store, project, 60, 80)
    done = visits.run(_USE, project.id, home=store.home)
    assert done.stdout.split("\n")[-2:] == ["[2, 64]", ""], (done.stdout, done.stderr)


def test_a_training_that_went_on_with_another_backbone_says_so(idle: tuple[Store, Project]) -> None:
    store, project = idle
    (done,) = store.runs(project.id)
    _, job = requests.train(store, project.id, BASE.with_(backbone="MobileNetV2"), suggested=True)
    assert job is not None
    with worker(store, job) as ticket:
        ticket.stage("download", 9)
        ticket.note("instead_missing", backbone="MobileNetV2", instead="Starter")
        ticket.turn_to(done.id)
        ticket.stage("features", 36)
        ticket.stage("head", 30)
        (steps,) = [text for text in train_page(store, project)["caption"] if messages.stage("features") in text]
        assert messages.stage("download") not in steps  # it did not come
        ticket.succeed()
    said = train_page(store, project)
    note = messages.note("instead_missing", {"backbone": "MobileNetV2", "instead": "Starter"})
    assert plain(note) in said["info"]
    assert any(pattern("done_score", backbone="Starter", n=6).search(text) for text in said["success"])


def test_imagenet_accuracy_stands_under_its_name_and_starter_has_what_to_expect_until_it_is_measured(
    idle: tuple[Store, Project],
) -> None:
    said = train_page(*idle)
    (card,) = [text for text in said["caption"] if text.endswith(say("card_top1", top1=71))]
    assert card.startswith(say("backbone.MobileNetV2"))
    assert any(text.endswith(say("card_starter")) for text in said["caption"])
    assert "says little about your classes" in say("top1_help")
    said = folds_say(*idle, wrong=(36, 7))
    words = {"ours": 172, "pictures": "208 pictures", "better": "MobileNetV2", "theirs": 201}
    assert any(text.endswith(say("card_starter_measured", **words)) for text in said["caption"])
    assert not any(say("card_starter") in text for text in said["caption"])


# Chooses a backbone on the training page of the project in argv, without keras-hub, and tells what stands there.
_WITHOUT_HUB = """
import json, sys
from core import backbones
from tests.visits import opened
project, name = sys.argv[1:]
backbones.has_hub = lambda: False
at = opened(project, "train")
at.session_state[f"plan-{project}-balanced-backbone"] = name
at.run()
assert not at.exception and not at.error, (at.exception, at.error)
print(json.dumps([[text.value for text in at.caption], [button.key for button in at.button]]))
"""


def test_a_network_that_cannot_be_built_here_says_what_to_install(idle: tuple[Store, Project]) -> None:
    store, project = idle
    done = visits.run(_WITHOUT_HUB, project.id, "DINOv2Small", home=store.home)
    assert done.returncode == 0, done.stderr
    captions, buttons = json.loads(done.stdout.splitlines()[-1])
    assert say("card_hub", install=backbones.INSTALL) in captions
    assert "use-Starter" in buttons and not {"use-DINOv2Small", "fetch-DINOv2Small"} & set(buttons)
