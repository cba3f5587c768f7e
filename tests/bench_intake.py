"""How data comes in: `python -m tests.bench_intake [--json] [--quick]`.

Pictures a second of a whole intake (decoded once in limited processes, hashed, stored durably, thumbnails made) beside
`keras.utils.image_dataset_from_directory` reading the same files once; memory of the server while 2 GB are uploaded;
the data page at 100,000 pictures; bad inputs; the audit; intake at three sizes. `--quick` leaves 100,000 pictures out.
The gallery's numbers need Chromium; without it they are null.
"""

import argparse
import hashlib
import http.client
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import sync_playwright

from core.audit import findings
from core.dataset import Facts, File, Received
from core.jobs import queue
from core.jobs.kinds import AUDIT, INTAKE, Delivery
from core.jobs.queue import Job
from core.pictures import album, receiving
from core.pictures.album import Filter
from core.settings import cores
from core.store.store import Project, Store
from tests import bench_web, browser, inputs

Numbers = dict[str, float | None]

CLASSES, WIDTH, HEIGHT = 10, 320, 240
SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
ROWS = 100_000
UPLOAD_BYTES, CHUNK_BYTES, MEMBER_BYTES = 2_000_000_000, 8_000_000, 40_000_000
_KERAS = """
import sys, time
import keras
began = time.monotonic()
data = keras.utils.image_dataset_from_directory(sys.argv[1], image_size=(224, 224), batch_size=32, verbose=False)
n = sum(len(labels) for _, labels in data)
print(n / (time.monotonic() - began))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="leave out intake of 100,000 pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder), options.quick)
    if options.json:
        print(json.dumps(numbers))
    else:
        for name, value in numbers.items():
            print(f"{name:32}{'-' if value is None else f'{value:12.5g}'}")
    return 0


def measure(folder: Path, quick: bool) -> Numbers:
    """All numbers, each with what it needs in a folder of its own."""
    numbers: Numbers = {}
    for name, n in SIZES.items():
        if quick and name == "100k":
            numbers[f"intake_seconds_per_1k_at_{name}"] = None
            continue
        source = draw(folder / f"pictures-{name}", n)
        store = Store(folder / f"home-{name}")
        project = store.add_project(name)
        seconds = intake_s(store, project, source)
        numbers[f"intake_seconds_per_1k_at_{name}"] = round(1000 * seconds / n, 3)
        say(f"intake of {name}: {seconds:.1f} s")
        if name == "1k":
            numbers["pictures_per_second"] = round(n / seconds, 1)
            numbers["keras_pictures_per_second"] = keras_per_second(source)
            numbers["audit_seconds_per_1k"] = round(1000 * audit_s(store, project) / n, 2)
    numbers["rss_growth_mb_2gb_zip"] = rss_growth_mb(folder)
    numbers["rows_100k_rerun_ms_p95"] = rerun_ms_p95(folder)
    failures = bad_inputs()
    for name, failure in failures.items():
        if failure:
            say(f"{name}: {failure}")
    numbers["bad_inputs_passed"] = sum(not failure for failure in failures.values())
    numbers["bad_inputs_total"] = len(failures)
    return numbers


def bad_inputs() -> dict[str, str]:
    """The table of bad inputs, on all cores: most of a case is waiting for a process that starts."""
    names = tuple(inputs.CASES)
    with ProcessPoolExecutor(cores(), mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = pool.map(inputs.run, [names[i :: cores()] for i in range(cores())])
        return {name: failure for part in parts for name, failure in part.items()}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def draw(folder: Path, n: int) -> Path:
    """So many JPEGs in class folders: coarse noise under a gradient, no two the same."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 120, WIDTH, dtype=np.uint8)[None, :, None]
    for label in range(CLASSES):
        (folder / f"class-{label}").mkdir(parents=True)
    for i in range(n):
        coarse = Image.fromarray(rng.integers(0, 136, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)) + slope
        Image.fromarray(pixels).save(folder / f"class-{i % CLASSES}" / f"{i}.jpg", quality=85)
    return folder


