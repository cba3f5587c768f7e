import pytest

from core.web import reach
from core.web.reach import Reach


@pytest.fixture(autouse=True)
def _network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "own_address", lambda: "192.168.1.7")


def test_a_server_that_only_its_machine_reaches_is_not_shared() -> None:
    assert reach.of("127.0.0.1", 8501, False, "http://localhost:8501/demo") == Reach("http://localhost:8501", False)
    assert reach.of("::1", 8501, False) == Reach("http://localhost:8501", False)


def test_a_server_at_all_addresses_has_that_of_its_machine_in_the_network() -> None:
    for address in ("0.0.0.0", "::", ""):
        assert reach.of(address, 8501, False, "http://127.0.0.1:8501/") == Reach("http://192.168.1.7:8501", True)
    assert reach.of("0.0.0.0", 443, True) == Reach("https://192.168.1.7:443", True)
    assert reach.of("2001:db8::5", 8501, False) == Reach("http://[2001:db8::5]:8501", True)


def test_the_address_that_works_for_who_asks_works_for_others() -> None:
    for listens in ("127.0.0.1", "0.0.0.0"):  # behind a proxy, and without one
        found = reach.of(listens, 8501, False, "https://headstart.example.org/demo?project=1")
        assert found == Reach("https://headstart.example.org", True)


def test_a_camera_needs_https_or_the_own_machine() -> None:
    secure = {
        "https://a.example": True,
        "http://localhost:8501": True,
        "http://127.0.0.1": True,
        "http://[::1]:1": True,
    }
    for address, is_secure in (secure | {"http://192.168.1.7:8501": False, "http://a.example": False}).items():
        assert Reach(address, True).is_secure is is_secure
