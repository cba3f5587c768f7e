"""Starts the intake of deliveries, and writes a delivery for pages in the form that the upload route uses."""

import hashlib
import json
import uuid
from pathlib import Path

from core import backbones
from core.backbones import Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.intake import archive, label_tables
from core.intake.folder_labels import class_name
from core.intake.upload import BATCH, Claim
from core.jobs import queue
from core.jobs.kinds import INTAKE, OWN_MODEL, WEIGHTS, Delivery, OfOwnModel, OfWeights
from core.jobs.queue import Job
from core.store.rows import event_rows
from core.store.store import Store


def path(store: Store, batch: str) -> Path:
    """The folder of a delivery."""
    return store.home / "inbox" / batch


def take(store: Store, project_id: str, batch: str, label: str, n_files: int = 1) -> None:
    """Start to take in a delivery of `n_files` files; repeated calls start it once. `label` is the class of pictures in
    no folder."""
    if not BATCH.fullmatch(batch):
        raise HeadstartError("upload_unclear")
    if queue.intakes(store, store.project(project_id).id, batch):
        return  # its files may be gone from the inbox by now
    folder = path(store, batch)
    if len(archive.delivered(folder)) < max(1, n_files):
        raise HeadstartError("upload_missing")
    _start(store, project_id, folder, batch, label)


def take_weights(store: Store, project_id: str, backbone: Backbone, batch: str) -> None:
    """Start to check and use the weights of a backbone that has none here, a delivery of one file or of a ZIP with one;
    repeated calls start it once. The worker gives the file a name of ours."""
    project = store.project(project_id)
    if _is_taken(store, batch):
        return
    if backbone.has_weights or not backbone.weights_url:
        raise HeadstartError("weights_here", backbone=backbone.name)
    folder = path(store, batch)
    name = _only(folder)
    if not (archive.is_weights(name) or archive.is_zip(name)):
        raise HeadstartError("weights_foreign", path=name, backbone=backbone.name)
    queue.start(store, project.id, WEIGHTS, OfWeights(backbone.name, str(folder / "0")))


def take_own_model(store: Store, project_id: str, batch: str, name: str, scaling: str, license: str) -> None:
    """Start to check and take a model of a user's own, a delivery of one file; repeated calls start it once. Without a
    name it is called as the file."""
    project = store.project(project_id)
    if _is_taken(store, batch):
        return
    folder = path(store, batch)
    if not archive.is_model(file := _only(folder)):
        raise HeadstartError("own_foreign", name=file)
    name = name.strip() or Path(file).stem
    backbones.own_terms(license)
    backbones.own_name(name, "0" * 8)  # what is wrong with them is said before the file is looked at
    queue.start(store, project.id, OWN_MODEL, OfOwnModel(name, str(folder / "0"), scaling, license))


def _is_taken(store: Store, batch: str) -> bool:
    """Whether a job has taken the file of a delivery. Raises HeadstartError("upload_unclear")."""
    if not BATCH.fullmatch(batch):
        raise HeadstartError("upload_unclear")
    parameters = [job.parameters for job in queue.deliveries(store)]
    folder = path(store, batch)
    return any(Path(each.path).parent == folder for each in parameters if isinstance(each, OfWeights))


def _only(folder: Path) -> str:
    """The name of the file of a delivery. Raises HeadstartError("upload_missing")."""
    name = archive.delivered(folder).get(0)
    if name is None:
        raise HeadstartError("upload_missing")
    return name


def take_folder(store: Store, project_id: str, folder: Path, label: str) -> None:
    """Start to take in a folder or ZIP of the server as it is now."""
    _start(store, project_id, folder, of_folder(folder), label)


def _start(store: Store, project_id: str, folder: Path, batch: str, label: str) -> None:
    queue.start(store, project_id, INTAKE, Delivery(str(folder), batch, class_name(label), audit=True))


def of_folder(folder: Path) -> str:
    """The batch id of a folder or ZIP as it is now. It changes with the files, so that a changed folder can be taken in
    again; only its new files then count."""
    return f"folder {hashlib.sha256(archive.stamp(folder).encode()).hexdigest()[:16]}"


def addresses(store: Store, text: str, label: str = "") -> str:
    """Write a delivery of addresses, one per line, each followed by a comma and its class; `label` is the class of the
    others. Returns its batch."""
    rows = []
    for line in filter(None, map(str.strip, text.splitlines())):
        url, _, own = line.partition(",")
        if not class_name(own or label):
            raise HeadstartError("address_unlabeled", address=url[:80])
        rows.append((url.strip(), class_name(own or label), "", "", ""))
    if not rows:
        raise HeadstartError("addresses_none")
    batch = uuid.uuid4().hex
    data = b"".join(label_tables.write(rows))
    blobs.write(path(store, batch) / "0", data)
    blobs.write(path(store, batch) / "0.json", json.dumps(Claim(0, len(data), "addresses.csv").note()).encode())
    return batch


def dismiss(store: Store, job_id: str) -> None:
    """Hide the message about a delivery that failed."""
    with store.write() as db:
        event_rows.dismiss(db, job_id)


def is_dismissed(store: Store, job: Job) -> bool:
    """Whether the message about a delivery is hidden; never while it runs again."""
    return job.state in ("failed", "cancelled") and event_rows.is_dismissed(store, job.id)
