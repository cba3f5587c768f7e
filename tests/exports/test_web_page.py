"""The web page answers in Chromium, without a network, as Keras and the app do; it asks nobody but its own server."""

import base64
import functools
import http.server
import io
import json
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from PIL import ExifTags, Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core.explain import novelty
from core.explain.predictor import Predictor
from core.exports import formats, litert_js, made
from core.jobs import queue
from core.language import catalog
from core.sandbox import decoding
from core.scores.evaluation import Evaluation
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store
from tests import workers
from tests.conftest import once

pytestmark = pytest.mark.browser

PAGE = formats.find("web_page")
# A page without its own script, so that the test can open the engine; it asks about pictures given as base64.
ASK = """
async (pictures) => {
  const { open } = await import("./engine_litert.js")
  const engine = open(JSON.parse(document.getElementById("front").textContent))
  const answers = []
  for (const each of pictures) {
    const bytes = Uint8Array.from(atob(each), (letter) => letter.charCodeAt(0))
    answers.push(await engine.ask(new Blob([bytes])).catch((error) => error.message))
  }
  return answers
}
"""


@dataclass(frozen=True)
class Site:
    """A page that was unpacked and is served, the run it was made of, and what was measured of it."""

    store: Store
    run: Run
    folder: Path
    url: str
    facts: made.Made


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """LiteRT.js as it is published, through npm."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        if shutil.which("npm"):
            wanted = [f"{each.name}@{litert_js.VERSION}" for each in litert_js.PACKAGES]
            environment = os.environ | {"npm_config_fetch_retries": "0"}
            subprocess.run(["npm", "pack", *wanted], cwd=folder, env=environment, capture_output=True, timeout=120)

    folder = once(tmp_path_factory, "litertjs", fetch)
    found = {path.name: path.read_bytes() for path in folder.glob("*.tgz")}
    if set(found) != {each.file_name for each in litert_js.PACKAGES}:
        pytest.skip("npm cannot fetch LiteRT.js here")
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    """`python -m http.server`, without its log."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, trained: Path, packages: dict[str, bytes]) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("web_page")
    store = Store(shutil.copytree(trained, root / "home"))
    for name, data in packages.items():
        litert_js.receive(store.home, name, data)
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    # Half of the pictures get no answer, for one reason or the other.
    scores = evaluation(store, run)
    far = novelty.measured(store.folder(run.id), "test")
    assert far is not None
    least = float(np.quantile(scores.probabilities.max(axis=1), 0.3))
    Thresholds(least, farthest=float(np.quantile(far.known, 0.7))).write(store.folder(run.id))
    with workers.no_processes():
        job = workers.wait(store, made.start(store, run, PAGE))
    assert job.state == "succeeded", queue.get(store, job.id)
    facts = made.read(store, run.id, PAGE)
    assert facts is not None
    with zipfile.ZipFile(made.folder(store, run.id, PAGE) / PAGE.file) as archive:
        archive.extractall(root / "page")
    handler = functools.partial(Quiet, directory=str(root / "page"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(store, run, root / "page", f"http://127.0.0.1:{server.server_port}/", facts)
    server.shutdown()
    server.server_close()


@pytest.fixture
def phone(chromium: Browser, site: Site) -> Iterator[Page]:
    """A small screen without a network: nothing but the page's own server can be asked, and nothing else is."""
    context: BrowserContext = chromium.new_context(viewport={"width": 390, "height": 844}, permissions=["camera"])
    elsewhere: list[str] = []

    def answer(route: Any) -> None:
        if route.request.url.startswith((site.url, "file:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort("internetdisconnected")

    context.route("**/*", answer)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.set_default_timeout(30_000)
    yield page
    assert elsewhere == [] and problems == []
    context.close()


def evaluation(store: Store, run: Run) -> Evaluation:
    return Evaluation.from_dict(json.loads((store.folder(run.id) / "evaluation-test.json").read_bytes()))


def as_jpeg(data: bytes, scale: int = 1, turn: int = 1) -> bytes:
    """A picture as JPEG, larger, and with an orientation for cameras that are held on their side."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    out = io.BytesIO()
    image.resize((image.width * scale, image.height * scale)).save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def ask(page: Page, site: Site, pictures: list[bytes]) -> list[Any]:
    page.route("**/main.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(site.url)
    answers: list[Any] = page.evaluate(ASK, [base64.b64encode(each).decode() for each in pictures])
    page.unroute("**/main.js")
    return answers


def test_the_page_answers_as_keras_and_is_judged_as_by_the_app(phone: Page, site: Site) -> None:
    folder, scores = site.store.folder(site.run.id), evaluation(site.store, site.run)
    originals = [site.store.pictures.path(key).read_bytes() for key in scores.ids]
    jpegs = [as_jpeg(each, turn=1 + i % 8) for i, each in enumerate(originals)]
    model = keras.models.load_model(folder / "model.keras", compile=False)
    pictures = [*originals, *jpegs]
    expected = model.predict(np.stack([decoding.square(each, model.input_shape[1]) for each in pictures]), verbose=0)
    found = ask(phone, site, pictures)
    with Predictor(folder) as predictor:
        ours = [predictor.predict(each) for each in pictures]
    for said, keras_said, app in zip(found, expected, ours, strict=True):
        probabilities = dict(said["scores"])
        ordered = [probabilities[label] for label in scores.classes]
        np.testing.assert_allclose(ordered, keras_said, atol=1e-3)
        assert (said["verdict"], said["scores"][0][0]) == (app.verdict, app.label)
        assert said["least"] == pytest.approx(app.least)
    assert {said["verdict"] for said in found} == {"answer", "unsure", "unknown"}
    assert site.facts.n == scores.n == site.facts.same and site.facts.difference < 1e-3


def test_a_large_jpeg_is_read_as_its_decoder_reads_it(phone: Page, site: Site) -> None:
    scores = evaluation(site.store, site.run)
    first = site.store.pictures.path(scores.ids[0]).read_bytes()
    large = as_jpeg(first, scale=8)
    with Predictor(site.store.folder(site.run.id)) as predictor:
        app = dict(predictor.predict(large).scores)
    said, broken = ask(phone, site, [large, b"no picture"])
    assert max(abs(app[label] - p) for label, p in said["scores"]) < 1e-2
    assert broken == catalog.say("web_page.unreadable")


def test_a_visitor_tries_an_example_and_the_camera_with_nobody_else_asked(phone: Page, site: Site) -> None:
    phone.goto(site.url)
    expect(phone.get_by_role("heading", level=1)).to_have_text(site.store.projects()[0].name)
    phone.locator("#examples button").first.click()
    expect(phone.locator("#answer h2")).to_be_visible()
    expect(phone.locator("#why")).to_be_hidden()
    expect(phone.locator("#wrong")).to_be_hidden()
    for theme in ("light", "dark"):
        phone.emulate_media(color_scheme=theme)
        if phone.evaluate("typeof axe === 'undefined'"):
            phone.evaluate(AXE_SCRIPT)
        found = phone.evaluate("axe.run(document)")
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    for width in (390, 320):
        phone.set_viewport_size({"width": width, "height": 844})
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.locator("#live").click()
    expect(phone.locator("#answer")).to_contain_text(catalog.say("visitor.live_rate").partition("} ")[2])
    phone.locator("#close").click()


def test_its_policy_allows_no_address_outside_and_as_a_file_it_says_what_to_do(chromium: Browser, site: Site) -> None:
    page = chromium.new_page()
    page.goto(site.url)
    outside = "fetch('https://example.org/').then(() => 'asked', () => 'refused')"
    blocked = "new Promise((told) => addEventListener('securitypolicyviolation', (event) => told(event.blockedURI)))"
    assert page.evaluate(f"Promise.all([{outside}, {blocked}])") == ["refused", "https://example.org/"]
    page.goto((site.folder / "index.html").as_uri())
    expect(page.get_by_role("main")).to_have_text(catalog.say("web_page.as_file"))
    page.close()
    assert "python -m http.server" in (site.folder / "README.txt").read_text()
