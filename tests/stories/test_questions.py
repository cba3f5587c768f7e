"""In a real browser: asking whether the backbone fits and whether more pictures help, on the sample."""

import pytest
from playwright.sync_api import Page, expect

from core.jobs.kinds import FIT, MORE
from core.language.catalog import say
from core.pictures import counts
from core.plan import suggest
from core.runs import questions
from pages.parts.frame.words import points, points_n
from tests import browser
from tests.browser import Server, button
from tests.texts import shown

pytestmark = pytest.mark.browser


def test_both_questions_are_answered_on_the_sample_before_any_training(page: Page, app: Server) -> None:
    project = browser.try_sample(page, app.url)
    browser.step(page, "Train")
    browser.choose_fast(page)
    button(page, say("fit_ask", backbone="Starter")).click()
    expect(page.get_by_text(say("answer_running"))).to_be_visible()
    expect(page.get_by_text(shown("fit_clear", backbone="Starter"))).to_be_visible(timeout=browser.TRAIN_S * 1000)
    chart = browser.by_key(page, "fit-chart")
    expect(chart.locator(".bars .point")).to_have_count(3)
    page.get_by_role("tab", name=say("more")).click()
    button(page, say("more_ask")).click()
    expect(browser.by_key(page, "more-chart")).to_be_visible(timeout=browser.TRAIN_S * 1000)
    plan = suggest("fast", counts.of(app.store, project).learned)
    now = app.store.dataset(project).fingerprint
    told = {kind.name: questions.answer(app.store, project, kind, plan, now) for kind in (FIT, MORE)}
    assert told["fit"] is not None and told["fit"].fit.verdict == "clear"
    assert told["more"] is not None and told["more"].growth.n_train > 200
    growth = told["more"].growth
    numbers = {"gain": points_n(growth.gain), "low": points(growth.low), "high": points(growth.high)}
    expect(page.get_by_text(shown(f"more_{growth.verdict}", n=growth.n_val, **numbers))).to_be_visible()
    page.reload()
    browser.idle(page)
    expect(page.get_by_text(shown("fit_clear", backbone="Starter"))).to_be_attached()
