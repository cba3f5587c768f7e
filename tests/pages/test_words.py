from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.explain.predictor import Explanation
from core.language.catalog import say
from pages.parts.demo import try_model
from pages.parts.frame.words import certainty, isolated, pace, plain


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, "more than 99 %"), (0.9951, "more than 99 %"), (0.994, "99 %"), (0.5, "50 %"), (0.006, "1 %"),
        (0.004, "less than 1 %"), (0.0, "0 %"),
    ],
)  # fmt: skip
def test_no_model_is_said_to_be_quite_sure(share: float, said: str) -> None:
    assert certainty(share).replace("\u00a0", " ") == said


@pytest.mark.parametrize("name", ["כלב", "قطة", "cat كلب"])
def test_a_name_from_right_to_left_does_not_turn_around_what_follows_it(name: str) -> None:
    assert plain(name) == isolated(name) == f"\u2068{name}\u2069"


def test_a_network_that_is_slower_than_a_picture_a_second_is_not_said_to_do_none() -> None:
    assert [pace(rate) for rate in (104.6, 1.2, 0.4, 0.005)] == [
        say("per_second", n=105), say("per_second", n=1), say("per_picture", time=say("time_s", n=2)),
        say("per_picture", time=say("time_min", n=3)),
    ]  # fmt: skip


def test_other_names_are_left_as_they_are() -> None:
    assert plain("Käfer 2") == isolated("Käfer 2") == "Käfer 2"


def test_what_a_heat_map_shows_is_read_out_as_the_class_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    read_out: list[str] = []

    class Column:
        def image(self, *_: object, alt: str, **__: object) -> None:
            read_out.append(alt)

    monkeypatch.setattr(try_model.st, "caption", lambda _: None)
    seen, heat = np.zeros((8, 8, 3), np.uint8), {"no-entry": np.ones((2, 2), np.float32)}
    explained = Explanation((("no-entry", 1.0),), seen, heat, ())
    run: Any = SimpleNamespace(plan={"backbone": "Starter"})
    try_model.heat_map(run, explained, "no-entry", Column(), Column())  # type: ignore[arg-type]
    assert read_out == [say("why_seen"), say("why_hot", label="no-entry")]
    assert plain("no-entry") == "no\\-entry"  # as Markdown needs it, which nobody should hear
