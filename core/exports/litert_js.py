"""LiteRT.js, which runs a model in a browser: fetched once, when somebody asks for a web page, and kept in the home.

Google publishes it under the Apache License 2.0 as two packages. A package is taken only with the hash of the version
that Headstart was tested with, whether it was downloaded or given as a file.
"""

import hashlib
import io
import ssl
import tarfile
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from core.disk import blobs
from core.disk.blobs import CHUNK
from core.errors import HeadstartError
from core.progress import Progress
from core.settings import may_download

VERSION = "2.5.3"
# In the home.
FOLDER = "runtimes"
# The variant for processors and browsers without relaxed SIMD, threads or WebGPU, so that one is enough everywhere.
MODULE = "litert_wasm_compat_internal.js"
# Seconds without data after which a download fails.
_SILENCE_S = 30


@dataclass(frozen=True)
class Package:
    """A published package: its address, bytes and sha512, and which of its files are needed, under which name."""

    name: str
    url: str
    n_bytes: int
    sha512: str
    files: tuple[tuple[str, str], ...]

    @property
    def file_name(self) -> str:
        """What it is called where it is kept, as `npm pack` calls it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"


PACKAGES = (
    Package(
        "@litertjs/core", f"https://registry.npmjs.org/@litertjs/core/-/core-{VERSION}.tgz", 11_817_097,
        "3e51a66cc3aaf568ad5fb14ed2385b749c3d1ad85ab6ccae0905e34edff0259a"
        "3414b6b0e3cab8b73f08c2a82a08892f8981abf4e1432f59029cde27cd6a3225",
        (
            ("package/dist/index.js", "core.js"), (f"package/wasm/{MODULE}", MODULE),
            (f"package/wasm/{MODULE.replace('.js', '.wasm')}", MODULE.replace(".js", ".wasm")),
        ),
    ),
    Package(
        "@litertjs/wasm-utils", f"https://registry.npmjs.org/@litertjs/wasm-utils/-/wasm-utils-{VERSION}.tgz", 4_698,
        "e1f262c3ab4142722cfb48c7fce435ea760e89297cffecd99e7e61dae97c6932"
        "878b4e6c56a656e7cd139a4efca42da44f7f40f4e60155d15ac2d799fec23591",
        (("package/dist/index.js", "wasm-utils.js"),),
    ),
)  # fmt: skip


def missing(home: Path) -> tuple[Package, ...]:
    """The packages that are not kept in this home."""
    return tuple(package for package in PACKAGES if not _path(home, package).is_file())


def fetch(home: Path, progress: Progress) -> None:
    """Download what is missing. Raises HeadstartError("runtime_missing") without a connection or where downloads are
    forbidden, and HeadstartError("runtime_foreign") when a package is not the published one."""
    packages = missing(home)
    if packages and not may_download():
        raise HeadstartError("runtime_missing")
    for package in packages:
        progress.stage("download", -(-package.n_bytes // CHUNK))
        try:
            with urllib.request.urlopen(package.url, timeout=_SILENCE_S) as answer:
                data = _read(answer, package.n_bytes, progress)
        except (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()  # the error is also the response, and holds a connection
            raise HeadstartError("runtime_missing") from None
        _keep(home, package, data)


def receive(home: Path, name: str, data: bytes) -> Package:
    """Keep a package that a user gave as a file called `name`. Raises HeadstartError("runtime_foreign") where it is
    none of the packages."""
    found = hashlib.sha512(data).hexdigest()
    package = next((package for package in PACKAGES if package.sha512 == found), None)
    if package is None:
        raise HeadstartError("runtime_foreign", name=name, version=VERSION)
    _keep(home, package, data)
    return package


def files(home: Path) -> dict[str, bytes]:
    """The files that a page needs, by name. Raises HeadstartError("runtime_missing") where a package is not here, and
    HeadstartError("runtime_foreign") where its bytes have changed."""
    found = {}
    for package in PACKAGES:
        try:
            data = _path(home, package).read_bytes()
        except FileNotFoundError:
            raise HeadstartError("runtime_missing") from None
        _require(package, data)
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for inside, name in package.files:
                member: Any = archive.extractfile(inside)  # never None in a package with the known hash
                found[name] = member.read()
    return found


def _read(answer: Any, n_bytes: int, progress: Progress) -> bytes:
    """What a server sends, and no more than one byte over the size of the package: its hash tells the rest."""
    data = bytearray()
    while len(data) <= n_bytes and (chunk := answer.read(min(CHUNK, n_bytes + 1 - len(data)))):
        data += chunk
        progress.tick()
    return bytes(data)


def _path(home: Path, package: Package) -> Path:
    return home / FOLDER / package.file_name


def _keep(home: Path, package: Package, data: bytes) -> None:
    _require(package, data)
    blobs.write(_path(home, package), data)


def _require(package: Package, data: bytes) -> None:
    if hashlib.sha512(data).hexdigest() != package.sha512:
        raise HeadstartError("runtime_foreign", name=package.file_name, version=VERSION)
