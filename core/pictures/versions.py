"""The versions of a project's pictures, labels and parts that were trained on, and the differences between two.

Each run keeps its dataset in its folder. Runs with the same fingerprint were trained on the same version.
"""

import contextlib
from dataclasses import dataclass
from datetime import datetime

from core.dataset import Dataset
from core.errors import HeadstartError
from core.store.store import Store


@dataclass(frozen=True)
class Version:
    """The version that some runs were trained on; `at` is when the first of them began."""

    fingerprint: str
    run_ids: tuple[str, ...]
    at: float

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.at).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Difference:
    """The ids of pictures that were added, were removed, changed their class, or changed their part (or both)."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    relabeled: tuple[str, ...]
    moved: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.relabeled, self.moved))


def versions(store: Store, project_id: str) -> list[Version]:
    """The versions that finished runs of a project were trained on, the newest first."""
    return [Version(*version) for version in store.versions(project_id)]


def of_run(store: Store, run_id: str) -> Dataset:
    """The pictures that a run is trained and measured on."""
    return Dataset.from_bytes((store.root(run_id) / "dataset.json").read_bytes())


def load(store: Store, version: Version) -> Dataset:
    """The dataset of a version. Raises HeadstartError("version_missing") when no run has it any more."""
    for run_id in version.run_ids:
        with contextlib.suppress(FileNotFoundError):
            if (found := of_run(store, run_id)).fingerprint == version.fingerprint:
                return found
    raise HeadstartError("version_missing", when=version.when)


def compare(before: Dataset, after: Dataset) -> Difference:
    """The difference between two versions."""
    old, new = {p.id: p for p in before.pictures}, {p.id: p for p in after.pictures}
    both = [key for key in new if key in old]
    return Difference(
        tuple(key for key in new if key not in old),
        tuple(key for key in old if key not in new),
        tuple(key for key in both if old[key].label != new[key].label),
        tuple(key for key in both if old[key].part != new[key].part),
    )
