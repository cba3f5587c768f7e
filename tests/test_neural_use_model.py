import os
import shutil
import subprocess
import sys
from pathlib import Path

from core.neural import __file__ as neural
from core.predictor import Predictor
from core.store import Store
from tests import pictures


def test_the_exported_script_answers_like_the_demo_with_nothing_of_headstart_around(
    trained: Path, tmp_path: Path
) -> None:
    store = Store(trained)
    folder = store.folder(store.runs(store.projects()[0].id)[0].id)
    for source in (Path(neural).parent / "use_model.py", folder / "model.keras"):
        shutil.copy(source, tmp_path)
    for label in pictures.COLORS:
        pictures.draw(label, 77, side=160).resize((200, 130)).save(tmp_path / f"{label}.png")
    names = [f"{label}.png" for label in pictures.COLORS]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "use_model.py", "model.keras", *names],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    with Predictor(folder) as predictor:
        answers = [predictor.predict((tmp_path / name).read_bytes()) for name in names]
    expected = [f"{name}: {a.label} ({a.probability:.1%})" for name, a in zip(names, answers, strict=True)]
    assert done.stdout.splitlines() == expected
