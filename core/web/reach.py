"""Where a browser on another machine finds this server, found without asking anybody outside."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.web import local_hosts


@dataclass(frozen=True)
class Reach:
    """The address of the server for others in the network ("http://192.168.1.7:8501"), or, where only this machine
    reaches it (`is_shared` False), for this machine."""

    address: str
    is_shared: bool

    @property
    def is_secure(self) -> bool:
        """Whether browsers let a page at this address use the camera."""
        parts = urlsplit(self.address)
        return parts.scheme == "https" or local_hosts.is_loopback(parts.hostname or "")


def of(server_address: str, port: int, secure: bool, seen_at: str = "") -> Reach:
    """How others reach a server that listens at an address. `secure`: it speaks https itself; `seen_at`: the address in
    the browser of who asks, which works for others too unless it is a name of the browser's own machine."""
    parts = urlsplit(seen_at)
    if parts.netloc and not local_hosts.is_local(parts.netloc):
        return Reach(f"{parts.scheme}://{parts.netloc}", True)
    scheme = "https" if secure else "http"
    if local_hosts.is_loopback(server_address):
        return Reach(f"{parts.scheme or scheme}://{parts.netloc or f'localhost:{port}'}", False)
    name = own_address() if server_address in ("", "0.0.0.0", "::") else server_address
    return Reach(f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}", True)


def own_address() -> str:
    """This machine's address in its network; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            way.connect(("192.0.2.1", 9))  # a documentation address: the system only chooses the route
            return str(way.getsockname()[0])
        except OSError:  # no network
            return socket.gethostname()
