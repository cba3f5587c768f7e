"""The address of a demo as a QR code, and as a sheet to print and hang up."""

import html
import io
from pathlib import Path
from string import Template

import segno

from core.demos.published import Appearance
from core.language import catalog

_SHEET = Template((Path(__file__).parent / "poster.html").read_text(encoding="utf-8"))


def qr_code(address: str) -> str:
    """An address as a QR code in SVG: black on white in every theme, since not every camera reads the opposite."""
    out = io.BytesIO()
    code = segno.make(address, error="m", micro=False)
    code.save(out, kind="svg", border=4, light="#fff", xmldecl=False, omitsize=True)
    return out.getvalue().decode()


def sheet(appearance: Appearance, address: str) -> bytes:
    """A page of HTML for an A4 sheet, which asks for no other file: title, words, QR code and address."""
    spoken = catalog.of(appearance.language)
    texts = {
        "title": appearance.title,
        "words": appearance.words,
        "address": address,
        "scan": spoken.text("poster_scan"),
    }
    escaped = {name: html.escape(text) for name, text in texts.items()}
    return _SHEET.substitute(escaped, lang=spoken.tag, code=qr_code(address)).encode()
