import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.audit import image_statistics
from tests import drawing


def measured(image: Image.Image) -> dict:  # type: ignore[type-arg]
    return image_statistics.measure(np.asarray(image), 1234)


def scene(side: int = 300) -> Image.Image:
    """A picture with edges of all sizes."""
    image = Image.new("RGB", (side, side), (120, 110, 90))
    for number in range(25):
        x, y = (np.random.default_rng(number).random(2) * 0.8 * side).astype(int).tolist()
        image.paste(drawing.draw("circle", number, 60), (x, y))
    return image


def _photograph(side: int) -> Image.Image:
    """A picture with structure of all sizes, as photographs have."""
    rng = np.random.default_rng(3)
    layers = [Image.fromarray(rng.random((n, n), np.float32)).resize((side, side)) for n in (4, 8, 16, 32, 64)]
    values = np.sum([np.asarray(layer) for layer in layers], axis=0) * 51
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def test_light_is_told_by_luma_of_the_darkest_and_lightest_pixels() -> None:
    half = np.zeros((100, 100, 3), np.uint8)
    half[:, 50:] = 200
    facts = image_statistics.measure(half, 10)
    assert facts["luma"] == [0, 0, 200, 200] and facts["mean"] == 100 and facts["bytes"] == 10


@pytest.mark.parametrize("side", [100, 300, 1200])
def test_a_blur_of_three_percent_of_the_side_is_told_from_none_at_any_size(side: int) -> None:
    image = _photograph(side)
    found = [measured(image.filter(ImageFilter.GaussianBlur(share * side)))["blur"] for share in (0, 0.03, 0.04)]
    assert found[0] < 0.45 and min(found[1:]) > 0.6


def test_blur_does_not_depend_on_contrast() -> None:
    image = scene()
    pale = Image.fromarray((np.asarray(image) * 0.5 + 60).astype(np.uint8))
    assert measured(pale)["blur"] == pytest.approx(measured(image)["blur"], abs=0.02)


def test_a_single_color_with_noise_tells_under_a_bit_and_a_scene_over_three() -> None:
    noise = np.random.default_rng(0).normal(130, 1.0, (200, 200, 1)).repeat(3, 2)
    assert image_statistics.measure(noise.astype(np.uint8), 1)["entropy"] <= 1.0
    assert measured(scene())["entropy"] > 3


def test_the_border_is_told_without_what_is_inside() -> None:
    image = Image.new("RGB", (200, 100), (10, 200, 30))
    image.paste((255, 0, 0), (20, 10, 180, 90))
    assert measured(image)["border"] == [10, 200, 30, 0, 0, 0]


def test_the_thumbnail_comes_back_from_its_facts() -> None:
    facts = measured(scene())
    small = np.asarray(scene().convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)
    assert np.abs(image_statistics.thumbnail(facts) - small).mean() < 2


def test_a_child_answers_for_several_files(tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = io.BytesIO()
    scene(2000).save(out, "JPEG")
    for name in "ab":
        (tmp_path / name).write_bytes(out.getvalue())
    answer, _ = image_statistics.answer({"paths": [str(tmp_path / "a"), str(tmp_path / "b")]}, b"")
    assert answer["facts"][0] == answer["facts"][1] and answer["facts"][0]["bytes"] == len(out.getvalue())
