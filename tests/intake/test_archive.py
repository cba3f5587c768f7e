"""Archives and folders: what is listed, and what is refused before a byte of it is unpacked."""

import os
import stat
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.intake import archive
from core.intake.archive import Entry
from core.language.catalog import say
from core.settings import LIMITS
from tests import bad_files, cpu
from tests.bad_files import CRC, FLAGS, METHOD, PACKED, UNPACKED, forge, pack

THREE = [("cat/1.png", b"one" * 100), ("cat/2.png", b"two" * 100), ("dog/3.png", b"three" * 100)]


def read(entry: Entry) -> bytes:
    return b"".join(entry.chunks())


def refused(path: Path) -> HeadstartError:
    """The error of a listing, whose sentences can be written."""
    with pytest.raises(HeadstartError) as caught:
        archive.listing(path)
    assert str(path.parent) not in str(caught.value)
    return caught.value


def refuses_within(loops: float, path: Path) -> None:
    with cpu.at_most(loops), pytest.raises(HeadstartError):
        archive.listing(path)


# -- honest archives


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_lists_its_files_in_order_with_their_bytes(tmp_path: Path, method: int) -> None:
    entries = archive.listing(pack(tmp_path / "a.zip", THREE, method))
    assert [(e.index, e.name, e.size, e.reason) for e in entries] == [
        (0, "cat/1.png", 300, ""),
        (1, "cat/2.png", 300, ""),
        (2, "dog/3.png", 500, ""),
    ]
    assert [read(e) for e in entries] == [data for _, data in THREE]


def test_an_entry_can_be_read_twice_and_in_any_order(tmp_path: Path) -> None:
    entries = archive.listing(pack(tmp_path / "a.zip", THREE))
    assert [read(entries[i]) for i in (2, 0, 2)] == [THREE[2][1], THREE[0][1], THREE[2][1]]


def test_a_large_member_arrives_in_pieces(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (entry,) = archive.listing(pack(tmp_path / "a.zip", [("c/x.png", data)]))
    pieces = list(entry.chunks())
    assert max(map(len, pieces)) <= 1 << 20
    assert b"".join(pieces) == data


def test_folders_inside_a_zip_are_no_files(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("cat/", b""), ("dog\\", b""), ("cat/1.png", b"x")])
    assert [e.name for e in archive.listing(path)] == ["cat/1.png"]


def test_two_members_of_one_name_are_two_files(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = pack(tmp_path / "a.zip", [("c/x.png", b"first"), ("c/x.png", b"second")])
    assert [(e.name, read(e)) for e in archive.listing(path)] == [("c/x.png", b"first"), ("c/x.png", b"second")]


def test_names_with_backslashes_get_slashes(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("cat\\sub\\1.png", b"x")])
    assert archive.listing(path)[0].name == "cat/sub/1.png"


@pytest.mark.parametrize("name", ["../../x.png", "/abs/x.png", "C:/x.png", "//srv/x.png", "a/../../x.png"])
def test_a_name_that_leaves_its_folder_is_only_text(tmp_path: Path, name: str) -> None:
    (entry,) = archive.listing(pack(tmp_path / "a.zip", [(name, b"x")]))
    assert (entry.name, read(entry)) == (name, b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("stub", [bad_files.png(), b"MZ" + bytes(5000), b"GIF89a<script>"])
def test_a_zip_behind_other_bytes_is_read_as_a_zip(tmp_path: Path, stub: bytes) -> None:
    path = pack(tmp_path / "a.zip", THREE)
    path.write_bytes(stub + path.read_bytes())
    assert [read(e) for e in archive.listing(path)] == [data for _, data in THREE]


def test_a_zip_with_a_long_comment_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", THREE)
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"c" * 65_535
    assert len(archive.listing(path)) == 3


def test_a_zip_with_an_unnamed_member_is_read(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("x", b"1"), ("c/2.png", b"2")])
    path.write_bytes(path.read_bytes().replace(b"x", b"\0"))  # `zipfile` cuts a name at a zero byte
    assert [(e.name, read(e)) for e in archive.listing(path)] == [("", b"1"), ("c/2.png", b"2")]


