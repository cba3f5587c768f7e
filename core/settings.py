"""The home folder of Headstart and its limits.

The environment variable `HEADSTART_HOME` changes the home, `HEADSTART_DOWNLOADS` forbids downloads. The limits are
constants of this version, each with a help text that names the measurement behind it.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "0.1.0"
# Training pictures whose features are stored with a model, to recognize pictures of none of its classes.
REMEMBERED = 1_000


def home() -> Path:
    """The folder that holds the database and all files: `HEADSTART_HOME`, else `~/.headstart`."""
    return Path(os.environ.get("HEADSTART_HOME") or Path.home() / ".headstart").expanduser().absolute()


def may_download() -> bool:
    """Whether weights may be downloaded; `HEADSTART_DOWNLOADS=0` forbids it."""
    return os.environ.get("HEADSTART_DOWNLOADS") != "0"


def cores() -> int:
    """The number of cores that this process may use, which a container can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The bytes of memory that this process may use, which a container can limit; 0 if unknown."""
    names = getattr(os, "sysconf_names", {})
    known = {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if known else 0
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup version 2, version 1
        try:
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # not Linux, the other version, or "max"
            continue
    return total


@dataclass(frozen=True)
class Limits:
    """Limits on the resources that a user's files may take. Sizes are in bytes unless the name says otherwise."""

    archive_files: int = field(
        default=101_000, metadata={"help": "Most files in one delivery: 100,000 pictures and the tables beside them."}
    )
    archive_bytes: int = field(default=20 << 30, metadata={"help": "Most bytes in all files of one ZIP, unpacked."})
    file_bytes: int = field(default=200 << 20, metadata={"help": "Most bytes of one file."})
    weights_bytes: int = field(default=600 << 20, metadata={"help": "Most bytes of a file with a backbone's weights."})
    ratio: int = field(
        default=200,
        metadata={"help": "Most bytes unpacked per byte packed, for files over `ratio_floor`; deflate reaches 1028."},
    )
    ratio_floor: int = field(default=10 << 20, metadata={"help": "Smaller files may be packed more tightly."})
    picture_megapixels: int = field(
        default=50, metadata={"help": "Most megapixels of one picture: 50 decode in under 1 GiB; bombs start above."}
    )
    picture_side_px: int = field(default=20_000, metadata={"help": "Longest side of a picture."})
    smallest_side_px: int = field(default=8, metadata={"help": "Shortest side of a picture that shows anything."})
    aspect: int = field(default=100, metadata={"help": "Most times a picture may be longer than wide."})
    classes: int = field(default=1_000, metadata={"help": "Most classes in one project."})
    class_name: int = field(default=80, metadata={"help": "Most characters of a class name; a longer one is cut."})
    decode_memory_mb: int = field(default=1_536, metadata={"help": "Address space of a process that decodes."})
    decode_cpu_s: int = field(default=10, metadata={"help": "Processor time for one picture."})
    decode_wall_s: int = field(default=20, metadata={"help": "Wall time for one picture."})
    fetch_s: int = field(default=30, metadata={"help": "Seconds for one picture that is fetched by its address."})
    feature_bytes: int = field(
        default=20 << 30, metadata={"help": "Most bytes of cached features; those used longest ago go first."}
    )
    network_bytes: int = field(
        default=8 << 30, metadata={"help": "Most bytes of converted networks; those used longest ago go first."}
    )
    matrix_bytes: int = field(
        default=64 << 20,
        metadata={"help": "Larger tables of features are read from disk by rows, not held in memory."},
    )
    refit_pictures: int = field(default=20_000, metadata={"help": "Most pictures that are refitted while one waits."})
    refit_bytes: int = field(
        default=512 << 20, metadata={"help": "Most bytes of features that are refitted; solving needs four times that."}
    )
    refit_memory_mb: int = field(default=6_144, metadata={"help": "Address space of a process that refits."})
    predict_memory_mb: int = field(
        default=6_144, metadata={"help": "Address space of a process that predicts; VGG16 needs 2 GB."}
    )
    boundary_bytes: int = field(
        default=20 << 30,
        metadata={"help": "Most bytes of activations that one fine-tuning adds to the disk."},
    )
    visitor_bytes: int = field(
        default=20 << 20,
        metadata={"help": "Most bytes of a picture that a visitor asks about; phones make up to 15 MB."},
    )
    review_pictures: int = field(
        default=500, metadata={"help": "Most pictures of visitors that wait in a project for somebody to look at them."}
    )
    review_bytes: int = field(default=200 << 20, metadata={"help": "Most bytes of these; one has about 0.2 MB."})
    api_bytes: int = field(
        default=64 << 20, metadata={"help": "Most bytes of one request of the prediction API, with all its pictures."}
    )


LIMITS = Limits()
