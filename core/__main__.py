"""The main job without a browser: `python -m core run|predict|serve|sample`.

Everything a page can start can be started here, through the same store and the same worker processes. With --json
stdout carries exactly one object; progress and warnings go to stderr.
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core import backbones
from core.archives import opening
from core.commands import doctor, home_copies, own_command, predict_command, serve_command, take_away
from core.commands.command_home import store_of, take_home
from core.commands.progress_bar import ProgressBar
from core.disk import home, space
from core.errors import HeadstartError
from core.intake import archive, sample_sets
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.jobs.queue import Job
from core.language import messages
from core.learning import curves
from core.pictures import album, counts
from core.plan import DIALS, PRESETS, Plan, suggest
from core.reports import report
from core.runs import requests, run_file
from core.runs.run_file import RunFile
from core.store.store import Project, Run, Store

_POLL_S = 0.15
# What of a result is printed.
_ANSWERED = (
    "classes", "split", "backbone", "val_accuracy", "test_accuracy", "test_n", "test_interval", "before_fine_tune",
)  # fmt: skip
# The shares of val and test of every new project.
SHARES = (0.15, 0.15)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, do, print. Returns the exit status: 0, or 1 with an error that says what to do (130 when cancelled)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in arguments
    try:
        options = _parser().parse_args(arguments)
        result, text = options.action(options)
    except HeadstartError as error:
        return _fail(error, as_json)
    except KeyboardInterrupt:
        _fail(HeadstartError("job_cancelled"), as_json)
        return 130
    except (OSError, sqlite3.Error) as error:
        return _fail(HeadstartError("disk_full" if space.is_full(error) else "disk_trouble", reason=error), as_json)
    _print(result, text, as_json, sys.stdout)
    return 0 if result.get("ok", True) else 1


def _fail(error: HeadstartError, as_json: bool) -> int:
    _print({"error": error.message, "hint": error.hint}, f"{error.message}\n{error.hint}", as_json, sys.stderr)
    return 1


class _Parser(argparse.ArgumentParser):
    """Says what was wrong in our way, so that --json is answered with an object here too."""

    def error(self, message: str) -> NoReturn:
        raise HeadstartError("usage", reason=message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "train a model on labeled pictures")
    run.add_argument("data", type=Path, help="a ZIP or folder of class folders, or of train, val, test")
    run.add_argument(
        "--run-file", type=Path, metavar="FILE", help="repeat the run of this run.yaml; it sets everything"
    )
    run.add_argument(
        "--dial", choices=DIALS, help="how much effort: settings that fit the pictures (default: balanced)"
    )
    run.add_argument("--preset", choices=sorted(PRESETS), help="fixed settings to start from instead")
    run.add_argument(
        "--backbone", help="one of the 45 of the catalogue (Starter, MobileNetV2, VGG16 ...) or of your own"
    )
    run.add_argument("--fine-tune", type=int, metavar="BLOCKS", help="how many of the last blocks go on learning")
    run.add_argument("--epochs", type=int, help="passes of the head over the training pictures")
    run.add_argument("--seed", type=int, help="start of all random numbers, and of the split into parts (default: 0)")
    take_home(run, "where to keep everything")
    run.add_argument("--out", type=Path, help="a folder to copy the model to")

    predict_command.expect(_command(commands, "predict", predict_command.predict, "ask a model about pictures"))
    serving = "answer requests about pictures, without the app"
    serve_command.expect(_command(commands, "serve", serve_command.serve, serving))

    own_command.expect(_command(commands, "own-model", own_command.own_model, "take a Keras model as a backbone"))

    give = _command(commands, "export-data", take_away.export_data, "write the pictures of a project into a ZIP")
    give.add_argument("out", type=Path, metavar="OUT.zip", help="where to write it")
    give.add_argument("--project", help="the name or id of a project (default: the newest)")
    take_home(give)

    keep = _command(commands, "archive", take_away.archive, "write a whole project into a file that `open` takes back")
    keep.add_argument("project", help="the name or id of a project")
    keep.add_argument("out", type=Path, metavar="FILE", help="where to write it, such as NAME.headstart.zip")
    take_home(keep)

    unpack = _command(commands, "open", _open, "open the archive of a project as a new project")
    unpack.add_argument("file", type=Path, metavar="FILE")
    take_home(unpack, "where to keep it")

    tell = _command(commands, "report", take_away.write_report, "write all about a run into one HTML file")
    tell.add_argument("run", nargs="?", help="the name or id of a run (default: the newest)")
    tell.add_argument("--out", type=Path, default=Path(report.FILE), help=f"where to write it (default: {report.FILE})")
    take_home(tell)

    take_home(_command(commands, "backup", home_copies.backup, "copy the database now"))
    putting = "put a backup of the database in its place, or list the backups"
    restore = _command(commands, "restore", home_copies.restore, putting)
    restore.add_argument("backup", nargs="?", help="the name of one that is listed")
    take_home(restore)

    take_home(_command(commands, "doctor", doctor.doctor, "say whether this machine and a home are fit to work"))

    draw = _command(commands, "sample", _sample, "draw a labeled set to try things with")
    draw.add_argument("out", type=Path, help="a .zip, or a folder")
    draw.add_argument("--set", choices=list(sample_sets.SETS), default="signs", help="ladybugs are hard on purpose")
    draw.add_argument("--seed", type=int, default=0)
    return parser


def _command(
    commands: Any, name: str, action: Callable[[argparse.Namespace], Any], help: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(action=action)
    return parser


def _print(result: Mapping[str, Any], text: str, as_json: bool, stream: Any) -> None:
    if as_json:
        print(json.dumps(result))
    else:
        print(text, file=stream)


def _run(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    wanted = _wanted(options)
    if wanted is None:
        _plan(options, {})  # what is wrong with a setting is said before any picture is read
    suggested = not (wanted or options.preset or options.backbone)
    store = store_of(options)
    started = time.monotonic()
    seed, *shares = (wanted.seed, wanted.val, wanted.test) if wanted else (options.seed or 0, *SHARES)
    project = _project(store, options.data, int(seed), tuple(shares))
    intake_s = _take_in(store, project, options.data)
    if wanted is not None:
        run_file.settle(store, project.id, wanted)
        plan = wanted.plan
    else:
        plan = _plan(options, counts.of(store, project.id).learned)
    run, is_new = _train(store, project, plan, suggested)
    result = run.outcome
    remarks = _remarks(store, run, wanted) if wanted else []
    folder = store.folder(run.id)
    if options.out:
        with home.as_the_user_does():
            options.out.mkdir(parents=True, exist_ok=True)
            for name in store.artifacts(run.id):
                shutil.copyfile(folder / name, options.out / name)
            (options.out / "run.yaml").write_text(run_file.write(store, run), encoding="utf-8")
        folder = options.out
    excluded = {reason: n for (outcome, reason), n in store.outcomes(project.id).items() if outcome == "excluded"}
    phases = result.seconds if is_new else dict.fromkeys(result.seconds, 0)
    seconds = {"intake": round(intake_s, 3), **phases, "total": round(time.monotonic() - started, 3)}
    answer = {
        "pictures": result.pictures,
        "excluded": excluded,
        **{name: value for name, value in result.to_dict().items() if name in _ANSWERED},
        "seconds": seconds,
        "model": str((folder / "model.keras").resolve()),
    }
    if options.run_file:
        answer["remarks"] = remarks
    return answer, "\n".join([_report(store, project, run, answer), *remarks])


def _wanted(options: argparse.Namespace) -> RunFile | None:
    """What a run file asks for, if there is one."""
    if options.run_file is None:
        return None
    given = {"--dial": options.dial, "--preset": options.preset, "--backbone": options.backbone}
    given |= {"--fine-tune": options.fine_tune, "--epochs": options.epochs, "--seed": options.seed}
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise HeadstartError("runfile_options", options=", ".join(names))
    if not options.run_file.is_file():
        raise HeadstartError("data_missing", path=str(options.run_file))
    with options.run_file.open("rb") as file:
        return run_file.read(file.read(run_file.MOST_BYTES + 1))


def _plan(options: argparse.Namespace, learned: Mapping[str, int]) -> Plan:
    """What was asked for; where nothing was, what the dial on the page suggests when so many pictures of each class are
    learned from."""
    base = PRESETS[options.preset] if options.preset else suggest(options.dial or "balanced", learned)
    changes = {"backbone": options.backbone, "epochs": options.epochs, "fine_tune_blocks": options.fine_tune}
    known = {name: value for name, value in changes.items() if value is not None}
    if options.backbone:
        base = base.on(backbones.find(options.backbone))  # the dial suggests blocks for another one
    return base.with_(seed=options.seed or 0, **known)


def _remarks(store: Store, run: Run, wanted: RunFile) -> list[str]:
    """How a run differs from that of its file, kept as its note."""
    weights = run.outcome.made.weights if run.outcome.made else None
    codes = run_file.differences(wanted, wanted.fingerprint == run.fingerprint, weights)
    remarks = [messages.note(code, {}) for code in codes]
    if remarks and not run.note:
        store.describe_run(run.id, note=" ".join(remarks))
    return remarks


def _project(store: Store, data: Path, seed: int, shares: tuple[float, ...]) -> Project:
    """One project for each state of the data and split: the same command again finds its finished work."""
    if not data.exists():
        raise HeadstartError("data_missing", path=str(data))
    text = f"{archive.stamp(data)} {seed}" + (f" {shares}" if shares != SHARES else "")
    source = hashlib.sha256(text.encode()).hexdigest()
    project = store.add_project(f"{data.stem}, seed {seed}" if seed else data.stem, source)
    album.set_split(store, project.id, seed, shares[0], shares[1])
    return project


def _take_in(store: Store, project: Project, data: Path) -> float:
    """Receive the files, unless that is done. Returns seconds."""
    job = queue.latest(store, project.id, INTAKE)
    if job is not None and job.state == "succeeded":
        return 0.0
    started = time.monotonic()
    if job is None:
        job = queue.start(store, project.id, INTAKE, Delivery(str(data.resolve()), "command line"))
    elif not job.active:
        job = queue.resume(store, job.id)
    _wait(store, job)
    return time.monotonic() - started


def _train(store: Store, project: Project, plan: Plan, suggested: bool) -> tuple[Run, bool]:
    """Train by a plan, unless that is done and its files are whole. Answers the run, which has another backbone where
    the weights of a `suggested` one cannot be downloaded, and whether it was trained now."""
    run, job = requests.train(store, project.id, plan, suggested)
    if job is None:
        return run, False
    _wait(store, job)
    (run_id,) = queue.get(store, job.id).runs
    events = queue.events(store, job.id)
    for event in events:
        if event.kind == "note" and event.key.startswith("instead_"):
            print(messages.note(event.facts["code"], event.facts["values"]), file=sys.stderr)
    # A job that turned to a finished run has nothing to do.
    return store.run(run_id), any(event.kind == "stage" and event.key != "download" for event in events)


def _wait(store: Store, job: Job) -> None:
    """Show progress until the job ends. Raises the job's error; Ctrl-C cancels the job."""
    bar = ProgressBar()
    try:
        while (job := queue.tend(store, job.id)).active or job.state == "paused":  # by a page, which can resume it
            bar.show(messages.stage(job.stage), job.done, job.total)
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        queue.cancel(store, job.id)
        raise
    finally:
        bar.end()
    if job.failure is not None:
        raise job.failure
    if job.state == "cancelled":
        raise KeyboardInterrupt