def test_a_hundred_thousand_files_are_listed(tmp_path: Path) -> None:
    path = bad_files.many(tmp_path / "a.zip", 100_000)
    with cpu.at_most(200):
        entries = archive.listing(path)
    assert (len(entries), entries[-1].name, read(entries[-1])) == (100_000, "c/099999.png", b"x")


# -- archives that cost too much


def test_a_ratio_bomb_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("c/x.bmp", bytes(200 << 20))])
    error = refused(path)
    assert (error.code, error.values["mb"], error.values["limit"]) == ("zip_ratio", 200, 200)
    assert 1000 < error.values["ratio"] < 1032
    assert "c/x.bmp would unpack to 200 MB, 1" in error.message
    refuses_within(10, path)


def test_a_small_file_may_be_packed_tightly(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("c/x.bmp", bytes(10 << 20))])
    assert archive.listing(path)[0].size == 10 << 20
    assert refused(pack(tmp_path / "b.zip", [("c/x.bmp", bytes((10 << 20) + 1))])).code == "zip_ratio"


def test_one_file_over_the_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("c/ok.png", b"x"), ("c/x.bmp", os.urandom(2 << 20))])
    forge(path, UNPACKED, 300 << 20, member=1)
    error = refused(path)
    assert error.code == "zip_too_large"
    assert error.message == say("error.zip_too_large", name="c/x.bmp", mb=300, file_mb=200, total_gb=20)


def test_all_files_together_over_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "a.zip", [(f"c/{n}.bmp", bytes(1 << 20)) for n in range(9)])
    monkeypatch.setattr(archive, "LIMITS", replace(LIMITS, archive_bytes=9 << 20))
    assert len(archive.listing(path)) == 9
    monkeypatch.setattr(archive, "LIMITS", replace(LIMITS, archive_bytes=(9 << 20) - 1))
    error = refused(path)
    assert (error.code, error.values["mb"]) == ("zip_too_large", 9)


def test_a_thousand_entries_of_the_same_bytes_are_refused(tmp_path: Path) -> None:
    path = bad_files.full_overlap(tmp_path / "a.zip", 1000)
    assert path.stat().st_size < 60_000
    assert refused(path).code == "zip_overlap"
    refuses_within(10, path)


def test_files_that_quote_each_other_are_refused(tmp_path: Path) -> None:
    path = bad_files.quoted_overlap(tmp_path / "a.zip", 200)
    assert path.stat().st_size < 25_000
    with zipfile.ZipFile(path) as file:
        assert len(file.infolist()) == 200
        assert len(file.read("c/0150.bmp")) > 1 << 20  # the bomb is real: `zipfile` of this Python unpacks it
    assert refused(path).code == "zip_overlap"


def test_a_single_member_of_the_same_construction_is_read(tmp_path: Path) -> None:
    (entry,) = archive.listing(bad_files.quoted_overlap(tmp_path / "a.zip", 1))
    assert read(entry) == bytes(1 << 20)


def test_more_files_than_a_delivery_may_have_are_refused_from_the_end_record(tmp_path: Path) -> None:
    path = bad_files.many(tmp_path / "a.zip", 101_001)
    error = refused(path)
    assert (error.code, error.values) == ("too_many_files", {"n": 101_001, "limit": 101_000})
    refuses_within(10, path)


@pytest.mark.parametrize("declared", [1, 70_000])
def test_too_many_files_are_refused_when_the_end_record_says_less(tmp_path: Path, declared: int) -> None:
    path = bad_files.many(tmp_path / "a.zip", 101_001, declared)
    assert refused(path).code == "too_many_files"
    refuses_within(10, path)


