"""Tells of the end of a job to whoever looks elsewhere: a notification of the browser, or else the title of the tab.

`watch` is drawn by the frame of every page, so it does not matter which one is open; `switch` is where one asks for it.
"""

import time

import streamlit as st

from core import jobs
from core.jobs import Job
from pages.parts import line, shell
from pages.parts.words import say

_TICK_S = 2.0
# A tab that slept for a while still tells what ended meanwhile.
_RECENT_S = 3600.0

_COMPONENT = shell.component("bell")


def switch() -> None:
    """The switch of this browser."""
    _COMPONENT(key="bell-switch", data={"words": {"tell": say("bell"), "denied": say("bell_denied")}})


def watch() -> None:
    """Draw what tells; it looks again by itself while something works or waits."""
    busy = any(job.active for job in jobs.recent(shell.store(), time.time()))
    st.fragment(_watch, run_every=_TICK_S if busy else None)()


def _watch() -> None:
    recent = jobs.recent(shell.store(), time.time() - _RECENT_S)
    active = [job.id for job in recent if job.active]
    ended = [_words(job) for job in recent if job.state in ("succeeded", "failed")]
    _COMPONENT(key="bell", data={"active": active, "ended": ended})


def _words(job: Job) -> dict[str, str]:
    name = line.title(job)
    body = job.failure.message if job.failure else shell.store().project(job.project_id).name
    title = say(f"bell_{job.state}", job=name)
    return {"id": job.id, "title": title, "body": body, "tab": f"{say(f'tab_{job.state}')} - {say('app')}"}
