"""Damaged and hostile input by the thousand, through the real entry points: every outcome is one that is known.

Each case is made from its number alone, so one that fails can be made again. `HEADSTART_TEST_FUZZ=1000` runs a thousand
times as many cases, which takes hours; `HEADSTART_TEST_FUZZ_FROM` is the number of the first.
"""

import io
import json
import os
import random
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.dataset import PARTS
from core.errors import HeadstartError
from core.language import catalog
from core.plan import Plan
from core.runs import run_file
from core.sandbox import decoding
from core.sandbox.process import Child
from core.settings import LIMITS
from core.worker.take_in import _Source
from tests.bad_files import encoded, noise, photo, png
from tests.inputs import Lab

TIMES = int(os.environ.get("HEADSTART_TEST_FUZZ", "1"))
FIRST = int(os.environ.get("HEADSTART_TEST_FUZZ_FROM", "0"))

# What formats give a meaning to, and what breaks programs.
TOKENS = [
    b"", b"\0", b"\n", b"\r", b"\r\n", b",", b";", b"\t", b'"', b"'", b'""', b"{", b"}", b"[", b"]", b":", b"- ", b"? ",
    b"&a ", b"*a", b"!!python/object:os.system ", b"<<: ", b"|\n", b"%YAML 9\n", b"---\n", b"...", b"#", b"null",
    b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"0x" + b"f" * 40, b"1:2:3:4", b"2024-13-41", b"=1+1",
    b"@x", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\xe2\x80\xae", b"path", b"label", b"split",
    b"images", b"annotations", b"image_id", b"../", b"/", b"\\", b"C:\\", b"./", b".", b"//", b"https://x/", b"0.png",
    b"cat", b"CAT", b"x" * 3_000, b"a/" * 500, b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\xff\xd8\xff", b"\x89PNG\r\n",
]  # fmt: skip
ODD: list[Any] = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**30, "", " ", "\0", "\ud800", "=1", "../x", "x" * 2_000,
    [], {}, [[]], [None], {"": ""}, {"id": {}}, [1, "a"], {"name": "cat"}, ["cat", "dog"], "0.png", "test",
]  # fmt: skip


