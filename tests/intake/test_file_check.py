"""From files to answers: one for each, in order, with its reason."""

import contextlib
import os
import signal
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from core.dataset import Facts, Received
from core.disk.blobs import Shelf
from core.errors import HeadstartError
from core.intake import archive, file_check
from core.intake.folder_labels import read_names
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.language.catalog import say
from core.progress import Cancelled, Silent
from core.sandbox import decoding
from core.sandbox.process import Bounds
from core.worker import take_in
from tests import drawing
from tests.bad_files import CRC, MURDEROUS, encoded, forge, noise, pack, photo, png, webp_of_size
from tests.inputs import Lab
from tests.recorder import Recorder
from tests.workers import no_processes

# -- receiving


def tree(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*")}


def drop_from(shelf: Shelf) -> Callable[[set[str]], None]:
    """As the store does where nobody else takes pictures in."""

    def drop(keys: set[str]) -> None:
        for key in keys:
            shelf.drop(key)

    return drop


def received(path: Path, shelf: Shelf, known: Callable[[str], Facts | None] = lambda key: None) -> list[Received]:
    entries = archive.listing(path)
    places = read_names([entry.name for entry in entries])
    return list(file_check.receive(zip(entries, places, strict=True), shelf, known, Silent(), drop_from(shelf)))


def nested() -> bytes:
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as inner:
        inner.writestr("cat/inner.png", png(99))
    return out.getvalue()


MIXED: list[tuple[str, bytes, str, str]] = [
    ("cat/1.png", png(1), "used", ""),
    ("cat/cut.jpg", encoded(photo(), "JPEG")[:900], "excluded", "picture_cut_off"),
    ("cat/empty.png", b"", "excluded", "file_empty"),
    ("cat/notes.txt", b"hello", "excluded", "file_not_picture"),
    ("cat/inner.zip", nested(), "excluded", "file_archive"),
    ("cat/bomb.webp", webp_of_size(9_000, 9_000), "excluded", "picture_too_large"),
    ("cat/drawing.svg", b"<svg></svg>", "excluded", "file_svg"),
    ("cat/damaged.png", b"the checksum of this member is forged", "excluded", "file_damaged_member"),
    ("../../outside.png", png(2), "excluded", "file_unusable_path"),
    ("stray.png", png(3), "used", ""),
    ("cat/.DS_Store", b"x", "ignored", "file_system"),
    ("dog/frames.gif", encoded(noise(), "GIF", save_all=True, append_images=[photo()]), "used", ""),
    ("dog/really a png.jpg", png(4), "used", ""),
    ("dog/copy of 1.png", png(1), "used", ""),
    ("dog/cut again.jpg", encoded(photo(), "JPEG")[:900], "excluded", "picture_cut_off"),
    ("dog/last.bmp", encoded(noise(20, 10), "BMP"), "used", ""),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("intake")


@pytest.fixture(scope="module")
def answers(root: Path) -> list[Received]:
    """What became of MIXED; the shelf is root/deep/er/shelf."""
    path = root / "mixed.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data, _, _ in MIXED:
            file.writestr(name, data)
    forge(path, CRC, 1, member=7)
    return received(path, Shelf(root / "deep" / "er" / "shelf"))


def test_every_file_gets_one_answer_in_order(answers: list[Received]) -> None:
    assert [(a.file.index, a.file.name) for a in answers] == [(i, name) for i, (name, *_) in enumerate(MIXED)]


@pytest.mark.parametrize("index", range(len(MIXED)), ids=[name for name, *_ in MIXED])
def test_each_file_ends_as_it_should(answers: list[Received], index: int) -> None:
    file = answers[index].file
    assert (file.outcome, file.reason) == MIXED[index][2:]


def test_used_excluded_and_ignored_add_up(answers: list[Received]) -> None:
    assert Counter(a.file.outcome for a in answers) == {"used": 6, "excluded": 9, "ignored": 1}


def test_the_reasons_of_excluded_files_can_be_told_in_a_sentence(answers: list[Received]) -> None:
    sentences = {
        a.file.name: HeadstartError(a.file.reason, **a.file.values).message
        for a in answers
        if a.file.outcome == "excluded"
    }
    assert sentences["cat/bomb.webp"] == say("error.picture_too_large", megapixels=81, limit=50)
    assert sentences["cat/cut.jpg"] == say("error.picture_cut_off")
    assert len(sentences) == 9


def test_used_files_have_facts_a_thumbnail_and_notes(answers: list[Received]) -> None:
    used = [a for a in answers if a.file.outcome == "used"]
    assert [(a.facts.width, a.facts.height) for a in used if a.facts] == [
        (12, 12),
        (12, 12),
        (40, 30),
        (12, 12),
        (12, 12),
        (20, 10),
    ]
    assert [a.file.values["notes"] for a in used] == [(), (), ("first_frame",), (), (), ()]
    assert all(a.thumbnail is not None and a.thumbnail.startswith(b"\xff\xd8") for a in used)
    assert used[0].facts == used[4].facts  # equal bytes in two classes: whoever stores them decides
    assert [a.file.label for a in used] == ["cat", "", "dog", "dog", "dog", "dog"]


def test_the_shelf_keeps_the_bytes_of_used_files_and_no_others(root: Path, answers: list[Received]) -> None:
    kept = {p.name: p.read_bytes() for p in (root / "deep" / "er" / "shelf").rglob("*") if p.is_file()}
    used = {a.file.picture_id: MIXED[a.file.index][1] for a in answers if a.file.outcome == "used"}
    assert kept == used
    assert len(kept) == 5


def test_nothing_is_written_outside_of_the_shelf(root: Path, answers: list[Received]) -> None:
    shelf = "deep/er/shelf"
    assert {name for name in tree(root) if not name.startswith(f"{shelf}/")} == {"mixed.zip", "deep", "deep/er", shelf}


def test_known_pictures_are_not_decoded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("cat/1.png", b"these bytes could not be decoded")
        file.writestr("cat/2.png", b"and neither could these")
    asked: list[str] = []

    def known(key: str) -> Facts | None:
        asked.append(key)
        return Facts(key, 30, 20, "p", ("first_frame",)) if len(asked) == 1 else None

    shelf = Shelf(tmp_path / "shelf")
    one, two = received(path, shelf, known)
    assert (one.file.outcome, one.file.picture_id, one.thumbnail) == ("used", asked[0], None)
    assert one.facts == Facts(asked[0], 30, 20, "p", ("first_frame",))
    assert one.file.values == {"notes": ("first_frame",)}
    assert (two.file.outcome, two.file.reason) == ("excluded", "file_not_picture")
    assert shelf.path(asked[0]).read_bytes() == b"these bytes could not be decoded"
    assert not shelf.path(asked[1]).exists()


def test_bytes_that_any_file_uses_are_not_dropped_for_another_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("cat/1.png", b"fails at first")
        file.writestr("cat/2.png", b"fails at first")
    asked: list[str] = []

    def known(key: str) -> Facts | None:  # as if the first decoding ran out of time and the second did not
        asked.append(key)
        return Facts(key, 30, 20, "p", ()) if len(asked) == 2 else None

    shelf = Shelf(tmp_path / "shelf")
    answers = received(path, shelf, known)
    assert [a.file.outcome for a in answers] == ["excluded", "used"]
    assert shelf.path(asked[0]).exists()


def test_a_picture_that_takes_too_long_is_excluded_and_known_ones_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "DECODING", Bounds(1_536, 10, wall_s=0.001))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("cat/1.png", png(1))
        file.writestr("cat/2.png", b"known")
    shelf = Shelf(tmp_path / "shelf")
    known = {shelf.settle(shelf.stage([b"known"])): Facts("k", 30, 20, "p", ())}
    answers = received(path, shelf, known.get)
    assert [(a.file.outcome, a.file.reason) for a in answers] == [("excluded", "picture_too_costly"), ("used", "")]


def test_a_folder_with_links_and_a_vanishing_file_is_received(tmp_path: Path) -> None:
    data, shelf = tmp_path / "data", Shelf(tmp_path / "shelf")
    for name in ("cat/1.png", "dog/2.png"):
        (data / name).parent.mkdir(parents=True)
        (data / name).write_bytes(png(5))
    (data / "cat" / "link.png").symlink_to(data / "cat" / "1.png")
    (data / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    entries = archive.listing(data)
    (data / "dog" / "2.png").unlink()
    places = read_names([entry.name for entry in entries])
    answers = file_check.receive(zip(entries, places, strict=True), shelf, lambda key: None, Silent(), drop_from(shelf))
    assert [(a.file.name, a.file.outcome, a.file.reason) for a in answers] == [
        ("cat/1.png", "used", ""),
        ("cat/link.png", "excluded", "file_link"),
        ("dog/2.png", "excluded", "file_unreadable"),
        ("elsewhere", "excluded", "file_link"),
    ]


def test_each_answer_is_a_tick_and_a_cancel_leaves_no_bytes_of_excluded_files(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for n in range(4):
            file.writestr(f"cat/{n}.png", b"no picture %d" % n if n < 2 else png(n))
    entries = archive.listing(path)
    pairs = list(zip(entries, read_names([e.name for e in entries]), strict=True))
    shelf, progress = Shelf(tmp_path / "shelf"), Recorder()
    assert len(list(file_check.receive(pairs, shelf, lambda key: None, progress, drop_from(shelf)))) == 4
    assert progress.ticks == {"": 4}

    shelf, cancelled = Shelf(tmp_path / "other"), Recorder(cancel_after=2)
    taken = []
    with pytest.raises(Cancelled):
        for answer in file_check.receive(pairs, shelf, lambda key: None, cancelled, drop_from(shelf)):
            taken.append(answer.file.outcome)
    assert taken == ["excluded", "excluded"]
    assert not [p for p in (tmp_path / "other").rglob("*") if p.is_file() and p.read_bytes().startswith(b"no")]


def killed_now() -> int:
    """Kill every process that decodes for us, as the system does when memory runs out; how many there were."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == os.getpid() and b"core.sandbox.process" in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
                pids.append(int(folder.name))
    return len(pids)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes are found in /proc")
def test_a_good_picture_is_not_left_out_because_its_decoder_was_killed(tmp_path: Path) -> None:
    data = drawing.folders(tmp_path / "data", per_class=110)
    entries = archive.listing(data)
    pairs = list(zip(entries, read_names([entry.name for entry in entries]), strict=True))
    shelf, answers, killed = Shelf(tmp_path / "shelf"), [], []
    for answer in file_check.receive(pairs, shelf, lambda key: None, Silent(), drop_from(shelf)):
        answers.append(answer.file)
        if len(answers) % 40 == 1:  # those that a kill reached have been answered for by the next
            killed.append(killed_now())
    assert len(killed) == 9 and sum(killed) >= 8
    assert Counter((file.outcome, file.reason) for file in answers) == {("used", ""): 330}
    assert len(shelf.keys()) == 330


def test_a_picture_that_kills_its_decoder_twice_is_left_out_and_its_neighbors_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_check, "DECODER", "tests.bad_files:decode_or_misbehave")
    members = [(f"cat/{n}.png", MURDEROUS if n in (2, 3, 9) else png(n)) for n in range(12)]
    answers = received(pack(tmp_path / "a.zip", members), Shelf(tmp_path / "shelf"))
    assert [answer.file.index for answer in answers if answer.file.outcome == "excluded"] == [2, 3, 9]
    assert {answer.file.reason for answer in answers} == {"", "picture_too_costly"}
    assert [answer.file.values for answer in answers if answer.file.reason] == [{}] * 3


def test_an_intake_that_failed_on_a_picture_leaves_the_bytes_to_a_project_that_took_it_in_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path)
    path = lab.zip([("cat/1.png", MURDEROUS), ("cat/2.png", png(2)), ("cat/3.txt", b"no picture")])
    with no_processes():
        job = queue.start(lab.store, lab.store.add_project("b").id, INTAKE, Delivery(str(path), "b"))
    entries = archive.listing(path)
    pairs = list(zip(entries, read_names([entry.name for entry in entries]), strict=True))
    with queue.claim(lab.store, job.id) as ticket:
        monkeypatch.setattr(file_check, "DECODER", "tests.bad_files:decode_or_misbehave")
        receiving = file_check.receive(pairs, lab.store.pictures, lab.store.facts, Silent(), lab.store.discard)
        assert next(receiving).file.reason == "picture_too_costly"
        monkeypatch.setattr(file_check, "DECODER", "core.sandbox.decoding:answer")
        taken = lab.take([("dog/1.png", MURDEROUS)])
        assert taken.used == ["dog/1.png"]
        assert [answer.file.outcome for answer in receiving] == ["used", "excluded"]
        ticket.stop()
    lab.store.sweep()
    kept = {lab.store.pictures.path(key).read_bytes() for key in lab.store.pictures.keys()}
    assert kept == {MURDEROUS, png(2)}


def test_an_intake_that_is_cancelled_leaves_no_bytes_that_no_row_knows(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    path = lab.zip([(f"cat/{n}.png", png(n)) for n in range(90)])
    with no_processes():
        job = queue.start(lab.store, lab.store.add_project("p").id, INTAKE, Delivery(str(path), "b"))
    with queue.claim(lab.store, job.id) as ticket:
        ticket.stage("intake", 90)

        ticks = iter(range(1, 71))  # 64 are recorded, some of the others wait for their turn

        def tick(n: int = 1) -> None:
            if n and next(ticks) == 70:
                raise Cancelled

        entries = archive.listing(path)
        pairs = list(zip(entries, read_names([entry.name for entry in entries]), strict=True))
        ticket.tick = tick  # type: ignore[method-assign]
        with pytest.raises(Cancelled):
            take_in._receive(ticket, "b", pairs)
        ticket.stop()
    lab.store.sweep()
    kept = {row["id"] for row in lab.store.read("SELECT id FROM picture")}
    assert len(kept) == 64 and lab.store.pictures.keys() == kept
