from core.web import local_hosts


def test_a_browser_sits_here_by_its_address_and_by_the_name_it_asks_for() -> None:
    for host in ("localhost", "LOCALHOST:8501", "127.0.0.1:80", "[::1]", "[::1]:8501"):
        assert local_hosts.sits_here(None, host) and not local_hosts.sits_here("10.0.0.7", host)
    for host in ("", "models.example.org", "localhost.example.org:8501", "192.168.0.2:8501"):
        assert not local_hosts.sits_here(None, host)
