"""The kinds of head in the drawer set the sliders, and the sliders say which kind it is."""

import json

import pytest

from core.plan import PRESETS, Plan
from tests import visits

_CHOOSE = '''
import json, sys
from streamlit.testing.v1 import AppTest

page = """
import json, sys
import streamlit as st
from core.plan import Plan
from pages.parts.train import settings_form
plan = Plan(**json.loads(sys.argv[1]))
st.session_state["values"] = settings_form.settings(plan, lambda name: f"k-{name}", lambda _: None)
"""

at = AppTest.from_string(page, default_timeout=30).run()
kind = at.button_group(key="k-preset")
answers = [[kind.value, at.session_state["values"]]]
for choice in sys.argv[2:]:
    at.button_group(key="k-preset").set_value(choice).run()
    answers.append([at.button_group(key="k-preset").value, at.session_state["values"]])
at.select_slider(key="k-dropout").set_value(0.6).run()
answers.append([at.button_group(key="k-preset").value, at.session_state["values"]])
assert not at.exception, at.exception
print(json.dumps(answers))
'''


# As the dial suggests for few pictures, with blocks to fine-tune: all that a preset turns off is on.
BASE = Plan(
    pooling="depths", mirrored=1, balance=1.0, refit=1, choose_regularization=1, augment=1, fine_tune_blocks=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict]]:
    done = visits.run(
        _CHOOSE, json.dumps(BASE.to_dict()), "textbook", "mlp", "linear", home=tmp_path_factory.mktemp("drawer")
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_kind_of_head_sets_its_sliders_and_is_shown_as_chosen(answers: list[tuple[str, dict]]) -> None:
    assert [kind for kind, _ in answers] == ["linear", "textbook", "mlp", "linear", None]
    textbook, mlp, linear = (values for _, values in answers[1:4])
    for name in ("pooling", "hidden_units", "hidden_layers", "dropout", "regularization", "epochs", "batch_size",
                 "choose_regularization", "refit"):  # fmt: skip
        assert textbook[name] == getattr(PRESETS["textbook"], name), name
        assert mlp[name] == getattr(PRESETS["mlp"], name), name
        assert linear[name] == getattr(BASE, name), name
    assert [values["pooling"] for values in (textbook, mlp, linear)] == ["flatten", "average", "depths"]
    assert [values["refit"] for values in (textbook, mlp, linear)] == [0, 0, 1]


def test_the_textbook_turns_all_else_off_and_the_others_leave_it_alone(answers: list[tuple[str, dict]]) -> None:
    names = ("augment", "fine_tune_blocks", "mirrored", "balance")
    assert [[values[name] for name in names] for _, values in answers[:4]] == [[1, 2, 1, 1.0], *[[0, 0, 0, 0.0]] * 3]


def test_moving_a_slider_leaves_the_kind(answers: list[tuple[str, dict]]) -> None:
    assert answers[-1][0] is None and answers[-1][1]["dropout"] == 0.6
