"""A plan is checked when it is made; every setting explains itself."""

import json
from dataclasses import fields
from typing import Any

import pytest

from core import backbones
from core.errors import HeadstartError
from core.language.catalog import say
from core.plan import DIALS, PRESETS, Plan, best_here, mirror_risks, rarest, suggest, suggested_backbone

NUMERIC = [setting for setting in fields(Plan) if isinstance(setting.default, int | float)]


def refused(**settings: Any) -> HeadstartError:
    with pytest.raises(HeadstartError) as caught:
        Plan(**settings)
    assert caught.value.message and caught.value.hint  # both templates can be filled
    return caught.value


def test_the_defaults_are_a_usable_plan_with_the_backbone_that_ships() -> None:
    assert (Plan().backbone, Plan().pooling, Plan().fine_tune_blocks) == ("Starter", "average", 0)


@pytest.mark.parametrize("setting", fields(Plan), ids=lambda setting: setting.name)
def test_every_setting_has_help_that_is_a_sentence(setting: Any) -> None:
    text = say(f"setting_help.{setting.name}")
    assert len(text.split()) >= 3 and text[0].isupper() and text.endswith(".")


@pytest.mark.parametrize("setting", NUMERIC, ids=lambda setting: setting.name)
def test_every_number_has_bounds_around_its_default(setting: Any) -> None:
    assert setting.metadata["low"] <= setting.default <= setting.metadata["high"]


@pytest.mark.parametrize("setting", NUMERIC, ids=lambda setting: setting.name)
def test_values_beyond_the_bounds_are_refused_and_named(setting: Any) -> None:
    low, high = setting.metadata["low"], setting.metadata["high"]
    step = 1 if isinstance(setting.default, int) else 1e-9
    for value in (low - step, high + max(step, high * 1e-6) if step != 1 else high + 1, float("nan"), float("inf")):
        error = refused(**{setting.name: value})
        assert error.code in ("setting_bounds", "setting_kind") and error.values["setting"] == setting.name


@pytest.mark.parametrize("setting", [s for s in NUMERIC if s.name not in ("fine_tune_blocks",)], ids=lambda s: s.name)
def test_the_bounds_themselves_are_allowed(setting: Any) -> None:
    for bound in ("low", "high"):
        value = setting.metadata[bound]
        assert getattr(Plan(**{setting.name: value}), setting.name) == value


@pytest.mark.parametrize(
    "name", ["epochs", "hidden_units", "hidden_layers", "batch_size", "augment", "fine_tune_blocks", "seed"]
)
def test_half_an_epoch_or_neuron_is_refused(name: str) -> None:
    assert refused(**{name: 1.5}).values["setting"] == name


@pytest.mark.parametrize("value", ["40", None, [40]])
def test_a_value_that_is_no_number_is_refused_in_words(value: Any) -> None:
    assert refused(epochs=value).values["setting"] == "epochs"
    assert refused(dropout=value).values["setting"] == "dropout"


def test_a_pooling_that_does_not_exist_is_refused_with_the_choices() -> None:
    error = refused(pooling="median")
    assert error.code == "setting_choice"
    assert "pooling is median" in error.message and "average, max, flatten" in error.message


def test_kinds_of_altered_copies_have_one_order_and_an_unknown_one_is_refused() -> None:
    assert Plan(augment_kinds="light  crop") == Plan(augment_kinds="crop light")
    assert Plan(augment_kinds="turn flip").kinds == ("flip", "turn")
    error = refused(augment_kinds="crop blur")
    assert error.code == "setting_choice" and error.values["value"] == "blur" and "turn" in error.message


def test_copies_that_differ_in_nothing_are_refused() -> None:
    assert Plan(augment_kinds="").kinds == ()
    assert refused(augment=2, augment_kinds="").code == "augment_kinds_none"
    assert refused(fine_tune_blocks=1, fine_tune_fresh=1, augment_kinds="").code == "fresh_kinds_none"
    assert Plan(fine_tune_fresh=1, augment_kinds="").kinds == ()  # nothing is fine-tuned


