"""What the lesson says about a finished run of the user: weights, scores, rates, and whether its backbone fits."""

from collections.abc import Iterator

import streamlit as st

from core import backbones
from core.jobs.kinds import FIT
from core.language import messages
from core.learning import curves, head
from core.plan import Plan
from core.reports import sentences as reported
from core.runs import questions
from core.store.store import Project, Run
from pages.parts.frame import context
from pages.parts.frame.words import certainty, number, percent, plain, say
from pages.parts.results import run_list


def sentences(project: Project, run: Run) -> dict[str, str]:
    """The sentences of each section of the lesson about this run."""
    sizes = _sizes(run.id, context.store().revision(project.id))
    told = {
        "frozen": _frozen(run, sizes), "head": _head(run, sizes), "tuning": _tuning(run), "over": _over(run),
        "fit": _fit(project, run),
    }  # fmt: skip
    return {name: " ".join(said) for name, said in told.items()}


@st.cache_data(show_spinner=False, max_entries=64)
def _sizes(run_id: str, revision: int) -> list[int]:
    """The widths of the head from the features to the classes; empty where its file cannot be read."""
    try:
        return head.sizes(context.store().folder(run_id) / "head.npz")
    except ValueError:
        return []


def _frozen(run: Run, sizes: list[int]) -> Iterator[str]:
    backbone = backbones.find(run.plan["backbone"])
    values = {"backbone": backbone.name, "weights": number(backbone.parameters, ",")}
    pictures = say("pictures_n", n=run.outcome.pictures)
    if sizes:
        yield say("own_frozen", pictures=pictures, features=number(sizes[0], ","), **values)
    else:
        yield say("own_frozen_bare", pictures=pictures, **values)
    if backbone == backbones.STARTER:
        yield say("own_starter")


def _head(run: Run, sizes: list[int]) -> Iterator[str]:
    result = run.outcome
    if sizes:
        trained = head.n_weights(sizes)
        share = trained / (trained + backbones.find(run.plan["backbone"]).parameters)
        words = run_list.head_words(run.plan.get("hidden_units", 0), run.plan.get("hidden_layers", 1))
        yield say("own_head", head=words, weights=number(trained, ","), share=certainty(share))
    score = result.before_fine_tune.test_accuracy if result.before_fine_tune else result.test_accuracy
    if result.test_n and score is not None:
        yield say("own_head_score", score=percent(score), n=result.test_n)


def _tuning(run: Run) -> Iterator[str]:
    plan, result = Plan.from_dict(run.plan), run.outcome
    if result.fine_tune is None:
        yield say("own_not_tuned", backbone=plan.backbone)
        return
    rates = {"rate": number(plan.fine_tune_rate, "g"), "head": number(plan.learning_rate, "g")}
    times = number(plan.fine_tune_rate / plan.learning_rate, ".3g")
    n_blocks = len(backbones.find(plan.backbone).blocks)
    yield say("own_tuned", n=plan.fine_tune_blocks, all=n_blocks, backbone=plan.backbone, times=times, **rates)
    if result.before_fine_tune is None or result.before_fine_tune.test_accuracy is None:
        return
    before = percent(result.before_fine_tune.test_accuracy)
    if result.fine_tune.best_epoch:
        yield say("own_tuned_kept", before=before, after=percent(result.test_accuracy))
    else:
        yield say("own_tuned_left", before=before)


def _over(run: Run) -> Iterator[str]:
    result = run.outcome
    if result.learned is None:
        yield say("own_no_gap")
    elif result.test_n:
        yield say("own_gap", train=percent(result.learned), test=percent(result.test_accuracy), n=result.test_n)
    elif result.split.val:
        yield say("own_gap_val", train=percent(result.learned), test=percent(result.val_accuracy), n=result.split.val)
    for found in curves.of_result(Plan.from_dict(run.plan), result):
        if found.code.startswith("rising"):
            yield plain(messages.note(found.code, found.values))


def _fit(project: Project, run: Run) -> Iterator[str]:
    name = str(run.plan["backbone"])
    now = context.dataset(project).fingerprint
    answered = questions.answer(context.store(), project.id, FIT, Plan(backbone=name), now)
    if answered is None:
        yield say("own_not_asked", backbone=name)
        return
    yield reported.fit(answered.fit, name)
    if not answered.current:
        yield say("answer_stale")


def shown(project: Project) -> Run | None:
    """The run whose numbers are told: the one that other pages show."""
    runs = context.finished(project)
    return run_list.current(project, runs) if runs else None
