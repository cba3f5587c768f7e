"""The app in each of its languages: the way from the sample to the demo by keys alone, each page, and the choice."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.language import catalog
from core.language.catalog import placeholders, say
from tests import browser
from tests.browser import Server, idle
from tests.stories.test_access import faults
from tests.texts import shown

pytestmark = pytest.mark.browser

PORTUGUESE = "pt_BR"
PAGES = ("", "data", "train", "results", "demo", "export", "present", "learn")
# What has the focus: the name that a screen reader would say, or the text.
FOCUSED = """
() => {
  const at = document.activeElement
  if (at.matches("body, main")) return "" // the whole page: behind its last part, or because it can be scrolled
  return at.ariaLabel || at.innerText || at.labels?.[0]?.innerText || ""
}
"""
# Texts that are cut off: they have less room than they need, and what is over is hidden.
CUT = """
() => [...document.querySelectorAll("[data-testid=stMain] :is(p, h1, h2, h3, button, a, label, [role=tab])")]
  .filter((e) => e.checkVisibility() && !e.closest("[class*=st-key-title], [class*=st-key-spoken]"))
  .filter((e) => e.scrollWidth > e.clientWidth + 2 && e.clientWidth > 1)
  .filter((e) => ["hidden", "clip"].includes(getComputedStyle(e).overflowX))
  .map((e) => e.innerText)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a finished run."""
    home = tmp_path_factory.mktemp("languages") / "home"
    with browser.server(shutil.copytree(trained, home), browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


both_languages = pytest.mark.parametrize("language", ["en", PORTUGUESE], indirect=True)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if name in str(page.evaluate(FOCUSED)):
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def enter(page: Page, name: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Enter")


# The way in English, by pointer, is that of tests/stories/test_story.py.
@pytest.mark.parametrize("language", [PORTUGUESE], indirect=True)
@pytest.mark.slow
def test_keys_alone_lead_from_the_sample_to_the_demo(chromium: Browser, language: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with browser.server(home, browser.free_port()) as app, browser.tab(chromium, app.url) as page:
        page.set_viewport_size({"width": 1280, "height": 720})
        page.goto(f"{app.url}/?lang={language}")
        idle(page)
        expect(page.locator("html")).to_have_attribute("lang", language.replace("_", "-"))
        enter(page, say("try_signs"))
        page.wait_for_url(re.compile("/data"))
        expect(page.get_by_text(say("not_used", n=4, files=say("files_n", n=308)))).to_be_visible(timeout=90_000)
        idle(page)
        title = page.get_by_role("heading", level=1)
        enter(page, say("next_train"))
        expect(title).to_contain_text(say("train"))
        expect(title).to_be_focused()
        idle(page)
        tab_to(page, say("balanced"))  # of the positions of the dial, the chosen one has the focus
        page.keyboard.press("ArrowUp")
        idle(page)
        start = page.get_by_role("button", name=say("start"))
        box = start.bounding_box()
        assert box is not None and box["y"] + box["height"] <= 720  # on the first screen of a laptop
        enter(page, say("start"))
        expect(page.get_by_role("button", name=say("see_results"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
        idle(page)
        enter(page, say("see_results"))
        expect(title).to_contain_text(say("results"))
        expect(title).to_be_focused()
        (project,) = app.store.projects()
        outcome = app.store.runs(project.id)[0].outcome
        assert outcome.test_accuracy is not None and outcome.test_accuracy > 0.8
        heading = page.get_by_role("heading", level=2).first
        expect(heading).to_contain_text(f"{outcome.test_correct}")
        enter(page, say("demo"))
        browser.await_answer(page)
        expect(title).to_contain_text(say("demo"))
        expect(page.get_by_text(re.compile(say("demo_time", ms=0).replace("0", r"\d+")))).to_be_visible()
    browser.stop_workers(home)


@both_languages
def test_each_page_speaks_the_language_alone_and_nothing_is_cut_off_on_a_phone(
    page: Page, app: Server, language: str
) -> None:
    (project,) = app.store.projects()
    other = "en" if language == PORTUGUESE else PORTUGUESE
    ours, theirs = catalog.of(language), catalog.of(other)
    foreign = {
        re.sub(r"[*_]", "", theirs.say(key))
        for key, forms in theirs.texts.items()
        if len(forms) == 1 and not placeholders(forms[0]) and theirs.say(key).lower() != ours.say(key).lower()
    } - {re.sub(r"[*_]", "", ours.say(key)) for key, forms in ours.texts.items() if len(forms) == 1}
    page.set_viewport_size({"width": 390, "height": 844})
    for name in (*PAGES, "learn"):
        page.goto(f"{app.url}/{name}?project={project.id}&lang={language}")
        if name in ("demo", "present"):
            browser.await_answer(page)
        idle(page)
        page.wait_for_timeout(500)  # words of Streamlit itself are put into ours after they came
        lines = {line.strip() for line in page.locator("[data-testid=stApp]").inner_text().splitlines()}
        assert lines & foreign - {"Starter"} == set(), name
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.evaluate(CUT) == [], name
        assert not faults(page, f"{language} {name}"), name


def test_a_chosen_language_stays_and_the_address_goes_before_it(page: Page, app: Server) -> None:
    page.goto(app.url)
    idle(page)
    page.get_by_role("combobox", name=say("language")).click()
    page.get_by_role("option", name="Português").click()
    expect(page.get_by_role("combobox", name="Idioma")).to_be_visible()
    page.reload()
    expect(page.get_by_role("combobox", name="Idioma")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.goto(f"{app.url}/?lang=en")
    expect(page.get_by_role("combobox", name=shown("language"))).to_be_visible()


def test_numbers_have_a_comma_where_the_language_has_one(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/results?project={project.id}&lang=pt")
    idle(page)
    expect(page.get_by_role("heading", name=re.compile(r"\d+ de \d+"))).to_be_visible()
    loss = catalog.of(PORTUGUESE).say("log_loss")
    expect(page.locator("tr", has_text=loss)).to_contain_text(re.compile(r"\d,\d{3}"))


def test_what_is_taken_away_speaks_the_language_too(page: Page, app: Server) -> None:
    (project,) = app.store.projects()
    page.goto(f"{app.url}/export?project={project.id}&lang=pt")
    idle(page)
    expect(page.get_by_test_id("stCode")).to_contain_text("Classifica imagens com um modelo feito com o Headstart")
    for name, line in (("run.yaml", "# Uma execução do Headstart."), ("use_model.py", '"""Classifica imagens')):
        with page.expect_download() as coming:
            browser.by_key(page, f"file-{name}").get_by_role("button").click()
        assert coming.value.path().read_text().startswith(line)
