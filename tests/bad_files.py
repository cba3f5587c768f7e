"""Files that lie, are broken or cost too much, and targets for a child process that misbehave."""

import base64
import io
import json
import os
import stat
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.errors import HeadstartError

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")

# Where a field stands in a local header ("PK\3\4") and in an entry of the directory ("PK\1\2").
FLAGS, METHOD, CRC, PACKED, UNPACKED = 0, 1, 2, 3, 4
_IN_LOCAL = (6, 8, 14, 18, 22)
_IN_CENTRAL = (8, 10, 16, 20, 24)


# -- pictures


def noise(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """A colorful picture that no format compresses well."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def photo(width: int = 80, height: int = 64) -> Image.Image:
    """Soft light with a little grain, as JPEG and AVIF expect."""
    light = np.add.outer(np.arange(height) * 2, np.arange(width))[..., None] + np.array([0, 30, 60])
    grain = np.random.default_rng(0).integers(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(light + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png(seed: int = 0) -> bytes:
    """A small picture that differs for each seed."""
    return encoded(noise(12, 12, seed))


# Red beside blue, 64 x 48, lying on its side: written with libheif 1.21, as no library we may ship encodes it.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAAB7AABAAAAAAAAAHAAAgAAAAACXAABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkA"
    "AAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAAAAEAAAAAAAAAAv////AAAAACAAAAEH"
    "BpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAJxtZGF0AAAA"
    "bCgBrwngOSMkv//5BH//+MRuQ/YtCcF//M2h9/gQX//7mu9RXZU5jYRyVIT1TvxGXxshJUjChDe8cnwf/n018Qe3Uxnev0Dill//n018Qe3KfL"
    "YUNJyoyHhkY+V4FJdFf0rf9WilQTStww0HwAAAAAZFeGlmAABNTQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)


def webp_of_size(width: int, height: int) -> bytes:
    """A WebP of one color, 34 bytes or so, whatever its size: the size in the header of a small one is replaced."""
    data = bytearray(encoded(Image.new("RGB", (16, 16), (200, 30, 30)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9  # name, length, signature
    bits = int.from_bytes(data[at : at + 4], "little") >> 28
    data[at : at + 4] = (bits << 28 | (height - 1) << 14 | (width - 1)).to_bytes(4, "little")
    return bytes(data)


# -- archives


def pack(path: Path, members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An honest ZIP."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def forge(path: Path, field: int, value: int, member: int = 0, local: bool = True) -> None:
    """Overwrite one field of a member, in the directory and (if `local`) in front of its bytes."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.infolist()[member]
        at = archive.start_dir
    for _ in range(member):
        at = data.index(b"PK\1\2", at + 4)
    layout = "<H" if field in (FLAGS, METHOD) else "<L"
    struct.pack_into(layout, data, at + _IN_CENTRAL[field], value)
    if local:
        struct.pack_into(layout, data, info.header_offset + _IN_LOCAL[field], value)
    path.write_bytes(data)


def zip64_of_a_terabyte(path: Path) -> Path:
    """An archive whose only member says in its 64-bit fields that it is 1 TiB large."""
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("c/x.png")
        info.extra = struct.pack("<HHQQ", 1, 16, 1 << 40, 1 << 40)
        file.writestr(info, b"x" * 100)
    forge(path, PACKED, 0xFFFFFFFF, local=False)
    forge(path, UNPACKED, 0xFFFFFFFF, local=False)
    return path


def _local(name: bytes, crc: int, packed: int, unpacked: int) -> bytes:
    return LOCAL.pack(b"PK\3\4", 20, 0, 8, 0, 33, crc, packed, unpacked, len(name), 0) + name


def _central(name: bytes, crc: int, packed: int, unpacked: int, offset: int) -> bytes:
    return CENTRAL.pack(b"PK\1\2", 20, 20, 0, 8, 0, 33, crc, packed, unpacked, len(name), 0, 0, 0, 0, 0, offset) + name


def _closed(body: bytes, directory: bytes, n: int) -> bytes:
    return body + directory + END.pack(b"PK\5\6", 0, 0, n & 0xFFFF, n & 0xFFFF, len(directory), len(body), 0)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def full_overlap(path: Path, n: int) -> Path:
    """`n` entries that are all the same bytes."""
    data = bytes(1 << 20)
    packed = _deflated(data)
    facts = (zlib.crc32(data), len(packed), len(data))
    body = _local(b"c/0.bmp", *facts) + packed
    directory = b"".join(_central(b"c/0.bmp", *facts, 0) for _ in range(n))
    path.write_bytes(_closed(body, directory, n))
    return path


def quoted_overlap(path: Path, n: int) -> Path:
    """David Fifield's construction: each member is the header of the next one, quoted, and then that member itself."""
    content = bytes(1 << 20)
    body = packed = _deflated(content)
    entries: list[tuple[bytes, tuple[int, int, int], int]] = []  # name, facts, distance from the end of the bodies
    for i in reversed(range(n)):
        name = f"c/{i:04}.bmp".encode()
        facts = (zlib.crc32(content), len(packed), len(content))
        header = _local(name, *facts)
        body = header + body
        entries.insert(0, (name, facts, len(body)))
        quote = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF)
        content, packed, body = header + content, quote + header + packed, quote + body
    body = body[5:]  # nobody quotes the first header
    directory = b"".join(_central(name, *facts, len(body) - back) for name, facts, back in entries)
    path.write_bytes(_closed(body, directory, n))
    return path


