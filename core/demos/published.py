"""What is shown of a run to others: a demo, with an address that nobody can guess, and who may see it.

A demo can be changed, and ended by its owner or by its date. Who has its address sees its page and asks its model, and
needs a passcode where there is one. Nothing else of the home can be reached by it (`core.web.guard`).
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import argon2

from core.demos import accent
from core.errors import HeadstartError
from core.language import catalog
from core.sandbox import decoding
from core.sandbox.process import Child
from core.store.rows import demo_rows
from core.store.store import Run, Store

# Most characters of what stands above the pictures: two lines of a phone, and a paragraph.
TITLE, WORDS = 80, 600
EXAMPLES = 12  # pictures to try
LEAST = 6  # characters of a passcode: at the limits of `core.web.visitors`, six digits take days to guess
LOGO_PX = 256
_HASHER = argon2.PasswordHasher()
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")
# Characters that turn the text after them around until they are closed, if they are.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


@dataclass(frozen=True)
class Appearance:
    """What a visitor sees: the title and words above the pictures, a logo (bytes of a JPEG that was made from pixels;
    empty: none), the accent color (#rrggbb), the pictures to try (ids), the language, and when the demo ends (epoch
    seconds; None: when its owner ends it)."""

    title: str
    words: str = ""
    logo: bytes = b""
    accent: str = accent.DEFAULT
    examples: tuple[str, ...] = ()
    language: str = catalog.ENGLISH
    ends_at: float | None = None


@dataclass(frozen=True)
class Demo:
    """A published run. `token` is the secret in its address, `passcode` an argon2 hash (empty: none is needed), `asked`
    how many pictures visitors have asked about."""

    id: str
    token: str
    project_id: str
    run_id: str
    appearance: Appearance
    passcode: str = ""
    revoked_at: float | None = None
    created_at: float = 0.0
    asked: int = 0

    @property
    def is_open(self) -> bool:
        """Whether visitors are let in now."""
        return self.revoked_at is None and (self.appearance.ends_at is None or self.appearance.ends_at > time.time())

    @property
    def path(self) -> str:
        """The path of its page on the server."""
        return f"/d/{self.token}/"


def logo_of(data: bytes) -> bytes:
    """A logo for `Appearance`, decoded in a limited process from the bytes of a picture. Raises HeadstartError when
    they are none."""
    with Child("core.sandbox.decoding:answer", decoding.DECODING) as child:
        return child.ask({"show": LOGO_PX}, data)[1]


def publish(store: Store, run: Run, appearance: Appearance, passcode: str = "") -> Demo:
    """Show a run to whoever has the address of the demo. Raises HeadstartError when the look or the passcode cannot be
    used."""
    token = secrets.token_urlsafe(16)
    values = _columns(appearance) | {
        "id": uuid.uuid4().hex, "token": token, "token_hash": _hash(token), "project_id": run.project_id,
        "run_id": run.id, "passcode": _hashed(passcode), "created_at": time.time(),
    }  # fmt: skip
    with store.write() as db:
        demo_rows.add(db, values)
    return get(store, str(values["id"]))


def change(store: Store, demo_id: str, appearance: Appearance, passcode: str | None = None) -> Demo:
    """Change what visitors see, and, unless it is None, the passcode (empty: none is needed any more). Whoever gave
    the old one has to give the new one."""
    values = _columns(appearance) | ({} if passcode is None else {"passcode": _hashed(passcode)})
    with store.write() as db:
        demo_rows.put(db, demo_id, values)
    return get(store, demo_id)


def revoke(store: Store, demo_id: str) -> None:
    """Let nobody in any more; the address never leads anywhere again."""
    with store.write() as db:
        demo_rows.put(db, demo_id, {"revoked_at": time.time()})


def get(store: Store, demo_id: str) -> Demo:
    """A demo by its id. Raises HeadstartError("demo_missing")."""
    row = demo_rows.demo(store, demo_id)
    if row is None:
        raise HeadstartError("demo_missing")
    return read(row)


def find(store: Store, token: str) -> Demo | None:
    """The demo of this token; None if there is none that visitors are let into. It is looked up by a hash, so that the
    time it takes tells nothing about tokens."""
    row = demo_rows.by_hash(store, _hash(token)) if TOKEN.fullmatch(token) else None
    demo = read(row) if row is not None else None
    return demo if demo is not None and demo.is_open else None


def of_project(store: Store, project_id: str) -> list[Demo]:
    """The demos of a project, the newest first, also those that have ended."""
    return [read(row) for row in demo_rows.of_project(store, project_id)]


def count_question(store: Store, demo: Demo) -> None:
    """Count one more picture that was asked about."""
    with store.write() as db:
        demo_rows.count(db, demo.id)


def admits(demo: Demo, passcode: str) -> bool:
    """Whether this is the passcode of a demo. Takes some time and 64 MB, on purpose."""
    try:
        return _HASHER.verify(demo.passcode, passcode)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def proof(demo: Demo) -> str:
    """What a browser shows from then on that has given the passcode. It cannot be made without the hash, which never
    leaves the home, and ends with the passcode."""
    return hmac.new(demo.passcode.encode(), demo.token.encode(), hashlib.sha256).hexdigest()


def is_proof(demo: Demo, shown: str) -> bool:
    """Whether a browser has given the passcode, if there is one."""
    return not demo.passcode or hmac.compare_digest(proof(demo).encode(), shown.encode())


def _columns(appearance: Appearance) -> dict[str, object]:
    title, words = (text.translate(_TURNS) for text in (appearance.title, appearance.words))
    appearance = replace(appearance, title=" ".join(title.split())[:TITLE], words=words.strip()[:WORDS])
    if not appearance.title:
        raise HeadstartError("demo_untitled")
    if appearance.ends_at is not None and appearance.ends_at <= time.time():
        raise HeadstartError("demo_ends_before")
    values = asdict(appearance) | {
        "accent": accent.checked(appearance.accent),
        "logo": base64.b64encode(appearance.logo).decode(),
    }
    return values | {"examples": json.dumps(appearance.examples[:EXAMPLES])}


def _hashed(passcode: str) -> str:
    if not passcode:
        return ""
    if len(passcode) < LEAST:
        raise HeadstartError("passcode_short", n=len(passcode), least=LEAST)
    return _HASHER.hash(passcode)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read(row: sqlite3.Row | Mapping[str, Any]) -> Demo:
    """The demo of a row."""
    appearance = Appearance(
        row["title"], row["words"], base64.b64decode(row["logo"]), row["accent"], tuple(json.loads(row["examples"])),
        row["language"], row["ends_at"],
    )  # fmt: skip
    return Demo(
        row["id"], row["token"], row["project_id"], row["run_id"], appearance, row["passcode"], row["revoked_at"],
        row["created_at"], row["asked"],
    )  # fmt: skip
