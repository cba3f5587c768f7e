"""The pictures, labels and parts that trainings of a project have seen, and what differs between two of them.

Each run keeps its dataset in its folder. Runs with the same fingerprint have seen the same version.
"""

from dataclasses import dataclass
from datetime import datetime

from core.dataset import Dataset
from core.errors import HeadstartError
from core.store import Store


@dataclass(frozen=True)
class Version:
    """What some runs were trained on; `at` is when the first of them began."""

    fingerprint: str
    run_ids: tuple[str, ...]
    at: float

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.at).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True)
class Difference:
    """The ids of pictures that came, went, have another class or stand in another part; one can be in the last two."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    relabelled: tuple[str, ...]
    moved: tuple[str, ...]

    def __bool__(self) -> bool:
        return any((self.added, self.removed, self.relabelled, self.moved))


def versions(store: Store, project_id: str) -> list[Version]:
    """The versions that finished runs of a project were trained on, the newest first."""
    sql = (
        "SELECT fingerprint, GROUP_CONCAT(id) ids, MIN(created_at) at FROM run "
        "WHERE project_id = ? AND result IS NOT NULL GROUP BY fingerprint ORDER BY at DESC"
    )
    rows = store.read(sql, project_id)
    return [Version(row["fingerprint"], tuple(row["ids"].split(",")), row["at"]) for row in rows]


def load(store: Store, version: Version) -> Dataset:
    """The dataset of a version. Raises HeadstartError("version_missing") when no run has kept it."""
    for run_id in version.run_ids:
        path = store.folder(run_id) / "dataset.json"
        if path.is_file() and (found := Dataset.from_bytes(path.read_bytes())).fingerprint == version.fingerprint:
            return found
    raise HeadstartError("version_missing", when=version.when)


def compare(before: Dataset, after: Dataset) -> Difference:
    """What has changed from one version to another."""
    old, new = {p.id: p for p in before.pictures}, {p.id: p for p in after.pictures}
    both = [key for key in new if key in old]
    return Difference(
        tuple(key for key in new if key not in old),
        tuple(key for key in old if key not in new),
        tuple(key for key in both if old[key].label != new[key].label),
        tuple(key for key in both if old[key].part != new[key].part),
    )