def test_a_directory_larger_than_any_honest_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.write(b"PK\3\4")
        file.seek(70 << 20)
        file.write(bad_files.END.pack(b"PK\5\6", 0, 0, 1, 1, 65 << 20, 0, 0))
    assert refused(path).code == "zip_damaged"


# -- archives that lie


@pytest.mark.parametrize("value", [0xFFFFFFFE, 0x7FFFFFFF, 100_000])
def test_a_packed_size_beyond_the_file_is_refused(tmp_path: Path, value: int) -> None:
    path = pack(tmp_path / "a.zip", THREE)
    forge(path, PACKED, value, member=1)
    assert refused(path).code == "zip_damaged"


def test_a_64_bit_size_of_a_terabyte_is_refused(tmp_path: Path) -> None:
    assert refused(bad_files.zip64_of_a_terabyte(tmp_path / "a.zip")).code == "zip_damaged"


def test_an_offset_beyond_the_file_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", THREE)
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\1\2") + 42, 1_000_000)
    path.write_bytes(data)
    assert refused(path).code == "zip_damaged"


@pytest.mark.parametrize(
    ("field", "value"),
    [(UNPACKED, 10), (CRC, 12345), (PACKED, 20)],
    ids=["smaller than declared", "another checksum", "less packed than needed"],
)
def test_a_member_that_lies_is_damaged_and_the_others_are_read(tmp_path: Path, field: int, value: int) -> None:
    path = pack(tmp_path / "a.zip", [(name, os.urandom(2000)) for name, _ in THREE])
    forge(path, field, value, member=1)
    entries = archive.listing(path)
    with pytest.raises(HeadstartError) as caught:
        read(entries[1])
    assert caught.value.code == "file_damaged_member"
    assert [len(read(entries[i])) for i in (0, 2)] == [2000, 2000]


def test_fifty_megabytes_declared_as_ten_bytes_are_not_unpacked(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [("c/x.png", bytes(50 << 20))])
    forge(path, UNPACKED, 10)
    (entry,) = archive.listing(path)
    with pytest.raises(HeadstartError):
        read(entry)
    assert entry.size == 10


def test_damaged_bytes_of_one_member_leave_the_others(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", [(name, os.urandom(2000)) for name, _ in THREE])
    data = bytearray(path.read_bytes())
    data[100:140] = bytes(40)
    path.write_bytes(data)
    entries = archive.listing(path)
    with pytest.raises(HeadstartError, match="damaged inside the archive"):
        read(entries[0])
    assert [len(read(e)) for e in entries[1:]] == [2000, 2000]


# -- what cannot be read


def test_a_password_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "secret.zip", THREE)
    forge(path, FLAGS, 1, member=2)
    error = refused(path)
    assert (error.code, error.message) == ("zip_encrypted", say("error.zip_encrypted", name="secret.zip"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_packed_with_bz2_or_lzma_are_named_and_the_others_are_read(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("c/bomb.bmp", bytes(50 << 20), method)
        file.writestr("c/ok.png", b"ok")
    bomb, ok = archive.listing(path)
    assert (bomb.reason, ok.reason, read(ok)) == ("file_compression", "", b"ok")


@pytest.mark.parametrize("method", [9, 93, 97, 65_535])
def test_members_packed_in_an_unknown_way_are_named(tmp_path: Path, method: int) -> None:
    path = pack(tmp_path / "a.zip", THREE)
    forge(path, METHOD, method, member=1)
    assert [e.reason for e in archive.listing(path)] == ["", "file_compression", ""]


def test_a_link_in_a_zip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("c/passwd.png")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
        file.writestr("c/ok.png", b"ok")
    assert [e.reason for e in archive.listing(path)] == ["file_link", ""]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7-Zip archive"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip or tar.gz archive"),
        (b"BZh91AY&", "a bzip2 archive"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"<!DOCTYPE html><title>404", "a web page"),
        (b"<html><title>404", "a web page"),
        (b"hello", "another kind of file"),
        (b"\0", "another kind of file"),
    ],
)
def test_what_is_not_a_zip_is_named(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(start + bytes(1000))
    error = refused(path)
    assert (error.code, error.message) == ("not_a_zip", f"data.zip is {kind}, not a ZIP.")


def test_nothing_is_refused_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "zero.zip").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    pack(tmp_path / "empty.zip", [])
    pack(tmp_path / "folders.zip", [("cat/", b""), ("dog/", b"")])
    for name in ("zero.zip", "empty.zip", "folders.zip", "folder"):
        error = refused(tmp_path / name)
        assert (error.code, error.message) == ("data_empty", f"{name} holds no files.")