def cases(kind: str, n: int) -> Iterator[tuple[str, random.Random]]:
    """The name of each case, and what chance it is made with."""
    for number in range(FIRST, FIRST + n * TIMES):
        yield f"{kind} {number}", random.Random(f"{kind} {number}")


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """The same bytes but for some: flipped, cut, doubled, moved, or with something in between."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8, 30))):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 1, 2, 4, 16, 200)))
        match chance.randrange(6):
            case 0:
                found[at:end] = bytes(byte ^ 1 << chance.randrange(8) for byte in found[at:end])
            case 1:
                found[at:end] = chance.randbytes(end - at)
            case 2:
                found[at:at] = chance.choice(TOKENS)
            case 3:
                found[at:end] = chance.choice(TOKENS)
            case 4:
                to = chance.randrange(len(found) + 1)
                found[to:to] = found[at:end]
            case _:
                del found[at : end if chance.random() < 0.9 else len(found)]
    return bytes(found)


def bent(value: Any, chance: random.Random) -> Any:
    """The same value with one place in it changed into something odd, or gone, or doubled."""
    if isinstance(value, (dict, list)) and value and chance.random() < 0.85:
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        copy = value.copy()
        if chance.random() < 0.1:
            del copy[key]
        elif isinstance(copy, dict) and chance.random() < 0.1:
            copy[str(chance.choice(ODD))] = copy.pop(key)
        else:
            copy[key] = bent(value[key], chance)
        return copy
    return chance.choice(ODD)


def ends_as_known(name: str, attempt: Callable[[], None]) -> bool:
    """Whether it worked; what did not is told with a code that has its sentences, and as nothing else."""
    try:
        attempt()
    except HeadstartError as error:
        assert catalog.has(f"error.{error.code}"), f"{name}: {error.code}"
        assert error.message and error.hint, name
        f"{error}".encode()  # can be shown
        return False
    except Exception as error:
        raise AssertionError(f"{name}: {error!r}") from error
    return True


NAMES = ["cat/0.png", "cat/1.png", "dog/2.png", "dog/0.png", "3.png", "images/4.png", "a b/5.PNG", "x/.hidden"]
RECORDS = [
    {"path": name, "label": "cat" if n % 2 else "dog", "split": "train", "group": f"g{n}"}
    for n, name in enumerate([*NAMES, "gone.png", "https://x.test/6.png", "C:\\set\\cat\\1.png", "/data/dog/2.png"])
]
COCO = {
    "images": [{"id": n, "file_name": name} for n, name in enumerate(NAMES)],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [{"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [0, 0, 5, 5]} for n in range(8)],
}
AZURE = [{"id": str(n), "tags": [{"tagName": "cat"}], "originalImageUri": f"https://x/{n}"} for n in range(6)]
MACHINE = {"type": "image", "classes": [{"name": "cat", "samples": ["3.png", {"file": "4.png"}]}]}
CSV = "path,label,split,group\r\n" + "".join(
    f'{row["path"]},"{row["label"]}",{row["split"]},{row["group"]}\r\n' for row in RECORDS
)


def table(chance: random.Random) -> tuple[str, bytes]:
    """A table that is not quite right."""
    folder = chance.choice(("", "", "images/", "train/", "a/b/"))
    found = chance.choice((RECORDS, COCO, AZURE, MACHINE))
    kind = chance.choice(("csv", "tsv", "jsonl", "json", "json"))
    if kind in ("csv", "tsv"):
        mark = "\t" if kind == "tsv" else chance.choice((",", ";"))
        text = CSV.replace(",", mark).encode()
    elif kind == "jsonl":
        text = "\n".join(json.dumps(bent(row, chance) if chance.random() < 0.2 else row) for row in RECORDS).encode()
    else:
        for _ in range(chance.choice((0, 1, 3))):
            found = bent(found, chance)
        text = json.dumps(found, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return f"{folder}t.{kind}", spoiled(text, chance) if chance.random() < 0.7 else text


def packed(chance: random.Random) -> bytes:
    """A ZIP of files that are no pictures (these have their own test) and perhaps of tables."""
    names = [
        *chance.sample(NAMES, chance.randrange(1, 8)),
        *(f"n{chance.choice(TOKENS).decode('latin-1')}" for _ in range(2)),
    ]
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", chance.choice((0, 0, 8, 12))) as archive:
        warnings.simplefilter("ignore", UserWarning)  # two members of one name
        for name in names:
            archive.writestr(name, chance.randbytes(40))
        for _ in range(chance.randrange(3)):
            archive.writestr(*table(chance))
    return out.getvalue()


def look_inside(path: Path) -> None:
    """What the job does before it decodes: what the files are, of which class, and their bytes."""
    for entry, place in _Source("b", path).files("", ["cat"]):
        entry.name.encode()  # can be stored
        json.dumps(dict(place.values)).encode()
        assert place.outcome in ("used", "excluded", "ignored") and place.part in (None, *PARTS)
        assert len(place.label) <= LIMITS.class_name
        if place.reason:
            assert catalog.has(f"reason.{place.reason}")
            error = HeadstartError(place.reason, **place.values)
            assert error.message and error.hint
        if not entry.name.startswith("https:"):  # nothing is fetched here
            ends_as_known(entry.name, lambda: [None for _ in entry.chunks()] and None)  # noqa: B023


def test_every_spoiled_zip_is_read_or_refused_with_a_sentence(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.zip", 0
    for name, chance in cases("zip", 400):
        data = packed(chance)
        path.write_bytes(spoiled(data, chance) if chance.random() < 0.8 else data)
        whole += ends_as_known(name, lambda: look_inside(path))
    assert 0.1 < whole / (400 * TIMES) < 0.9  # neither all of them, nor none


def test_every_spoiled_table_is_read_or_passed_over(tmp_path: Path) -> None:
    for at, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes([at]))
    for name, chance in cases("table", 600):
        tables = [table(chance) for _ in range(chance.choice((1, 1, 2)))]
        for to, data in tables:
            (tmp_path / to).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / to).write_bytes(data)
        ends_as_known(name, lambda: look_inside(tmp_path))
        for to, _ in tables:
            (tmp_path / to).unlink(missing_ok=True)  # of two of one name


RUN = {
    "headstart_run": 1, "name": "x", "plan": Plan().to_dict(),
    "data": {"fingerprint": "0" * 64, "pictures": 6, "classes": {"cat": 3, "dog": 3}},
    "split": {"seed": 0, "val": 0.15, "test": 0.15, "pictures": {"train": 2, "val": 2, "test": 2}},
    "versions": {"keras": "3"}, "weights": {"backbone": "Starter", "sha256": "0" * 64}, "scores": {"test_n": 2},
}  # fmt: skip


def test_every_spoiled_run_file_is_read_or_refused_with_a_sentence() -> None:
    read = 0
    for name, chance in cases("run file", 300):
        values: Any = RUN
        for _ in range(chance.choice((0, 1, 2))):
            values = bent(values, chance)
        text = yaml.safe_dump(values, allow_unicode=True, default_flow_style=chance.choice((None, True, False)))
        data = text.encode("utf-8", "surrogatepass")
        data = spoiled(data, chance) if chance.random() < 0.6 else data
        read += ends_as_known(name, lambda: run_file.read(data) and None)  # noqa: B023
    assert 0.05 < read / (300 * TIMES) < 0.8


def originals() -> list[bytes]:
    """A picture of each format, with what else can be in one."""
    frames = {"save_all": True, "append_images": [photo()]}
    made = [encoded(photo(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")]
    made += [encoded(noise().convert(mode), "PNG") for mode in ("L", "LA", "RGBA", "P", "1", "I;16")]
    made += [encoded(photo().convert("CMYK"), "JPEG"), encoded(photo(), "JPEG", progressive=True)]
    made += [encoded(photo(), "GIF", **frames), encoded(photo(), "WEBP", **frames), encoded(photo(), "TIFF", **frames)]
    made += [encoded(photo(), "TIFF", compression=way) for way in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")]
    return made


def test_every_spoiled_picture_is_decoded_or_refused_and_none_ends_the_decoder() -> None:
    made, decoded = originals(), 0
    with Child("core.sandbox.decoding:answer", decoding.DECODING) as child:
        for name, chance in cases("picture", 500):
            data = spoiled(chance.choice(made), chance)

            def decode() -> None:
                try:
                    facts, shown = child.ask({}, data)  # noqa: B023
                except HeadstartError as error:
                    assert error.code != "child_died" and catalog.has(f"reason.{error.code}")
                    raise
                assert LIMITS.smallest_side_px <= min(facts["width"], facts["height"])
                assert shown.startswith(b"\xff\xd8") and all(catalog.has(f"note.{note}") for note in facts["notes"])

            decoded += ends_as_known(name, decode)
    assert 0.1 < decoded / (500 * TIMES) < 0.9


@pytest.mark.parametrize("number", range(FIRST, FIRST + 3 * TIMES))
def test_every_spoiled_delivery_is_taken_in_with_an_answer_for_each_file(tmp_path: Path, number: int) -> None:
    chance, lab = random.Random(f"delivery {number}"), Lab(tmp_path)
    path = lab.path()
    path.write_bytes(packed(chance))
    with zipfile.ZipFile(path, "a") as archive:
        for n in range(8):
            data = chance.choice(originals())
            archive.writestr(f"{chance.choice(('cat', 'dog'))}/p{n}", data if n < 4 else spoiled(data, chance))
        archive.writestr("cat/good.png", png(number))
    if chance.random() < 0.3:
        path.write_bytes(spoiled(path.read_bytes(), chance))
    taken = lab.take(path)
    assert taken.code != "internal"
    assert taken.error is not None or "cat/good.png" in taken.used
    lab.check()
