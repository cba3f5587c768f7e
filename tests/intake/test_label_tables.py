"""Tables of classes as they come: CSV, JSON Lines, COCO, and the projects of other programs, taken in for real.

No real file of Teachable Machine, Lobe or Custom Vision could be had: theirs are made as their documentation says.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.intake import label_tables, table_effects
from core.intake.label_tables import TableRow
from core.pictures import album
from core.settings import LIMITS
from tests.bad_files import png
from tests.inputs import Lab, Taken

PICTURES = [(f"images/{n}.png", png(n)) for n in range(4)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def classes(taken: Taken) -> dict[str, tuple[str, str | None]]:
    """Name -> class and part of each used file."""
    return {file.name: (file.label, file.part) for file in taken.files if file.outcome == "used"}


CAT_DOG = {"images/0.png": "cat", "images/1.png": "cat", "images/2.png": "dog", "images/3.png": "dog"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "filename,class\n" + "".join(f"{k},{v}\n" for k, v in CAT_DOG.items())),
        ("labels.csv", "\ufeffFile;Label\r\n" + "".join(f"{k};{v}\r\n" for k, v in CAT_DOG.items())),
        ("labels.tsv", "path\tlabel\n" + "".join(f"{k}\t{v}\n" for k, v in CAT_DOG.items())),
        ("images/labels.csv", "path,label\n" + "".join(f"{k[7:]},{v}\n" for k, v in CAT_DOG.items())),
        ("labels.csv", "image,label\n" + "".join(f"C:\\photos\\{k[7:]},{v}\n" for k, v in CAT_DOG.items())),
        ("labels.csv", "".join(f"{k},{v}\n" for k, v in CAT_DOG.items())),
        ("labels.jsonl", "".join(json.dumps({"path": k, "label": v}) + "\n" for k, v in CAT_DOG.items())),
        ("labels.json", json.dumps([{"image": k, "labels": [v]} for k, v in CAT_DOG.items()])),
        (
            "annotations.json",
            json.dumps({
                "images": [{"id": n, "file_name": k[7:]} for n, k in enumerate(CAT_DOG)],
                "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
                "annotations": [
                    {"id": n, "image_id": n, "category_id": 1 if v == "cat" else 2, "bbox": [0, 0, 5, 5]}
                    for n, v in enumerate([*CAT_DOG.values()])
                ],
            }),
        ),
        (  # GetTaggedImages of Custom Vision 3.3; the pictures are saved under their ids
            "images.json",
            json.dumps([
                {"id": k[7:-4], "width": 12, "height": 12, "originalImageUri": f"https://blob.invalid/{k}?sig=x",
                 "tags": [{"tagId": "9", "tagName": v, "created": "2024-01-01"}], "regions": []}
                for k, v in CAT_DOG.items()
            ]),
        ),
    ],
    ids=["csv", "semicolons", "tabs", "beside the pictures", "foreign paths", "no header", "json lines", "json", "coco",
         "custom vision"],
)  # fmt: skip
def test_a_table_says_which_picture_is_of_which_class(lab: Lab, name: str, text: str) -> None:
    taken = lab.take([*PICTURES, (name, text.encode())])
    assert {file: label for file, (label, _) in classes(taken).items()} == CAT_DOG
    assert [(file.name, file.reason) for file in taken.files if file.outcome == "ignored"] == [(name, "file_manifest")]


@pytest.mark.parametrize(
    ("start", "encoding"), [("", "utf-8"), ("\ufeff", "utf-8"), ("\ufeff", "utf-16-le"), ("\ufeff", "utf-16-be")]
)
def test_a_table_is_read_in_the_encodings_that_spreadsheets_write(start: str, encoding: str) -> None:
    data = f"{start}file\tlabel\r\na.png\tK\u00e4fer\r\nb.png\t\u732b\r\n".encode(encoding)
    rows = label_tables.read("list.csv", data, ["a.png", "b.png"])
    assert [(row.path, row.labels) for row in rows] == [("a.png", ("K\u00e4fer",)), ("b.png", ("\u732b",))]


def test_a_table_that_is_cut_off_within_a_character_is_read_up_to_there() -> None:
    data = "\ufefffile,label\na.png,cat\nb.png,dog".encode("utf-16-le")[:-1]
    assert label_tables.read("list.csv", data, ["a.png", "b.png"])[0].labels == ("cat",)


def test_parts_and_groups_of_a_table_are_kept(lab: Lab) -> None:
    text = "path,label,split,group\n0.png,cat,train,anna\n1.png,cat,validation,bert\n2.png,dog,TEST,anna\n3.png,dog,,\n"
    taken = lab.take([*PICTURES, ("images/x.csv", text.encode())])
    assert [part for _, part in classes(taken).values()] == ["train", "val", "test", None]
    groups = {row["picture_id"]: row["group_key"] for row in lab.store.read("SELECT * FROM dataset")}
    assert [groups[file.picture_id] for file in taken.files[:4] if file.picture_id] == ["anna", "bert", "anna", None]


def test_a_table_beside_loose_files_counts_for_them(lab: Lab) -> None:
    batch = lab.store.home / "inbox" / ("b" * 32)
    batch.mkdir(parents=True)
    files = [("0.png", png(0)), ("1.png", png(1)), ("classes.csv", b"file,label\n0.png,cat\n1.png,dog\n")]
    for number, (name, data) in enumerate(files):
        (batch / str(number)).write_bytes(data)
        (batch / f"{number}.json").write_text(json.dumps({"name": name, "size": len(data)}))
    assert {name: label for name, (label, _) in classes(lab.take(batch)).items()} == {"0.png": "cat", "1.png": "dog"}


def test_a_folder_is_read_by_its_table(lab: Lab) -> None:
    folder = lab.data / "set"
    for name, data in [*PICTURES, ("t.csv", b"file,label\n0.png,cat\n1.png,dog\n")]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    found = {name: label for name, (label, _) in classes(lab.take(folder)).items()}
    assert found == {"images/0.png": "cat", "images/1.png": "dog", "images/2.png": "images", "images/3.png": "images"}


def test_what_a_table_names_and_did_not_come_and_what_has_several_classes_is_answered_for(lab: Lab) -> None:
    rows = [
        {"path": "0.png", "label": "cat"},
        {"path": "gone.png", "label": "cat"},
        {"path": "1.png", "label": ["a", "b"]},
        {"path": "../../etc/passwd", "label": "x"},
        {"path": "2.png", "label": "dog"},
        {"path": "3.png", "label": "dog"},
    ]
    taken = lab.take([*PICTURES, ("t.jsonl", "\n".join(map(json.dumps, rows)).encode())])
    assert {name: reason for name, reason in taken.reasons.items() if reason != "file_manifest"} == {
        "gone.png": "file_missing", "../../etc/passwd": "file_missing", "images/1.png": "file_several_classes",
    }  # fmt: skip
    assert len(taken.used) == 3
    lab.check()


def test_tables_of_several_parts_put_their_files_there(lab: Lab) -> None:
    train, val = b"file,label\n0.png,cat\n2.png,dog\n", b"file,label\n1.png,cat\n3.png,dog\n"
    taken = lab.take([*PICTURES, ("train.csv", train), ("val.csv", val)])
    assert [part for _, part in classes(taken).values()] == ["train", "val", "train", "val"]


@pytest.mark.parametrize(
    ("files", "path", "found"),
    [
        (["dogs/1.jpg"], "cats/1.jpg", None),
        (["dogs/1.jpg"], "1.jpg", "dogs/1.jpg"),
        (["dogs/1.jpg"], "1", "dogs/1.jpg"),
        (["dogs/1.jpg"], "dogs/1", "dogs/1.jpg"),
        (["dogs/1.jpg"], "cats/1", None),
        (["set/dogs/1.jpg"], "dogs/1.jpg", "set/dogs/1.jpg"),
        (["dogs/1.jpg"], "set/train/dogs/1.jpg", "dogs/1.jpg"),
        (["dogs/1.jpg"], "hotdogs/1.jpg", None),
        (["1.jpg", "dogs/1.jpg"], "set/dogs/1.jpg", "dogs/1.jpg"),
        (["dogs/1.jpg", "cats/1.jpg"], "1.jpg", None),
        (["dogs/1.jpg"], "C:\\set\\dogs\\1.jpg", "dogs/1.jpg"),
        (["dogs/1.jpg"], "/set/cats/1.jpg", None),
    ],
)
def test_a_row_means_a_file_only_where_their_folders_agree(files: list[str], path: str, found: str | None) -> None:
    assert label_tables.Index(files).matcher(".")(path) == found


def test_of_foreign_paths_only_the_folder_they_share_is_passed_over() -> None:
    rows = [TableRow(f"C:\\photos\\{name}", ("x",)) for name in ("dogs\\1.jpg", "cats\\1.jpg", "cats\\2.jpg")]
    find = label_tables.Index(["dogs/1.jpg", "all/cats/2.jpg"]).matcher(".", rows)
    assert [find(row.path) for row in rows] == ["dogs/1.jpg", None, "all/cats/2.jpg"]
    flat = [TableRow(f"/photos/{n}.jpg", ("x",)) for n in range(2)]
    assert label_tables.Index(["images/0.jpg"]).matcher(".", flat)("/photos/0.jpg") == "images/0.jpg"


def test_a_row_whose_file_did_not_come_leaves_other_files_alone(lab: Lab) -> None:
    members = [(f"dogs/{n}.png", png(n)) for n in range(3)]
    taken = lab.take([*members, ("t.csv", b"path,label\ncats/0.png,cat\ndogs/1.png,dog\n")])
    assert {name: label for name, (label, _) in classes(taken).items()} == {f"dogs/{n}.png": "dogs" for n in (0, 2)} | {
        "dogs/1.png": "dog"
    }
    assert taken.reasons["cats/0.png"] == "file_missing"


def test_a_file_that_rows_put_into_different_classes_is_left_out(lab: Lab) -> None:
    one = b"path,label\n0.png,cat\n1.png,cat\n./1.png,dog\n2.png,dog\n"
    two = b"path,label\n0.png,CAT\n2.png,bird\nimages/2.png,dog\n3.png,dog\n"
    taken = lab.take([*PICTURES, ("a.csv", one), ("b.csv", two)])
    assert {name: label for name, (label, _) in classes(taken).items()} == {
        "images/0.png": "cat",
        "images/3.png": "dog",
    }
    assert {name: reason for name, reason in taken.reasons.items() if reason != "file_manifest"} == {
        "images/1.png": "file_several_classes", "images/2.png": "file_several_classes",
    }  # fmt: skip
    values = {file.name: file.values for file in taken.files}
    assert values["images/1.png"] == {"table": "a.csv", "labels": "cat, dog"}
    assert values["images/2.png"] == {"table": "a.csv, b.csv", "labels": "dog, bird"}


ODD = [
    {"images": [1], "annotations": []},
    {"images": [{"id": [1], "file_name": "0.png"}], "annotations": [1, {"image_id": [1], "category_id": {}}]},
    {"images": [{"id": 1, "file_name": ["0.png"]}], "categories": None, "annotations": [{"image_id": 1}]},
    {"images": [{"id": 1, "file_name": "0.png"}], "categories": [{"id": {}, "name": []}, 5],
     "annotations": [{"image_id": {}, "category_id": []}]},
    [{"path": ["0.png"], "label": {"name": ["x"]}}, {"id": 5, "tags": [None, [[]], {}]}],
    {"className": [], "label": {}, "samples": [[{"name": 5}], None, 1.5]},
]  # fmt: skip


@pytest.mark.parametrize("found", ODD)
def test_json_that_is_not_as_it_should_be_says_nothing(found: object) -> None:
    assert label_tables.read("t.json", json.dumps(found).encode(), ["images/0.png"]) == []
    assert label_tables.read("t.jsonl", json.dumps(found).encode(), ["images/0.png"]) == []


def test_half_a_character_in_a_table_is_kept_as_a_question_mark(lab: Lab) -> None:
    rows = [
        {"path": "0.png", "label": "c\ud800at", "group": "g\udfff"},
        {"path": "gone\ud800.png", "label": "cat"},
        {"path": "1.png", "label": ["a\ud800", "b"]},
        {"path": "2.png", "label": "dog", "split": "\ud800"},
    ]
    taken = lab.take([*PICTURES, ("t.json", json.dumps(rows).encode())])
    assert taken.error is None
    assert {name: label for name, (label, _) in classes(taken).items()} == {
        "images/0.png": "c?at", "images/2.png": "dog", "images/3.png": "images",
    }  # fmt: skip
    assert taken.reasons["gone?.png"] == "file_missing"
    assert taken.reasons["images/1.png"] == "file_several_classes"
    lab.check()


def test_a_table_among_a_note_for_each_picture_is_read(lab: Lab) -> None:
    notes = [(f"images/{n}.json", b'{"camera": "left"}') for n in range(51)]
    taken = lab.take([*PICTURES, *notes, ("labels.csv", b"file,label\n0.png,cat\n1.png,dog\n")])
    assert {name: label for name, (label, _) in classes(taken).items()}["images/1.png"] == "dog"


def test_files_that_are_only_named_count_as_files(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_effects, "LIMITS", replace(LIMITS, archive_files=10))
    names = [*(f"{n}.png" for n in range(4)), *(f"gone/{n}.png" for n in range(6)), "https://good.test/7.png"]
    text = "path,label\n" + "".join(f"{name},cat\n" for name in names)
    taken = lab.take([*PICTURES, ("t.csv", text.encode())])
    assert taken.error is not None and taken.error.code == "too_many_files"
    assert taken.error.values == {"n": 12, "limit": 10}
    fitting = lab.take([*PICTURES, ("t.csv", "".join(text.splitlines(True)[:-2]).encode())])
    assert fitting.error is None and len(fitting.files) == 10


@pytest.mark.parametrize(
    "text", [b"", b"\x00\xff\xfe", b"a,b\n1,2\n", b"{", b"[[[[", b'"', b"[1, 2]", b"path\n0.png\n", b"[" * 100_000]
)
@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl"])
def test_what_is_no_such_table_changes_nothing(text: bytes, name: str) -> None:
    assert label_tables.read(name, text, ["images/0.png"]) == []


def test_cells_like_formulas_are_written_inert_and_read_as_they_were() -> None:
    odd = ["=1", "+1", "-1", "@a", "\tx", "\rx", "'=1", "''", "'a", "a", 'q"q', "a,b", "two\nlines"]
    data = b"".join(label_tables.write([(f"{n}.png", label, "", label, "") for n, label in enumerate(odd)]))
    assert label_tables.read("m.csv", data, []) == [
        TableRow(f"{n}.png", (label,), "", label) for n, label in enumerate(odd)
    ]


class Counted(str):
    """A text that counts how often it is looked at."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return str.__eq__(self, other)

    def __lt__(self, other: str) -> bool:
        Counted.looks += 1
        return str.__lt__(self, other)

    def startswith(self, *of: object) -> bool:  # type: ignore[override]
        Counted.looks += 1
        return str.startswith(self, *of)  # type: ignore[arg-type]

    __hash__ = str.__hash__


