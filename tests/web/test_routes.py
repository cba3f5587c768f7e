import asyncio
import contextlib
import hashlib
import http.client
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import psutil
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.types import Message

from core.errors import HeadstartError
from core.intake import archive, deliveries, file_check, folder_labels, upload
from core.jobs import queue
from core.jobs.kinds import INTAKE, WEIGHTS, Delivery
from core.language import messages
from core.language.catalog import say
from core.pictures import album, receiving
from core.progress import Silent
from core.store import recovery
from core.store.store import Store
from core.web import guard, routes
from tests import drawing
from tests.workers import wait

ROOT = Path(__file__).parents[2]
SERVER = """
import sys, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import WebSocketRoute
from core.web import guard
from core.web import routes
from core.store.store import Store

async def talk(socket):
    await socket.accept()
    await socket.close()

routes = [*routes.routes(Store(Path(sys.argv[1]))), WebSocketRoute("/talk", talk)]
app = Starlette(routes=routes, middleware=[Middleware(guard.Guard)])
uvicorn.run(app, fd=int(sys.argv[2]), log_level="warning")
"""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server(NamedTuple):
    port: int
    pid: int
    store: Store
    log: Path

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """One request, sent as a page of ours would unless headers say otherwise."""
        host = f"localhost:{self.port}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        ours = {"Host": host, "Origin": f"http://{host}", **headers}
        connection.request(method, target, body, {name: value for name, value in ours.items() if value})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def put(self, target: str, data: bytes, offset: int, size: int, name: str) -> Answer:
        return self.ask("PUT", f"{target}?{urlencode({'offset': offset, 'size': size, 'name': name})}", data)

    def upload(self, batch: str, number: int, name: str, data: bytes) -> Path:
        assert self.put(f"/api/upload/{batch}/{number}", data, 0, len(data), name).json["complete"]
        return self.store.home / "inbox" / batch / str(number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("served")) as found:
        yield found


