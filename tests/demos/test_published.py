import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.demos import published
from core.demos.published import Appearance
from core.errors import HeadstartError
from core.plan import Plan
from core.store.store import Run, Store

SHOWN = Appearance("Signs", "Which letter is it?", b"\xff\xd8logo", "#AA3300", ("a" * 64,), "pt_BR")


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def run(empty: Store) -> Run:
    project = empty.add_project("p")
    return empty.add_run(project.id, Plan().to_dict(), empty.dataset(project.id))


def test_a_demo_is_found_by_its_token_alone_and_looks_as_it_was_published(empty: Store, run: Run) -> None:
    demo = published.publish(empty, run, SHOWN)
    assert published.find(empty, demo.token) == demo and demo.appearance == replace(SHOWN, accent="#aa3300")
    assert published.of_project(empty, run.project_id) == [demo] and demo.path == f"/d/{demo.token}/"
    for other in ("", demo.id, demo.token[:-1], demo.token + "x", demo.token.swapcase(), "x" * 22, f"{demo.token}\n"):
        assert published.find(empty, other) is None


def test_no_two_demos_have_one_token(empty: Store, run: Run) -> None:
    tokens = {published.publish(empty, run, SHOWN).token for _ in range(20)}
    assert len(tokens) == 20 and all(published.TOKEN.fullmatch(token) for token in tokens)


def test_a_demo_that_was_stopped_or_has_ended_is_not_found(
    empty: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = published.publish(empty, run, SHOWN)
    short = published.publish(empty, run, replace(SHOWN, ends_at=time.time() + 60))
    assert published.find(empty, short.token) is not None
    published.revoke(empty, stopped.id)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert published.find(empty, stopped.token) is None and published.find(empty, short.token) is None
    assert [demo.is_open for demo in published.of_project(empty, run.project_id)] == [False, False]


def test_the_passcode_is_kept_as_a_hash_and_a_new_one_ends_what_the_old_one_opened(empty: Store, run: Run) -> None:
    demo = published.publish(empty, run, SHOWN, "open sesame")
    assert "open sesame" not in str(demo) and demo.passcode.startswith("$argon2")
    assert published.admits(demo, "open sesame") and not published.admits(demo, "open sesam")
    shown = published.proof(demo)
    assert published.is_proof(demo, shown) and not published.is_proof(demo, "") and not published.is_proof(demo, "ä")
    changed = published.change(empty, demo.id, SHOWN, "another one")
    assert not published.is_proof(changed, shown) and published.admits(changed, "another one")
    assert published.change(empty, demo.id, SHOWN).passcode == changed.passcode
    assert published.is_proof(published.change(empty, demo.id, SHOWN, ""), "")


def test_no_words_of_an_owner_turn_what_follows_them_around(empty: Store, run: Run) -> None:
    turned = replace(SHOWN, title="Leaves \u202egnp.exe", words="\u2067left to right")
    appearance = published.publish(empty, run, turned).appearance
    assert (appearance.title, appearance.words) == ("Leaves gnp.exe", "left to right")


def test_what_cannot_be_published_is_refused_with_a_sentence(empty: Store, run: Run) -> None:
    wrong = {
        "demo_untitled": (replace(SHOWN, title=" \n "), ""),
        "accent_unclear": (replace(SHOWN, accent="red"), ""),
        "demo_ends_before": (replace(SHOWN, ends_at=time.time() - 1), ""),
        "passcode_short": (SHOWN, "12345"),
    }
    for code, (appearance, passcode) in wrong.items():
        with pytest.raises(HeadstartError) as refused:
            published.publish(empty, run, appearance, passcode)
        assert refused.value.code == code and refused.value.message and refused.value.hint
    assert published.of_project(empty, run.project_id) == []


def test_questions_are_counted(empty: Store, run: Run) -> None:
    demo = published.publish(empty, run, SHOWN)
    for _ in range(3):
        published.count_question(empty, demo)
    assert published.get(empty, demo.id).asked == 3


def test_a_demo_goes_with_its_project(empty: Store, run: Run) -> None:
    demo = published.publish(empty, run, SHOWN)
    empty.delete_project(run.project_id)
    assert published.find(empty, demo.token) is None
    with pytest.raises(HeadstartError):
        published.get(empty, demo.id)