def test_a_row_is_compared_with_a_few_files_and_not_with_all() -> None:
    files = [f"scan{n}/image.png" for n in range(6_000)]
    rows = [TableRow(f"set/scan{n}/image.png", ("x",)) for n in range(6_000)]
    index = label_tables.Index(files)
    index._backwards = [Counted(text) for text in index._backwards]
    find = index.matcher(".", rows)
    assert [find(row.path) for row in rows] == files
    assert {find(f"gone{n}/image.png") for n in range(6_000)} == {None}
    assert [find(f"n{n}/image") for n in range(3)] == [None] * 3 and find("image.png") is None
    assert 0 < Counted.looks < 12_010 * 20  # 14 steps of a search among 12,000 paths, and two neighbors


@pytest.mark.slow
def test_a_hundred_thousand_rows_find_their_files_of_one_name_in_bounded_time() -> None:
    script = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from core.intake import label_tables
files = [f"scan{n}/image.png" for n in range(100_000)]
text = "path,label\\n" + "".join(f"/data/set/scan{n}/image.png,c{n % 7}\\n" for n in reversed(range(100_000)))
rows = label_tables.read("t.csv", text.encode(), files)
find = label_tables.Index(files).matcher(".", rows)
assert [find(row.path) for row in rows] == files[::-1]
print(len(rows))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "100000\n"


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("t.json", b"[" + b"[]," * 2_000_000 + b"[]]", "table_too_full"),
        ("t.csv", b"a," * 4_000_001, "table_too_full"),
        ("t.jsonl", b"1\n" * 4_000_001, "table_too_full"),
        ("t.csv", b"path,label\n" + b"".join(b"%d,c\n" % n for n in range(101_001)), "table_too_long"),
        ("t.jsonl", b"".join(b'{"path": "%d", "label": "c"}\n' % n for n in range(101_001)), "table_too_long"),
    ],
    ids=["json", "csv", "lines", "rows of csv", "rows of lines"],
)
def test_a_table_that_would_take_all_memory_is_refused_with_a_sentence(name: str, text: bytes, code: str) -> None:
    with pytest.raises(HeadstartError) as caught:
        label_tables.read(name, text, ["images/0.png"])
    assert caught.value.code == code and caught.value.hint
    assert any(limit in caught.value.message for limit in ("limit is 4 million", "limit of 101000"))


