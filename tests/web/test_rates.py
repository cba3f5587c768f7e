import time

import pytest

from core.web.rates import Rate


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_client_waits_until_its_first_request_is_old_enough(clock: list[float]) -> None:
    rate = Rate(2, 100, 10.0)
    assert [rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("a")] == [0, 0, 10]
    assert rate.wait_s("b") == 0
    clock[0] += 4
    assert rate.wait_s("a") == 6
    clock[0] += 6
    assert [rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("a")] == [0, 0, 10]


def test_many_clients_together_are_held_back_too(clock: list[float]) -> None:
    rate = Rate(2, 3, 10.0)
    assert [rate.wait_s(client) for client in "abcd"] == [0, 0, 0, 10]
    clock[0] += 9.9
    assert rate.wait_s("d") == 1
    clock[0] += 0.1
    assert rate.wait_s("d") == 0


def test_what_is_forgotten_does_not_count(clock: list[float]) -> None:
    rate = Rate(1, 2, 10.0)
    assert [rate.wait_s("a"), rate.wait_s("a")] == [0, 10]
    rate.forget("a")
    rate.forget("b")
    assert rate.wait_s("a") == 0


def test_a_look_does_not_count(clock: list[float]) -> None:
    rate = Rate(1, 2, 10.0)
    assert [rate.wait_s("a", counts=False), rate.wait_s("a"), rate.wait_s("a", counts=False)] == [0, 0, 10]


def test_what_came_before_makes_no_request_dear() -> None:
    few, many = Rate(10, 100, 3600.0), Rate(100_000, 100_000, 3600.0)
    for n in range(20_000):
        many.wait_s(f"client {n % 2_000}")
    times = []
    for rate in (few, many):
        began = time.perf_counter()
        for n in range(50):
            rate.wait_s(f"other {n}")
        times.append(time.perf_counter() - began)
    assert times[1] < 20 * times[0] + 0.005
