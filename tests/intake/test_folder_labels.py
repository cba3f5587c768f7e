"""From names to classes and parts."""

import hashlib
import unicodedata

import pytest

from core.errors import HeadstartError
from core.intake.folder_labels import class_name, merged, read_names, tree
from core.language.catalog import say
from core.settings import LIMITS

CAFE = "caf\u00e9"  # composed; the other form is written with a combining accent


def labels(*names: str) -> list[str]:
    """The class of each name, or the reason it cannot be used; nothing where whoever brought it is asked."""
    return [place.label or place.reason for place in read_names(names)]


def parts(*names: str) -> list[tuple[str, str | None]]:
    return [(place.label, place.part) for place in read_names(names)]


# -- layouts


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["cat/1.jpg", "dog/2.jpg"], ["cat", "dog"], id="class folders"),
        pytest.param(["pets/cat/1.jpg", "pets/dog/2.jpg"], ["cat", "dog"], id="one top folder"),
        pytest.param(["a/b/c/cat/1.jpg", "a/b/c/dog/2.jpg"], ["cat", "dog"], id="several top folders"),
        pytest.param(["./cat/1.jpg", "./dog/2.jpg"], ["cat", "dog"], id="dot folder"),
        pytest.param(["cat\\1.jpg", "dog\\2.jpg"], ["cat", "dog"], id="backslashes"),
        pytest.param(["cat/old/1.jpg", "cat/2.jpg", "dog/3.jpg"], ["cat", "cat", "dog"], id="folders in a class"),
        pytest.param(["cat/a/b/c/1.jpg", "dog/d/e/2.jpg"], ["cat", "dog"], id="deep folders in classes"),
        pytest.param(["cat/1.jpg", "cat/2.jpg"], ["cat", "cat"], id="one class"),
        pytest.param(["cat/1.jpg"], ["cat"], id="one file"),
        pytest.param(["x/y/cat/1.jpg"], ["cat"], id="one deep file"),
        pytest.param(["1.jpg", "cat/2.jpg"], ["", "cat"], id="a file outside of the classes"),
        pytest.param(["1.jpg", "2.jpg"], [""] * 2, id="no folders"),
        pytest.param(
            ["flowers/LICENSE.txt", "flowers/rose/1.jpg", "flowers/tulip/2.JPG"],
            ["file_not_picture", "rose", "tulip"],
            id="a license beside the classes",
        ),
        pytest.param(
            ["readme", "flowers/rose/1.jpg", "flowers/tulip/2.jpg"],
            ["file_not_picture", "rose", "tulip"],
            id="a readme beside the top folder",
        ),
        pytest.param(
            ["__MACOSX/pets/cat/._1.jpg", "pets/cat/1.jpg", "pets/dog/2.jpg", "pets/.DS_Store"],
            ["file_system", "cat", "dog", "file_system"],
            id="a ZIP of a Mac",
        ),
    ],
)
def test_a_layout_gives_these_classes(names: list[str], expected: list[str]) -> None:
    assert labels(*names) == expected


@pytest.mark.parametrize("top", ["", "pets/", "a/b/"], ids=["at the top", "below one folder", "below two"])
def test_train_val_and_test_folders_are_parts(top: str) -> None:
    names = [f"{top}{part}/{label}/1.jpg" for part in ("train", "val", "test") for label in ("cat", "dog")]
    assert parts(*names) == [(label, part) for part in ("train", "val", "test") for label in ("cat", "dog")]


@pytest.mark.parametrize(
    ("folder", "part"),
    [("Training", "train"), ("VALID", "val"), ("validation", "val"), ("Testing", "test"), ("TRAIN", "train")],
)
def test_parts_have_several_spellings(folder: str, part: str) -> None:
    assert parts("train/cat/1.jpg", f"{folder}/cat/2.jpg")[1] == ("cat", part)


def test_one_part_folder_alone_is_a_part() -> None:
    assert parts("train/cat/1.jpg", "train/dog/2.jpg") == [("cat", "train"), ("dog", "train")]


def test_unlabeled_pictures_of_a_part_have_no_class() -> None:
    assert labels("train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg") == ["cat", "dog", ""]


def test_a_table_beside_the_parts_changes_nothing() -> None:
    names = ["data/labels.csv", "data/train/labels.csv", "data/train/cat/1.jpg", "data/test/cat/2.jpg", "docs/a/x.txt"]
    places = read_names(names)
    assert [p.label or p.reason for p in places[:4]] == ["file_not_picture", "file_not_picture", "cat", "cat"]
    assert [p.part for p in places[2:4]] == ["train", "test"]


