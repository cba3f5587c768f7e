"""The inputs that a studio of pictures must survive, B01 to B61: each made for real, taken in by the real job on a home
of its own, and compared with what is promised for it. `CASES` maps names to checks, `run` counts those that hold.

B46 and B58 are about reports, not about inputs. After every case the same must be true, whatever came in: `Lab.check`.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import random
import re
import sqlite3
import struct
import sys
import tempfile
import time
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from core.dataset import File
from core.errors import HeadstartError
from core.intake import archive, file_check
from core.intake.folder_labels import read_names
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language import messages
from core.language.catalog import say
from core.pictures import album, export_zip
from core.pictures.album import Filter
from core.plan import PRESETS
from core.progress import Silent
from core.runs import requests
from core.sandbox import decoding
from core.settings import LIMITS
from core.store.store import Store
from core.worker import main
from tests import bad_files, cpu, visits
from tests.bad_files import FLAGS, METHOD, PACKED, UNPACKED, encoded, forge, noise, pack, photo, png, webp_of_size
from tests.workers import no_processes, wait

ROOT = Path(__file__).parent.parent
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
RSS_MB = 200  # what taking one thing in may add to this process
# Three good pictures of two classes, for company.
GOOD = [("cat/1.png", png(1)), ("cat/2.png", png(2)), ("dog/3.png", png(3))]
Members = Iterable[tuple[str, bytes]]


@dataclass(frozen=True)
class Taken:
    """What became of one delivery: the job's error or None, and every file's answer."""

    project_id: str
    job_id: str
    error: HeadstartError | None
    files: tuple[File, ...]

    @property
    def code(self) -> str:
        return self.error.code if self.error else ""

    @property
    def used(self) -> list[str]:
        return [file.name for file in self.files if file.outcome == "used"]

    @property
    def reasons(self) -> dict[str, str]:
        """Name -> why it is not used."""
        return {file.name: file.reason for file in self.files if file.reason}

    @property
    def notes(self) -> dict[str, list[str]]:
        return {file.name: file.values.get("notes", []) for file in self.files if file.outcome == "used"}


class Lab:
    """A home, and a folder beside it in which inputs are made."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.store = Store(folder / "home")
        self._n = 0

    def path(self, name: str = "") -> Path:
        """A place for one more input."""
        self._n += 1
        return self.data / (name or f"{self._n}.zip")

    def zip(self, members: Members, name: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
            return pack(self.path(name), members, method)

    def take(self, source: Path | Members, project_id: str = "", **params: Any) -> Taken:
        """Take a path, or a ZIP of members, into a project (a new one) by an intake job in this process."""
        path = source if isinstance(source, Path) else self.zip(source)
        project_id = project_id or self.store.add_project("Case").id
        before, rss = _tree(self.data), _rss_mb(reset=True)
        with no_processes():
            delivery = Delivery(**{"path": str(path), "batch": path.name} | params)
            job = queue.start(self.store, project_id, INTAKE, delivery)
        if queue.get(self.store, job.id).active:  # or the fixture `at_once` has done it
            with queue.claim(self.store, job.id) as ticket:
                main._guarded(ticket)
            self.store.sweep()  # as a worker does in the end
        assert _rss_mb() - rss < RSS_MB, f"took {_rss_mb() - rss} MB"
        assert _tree(self.data) == before, "something was written beside the home"
        return self._answer(job.id)

    def _answer(self, job_id: str) -> Taken:
        job = queue.get(self.store, job_id)
        rows = self.store.read("SELECT * FROM file WHERE project_id = ? ORDER BY batch, number", job.project_id)
        files = tuple(
            File(
                row["number"], row["name"], row["outcome"], row["label"], row["part"], row["picture_id"],
                row["reason"], json.loads(row["facts"]),
            )
            for row in rows
        )  # fmt: skip
        return Taken(job.project_id, job_id, job.failure, files)

    def one(self, data: bytes, name: str = "x.png") -> File:
        """What becomes of one picture between good ones, which are used whatever it is."""
        taken = self.take([*GOOD, (f"cat/{name}", data)])
        assert set(taken.used) >= {name for name, _ in GOOD}
        return taken.files[-1]

    def reason(self, data: bytes, name: str = "x.png") -> str:
        return self.one(data, name).reason

    def pixels(self, data: bytes, name: str = "x.png") -> np.ndarray:
        """What a used picture shows, as every later step decodes it."""
        file = self.one(data, name)
        assert file.picture_id is not None, file.reason
        return decoding.decode(self.store.pictures.path(file.picture_id).read_bytes()).pixels

    def labels(self, taken: Taken) -> list[str]:
        return [row.label for row in album.classes(self.store, taken.project_id)]

    def merged(self, taken: Taken) -> dict[str, list[str]]:
        """Classes that the job says it found in several spellings; the page shows the same event."""
        readings = [event for event in queue.events(self.store, taken.job_id) if event.kind == "reading"]
        return {label: names for event in readings for label, names in event.facts["merged"].items()}

    def blobs(self) -> list[Path]:
        return [path for path in self.store.pictures.root.rglob("*") if path.is_file()]

    def check(self) -> None:
        """What is true after every case: nothing half written, a sound database, bytes under their own hash, one answer
        for each file, and sentences that name no place of the server."""
        assert not list(self.store.home.rglob(".tmp-*"))
        with contextlib.closing(sqlite3.connect(self.store.home / "headstart.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        for path in self.blobs():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        for project in self.store.projects():
            outcomes = self.store.outcomes(project.id)
            assert {outcome for outcome, _ in outcomes} <= {"used", "excluded", "ignored"}
            used = sum(n for (outcome, _), n in outcomes.items() if outcome == "used")
            assert used == album.count(self.store, project.id, Filter())
            for file in self.store.unused(project.id)[:200]:
                self._check_sentence(HeadstartError(file.reason, **file.values))
        for row in self.store.read("SELECT error FROM job WHERE error IS NOT NULL"):
            told = json.loads(row["error"])
            assert told["code"] != "internal", told
            self._check_sentence(HeadstartError(told["code"], **told["values"]))

    def _check_sentence(self, error: HeadstartError) -> None:
        text = f"{error.message} {error.hint}"
        assert error.message and error.hint
        assert "Traceback" not in text and str(self.data.parent) not in text, text


@contextlib.contextmanager
def _decoder(name: str, **bounds: Any) -> Iterator[None]:
    """Pictures are decoded by another function of `bad_files` (within other bounds)."""
    before, file_check.DECODER = file_check.DECODER, f"tests.bad_files:{name}"
    usual, decoding.DECODING = decoding.DECODING, replace(decoding.DECODING, **bounds)
    try:
        yield
    finally:
        file_check.DECODER, decoding.DECODING = before, usual


def _tree(root: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_size) for path in root.rglob("*"))


def _rss_mb(reset: bool = False) -> int:
    """The most memory this process has held since the last reset; 0 where the kernel does not tell."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(re.findall(r"VmHWM:\s+(\d+)", text)[0]) >> 10


def _refuses_at_once(lab: Lab, path: Path, code: str) -> None:
    """The whole is refused with this code before anything of it is kept, with little processor time."""
    with cpu.at_most(10):
        taken = lab.take(path)
    assert taken.code == code, taken.code
    assert not lab.blobs() and not taken.files


# -- archives


def b01_zip_ratio(lab: Lab) -> None:
    _refuses_at_once(lab, lab.zip([("c/x.bmp", bytes(200 << 20))]), "zip_ratio")


def b02_zip_nested(lab: Lab) -> None:
    inner = lab.zip(GOOD, "inner.zip").read_bytes()
    taken = lab.take([*GOOD, ("cat/inner.zip", inner)])
    assert len(taken.used) == 3 and taken.reasons == {"cat/inner.zip": "file_archive"}


def b03_zip_overlap_full(lab: Lab) -> None:
    _refuses_at_once(lab, bad_files.full_overlap(lab.path(), 1000), "zip_overlap")


def b04_zip_overlap_quoted(lab: Lab) -> None:
    _refuses_at_once(lab, bad_files.quoted_overlap(lab.path(), 200), "zip_overlap")


def b05_zip_forged_csize(lab: Lab) -> None:
    path = lab.zip(GOOD)
    forge(path, PACKED, 0xFFFFFFFE, member=1)
    _refuses_at_once(lab, path, "zip_damaged")


def b06_zip64_lie(lab: Lab) -> None:
    path = bad_files.zip64_of_a_terabyte(lab.path())
    _refuses_at_once(lab, path, "zip_damaged")


def b07_zip_small_lie(lab: Lab) -> None:
    path = lab.zip([*GOOD, ("cat/x.bmp", bytes(50 << 20))])
    forge(path, UNPACKED, 10, member=3)
    taken = lab.take(path)
    assert len(taken.used) == 3 and taken.reasons == {"cat/x.bmp": "file_damaged_member"}


def b08_zip_bz2_lzma(lab: Lab) -> None:
    path = lab.zip(GOOD)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("cat/b.bmp", bytes(50 << 20), zipfile.ZIP_BZIP2)
        file.writestr("cat/l.png", png(4), zipfile.ZIP_LZMA)
    taken = lab.take(path)
    assert len(taken.used) == 3
    assert taken.reasons == {"cat/b.bmp": "file_compression", "cat/l.png": "file_compression"}


def b09_zip_unknown_method(lab: Lab) -> None:
    path = lab.zip([*GOOD, ("cat/a.png", png(4)), ("cat/b.png", png(5))])
    forge(path, METHOD, 93, member=3)
    forge(path, METHOD, 9, member=4)
    taken = lab.take(path)
    assert len(taken.used) == 3
    assert taken.reasons == {"cat/a.png": "file_compression", "cat/b.png": "file_compression"}


def b10_zip_slip(lab: Lab) -> None:
    bad = ["../../x.png", "/abs/x.png", "..\\y.png", "C:\\x.png", "//srv/x.png"]
    taken = lab.take([*GOOD, *((name, png(10 + n)) for n, name in enumerate(bad))])
    assert lab.labels(taken) == ["cat", "dog"] and len(taken.used) == 3
    assert [file.reason for file in taken.files[3:]] == ["file_unusable_path"] * 5
    assert not Path("/abs/x.png").exists() and not (lab.store.home.parent / "x.png").exists()


def b11_zip_symlink(lab: Lab) -> None:
    path = lab.zip(GOOD)
    with zipfile.ZipFile(path, "a") as file:
        info = zipfile.ZipInfo("cat/passwd.png")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    taken = lab.take(path)
    assert len(taken.used) == 3 and taken.reasons == {"cat/passwd.png": "file_link"}


def b12_zip_unicode_twins(lab: Lab) -> None:
    one = "caf\u00e9"
    two = unicodedata.normalize("NFD", one)
    taken = lab.take([(f"{one}/1.png", png(1)), (f"{two}/2.png", png(2)), ("tea/3.png", png(3))])
    assert one != two and lab.labels(taken) == [one, "tea"]
    assert lab.merged(taken) == {one: sorted([one, two])}


def b13_zip_case_twins(lab: Lab) -> None:
    taken = lab.take([("Cat/1.png", png(1)), ("cat/2.png", png(2)), ("cat/3.png", png(3)), ("dog/4.png", png(4))])
    assert lab.labels(taken) == ["cat", "dog"]
    assert lab.merged(taken) == {"cat": ["Cat", "cat"]}


def b14_zip_dup_names(lab: Lab) -> None:
    taken = lab.take([("cat/1.png", png(1)), ("cat/1.png", png(2)), ("dog/3.png", png(3))])
    assert taken.used == ["cat/1.png", "cat/1.png", "dog/3.png"]
    assert len({file.picture_id for file in taken.files}) == 3


def b15_zip_reserved(lab: Lab) -> None:
    names = ["CON/1.png", "aux/aux.png", "a:b/3.png", "x./4.png", "com1.txt/5.png"]
    taken = lab.take([(name, png(n)) for n, name in enumerate(names)])
    assert len(taken.used) == 5
    assert lab.labels(taken) == sorted(["CON", "aux", "a:b", "x.", "com1.txt"])
    path = lab.path("out.zip")
    path.write_bytes(b"".join(export_zip.chunks(lab.store, taken.project_id)))
    with zipfile.ZipFile(path) as file:
        for part in [part for name in file.namelist() for part in name.split("/")]:
            assert not re.search(r'[<>:"\\|?*]', part) and not part.endswith((".", " "))
            assert part.split(".")[0].lower() not in {"con", "aux", "nul", "com1"}


def b16_zip_encrypted(lab: Lab) -> None:
    path = lab.zip(GOOD)
    forge(path, FLAGS, 1, member=2)
    _refuses_at_once(lab, path, "zip_encrypted")


def b17_zip_truncated(lab: Lab) -> None:
    for missing in (1, 5, 21, 22, 100, 500, 0.5, 0.9):
        path = lab.zip([(name, os.urandom(2000)) for name, _ in GOOD], "animals.zip")
        size = path.stat().st_size
        os.truncate(path, size - (missing if missing >= 1 else int(size * missing)))
        taken = lab.take(path)
        assert str(taken.error).startswith(say("error.zip_truncated", name="animals.zip")), (missing, taken)
        path.unlink()
    assert not lab.blobs()


def b18_zip_empty(lab: Lab) -> None:
    nothing = lab.path()
    nothing.touch()
    for path in (nothing, lab.zip([]), lab.zip([("cat/", b""), ("dog/", b"")])):
        _refuses_at_once(lab, path, "data_empty")


def b19_not_zip(lab: Lab) -> None:
    starts = {
        b"Rar!\x1a\x07\x01\0": "a RAR archive",
        b"7z\xbc\xaf\x27\x1c\0\4": "a 7-Zip archive",
        b"\x1f\x8b\x08\0\0\0\0\0": "a gzip or tar.gz archive",
        b"<!DOCTYPE html><title>404": "a web page",
    }
    for start, kind in starts.items():
        path = lab.path()
        path.write_bytes(start + bytes(1000))
        error = lab.take(path).error
        assert error is not None and error.code == "not_a_zip"
        assert f"is {kind}, not a ZIP" in error.message and "ZIP" in error.hint


def b20_zip_100k(lab: Lab) -> None:
    path = bad_files.many(lab.path(), 100_000, data=encoded(Image.new("L", (8, 8)), "PNG"))
    rss = _rss_mb(reset=True)
    with cpu.at_most(400):
        entries = archive.listing(path)
        places = read_names([entry.name for entry in entries])
    assert len(entries) == 100_000 and {place.label for place in places} == {"c"}
    assert _rss_mb() - rss < RSS_MB
    last = file_check.receive(
        list(zip(entries, places, strict=True))[-300:], lab.store.pictures, lab.store.facts, Silent(), lambda _: None
    )
    assert Counter(answer.file.outcome for answer in last) == {"used": 300}


def b21_zip_one_more(lab: Lab) -> None:
    path = bad_files.many(lab.path(), LIMITS.archive_files + 1)
    with cpu.at_most(10), contextlib.suppress(HeadstartError):
        archive.listing(path)
    _refuses_at_once(lab, path, "too_many_files")


def b22_zip_5gb_sparse(lab: Lab) -> None:
    path = lab.path()
    with path.open("wb") as file:
        file.seek(4_400_000_000)  # a hole: takes no space
        with zipfile.ZipFile(file, "w") as archived:
            for name, data in GOOD:
                archived.writestr(name, data)
    assert path.stat().st_size > 4.09 * 2**30
    assert len(lab.take(path).used) == 3


def b23_zip_mac_junk(lab: Lab) -> None:
    junk = ["__MACOSX/cat/._1.png", "cat/.DS_Store", "cat/Thumbs.db", "desktop.ini"]
    taken = lab.take([*GOOD, *((name, b"junk") for name in junk)])
    assert Counter(file.outcome for file in taken.files) == {"used": 3, "ignored": 4}
    assert not lab.store.unused(taken.project_id)


def b24_zip_prefixed(lab: Lab) -> None:
    for stub in (png(9), b"MZ" + bytes(5000), b"GIF89a<script>"):
        path = lab.zip(GOOD)
        path.write_bytes(stub + path.read_bytes())
        assert len(lab.take(path).used) == 3


def b25_zip_fuzz(lab: Lab) -> None:
    """2,000 mutations are looked into and read; every fiftieth is taken in whole."""
    known = {
        "", "zip_damaged", "zip_truncated", "file_damaged_member", "zip_encrypted", "zip_overlap", "zip_ratio",
        "zip_too_large", "too_many_files", "not_a_zip", "data_empty", "nothing_usable",
    }  # fmt: skip
    chance, path = random.Random(0), lab.zip([(f"cat/\u00e9{n}.png", png(n)) for n in range(6)])
    with zipfile.ZipFile(path, "a") as file, file.open("dog/wide.png", "w", force_zip64=True) as member:
        member.write(png(9))
    whole = path.read_bytes()
    seen: Counter[str] = Counter()
    for number in range(2_000):
        path.write_bytes(_mutated(whole, chance))
        seen[lab.take(path, batch=str(number)).code if number % 50 == 0 else _code_of(path)] += 1
    assert set(seen) <= known
    assert {"zip_damaged", "zip_truncated", "file_damaged_member"} <= set(seen)


def _mutated(whole: bytes, chance: random.Random) -> bytes:
    data, directory = bytearray(whole), whole.index(b"PK\1\2")
    for _ in range(chance.choice([1, 1, 2, 6, 40])):
        at = chance.randrange(len(data)) if chance.random() < 0.3 else chance.randrange(directory, len(data))
        data[at] = chance.choice([0, 255, chance.randrange(256)])
    if chance.random() < 0.1:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def _code_of(path: Path) -> str:
    code = ""
    try:
        entries = archive.listing(path)
    except HeadstartError as error:
        return error.code
    read_names([entry.name for entry in entries])
    for entry in entries:
        try:
            assert sum(map(len, entry.chunks())) <= 1 << 20
        except HeadstartError as error:
            code = error.code
    return code


# -- pictures


def _one_bit(format: str, side: int, **options: str) -> bytes:
    return encoded(Image.new("1", (side, side)), format, **options)


def _bomb(lab: Lab, data: bytes, megapixels: int) -> None:
    assert len(data) < 30_000
    file = lab.one(data)
    assert (file.reason, file.values["megapixels"]) == ("picture_too_large", megapixels)


def b26_img_bomb_webp(lab: Lab) -> None:
    _bomb(lab, webp_of_size(9_000, 9_000), 81)


def b27_img_bomb_png(lab: Lab) -> None:
    _bomb(lab, _one_bit("PNG", 14_000), 196)


def b28_img_bomb_tiff(lab: Lab) -> None:
    _bomb(lab, _one_bit("TIFF", 12_000, compression="group4"), 144)


def b29_img_49mp(lab: Lab) -> None:
    """Within the address space of the child, which is bounded."""
    file = lab.one(encoded(Image.new("RGB", (7_000, 7_000), (200, 30, 30)), "JPEG"), "x.jpg")
    assert file.outcome == "used"
    facts = lab.store.facts(file.picture_id or "")
    assert facts is not None and (facts.width, facts.height) == (7_000, 7_000)


def b30_img_ztxt(lab: Lab) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * (100 << 20), zip=True)
    data = encoded(noise(16, 16), "PNG", pnginfo=text)
    assert len(data) < 200_000
    assert lab.reason(data) == "picture_damaged"


def b31_img_frames(lab: Lab) -> None:
    frames = [noise(12, 12, n) for n in range(500)]
    file = lab.one(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "x.gif")
    assert (file.outcome, file.values["notes"]) == ("used", ["first_frame"])


SEVEN = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "AVIF": "avif"}


def b32_img_trunc(lab: Lab) -> None:
    """35 cuts. The last hundredth of a percent may be no more than an end mark: then the picture is whole."""
    members, whole = list(GOOD), {}
    for format, suffix in SEVEN.items():
        data = encoded(photo(), format)
        whole[format] = decoding.decode(data).pixels
        for share in (0.02, 0.3, 0.6, 0.95, 0.9999):
            members.append((f"cat/{format} {share}.{suffix}", data[: min(int(len(data) * share), len(data) - 1)]))
    taken = lab.take(members)
    for file in taken.files[3:]:
        if file.name.split()[1].startswith("0.9999") and file.outcome == "used":
            data = lab.store.pictures.path(file.picture_id or "").read_bytes()
            assert np.array_equal(decoding.decode(data).pixels, whole[file.name.split()[0].removeprefix("cat/")])
        else:
            assert file.reason in ("picture_cut_off", "picture_damaged", "file_not_picture"), file
    assert Counter(taken.reasons.values())["picture_cut_off"] >= 12


def _holed(data: bytes, at: float) -> bytes:
    start = int(len(data) * at)
    return data[:start] + bytes(400) + data[start + 400 :]


def b33_img_mid_png(lab: Lab) -> None:
    assert lab.reason(_holed(encoded(noise(200, 200), "PNG"), 0.5)) == "picture_damaged"


def b34_img_mid_jpeg(lab: Lab) -> None:
    taken = lab.take(
        [*GOOD, *((f"cat/{n}.jpg", _holed(encoded(noise(200, 200, n), "JPEG"), n / 20)) for n in range(19))]
    )
    assert len(taken.files) == 22 and set(taken.reasons.values()) <= {
        "picture_damaged",
        "picture_cut_off",
        "file_not_picture",
    }


def b35_img_wrong_ext(lab: Lab) -> None:
    taken = lab.take(
        [("cat/a.jpg", png(1)), ("cat/b.png", encoded(photo(), "JPEG")), ("dog/c.gif", encoded(noise(), "WEBP"))]
    )
    assert len(taken.used) == 3


def b36_img_not_image(lab: Lab) -> None:
    contents = [b"hello", b"%PDF-1.7\n", b"MZ" + bytes(500), b"<!DOCTYPE html><script>alert(1)</script>"]
    taken = lab.take([*GOOD, *((f"cat/{n}.jpg", data) for n, data in enumerate(contents))])
    assert [file.reason for file in taken.files[3:]] == ["file_not_picture"] * 4


def b37_img_zero(lab: Lab) -> None:
    taken = lab.take([*GOOD, ("cat/none.png", b""), ("cat/one.png", b"\x89")])
    assert taken.reasons == {"cat/none.png": "file_empty", "cat/one.png": "file_not_picture"}


def b38_img_svg(lab: Lab) -> None:
    data = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    file = lab.one(data, "x.svg")
    assert (file.reason, file.picture_id) == ("file_svg", None)
    assert hashlib.sha256(data).hexdigest() not in {path.name for path in lab.blobs()}


def b39_img_eps_psd_fits(lab: Lab) -> None:
    """A program named `gs` stands first on the path, and leaves a trace if anyone starts it."""
    trap, trace = lab.data / "bin" / "gs", lab.data / "started"
    trap.parent.mkdir()
    trap.write_text(f"#!/bin/sh\ntouch {trace}\n")
    trap.chmod(0o755)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    psd = b"8BPS\0\1" + bytes(6) + struct.pack(">HLLHH", 3, 20, 20, 8, 3) + bytes(60)
    fits = b"".join(
        line.ljust(80) for line in (b"SIMPLE  =                    T", b"BITPIX  =                    8", b"END")
    )
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{trap.parent}{os.pathsep}{before}"
    try:
        taken = lab.take([*GOOD, ("cat/a.eps", eps), ("cat/b.jpg", eps), ("cat/c.psd", psd), ("cat/d.fits", fits)])
    finally:
        os.environ["PATH"] = before
    assert [file.reason for file in taken.files[3:]] == ["file_not_picture"] * 4
    assert not trace.exists()


def b40_img_polyglot(lab: Lab) -> None:
    data = encoded(noise(), "GIF") + b"<script>alert(1)</script>" + lab.zip(GOOD).read_bytes()
    file = lab.one(data, "x.gif")
    assert file.outcome == "used"
    preview = lab.store.thumbnail(file.picture_id or "").read_bytes()
    assert preview.startswith(b"\xff\xd8") and b"<script>" not in preview and b"PK\3\4" not in preview


def b41_img_exif_1_8_99(lab: Lab) -> None:
    """All nine show the same pixels, so one is used and eight are its copies."""
    stored = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4, 99: None}  # what was done to the pixels
    members = []
    for orientation, turn in stored.items():
        image, exif = noise(), Image.Exif()
        exif[0x0112] = orientation
        image = image if turn is None else image.transpose(Image.Transpose(turn))
        members.append((f"cat/{orientation}.png", encoded(image, "PNG", exif=exif)))
    taken = lab.take([*members, *GOOD[1:]])
    assert sorted(taken.used) == ["cat/1.png", *sorted(name for name, _ in GOOD[1:])]
    assert Counter(taken.reasons.values()) == {"duplicate": 8}
    facts = lab.store.facts(taken.files[0].picture_id or "")
    assert facts is not None and (facts.width, facts.height) == noise().size


def b42_img_cmyk(lab: Lab) -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    # Adobe's other way: the inks as Y, Cb, Cr and K. Pillow inverts them; the marker's last byte says which way.
    inks = Image.new("RGB", (16, 16), (0, 255, 255)).convert("YCbCr").getpixel((0, 0))
    turned = Image.new("CMYK", (16, 16), (*(255 - value for value in inks), 0))  # type: ignore[union-attr]
    data = encoded(turned, "JPEG", quality=100)
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    for jpeg in (encoded(red, "JPEG", quality=100), data[:at] + b"\2" + data[at + 1 :], encoded(red, "TIFF")):
        assert np.abs(lab.pixels(jpeg)[8, 8].astype(int) - RED).max() <= 3


def b43_img_16bit(lab: Lab) -> None:
    ramp = np.arange(65_536).reshape(256, 256)
    for format, values in (
        ("PNG", ramp.astype(np.uint16)), ("TIFF", ramp.astype(np.uint16)), ("TIFF", ramp.astype(">u2")),
        ("TIFF", ramp.astype(np.int32)), ("TIFF", ramp.astype(np.float32)),
    ):  # fmt: skip
        pixels = lab.pixels(encoded(Image.fromarray(values), format))
        assert len(np.unique(pixels)) == 256 and abs(pixels.mean() - 127.5) < 1


def b44_img_alpha(lab: Lab) -> None:
    red = Image.new("RGB", (16, 12), RED)
    for data in (
        encoded(Image.new("RGBA", (16, 12), (255, 0, 0, 0)), "PNG"), encoded(Image.new("LA", (16, 12), (0, 0)), "PNG"),
        encoded(red.quantize(4), "PNG", transparency=0), encoded(red, "PNG", transparency=RED),
    ):  # fmt: skip
        assert lab.pixels(data)[0, 0].tolist() == list(WHITE)


def b45_img_icc(lab: Lab) -> None:
    """A profile in which red light is called blue, one of Adobe RGB's green, and a broken one."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    red = Image.new("RGB", (16, 12), RED)
    assert np.abs(lab.pixels(encoded(red, "PNG", icc_profile=swapped))[0, 0].astype(int) - BLUE).max() <= 8
    for color in ((100, 150, 200), (180, 120, 90)):
        data = encoded(Image.new("RGB", (16, 12), color), "PNG", icc_profile=bad_files.adobe_rgb(srgb))
        expected = bad_files.from_adobe_rgb(color)
        assert np.abs(np.subtract(expected, color)).max() >= 5
        assert np.abs(lab.pixels(data)[0, 0].astype(int) - expected).max() <= 2
    file = lab.one(encoded(red, "PNG", icc_profile=b"junk" * 50))
    assert (file.outcome, file.values["notes"]) == ("used", ["profile_ignored"])


def b47_img_heic(lab: Lab) -> None:
    with _decoder("decode_without_heif"):
        file = lab.one(bad_files.HEIC, "x.heic")
    assert file.reason == "file_heic" and "JPEG" in messages.error(file.reason, file.values)[1]
    if "HEIF" in decoding.FORMATS:  # the extra is installed
        pixels = lab.pixels(bad_files.HEIC, "x.heic")
        assert pixels.shape == (64, 48, 3)  # upright
        assert np.abs(pixels[5, 5].astype(int) - (201, 40, 30)).max() <= 4


def b48_img_avif_webp(lab: Lab) -> None:
    taken = lab.take([("cat/1.avif", encoded(photo(), "AVIF")), ("dog/2.webp", encoded(noise(), "WEBP"))])
    assert len(taken.used) == 2


def b49_img_multi(lab: Lab) -> None:
    members = []
    for n, (format, suffix) in enumerate([("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")]):
        pages = [noise(16, 16, 10 * n + i) for i in range(5)]
        members.append((f"cat/{n}.{suffix}", encoded(pages[0], format, save_all=True, append_images=pages[1:])))
    taken = lab.take(members)
    assert list(taken.notes.values()) == [["first_frame"]] * 3


def b50_img_tiny_huge(lab: Lab) -> None:
    sizes = {
        (1, 1): "picture_too_small",
        (7, 7): "picture_too_small",
        (1, 65_000): "",
        (20_001, 10): "picture_too_long",
    }
    members = [(f"cat/{w}x{h}.png", encoded(Image.new("L", (w, h)), "PNG")) for w, h in sizes]
    taken = lab.take([*GOOD, *members])
    for file, ((width, height), reason) in zip(taken.files[3:], sizes.items(), strict=True):
        assert file.reason == reason or (not reason and file.reason in ("picture_too_small", "picture_too_long"))
        sentence = messages.error(file.reason, file.values)[0]
        assert str(max(width, height)) in sentence


def b51_img_dup_same(lab: Lab) -> None:
    taken = lab.take([*GOOD, ("cat/copy.png", png(1))])
    assert len(taken.used) == 3 and taken.reasons == {"cat/copy.png": "duplicate"}


def b52_img_conflict(lab: Lab) -> None:
    """Also when the copy was encoded anew. Neither is trained on before someone has decided, and both are listed."""
    again = encoded(Image.open(io.BytesIO(png(1))), "BMP")
    taken = lab.take([*GOOD, ("dog/4.png", png(4)), ("dog/same.bmp", again)])
    assert taken.reasons == {"cat/1.png": "label_conflict", "dog/same.bmp": "label_conflict"}
    assert {file.name for file in lab.store.unused(taken.project_id)} == {"cat/1.png", "dog/same.bmp"}
    assert taken.files[0].picture_id not in {picture.id for picture in lab.store.dataset(taken.project_id).pictures}


def b53_img_segv(lab: Lab) -> None:
    with _decoder("decode_or_misbehave"):
        taken = lab.take([("cat/0.png", bad_files.MURDEROUS), *GOOD])
    assert len(taken.used) == 3 and taken.reasons == {"cat/0.png": "picture_too_costly"}


def b54_img_hang(lab: Lab) -> None:
    with _decoder("decode_or_misbehave", wall_s=3):
        taken = lab.take([("cat/0.png", bad_files.ENDLESS), *GOOD])
    assert len(taken.used) == 3 and taken.reasons == {"cat/0.png": "picture_too_costly"}


# -- classes


def _refuses_to_train(lab: Lab, taken: Taken) -> HeadstartError:
    try:
        requests.train(lab.store, taken.project_id, PRESETS["linear"])
    except HeadstartError as error:
        return error
    raise AssertionError("it trains")


def b55_cls_one_and_empty(lab: Lab) -> None:
    taken = lab.take([("cat/1.png", png(1)), ("cat/2.png", png(2)), ("dog/", b"")])
    assert lab.labels(taken) == ["cat"]
    error = _refuses_to_train(lab, taken)
    assert (error.code, error.values["n"]) == ("too_few_classes", 1)
    assert say("one_class") in _page(lab, taken.project_id)


def b56_cls_single_image(lab: Lab) -> None:
    one = lab.take([("cat/1.png", png(1)), ("dog/2.png", png(2))])
    assert _refuses_to_train(lab, one).code == "too_few_pictures"
    two = lab.take([(f"{label}/{n}.png", png(10 * i + n)) for i, label in enumerate(("cat", "dog")) for n in (1, 2)])
    dataset = lab.store.dataset(two.project_id)
    dataset.require_trainable()
    assert {picture.part for picture in dataset.pictures} <= {"train", "val"}  # each picture is in one part
    assert len({picture.id for picture in dataset.pictures}) == 4
    assert "**cat** (2), **dog** (2)" in _page(lab, two.project_id)


def b57_cls_1000(lab: Lab) -> None:
    taken = lab.take([(f"{n:04}/{i}.png", png(2 * n + i)) for n in range(1_000) for i in (0, 1)])
    assert len(lab.labels(taken)) == 1_000 and len(taken.used) == 2_000
    assert "988 more classes" in _page(lab, taken.project_id)
    with no_processes():
        run, job = requests.train(lab.store, taken.project_id, PRESETS["linear"].with_(epochs=1))
        assert job is not None
        wait(lab.store, job)
    result = lab.store.run(run.id).result
    assert result is not None and len(result.classes) == 1_000


def b59_cls_markdown(lab: Lab) -> None:
    names = ["![x](http:⁄⁄127.0.0.1:9⁄p.png)", "$x$ :home: **b**", "[a](javascript:alert(1))"]
    taken = lab.take([(f"{name}/{i}.png", png(2 * n + i)) for n, name in enumerate(names) for i in (0, 1)])
    assert sorted(lab.labels(taken)) == sorted(names)
    said = _page(lab, taken.project_id)
    assert "![x](" not in said and "**b**" not in said and "[a](javascript" not in said
    assert "\\[x\\]" in said or "\\!\\[x" in said


def b60_cls_csv(lab: Lab) -> None:
    """The table that is given out starts no cell like a formula, and what comes back in is what was there."""
    names = ["=cmd|'C'!A0", "+1", "-3", "@a", "\tx", "a\rb"]
    first = lab.take([(f"{name}/{i}.png", png(2 * n + i)) for n, name in enumerate(names) for i in (0, 1)])
    assert sorted(lab.labels(first)) == sorted([*names[:4], "x", "a b"])
    path = lab.path("out.zip")
    path.write_bytes(b"".join(export_zip.chunks(lab.store, first.project_id)))
    with zipfile.ZipFile(path) as file:
        rows = list(csv.reader(io.StringIO(file.read(export_zip.TABLE).decode(), newline="")))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    second = lab.take(path)
    before, after = (lab.store.dataset(taken.project_id) for taken in (first, second))
    assert before.fingerprint == after.fingerprint and len(before.pictures) == 12


def b61_cls_rtl_emoji_long(lab: Lab) -> None:
    names = {
        "\u202eevil\u202c": "evil",
        "x" * 200: f"{'x' * 70}\u2026 {hashlib.sha256(b'x' * 200).hexdigest()[:8]}",
        "two\nlines": "two lines",
        "\U0001f600 ok": "\U0001f600 ok",
    }
    members = [(f"{name}/{i}.png", png(2 * n + i)) for n, name in enumerate(names) for i in (0, 1)]
    taken = lab.take([*members, ("   /9.png", png(99))])
    assert sorted(lab.labels(taken)) == sorted(names.values())
    assert taken.reasons == {"   /9.png": "class_unknown"}
    said = _page(lab, taken.project_id)
    assert "\u202e" not in said and "x" * 200 not in said  # that it was cut is told, not the whole of it


_VISIT = """
import json, sys
from tests import cpu, visits
project = sys.argv[1]
at = visits.turn(visits.begin(project), project, "data")
with cpu.at_most(30):
    at.run()
kinds = ("title", "header", "markdown", "caption", "error", "warning", "info", "progress", "button", "expander",
         "selectbox")
said = [str(getattr(e, "label", "") or getattr(e, "value", "") or e.proto) for kind in kinds for e in at.get(kind)]
print(json.dumps({"said": said, "exception": [e.value for e in at.exception]}))
"""


def _page(lab: Lab, project_id: str) -> str:
    """All that the Data page says, as Markdown, drawn in a process of its own."""
    done = visits.run(_VISIT, project_id, home=lab.store.home)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert not answer["exception"]
    return "\n".join(answer["said"])


CASES: dict[str, Callable[[Lab], None]] = {
    name: case for name, case in list(globals().items()) if re.match(r"b\d\d_", name)
}


def run(names: Sequence[str] = tuple(CASES)) -> dict[str, str]:
    """Do the cases, each on a fresh home: name -> "" if it holds, else what went wrong."""
    failures = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(Path(folder))
            try:
                began = time.monotonic()
                CASES[name](lab)
                print(name, round(time.monotonic() - began, 1), file=sys.stderr)
                lab.check()
                failures[name] = ""
            except Exception as error:  # noqa: BLE001 - counted, and told by name
                failures[name] = f"{type(error).__name__}: {error}"
    return failures


if __name__ == "__main__":
    answers = run(sys.argv[1:] or tuple(CASES))
    for name, failure in answers.items():
        print(name, failure or "ok")
    print(f"{sum(not failure for failure in answers.values())} of {len(answers)}")
