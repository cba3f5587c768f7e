"""A dataset that is taken out comes back in unchanged."""

import csv
import io
import re
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from core.dataset import File, Received
from core.pictures import album, export_zip, receiving
from core.store.store import Store
from tests.bad_files import encoded, noise, photo, png
from tests.inputs import Lab

ODD = [
    "=cmd|'/C calc'!A0", "+1", "-3", "@a", "'=x", "'quoted", "a,b;c", 'say "hi"', "caf\u00e9", "CON", "x.", "a:b",
    "A/B", "a/b c",     "\U0001f600 ok", "<img src=x>", "x" * 80,
]  # fmt: skip


def state(store: Store, project_id: str) -> set[tuple[str | None, ...]]:
    rows = store.read("SELECT * FROM dataset WHERE project_id = ? AND NOT excluded", project_id)
    return {(row["picture_id"], row["label"], row["part"], row["group_key"]) for row in rows}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def taken_out(lab: Lab, project_id: str, name: str = "out.zip") -> Path:
    path = lab.data / name
    path.write_bytes(b"".join(export_zip.chunks(lab.store, project_id)))
    return path


def test_ids_classes_parts_and_groups_come_back_unchanged_whatever_the_classes_are_called(lab: Lab) -> None:
    rows = [("path", "label", "split", "group")]
    members = []
    for n, label in enumerate(ODD):
        for i, part in enumerate(("train", "val", "test")):
            members.append((f"p/{n}-{i}.png", png(3 * n + i)))
            rows.append(
                (
                    f"p/{n}-{i}.png",
                    label if not label.startswith(("=", "+", "-", "@", "'")) else "'" + label,
                    part,
                    f"=g{n % 5}{i}",
                )
            )
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    first = lab.take([*members, ("table.csv", text.getvalue().encode())])
    assert first.error is None and len(first.used) == 3 * len(ODD)
    assert sorted(lab.labels(first)) == sorted(ODD)
    second = lab.take(taken_out(lab, first.project_id))
    assert second.error is None
    assert state(lab.store, second.project_id) == state(lab.store, first.project_id)
    assert len(state(lab.store, first.project_id)) == 3 * len(ODD)
    assert {row[2] for row in state(lab.store, first.project_id)} == {"train", "val", "test"}
    assert {row[3] for row in state(lab.store, first.project_id)} == {f"=g{n}{i}" for n in range(5) for i in range(3)}


def test_the_names_that_files_had_outlast_any_number_of_journeys(lab: Lab) -> None:
    first = lab.take([("cat/My cat.png", png(1)), ("cat/=2.png", png(20)), ("dog/3.png", png(40))])
    out = taken_out(lab, first.project_id)
    again = taken_out(lab, lab.take(out).project_id, "again.zip")
    with zipfile.ZipFile(out) as one, zipfile.ZipFile(again) as two:
        assert one.namelist() == two.namelist() and one.read("manifest.csv") == two.read("manifest.csv")
        assert b"cat/My cat.png\r\n" in two.read("manifest.csv")


def test_the_name_that_a_file_had_outlasts_a_conflict(lab: Lab) -> None:
    first = lab.take([("cat/IMG_12.png", png(1)), ("dog/3.png", png(40))])
    second = lab.take(taken_out(lab, first.project_id))
    project, key = second.project_id, second.files[0].picture_id or ""
    data = lab.store.pictures.path(key).read_bytes()
    facts = lab.store.facts(key)
    assert facts is not None
    receiving.receive(
        lab.store, project, "b", [Received(File(0, "dog/copy.png", "used", "dog", picture_id=key), facts)]
    )
    album.relabel(lab.store, project, [key], "cat")
    with zipfile.ZipFile(taken_out(lab, project, "third.zip")) as archive:
        assert b"cat/IMG_12.png" in archive.read("manifest.csv")
        assert data in [archive.read(name) for name in archive.namelist()]


def test_what_a_user_changed_is_what_comes_out(lab: Lab) -> None:
    first = lab.take(
        [(f"{label}/{n}.png", png(20 * i + n)) for i, label in enumerate(("cat", "dog")) for n in range(10)]
    )
    ids = [file.picture_id or "" for file in first.files]
    album.relabel(lab.store, first.project_id, ids[:2], "wolf")
    album.exclude(lab.store, first.project_id, ids[2:5])
    second = lab.take(taken_out(lab, first.project_id))
    assert state(lab.store, second.project_id) == state(lab.store, first.project_id)
    assert len(second.used) == 17


def test_every_format_comes_out_byte_for_byte_with_its_own_ending(lab: Lab) -> None:
    formats = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "avif": "AVIF"}
    first = lab.take(
        [
            (f"cat/{s}", encoded(photo() if s == "avif" else noise(30, 20, n), f))
            for n, (s, f) in enumerate(formats.items())
        ]
    )
    with zipfile.ZipFile(taken_out(lab, first.project_id)) as archive:
        assert {name.rsplit(".", 1)[1] for name in archive.namelist()} == {*formats, "csv"}
    assert state(lab.store, lab.take(lab.data / "out.zip").project_id) == state(lab.store, first.project_id)


def test_no_cell_of_the_table_is_a_formula_and_every_folder_can_be_made_on_windows(lab: Lab) -> None:
    members = [(f"{label.replace('/', ' ')}/{i}.png", png(2 * n + i)) for n, label in enumerate(ODD) for i in (0, 1)]
    first = lab.take(members)
    with zipfile.ZipFile(taken_out(lab, first.project_id)) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("manifest.csv").decode(), newline="")))
        names = archive.namelist()
    assert rows[0] == ["path", "label", "split", "group", "source"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    for name in names[:-1]:
        for part in name.split("/"):
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]', part) and part == part.rstrip(". ")
            assert part.split(".")[0].lower() not in {"con", "aux", "nul", "prn"}
    assert len({name.casefold() for name in names}) == len(names)


def test_the_zip_is_never_whole_in_memory(lab: Lab) -> None:
    taken = lab.take([(f"cat/{n}.bmp", encoded(noise(1200, 900, n), "BMP")) for n in range(12)])
    tracemalloc.start()
    n = sum(len(piece) for piece in export_zip.chunks(lab.store, taken.project_id))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n > 36_000_000 and peak < 8_000_000