def test_part_names_among_other_folders_are_classes() -> None:
    assert parts("test/1.jpg", "engine/2.jpg") == [("test", None), ("engine", None)]
    assert parts("train/1.jpg", "test/2.jpg") == [("train", None), ("test", None)]


def test_a_part_name_inside_a_class_is_only_a_folder() -> None:
    assert parts("cat/train/1.jpg", "dog/test/2.jpg") == [("cat", None), ("dog", None)]


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "cat/.DS_Store",
        "cat/Thumbs.db",
        "cat/DESKTOP.INI",
        "__MACOSX/cat/._1.jpg",
        ".git/x.png",
        "cat/.a/1",
    ],
)
def test_files_of_the_system_are_ignored(name: str) -> None:
    ignored, used = read_names([name, "cat/1.jpg"])
    assert (ignored.outcome, ignored.reason, ignored.label) == ("ignored", "file_system", "")
    assert (used.outcome, used.label) == ("used", "cat")


@pytest.mark.parametrize(
    "name",
    [
        "../../x.png",
        "cat/../../x.png",
        "/abs/x.png",
        "C:\\x\\y.png",
        "c:/x/y.png",
        "..\\x.png",
        "//srv/x.png",
        "\\\\s\\x",
    ],
)
def test_a_name_that_leaves_its_folder_is_excluded(name: str) -> None:
    bad, used = read_names([name, "cat/1.jpg"])
    assert (bad.outcome, bad.reason, bad.label) == ("excluded", "file_unusable_path", "")
    assert used.label == "cat"


@pytest.mark.parametrize("name", ["CON/1.jpg", "aux./1.jpg", "a:b/1.jpg", "nul/2.jpg", "con.txt/1.jpg"])
def test_names_that_only_windows_reserves_are_classes(name: str) -> None:
    assert labels(name, "other/1.jpg")[0] == name.split("/")[0]


def test_there_is_a_place_for_every_name() -> None:
    names = ["", "/", ".", "..", "a/", "a//b.jpg", "a/b.jpg", " /c.jpg", "\u200b/d.jpg"]
    places = read_names(names)
    assert len(places) == len(names)
    assert [p.label for p in places if p.label] == ["a", "a"]
    assert [n for n, p in zip(names, places, strict=True) if not p.label and not p.reason] == [
        " /c.jpg",
        "\u200b/d.jpg",
    ]


def test_no_names_have_no_places() -> None:
    assert read_names([]) == []


# -- class names


def test_two_unicode_forms_of_a_name_are_one_class() -> None:
    other = unicodedata.normalize("NFD", CAFE)
    assert other != CAFE
    assert labels(f"{CAFE}/1.jpg", f"{other}/2.jpg", "tea/3.jpg") == [CAFE, CAFE, "tea"]


