"""The tour of the sample by a user with a mouse, and the way from a term to what it means."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.language.catalog import say
from tests import browser
from tests.browser import Server, button, by_key, idle, step
from tests.texts import pattern, shown

pytestmark = pytest.mark.browser


@pytest.fixture
def app(tmp_path: Path, trained: Path) -> Iterator[Server]:
    """A server on a home whose only project is trained, and is the sample."""
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    with browser.server(home, browser.free_port()) as started:
        with started.store.write() as db:
            db.execute("UPDATE project SET source = 'sample 0'")
        yield started
    browser.stop_workers(home)


def project_of(app: Server) -> str:
    return app.store.projects()[0].id


def place(page: Page, n: int) -> Locator:
    return by_key(page, "tour").get_by_text(say("tour_place", step=n, steps=4))


def test_the_tour_goes_along_with_the_user_and_never_comes_again_once_it_has_ended(page: Page, app: Server) -> None:
    page.goto(f"{app.url}/data?project={project_of(app)}")
    expect(place(page, 1)).to_be_visible()
    idle(page)
    box = by_key(page, "tour").bounding_box()
    below = page.get_by_text(pattern("all_used", n=36)).bounding_box()
    assert box is not None and below is not None and box["y"] + box["height"] <= below["y"]  # it covers nothing
    button(page, say("next_train")).click()  # what the box says to press
    expect(place(page, 2)).to_be_visible()
    button(page, say("see_results")).click()
    expect(place(page, 3)).to_be_visible()
    step(page, "Demo")
    expect(place(page, 4)).to_be_visible()
    button(page, say("tour_end")).click()
    expect(by_key(page, "tour")).to_have_count(0)
    page.reload()
    idle(page)
    for name in ("Data", "Train", "Results"):
        step(page, name)
        idle(page)
        expect(by_key(page, "tour")).to_have_count(0)


def test_a_tour_that_was_skipped_never_comes_again_not_even_for_another_visitor(
    chromium: Browser, page: Page, app: Server
) -> None:
    page.goto(f"{app.url}/train?project={project_of(app)}")
    expect(place(page, 2)).to_be_visible()
    button(page, say("tour_skip")).press("Enter")
    expect(by_key(page, "tour")).to_have_count(0)
    page.reload()
    idle(page)
    expect(by_key(page, "tour")).to_have_count(0)
    with browser.tab(chromium, app.url) as other:
        other.goto(f"{app.url}/data?project={project_of(app)}")
        idle(other)
        expect(by_key(other, "tour")).to_have_count(0)


def test_a_term_in_a_help_text_leads_to_what_it_means_beside_the_users_own_numbers(page: Page, app: Server) -> None:
    page.goto(f"{app.url}/results?project={project_of(app)}")
    idle(page)
    page.get_by_role("button", name=say("help_for", what=shown("matrix"))).hover()
    link = page.get_by_role("link", name=say("term.confusion-matrix"))
    with page.context.expect_page() as opening:
        link.click()
    lesson = opening.value
    expect(lesson.get_by_text(re.compile(f"^{say('learn_own')}\\."))).to_have_count(5)
    assert lesson.url.endswith(f"/learn?project={project_of(app)}#confusion-matrix")
    heading = lesson.get_by_role("heading", name=say("term.confusion-matrix"))
    expect(heading).to_be_in_viewport()
    idle(lesson)
    top = heading.bounding_box()
    assert top is not None and 40 < top["y"] < 120  # just below the bar of the page
    lesson.get_by_role("link", name=say("term.threshold"), exact=True).click()
    expect(lesson.get_by_role("heading", name=say("term.threshold"))).to_be_in_viewport()
    lesson.close()


def test_the_sidebar_leads_to_the_lesson_of_the_project_and_back(page: Page, app: Server) -> None:
    page.goto(f"{app.url}/data?project={project_of(app)}")
    page.get_by_test_id("stSidebar").get_by_role("link", name=say("learn")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(say("learn"))
    assert browser.project_id(page) == project_of(app)
    expect(page.get_by_text(re.compile(f"^{say('learn_own')}\\."))).to_have_count(5)
    step(page, "Results")
    expect(page.get_by_text(pattern("headline"))).to_be_visible()