def _report(store: Store, project: Project, run: Run, answer: Mapping[str, Any]) -> str:
    lines = [f"{answer['pictures']} pictures of {len(answer['classes'])} classes: {', '.join(answer['classes'])}."]
    lines += [f"Not used: {file.name}. {_why(file.reason, file.values)}" for file in store.unused(project.id)]
    parts = answer["split"]
    lines.append(f"Train {parts['train']}, val {parts['val']}, test {parts['test']}.")
    lines += [messages.note(code, values) for code, values in run.outcome.notes]
    found = curves.of_result(Plan.from_dict(run.plan), run.outcome)
    lines += [messages.note(each.code, each.values) for each in found if not each.advice]
    tries = [messages.note(each.code, each.values) for each in found if each.advice]
    lines += ["To try next:", *(f"- {text}" for text in tries)] if tries else []
    if answer["test_accuracy"] is not None:
        low, high = answer["test_interval"]
        right = round(answer["test_accuracy"] * answer["test_n"])
        lines.append(
            f"Right on {right} of {answer['test_n']} test pictures: {answer['test_accuracy']:.1%}, "
            f"likely between {low:.0%} and {high:.0%}."
        )
    lines.append(f"Model: {answer['model']} ({answer['seconds']['total']:.0f} s)")
    return "\n".join(lines)


def _why(reason: str, values: Mapping[str, Any]) -> str:
    return messages.error(reason, values)[0]


def _open(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if not options.file.is_file():
        raise HeadstartError("data_missing", path=str(options.file))
    store = store_of(options)
    job = opening.begin_file(store, options.file.resolve(), options.file.name)
    try:
        _wait(store, job)
    except BaseException:
        store.delete_project(job.project_id)  # nothing of the archive is in it
        raise
    for event in queue.events(store, job.id):
        if event.kind == "note":
            print(messages.note(event.facts["code"], event.facts["values"]), file=sys.stderr)
    project = store.project(job.project_id)
    n = album.count(store, project.id, album.Filter())
    runs = [run.id for run in store.runs(project.id) if run.result is not None]
    said = f"Opened {project.name}. Pictures: {n}. Finished runs: {len(runs)}."
    return {"project": project.id, "name": project.name, "pictures": n, "runs": runs}, said


def _sample(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    sample_sets.write(options.out, sample_sets.SETS[options.set].draw(options.seed))
    return {"path": str(options.out.resolve())}, f"Wrote {options.out}."


if __name__ == "__main__":
    sys.exit(main())