def many(path: Path, n: int, declared: int | None = None, data: bytes = b"x") -> Path:
    """`n` tiny members; the end record says `declared`. Above 65,534 with the 64-bit end record."""
    packed = _deflated(data)
    facts = (zlib.crc32(data), len(packed), len(data))
    body, directory, offset = [], [], 0
    for i in range(n):
        name = b"c/%06d.png" % i
        body.append(_local(name, *facts) + packed)
        directory.append(_central(name, *facts, offset))
        offset += len(body[-1])
    entries = b"".join(directory)
    said = n if declared is None else declared
    wide = b""
    if said > 0xFFFE:
        wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, said, said, len(entries), offset)
        wide += struct.pack("<4sLQL", b"PK\6\7", 0, offset + len(entries), 1)
    end = END.pack(b"PK\5\6", 0, 0, min(said, 0xFFFF), min(said, 0xFFFF), len(entries), offset, 0)
    path.write_bytes(b"".join(body) + entries + wide + end)
    return path


# -- targets of `core.sandbox.process`

Answer = tuple[dict[str, Any], bytes]


def echo(question: dict[str, Any], body: bytes) -> Answer:
    return {"question": question, "pid": os.getpid()}, body[::-1]


def refuse(question: dict[str, Any], body: bytes) -> Answer:
    raise HeadstartError("picture_too_long", side=21_000, limit=20_000)


def misbehave(question: dict[str, Any], body: bytes) -> Answer:
    """Does what the question says, then answers."""
    match question["do"]:
        case "abort":
            os.abort()
        case "exit":
            os._exit(0)
        case "raise":
            raise ZeroDivisionError
        case "sleep":
            time.sleep(question["s"])
        case "spin":
            while True:
                pass
        case "compute":
            end = time.process_time() + question["s"]
            while time.process_time() < end:
                pass
        case "allocate":
            body = bytes(question["mb"] << 20)[:1]
        case "print":
            print("noise", flush=True)
            sys.stdout.write("more noise\n")
            os.write(1, b"\xff" * 1000)
            os.system("echo noise of a program")
    return {"pid": os.getpid(), "n": question.get("n", 0)}, body


def trickle(question: dict[str, Any], body: bytes) -> Answer:
    """Sends an answer by itself, a byte every `s` seconds."""
    pipe = max(n for n in map(int, os.listdir("/proc/self/fd")) if _is_pipe(n))  # the last that the process opened
    answer = json.dumps({"n": question["n"]}).encode()
    for byte in struct.pack("<II", len(answer), 0) + answer:
        time.sleep(question["s"])
        os.write(pipe, bytes([byte]))
    return {"n": question["n"]}, b""


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:  # that by which the descriptors were listed
        return False


def die_at_first(question: dict[str, Any], body: bytes) -> Answer:
    """Ends by a signal the first `times` that it is asked, as counted in the file `marks`."""
    marks = Path(question["marks"])
    done = len(marks.read_bytes()) if marks.exists() else 0
    if done < question["times"]:
        marks.write_bytes(bytes(done + 1))
        os.kill(os.getpid(), question["signal"])
    return {"n": done}, b""


def decode_or_misbehave(question: dict[str, Any], body: bytes) -> Answer:
    """The decoder of the intake, which dies of one picture and never ends with another."""
    from core.sandbox import decoding

    data = Path(question["path"]).read_bytes()
    if data == MURDEROUS:
        os.abort()
    if data == ENDLESS:
        time.sleep(600)
    return decoding.answer(question, body)


def decode_without_heif(question: dict[str, Any], body: bytes) -> Answer:
    """The decoder of the intake where the extra for iPhone pictures is not installed."""
    sys.modules["pi_heif"] = None  # type: ignore[assignment]
    from core.sandbox import decoding

    return decoding.answer(question, body)


MURDEROUS, ENDLESS = png(1_001), png(1_002)


# Adobe RGB (1998) Color Image Encoding, 4.3: the gamma, and its colors in XYZ at D65; in profiles they stand at D50.
ADOBE_GAMMA = 2.19921875
ADOBE_D50 = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
ADOBE_D65 = ((0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134))
# IEC 61966-2-1: from XYZ at D65 to linear sRGB.
TO_SRGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))


def adobe_rgb(srgb: bytes) -> bytes:
    """An sRGB profile with the colors and the gamma of Adobe RGB (ICC.1:2022, 7.3 and 10.6)."""
    profile = bytearray(srgb)
    for n in range(int.from_bytes(srgb[128:132])):
        tag, at, _ = struct.unpack_from(">4sII", srgb, 132 + 12 * n)
        color = b"rgb".find(tag[:1])
        if tag[1:] == b"XYZ" and color >= 0:
            profile[at : at + 20] = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(x * 65_536) for x in ADOBE_D50[color]))
        elif tag[1:] == b"TRC":
            profile[at : at + 14] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(ADOBE_GAMMA * 256))
    return bytes(profile)


def from_adobe_rgb(color: tuple[int, int, int]) -> tuple[int, ...]:
    """What a color of Adobe RGB is in sRGB."""
    xyz = [sum(m * (c / 255) ** ADOBE_GAMMA for m, c in zip(row, color, strict=True)) for row in ADOBE_D65]
    linear = [sum(m * x for m, x in zip(row, xyz, strict=True)) for row in TO_SRGB]
    return tuple(round(255 * (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055)) for x in linear)
