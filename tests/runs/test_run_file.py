import json
from pathlib import Path

import pytest
import yaml

from core.__main__ import main
from core.errors import HeadstartError
from core.jobs.kinds import INTAKE, Delivery
from core.language import messages
from core.language.catalog import say
from core.pictures import album
from core.runs import run_file
from core.store.store import Store
from tests import cpu, drawing

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def text(trained: Path) -> str:
    """The file of the run that `trained` has."""
    store = Store(trained)
    return run_file.write(store, store.runs(store.projects()[0].id)[0])


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
    other = drawing.folders(tmp_path / "other", per_class=8)
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
    assert answer["error"] == say("error.runfile_options", options="--epochs, --seed")


@pytest.mark.usefixtures("in_process")
def test_pictures_are_divided_as_the_file_says_only_if_that_makes_them_the_files(
    tmp_path: Path, shapes: Path, store: Store, text: str
) -> None:
    from core.jobs import queue
    from tests.workers import wait

    project = store.add_project("p")
    wait(store, queue.start(store, project.id, INTAKE, Delivery(str(shapes), "a")))
    album.set_split(store, project.id, 7, 0.2, 0.3)
    other = store.dataset(project.id).fingerprint
    wanted = run_file.read(text.encode())
    assert other != wanted.fingerprint
    assert not run_file.settle(store, project.id, run_file.read(changed(text, data={"fingerprint": "0" * 64})))
    assert store.dataset(project.id).fingerprint == other
    assert run_file.settle(store, project.id, wanted)
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
    with cpu.at_most(50), pytest.raises(HeadstartError) as error:
        run_file.read(data)
    assert error.value.code == code and error.value.message and error.value.hint


def test_what_has_far_more_values_than_a_run_file_is_given_up_long_before_its_end(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    parse = yaml.parse
    monkeypatch.setattr(yaml, "parse", lambda *a: (read.append(event) or event for event in parse(*a)))
    for flood in ("{" + "a," * 90_000 + "}", "a:\n" + "- b\n" * 45_000, "[" + "[]," * 60_000 + "]"):
        read.clear()
        with pytest.raises(HeadstartError, match="not a run file"):
            run_file.read(flood.encode())
        assert len(read) == 5_002
    counts = {f"{n:04}" + "ü" * 76: 100 for n in range(1_000)}
    values = yaml.safe_load(text)
    values["data"]["classes"] = counts
    most = yaml.safe_dump(values, allow_unicode=True).encode()
    assert len(most) < run_file.MOST_BYTES and run_file.read(most).plan == run_file.read(text.encode()).plan


def must_be(kind: str, code: str, **values: object) -> str:
    return say(f"error.{code}", kind=say(f"kind.{kind}"), **values)


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("plan", {"epochs": 3, "speed": 4}, say("error.setting_unknown", setting="speed")),
        ("plan", {"epochs": 0}, say("error.setting_bounds", setting="epochs", value=0, low=1, high=500)),
        ("plan", {"epochs": "many"}, must_be("whole_number", "setting_kind", setting="epochs", value="many")),
        ("plan", {"backbone": "ResNet9000"}, say("error.backbone_unknown", name="ResNet9000")),
        ("plan", {"pooling": ["average"]}, "pooling is ['average']; it must be one of"),
        ("plan", 3, must_be("mapping", "runfile_value", part="plan", value=3)),
        ("data", {"fingerprint": 3}, must_be("sha256", "runfile_value", part="data.fingerprint", value=3)),
        (
            "split",
            {"seed": 0, "val": "x", "test": 0.1},
            must_be("number", "runfile_value", part="split.val", value="x"),
        ),
        ("split", {"seed": 0, "val": 0.9, "test": 0.9}, "In the run file, split is 0, 0.9, 0.9; it must be a seed"),
        ("split", {"seed": 0, "val": float("nan"), "test": 0.1}, "In the run file, split is 0, nan, 0.1"),
    ],
)
def test_every_value_of_a_file_is_checked(text: str, part: str, value: object, words: str) -> None:
    with pytest.raises(HeadstartError) as error:
        run_file.read(changed(text, **{part: value}))
    assert error.value.message.startswith(words)


def test_numbers_as_people_write_them_are_understood(text: str) -> None:
    plan = yaml.safe_load(text)["plan"] | {"learning_rate": "1e-3", "regularization": 50, "dropout": 0}
    wanted = run_file.read(changed(text, plan=plan)).plan
    assert wanted == run_file.read(text.encode()).plan
    assert isinstance(wanted.regularization, float) and isinstance(wanted.dropout, float)
