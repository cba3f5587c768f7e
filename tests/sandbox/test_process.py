"""The limited process: what it answers, and that whatever its target does costs one answer."""

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.language.catalog import say
from core.sandbox.process import Bounds, Child, Children

BOUNDS = Bounds(memory_mb=1_024, cpu_s=10, wall_s=20)


def misbehaving(**bounds: float) -> Child:
    return Child("tests.bad_files:misbehave", Bounds(**{"memory_mb": 1_024, "cpu_s": 10, "wall_s": 20, **bounds}))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_question_and_its_body_are_answered() -> None:
    with Child("tests.bad_files:echo", BOUNDS) as child:
        answer, body = child.ask({"text": 'Käfer "\u202e"\n', "n": 3}, b"abc\0")
    assert answer["question"] == {"text": 'Käfer "\u202e"\n', "n": 3}
    assert body == b"\0cba"
    assert answer["pid"] != os.getpid()


def test_eight_megabytes_go_there_and_back() -> None:
    data = os.urandom(8 << 20)
    with Child("tests.bad_files:echo", BOUNDS) as child:
        assert child.ask({}, data)[1] == data[::-1]


def test_a_headstart_error_passes_through_and_the_process_goes_on() -> None:
    with Child("tests.bad_files:refuse", BOUNDS) as child:
        for _ in range(2):
            with pytest.raises(HeadstartError) as caught:
                child.ask({})
            assert (caught.value.code, caught.value.values) == ("picture_too_long", {"side": 21_000, "limit": 20_000})
            assert caught.value.message == say("error.picture_too_long", side=21000, limit=20000)


@pytest.mark.parametrize("deed", ["abort", "exit", "raise"])
def test_a_crash_costs_one_answer_and_the_next_question_gets_a_fresh_process(deed: str) -> None:
    with misbehaving() as child:
        first = child.ask({"do": "nothing"})[0]["pid"]
        with pytest.raises(HeadstartError) as caught:
            child.ask({"do": deed})
        assert caught.value.code == "child_died"
        assert not alive(first)
        assert child.ask({"do": "nothing", "n": 7})[0]["n"] == 7


def test_a_hang_is_ended_when_its_wall_time_is_over() -> None:
    with misbehaving(wall_s=2.5) as child:
        with pytest.raises(HeadstartError) as caught:
            child.ask({"do": "sleep", "s": 60})  # which else would be answered
        assert caught.value.code == "child_died"
        assert child.ask({"do": "nothing", "n": 1})[0]["n"] == 1


def test_an_answer_that_trickles_is_ended_when_its_wall_time_is_over() -> None:
    with Child("tests.bad_files:trickle", Bounds(memory_mb=1_024, cpu_s=10, wall_s=2.5)) as child:
        with pytest.raises(HeadstartError) as caught:
            child.ask({"s": 0.4, "n": 1})  # all of it comes in 6 seconds
        assert caught.value.code == "child_died"


def test_a_process_that_does_not_read_its_question_is_ended_when_its_wall_time_is_over() -> None:
    with misbehaving(wall_s=2.5) as child:
        pid = child.ask({"do": "nothing"})[0]["pid"]
        os.kill(pid, signal.SIGSTOP)
        goes_on = threading.Timer(10, lambda: alive(pid) and os.kill(pid, signal.SIGCONT))
        goes_on.start()
        with pytest.raises(HeadstartError) as caught:
            child.ask({"do": "nothing"}, bytes(4 << 20))  # more than a pipe holds; answered once it goes on
        goes_on.cancel()
        assert caught.value.code == "child_died"
        assert child.ask({"do": "nothing", "n": 2})[0]["n"] == 2


def test_a_process_is_asked_where_more_than_a_thousand_files_are_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_048), hard))
    with contextlib.ExitStack() as files:
        for _ in range(1_100):
            files.enter_context(open(os.devnull))
        with misbehaving() as child:
            assert child.ask({"do": "nothing", "n": 2})[0]["n"] == 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_an_endless_loop_is_ended_when_its_processor_time_is_over() -> None:
    with misbehaving(cpu_s=1, wall_s=600) as child:
        with pytest.raises(HeadstartError) as caught:
            child.ask({"do": "compute", "s": 60})  # which else would be answered
        assert caught.value.code == "child_died"


@pytest.mark.slow
def test_processor_time_is_counted_for_each_answer_and_not_for_the_whole_life() -> None:
    with misbehaving(cpu_s=1) as child:
        pids = {child.ask({"do": "compute", "s": 0.8})[0]["pid"] for _ in range(3)}
    assert len(pids) == 1