def test_the_name_of_a_backbone_may_be_in_any_case() -> None:
    assert Plan(backbone="mobilenetv2").backbone == "MobileNetV2"
    assert Plan(backbone="STARTER") == Plan()


def test_an_unknown_backbone_is_refused_with_the_names() -> None:
    error = refused(backbone="ResNet9000")
    assert error.code == "backbone_unknown"
    assert "Starter, MobileNetV2, VGG16" in error.hint


def test_a_fine_tune_rate_over_the_heads_is_refused() -> None:
    error = refused(fine_tune_blocks=1, learning_rate=1e-3, fine_tune_rate=1.01e-3)
    assert error.code == "fine_tune_rate" and error.values["limit"] == pytest.approx(1e-3)
    assert Plan(fine_tune_blocks=1, learning_rate=1e-3, fine_tune_rate=1e-3).fine_tune_rate == 1e-3
    assert Plan(fine_tune_blocks=0, learning_rate=1e-4, fine_tune_rate=1e-3).fine_tune_rate == 1e-3


def test_an_unfreezing_that_never_reaches_the_last_block_is_refused() -> None:
    error = refused(fine_tune_blocks=4, fine_tune_gradual=3, fine_tune_epochs=9)
    assert error.code == "fine_tune_gradual" and error.values["needed"] == 10
    assert Plan(fine_tune_blocks=4, fine_tune_gradual=3, fine_tune_epochs=10).fine_tune_gradual == 3
    assert Plan(fine_tune_blocks=0, fine_tune_gradual=30).fine_tune_gradual == 30


@pytest.mark.parametrize("backbone", backbones.CATALOGUE, ids=lambda b: b.name)
def test_no_more_blocks_than_the_backbone_has_can_be_fine_tuned(backbone: backbones.Backbone) -> None:
    most = len(backbone.blocks)
    assert Plan(backbone=backbone.name, fine_tune_blocks=most).fine_tune_blocks == most
    error = refused(backbone=backbone.name, fine_tune_blocks=most + 1)
    assert error.code == "too_many_blocks" and error.values["limit"] == most


@pytest.mark.parametrize("name", PRESETS)
def test_json_brings_back_every_preset(name: str) -> None:
    assert Plan.from_dict(json.loads(json.dumps(PRESETS[name].to_dict()))) == PRESETS[name]


def test_settings_that_are_left_out_keep_their_defaults() -> None:
    assert Plan.from_dict({"epochs": 3}) == Plan(epochs=3)


def test_a_setting_of_another_version_is_refused_by_name() -> None:
    with pytest.raises(HeadstartError) as caught:
        Plan.from_dict({"epochs": 3, "momentum": 0.9})
    assert caught.value.code == "setting_unknown" and "momentum" in caught.value.message


def test_a_changed_plan_is_checked_again_and_the_old_one_stays() -> None:
    plan = Plan()
    assert plan.with_(epochs=5).epochs == 5 and plan.epochs == 40
    with pytest.raises(HeadstartError):
        plan.with_(epochs=0)


def test_the_textbook_preset_is_the_recipe_of_the_textbooks() -> None:
    textbook = PRESETS["textbook"]
    assert (textbook.backbone, textbook.pooling, textbook.hidden_units) == ("VGG16", "flatten", 1024)
    assert textbook.fine_tune_blocks == 0


def even(n_classes: int, each: int) -> dict[str, int]:
    return {f"kind {i:04}": each for i in range(n_classes)}


@pytest.mark.parametrize("dial", DIALS)
@pytest.mark.parametrize("counts", [{}, {"one": 1}, even(2, 5), even(10, 200), even(1000, 100), even(3, 100_000)])
def test_every_dial_suggests_a_plan_for_any_number_of_pictures(dial: str, counts: dict[str, int]) -> None:
    plan = suggest(dial, counts)
    assert (plan.backbone == "Starter" and plan.fine_tune_blocks == 0) if dial == "fast" else plan.fine_tune_rate > 0
    assert (plan.fine_tune_blocks > 0) == (dial == "best")
    assert plan.hidden_units == 0


