"""Every page for those who see little, hear the page, or go by keys: axe-core, contrasts, names, headings, focus."""

import itertools
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, expect

from core.audit import findings
from core.audit.findings import Scored
from core.jobs import queue
from core.language import catalog, messages
from core.plan import Plan
from core.runs import requests
from core.store.rows import setting_rows
from core.store.store import Store
from core.web import request_language
from pages.parts.frame.words import say
from tests import browser
from tests.browser import Server, button, by_key, idle
from tests.pages.test_choosing import worker
from tests.texts import pattern

pytestmark = pytest.mark.browser

THEMES = ("light", "dark")
# What Streamlit 1.67 draws so and leaves nobody a way to change: rule, selector, why.
KNOWN: tuple[tuple[str, str, str], ...] = ()
# Names that Streamlit gives to parts of its own boxes and tables, each of which is in a group with a name.
PARTS_OF = {"Open", "Clear value", "Show/hide columns", "Download as CSV", "Search", "Fullscreen"}
# Contrast by WCAG 2.2 of a color on what lies below it, both as the browser computed them.
CONTRAST = """
(element, property) => {
  const read = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number)
    return { rgb: [r, g, b], a }
  }
  const over = (top, below) => top.rgb.map((value, i) => value * top.a + below[i] * (1 - top.a))
  const ground = (at) => {
    if (!at) return [255, 255, 255]
    const own = read(getComputedStyle(at).backgroundColor)
    return own.a === 1 ? own.rgb : over(own, ground(at.parentElement))
  }
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
  }
  // The value of a slider stands above its knob, of which it is a part.
  const slider = element.closest("[data-testid=stSlider]")
  const below = ground(slider ?? (property === "color" ? element : element.parentElement))
  const own = read(getComputedStyle(element)[property])
  for (let at = element; at; at = at.parentElement) own.a *= Number(getComputedStyle(at).opacity)
  const found = over(own, below)
  const [a, b] = [light(found), light(below)]
  return Math.max(a, b) / Math.min(a, b)
}
"""
# How wide each piece of text is shown, which is less than a word where something around it clips it.
WIDTHS = """
(element) => {
  const range = document.createRange()
  const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
  const found = []
  while (texts.nextNode()) {
    if (!texts.currentNode.data.trim()) continue
    range.selectNodeContents(texts.currentNode)
    let { left, right } = range.getBoundingClientRect()
    for (let at = texts.currentNode.parentElement; at; at = at.parentElement) {
      const { overflow, clipPath } = getComputedStyle(at)
      if (overflow === "visible" && clipPath === "none") continue
      const box = at.getBoundingClientRect()
      left = Math.max(left, box.left)
      right = Math.min(right, box.right)
    }
    found.push(right - left)
  }
  return found
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Server]:
    """A server on a home with a project that was trained and audited, and one that is empty."""
    home = tmp_path_factory.mktemp("access") / "home"
    shutil.copytree(trained, home)
    store = Store(home)
    (project,) = store.projects()
    used = store.dataset(project.id).pictures
    other = next(label for label in store.dataset(project.id).classes if label != used[2].label)
    rows = {
        "wrong": [Scored(used[2].id, 0.97, {"label": used[2].label, "suggested": other})],
        "dark": [Scored(used[3].id, 230, {}), Scored(used[4].id, 229, {})],
        "blurry": [Scored(used[5].id, 0.9, {})],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "PROCESS", [])
        job = findings.start(store, project.id)
    with worker(store, job) as ticket:
        findings.write(store, project.id, tuple(rows), rows)
        ticket.found("audit", "", {"revision": store.labels_revision(project.id), "n": len(used)})
        ticket.succeed()
    store.add_project("Empty [one]")
    with browser.server(home, browser.free_port()) as started:
        yield started
    browser.stop_workers(home)


def project_of(place: Server, name: str = "") -> str:
    return next(each.id for each in place.store.projects() if each.name.startswith("Empty") == bool(name))


def faults(page: Page, where: str, colors: bool = True, others: bool = True) -> list[str]:
    """What axe-core finds worse than minor, but for what is known: by its rule of colors, and by all others."""
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE_SCRIPT)
    options: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": colors}}}
    options |= {} if others else {"runOnly": ["color-contrast"]}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{where}: {each['id']} {node['target']} {node['html'][:120]} {[c['message'] for c in node['any']]}"
        for each in found["violations"]
        if each["impact"] in ("moderate", "serious", "critical")
        for node in each["nodes"]
        if not any(each["id"] == rule and selector in str(node["target"]) for rule, selector, _ in KNOWN)
    ]


def headings(page: Page) -> list[int]:
    return [
        int(level) for level in page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName[1])")
    ]


def in_order(levels: list[int]) -> bool:
    return levels.count(1) == 1 and levels[0] == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels))


def go(page: Page, name: str) -> None:
    """Go to a step, by its name in the language of the test."""
    by_key(page, "way").get_by_role("link", name=say(name)).click()
    page.wait_for_url(re.compile(rf"/{name}\?"))


def states(page: Page, place: Server) -> Iterator[str]:
    """Goes to every page in every state that looks different, and says which it is at."""
    key, empty = project_of(place), project_of(place, "Empty")
    page.goto(place.url)
    idle(page)
    yield "projects"
    button(page, say("new_project")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    yield "new project"
    page.keyboard.press("Escape")
    by_key(page, f"delete-{empty}").get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert seen(button(page, say("delete_yes"))) >= 4.5
    yield "delete project"
    for name in ("data", "train", "results", "demo", "export"):
        page.goto(f"{place.url}/{name}?project={empty}")
        idle(page)
        yield f"{name}, empty"
    page.goto(f"{place.url}/data?project={key}")
    by_key(page, "finding-dark").get_by_role("button", name=say("remedy_show")).click()
    idle(page)
    page.get_by_test_id("stExpander").get_by_text(pattern("versions")).click()
    idle(page)
    yield "data"
    button(page, say("more_ways")).click()
    idle(page)
    yield "more ways"
    page.keyboard.press("Escape")
    idle(page)
    go(page, "train")
    page.get_by_text(say("all_settings"), exact=True).first.click()
    idle(page)
    for tab in ("group_head", "group_learning", "group_tune", "group_augment", "group_advanced"):
        page.get_by_role("tab", name=say(tab), exact=True).click()
        idle(page)
        yield f"settings, {tab}"
    go(page, "results")
    idle(page)
    for tab in page.get_by_role("tab").all_inner_texts():
        page.get_by_role("tab", name=tab, exact=True).click()
        idle(page)
        yield f"results, {tab}"
    page.get_by_role("button", name=say("delete")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert seen(button(page, say("delete_run_yes"))) >= 4.5
    yield "delete run"
    page.keyboard.press("Escape")
    for name in ("demo", "export"):
        go(page, name)
        idle(page)
        yield name
    page.goto(f"{place.url}/present?project={key}")
    browser.await_answer(page)
    yield "Present"
    for project in (key, ""):
        page.goto(f"{place.url}/learn?project={project}")
        idle(page)
        yield f"How it works, {'with' if project else 'without'} a project"
    setting_rows.write(place.store, "tour", "")
    with place.store.write() as db:
        db.execute("UPDATE project SET source = 'sample 0' WHERE id = ?", (key,))
    page.goto(f"{place.url}/data?project={key}")
    expect(by_key(page, "tour")).to_be_visible()
    expect(page.locator("[class*='st-key-gallery-'] .cell").first).to_be_visible()
    idle(page)
    yield "tour"
    button(page, say("tour_skip")).click()
    idle(page)


def seen(found: Locator) -> float:
    """The contrast of a button's label, all of whose words have a place in what is shown: they may be there and be
    clipped, which only a screen reader does not mind."""
    words = found.locator("p")
    widths = words.evaluate(WIDTHS)
    assert widths and min(widths) > 40, widths
    return measure(words)


def names(page: Page) -> list[str]:
    """The names of all buttons and links, as a screen reader would say them."""
    told = page.locator("body").aria_snapshot()
    return re.findall(r"^ *- (?:button|link) \"(.*?)\"", told, re.MULTILINE)


# Colors do not depend on the language.
@pytest.mark.parametrize(
    ("theme", "language"), [("light", "en"), ("dark", "en"), ("light", "pt_BR")], indirect=["language"]
)
def test_no_page_has_a_fault_and_each_has_one_title_and_headings_in_order_and_no_two_buttons_of_one_name(
    chromium: Browser, place: Server, theme: str, language: str
) -> None:
    found, levels, twins = [], {}, {}
    parts_of = PARTS_OF | {catalog.say(f"own.{name}") for name in ("columns", "download_csv", "search", "fullscreen")}
    with browser.tab(chromium, place.url) as page:
        page.context.add_cookies([{"name": request_language.COOKIE, "value": language, "url": place.url}])
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for where in states(page, place):
            # The other rules see no colors: what they say of the light theme holds for the dark one.
            found += faults(page, where, colors=language == "en", others=theme == "light")
            levels[where] = headings(page)
            twins[where] = [
                name
                for name, n in Counter(names(page)).items()
                if n > 1 and name not in parts_of and not name.startswith(say("help_for", what=""))
            ]
            expect(page.get_by_role("img", name=re.compile(r"^\w+ icon$")), where).to_have_count(0)
    assert not found, "\n".join(found)
    assert all(in_order(each) for each in levels.values()), levels
    assert not any(twins.values()), twins
    assert len(levels) >= 29


def measure(found: Locator, what: str = "color") -> float:
    """The contrast of a color of an element to its ground."""
    return round(float(found.first.evaluate(CONTRAST, what)), 2)


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_selected_or_paler_is_read_and_edges_of_controls_are_seen(
    chromium: Browser, place: Server, theme: str
) -> None:
    with browser.tab(chromium, place.url) as page:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.goto(f"{place.url}/train?project={project_of(place)}")
        page.get_by_text(say("all_settings"), exact=True).first.click()
        page.get_by_role("tab", name=say("group_augment"), exact=True).click()
        idle(page)
        texts = {
            "selected tab": page.locator("[role=tab][data-selected] p"),
            "selected segment": page.locator("button[data-variant=segmented_control][data-selected] p"),
            "selected pill": page.locator("button[data-variant=pills][data-selected] p"),
            "value of a slider": page.get_by_test_id("stSliderThumbValue").locator("p:visible"),
            "caption": page.get_by_test_id("stCaptionContainer").locator("p"),
            "caption of the sidebar": page.get_by_test_id("stSidebar")
            .get_by_test_id("stCaptionContainer")
            .locator("p"),
            "button that cannot be pressed": page.locator("button:disabled p"),
            "primary button": page.get_by_test_id("stBaseButton-primary").locator("p"),
        }
        edges = {
            "button": page.get_by_test_id("stBaseButton-secondary"),
            "segment": page.locator("button[data-variant=segmented_control]:not([data-selected])"),
            "pill": page.locator("button[data-variant=pills]:not([data-selected])"),
            "position of the dial": page.get_by_test_id("stRadioOption").locator("> div > div:first-child"),
            "selected pill": page.locator("button[data-variant=pills][data-selected]"),
        }
        found = {name: measure(each) for name, each in texts.items()}
        found_edges = {name: measure(each, "borderTopColor") for name, each in edges.items()}
        page.goto(f"{place.url}/data?project={project_of(place)}")
        idle(page)
        switch, box = page.get_by_test_id("stCheckbox"), page.get_by_test_id("stSelectbox").locator("[role=group]")
        found_edges["switch"] = measure(switch.locator("label > div").first, "backgroundColor")
        found_edges["box"] = measure(box, "borderTopColor")
        found_edges["drop zone"] = measure(page.locator(".zone"), "borderTopColor")
    assert min(found.values()) >= 4.5, found
    assert min(found_edges.values()) >= 3, found_edges


def test_a_page_hardly_moves_when_it_is_opened_and_takes_on_another_theme_at_once(
    chromium: Browser, place: Server
) -> None:
    moved = {}
    with browser.tab(chromium, place.url) as page:
        page.add_init_script(f"({browser.SHIFTS})()")
        for name in ("", "data", "train", "results"):
            page.goto(f"{place.url}/{name}?project={project_of(place)}")
            idle(page)
            moved[name] = page.evaluate("window.shifted")
        assert max(moved.values()) < 0.2, moved  # it was 0.4 to 0.8 with a sidebar that pushed the page aside
        accent = "getComputedStyle(document.documentElement).getPropertyValue('--accent')"
        light = page.evaluate(accent)
        page.emulate_media(color_scheme="dark")
        for _ in range(100):  # `wait_for_function` evaluates text, which our policy forbids
            page.wait_for_timeout(100)
            if page.evaluate(accent) != light:
                break
        assert page.evaluate(accent) != light


def test_keys_alone_make_a_project_and_go_to_its_steps(chromium: Browser, place: Server) -> None:
    with browser.tab(chromium, place.url) as page:
        page.goto(place.url)
        button(page, say("new_project")).press("Enter")
        expect(page.get_by_label(say("project_name"))).to_be_focused()
        page.keyboard.type("Insects")
        page.keyboard.press("Enter")
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text("Insects: Data")
        expect(title).to_be_focused()
        steps = page.get_by_role("navigation", name=say("steps"))
        expect(steps.get_by_role("link", name="Data (ready)")).to_have_attribute("aria-current", "step")
        for name, current in (("Train (not yet)", "Train"), ("Results (not yet)", "Results")):
            steps.get_by_role("link", name=name).press("Enter")
            expect(title).to_have_text(f"Insects: {current}")
            expect(title).to_be_focused()
            expect(steps.locator("[aria-current=step]")).to_have_accessible_name(name)
        place.store.delete_project(browser.project_id(page))


# Controls that are smaller than 24 by 24 px (WCAG 2.2, 2.5.8), but for links within a sentence, the sidebar, which is
# away on a phone, and sliders, whose whole line can be pressed.
SMALL = """
() => [...document.querySelectorAll("button, a[href], [role=tab], summary, select, input:not([type=file])")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((e) => !e.closest("p, [data-testid=stSidebar], [data-testid=stSlider]"))
  .map((e) => [e, ((e.matches("input") && e.closest("label")) || e).getBoundingClientRect()])
  .filter(([e, box]) => box.width > 1 && box.height > 1 && (box.width < 24 || box.height < 24))
  .filter(([e]) => e.tabIndex >= 0)
  .map(([e, box]) => `${e.tagName} ${e.ariaLabel ?? e.innerText} ${Math.round(box.width)}x${Math.round(box.height)}`)
"""


def test_pages_fit_320_px_with_targets_for_fingers_and_stand_still_for_who_asks(
    chromium: Browser, place: Server
) -> None:
    small: dict[str, list[str]] = {}
    moving: dict[str, int] = {}
    with browser.tab(chromium, place.url) as page:
        page.emulate_media(reduced_motion="reduce")
        page.set_viewport_size({"width": 320, "height": 800})  # 1280 px at a zoom of 400 %
        for name in ("", "data", "train", "results", "demo", "export", "present", "learn"):
            page.goto(f"{place.url}/{name}?project={project_of(place)}")
            idle(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
            assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth") <= 0, name
            small[name] = page.evaluate(SMALL)
            moving[name] = page.evaluate("document.getAnimations().filter((a) => a.playState === 'running').length")
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(reduced_motion="no-preference", forced_colors="active")
        page.goto(f"{place.url}/train?project={project_of(place)}")
        idle(page)
        primary = page.get_by_test_id("stBaseButton-primary").first
        assert primary.evaluate("e => getComputedStyle(e).borderTopWidth") != "0px"  # seen where grounds are not drawn
        page.emulate_media(forced_colors="none")
    assert not any(small.values()), small
    assert not any(moving.values()), moving


def test_the_steps_of_a_training_are_spoken_and_its_ticks_are_not(
    chromium: Browser, place: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    key = project_of(place)
    _, job = requests.train(place.store, key, Plan(epochs=30))
    assert job is not None
    with worker(place.store, job) as ticket, browser.tab(chromium, place.url) as page:
        ticket.stage("features", 36)
        page.goto(f"{place.url}/train?project={key}")
        spoken = by_key(page, "spoken")
        expect(spoken).to_have_role("status")
        expect(spoken).to_have_text(messages.stage("features"))
        for more, n in ((7, 7), (12, 19)):
            ticket.tick(more)
            expect(page.get_by_text(f"{n} / 36")).to_be_visible()
            expect(spoken).to_have_text(messages.stage("features"))
        assert not faults(page, "training")
        ticket.stage("head", 30)
        expect(spoken).to_have_text(messages.stage("head"))
        ticket.fail("internal", {"id": "abc"})


def test_the_picture_of_the_demo_and_each_example_has_a_name_of_its_own(chromium: Browser, place: Server) -> None:
    with browser.tab(chromium, place.url) as page:
        page.goto(f"{place.url}/demo?project={project_of(place)}")
        browser.await_answer(page)
        shown = page.get_by_test_id("stImage").locator("img")
        expect(shown).to_have_attribute("alt", re.compile(r"^Test picture of \w+: \w+, .*\d+.* sure$"))
        examples = by_key(page, "examples").get_by_role("button")
        expect(examples.locator("img")).to_have_count(6)
        spoken = [str(each.get_attribute("alt")) for each in examples.locator("img").all()]
        assert len(set(spoken)) == len(spoken) == 6, spoken
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            {
                "name": "wasp.png",
                "mimeType": "image/png",
                "buffer": place.store.pictures.path(any_picture(place)).read_bytes(),
            }
        )
        expect(shown).to_have_attribute("alt", re.compile(r"^wasp\.png: \w+, "))


def any_picture(place: Server) -> str:
    return str(place.store.dataset(project_of(place)).pictures[0].id)