def test_memory_over_the_bound_is_refused_and_memory_below_is_not() -> None:
    with misbehaving(memory_mb=800) as child:
        assert child.ask({"do": "allocate", "mb": 100})[1] == b"\0"
        with pytest.raises(HeadstartError) as caught:
            child.ask({"do": "allocate", "mb": 900})
        assert caught.value.code == "child_died"
        assert child.ask({"do": "allocate", "mb": 100})[1] == b"\0"


def test_what_the_target_and_its_programs_print_does_not_get_between_the_answers() -> None:
    with misbehaving() as child:
        assert [child.ask({"do": "print", "n": n})[0]["n"] for n in range(3)] == [0, 1, 2]


def test_a_child_is_replaced_after_its_number_of_answers() -> None:
    with Child("tests.bad_files:echo", Bounds(1_024, 10, 20, answers=2)) as child:
        pids = [child.ask({})[0]["pid"] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_closing_ends_the_process_and_a_later_question_starts_one() -> None:
    child = Child("tests.bad_files:echo", BOUNDS)
    first = child.ask({})[0]["pid"]
    child.close()
    assert not alive(first)
    assert child.ask({})[0]["pid"] != first
    child.close()


def test_an_interrupted_wait_does_not_hand_its_late_answer_to_the_next_question() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with misbehaving() as child:
            child.ask({"do": "nothing"})
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                child.ask({"do": "sleep", "s": 0.6, "n": 1})
            assert child.ask({"do": "sleep", "s": 0.6, "n": 2})[0]["n"] == 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_several_threads_may_ask_one_child() -> None:
    with misbehaving() as child, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: child.ask({"do": "nothing", "n": n})[0]["n"], range(40)))
    assert answers == list(range(40))


def test_children_answer_in_the_order_of_the_items_even_when_early_ones_are_slow() -> None:
    with Children("tests.bad_files:misbehave", BOUNDS) as children:

        def work(n: int) -> int:
            return children.ask({"do": "sleep", "s": 0.3 if n == 0 else 0, "n": n})[0]["n"]

        assert list(children.map(work, range(12), ahead=4)) == list(range(12))


def test_children_take_no_more_items_than_the_look_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    with Children("tests.bad_files:echo", BOUNDS) as children:
        for done, n in enumerate(children.map(lambda n: n, items(), ahead=5)):
            assert n == done
            assert len(taken) <= done + 5
    assert len(taken) == 20


def test_a_child_that_dies_costs_the_others_nothing() -> None:
    with Children("tests.bad_files:misbehave", BOUNDS) as children:

        def work(n: int) -> int | str:
            try:
                return children.ask({"do": "abort" if n % 3 == 1 else "nothing", "n": n})[0]["n"]
            except HeadstartError as error:
                return error.code

        answers = list(children.map(work, range(6), ahead=6))
    assert answers == [0, "child_died", 2, 3, "child_died", 5]


def test_leaving_the_block_ends_all_children() -> None:
    with Children("tests.bad_files:echo", BOUNDS) as children:
        pids = set(children.map(lambda n: children.ask({"n": n})[0]["pid"], range(8), ahead=8))
    assert pids
    assert not any(alive(pid) for pid in pids)


def test_a_process_that_died_while_nobody_asked_costs_no_answer() -> None:
    with misbehaving() as child:
        for _ in range(5):
            pid = child.ask({"do": "nothing"})[0]["pid"]
            os.kill(pid, signal.SIGKILL)
            while alive(pid) and "zombie" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.01)
            assert child.ask({"do": "nothing", "n": 7})[0]["n"] == 7


@pytest.mark.parametrize(
    ("kind", "enough"), [(signal.SIGABRT, 2), (signal.SIGKILL, 10)], ids=["of its own", "killed from outside"]
)
def test_a_question_is_asked_again_until_its_processes_died_too_often(
    tmp_path: Path, kind: signal.Signals, enough: int
) -> None:
    with Children("tests.bad_files:die_at_first", BOUNDS) as children:

        def work(times: int) -> int | str:
            question = {"marks": str(tmp_path / str(times)), "times": times, "signal": kind}
            try:
                return children.insist(question)[0]["n"]
            except HeadstartError as error:
                return error.code

        answers = list(children.map(work, (0, enough - 1, enough, enough + 1), ahead=4))
    assert answers == [0, enough - 1, "child_died", "child_died"]
    assert [(tmp_path / str(enough + n)).stat().st_size for n in (-1, 0, 1)] == [enough - 1, enough, enough]