def test_the_frozen_model_of_each_dial_learns_from_val_in_the_end_and_has_a_chosen_regularization() -> None:
    for dial in DIALS:
        plan = suggest(dial, even(3, 100))
        assert plan.ends_exact and plan.learns_from_val and plan.choose_regularization == 1


def test_only_a_linear_head_on_a_frozen_pooled_backbone_ends_exactly() -> None:
    plan = Plan(refit=1)
    assert plan.ends_exact and plan.learns_from_val
    for changes in ({"hidden_units": 8}, {"pooling": "flatten"}, {"refit": 0}):
        assert not plan.with_(**changes).ends_exact and not plan.with_(**changes).learns_from_val
    assert Plan(choose_regularization=1).ends_exact and not Plan(choose_regularization=1).learns_from_val
    older = {name: value for name, value in Plan().to_dict().items() if name not in ("refit", "choose_regularization")}
    assert Plan.from_dict(older) == Plan() and not Plan().ends_exact


@pytest.mark.parametrize(("each", "copies"), [(5, 3), (50, 3), (64, 3), (65, 0), (5_000, 0)])
def test_few_pictures_get_altered_copies_and_many_do_not(each: int, copies: int) -> None:
    assert suggest("balanced", even(2, each)).augment == copies
    assert suggest("fast", even(2, each)).augment == 0


def test_copies_are_not_suggested_where_they_would_take_minutes() -> None:
    assert [suggest("balanced", even(n, 50)).augment for n in (50, 51)] == [3, 0]


def test_the_pull_on_the_weights_of_a_class_is_measured_by_its_own_pictures() -> None:
    pulls = [suggest("balanced", even(n, 100)).regularization for n in (2, 3, 10, 1000)]
    assert pulls == [50.0, 33.3, 10.0, 0.1]


