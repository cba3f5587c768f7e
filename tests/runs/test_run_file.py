import json
import time
from pathlib import Path

import pytest
import yaml

from core import album, messages, runfile
from core.__main__ import main
from core.errors import HeadstartError
from core.store import Store
from tests import pictures


@pytest.fixture
def text(trained: Path) -> str:
    """The file of the run that `trained` has."""
    store = Store(trained)
    return runfile.write(store, store.runs(store.projects()[0].id)[0])


def changed(text: str, **parts: object) -> bytes:
    return yaml.safe_dump(yaml.safe_load(text) | parts).encode()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    status = main(["run", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def scores(home: Path) -> bytes:
    store = Store(home)
    return (store.folder(store.runs(store.projects()[0].id)[0].id) / "evaluation-test.json").read_bytes()


def test_the_file_names_plan_pictures_parts_versions_weights_and_scores(text: str) -> None:
    values = yaml.safe_load(text)
    assert values["headstart_run"] == 1 and values["plan"]["epochs"] == 20
    assert values["data"]["classes"] == {"circle": 12, "square": 12, "triangle": 12}
    assert values["split"] == {"seed": 0, "val": 0.15, "test": 0.15, "pictures": {"train": 24, "val": 6, "test": 6}}
    assert set(values["versions"]) == {"headstart", "python", "keras", "numpy", "pillow", "tensorflow"}
    assert values["versions"]["keras"].startswith("3.") and len(values["weights"]["sha256"]) == 64
    assert values["scores"]["test_n"] == 6


def test_the_same_pictures_and_file_are_the_same_run_found_finished(
    trained: Path, shapes: Path, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    before = len(Store(trained).read("SELECT id FROM job"))
    status, answer = run(
        capsys, str(shapes), "--home", str(trained), "--run-file", str(tmp_path / "run.yaml"), "--out", str(tmp_path)
    )
    assert status == 0 and answer["remarks"] == [] and len(Store(trained).read("SELECT id FROM job")) == before
    assert (tmp_path / "run.yaml").read_text() == text


def test_in_a_fresh_home_the_file_gives_the_same_test_scores_bit_for_bit(
    trained: Path, store: Store, shapes: Path, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    status, answer = run(capsys, str(shapes), "--home", str(store.home), "--run-file", str(tmp_path / "run.yaml"))
    assert status == 0 and answer["remarks"] == []
    assert scores(store.home) == scores(trained)


def test_other_pictures_make_a_run_of_its_own_that_says_so(
    store: Store, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    other = pictures.folders(tmp_path / "other", per_class=8)
    status, answer = run(capsys, str(other), "--home", str(store.home), "--run-file", str(tmp_path / "run.yaml"))
    remark = messages.note("runfile_differs", {})
    assert status == 0 and answer["remarks"] == [remark]
    assert store.runs(store.projects()[0].id)[0].note == remark


def test_other_options_beside_a_file_are_refused(
    shapes: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.yaml").write_text(text)
    status, answer = run(capsys, str(shapes), "--run-file", str(tmp_path / "run.yaml"), "--epochs", "3", "--seed", "0")
    assert status == 1
    assert answer["error"] == "A run file sets everything, so --epochs, --seed cannot be given beside it."


def test_pictures_are_divided_as_the_file_says_only_if_that_makes_them_the_files(
    tmp_path: Path, shapes: Path, store: Store, text: str
) -> None:
    from core import jobs
    from tests.conftest import wait

    project = store.add_project("p")
    wait(store, jobs.start(store, project.id, "intake", {"path": str(shapes), "batch": "a"}))
    album.set_split(store, project.id, 7, 0.2, 0.3)
    other = store.dataset(project.id).fingerprint
    wanted = runfile.read(text.encode())
    assert other != wanted.fingerprint
    assert not runfile.settle(store, project.id, runfile.read(changed(text, data={"fingerprint": "0" * 64})))
    assert store.dataset(project.id).fingerprint == other
    assert runfile.settle(store, project.id, wanted)
    assert store.dataset(project.id).fingerprint == wanted.fingerprint


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "runfile_foreign"),
        (b"hello", "runfile_foreign"),
        (b"- 1\n- 2", "runfile_foreign"),
        (b"\xff\xfe\x00\x01", "runfile_foreign"),
        (b"plan: {epochs: 3}", "runfile_foreign"),
        (b"a: [1, 2", "runfile_unreadable"),
        (b"a: !!python/object/apply:os.system ['true']", "runfile_unreadable"),
        (b"a: &a [1, 1]\nb: [*a, *a]\nheadstart_run: 1", "runfile_references"),
        (b"[" * 100_000, "runfile_foreign"),
        (b"a: " + b"x" * 300_000, "runfile_large"),
        (b"headstart_run: 2", "runfile_newer"),
        (b"headstart_run: 1\nextra: 3", "runfile_unknown"),
        (b"headstart_run: 1", "runfile_value"),
    ],
)
def test_what_is_no_run_file_is_refused_with_a_sentence_at_once(data: bytes, code: str) -> None:
    began = time.process_time()
    with pytest.raises(HeadstartError) as error:
        runfile.read(data)
    assert error.value.code == code and error.value.message and error.value.hint
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("plan", {"epochs": 3, "speed": 4}, "There is no setting named speed."),
        ("plan", {"epochs": 0}, "epochs is 0; it must be from 1 to 500."),
        ("plan", {"epochs": "many"}, "epochs is many; it must be a whole number."),
        ("plan", {"backbone": "ResNet9000"}, "There is no backbone named ResNet9000."),
        ("plan", {"pooling": ["average"]}, "pooling is ['average']; it must be one of"),
        ("plan", 3, "In the run file, plan is 3; it must be a list of names with values."),
        ("data", {"fingerprint": 3}, "In the run file, data.fingerprint is 3; it must be a sha256."),
        ("split", {"seed": 0, "val": "x", "test": 0.1}, "In the run file, split.val is x; it must be a number."),
        ("split", {"seed": 0, "val": 0.9, "test": 0.9}, "In the run file, split is 0, 0.9, 0.9; it must be a seed"),
        ("split", {"seed": 0, "val": float("nan"), "test": 0.1}, "In the run file, split is 0, nan, 0.1"),
    ],
)
def test_every_value_of_a_file_is_checked(text: str, part: str, value: object, words: str) -> None:
    with pytest.raises(HeadstartError) as error:
        runfile.read(changed(text, **{part: value}))
    assert error.value.message.startswith(words)


def test_numbers_as_people_write_them_are_understood(text: str) -> None:
    plan = yaml.safe_load(text)["plan"] | {"learning_rate": "1e-3", "regularization": 50, "dropout": 0}
    wanted = runfile.read(changed(text, plan=plan)).plan
    assert wanted == runfile.read(text.encode()).plan
    assert isinstance(wanted.regularization, float) and isinstance(wanted.dropout, float)
