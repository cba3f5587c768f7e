"""Keys with which programs ask the model of a demo (`core.web.api`): made for one demo, shown once, revocable.

A key is 256 random bits, so its sha256 is as hard to reverse as the key is to guess, and needs no salt.
"""

import hashlib
import secrets
import sqlite3
import time
import uuid
from dataclasses import dataclass

from core.demos.published import Demo
from core.errors import HeadstartError
from core.store.rows import key_rows
from core.store.store import Store

# Pictures a minute: the least and most of a key, and what the page suggests.
SLOWEST, USUAL, FASTEST = 1, 600, 60_000
NAME = 60  # characters
# Keys of a demo that are not revoked.
MOST = 50


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept: who has it (`name`), and how many pictures a minute it may ask about."""

    id: str
    demo_id: str
    name: str
    per_minute: int
    created_at: float
    revoked_at: float | None = None


def make(store: Store, demo: Demo, name: str, per_minute: int = USUAL) -> tuple[ApiKey, str]:
    """A new key of a demo, and the secret that its owner gets and that cannot be shown again. Raises
    HeadstartError("api_key_unnamed", "api_key_rate" or "api_keys_many")."""
    name = " ".join(name.split())[:NAME]
    if not name:
        raise HeadstartError("api_key_unnamed")
    if not SLOWEST <= per_minute <= FASTEST:
        raise HeadstartError("api_key_rate", low=SLOWEST, high=FASTEST)
    if sum(key.revoked_at is None for key in of_demo(store, demo)) >= MOST:
        raise HeadstartError("api_keys_many", n=MOST)
    secret, key = f"hs_{secrets.token_urlsafe(32)}", ApiKey(uuid.uuid4().hex, demo.id, name, per_minute, time.time())
    values = {
        "id": key.id, "demo_id": key.demo_id, "name": key.name, "key_hash": _hash(secret),
        "per_minute": key.per_minute, "created_at": key.created_at,
    }  # fmt: skip
    with store.write() as db:
        key_rows.add(db, values)
    return key, secret


def find(store: Store, demo: Demo, secret: str) -> ApiKey | None:
    """The key of a demo with this secret; None where there is none, or it was revoked."""
    row = key_rows.by_hash(store, _hash(secret))
    key = _key(row) if row is not None else None
    return key if key is not None and key.demo_id == demo.id and key.revoked_at is None else None


def of_demo(store: Store, demo: Demo) -> list[ApiKey]:
    """The keys of a demo, the newest first, also the revoked ones."""
    return [_key(row) for row in key_rows.of_demo(store, demo.id)]


def revoke(store: Store, key: ApiKey) -> None:
    """Let nobody in with this key any more."""
    with store.write() as db:
        key_rows.revoke(db, key.id, time.time())


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: sqlite3.Row) -> ApiKey:
    return ApiKey(row["id"], row["demo_id"], row["name"], row["per_minute"], row["created_at"], row["revoked_at"])
