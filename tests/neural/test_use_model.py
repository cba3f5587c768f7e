import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from core import backbones
from core.explain import novelty
from core.explain.novelty import Known
from core.explain.predictor import Predictor
from core.learning.head import Head
from core.neural import __file__ as neural
from core.neural import model, networks
from core.neural.exported import use_model
from core.plan import Plan
from core.runs import keras_script
from core.sandbox import decoding
from core.scores.thresholds import Thresholds
from core.store.store import Store
from tests import drawing, forks
from tests.bad_files import encoded, noise
from tests.texts import in_portuguese


def test_the_exported_script_answers_like_the_demo_with_nothing_of_headstart_around(
    trained: Path, tmp_path: Path
) -> None:
    store = Store(trained)
    folder = store.folder(store.runs(store.projects()[0].id)[0].id)
    for source in (Path(neural).parent / "exported" / "use_model.py", folder / "model.keras"):
        shutil.copy(source, tmp_path)
    for label in drawing.COLORS:
        drawing.draw(label, 77, side=160).resize((200, 130)).save(tmp_path / f"{label}.png")
    names = [f"{label}.png" for label in drawing.COLORS]
    Thresholds(0.0, {"circle": 1.01}).write(tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "use_model.py", "model.keras", *names],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with Predictor(folder) as predictor:
        answers = [predictor.predict((tmp_path / name).read_bytes()) for name in names]
    doubt = {"circle": "not sure enough (101% asked): "}
    expected = [
        f"{name}: {doubt.get(a.label, '')}{a.label} ({a.probability:.1%})"
        for name, a in zip(names, answers, strict=True)
    ]
    assert {a.label for a in answers} > {"circle"}
    assert done.stdout.splitlines() == expected
    (tmp_path / "use_model.py").write_bytes(in_portuguese(keras_script.use_model))
    script = "import runpy; runpy.run_path('use_model.py', run_name='__main__')"
    again = forks.run("keras", script, "model.keras", *names, "none.png", out=tmp_path, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    none, *others = again.stdout.splitlines()
    assert none.startswith("none.png: sem resposta, ")
    ours = "sem certeza suficiente (mínimo: 101%): "
    assert others == [line.replace(doubt["circle"], ours) for line in expected]


@pytest.mark.parametrize(
    "plan",
    [Plan(), Plan(pooling="flatten"), Plan(pooling="depths", mirrored=1)],
    ids=["average", "flatten", "depths, mirrored"],
)
def test_the_exported_script_refuses_what_the_demo_refuses(plan: Plan, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    network = networks.build(replace(backbones.STARTER, size=64), backbones.weights_path(backbones.STARTER))
    pixels = rng.integers(0, 256, (24, 64, 64, 3), np.uint8)
    pixels[:12] //= 4
    features = networks.features(network, plan).predict(pixels, verbose=0)
    assembled = model.assemble(network, Head(((rng.normal(size=(features.shape[1], 2)).astype(np.float32),
                                               np.zeros(2, np.float32)),)), plan)  # fmt: skip
    seen = novelty.directions(features[:12], plan.channels)
    known = Known(tuple(map(str, range(12))), seen, np.zeros(12, np.int64))
    (tmp_path / "known.npz").write_bytes(novelty.to_bytes(known, {}))
    distances = known.distances(features)
    middle = float(np.sort(distances)[11:13].mean())
    found = use_model.far(assembled, pixels, tmp_path / "known.npz", middle)
    assert found.tolist() == (distances > middle).tolist() and 0 < found.sum() < 24
    assert not use_model.far(assembled, pixels, tmp_path / "not there", None).any()
    with pytest.raises(SystemExit, match="download that too"):
        use_model.far(assembled, pixels, tmp_path / "not there", middle)


def turned() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return encoded(noise(60, 40), "JPEG", quality=95, exif=exif)


WIDE = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
GRAY = np.random.default_rng(3).integers(0, 65536, (40, 50)).astype(np.uint16)
ODD = {
    "large JPEG": encoded(noise(400, 300), "JPEG", quality=90),
    "turned": turned(),
    "16 bits": encoded(Image.fromarray(GRAY), "PNG"),
    "float": encoded(Image.fromarray(GRAY.astype(np.float32) / 7), "TIFF"),
    "transparent": encoded(noise(40, 30).convert("RGBA").rotate(30), "PNG"),
    "palette": encoded(noise(40, 30).convert("P"), "PNG"),
    "CMYK": encoded(noise(40, 30).convert("CMYK"), "JPEG", quality=95),
    "gray": encoded(noise(40, 30).convert("L"), "PNG"),
    "broken profile": encoded(noise(40, 30), "PNG", icc_profile=b"nothing of a profile"),
    "other profile": encoded(noise(40, 30), "PNG", icc_profile=WIDE),
}


@pytest.mark.parametrize("name", ODD)
def test_the_script_sees_the_pixels_of_the_training(name: str, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(ODD[name])
    ours = use_model.prepare(str(tmp_path / "picture"), 24).astype(int)
    # A profile that changes colors by one step of 255 is skipped in training.
    assert np.abs(ours - decoding.square(ODD[name], 24)).max() <= 1