def test_a_table_beyond_the_limits_is_answered_for_and_the_folders_count(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = b"path,label\n0.png,cat\n"
    monkeypatch.setattr(label_tables, "BYTES", len(small) + 30)
    taken = lab.take([*PICTURES, ("images/a.csv", small), ("images/b.csv", small + bytes(100))])
    assert taken.error is None and taken.reasons["images/b.csv"] == "table_too_large"
    assert {name: label for name, (label, _) in classes(taken).items()} == {
        "images/0.png": "cat", "images/1.png": "images", "images/2.png": "images", "images/3.png": "images",
    }  # fmt: skip
    lab.check()


def test_an_address_without_a_class_is_not_taken_in(lab: Lab) -> None:
    text = b"path,label\n0.png,cat\nhttps://good.test/7.png,\ngone.png,\n"
    taken = lab.take([*PICTURES, ("images/t.csv", text)])
    assert taken.reasons["https://good.test/7.png"] == "file_no_class" and taken.reasons["gone.png"] == "file_missing"
    assert len(taken.used) == 4 and "" not in lab.labels(taken)


def test_what_a_table_says_of_one_file_is_bounded() -> None:
    text = "path,label,group\n" + "".join(f"0.png,{n}{'x' * 5_000},{'g' * 5_000}\n" for n in range(2_000))
    (row,) = label_tables.read("t.csv", text.encode(), ["0.png"])
    assert len(row.labels) == 6 and {len(label) for label in row.labels} == {1_000} and len(row.group) == 1_000
    assert len(label_tables.both(row, replace(row, labels=tuple("abcdef"))).labels) == 6


# -- projects of other programs


@pytest.mark.parametrize("way", ["tree", "marks"])
def test_a_teachable_machine_project_is_read(lab: Lab, way: str) -> None:
    """A .tm file is a ZIP with the samples and a manifest.json that has the labels
    (github.com/googlecreativelab/teachablemachine-community/issues/38)."""
    if way == "tree":
        members = [(f"samples/{n}.png", png(n)) for n in range(4)]
        said = {"type": "image", "classes": [
            {"name": "cat", "samples": ["samples/0.png", "samples/1.png"]},
            {"name": "dog", "samples": [{"file": "2.png"}, "3.png"]},
        ]}  # fmt: skip
    else:
        members = [(f"{'cat' if n < 2 else 'dog'}-!-{n}.png", png(n)) for n in range(4)]
        said = {"type": "image", "version": "2.4.4", "appdata": {"trainEpochs": 50}}
    path = lab.zip([*members, ("manifest.json", json.dumps(said).encode())], "project.tm")
    assert [label for label, _ in classes(lab.take(path)).values()] == ["cat", "cat", "dog", "dog"]


def test_lobe_and_yolo_sets_are_class_folders(lab: Lab) -> None:
    """https://docs.ultralytics.com/datasets/classify/; Lobe gives a folder for each label."""
    yolo = lab.take([(f"set/{part}/{label}/{label}{i}.png", png(n)) for n, (part, label, i) in enumerate(
        (part, label, i) for part in ("train", "val", "test") for label in ("cat", "dog") for i in range(2)
    )])  # fmt: skip
    assert {value for value in classes(yolo).values()} == {
        (c, p) for c in ("cat", "dog") for p in ("train", "val", "test")
    }
    lobe = lab.take([(f"My Lobe/{label}/{i}.png", png(20 + n)) for n, (label, i) in enumerate(
        (label, i) for label in ("Thumbs up", "Thumbs down") for i in range(2)
    )])  # fmt: skip
    assert lab.labels(lobe) == ["Thumbs down", "Thumbs up"]


def test_adding_to_a_project_leaves_what_was_there(lab: Lab) -> None:
    first = lab.take(
        [(f"{label}/{i}.png", png(10 * n + i)) for n, label in enumerate(("cat", "dog")) for i in range(8)]
    )
    before = {picture.id: (picture.label, picture.part) for picture in lab.store.dataset(first.project_id).pictures}
    rows = b"path,label,split\na.png,Cat,test\nb.png,bird,train\nagain.png,dog,train\n"
    lab.take([("a.png", png(90)), ("b.png", png(91)), ("again.png", png(10)), ("m.csv", rows)], first.project_id)
    after = {picture.id: (picture.label, picture.part) for picture in lab.store.dataset(first.project_id).pictures}
    assert len(before) == 16 and len(after) == 18
    assert {key: label for key, (label, _) in after.items() if key in before} == {
        k: label for k, (label, _) in before.items()
    }
    assert lab.labels(first) == ["bird", "cat", "dog"]


def test_the_group_of_a_table_outlasts_a_conflict_and_reaches_a_copy_that_came_before(lab: Lab) -> None:
    taken = lab.take([("cat/0.png", png(0)), ("dog/1.png", png(1)), ("dog/2.png", png(2))])
    text = "path,label,group\n0.png,dog,anna\n1.png,dog,anna\n3.png,cat,bert\n4.png,dog,bert\n"
    more = [(f"images/{n}.png", png(n)) for n in (0, 1, 3)] + [("images/4.png", png(3))]
    lab.take([*more, ("images/t.csv", text.encode())], taken.project_id)
    rows = lab.store.read("SELECT group_key, group_source, excluded FROM dataset ORDER BY group_key, excluded")
    assert [tuple(row) for row in rows] == [
        (None, None, 0), ("anna", "manifest", 0), ("anna", "manifest", 0), ("bert", "manifest", 1)
    ]  # fmt: skip
    conflicted = [file.picture_id or "" for file in taken.files if file.name == "cat/0.png"]
    album.relabel(lab.store, taken.project_id, conflicted, "dog")
    anna = [p.part for p in lab.store.dataset(taken.project_id).pictures if p.group == "anna"]
    assert len(anna) == 2 and len(set(anna)) == 1
