"""The report of a run: one HTML file that needs nothing else, asks nobody for anything, and prints on A4.

Its first screen is for readers who have never trained a model; all numbers follow. It is in the language that is
spoken when it is made.
"""

from collections.abc import Iterator
from datetime import datetime

from core.errors import HeadstartError
from core.language import catalog
from core.language.catalog import say
from core.language.numerals import certainty
from core.reports import drawings, evidence, run_facts, sections, sentences
from core.reports.evidence import Evidence
from core.reports.markup import Content, Node, bullets, node, to_bytes
from core.reports.report_style import STYLE
from core.reports.run_facts import RunFacts
from core.store.store import Run, Store

FILE = "report.html"
# A browser that reads the page asks nobody for anything, whatever the page says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def build(store: Store, run: Run) -> bytes:
    """The report of a finished run. Raises HeadstartError as `run_facts.read` does; where pictures cannot be shown, the
    report says why."""
    facts = run_facts.read(store, run)
    title = say("report_title", name=facts.project.name)
    head = node(
        "head",
        node("meta", charset="utf-8"),
        node("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        node("meta", name="viewport", content="width=device-width, initial-scale=1"),
        node("title", title),
        node("style", STYLE),
    )
    body = node("body", node("main", _first_screen(facts, title), *_sections(store, facts)))
    return to_bytes(node("html", head, body, lang=catalog.current().tag))


def _first_screen(facts: RunFacts, title: str) -> Node:
    said: list[Content] = [node("p", sentences.headline(facts), class_="headline")]
    if facts.test.n:
        share = facts.test.correct / facts.test.n
        said = [drawings.hundred(share, sentences.headline(facts)), node("div", *said, _p(sentences.measured(facts)))]
    blocks = [node("h1", title), node("div", *said, class_="first")]
    if mixed := sentences.mixes(facts, str):
        blocks += [node("h2", say("report_mixed")), bullets(mixed)]
    blocks += [node("h2", say("report_from")), _p(sentences.taught(facts, str)), _p(sentences.made(facts))]
    when = datetime.fromtimestamp(facts.run.created_at).strftime("%Y-%m-%d %H:%M")
    made = facts.result.made
    version = made.versions.get("headstart", "?") if made else "?"
    return node("header", *blocks, _p(say("report_when", when=when, version=version), "note"))


def _sections(store: Store, facts: RunFacts) -> Iterator[Node]:
    parts = {
        "report_limits": [bullets(sentences.limits(facts, str))],
        "report_asked": sections.asked(facts),
        "report_data": sections.data(store, facts),
        "report_split": sections.parts(facts),
        "report_plan": sections.plan(facts),
        "curves": sections.curves(facts),
        "report_scores": sections.scores(facts),
        "matrix": sections.matrix(facts),
    }
    parts |= _pictures(store, facts)
    parts["report_fit"] = sections.fit(store, facts)
    parts["report_licenses"] = [_p(f"{facts.backbone.terms}."), _p(say("report_license_data"))]
    parts["report_repeat"] = sections.repeat(store, facts)
    for key, content in parts.items():
        if content:
            yield node("section", node("h2", say(key)), *content)


def _pictures(store: Store, facts: RunFacts) -> dict[str, list[Node]]:
    if not facts.test.n:
        return {}
    try:
        found = evidence.of_run(store, facts)
    except HeadstartError as error:
        return {"report_worst": [_p(say("report_no_pictures", reason=error.message))]}
    wrong = [_figure(each) for each in found if not each.is_right]
    right = [_figure(each) for each in found if each.is_right]
    parts = {}
    if wrong:
        parts["report_worst"] = [_p(say("report_worst_help", n=len(wrong))), node("div", *wrong, class_="pictures")]
    if right:
        parts["report_right"] = [_p(say("report_right_help")), node("div", *right, class_="pictures")]
    return parts


def _figure(shown: Evidence) -> Node:
    said = {"truth": shown.truth, "label": shown.label, "p": certainty(shown.probability)}
    pictures = [node("img", src=shown.seen, alt=say("report_picture_alt", truth=shown.truth), width=224, height=224)]
    if shown.heat:
        pictures.append(
            node("img", src=shown.heat, alt=say("report_heat_alt", label=shown.label), width=224, height=224)
        )
    caption = node("figcaption", say("report_picture_right" if shown.is_right else "report_picture_wrong", **said))
    return node("figure", *pictures, caption)


def _p(text: str, class_: str = "") -> Node:
    return node("p", text, **({"class_": class_} if class_ else {}))
