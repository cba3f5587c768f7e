"""The sections of a report below its first screen: each answers the elements of one."""

from collections import Counter
from dataclasses import fields

from core.audit import findings
from core.dataset import PARTS
from core.jobs.kinds import FIT
from core.language import catalog, messages
from core.language.catalog import say
from core.language.numerals import between, percent
from core.learning import curves as learned
from core.plan import Plan
from core.reports import drawings, sentences
from core.reports.markup import Node, bullets, node, rich, table
from core.reports.run_facts import RunFacts
from core.runs import questions, run_file
from core.scores import confusions
from core.scores.evaluation import intervals, wilson
from core.store.store import Store

_CLASSES = 20  # of a matrix that is still readable on A4


def asked(facts: RunFacts) -> list[Node]:
    """What the model was to do, and what its user wrote about it."""
    said = [say("report_asked_for", classes=say("classes_n", n=len(facts.result.classes)))]
    said += [text for text in (facts.run.name, facts.run.note) if text]
    return [node("p", text) for text in said]


def data(store: Store, facts: RunFacts) -> list[Node]:
    """The pictures of each class in each part, what is not used, and what the audit found."""
    counts = Counter((picture.label, picture.part) for picture in facts.dataset.pictures)
    rows = [[label, *(str(counts[label, part]) for part in PARTS), str(n)] for label, n in facts.dataset.counts.items()]
    blocks = [table([say("class"), *(say(f"part.{part}") for part in PARTS), say("pictures")], rows)]
    excluded = {reason: n for (outcome, reason), n in store.outcomes(facts.project.id).items() if outcome == "excluded"}
    if excluded:
        reasons = ", ".join(f"{n} {messages.reason(reason)}" for reason, n in excluded.items())
        blocks.append(node("p", say("report_unused", n=sum(excluded.values()), reasons=reasons)))
    if findings.state(store, facts.project.id) == "never":
        return [*blocks, node("p", say("report_found_never"))]
    found = findings.findings(store, facts.project.id)
    if not found:
        return [*blocks, node("p", say("report_found_nothing"))]
    return [*blocks, node("p", say("report_found")), bullets(rich(sentences.finding(each)) for each in found)]


def parts(facts: RunFacts) -> list[Node]:
    """How the pictures were divided."""
    sizes, made = facts.result.split, facts.result.made
    split = made.split if made else None
    seed, val, test = (split.seed, split.val, split.test) if split else (0, facts.project.val, facts.project.test)
    return [
        node("p", say("report_parts", train=sizes.train, val=sizes.val, test=sizes.test)),
        node("p", say("report_split_how", seed=seed, val=percent(val), test=percent(test))),
    ]


def plan(facts: RunFacts) -> list[Node]:
    """Every setting that the training followed."""
    values = facts.plan.to_dict()
    rows = []
    for setting in fields(Plan):
        if setting.name.startswith("fine_tune") and not facts.plan.fine_tune_blocks:
            continue
        value, rule = values[setting.name], setting.metadata
        if (rule.get("low"), rule.get("high")) == (0, 1) and isinstance(setting.default, int):
            text = say("yes" if value else "no")
        else:
            text = catalog.number(value, "g") if isinstance(value, float) else str(value)
        rows.append([say(f"setting.{setting.name}"), text])
    return [table([say("report_setting"), say("value")], rows)]


def curves(facts: RunFacts) -> list[Node]:
    """The accuracies by epoch, and what they tell."""
    result = facts.result
    history = [*result.head.history, *result.tuned_epochs]
    remarks = [messages.note(code, values) for code, values in result.notes]
    remarks += [messages.note(each.code, each.values) for each in learned.of_result(facts.plan, result)]
    blocks = [bullets(remarks)] if remarks else []
    if not history:
        return blocks
    lines = {
        say("curve_train"): [row.get("accuracy") for row in history],
        say("curve_val"): [row.get("val_accuracy") for row in history],
    }
    ends = {"train": percent(history[-1].get("accuracy")), "val": percent(history[-1].get("val_accuracy"))}
    alt = say("report_curves_alt", n=len(history), **ends)
    words = {"epoch": say("curve_epoch"), "best": say("curve_best")}
    return [drawings.curves(lines, learned.kept_row(result), words, alt), node("p", say("curve_help")), *blocks]


def scores(facts: RunFacts) -> list[Node]:
    """The scores on the test part and of each class, with their intervals."""
    test, around = facts.test, intervals(facts.test)
    if around is None:
        return [node("p", sentences.headline(facts))]
    named = {
        "accuracy": (test.accuracy, test.interval),
        "balanced_accuracy": (test.balanced_accuracy, around.balanced_accuracy),
        "macro_f1": (test.macro_f1, around.macro_f1),
        "weighted_f1": (test.weighted_f1, around.weighted_f1),
    }
    rows = [[say(name), _range(value, interval), say(f"{name}_help")] for name, (value, interval) in named.items()]
    low, high = (catalog.number(value, ".3f") for value in around.log_loss)
    loss = f"{catalog.number(test.log_loss or 0.0, '.3f')} ({low}\u2011{high})"
    rows.append([say("log_loss"), loss, say("log_loss_help")])
    each = []
    for i, row in enumerate(test.per_class):
        hits, said = int(test.confusion[i, i]), int(test.confusion[:, i].sum())
        precision = _range(row.precision, wilson(hits, said) if said else None)
        recall = _range(row.recall, wilson(hits, row.support) if row.support else None)
        each.append([row.label, str(row.support), precision, recall, _range(row.f1, around.f1[i])])
    titles = [say("class"), say("test_pictures"), say("precision"), say("recall"), say("f1")]
    meanings = [f"{say(name)}: {say(f'{name}_help')}" for name in ("precision", "recall", "f1")]
    return [table([say("score"), say("value"), say("meaning")], rows), table(titles, each), bullets(meanings)]


def matrix(facts: RunFacts) -> list[Node]:
    """The confusion matrix; of many classes, of those that are confused most."""
    test = facts.test
    if not test.n:
        return []
    order = confusions.order(test)[:_CLASSES] if len(test.classes) > _CLASSES else list(range(len(test.classes)))
    counts, labels = test.confusion[order][:, order], [test.classes[i] for i in order]
    alt = say("report_matrix_alt", correct=test.correct, n=test.n)
    blocks = [node("p", say("report_matrix_help"))]
    if len(order) < len(test.classes):
        blocks.append(node("p", say("report_matrix_some", n=len(test.classes))))
    return [*blocks, drawings.matrix(counts, labels, alt)]


def fit(store: Store, facts: RunFacts) -> list[Node]:
    """Whether the pretrained network helps with these pictures, if that was asked."""
    answered = questions.answer(store, facts.project.id, FIT, Plan(backbone=facts.backbone.name), facts.run.fingerprint)
    if answered is None:
        return [node("p", say("report_fit_never").replace("*", ""))]
    return [rich(sentences.fit(answered.fit, facts.backbone.name))]


def repeat(store: Store, facts: RunFacts) -> list[Node]:
    """The run file, with all that is needed to train the model again."""
    return [
        node("p", say("report_repeat_how").replace("`", "")),
        node("pre", run_file.write(store, facts.run), tabindex=0),
    ]


def _range(value: float | None, interval: tuple[float, float] | None) -> str:
    return "-" if value is None or interval is None else between(value, *interval)
