from pathlib import Path

import pytest

from core.jobs.eta import Forecast, Speeds, Step, Took, Work, crowd, estimate_s, remaining, steps
from core.plan import Plan, suggest

THOUSAND = {"train": 700, "val": 150, "test": 150}
PLAIN = (Step("convert", 1, 4.0, "convert"), Step("features", 100, 0.1, "features"), Step("save", 1, 6.0, "save"))


def test_at_first_what_was_expected_is_left_and_the_stage_at_work_runs_down() -> None:
    forecast = Forecast(PLAIN)
    assert forecast.left(0.0) == (20.0, 20.0)
    forecast.stage("convert", 0, 0.0)
    assert forecast.left(3.0) == (pytest.approx(17.0), pytest.approx(16.0))


def test_a_machine_twice_as_slow_as_expected_is_found_out_by_its_first_stages() -> None:
    forecast = Forecast(PLAIN)
    forecast.stage("convert", 0, 0.0)
    forecast.stage("features", 100, 8.0)
    for done in range(1, 101):
        forecast.tick(done, 8.0 + 0.2 * done)
        if done == 50:
            left = Forecast.left(forecast, 18.0)
            assert left is not None and left[0] == pytest.approx(10 + 12, rel=0.2)


def test_the_stage_at_work_is_judged_by_its_own_pace() -> None:
    forecast = Forecast((Step("features", 1000, 0.001, "features"),))
    forecast.stage("features", 1000, 0.0)
    for done in range(10, 501, 10):
        forecast.tick(done, done * 0.1)
    left = forecast.left(50.0)
    assert left is not None and left[0] == pytest.approx(50, rel=0.05) and left[1] == 0.0


def test_work_that_was_done_before_a_crash_does_not_count_as_fast() -> None:
    todo = (Step("features", 100, 0.1, "features"), Step("save", 1, 20.0, "save"))
    forecast = Forecast(todo)
    forecast.stage("features", 1000, 0.0, done=900)
    for n in range(0, 51):
        forecast.tick(900 + n, 0.1 * n)
    assert forecast.left(5.0) == (pytest.approx(25.0, rel=0.02), pytest.approx(20.0, rel=0.02))
    for n in range(51, 101):
        forecast.tick(900 + n, 0.1 * n)
    assert forecast.stage("save", 0, 10.0) == Took(todo[0], 10.0)


def test_what_is_said_does_not_jump() -> None:
    forecast = Forecast((Step("features", 100, 0.1, "features"),))
    forecast.stage("features", 100, 0.0)
    forecast.tick(1, 0.1)
    before = forecast.left(0.2)
    forecast.tick(2, 10.0)  # a pause of ten seconds
    after = forecast.left(10.0)
    nearly = forecast.left(10.1)
    assert before is not None and after is not None and nearly is not None
    assert abs(nearly[0] - after[0]) < 0.1 * after[0]


