"""Announces the end of a job to a user who looks elsewhere: by a browser notification, or else in the tab's title.

The frame of every page draws `watch`, so it does not matter which page is open; `switch` turns notifications on.
"""

import time

from core.jobs import queue
from core.jobs.queue import Job
from pages.parts.frame import context, job_queue
from pages.parts.frame.words import say

_TICK_S = 2.0
# A tab that was suspended announces jobs that ended within this many seconds.
_RECENT_S = 3600.0

_COMPONENT = context.component("bell")


def switch() -> None:
    """Draw the switch for notifications of this browser."""
    _COMPONENT(key="bell-switch", data={"words": {"tell": say("bell"), "denied": say("bell_denied")}})


def watch() -> None:
    """Draw the component that announces; it refreshes itself while jobs run or wait."""
    busy = any(job.active for job in queue.recent(context.store(), time.time()))
    context.fragment(_watch, run_every=_TICK_S if busy else None)()


def _watch() -> None:
    queue.tend_all(context.store())
    recent = queue.recent(context.store(), time.time() - _RECENT_S)
    active = [job.id for job in recent if job.active]
    ended = [_words(job) for job in recent if job.state in ("succeeded", "failed")]
    _COMPONENT(key="bell", data={"active": active, "ended": ended})


def _words(job: Job) -> dict[str, str]:
    name = job_queue.title(job)
    body = job.failure.message if job.failure else context.store().project(job.project_id).name
    title = say(f"bell_{job.state}", job=name)
    return {"id": job.id, "title": title, "body": body, "tab": f"{say(f'tab_{job.state}')} - {say('app')}"}