@pytest.mark.parametrize("n_classes", [2, 20])
def test_steps_stay_between_a_few_hundred_and_a_few_thousand_from_ten_to_a_hundred_thousand_pictures(
    n_classes: int,
) -> None:
    steps = {}
    for n in (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000):
        plan = suggest("fast", even(n_classes, n // n_classes))
        steps[n] = plan.epochs * -(-n // plan.batch_size)
    assert steps[100] == 400 and 900 <= steps[300] <= 1_100
    assert all(2_000 <= each <= 4_000 for n, each in steps.items() if n >= 1_000), steps
    assert suggest("fast", even(2, 50_000)).batch_size == 256


def test_views_are_mirrored_but_by_fast_for_few_pictures_whose_class_a_mirror_keeps() -> None:
    few, many = even(2, 500), even(2, 501)
    assert [suggest(dial, few).mirrored for dial in DIALS] == [0, 1, 1]
    assert suggest("balanced", many).mirrored == 0
    assert suggest("balanced", {"left": 9, "right": 9}).mirrored == 0
    assert suggest("balanced", few, flips_safe=False).mirrored == 0
    assert {suggest(dial, few).pooling for dial in ("fast", "balanced", "best")} == {"depths"}


def test_balance_is_suggested_from_more_than_three_times_on_and_the_rarest_class_is_named() -> None:
    assert rarest({"a": 30, "b": 10}) is None and suggest("fast", {"a": 30, "b": 10}).balance == 0
    assert rarest({"a": 31, "b": 10, "c": 20}) == ("b", 3.1)
    assert suggest("balanced", {"a": 31, "b": 10}).balance == 1.0


@pytest.mark.parametrize(
    "label",
    [
        "0",
        "42",
        "b",
        "Q",
        "digit 7",
        "letter_q",
        "left",
        "turn-right",
        "Left Arrow",
        "LeftArrow",
        "arrow_left",
        "sign7",
    ],
)
def test_a_class_that_a_mirror_may_change_is_known_by_its_name(label: str) -> None:
    assert mirror_risks(["cat", label]) == (label,)
    assert suggest("balanced", {"cat": 9, label: 9}).kinds == ("crop", "light")


@pytest.mark.parametrize("label", ["cat", "No entry", "bright", "leftover", "aright", "2 euro", "Brighton"])
def test_other_names_are_no_reason_against_flips(label: str) -> None:
    assert mirror_risks([label]) == () and "flip" in suggest("balanced", {"x1": 9, label: 9}).kinds


def test_what_was_measured_counts_more_than_names() -> None:
    assert suggest("balanced", {"left": 9, "right": 9}, flips_safe=True).kinds == ("crop", "flip", "light")
    assert suggest("balanced", {"cat": 9, "dog": 9}, flips_safe=False).kinds == ("crop", "light")


def test_the_best_dial_fine_tunes_more_blocks_of_many_pictures_than_of_few(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert [suggest("best", even(2, n // 2)).fine_tune_blocks for n in (244, 2_062)] == [3, 5]  # Starter has no more
    weights = backbones.weights_path(backbones.MOBILENET_V2)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    assert [suggest("best", even(2, n // 2)).fine_tune_blocks for n in (244, 2_062)] == [3, 7]
    assert [suggest(dial, even(2, 1_031)).fine_tune_blocks for dial in ("fast", "balanced")] == [0, 0]


def test_the_dial_counts_weights_that_can_be_downloaded_as_here(monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert [suggested_backbone(dial).name for dial in DIALS] == ["Starter"] * 3  # downloads are forbidden in tests
    monkeypatch.delenv("HEADSTART_DOWNLOADS")
    assert [suggested_backbone(dial).name for dial in DIALS] == ["Starter", "MobileNetV2", "EfficientNetB3"]
    assert best_here().name == "Starter"
    path = backbones.weights_path(backbones.find("EfficientNetV2B0"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert [suggested_backbone(dial).name for dial in DIALS] == ["Starter", "MobileNetV2", "EfficientNetB3"]
    monkeypatch.setenv("HEADSTART_DOWNLOADS", "0")
    assert [suggested_backbone(dial).name for dial in DIALS] == ["Starter", "EfficientNetV2B0", "EfficientNetV2B0"]
    assert best_here().name == "EfficientNetV2B0" and best_here(10.0).name == "Starter"


def test_the_same_settings_on_a_backbone_with_fewer_blocks_fine_tune_those_it_has() -> None:
    tuned = Plan(backbone="MobileNetV2", fine_tune_blocks=7, epochs=20)
    assert tuned.on(backbones.STARTER) == Plan(backbone="Starter", fine_tune_blocks=5, epochs=20)
    assert tuned.on(backbones.find("ResNet50")) == Plan(backbone="ResNet50", fine_tune_blocks=7, epochs=20)


def test_the_dial_takes_the_most_accurate_backbone_that_is_here_and_quick_enough(
    monkeypatch: Any, tmp_path: Any
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert [suggest(dial, even(2, 100)).backbone for dial in DIALS] == ["Starter"] * 3
    for name in ("MobileNetV2", "EfficientNetV2B2", "ConvNeXtBase"):
        path = backbones.weights_path(backbones.find(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert [suggest(dial, even(2, 100)).backbone for dial in DIALS] == ["Starter", "MobileNetV2", "EfficientNetV2B2"]


def test_what_the_network_answers_has_the_name_of_before_unless_something_new_is_asked_of_it() -> None:
    assert [Plan(pooling=name).output for name in ("average", "max", "flatten")] == ["average", "max", "flatten"]
    assert Plan(mirrored=1).output == "average mirrored"
    assert Plan(pooling="depths").output == "depths block3_out block2_out"
    both = Plan(backbone="MobileNetV2", pooling="depths", mirrored=1)
    assert both.output == "depths block_13_expand_relu block_6_expand_relu mirrored"


def test_features_of_depths_are_wider_by_the_earlier_layers() -> None:
    assert (Plan().channels, Plan(pooling="flatten").channels, Plan(pooling="depths").channels) == (512, 512, 656)
    assert Plan(backbone="MobileNetV2", pooling="depths").channels == 1280 + 576 + 192


def test_the_plan_of_an_older_version_has_no_mirrored_views() -> None:
    older = {name: value for name, value in Plan().to_dict().items() if name != "mirrored"}
    assert Plan.from_dict(older) == Plan()
