"""What is said of a run in words, for readers who have never trained a model: the same in the report and on the card.

`show` writes a name of the user's, such as that of a class, as the output needs it.
"""

from collections.abc import Callable, Iterator

from core.audit.findings import Finding
from core.language.catalog import say
from core.language.numerals import percent, points, points_n
from core.learning.transferability import Fit
from core.reports.run_facts import RunFacts
from core.scores import confusions

Show = Callable[[str], str]

_NAMED = 12  # classes that a sentence names
_MIXED = 3  # confused pairs that are told
_FEW = 50  # test pictures, each of which counts two points
_FEW_OF_CLASS = 5  # test pictures of a class: one mistake moves its recall by 20 points or more


def headline(facts: RunFacts) -> str:
    """How often the model is right on pictures that it has not seen."""
    if not facts.test.n or facts.test.interval is None:
        return say("report_untested")
    low, high = facts.test.interval
    share = facts.test.correct / facts.test.n
    return say("report_headline", share=round(100 * share), low=round(100 * low), high=round(100 * high))


def measured(facts: RunFacts) -> str:
    """On what that was measured; empty where it was not."""
    n = facts.test.n
    return say("report_measured", correct=facts.test.correct, n=n) if n else ""


def taught(facts: RunFacts, show: Show) -> str:
    """What the model was taught from."""
    split = facts.result.split
    # Val pictures teach too where the head was solved again on both in the end.
    pictures = say("pictures_n", n=split.train + (split.val if facts.plan.learns_from_val else 0))
    classes = say("classes_n", n=len(facts.result.classes))
    return say("report_taught", pictures=pictures, classes=classes, names=_listed(facts.result.classes, show))


def mixes(facts: RunFacts, show: Show) -> list[str]:
    """Which classes the model takes for each other, the most frequent first."""
    found = confusions.pairs(facts.test)[:_MIXED]
    if facts.test.n and not found:
        return [say("report_no_mistake", n=facts.test.n)]
    return [
        say("report_mixes", truth=show(pair.truth), predicted=show(pair.predicted), k=pair.n, n=pair.support)
        for pair in found
    ]


def made(facts: RunFacts) -> str:
    """How the model came about, in a sentence or two."""
    tuned = facts.result.fine_tune
    text = say("report_made", backbone=facts.backbone.name)
    if tuned is not None and tuned.best_epoch:
        text = f"{text} {say('report_made_tuned', n=facts.plan.fine_tune_blocks)}"
    return text


def limits(facts: RunFacts, show: Show) -> Iterator[str]:
    """When not to trust the model."""
    yield say("report_limit_kind")
    n = facts.test.n
    if n and n < _FEW:
        yield say("report_limit_few", points=round(100 / n), n=n)
    rare = [row.label for row in facts.test.per_class if row.support < _FEW_OF_CLASS]
    if n and rare:
        yield say("report_limit_rare", names=_listed(rare, show), n=_FEW_OF_CLASS)
    if facts.left_out:
        yield say("report_limit_left_out", n=facts.left_out)
    if facts.limits.farthest is None:
        yield say("report_limit_any")
    else:
        yield say("report_limit_none")
    if facts.limits.least or facts.limits.classes:
        yield say("report_limit_sure", share=percent(facts.limits.least))
    yield say("report_limit_harm")


def finding(found: Finding) -> str:
    """What an audit found; `**` begins and ends what is bold."""
    values = {**found.values, "n": found.n}
    if found.kind == "shortcut":
        right = found.values["correct"] / found.values["n"]
        shown = {"right": percent(right), "chance": percent(found.values["chance"]), "n": found.values["n"]}
        return say(f"found_shortcut_{found.values['by']}", **shown)
    if "groups" in values:
        values["groups"] = say("groups_n", n=values["groups"])
    return say(f"found_{found.kind}", **values)


def fit(answer: Fit, name: str) -> str:
    """The verdict on a backbone and the numbers behind it; `**` begins and ends what is bold."""
    low, high = answer.gain_interval
    rival = say(f"set_{answer.rival.name}_in", backbone=name)
    numbers = {
        "score": percent(answer.pretrained.correct / answer.n), "rival": rival, "n": answer.n, "backbone": name,
        "other": percent(answer.rival.correct / answer.n), "gain": points_n(answer.gain), "low": points(low),
        "high": points(high),
    }  # fmt: skip
    return f"{say(f'fit_{answer.verdict}', **numbers)} {say('fit_numbers', **numbers)}"


def _listed(names: tuple[str, ...] | list[str], show: Show) -> str:
    text = ", ".join(show(name) for name in names[:_NAMED])
    more = len(names) - _NAMED
    return say("report_and_more", names=text, k=more) if more > 0 else text
