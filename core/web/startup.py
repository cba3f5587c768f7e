"""What a server does before its first request, or the message with which it refuses to start."""

import sys
from pathlib import Path
from typing import NoReturn

from core.disk import home, space
from core.errors import HeadstartError
from core.runs import own_backbones
from core.store import recovery
from core.store.store import Store
from core.web import connections, local_hosts, login, reach
from core.web.login import Login


def begin(folder: Path, address: str, port: int) -> tuple[Store, Login | None]:
    """Make the home private, lock it for this server, and open it. Returns the store, and the login if the server has a
    password. Ends the process with a message if any of this fails."""
    connections.allow_many_files()
    try:
        home.keep_private(folder)
        home.claim(folder, _places(address, port)[0])
        entry = login.of(folder, address)
        store = recovery.open_home(folder)
        own_backbones.recall(store)
        return store, entry
    except HeadstartError as error:
        _end(error)
    except OSError as error:
        _end(HeadstartError("disk_full" if space.is_full(error) else "disk_trouble", reason=error))


def _end(error: HeadstartError) -> NoReturn:
    print(f"\n  {error.message}\n  {error.hint}\n", file=sys.stderr, flush=True)
    sys.exit(1)


def announce(address: str, port: int) -> None:
    """Print the addresses of the pages."""
    print(f"\n  Headstart is at {' and, for others, at '.join(_places(address, port))}\n", flush=True)


def _places(address: str, port: int) -> list[str]:
    """The addresses to open in a browser, that of this machine first."""
    if local_hosts.is_loopback(address):
        names = ["localhost"]
    elif address in ("0.0.0.0", "::"):  # all interfaces
        names = ["localhost", reach.own_address()]
    else:
        names = [f"[{address}]" if ":" in address else address]
    return [f"http://{name}:{port}" for name in names]
