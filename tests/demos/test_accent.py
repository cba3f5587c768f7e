import pytest

from core.demos import accent
from core.errors import HeadstartError


@pytest.mark.parametrize("color", ["#000000", "#ffffff", "#ffff00", "#0f766e", "#ff0000", "#0000ff", "#808080"])
def test_text_in_any_accent_and_on_it_can_be_read(color: str) -> None:
    shades = accent.shades(color)
    assert accent.contrast(shades.light, "#fcfbf9") >= 4.5 and accent.contrast(shades.light, "#ffffff") >= 4.5
    grounds = ("#191816", "#24221f", "#000000")
    assert all(accent.contrast(shades.dark, ground) >= 4.5 for ground in grounds)


def test_an_accent_that_can_be_read_stays_as_it_was_chosen() -> None:
    assert accent.shades("#0f766e").light == "#0f766e" and accent.shades("#5ec4b8").dark == "#5ec4b8"


def test_contrast_is_that_of_the_standard() -> None:
    assert accent.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert accent.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("color", ["", "red", "#12345", "#12345g", "#123456;}", "</style>"])
def test_what_is_no_color_is_refused(color: str) -> None:
    with pytest.raises(HeadstartError, match="rrggbb"):
        accent.checked(color)
