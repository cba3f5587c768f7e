"""Finds pictures whose files a disk has damaged or lost, and names them by their original file names.

A picture's id is the sha256 of its bytes, so that each file can be checked at any time. When one cannot be read, all
files of the project are checked, so that the user learns of all damaged ones at once.
"""

from collections.abc import Sequence

from core.disk import blobs
from core.errors import HeadstartError
from core.store.rows import picture_rows
from core.store.store import Store

_NAMED = 5
# Maximum ids in an error, with which a page offers to leave these pictures out.
_KEPT = 1_000


def named(store: Store, project_id: str, error: HeadstartError) -> HeadstartError:
    """An error about a picture's id as an error about file names, with the `ids` of all damaged pictures; other errors
    unchanged."""
    if error.code != "pictures_unread" or "id" not in error.values:
        return error
    lost = [picture.id for picture in store.dataset(project_id).pictures if not is_sound(store, picture.id)]
    if lost:
        names = names_of(store, project_id, lost[:_NAMED])
        more = ["..."] if len(lost) > _NAMED else []
        return HeadstartError("pictures_lost", n=len(lost), names=", ".join([*names, *more]), ids=lost[:_KEPT])
    ids = [error.values["id"]]
    return HeadstartError("pictures_unread", names=", ".join(names_of(store, project_id, ids)), ids=ids)


def names_of(store: Store, project_id: str, ids: Sequence[str]) -> list[str]:
    """For each picture its original file name and present class, as one text."""
    rows = [(key, picture_rows.name_and_label(store, project_id, key)) for key in ids]
    return [f"{row['name']} ({row['label']})" if row else key for key, row in rows]


def is_sound(store: Store, picture_id: str) -> bool:
    """Whether the file of a picture exists and is unchanged."""
    return blobs.is_sound(store.pictures.path(picture_id), picture_id)
