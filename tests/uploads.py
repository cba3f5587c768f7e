"""A large upload as a browser sends it, and what it costs the server: `python -m tests.uploads [MB]`."""

import http.client
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

import psutil

from core.disk.blobs import sha256
from tests import browser

PIECE = 8_000_000  # as the page sends
MEMBER = 50_000_000


def large_zip(path: Path, mb: int) -> Path:
    """A ZIP of `mb` MB, whose members are stored as they are, as pictures are."""
    noise = os.urandom(1_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(mb * 1_000_000 // MEMBER):
            with archive.open(f"c/{number}.bmp", "w") as member:
                for piece in range(MEMBER // len(noise)):
                    member.write(number.to_bytes(4, "big") + piece.to_bytes(4, "big") + noise[8:])
    return path


def rss_growth_mb(folder: Path, mb: int = 2_000) -> tuple[float, float]:
    """How many MB a server grows at most while it receives a ZIP of `mb` MB, and how many MB a second it takes. What it
    has at the end is compared byte for byte (sha256)."""
    path = large_zip(folder / "large.zip", mb)
    size, batch = path.stat().st_size, "0" * 32
    with browser.server(folder / "home", browser.free_port(), by_command=True) as server, path.open("rb") as file:
        process = psutil.Process(server.process.pid)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        host = f"http://127.0.0.1:{server.port}"

        def put(data: bytes, offset: int, of: int, name: str, number: int) -> int:
            target = f"/api/upload/{batch}/{number}?offset={offset}&size={of}&name={quote(name)}"
            connection.request("PUT", target, data, {"Origin": host})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            assert answer.status == 200, said
            return int(said["offset"])

        put(b"x", 0, 1, "first.png", 1)  # what the first upload of all costs is not the size's doing
        before, most, offset, began = process.memory_info().rss, 0, 0, time.monotonic()
        while data := file.read(PIECE):
            offset = put(data, offset, size, "large.zip", 0)
            most = max(most, process.memory_info().rss)
        took = time.monotonic() - began
        connection.close()
        assert sha256(folder / "home" / "inbox" / batch / "0") == sha256(path)
    return (most - before) / 1e6, size / 1e6 / took


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        grown, rate = rss_growth_mb(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    print(f"{grown:.1f} MB more, {rate:.0f} MB/s")