def test_a_step_that_was_done_as_a_whole_is_measured_and_known_to_the_next_training(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")
    step = speeds.step("features", "Starter", 200, 0.5)
    assert step.seconds == 100
    forecast = Forecast((step,))
    forecast.stage("features", 200, 0.0)
    forecast.tick(1, 0.1)
    forecast.tick(200, 20.0)
    ended = forecast.stage("save", 0, 20.0)
    assert ended == Took(step, 20.0)
    speeds.keep(ended)
    assert Speeds(tmp_path / "speeds.json").step("features", "Starter", 200, 0.5).seconds == pytest.approx(20)
    speeds.keep(Took(step, 40.0))
    assert speeds.step("features", "Starter", 200, 0.5).seconds == pytest.approx(30)


def test_a_training_on_cached_features_expects_no_looking_and_a_fine_tuned_one_expects_all(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")
    cached = steps(Plan(), Work(80, 20, missing=0, converted=True), speeds)
    assert [step.stage for step in cached] == ["head", "save"]
    work = Work(80, 20, missing=100, converted=False, effects=20, boundary=90)
    whole = steps(Plan(fine_tune_blocks=2), work, speeds)
    names = ["convert", "features", "head", "effects", "load", "convert", "boundary", "fine_tune", "convert"]
    names += ["evaluate", "save"]
    assert [step.stage for step in whole] == names
    assert sum(step.seconds for step in whole) > 1.3 * sum(step.seconds for step in cached)


def test_no_fine_tuning_is_expected_without_val_pictures(tmp_path: Path) -> None:
    speeds, parts = Speeds(tmp_path / "speeds.json"), {"train": 850, "val": 0, "test": 150}
    tuned, plain = (estimate_s(Plan(fine_tune_blocks=n), parts, speeds) for n in (2, 0))
    assert tuned == plain < 0.5 * estimate_s(Plan(fine_tune_blocks=2), THOUSAND, speeds)


def test_copies_of_val_are_looked_at_too_where_the_head_learns_from_val_in_the_end(tmp_path: Path) -> None:
    speeds, parts = Speeds(tmp_path / "speeds.json"), {"train": 700, "val": 150, "test": 150}
    plan = Plan(backbone="ResNet50", augment=3, choose_regularization=1)
    train_alone, both = (estimate_s(plan.with_(refit=refit), parts, speeds) for refit in (0, 1))
    looking = next(s for s in steps(plan, Work(700, 300, 3 * 150, True), speeds) if s.stage == "features")
    assert both - train_alone == pytest.approx(looking.seconds)


def test_on_a_crowded_machine_more_time_is_expected_from_the_start() -> None:
    forecast = Forecast(PLAIN, crowd=3.0)
    assert forecast.left(0.0) == (60.0, 60.0)
    forecast.stage("convert", 0, 0.0)
    assert forecast.stage("features", 100, 12.0) == Took(PLAIN[0], 4.0)  # measured as if alone
    assert crowd() >= 1.0


def test_a_stage_without_a_word_runs_down_and_then_says_that_the_machine_is_slow() -> None:
    assert remaining(10.0, 6.0, 1.0) == 9.0
    assert remaining(10.0, 6.0, 4.0) == 6.0
    assert remaining(10.0, 6.0, 16.0) == 12.0


def test_a_stage_that_tells_more_of_itself_is_still_the_same() -> None:
    forecast = Forecast((Step("effects", 100, 0.1, "effects"), Step("save", 1, 5.0, "save")))
    forecast.stage("effects", 0, 0.0)
    assert forecast.stage("effects", 50, 1.0) is None
    forecast.tick(50, 8.0)
    assert forecast.stage("save", 0, 9.0) == Took(Step("effects", 100, 0.1, "effects"), 9.0)


def test_epochs_that_were_not_needed_are_learned_as_such_and_not_as_speed(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")
    step = speeds.step("head", "Starter", 400, 0.1, epochs=40, patience=10)
    forecast = Forecast((step, Step("save", 1, 20.0, "save")))
    forecast.stage("head", 40, 0.0)
    for epoch in range(1, 21):
        forecast.tick(epoch, epoch * 1.0)
    # To the share at which others stopped, and the machine is as fast as expected.
    assert step.share == 0.7 and forecast.left(20.0) == (pytest.approx(28.0, rel=0.02), pytest.approx(20.0, rel=0.02))
    ended = forecast.end(20.0)
    assert ended == Took(step, 20.0, share=0.5)
    speeds.keep(ended)
    again = speeds.step("head", "Starter", 400, 9.0, epochs=40, patience=10)
    assert (again.unit_s, again.share) == (pytest.approx(0.1), 0.5)
    never = speeds.step("head", "Starter", 400, 9.0, epochs=40, patience=0)
    assert (never.unit_s, never.share) == (pytest.approx(0.1), 1.0)


def test_a_stage_that_comes_in_two_lots_is_one_step() -> None:
    step = Step("features", 1300, 0.1, "features")
    forecast = Forecast((step, Step("save", 1, 20.0, "save")))
    forecast.stage("features", 1000, 0.0)
    for n in range(0, 1001, 10):
        forecast.tick(n, 0.1 * n)
    forecast.stage("features", 300, 100.0)
    for n in range(0, 151, 10):
        forecast.tick(n, 100 + 0.1 * n)
    assert forecast.left(115.0) == (pytest.approx(35.0, rel=0.02), pytest.approx(20.0, rel=0.02))


# Stages of a training as they came on two cores (MobileNetV2, two blocks, 2,062 pictures): units and seconds.
# Evaluating was measured on 620 pictures (2.9 s); those that are remembered have been added at the same speed.
TRACE = (
    ("convert", 0, 10.7), ("features", 2062, 9.1), ("head", 40, 0.2), ("effects", 300, 1.7), ("load", 0, 0.1),
    ("convert", 0, 5.8), ("boundary", 1752, 7.0), ("fine_tune", 8, 21.8), ("convert", 0, 6.5), ("evaluate", 1620, 7.6),
    ("save", 0, 4.3),
)  # fmt: skip


@pytest.mark.parametrize(("slower", "at_least"), [(0.8, 0.93), (1.0, 0.99), (1.25, 0.99), (1.6, 0.75)])
def test_after_the_first_tenth_the_time_left_is_within_a_fifth_of_the_truth_on_a_faster_or_slower_machine(
    tmp_path: Path, slower: float, at_least: float
) -> None:
    plan = Plan(backbone="MobileNetV2", fine_tune_blocks=2)
    work = Work(1442, 620, 2062, False, effects=300, boundary=1752)
    todo = steps(plan, work, Speeds(tmp_path / "speeds.json"))
    assert [step.stage for step in todo] == [name for name, _, _ in TRACE]
    total = slower * sum(seconds for *_, seconds in TRACE)
    forecast, now, errors = Forecast(todo), 0.0, []
    for name, n, seconds in TRACE:
        forecast.stage(name, n, now)
        parts = min(n, 100) or 20
        for part in range(1, parts + 1):
            at = now + slower * seconds * part / parts
            if n:
                forecast.tick(n * part / parts, at)
            left = forecast.left(at)
            assert left is not None
            errors += [abs(at + left[0] - total) / total] if at >= total / 10 else []
        now += slower * seconds
    assert sum(error <= 0.2 for error in errors) / len(errors) >= at_least


def test_a_hundred_thousand_pictures_cost_no_more_head_training_than_minutes(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")
    parts = {"train": 70_000, "val": 15_000, "test": 15_000}
    many = suggest("fast", {str(label): 10_000 for label in range(10)})
    extraction = estimate_s(many.with_(epochs=1), parts, speeds)
    assert estimate_s(many, parts, speeds) - extraction < 60


def test_an_estimate_leaves_out_the_pictures_that_were_looked_at_before(tmp_path: Path) -> None:
    speeds, plan = Speeds(tmp_path / "speeds.json"), Plan()
    whole, half, again = (estimate_s(plan, THOUSAND, speeds, looked_at) for looked_at in (0, 500, 1_000))
    of_all = steps(plan, Work(700, 300, 1_000, False), speeds)
    looking, converting = (
        sum(step.seconds for step in of_all if step.stage == name) for name in ("features", "convert")
    )
    saving = sum(step.seconds for step in of_all if step.stage == "save")
    assert whole - half > looking / 2 and half - again == pytest.approx(looking / 2)
    assert looking + converting + saving > whole - again > looking


def test_an_estimate_is_what_the_steps_cost_here_once_they_were_measured(tmp_path: Path) -> None:
    speeds, plan = Speeds(tmp_path / "speeds.json"), Plan()
    rough = estimate_s(plan, THOUSAND, speeds)
    features = next(step for step in steps(plan, Work(700, 300, 1_000, False), speeds) if step.stage == "features")
    speeds.keep(Took(features, features.seconds + 100))
    assert estimate_s(plan, THOUSAND, speeds) == pytest.approx(rough + 100)


def test_mirrored_views_take_the_network_twice_as_long_and_depths_hardly_longer(tmp_path: Path) -> None:
    speeds = Speeds(tmp_path / "speeds.json")

    def features_s(plan: Plan) -> float:
        return next(s.seconds for s in steps(plan, Work(700, 300, 1000, True), speeds) if s.stage == "features")

    plan = Plan(backbone="ResNet50")  # it takes so long that reading the pictures hardly counts
    assert features_s(plan.with_(mirrored=1)) == pytest.approx(2 * features_s(plan), rel=0.05)
    assert features_s(plan.with_(pooling="depths")) == features_s(plan)
    heads = [
        next(s.unit_s for s in steps(each, Work(700, 300, 0, True), speeds) if s.stage == "head")
        for each in (plan, plan.with_(pooling="depths"))
    ]
    assert 1 < heads[1] / heads[0] < 3584 / 2048
