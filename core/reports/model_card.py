"""The model card of a run: a README.md as Hugging Face reads it, with the metadata of a model at its top.

One sentence for each claim, and every number is the run's. Names of the user's stand as code, in which Markdown means
nothing.
"""

import re
from typing import Any

import yaml

from core.language.catalog import say
from core.language.numerals import between, percent
from core.reports import run_facts, sentences
from core.reports.run_facts import RunFacts
from core.store.store import Run, Store

FILE = "README.md"
# The licenses of the catalog as Hugging Face names them: https://huggingface.co/docs/hub/repositories-licenses
_LICENSES = {"Apache-2.0": "apache-2.0", "MIT": "mit", "BSD-3-Clause": "bsd-3-clause", "CC BY 4.0": "cc-by-4.0"}
_TAGS = ("image-classification", "keras", "litert", "transfer-learning", "headstart")


def build(store: Store, run: Run) -> bytes:
    """The card of a finished run, in the language that is spoken. Raises HeadstartError as `run_facts.read` does."""
    facts = run_facts.read(store, run)
    head: str = yaml.safe_dump(_metadata(facts), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n{_body(facts)}".encode()


def _metadata(facts: RunFacts) -> dict[str, Any]:
    values: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "license": _LICENSES.get(facts.backbone.license, "other"),
        "tags": list(_TAGS),
    }
    if not facts.test.n:
        return values
    name = facts.run.name or facts.project.name
    scores = {"accuracy": facts.test.accuracy, "f1": facts.test.macro_f1}
    titles = {"accuracy": say("accuracy"), "f1": say("macro_f1")}
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"type": "imagefolder", "name": facts.project.name, "split": "test"},
        "metrics": [
            {"type": kind, "value": round(value, 4), "name": titles[kind]}
            for kind, value in scores.items()
            if value is not None
        ],
    }
    return values | {"model-index": [{"name": name, "results": [result]}]}


def _body(facts: RunFacts) -> str:
    test, sizes = facts.test, facts.result.split
    blocks = [f"# {say('card_title', name=code(facts.project.name))}", sentences.headline(facts)]
    blocks += [sentences.taught(facts, code), sentences.made(facts)]
    blocks += [f"## {say('card_use')}", say("card_use_for"), f"## {say('report_limits')}"]
    blocks.append(_bullets(list(sentences.limits(facts, code))))
    blocks.append(f"## {say('card_data')}")
    blocks.append(say("report_parts", train=sizes.train, val=sizes.val, test=sizes.test))
    blocks.append(_table((say("class"), say("pictures")), [(code(c), str(n)) for c, n in facts.dataset.counts.items()]))
    if test.n:
        blocks += [f"## {say('report_scores')}", sentences.measured(facts)]
        rows = [
            (code(row.label), str(row.support), percent(row.precision), percent(row.recall)) for row in test.per_class
        ]
        low, high = test.interval or (0.0, 1.0)
        total = (say("card_all"), str(test.n), "", between(test.accuracy or 0.0, low, high))
        titles = (say("class"), say("test_pictures"), say("precision"), say("recall"))
        blocks += [_table(titles, [*rows, total]), _bullets(sentences.mixes(facts, code))]
    blocks += [f"## {say('report_repeat')}", say("card_repeat", fingerprint=facts.run.fingerprint)]
    blocks += [f"## {say('report_licenses')}", facts.backbone.terms + "."]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(name: str) -> str:
    """A name as a code span of Markdown, longer in its fence than any in the name; spaces at its ends do not count."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", name)), default=0))
    space = " " if name.startswith("`") or name.endswith("`") else ""
    return f"{fence}{space}{name}{space}{fence}"