def test_names_that_differ_in_case_are_one_class_in_the_usual_spelling() -> None:
    assert labels("cat/1.jpg", "Cat/2.jpg", "Cat/3.jpg", "dog/4.jpg") == ["Cat", "Cat", "Cat", "dog"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cat", "cat"),
        ("  black \t\n cat ", "black cat"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\u202eevil\u202c", "evil"),
        ("\u2067a\u2069b\u200f\u200e", "ab"),
        ("a\0b\x07c\x1b[31m", "abc[31m"),
        ("\u200bzero\ufeff", "zero"),
        ("\udce9", ""),
        (" \t ", ""),
        ("e\u0301", "\u00e9"),
        ("\U0001f600 smile", "\U0001f600 smile"),
        ("x" * 80, "x" * 80),
        ("x" * 500, "x" * 70 + "\u2026 " + hashlib.sha256(b"x" * 500).hexdigest()[:8]),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian: without the joiner another word
        ("ca\u200dt", "cat"),
        ("\u0628\u200c", "\u0628"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("![x](http://127.0.0.1:9/p.png)", "![x](http://127.0.0.1:9/p.png)"),
        ("</script><script>alert(1)</script>", "</script><script>alert(1)</script>"),
        ("=cmd|'/C calc'!A0", "=cmd|'/C calc'!A0"),
        ("$x$ :home: **b**", "$x$ :home: **b**"),
        ("{label}", "{label}"),
    ],
)
def test_a_class_name_is_kept_as_visible_text(text: str, name: str) -> None:
    assert class_name(text) == name


def test_a_name_with_nothing_visible_is_no_class() -> None:
    assert labels("\u200b\u202e/1.jpg", "cat/2.jpg") == ["", "cat"]


def test_a_thousand_classes_are_read_and_one_more_is_refused() -> None:
    names = [f"class {n}/{i}.jpg" for n in range(1_001) for i in range(2)]
    assert len({place.label for place in read_names(names[:2_000])}) == 1_000
    with pytest.raises(HeadstartError) as caught:
        read_names(names)
    assert caught.value.message == say("error.too_many_classes", n=1001, limit=1000)


def test_the_limit_of_a_class_name_is_the_one_in_the_settings() -> None:
    assert len(class_name("y" * 1_000)) == LIMITS.class_name == 80


def test_files_in_no_folder_get_the_class_that_was_named_for_them() -> None:
    places = read_names(["1.jpg", "dog/2.jpg"], loose="  cat ")
    assert [place.label for place in places] == ["cat", "dog"]


def test_a_class_that_exists_keeps_its_spelling() -> None:
    places = read_names(["CAT/1.jpg", "CAT/2.jpg", "Dog/3.jpg"], existing=["cat"])
    assert [place.label for place in places] == ["cat", "cat", "Dog"]


def test_the_spellings_of_a_merged_class_are_told() -> None:
    places = read_names(["cat/1.jpg", "Cat/2.jpg", "Cat/3.jpg", "dog/4.jpg"])
    assert merged(places) == {"Cat": ["Cat", "cat"]}


def test_the_innermost_folder_can_be_the_class_instead() -> None:
    names = ["zoo/mammals/cat/1.jpg", "zoo/birds/robin/2.jpg", "zoo/birds/3.jpg"]
    assert [place.label for place in read_names(names)] == ["mammals", "birds", "birds"]
    assert [place.label for place in read_names(names, way="inner")] == ["cat", "robin", "birds"]


@pytest.mark.parametrize("stray", ["insects/stray.jpg", "stray.jpg", "insects/all/stray.jpg"])
def test_a_file_beside_the_class_folders_makes_no_class_of_all_that_holds_them(stray: str) -> None:
    top = "insects/all/" if "all" in stray else "insects/"
    names = [f"{top}{label}/{n}.jpg" for label in ("ants", "bees") for n in (1, 2)]
    assert labels(*names, stray) == ["ants", "ants", "bees", "bees", ""]
    outer = read_names([*names, stray], way="outer")
    assert {place.label for place in outer[:4]} == {"all" if "all" in stray else "insects"}
    parted = [f"insects/{part}/{label}/1.jpg" for part in ("train", "test") for label in ("ants", "bees")]
    assert parts(*parted, "insects/stray.jpg")[2:] == [("ants", "test"), ("bees", "test"), ("", None)]


def test_where_most_files_lie_beside_the_folders_these_are_one_class() -> None:
    names = ["cat/1.jpg", "cat/2.jpg", "cat/old/3.jpg", "cat/new/4.jpg"]
    assert set(labels(*names)) == {"cat"}
    assert labels("1.jpg", "2.jpg", "cat/3.jpg") == ["", "", "cat"]


def test_the_innermost_folder_below_a_part_is_still_below_that_part() -> None:
    names = ["train/mammals/cat/1.jpg", "test/birds/robin/2.jpg"]
    assert [(place.label, place.part) for place in read_names(names, way="inner")] == [
        ("cat", "train"),
        ("robin", "test"),
    ]


def test_the_tree_names_each_folder_that_holds_files() -> None:
    names = ["zoo/mammals/cat/1.jpg", "zoo/mammals/cat/2.jpg", "zoo/birds/3.jpg", "zoo/.DS_Store", "__MACOSX/x"]
    assert tree(names) == {"zoo/birds": 1, "zoo/mammals/cat": 2}


def test_the_classes_that_are_there_count_towards_the_limit() -> None:
    existing = [f"class {n}" for n in range(999)]
    names = ["Class 3/1.png", "new/2.png"]
    assert [place.label for place in read_names(names, existing=existing)] == ["class 3", "new"]
    with pytest.raises(HeadstartError, match="1001 classes"):
        read_names([*names, "newer/3.png"], existing=existing)
