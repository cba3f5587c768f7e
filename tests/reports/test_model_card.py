"""The model card of a run, as Hugging Face's own library reads it."""

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from core.errors import HeadstartError
from core.plan import Plan
from core.reports import model_card
from core.store.store import Store


def _card(home: Path) -> ModelCard:
    store = Store(home)
    (run,) = store.runs(store.projects()[0].id)
    return ModelCard(model_card.build(store, run).decode())


def test_hugging_face_reads_the_metadata_and_the_scores(trained: Path) -> None:
    store = Store(trained)
    (run,) = store.runs(store.projects()[0].id)
    card = _card(trained)
    values = card.data
    assert (values.license, values.pipeline_tag, values.library_name) == ("apache-2.0", "image-classification", "keras")
    scores = {each.metric_type: each for each in values.eval_results or []}
    assert scores["accuracy"].metric_value == pytest.approx(run.outcome.test_accuracy, abs=1e-4)
    assert scores["accuracy"].dataset_split == "test" and set(scores) == {"accuracy", "f1"}
    assert f"{run.outcome.test_correct} right" in card.text and run.fingerprint in card.text
    assert str(values.to_dict()["model-index"])  # written again as the hub does


def test_hostile_names_are_code_and_nothing_else(named: Path) -> None:
    card = _card(named)
    for label in Store(named).runs(Store(named).projects()[0].id)[0].outcome.classes:
        assert model_card.code(label) in card.text
    bare = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", card.text)
    assert not re.search(r"<b>|\*\*b\*\*|www\.|@|=1\+1", bare)
    rows = [line for line in card.text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {3, 5}


@pytest.mark.parametrize("name", ["`", "a``b", "x|y", " ", "plain"])
def test_a_code_span_ends_where_the_name_does(name: str) -> None:
    fence = re.match("`+", model_card.code(name))
    assert fence is not None and fence[0] not in re.findall("`+", name) and name in model_card.code(name)


def test_a_run_without_a_model_has_no_card(store: Store) -> None:
    project = store.add_project("p")
    run = store.add_run(project.id, Plan().to_dict(), store.dataset(project.id))
    with pytest.raises(HeadstartError) as error:
        model_card.build(store, run)
    assert error.value.code == "run_unfinished"
