import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import backbones
from core.__main__ import main
from core.disk import home
from core.language.catalog import say
from core.learning import head
from core.plan import suggest
from core.scores.thresholds import Thresholds
from core.store import backups
from core.store.store import Store
from tests import drawing
from tests.conftest import TRAINED
from tests.inputs import Lab

pytestmark = pytest.mark.usefixtures("at_once")

KEYS = (
    "pictures excluded classes split backbone val_accuracy test_accuracy test_n test_interval before_fine_tune "
    "seconds model"
)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_run_answers_with_one_object_of_the_promised_keys(
    store: Store, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = run(capsys, "run", str(shapes), "--home", str(store.home), *TRAINED)
    assert status == 0 and list(answer) == KEYS.split()
    assert answer["pictures"] == 36 and answer["classes"] == ["circle", "square", "triangle"]
    assert answer["split"] == {"train": 24, "val": 6, "test": 6} and answer["test_n"] == 6
    assert answer["backbone"] == "Starter" and answer["before_fine_tune"] is None
    low, high = answer["test_interval"]
    assert 0 <= low <= answer["test_accuracy"] <= high <= 1
    assert list(answer["seconds"]) == ["intake", "features", "head", "fine_tune", "evaluate", "total"]
    assert answer["seconds"]["fine_tune"] == 0 < answer["seconds"]["features"] < answer["seconds"]["total"]
    assert Path(answer["model"]).is_absolute() and zipfile.is_zipfile(answer["model"])


def test_without_settings_the_plan_is_that_of_the_balanced_dial_for_these_pictures(
    store: Store, shapes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    for _ in range(2):
        assert run(capsys, "run", str(shapes), "--home", str(store.home), "--seed", "3")[0] == 0
    (project,) = store.projects()
    (found,) = store.runs(project.id)  # the same command again found it, although its test part is locked now
    assert found.plan == suggest("balanced", {"circle": 10, "square": 10, "triangle": 10}).with_(seed=3).to_dict()
    assert found.plan["augment"] == 3 and found.plan["regularization"] == 33.3


def test_the_same_command_again_finds_the_finished_model(
    trained: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(Store(trained).read("SELECT id FROM job"))
    status, answer = run(capsys, "run", str(shapes), "--home", str(trained), *TRAINED)
    assert status == 0
    assert not any(s for phase, s in answer["seconds"].items() if phase not in ("intake", "total"))
    assert len(Store(trained).read("SELECT id FROM job")) == before


def test_out_gets_a_model_that_predicts_without_tensorflow(
    trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(capsys, "run", str(shapes), "--home", str(trained), *TRAINED, "--out", str(out))
    drawing.draw("circle", 99).save(tmp_path / "new.png")
    (tmp_path / "text.png").write_text("no picture")
    script = (
        "import sys; from core.__main__ import main; status = main(sys.argv[1:]);"
        "sys.exit(status or 7 * any(name in sys.modules for name in ('tensorflow', 'keras')))"
    )
    command = [sys.executable, "-c", script, "predict", str(out / "model.keras"), str(tmp_path / "new.png")]
    done = subprocess.run([*command, str(tmp_path / "text.png"), "--json"], capture_output=True, text=True, check=True)
    first, second = json.loads(done.stdout)["predictions"]
    assert first["label"] == "circle" and sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert second["error"] == say("error.file_not_picture")
    Thresholds(0.0, {"circle": 1.01}).write(out)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "new.png: not sure enough (101% asked): circle (" in done.stdout


def test_an_uploaded_layout_is_kept_and_val_serves_as_test(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, n in (("train", 10), ("val", 4)):
        for label in ("circle", "square"):
            folder = tmp_path / "set" / part / label
            folder.mkdir(parents=True)
            for i in range(n):
                drawing.draw(label, i + 100 * (part == "val")).save(folder / f"{i}.png")
    status, answer = run(capsys, "run", str(tmp_path / "set"), "--home", str(store.home), *TRAINED)
    assert status == 0 and answer["split"] == {"train": 16, "val": 4, "test": 8}


def test_files_that_cannot_be_used_are_counted_and_named(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = drawing.folders(tmp_path / "set", per_class=4)
    (root / "circle" / "broken.jpg").write_bytes(b"")
    (root / "readme.txt").write_text("hello")
    Image.open(root / "square" / "000.png").save(root / "square" / "again.bmp")
    assert main(["run", str(root), "--home", str(store.home), *TRAINED]) == 0
    text = capsys.readouterr().out
    assert "Not used: circle/broken.jpg. The file has no bytes." in text
    assert "Not used: square/again.bmp. The same picture as square/000.png." in text or "square/000.png. The" in text
    status, answer = run(capsys, "run", str(root), "--home", str(store.home), *TRAINED)
    assert status == 0 and answer["excluded"] == {"file_empty": 1, "file_not_picture": 1, "duplicate": 1}
    assert answer["pictures"] + sum(answer["excluded"].values()) == 15


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backbone", "resnet9000"], say("error.backbone_unknown", name="resnet9000")),
        (["--fine-tune", "9"], say("error.too_many_blocks", n=9, backbone="Starter", limit=5)),
        (["--epochs", "0"], say("error.setting_bounds", setting="epochs", value=0, low=1, high=500)),
    ],
)
def test_a_wrong_setting_prints_error_and_hint_and_exits_1(
    arguments: list[str], words: str, tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = run(capsys, "run", str(shapes), "--home", str(tmp_path), *arguments)
    assert status == 1 and list(answer) == ["error", "hint"] and answer["error"] == words


def test_one_class_is_refused_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = drawing.folders(tmp_path / "set", per_class=3, labels=("circle",))
    status, answer = run(capsys, "run", str(root), "--home", str(tmp_path / "home"))
    assert status == 1 and "1 class" in answer["error"] and "circle" in answer["error"]


def test_missing_weights_without_a_network_say_what_to_fetch_and_where(
    tmp_path: Path, shapes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there: the network is unreachable
    status, answer = run(capsys, "run", str(shapes), "--home", str(tmp_path / "home"), "--backbone", "VGG16")
    assert status == 1 and "VGG16" in answer["error"]
    assert "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5" in answer["hint"]
    assert str(tmp_path / "keras" / "models") in answer["hint"] and "Starter, which works now" in answer["hint"]


@pytest.mark.slow
def test_the_sample_trains_and_its_unreadable_file_is_named(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.intake.sample import PLANTED

    main(["sample", str(tmp_path / "signs.zip")])
    capsys.readouterr()
    assert main(["run", str(tmp_path / "signs.zip"), "--home", str(store.home)]) == 0
    assert f"Not used: {PLANTED.unreadable}. The picture is cut off" in capsys.readouterr().out
    (project,) = store.projects()
    assert Counter(file.reason for file in store.unused(project.id)) == {"picture_cut_off": 1, "duplicate": 3}
    (finished,) = store.runs(project.id)
    assert len(store.dataset(project.id).pictures) == 304 and finished.result.test_accuracy > 0.85


@pytest.mark.slow
def test_the_hard_sample_is_half_learned_by_the_smallest_backbone(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "sample", str(tmp_path / "ladybugs.zip"), "--set", "ladybugs")
    _, answer = run(capsys, "run", str(tmp_path / "ladybugs.zip"), "--home", str(store.home), "--dial", "fast")
    assert answer["pictures"] == 320 and not answer["excluded"]
    assert 0.5 <= answer["test_accuracy"] <= 0.8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], say("error.usage", reason="the following arguments are required: data")),
        (
            ["run", "x", "--epochs", "many"],
            say("error.usage", reason="argument --epochs: invalid int value: 'many'"),
        ),
        (["run", "/nowhere"], say("error.data_missing", path="/nowhere")),
        (["predict", "/nowhere/model.keras", "a.jpg"], say("error.model_missing", path="/nowhere/model.keras")),
        (["sample", "/dev/null/x.zip"], "A file could not be read or written"),
    ],
)
def test_every_wrong_command_is_answered_with_one_object(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = run(capsys, *arguments)
    assert status == 1 and list(answer) == ["error", "hint"] and answer["error"].startswith(words)


def noise(root: Path, n: int) -> Path:
    """Pictures of two classes that nothing tells apart."""
    rng = np.random.default_rng(0)
    for label in ("left", "right"):
        (root / label).mkdir(parents=True)
        for number in range(n):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((96, 96)).save(root / label / f"{number}.png")
    return root


def test_a_huge_head_on_twenty_pictures_is_stopped_and_named_as_over_fitting(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = noise(tmp_path / "noise", 10)
    command = ["run", str(data), "--home", str(store.home), "--preset", "textbook", "--backbone", "Starter"]
    assert main(command) == 0
    text = capsys.readouterr().out
    run = store.runs(store.projects()[0].id)[0]
    fitted = run.outcome.head
    n = len(fitted.history)
    assert n - fitted.best_epoch >= 4 and fitted.history[-1]["accuracy"] == 1.0
    assert say("note.rising_head", n=n - fitted.best_epoch, best=fitted.best_epoch) in text
    assert say("note.stopped_head", n=n, total=20, patience=10) in text
    assert f"- {say('note.try_average')}" in text and f"- {say('note.try_fewer', n=1024)}" in text
    assert f"- {say('note.try_pictures', n=run.outcome.split.train)}" in text
    # Exactly the recipe: all of the map, 1,024 neurons, one answer for each class.
    with np.load(store.folder(run.id) / "head.npz") as layers:
        assert [layers[name].shape for name in ("k_0", "k_1")] == [(8 * 8 * 512, 1024), (1024, 2)]


@pytest.mark.slow
def test_the_textbook_recipe_trains_with_vgg16_and_random_weights(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    keras_home = tmp_path / "keras"
    (keras_home / "models").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    _, path = backbones.given_paths(backbones.VGG16)
    keras.utils.set_random_seed(0)
    with h5py.File(path, "w") as file:  # the older format, under the name of weights that a user gave
        network = keras.applications.VGG16(include_top=False, weights=None)
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    data = drawing.folders(tmp_path / "shapes", per_class=4)
    command = ("run", str(data), "--home", str(store.home), "--preset", "textbook", "--epochs", "6")
    status, answer = run(capsys, *command)
    assert status == 0, answer
    assert answer["backbone"] == "VGG16" and answer["pictures"] == 12
    with np.load(Path(answer["model"]).parent / "head.npz") as layers:
        assert [layers[name].shape for name in ("k_0", "k_1")] == [(7 * 7 * 512, 1024), (1024, 3)]
    (finished,) = store.runs(store.projects()[0].id)
    losses = [row["loss"] for row in finished.outcome.head.history]
    assert min(losses) < 0.5 * losses[0] or max(row["accuracy"] for row in finished.outcome.head.history) > 0.9


def test_a_head_too_large_for_the_memory_is_refused_before_pictures_are_looked_at(
    store: Store, shapes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "memory_bytes", lambda: 1 << 30)
    textbook = ("--preset", "textbook", "--backbone", "Starter")
    status, answer = run(capsys, "run", str(shapes), "--home", str(store.home), *textbook)
    assert status == 1 and answer["error"] == (say("error.head_too_large", millions=34, needed_gb=1.1, limit_gb=0.5))
    assert not list((store.home / "features").glob("*/*.npy"))


def test_export_data_writes_a_zip_that_comes_back_in_unchanged(
    tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.zip"
    status, said = run(capsys, "export-data", str(out), "--home", str(trained))
    assert (status, said["pictures"], said["path"]) == (0, 36, str(out))
    lab = Lab(tmp_path / "lab")
    taken = lab.take(out)
    (project,) = Store(trained).projects()
    assert lab.store.dataset(taken.project_id).fingerprint == Store(trained).dataset(project.id).fingerprint
    status, said = run(capsys, "export-data", str(out), "--home", str(trained), "--project", "none of these")
    assert status == 1 and say("error.project_missing") in said["error"]


def test_a_backup_is_listed_and_put_back_but_not_under_a_server(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home"
    shutil.copytree(trained, folder)
    assert run(capsys, "restore", "--home", str(folder)) == (0, {"backups": []})
    made = backups.make(folder, "daily").path.name
    Store(folder).add_project("of after the backup")
    assert run(capsys, "restore", "--home", str(folder)) == (0, {"backups": [made]})
    lock = home.claim(folder, "http://localhost:8501")
    assert lock is not None
    assert run(capsys, "restore", made, "--home", str(folder))[0] == 1 and len(Store(folder).projects()) == 2
    os.close(lock)
    assert run(capsys, "restore", "other.db", "--home", str(folder))[0] == 1
    assert run(capsys, "restore", made, "--home", str(folder)) == (0, {"restored": made, "projects": 1})


@pytest.mark.usefixtures("at_once")
def test_a_project_is_archived_opened_and_reported(
    capsys: pytest.CaptureFixture[str], trained: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "p.headstart.zip", tmp_path / "other"
    (project,) = Store(trained).projects()
    status, said = run(capsys, "archive", project.name, str(out), "--home", str(trained))
    assert status == 0 and said["pictures"] == 36 and not said["damaged"]
    status, said = run(capsys, "open", str(out), "--home", str(other))
    assert status == 0 and (said["name"], said["pictures"], len(said["runs"])) == (project.name, 36, 1)
    page = tmp_path / "r.html"
    status, told = run(capsys, "report", said["runs"][0], "--home", str(other), "--out", str(page))
    assert status == 0 and told["run"] == said["runs"][0] and project.name in page.read_text()
    out.write_bytes(out.read_bytes()[:-50])
    status, said = run(capsys, "open", str(out), "--home", str(other))
    assert status == 1 and "p.headstart.zip" in said["error"] and len(Store(other).projects()) == 1


@pytest.mark.parametrize("command", [["run", "DATA"], ["export-data", "OUT"]])
def test_commands_say_in_a_sentence_that_the_database_is_damaged(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "headstart.db").write_bytes(b"no database" * 900)
    words = [{"DATA": str(shapes), "OUT": str(tmp_path / "out.zip")}.get(word, word) for word in command]
    status, answer = run(capsys, *words, "--home", str(tmp_path / "home"))
    assert status == 1 and "is damaged" in answer["error"] and "start it again" in answer["hint"]