@contextlib.contextmanager
def started(home: Path) -> Iterator[Server]:
    """A server on a home, whoever else works on it."""
    listening = socket.create_server(("127.0.0.1", 0))
    log = home / f"server-{listening.fileno()}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(home), str(listening.fileno())],
            pass_fds=[listening.fileno()], cwd=ROOT, stdout=out, stderr=out,
            env=os.environ | {"KERAS_HOME": str(home / "keras")},
        )  # fmt: skip
    port = listening.getsockname()[1]
    listening.close()
    found = Server(port, process.pid, Store(home), log)
    assert found.ask("GET", "/api/none").status == 404
    try:
        yield found
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def photo(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a stored picture of 2000x1000 px, with camera data in it, lying on its side."""
    folder = tmp_path_factory.mktemp("photo") / "cat"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Secret Camera", 6
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    picture = Image.linear_gradient("L").resize((2000, 1000)).convert("RGB")
    picture.save(folder / "1.jpg", exif=exif, comment=b"secret comment")
    assert b"Secret Camera" in (folder / "1.jpg").read_bytes()
    store = server.store
    entries = archive.listing(folder.parent)
    places = folder_labels.read_names([entry.name for entry in entries])
    todo = list(zip(entries, places, strict=True))
    answers = list(file_check.receive(todo, store.pictures, store.facts, Silent(), lambda _: None))
    receiving.receive(store, store.add_project("photo").id, "b", answers)
    assert answers[0].facts is not None
    return answers[0].facts.id


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    """The id of a run with two artifacts, of which model.tflite is damaged, and a file beside them that is none."""
    store, key = server.store, uuid.uuid4().hex
    project = store.add_project("run").id
    with store.write() as db:
        db.execute(
            "INSERT INTO run(id, project_id, plan, fingerprint, created_at) VALUES (?, ?, '{}', 'f', 0)", (key, project)
        )
        sums = {"model.keras": hashlib.sha256(bytes(range(256)) * 4).hexdigest(), "model.tflite": "of other bytes"}
        db.executemany("INSERT INTO artifact VALUES (?, ?, ?)", [(key, name, sha) for name, sha in sums.items()])
    folder = store.folder(key)
    folder.mkdir(parents=True)
    for name in sums:
        (folder / name).write_bytes(bytes(range(256)) * 4)
    (folder / "dataset.json").write_text("[]")
    return key


def address(number: int = 0) -> str:
    return f"/api/upload/{uuid.uuid4().hex}/{number}"


def delivered(server: Server, target: str) -> tuple[bytes, Any]:
    path = server.store.home / "inbox" / target.removeprefix("/api/upload/")
    return path.read_bytes(), json.loads(path.with_suffix(".json").read_bytes())


# -- uploads


def test_a_file_sent_in_pieces_arrives_whole_under_its_number(server: Server) -> None:
    data, target = random.Random(1).randbytes(3_000_000), address(7)
    assert server.ask("GET", target).json == {"offset": 0, "complete": False}
    for offset in range(0, len(data), 1_100_000):
        answer = server.put(target, data[offset : offset + 1_100_000], offset, len(data), "pets/cat/Käse 1.jpg")
        assert answer.status == 200
        end = min(offset + 1_100_000, len(data))
        assert answer.json == {"offset": end, "complete": end == len(data)}
        assert server.ask("GET", target).json == answer.json
    assert delivered(server, target) == (data, {"name": "pets/cat/Käse 1.jpg", "size": len(data)})
    assert {p.name for p in (server.store.home / "inbox" / target.split("/")[3]).iterdir()} == {"7", "7.json"}


def test_an_upload_cut_off_anywhere_goes_on_where_it_stopped(server: Server) -> None:
    dice = random.Random(2)
    data, target = dice.randbytes(5_000_000), address()
    for _ in range(4):
        have = server.ask("GET", target).json["offset"]
        query = urlencode({"offset": have, "size": len(data), "name": "a.zip"})
        head = f"PUT {target}?{query} HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        head += f"Origin: http://localhost:{server.port}\r\nContent-Length: {len(data) - have}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(head.encode() + data[have : have + dice.randrange(1, len(data) - have)])
    have = server.ask("GET", target).json["offset"]
    while (answer := server.put(target, data[have:], have, len(data), "a.zip")).status == 409:
        have = answer.json["offset"]
    assert answer.json == {"offset": len(data), "complete": True}
    assert delivered(server, target)[0] == data


def test_a_piece_at_the_wrong_place_is_refused_with_the_right_one(server: Server) -> None:
    target = address()
    assert server.put(target, b"abc", 0, 9, "a.png").status == 200
    for offset in (0, 2, 4):
        answer = server.put(target, b"xyz", offset, 9, "a.png")
        assert (answer.status, answer.json) == (409, {"offset": 3})
    assert server.put(target, b"defghi", 3, 9, "a.png").json == {"offset": 9, "complete": True}
    assert delivered(server, target)[0] == b"abcdefghi"


def test_the_last_piece_may_come_twice(server: Server) -> None:
    target = address()
    for _ in range(3):
        assert server.put(target, b"abc", 0, 3, "a.png").json == {"offset": 3, "complete": True}
    assert delivered(server, target)[0] == b"abc"


@pytest.mark.parametrize("sent", [b"abc", b"abcdef"], ids=["half", "whole"])
@pytest.mark.parametrize(
    ("size", "name"), [(6, "b.png"), (9, "a.png"), (3, "a.png")], ids=["name", "longer", "shorter"]
)
def test_a_file_is_not_gone_on_with_as_another(server: Server, sent: bytes, size: int, name: str) -> None:
    target = address()
    assert server.put(target, sent, 0, 6, "a.png").status == 200
    for offset in {0, min(len(sent), size)}:
        answer = server.put(target, b"x" * (size - offset), offset, size, name)
        assert (answer.status, answer.json["error"].split(" is not ")[0]) == (422, name)
    assert server.put(target, b"abcdef"[len(sent) :], len(sent), 6, "a.png").json == {"offset": 6, "complete": True}
    assert delivered(server, target) == (b"abcdef", {"name": "a.png", "size": 6})


def test_a_note_that_a_crash_cut_off_is_written_again(server: Server) -> None:
    target = address()
    assert server.put(target, b"abc", 0, 6, "a.png").status == 200
    path = server.store.home / "inbox" / target.removeprefix("/api/upload/")
    path.with_suffix(".json").write_text('{"na')
    assert server.put(target, b"def", 3, 6, "a.png").json == {"offset": 6, "complete": True}
    assert delivered(server, target) == (b"abcdef", {"name": "a.png", "size": 6})


@pytest.mark.parametrize("left", ["0.part", "0"])
def test_a_file_that_was_whole_when_the_server_died_is_finished_by_the_next_piece(server: Server, left: str) -> None:
    target = address()
    folder = server.store.home / "inbox" / target.split("/")[3]
    folder.mkdir(parents=True)
    (folder / left).write_bytes(b"abc")
    assert server.ask("GET", target).json == {"offset": 3, "complete": False}
    assert server.put(target, b"", 3, 3, "a.png").json == {"offset": 3, "complete": True}
    assert delivered(server, target) == (b"abc", {"name": "a.png", "size": 3})


def test_an_empty_file_is_complete_at_once(server: Server) -> None:
    target = address()
    assert server.put(target, b"", 0, 0, "a.png").json == {"offset": 0, "complete": True}
    assert delivered(server, target)[0] == b""


def test_two_senders_of_one_file_do_not_mix(server: Server) -> None:
    target, n = address(), 4_000_000
    answers: list[Answer] = []
    send = [
        threading.Thread(target=lambda c=c: answers.append(server.put(target, c * n, 0, 2 * n, "a.zip")))
        for c in (b"a", b"b")
    ]
    for thread in send:
        thread.start()
    for thread in send:
        thread.join()
    assert sorted(answer.status for answer in answers) == [200, 409]
    part = server.store.home / "inbox" / target.split("/")[3] / "0.part"
    assert part.read_bytes() in (b"a" * n, b"b" * n)


def test_two_servers_on_one_home_cannot_make_a_file_longer_than_it_is(server: Server) -> None:
    data, target = random.Random(3).randbytes(4_000_000), address()
    half = len(data) // 2
    path = server.store.home / "inbox" / target.removeprefix("/api/upload/")
    with started(server.store.home) as other, socket.create_connection(("127.0.0.1", server.port)) as raw:
        query = urlencode({"offset": 0, "size": len(data), "name": "a.zip"})
        head = f"PUT {target}?{query} HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        head += f"Origin: http://localhost:{server.port}\r\nContent-Length: {len(data)}\r\n\r\n"
        raw.sendall(head.encode() + data[:half])
        have, end = 0, time.monotonic() + 20
        while not have and time.monotonic() < end:
            have = other.ask("GET", target).json["offset"]
        assert 0 < have <= half
        # The first sender is still sending, and the second one begins where the file now ends.
        assert other.put(target, data[have:], have, len(data), "a.zip").status == 409
        raw.sendall(data[half:])
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert json.loads(answer.read()) == {"offset": len(data), "complete": True}
        answer.close()
    assert path.read_bytes() == data


def test_a_file_that_has_become_longer_than_it_is_said_to_be_is_sent_anew(server: Server) -> None:
    target = address()
    assert server.put(target, b"abc", 0, 6, "a.png").status == 200
    path = server.store.home / "inbox" / target.removeprefix("/api/upload/")
    path.with_suffix(".part").write_bytes(b"abcabcdef")
    answer = server.put(target, b"def", 3, 6, "a.png")
    assert answer.status == 422
    assert answer.json["error"] == say("error.upload_doubled", name="a.png", have=9, size=6)
    assert server.put(target, b"abcdef", 0, 6, "a.png").json == {"offset": 6, "complete": True}
    assert delivered(server, target)[0] == b"abcdef"


def test_more_bytes_than_announced_are_refused_and_not_kept(server: Server) -> None:
    target = address()
    assert server.put(target, b"abc", 0, 5, "a.png").status == 200
    assert server.put(target, b"defg", 3, 5, "a.png").status == 400
    assert server.ask("GET", target).json == {"offset": 3, "complete": False}


@pytest.mark.slow
def test_a_large_upload_does_not_grow_the_server(server: Server) -> None:
    target, piece, n = address(), random.Random(3).randbytes(8 << 20), 13
    server.upload(uuid.uuid4().hex, 0, "warm.zip", piece)
    process = psutil.Process(server.pid)
    sizes, done = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            sizes.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for i in range(n):
        assert server.put(target, piece, i * len(piece), n * len(piece), "a.zip").status == 200
    done.set()
    watcher.join()
    assert delivered(server, target)[1]["size"] == n * len(piece)
    print(f"{(max(sizes) - sizes[0]) / 1e6:.1f} MB for {n * len(piece) / 1e6:.0f} MB, {len(sizes)} looks")
    assert max(sizes) - sizes[0] < 30_000_000


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("big.zip", (20 << 30) + 1, say("error.upload_too_large", name="big.zip", mb=20481, limit_mb=20480)),
        ("big.PNG", (200 << 20) + 1, say("error.upload_too_large", name="big.PNG", mb=201, limit_mb=200)),
    ],
)
def test_a_file_over_the_limit_is_refused_before_its_first_byte(
    server: Server, name: str, size: int, said: str
) -> None:
    target = address()
    answer = server.put(target, b"x" * 100_000, 0, size, name)
    assert answer.status == 413
    assert answer.json == {"error": said, "hint": say("hint.upload_too_large")}
    assert server.ask("GET", target).json["offset"] == 0


def test_a_file_that_would_fill_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage((1 << 30) + 999))
    upload._admit(tmp_path, upload.Claim(1, 1000, "a.zip"))
    with pytest.raises(HeadstartError, match=r"a.zip needs 1025 MB on the disk, .* 1024 MB are free."):
        upload._admit(tmp_path, upload.Claim(0, 1000, "a.zip"))


def test_an_upload_has_room_beside_what_others_were_promised_and_leaves_nothing_when_it_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    begun, free = upload.Inbox(tmp_path), (1 << 30) + 1_000
    written = [0]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free - written[0]))
    first, second = tmp_path / "a" / "0", tmp_path / "b" / "0"

    def put(path: Path, offset: int, size: int, data: bytes) -> int:
        async def body() -> Message:
            return {"type": "http.request", "body": data}

        request = Request({"type": "http", "method": "PUT", "headers": []}, body)
        have = asyncio.run(begun._add(path, upload.Claim(offset, size, "a.zip"), request))
        written[0] += len(data)
        return have

    assert put(first, 0, 600, b"x" * 100) == 100
    with pytest.raises(HeadstartError, match=r"a\.zip needs 1025 MB on the disk"):
        put(second, 0, 501, b"x")  # 900 bytes are free, and 500 of them promised
    assert put(second, 0, 400, b"x" * 10) == 10
    assert put(first, 100, 600, b"x" * 500) == 600
    written[0] += 1  # by somebody else
    with pytest.raises(HeadstartError, match=r"a\.zip needs 1025 MB on the disk"):
        put(second, 10, 400, b"x" * 390)
    assert not second.parent.exists()  # half a file that has no room only keeps the disk full
    assert first.with_suffix(".part").stat().st_size == 600


@pytest.mark.parametrize("query", ["", "offset=0&size=1", "offset=a&size=1&name=a", "offset=-1&size=1&name=a",
                                   "offset=2&size=1&name=a", "offset=0&size=1&name="])  # fmt: skip
def test_an_upload_that_does_not_say_what_it_is_gets_a_sentence(server: Server, query: str) -> None:
    answer = server.ask("PUT", f"{address()}?{query}", b"x")
    assert answer.status == 400
    assert answer.json["error"].endswith(".")


def test_a_name_that_leads_out_is_only_text(server: Server) -> None:
    before = set(server.store.home.rglob("*"))
    target = address()
    server.put(target, b"x", 0, 1, "../../../evil.png")
    new = {path.name for path in set(server.store.home.rglob("*")) - before}
    assert new == {target.split("/")[3], "0", "0.json"}
    assert delivered(server, target)[1]["name"] == "../../../evil.png"
    entries = archive.listing(server.store.home / "inbox" / target.split("/")[3])
    assert [place.reason for place in folder_labels.read_names([e.name for e in entries])] == ["file_unusable_path"]


# -- what becomes of them


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return out.getvalue()


def png(label: str, number: int) -> bytes:
    out = io.BytesIO()
    drawing.draw(label, number).save(out, "PNG")
    return out.getvalue()


def removed(folder: Path) -> bool:
    """A worker removes what it took in just after its job has succeeded."""
    end = time.monotonic() + 5
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.02)
    return not folder.exists()


def take_in(server: Server, batch: str, **more: str) -> tuple[queue.Job, str]:
    project = server.store.add_project("p").id
    path = server.store.home / "inbox" / batch
    job = queue.start(server.store, project, INTAKE, Delivery(str(path), batch, **more))
    return wait(server.store, job), project


def test_a_delivery_is_taken_in_zip_by_zip_and_a_bad_one_loses_nothing(server: Server) -> None:
    batch, store = uuid.uuid4().hex, server.store
    server.upload(batch, 0, "shapes/circle/a.png", png("circle", 0))
    server.upload(batch, 3, "more.ZIP", packed({"square/1.png": png("square", 1), "square/2.png": png("square", 2)}))
    server.upload(batch, 4, "bad.zip", b"%PDF-1.7 " * 9)
    server.upload(batch, 11, "shapes/triangle/b.png", png("triangle", 0))
    server.put(f"/api/upload/{batch}/12", b"x", 0, 9, "never/finished.png")
    job, project = take_in(server, batch)
    assert job.state == "succeeded", job.error
    assert store.dataset(project).counts == {"circle": 1, "square": 2, "triangle": 1}
    bad = store.unused(project)
    assert [(file.name, file.reason) for file in bad] == [("bad.zip", "not_a_zip")]
    assert HeadstartError(bad[0].reason, **bad[0].values).message == say(
        "error.not_a_zip", name="bad.zip", kind="a PDF"
    )
    assert removed(store.home / "inbox" / batch)


def test_pictures_in_no_folder_get_the_class_that_was_named_for_them(server: Server) -> None:
    batch = uuid.uuid4().hex
    server.upload(batch, 0, "a.png", png("circle", 0))
    server.upload(batch, 1, "square/b.png", png("square", 0))
    server.upload(batch, 2, "flat.zip", packed({"c.png": png("circle", 1), "d.txt": b"no picture"}))
    job, project = take_in(server, batch, label=" round  things ")
    assert job.state == "succeeded", job.error
    assert server.store.dataset(project).counts == {"round things": 2, "square": 1}
    assert [file.reason for file in server.store.unused(project)] == ["file_not_picture"]


def test_the_browser_has_an_upload_taken_in_and_a_second_time_asked_it_is_not_taken_in_again(server: Server) -> None:
    batch, project = uuid.uuid4().hex, server.store.add_project("p").id
    server.upload(batch, 0, "a.png", png("circle", 0))

    def ask(n: int = 2, **headers: str) -> Answer:
        body = json.dumps({"batch": batch, "label": "round", "n": n}).encode()
        return server.ask("POST", f"/api/intake/{project}", body, **headers)

    assert ask().json == {"error": say("error.upload_missing"), "hint": say("hint.upload_missing")}
    server.upload(batch, 1, "b.png", png("circle", 1))
    assert ask(Origin="http://elsewhere.test").status == 403
    assert queue.latest(server.store, project, INTAKE) is None
    assert (ask().status, ask().status) == (200, 200)
    job = queue.latest(server.store, project, INTAKE)
    assert job is not None and wait(server.store, job).state == "succeeded"
    assert removed(server.store.home / "inbox" / batch)
    assert ask().status == 200
    assert server.store.dataset(project).counts == {"round": 2}
    assert len(server.store.read("SELECT id FROM job WHERE project_id = ? AND kind = 'intake'", project)) == 1


def test_weights_that_were_sent_are_checked_once_under_a_name_of_ours(server: Server) -> None:
    batch, project = uuid.uuid4().hex, server.store.add_project("p").id

    def ask(backbone: str = "VGG16") -> Answer:
        body = json.dumps({"batch": batch, "backbone": backbone}).encode()
        return server.ask("POST", f"/api/weights/{project}", body)

    assert ask().json["error"] == say("error.upload_missing")
    server.upload(batch, 0, "../../mine.weights.h5", b"weights")
    assert ask("Nobody").status == 422
    assert (ask().status, ask().status) == (200, 200)
    job = queue.latest(server.store, project, WEIGHTS)
    assert job is not None and len(server.store.read("SELECT id FROM job WHERE project_id = ?", project)) == 1
    job = wait(server.store, job)
    named = str(server.store.home / "inbox" / batch / "VGG16.weights.h5")
    assert job.error == {"code": "weights_foreign", "values": {"path": named, "backbone": "VGG16"}}
    assert removed(server.store.home / "inbox" / batch) and ask().status == 200


def test_weights_of_a_backbone_that_has_them_are_refused(server: Server) -> None:
    batch, project = uuid.uuid4().hex, server.store.add_project("p").id
    server.upload(batch, 0, "mine.weights.h5", b"weights")
    body = json.dumps({"batch": batch, "backbone": "Starter"}).encode()
    answer = server.ask("POST", f"/api/weights/{project}", body)
    assert (answer.status, answer.json["error"]) == (422, say("error.weights_here", backbone="Starter"))
    assert queue.latest(server.store, project, WEIGHTS) is None


def test_a_file_of_another_kind_is_no_weights(server: Server) -> None:
    batch, project = uuid.uuid4().hex, server.store.add_project("p").id
    server.upload(batch, 0, "a.png", png("circle", 0))
    body = json.dumps({"batch": batch, "backbone": "VGG16"}).encode()
    answer = server.ask("POST", f"/api/weights/{project}", body)
    assert answer.json["error"] == say("error.weights_foreign", path="a.png", backbone="VGG16")


@pytest.mark.parametrize(("name", "mb", "status"), [("a.h5", 600, 200), ("a.h5", 601, 413), ("a.png", 201, 413)])
def test_weights_may_be_larger_than_pictures(server: Server, name: str, mb: int, status: int) -> None:
    address = f"/api/upload/{uuid.uuid4().hex}/0?offset=0&size={mb << 20}&name={name}"
    assert server.ask("PUT", address, b"begins").status == status


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"[" * 4_000, b'{"batch": "x", "label": "", "n": Infinity}', b" " * 5_000], ids=range(6)
)
def test_what_asks_for_an_intake_in_another_form_gets_a_sentence(server: Server, body: bytes) -> None:
    answer = server.ask("POST", f"/api/intake/{server.store.add_project('p').id}", body)
    assert answer.status == 400 and answer.json["error"] == say("error.upload_unclear")


def test_the_only_zip_of_a_delivery_fails_the_job_when_it_is_refused(server: Server) -> None:
    batch = uuid.uuid4().hex
    server.upload(batch, 0, "bad.zip", b"%PDF-1.7 " * 9)
    job, _ = take_in(server, batch)
    assert job.state == "failed" and job.error is not None
    assert HeadstartError(job.error["code"], **job.error["values"]).message == say(
        "error.not_a_zip", name="bad.zip", kind="a PDF"
    )


def test_several_files_without_one_usable_picture_fail_with_every_reason(server: Server) -> None:
    batch = uuid.uuid4().hex
    server.upload(batch, 0, "bad.zip", b"")
    server.upload(batch, 1, "alone.png", b"")
    job, _ = take_in(server, batch)
    assert job.state == "failed" and job.error is not None
    message = HeadstartError(job.error["code"], **job.error["values"]).message
    assert message == say("error.nothing_usable", n=2, reasons="1 archive without files, 1 empty")


def test_a_delivery_that_is_gone_is_said_to_be(server: Server) -> None:
    job, _ = take_in(server, uuid.uuid4().hex)
    assert job.error is not None and job.error["code"] == "upload_missing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "language", "n", "classes"),
    [
        ("signs", "en", 308, ["No entry", "Roundabout", "Speed limit", "Stop", "Yield"]),
        ("ladybugs", "pt_BR", 320, ["Cinco pintas", "Dez pintas", "Duas pintas", "Sete pintas"]),
    ],
)
def test_a_sample_is_drawn_and_taken_in_by_a_job(
    tmp_path: Path, chosen: str, language: str, n: int, classes: list[str]
) -> None:
    store = Store(tmp_path)
    project = store.add_project("sample").id
    drawn = Delivery(sample=0, sample_set=chosen, language=language)
    job = wait(store, queue.start(store, project, INTAKE, drawn))
    assert job.state == "succeeded", job.error
    stages = [(e.key, e.facts["total"]) for e in queue.events(store, job.id) if e.kind == "stage"]
    assert stages == [("draw", n), ("intake", n)]
    assert sum(store.outcomes(project).values()) == n
    assert list(store.dataset(project).classes) == classes
    assert removed(tmp_path / "inbox" / job.id)


def test_a_server_says_whether_it_lives_and_what_keeps_it_from_its_work(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.ask("GET", "/healthz")[::2] == (200, b"ok")
    answer = server.ask("GET", "/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True, "trouble": []})
    store = Store(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1000))
    monkeypatch.setattr(Store, "projects", lambda _: (_ for _ in ()).throw(HeadstartError("store_busy")))
    said = asyncio.run(routes._ready(store, Request({"type": "http"})))
    found = {"ready": False, "trouble": ["database", "home", "disk"]}
    assert (said.status_code, json.loads(bytes(said.body))) == (503, found)


def test_old_deliveries_are_removed_unless_someone_still_needs_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = time.time() - 25 * 3600
    for name in ("old", "growing", "read", "whole", "done", "failed", "dismissed", "asked", "given up"):
        folder = tmp_path / "inbox" / name
        folder.mkdir(parents=True)
        file = folder / ("0.part" if name in ("old", "growing", "read") else "0")
        file.write_bytes(b"x")
        if name != "growing":
            os.utime(file, (old, old))
        os.utime(folder, (old, old))
    project = store.add_project("p").id
    with store.write() as db:
        states = {"read": "queued", "done": "succeeded", "failed": "failed", "dismissed": "failed"}
        for name, state in states.items():
            db.execute(
                "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES (?, ?, 'intake', ?, ?, 0)",
                (name, project, json.dumps({"path": str(tmp_path / "inbox" / name), "batch": name}), state),
            )
        for name, state in {"asked": "paused", "given up": "cancelled"}.items():
            db.execute(
                "INSERT INTO job(id, project_id, kind, params, state, created_at) VALUES (?, ?, 'predict', ?, ?, 0)",
                (name, project, json.dumps({"run": "r", "batch": name}), state),
            )
    deliveries.dismiss(store, "dismissed")
    routes.clean_inbox(store)
    # One that failed is kept for as long as the page offers to try it again.
    assert {path.name for path in (tmp_path / "inbox").iterdir()} == {"growing", "read", "failed", "asked"}
    # A whole one of which no job knows may be all that is left of it.
    assert (tmp_path / "aside" / "inbox" / "whole" / "0").read_bytes() == b"x"
    assert recovery.notices(tmp_path)[0].values["uploads"] == 1


# -- pictures and models


def test_a_picture_is_shown_upright_bounded_and_without_a_word_about_its_camera(server: Server, photo: str) -> None:
    answer = server.ask("GET", f"/api/picture/{photo}")
    shown = Image.open(io.BytesIO(answer.body))
    assert (answer.status, shown.format, shown.size) == (200, "JPEG", (640, 1280))
    assert dict(shown.getexif()) == {} and set(shown.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"ecret" not in answer.body and b"Exif" not in answer.body


def test_a_missing_thumbnail_is_made_again_and_kept(server: Server, photo: str) -> None:
    path = server.store.thumbnail(photo)
    path.unlink(missing_ok=True)
    first = server.ask("GET", f"/api/thumbnail/{photo}")
    assert (first.status, Image.open(io.BytesIO(first.body)).size) == (200, (128, 256))
    assert path.read_bytes() == first.body and b"Exif" not in first.body
    assert server.ask("GET", f"/api/thumbnail/{photo}").body == first.body


@pytest.mark.parametrize("left", [0, 1, 0.5], ids=["empty", "one byte", "half"])
def test_a_thumbnail_that_is_cut_off_is_made_again(server: Server, photo: str, left: float) -> None:
    path = server.store.thumbnail(photo)
    whole = server.ask("GET", f"/api/thumbnail/{photo}").body
    path.write_bytes(whole[: int(left if left == 1 else left * len(whole))])
    assert server.ask("GET", f"/api/thumbnail/{photo}").body == whole == path.read_bytes()


def test_a_damaged_picture_is_not_shown_as_if_it_were_whole(server: Server, photo: str) -> None:
    path = server.store.pictures.path(photo)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-300] + bytes([whole[-300] ^ 255]) + whole[-299:])
        answer = server.ask("GET", f"/api/picture/{photo}")
        assert (answer.status, answer.json["error"]) == (422, messages.error("bytes_changed", {})[0])
    finally:
        path.write_bytes(whole)
    assert server.ask("GET", f"/api/picture/{photo}").status == 200


def test_pictures_are_kept_by_the_browser_for_a_year_and_thumbnails_for_a_day(server: Server, photo: str) -> None:
    for kind, kept in (("thumbnail", "max-age=86400"), ("picture", "max-age=31536000, immutable")):
        answer = server.ask("GET", f"/api/{kind}/{photo}", Origin="")
        assert answer.headers["Cache-Control"] == f"private, {kept}"
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_picture_nobody_received_is_not_there(server: Server, photo: str) -> None:
    other = "0" * 64
    path = server.store.pictures.path(other)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(server.store.pictures.path(photo).read_bytes())  # on the shelf, but in no row
    for kind in ("thumbnail", "picture"):
        for key in (other, photo.upper(), photo[:-1], photo + "0", "x" * 64):
            assert server.ask("GET", f"/api/{kind}/{key}").status == 404


def test_a_finished_file_of_a_run_is_downloaded_whole_or_in_part(server: Server, run: str) -> None:
    whole = server.ask("GET", f"/api/model/{run}/model.keras")
    assert (whole.status, whole.body) == (200, bytes(range(256)) * 4)
    assert whole.headers["Content-Disposition"] == 'attachment; filename="model.keras"'
    part = server.ask("GET", f"/api/model/{run}/model.keras", Range="bytes=3-5")
    assert (part.status, part.body) == (206, b"\3\4\5")


def test_a_damaged_file_of_a_run_is_named_and_not_given_out(server: Server, run: str) -> None:
    answer = server.ask("GET", f"/api/model/{run}/model.tflite")
    assert answer.status == 422 and answer.json["error"].startswith("Files of this model are damaged: model.tflite.")
    assert answer.json["hint"] == say("hint.model_damaged")


def test_only_finished_files_of_a_run_are_given_out(server: Server, run: str) -> None:
    for name in ("dataset.json", "../headstart.db", "model.keras.tmp", ""):
        assert server.ask("GET", f"/api/model/{run}/{quote(name, safe='')}").status == 404
    assert server.ask("GET", f"/api/model/{'0' * 32}/model.keras").status == 404


def test_the_pictures_of_a_project_are_downloaded_as_one_zip(server: Server, photo: str) -> None:
    (project,) = [each for each in server.store.projects() if album.count(server.store, each.id, album.Filter())][:1]
    answer = server.ask("GET", f"/api/dataset/{project.id}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archived:
        assert len(archived.namelist()) == album.count(server.store, project.id, album.Filter()) + 1
        assert archived.testzip() is None
    for key in ("0" * 32, "..", "x"):
        assert server.ask("GET", f"/api/dataset/{quote(key, safe='')}").status == 404


# -- addresses and errors

PAYLOADS = (
    "..", "../", "../headstart.db", "../../headstart.db", "../../../../../../etc/passwd", "..\\..\\headstart.db",
    "..%2f..%2fheadstart.db", "%2e%2e/%2e%2e/headstart.db", "%2e%2e%2fheadstart.db", "..%5c..%5cheadstart.db",
    "%252e%252e%252fheadstart.db", "..%252f..%252fheadstart.db", "....//....//headstart.db", "..;/headstart.db",
    "%c0%ae%c0%ae/headstart.db", "%ef%bc%8e%ef%bc%8e/headstart.db", "/etc/passwd", "%2fetc%2fpasswd",
    "//etc/passwd", "file:///etc/passwd", "C:%5cWindows%5cwin.ini", "%5c%5cserver%5cshare", "%00", "model.keras%00.txt",
    "~/.ssh/id_rsa", ".", "./headstart.db", "%2e%2fheadstart.db", "model.keras/../dataset.json",
    "%0d%0aSet-Cookie:%20a=b", "'%20OR%201=1--", "%F0%9F%90%88" * 300,
)  # fmt: skip


@pytest.mark.parametrize("place", [0, 1])
def test_no_address_leads_out_of_the_tables(server: Server, run: str, place: int) -> None:
    key = uuid.uuid4().hex
    before = set(server.store.home.rglob("*"))
    for payload in PAYLOADS:
        last = [f"/api/model/{run}/{payload}", f"/api/upload/{key}/{payload}"]
        inner = [f"/api/model/{payload}/model.keras", f"/api/upload/{payload}/0", f"/api/thumbnail/{payload}",
                 f"/api/picture/{payload}"]  # fmt: skip
        for target in (last, inner)[place]:
            answer = server.ask("GET", target)
            assert answer.status == 404, target
            assert answer.json["error"] == say("error.address_unknown")
            assert "Set-Cookie" not in answer.headers
            if "/upload/" in target:
                assert server.put(target, b"x", 0, 1, "a.png").status == 404, target
    assert set(server.store.home.rglob("*")) == before


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("target", ["/api", "/api/", "/api/x", "/api/thumbnail", "/api/upload/x", "/api/v1/predict"])
def test_an_unknown_address_under_api_is_a_404_in_json(server: Server, method: str, target: str) -> None:
    answer = server.ask(method, target)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/json"


def test_a_fault_of_ours_shows_an_id_and_the_log_the_rest(server: Server, photo: str) -> None:
    in_the_way = server.store.thumbnail(photo).parent
    shutil.rmtree(in_the_way, ignore_errors=True)
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.write_bytes(b"")
    try:
        answer = server.ask("GET", f"/api/thumbnail/{photo}")
    finally:
        in_the_way.unlink()
    assert answer.status == 500 and set(answer.json) == {"error", "hint"}
    text = answer.body.decode()
    assert "Traceback" not in text and str(server.store.home) not in text and "thumbnails" not in text
    key = answer.json["error"].split("(error ")[1][:8]
    log = server.log.read_text()
    assert f"error {key}" in log and "FileExistsError" in log


def test_a_picture_that_cannot_be_read_any_more_gets_a_sentence(server: Server) -> None:
    with server.store.write() as db:
        db.execute("INSERT INTO picture VALUES (?, 9, 9, 'p', '[]')", ("e" * 64,))
    path = server.store.pictures.path("e" * 64)
    path.parent.mkdir(exist_ok=True)
    assert server.ask("GET", f"/api/picture/{'e' * 64}").status == 404
    path.write_bytes(b"no picture")
    answer = server.ask("GET", f"/api/picture/{'e' * 64}")
    assert (answer.status, answer.json["error"]) == (422, messages.error("bytes_changed", {})[0])


# -- the guard


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 404), ("localhost:{port}", 404), ("LOCALHOST:1", 404), ("127.0.0.1:{port}", 404),
        ("[::1]:{port}", 404), ("[::1]", 404),
        ("evil.com", 403), ("evil.com:{port}", 403), ("localhost.evil.com", 403), ("evil.com#localhost", 403),
        ("localhost@evil.com", 403), ("localhost.", 403), ("127.0.0.2", 403), ("[::2]", 403), ("0.0.0.0:{port}", 403),
        ("localhost:1:2", 403), ("localhost:x", 403), ("::1", 403), ("localhost,evil.com", 403), (" ", 403),
    ],
)  # fmt: skip
def test_only_known_hosts_are_answered(server: Server, host: str, status: int) -> None:
    answer = server.ask("GET", "/api/x", Host=host.format(port=server.port), Origin="")
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("GET", "", 404), ("GET", "http://evil.com", 404), ("HEAD", "", 404),
        ("PUT", "http://localhost:{port}", 404), ("POST", "https://localhost:{port}", 404),
        ("PUT", "", 403), ("POST", "null", 403), ("DELETE", "http://evil.com", 403), ("PATCH", "http://localhost", 403),
        ("PUT", "http://localhost:1", 403), ("PUT", "http://127.0.0.1:{port}", 403),
        ("PUT", "file://localhost:{port}", 403), ("PUT", "http://localhost:{port}.evil.com", 403),
        ("PUT", "http://evil.com@localhost:{port}", 403), ("PUT", "localhost:{port}", 403), ("PUT", "http://[", 403),
    ],
)  # fmt: skip
def test_only_our_own_pages_may_change_anything(server: Server, method: str, origin: str, status: int) -> None:
    assert server.ask(method, "/api/x", Origin=origin.format(port=server.port)).status == status


def test_a_request_with_two_hosts_is_refused(server: Server) -> None:
    assert shake_hands(server, "GET /api/x HTTP/1.1", f"Host: localhost:{server.port}\r\nHost: evil.com") in (400, 403)


def shake_hands(server: Server, line: str, headers: str) -> int:
    """The status of a raw request."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(f"{line}\r\n{headers}\r\n{upgrade}\r\n{key}\r\n\r\n".encode())
        return int(raw.recv(100).split()[1])


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:{port}", "http://localhost:{port}", 101), ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("localhost:{port}", "http://evil.com", 403), ("localhost:{port}", None, 403),
        ("localhost:{port}", "null", 403), ("evil.com", "http://evil.com", 403),
        ("localhost:{port}", "http://127.0.0.1:{port}", 403), ("evil.com", None, 403),
    ],
)  # fmt: skip
def test_a_websocket_opens_for_our_own_pages_alone(server: Server, host: str, origin: str | None, status: int) -> None:
    headers = f"Host: {host}" + (f"\r\nOrigin: {origin}" if origin else "")
    assert shake_hands(server, "GET /talk HTTP/1.1", headers.format(port=server.port)) == status


def test_every_answer_carries_the_security_headers_once(server: Server, photo: str) -> None:
    for target in (f"/api/thumbnail/{photo}", "/api/x", "/not/api"):
        headers = server.ask("GET", target).headers
        for name, value in {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
                            "Referrer-Policy": "same-origin"}.items():  # fmt: skip
            assert headers.get_all(name) == [value], target
        assert "camera=(self)" in headers["Permissions-Policy"]
        policy = headers["Content-Security-Policy"]
        assert "object-src 'none'" in policy and f"ws://localhost:{server.port} " in policy
        assert "'unsafe-eval'" not in policy and "script-src 'self' 'sha256-" in policy


def test_more_hosts_are_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOSTS", "lab.example, Box ")
    watch = guard.Guard(lambda scope, receive, send: None)  # type: ignore[arg-type,return-value]
    for host, refused in (("lab.example:80", False), ("box", False), ("localhost", False), ("", True), ("lab", True)):
        scope = {"type": "http", "method": "GET", "headers": [(b"host", host.encode())]}
        assert (watch._check(scope)[1] is not None) == refused, host
