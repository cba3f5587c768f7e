"""The drawn sets to try the app with, by name; the first one is for a first look."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.intake import ladybugs, sample
from core.language import catalog

Files = Iterable[tuple[str, bytes]]  # names with class folders, and contents


@dataclass(frozen=True)
class SampleSet:
    """What draws a set from a seed, how many files that makes, and the source of the project that has them."""

    draw: Callable[[int], Iterator[tuple[str, bytes]]]
    n_files: int
    source: str


_COPIES = len(sample.PLANTED.duplicates) + len(sample.PLANTED.near_duplicates) + 1
SETS = {
    "signs": SampleSet(sample.draw, len(sample.CLASSES) * sample.PER_CLASS + _COPIES, "sample 0"),
    "ladybugs": SampleSet(ladybugs.draw, len(ladybugs.CLASSES) * ladybugs.PER_CLASS, "sample ladybugs 0"),
}


def spoken(files: Files, language: str) -> Iterator[tuple[str, bytes]]:
    """The files in class folders that have their names in a language."""
    for name, content in files:
        label, _, rest = name.partition("/")
        yield f"{catalog.of(language).text(f'drawn.{label}')}/{rest}", content


def write(path: Path, files: Files) -> None:
    """Write files as a ZIP where path ends in .zip, else as a folder of class folders."""
    if path.suffix.lower() != ".zip":
        for name, content in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same bytes from Windows too
            archive.writestr(entry, content)
