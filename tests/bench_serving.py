"""How fast the prediction API answers beside its bare engine: `python -m tests.bench_serving [--seconds N] [--json]`.

MobileNetV2 with ImageNet weights (KERAS_HOME), trained on drawn pictures, behind the whole app; 8 clients on the same
machine ask about JPEGs of 640 x 480, each for one picture at a time. The bare engine decodes the same pictures and runs
them in a loop, in one process for each core, without HTTP; half of it is measured before and half after the clients.
Needs an idle machine.
"""

import argparse
import http.client
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from core.demos import api_keys, published
from core.demos.published import Appearance
from core.settings import cores
from core.store.store import Store
from tests import browser, drawing
from tests.browser import Server

ROOT = Path(__file__).parent.parent
CLIENTS, CAMERA_S, LIVE_PX = 8, 5.0, 224
# name: (what it is, target)
ROWS = {
    "requests_per_second": ("Requests answered in a second, 8 clients", ""),
    "p50_ms": ("Half of the requests take at most, ms", ""),
    "p95_ms": ("Of 100 requests, 95 take at most, ms", ""),
    "errors": ("Requests without an answer", "0"),
    "vs_raw_engine": ("Share of the bare engine on all cores", ">= 0.8"),
    "live_camera_fps": ("Answers a second to one live camera", ">= 10"),
}
RAW = """
import sys, time
from pathlib import Path
from core.features import runtime
from core.sandbox import decoding
network = runtime.load_map(Path(sys.argv[1]), 1)
pictures = [path.read_bytes() for path in sorted(Path(sys.argv[2]).iterdir())]
network.run(decoding.square(pictures[0], network.size))
print("ready", flush=True)
sys.stdin.readline()
n, end = 0, time.perf_counter() + float(sys.argv[3])
while time.perf_counter() < end:
    network.run(decoding.square(pictures[n % len(pictures)], network.size))
    n += 1
print(n / float(sys.argv[3]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(Path(folder), options.seconds)
    if options.json:
        print(json.dumps(numbers))
    else:
        for name, (what, target) in ROWS.items():
            print(f"{what:44}{numbers[name]:>10.4g}   {target}")
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} in the last minute")
    return 0


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """All numbers of ROWS."""
    home, pictures = folder / "home", drawn(folder / "pictures")
    command = [sys.executable, "-m", "core", "run", str(drawing.folders(folder / "set")), "--home", str(home)]
    options = ["--backbone", "MobileNetV2", "--preset", "linear", "--epochs", "5", "--json"]
    subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    store = Store(home)
    run = store.runs(store.projects()[0].id)[0]
    demo = published.publish(store, run, Appearance("Bench"))
    _, secret = api_keys.make(store, demo, "bench", api_keys.FASTEST)
    raw = [raw_rate(store.folder(run.id), pictures, seconds / 2)]
    with browser.server(home, browser.free_port(), by_command=True) as app:
        bodies = [path.read_bytes() for path in sorted(pictures.iterdir())]
        path, headers = f"/api/v1/demos/{demo.token}/predict", {"Authorization": f"Bearer {secret}"}
        ask(app, path, headers, bodies, 1.0)  # starts the processes of the model
        times, errors, took = together(app, path, headers, bodies, seconds)
        frame = encoded(Image.open(io.BytesIO(bodies[0])).resize((LIVE_PX, LIVE_PX)))
        live, _ = ask(app, f"{demo.path}answer?live=1", {"Origin": app.url}, [frame], 1.0)
        live, _ = ask(app, f"{demo.path}answer?live=1", {"Origin": app.url}, [frame], CAMERA_S)
    raw.append(raw_rate(store.folder(run.id), pictures, seconds / 2))
    rate = len(times) / took
    return {
        "requests_per_second": round(rate, 1),
        "p50_ms": round(float(np.percentile(times, 50)) * 1000, 1),
        "p95_ms": round(float(np.percentile(times, 95)) * 1000, 1),
        "errors": errors,
        "vs_raw_engine": round(rate / float(np.mean(raw)), 3),
        "live_camera_fps": round(len(live) / CAMERA_S, 1),
    }


def drawn(folder: Path) -> Path:
    """A folder of 32 JPEGs of 640 x 480."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(32):
        picture = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((640, 480))
        (folder / f"{number:02}.jpg").write_bytes(encoded(picture))
    return folder


def encoded(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def raw_rate(model: Path, pictures: Path, seconds: float) -> float:
    """Pictures a second of the bare engine in one process for each core."""
    command = [sys.executable, "-c", RAW, str(model / "model.tflite"), str(pictures), str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, cwd=ROOT, text=True, bufsize=1, **pipes) for _ in range(cores())]  # type: ignore[call-overload]
    for each in running:
        assert each.stdout.readline() == "ready\n"
    for each in running:
        each.stdin.write("go\n")
    return sum(float(each.communicate()[0]) for each in running)


def together(
    app: Server, path: str, headers: dict[str, str], bodies: list[bytes], seconds: float
) -> tuple[list[float], int, float]:
    """Seconds of each request of all clients, how many failed, and the seconds all of it took."""
    found: list[tuple[list[float], int]] = []
    ordered = [[*bodies[i:], *bodies[:i]] for i in range(CLIENTS)]
    clients = [
        threading.Thread(target=lambda own=own: found.append(ask(app, path, headers, own, seconds))) for own in ordered
    ]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.perf_counter() - began
    return [each for times, _ in found for each in times], sum(errors for _, errors in found), took


def ask(
    app: Server, path: str, headers: dict[str, str], bodies: list[bytes], seconds: float
) -> tuple[list[float], int]:
    """Ask about one picture after the other over one connection: seconds of each answer, and how many failed."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    times, errors, end = [], 0, time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        connection.request("POST", path, bodies[(len(times) + errors) % len(bodies)], headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            times.append(time.perf_counter() - began)
        else:
            errors += 1
    connection.close()
    return times, errors


if __name__ == "__main__":
    sys.exit(main())
