"""Names that mean something else to some part of the way: to a file system, a component, Markdown, a spreadsheet."""

from core.language.catalog import say

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one sign of three, joined
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"  # a black flag with letters behind

# As a user gives them, and as they stay: names of classes, projects, runs and files alike.
KEPT = (
    # the folders of PlantVillage, and other underscores
    "Tomato___Late_blight", "Pepper,_bell___Bacterial_spot", "Corn_(maize)___Cercospora_leaf_spot Gray_leaf_spot",
    "a__b", "__init__", "_x_",
    # other scripts, in one direction and the other; signs that are joined, and one that is newer than Python
    "caf\u00e9", "\u65e5\u672c", "\u0628\u064a\u062a", "\u05d1\u05d9\u05ea (1)", "\u0645\u06cc\u200c\u062e", FAMILY,
    ENGLAND, "\u2764\ufe0f", "\U0001fae9", "\u00df",
    # file systems, shells, templates
    "con", "aux.txt", "a:b", "%2F", "~", "$HOME", "$(id)", "{x}", "{0}", "{{x}}", "%s", "a\uff0fb", "*", "?", "|",
    "\"q\" 'r' `s`", "x" * 80,
    # values
    "NULL", "None", "nan", "true", "1", "9", "10", "007", "1e3", "2024-01-01", "-", "--", "-1", "#", "undefined", "[]",
    # spreadsheets
    "=1+1", "+1+1", "-1+1", "@SUM(1)", "'=1", "=cmd|' /C calc'!A0",
    # Markdown, HTML, LaTeX, and what Streamlit reads beside them
    "**b**", "*b*", "~~s~~", "[x](http://evil.example)", "![x](http://evil.example/a.png)", "<b>x</b>", "[^1]",
    "<script>alert(1)</script>", "&amp;", "&#65;", "$x$", "$$x$$", ":material/home:", ":material_home:", ":red[x]",
    ":color[x]", "::x", ":smile:", ":+1:", ":streamlit:", ":help[x]", "->", "a -> b", "<->", ">=", "1. x", "- x", "> x",
    "# x", "| a | b |", "---", "===", "```", "a\\", "\\_",
    # addresses
    "x http://evil.example/p", "HTTPS://evil.example", "www.evil.example", "WWW.evil.example/p", "a@evil.example",
    "mailto:a@evil.example", "xmpp:a@evil.example", "<http://evil.example>", "_http://evil.example_",
)  # fmt: skip

# What no folder can be called, as names are cut there or hidden; a table can say it, and a user can type it.
TYPED = ("a/b", "/", "..", ".", "...", ".hidden", "C:\\x", "\\", "../../etc/passwd", "train/x", "__MACOSX")
FOLDERS = tuple(name for name in KEPT if not {"/", "\\"} & set(name))

# What makes another class of it, as it comes and as it stays.
CHANGED = {
    "  two  spaces ": "two spaces", "tab\there": "tab here", "new\nline": "new line", "bell\x07": "bell",
    "\u202egnp": "gnp", "zero\u200bwidth": "zerowidth", "e\u0301t\u00e9": "\u00e9t\u00e9",
}  # fmt: skip

# A handful of the worst, with which a model is trained once; in the order of the classes.
WORST = tuple(
    sorted(
        (
            "Tomato___Late_blight", "Corn_(maize)___Cercospora_leaf_spot Gray_leaf_spot", "__", FAMILY,
            "\u05d1\u05d9\u05ea (1)", "x www.evil.example", "a@evil.example", "=1+1", "**b** $x$ :smile:", "<b>&amp;",
            say("any_class"), "10", "9", "2024-01-01", "nan", "y" * 80,
        )
    )
)  # fmt: skip
