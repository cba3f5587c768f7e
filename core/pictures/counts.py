"""How many pictures a project has, by class and part, for suggested settings and estimated times.

New pictures that are in no part yet count for the part that the split will put them in (that of their folder, or by
the shares of the project; groups, which may move a few, are ignored). Nothing is changed here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.dataset import PARTS, share
from core.store.rows import picture_rows
from core.store.store import Store


@dataclass(frozen=True)
class Counts:
    """The used pictures of a project: class -> part -> how many, the classes ordered by name."""

    parts: Mapping[str, Mapping[str, int]]

    @property
    def learned(self) -> dict[str, int]:
        """Class -> how many pictures are in train and val. The test part must not influence settings."""
        return {label: n["train"] + n["val"] for label, n in self.parts.items()}

    @property
    def n_learned(self) -> int:
        """How many pictures of all classes are in train and val."""
        return sum(self.learned.values())

    @property
    def by_part(self) -> dict[str, int]:
        """Part -> how many pictures of all classes are in it."""
        return {part: sum(n[part] for n in self.parts.values()) for part in PARTS}


def of(store: Store, project_id: str) -> Counts:
    """The counts of a project as it is now."""
    rows, project = picture_rows.n_by_part_and_pin(store, project_id), store.project(project_id)
    pins = {row["pinned"] for row in rows}
    parts: dict[str, Counter[str]] = {}
    new: Counter[str] = Counter()
    for row in rows:
        part = row["part"]
        if part is None and pins != {"train"}:  # if all came in a train folder, that is not a split
            part = "test" if row["pinned"] == "val" and "test" not in pins else row["pinned"]
        counts = parts.setdefault(row["label"], Counter(train=0, val=0, test=0))
        (new if part is None else counts)[row["label"] if part is None else part] += row["n"]
    for label, n in new.items():
        counts = parts[label]
        test = 0 if counts["test"] else share(n, project.test)
        val = share(n - test, project.val / (1 - project.test))
        counts.update(train=n - test - val, val=val, test=test)
    return Counts(parts)
