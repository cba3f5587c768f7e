import pytest

from core.pictures.same_picture import Decision, decide, distinct

USED, UNKNOWN, COPY = ("used", ""), ("excluded", "class_unknown"), ("excluded", "duplicate")
CONFLICT, OTHER = ("excluded", "label_conflict"), ("excluded", "label_other")

# What the files say, whether they came together, which one is kept; then the class, whether it is used, and each file.
TABLE = [
    ([""], True, 0, "", False, [UNKNOWN]),
    (["cat"], True, 0, "cat", True, [USED]),
    (["", ""], True, 0, "", False, [UNKNOWN, COPY]),
    (["cat", "cat"], True, 0, "cat", True, [USED, COPY]),
    (["cat", "CAT"], False, 0, "cat", True, [USED, COPY]),
    (["cat", "cat"], True, 1, "cat", True, [COPY, USED]),
    (["cat", "cat"], True, -1, "cat", True, [COPY, COPY]),  # one that is not asked about is used
    (["", "cat"], True, 1, "cat", True, [COPY, USED]),
    (["", "cat"], False, 1, "cat", True, [COPY, USED]),
    (["cat", ""], True, 0, "cat", True, [USED, COPY]),
    (["cat", "dog"], True, 0, "cat", False, [CONFLICT, CONFLICT]),
    (["cat", "dog"], False, 0, "cat", True, [USED, OTHER]),
    (["cat", "dog", "cat"], True, 0, "cat", False, [CONFLICT, CONFLICT, CONFLICT]),
    (["cat", "dog", "cat"], False, 0, "cat", True, [USED, OTHER, COPY]),
    (["cat", "dog", ""], True, 0, "cat", False, [CONFLICT, CONFLICT, COPY]),
    (["", "cat", "dog"], True, 0, "cat", False, [UNKNOWN, CONFLICT, CONFLICT]),
    (["cat", "dog", "bird"], False, 0, "cat", True, [USED, OTHER, OTHER]),
]


@pytest.mark.parametrize(("said", "together", "kept", "label", "used", "files"), TABLE)
def test_what_files_of_one_picture_say_decides_its_class_and_what_becomes_of_each(
    said: list[str], together: bool, kept: int, label: str, used: bool, files: list[tuple[str, str]]
) -> None:
    assert decide(said, together, kept) == Decision(label, used, tuple(files))


def test_classes_are_told_once_in_the_spelling_and_the_order_in_which_they_came_first() -> None:
    assert distinct(["cat", "", "Dog", "CAT", "dog", "bird", "cat"]) == ["cat", "Dog", "bird"]
