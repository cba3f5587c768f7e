"""Whether a browser or an address is on the server's own machine."""

import ipaddress
import re

# The names of the server for a browser on its own machine.
LOCAL = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(address: str) -> bool:
    """Whether a server at this address can be reached only from its own machine."""
    try:
        return ipaddress.ip_address(address.strip("[]").removeprefix("::ffff:")).is_loopback
    except ValueError:  # a name
        return address.lower() == "localhost"


def sits_here(address: str | None, host: str) -> bool:
    """Whether a browser is on this machine, by its address (None then) and the host of its request: a proxy on this
    machine has no address either, but may pass on the host that it was asked for."""
    return address is None and is_local(host)


def is_local(host: str) -> bool:
    """Whether a host, with or without its port, is a name of the browser's own machine."""
    return re.sub(r":\d+$", "", host.lower()) in LOCAL