def test_a_path_without_anything_is_refused_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(HeadstartError) as caught:
        archive.listing(tmp_path / "no.zip")
    assert (caught.value.code, caught.value.values) == ("data_missing", {"path": str(tmp_path / "no.zip")})


# -- folders


def test_a_folder_lists_its_files_by_name(tmp_path: Path) -> None:
    for name, data in reversed(THREE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    entries = archive.listing(tmp_path)
    assert [(e.index, e.name, e.size, e.reason) for e in entries] == [
        (0, "cat/1.png", 300, ""),
        (1, "cat/2.png", 300, ""),
        (2, "dog/3.png", 500, ""),
    ]
    assert [read(e) for e in entries] == [data for _, data in THREE]


def test_links_in_a_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    data = tmp_path / "data"
    (data / "cat").mkdir(parents=True)
    (data / "cat" / "1.png").write_bytes(b"x")
    (data / "cat" / "file.png").symlink_to(tmp_path / "outside" / "secret.png")
    (data / "cat" / "dangling.png").symlink_to(tmp_path / "nowhere")
    (data / "dog").symlink_to(tmp_path / "outside", target_is_directory=True)
    assert [(e.name, e.reason) for e in archive.listing(data)] == [
        ("cat/1.png", ""),
        ("cat/dangling.png", "file_link"),
        ("cat/file.png", "file_link"),
        ("dog", "file_link"),
    ]


def test_what_is_no_ordinary_file_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (entry,) = archive.listing(tmp_path)
    assert stat.S_ISFIFO((tmp_path / "pipe.png").stat().st_mode)
    assert entry.reason == "file_link"


def test_a_large_file_in_a_folder_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "big.png").touch()
    os.truncate(tmp_path / "big.png", (200 << 20) + 1)
    (tmp_path / "ok.png").touch()
    os.truncate(tmp_path / "ok.png", 200 << 20)
    assert [(e.name, e.reason) for e in archive.listing(tmp_path)] == [("big.png", "file_too_large"), ("ok.png", "")]


def test_a_file_that_vanished_after_the_listing_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"x")
    (entry,) = archive.listing(tmp_path)
    (tmp_path / "1.png").unlink()
    with pytest.raises(HeadstartError) as caught:
        read(entry)
    assert caught.value.code == "file_unreadable"


def test_a_name_on_disk_that_is_not_utf_8_can_be_stored_as_text(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.png", "wb") as file:
        file.write(b"x")
    (entry,) = archive.listing(tmp_path)
    assert entry.name.encode() == "caf\ufffd.png".encode()
    assert read(entry) == b"x"


def test_the_stamp_changes_with_names_and_contents_and_stays_otherwise(tmp_path: Path) -> None:
    folder, path = tmp_path / "data", tmp_path / "a.zip"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "nowhere")
    stamps = [archive.stamp(folder)]
    assert archive.stamp(folder) == stamps[0]
    (folder / "1.png").write_bytes(b"longer")
    stamps.append(archive.stamp(folder))
    (folder / "1.png").rename(folder / "2.png")
    stamps += [archive.stamp(folder), archive.stamp(pack(path, THREE)), archive.stamp(pack(path, THREE[:1]))]
    assert len(set(stamps)) == 5