def wait(store: Store, job: Job) -> Job:
    while (job := queue.tend(store, job.id)).active:
        time.sleep(0.05)
    assert job.state == "succeeded", job.error
    return job


def intake_s(store: Store, project: Project, source: Path) -> float:
    """Seconds from the click to the divided dataset, the start of the worker's process included."""
    began = time.monotonic()
    wait(store, queue.start(store, project.id, INTAKE, Delivery(str(source), "all")))
    seconds = time.monotonic() - began
    n = sum(1 for _ in source.rglob("*.jpg"))
    assert len(store.dataset(project.id).pictures) == n
    return seconds


def audit_s(store: Store, project: Project) -> float:
    """Seconds of the audit of a project that has just come in, nothing cached."""
    job = queue.current(store, project.id, AUDIT) or findings.start(store, project.id)
    job = wait(store, job)
    assert job.ended_at is not None
    return job.ended_at - job.created_at


def keras_per_second(source: Path) -> float:
    """Pictures a second of Keras' own reader, its import not counted."""
    done = subprocess.run(
        [sys.executable, "-c", _KERAS, str(source)], capture_output=True, text=True, check=True, timeout=600
    )
    return round(float(done.stdout.splitlines()[-1]), 1)


def rss_growth_mb(folder: Path) -> float:
    """By how many MB the server grows at most while a ZIP of 2 GB is sent to it, as the browser sends it."""
    source = folder / "large.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(source, "w") as packed:
        while source.stat().st_size < UPLOAD_BYTES:
            packed.writestr(f"noise/{packed.fp.tell()}.bin", rng.bytes(MEMBER_BYTES))  # type: ignore[union-attr]
    with browser.server(folder / "upload-home", browser.free_port(), by_command=True) as app:
        process = psutil.Process(app.process.pid)
        before, peak, done = process.memory_info().rss, 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.02):
                peak = max(peak, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            send(app.port, source)
        finally:
            done.set()
            watcher.join()
    source.unlink()
    return round((peak - before) / 1e6, 1)


def send(port: int, source: Path) -> None:
    """Upload a file in chunks."""
    size, offset, batch = source.stat().st_size, 0, uuid.uuid4().hex
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with source.open("rb") as file:
        while offset < size:
            path = f"/api/upload/{batch}/0?offset={offset}&size={size}&name=large.zip"
            connection.request("PUT", path, file.read(CHUNK_BYTES), {"Origin": f"http://127.0.0.1:{port}"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            assert answer.status == 200, said
            offset = said["offset"]
    connection.close()


def rerun_ms_p95(folder: Path) -> float | None:
    """The data page of a project with 100,000 rows: next pages, and the switch for left out pictures."""
    path = browser.chromium_path()
    if path is None:
        return None
    home = folder / "rows-home"
    project = rows(Store(home), ROWS)
    with browser.server(home, browser.free_port(), by_command=True) as app, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=browser.CHROMIUM_ARGS)
        with browser.tab(chromium, app.url) as page:
            times = bench_web.rerun_ms(page, app, project, ROWS)
        chromium.close()
    return round(float(np.percentile(times, 95)), 1)


def rows(store: Store, n: int) -> Project:
    """A project of so many rows, with thumbnails for those that are looked at."""
    project = store.add_project("Rows")
    received = []
    for i in range(n):
        key, label = hashlib.sha256(f"row {i}".encode()).hexdigest(), f"class {i % 50:02}"
        file = File(i, f"{label}/{i}.jpg", "used", label, picture_id=key)
        received.append(Received(file, Facts(key, WIDTH, HEIGHT, key, ())))
    receiving.receive(store, project.id, "rows", received)
    album.divide(store, project.id)
    shown = album.ids(store, project.id, Filter(), 0, 1_000)
    for row in album.classes(store, project.id):
        shown += album.ids(store, project.id, Filter(row.label), 0, 9)
    for key in shown:
        path = store.thumbnail(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (160, 120), "teal").save(path)
    return project


if __name__ == "__main__":
    sys.exit(main())
