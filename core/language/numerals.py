"""Numbers as people read them: shares in percent, differences in points, with the marks of the language."""

from core.language import catalog
from core.language.catalog import say

_SURE = 0.995  # rounds to 100


def certainty(share: float) -> str:
    """A probability of a model, which is never certain: 0.997 -> more than 99 %, 0.004 -> less than 1 %."""
    if share >= _SURE:
        return say("more_than", share=percent(0.99))
    return say("less_than", share=percent(0.01)) if 0 < share < 1 - _SURE else percent(share)


def percent(share: float | None) -> str:
    """0.934 -> 93 %."""
    return "-" if share is None else f"{share * 100:.0f}\u00a0%"


def between(share: float, low: float, high: float) -> str:
    """A share with its interval."""
    return say("between", score=percent(share), low=round(low * 100), high=round(high * 100))


def points(share: float) -> str:
    """0.034 -> 3, and 0.004 -> 0.4: percentage points, negative ones with a true minus sign."""
    n = share * 100
    text = f"{abs(n):.0f}" if abs(n) >= 0.95 else f"{abs(n):.1f}".removesuffix(".0")
    text = catalog.current().marked(text)
    return f"\u2212{text}" if n < 0 and text != "0" else text


def points_n(share: float) -> str:
    """The same with its unit in singular or plural: 1 point, 0.4 points."""
    text = points(share)
    return say("points_n", points=text, n=int(text) if text.isdecimal() else 0)
