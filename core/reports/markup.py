"""Pages as trees of elements of the standard library, which writes them: text and attributes are escaped where they
are written, so that no name of a user's can become an element or an attribute.
"""

from collections.abc import Iterable
from xml.etree import ElementTree

Node = ElementTree.Element
Content = Node | str


def node(tag: str, *content: Content, **attributes: str | float) -> Node:
    """An element. In names of attributes `_` is written as `-`, and one at the end is left out (`class_`)."""
    made = ElementTree.Element(tag, {_name(key): _value(value) for key, value in attributes.items()})
    for each in content:
        if isinstance(each, str):
            _append(made, each)
        else:
            made.append(each)
    return made


def table(titles: Iterable[str], rows: Iterable[Iterable[Content]]) -> Node:
    """A table whose first column names its rows."""
    head = node("tr", *(node("th", title, scope="col") for title in titles))
    lines = []
    for first, *others in rows:
        lines.append(node("tr", node("th", first, scope="row"), *(node("td", cell) for cell in others)))
    # One that is too wide for a phone is scrolled alone; by keys as well.
    made = node("table", node("thead", head), node("tbody", *lines))
    return node("div", made, class_="table", tabindex=0)


def bullets(lines: Iterable[Content]) -> Node:
    return node("ul", *(node("li", line) for line in lines))


def rich(text: str) -> Node:
    """A paragraph of one of our texts, in which `**` begins and ends what is bold."""
    parts = text.split("**")
    return node("p", *(node("strong", part) if n % 2 else part for n, part in enumerate(parts) if part))


def to_bytes(page: Node) -> bytes:
    """The page as HTML."""
    text: str = ElementTree.tostring(page, encoding="unicode", method="html")
    return f"<!doctype html>\n{text}\n".encode()


def _append(made: Node, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
