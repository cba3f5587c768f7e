"""The scripts that users take away, in the language that is spoken: their comments, docstrings and printed sentences.

The files stay English; in English a script is its file. The texts stand in the catalog under keys that begin with
`script.`: a block of comments, a paragraph of a docstring, or a string that is printed, its wrapped lines joined and
the code in its braces as it is.
"""

import ast
import functools
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from itertools import accumulate

from core.language import catalog

PREFIX = "script."
_WIDTH = 120
_MARK = re.compile(r"# (?:-- |noqa: \w+ - )?")
# Two words in a row, outside of the code in braces.
_SENTENCE = re.compile(r"[a-z]{2,},? [a-z]{2,}", re.IGNORECASE)
_Edit = tuple[int, int, str]  # what stands from one character to another becomes this


def spoken(script: str) -> str:
    """A script in the language that is spoken now."""
    language = catalog.current().language
    return script if language == catalog.ENGLISH else _translated(script, language)


@functools.lru_cache(maxsize=32)
def _translated(script: str, language: str) -> str:
    ours = catalog.of(language)
    known = {forms[0]: ours.text(key) for key, forms in ours.texts.items() if key.startswith(PREFIX)}
    return swapped(script, lambda text: known.get(text, text))


def swapped(script: str, translate: Callable[[str], str]) -> str:
    """A script with each of its texts translated and wrapped again. The rest stays as it is, also the texts that
    `translate` answers unchanged. Strings outside of functions, such as the settings of a run, are no texts."""
    edits = [*_comments(script, translate), *_docstrings(script, translate), *_sentences(script, translate)]
    for start, end, text in sorted(edits, reverse=True):
        script = script[:start] + text + script[end:]
    return script


def _comments(script: str, translate: Callable[[str], str]) -> Iterator[_Edit]:
    lines = [0, *accumulate(len(line) + 1 for line in script.split("\n"))]
    for block in _blocks(script):
        (row, column), line, mark = block[0].start, block[0].line, _MARK.match(block[0].string)
        before = mark[0] if mark else ""
        text = " ".join(_MARK.sub("", token.string, count=1) for token in block)
        translated = translate(text)
        if translated == text:
            continue
        start, end = lines[row - 1] + column, lines[block[-1].end[0] - 1] + block[-1].end[1]
        code = line[:column].rstrip()
        if not code:
            yield start, end, _wrapped(before + translated, " " * column, "# ")
        elif column + len(before + translated) <= _WIDTH:
            yield start, end, before + translated
        else:  # above its line
            indent = line[: len(line) - len(line.lstrip())]
            yield lines[row - 1], lines[row - 1], indent + _wrapped(before + translated, indent, "# ") + "\n"
            yield lines[row - 1] + len(code), end, ""


def _blocks(script: str) -> list[list[tokenize.TokenInfo]]:
    """The comments; those that have lines of their own, one below the other, together."""
    blocks: list[list[tokenize.TokenInfo]] = []
    for token in tokenize.generate_tokens(io.StringIO(script).readline):
        if token.type != tokenize.COMMENT:
            continue
        last = blocks[-1][-1] if blocks else token
        own = token.line.lstrip().startswith("#") and last.line.lstrip().startswith("#")
        if own and token.start == (last.start[0] + 1, last.start[1]):
            blocks[-1].append(token)
        else:
            blocks.append([token])
    return blocks


def _docstrings(script: str, translate: Callable[[str], str]) -> Iterator[_Edit]:
    for node in _docstring_nodes(ast.parse(script)):
        start, end = _span(script, node)
        inner = script[start + 3 : end - 3]
        tail = inner[len(inner.rstrip()) :]  # the line end before marks that stand alone
        paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", inner)]
        translated = [translate(each) for each in paragraphs]
        if translated == paragraphs:
            continue
        translated[0] = '"""' + translated[0]
        translated[-1] += "" if tail else '"""'
        indent = " " * node.col_offset
        text = f"\n\n{indent}".join(_wrapped(each, indent) for each in translated)
        yield start, end, text + (f'{tail}"""' if tail else "")


def _docstring_nodes(tree: ast.Module) -> list[ast.Constant]:
    """The nodes of the docstrings."""
    owners = [each for each in ast.walk(tree) if isinstance(each, ast.Module | ast.ClassDef | ast.FunctionDef)]
    firsts = [each.body[0].value for each in owners if each.body and isinstance(each.body[0], ast.Expr)]
    return [each for each in firsts if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _sentences(script: str, translate: Callable[[str], str]) -> set[_Edit]:
    """The edits of the strings in functions that say something in words."""
    tree = ast.parse(script)
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    nodes = [node for function in functions for node in ast.walk(function)]
    parts = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
    edits = set()
    for node in {*nodes} - parts - {*_docstring_nodes(tree)}:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            start, end = _span(script, node)
            start, end = start + (2 if isinstance(node, ast.JoinedStr) else 1), end - 1  # without f and marks
            text = script[start:end]
            if _SENTENCE.search(re.sub(r"\{[^}]*\}", "", text)):
                edits.add((start, end, translate(text)))
    return edits


def _span(script: str, node: ast.expr) -> tuple[int, int]:
    """Where a node begins and ends, in characters. `ast` counts the bytes of a line."""
    lines = script.encode().split(b"\n")
    ends = (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)
    first, last = (len(b"\n".join([*lines[: row - 1], lines[row - 1][:column]]).decode()) for row, column in ends)
    return first, last


def _wrapped(text: str, indent: str, mark: str = "") -> str:
    """A text on as many lines as it needs, the first of which stands behind an indent already."""
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent + mark,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines)[len(indent) :]
