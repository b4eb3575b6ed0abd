"""A model's reply without what means nothing: thoughts, markup, tags, signs written two ways."""

from __future__ import annotations

import re
import unicodedata

from speceyes_cli.core.text import strip_control

LONGEST = 10_000
"""Characters of a reply that are read, blanks counted once; an answer of 2,048 tokens has fewer."""

OPEN, CLOSE = "\ue000", "\ue001"
"""Stand around what a reply marks as its answer: a box, an answer tag. Private-use characters."""

_SIGNS = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00ab": '"',
        "\u00bb": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": " - ",
        "\u2212": "-",
        "\u3010": "[",
        "\u3011": "]",
        "\u300c": '"',
        "\u300d": '"',
        OPEN: "",
        CLOSE: "",
    }
)
_THOUGHT = re.compile(
    r"(?P<end></(?:think|thinking|thought|reasoning|seed:think)>|\u25c1/think\u25b7"
    r"|<\|end_of_thought\|>)"
    r"|<(?:think|thinking|thought|reasoning|seed:think)>|\u25c1think\u25b7"
    r"|<\|begin_of_thought\|>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[/|]?(?P<name>[A-Za-z][\w ]{0,24})[^<>\n\w]{0,3}>")
_ANSWER_TAGS = frozenset({"answer", "final_answer", "final answer", "finalanswer", "choice"})
_LINE_TAGS = frozenset({"br", "p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "pre"})
_PLAIN_TAGS = frozenset(
    {"b", "i", "u", "s", "em", "strong", "span", "code", "mark", "eos", "bos", "pad", "unk"}
)
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)[ \t]{0,8}\w{0,20}[ \t]{0,8}$", re.MULTILINE)
_LATEX = re.compile(r"\\(?P<name>[A-Za-z]{1,20})\*?|\\(?P<sign>.)|(?P<brace>[{}])", re.DOTALL)
_BOXES = frozenset({"boxed", "fbox", "framebox"})


def clean(text: str) -> str | None:
    """The reply as it is read; None where more than `LONGEST` characters would be left.

    Thoughts are gone, boxes and answer tags stand between `OPEN` and `CLOSE`, and signs that mean
    the same are one. A thought that never ends swallows what follows it.
    """
    said = without_thoughts(strip_control(text))
    if len(said) > LONGEST:
        said = "\n".join(" ".join(line.split()) for line in said.splitlines() if line.strip())
        if len(said) > LONGEST:
            return None
    said = unicodedata.normalize("NFKC", said).translate(_SIGNS)
    if len(said) > 2 * LONGEST:  # one sign may stand for many
        return None
    said = _FENCE.sub("", said)
    lower = said.lower()
    if lower.rfind("<answer>") > lower.rfind("</answer>"):
        said += "</answer>"  # a stop condition eats it
    return _without_latex(_TAG.sub(_untag, said))


def without_thoughts(text: str) -> str:
    """What follows the last thought; what stands before one that never ends."""
    marks = list(_THOUGHT.finditer(text))
    ends = [mark for mark in marks if mark.group("end")]
    start = ends[-1].end() if ends else 0
    begun = next((m.start() for m in marks if m.start() >= start and not m.group("end")), len(text))
    return text[start:begun]


def fold(text: str) -> str:
    """For comparing: one case, one form of each sign, single blanks."""
    said = unicodedata.normalize("NFKC", strip_control(text)).translate(_SIGNS)
    return " ".join(said.casefold().split())


def _untag(found: re.Match[str]) -> str:
    """What a tag stands for; a tag that is not known stays, such as a letter in angle brackets."""
    whole, name = found.group(), found.group("name").strip().casefold()
    closes = whole.startswith("</")
    if whole.startswith("<|"):
        name = name.removesuffix("|")
        return {"begin_of_box": OPEN, "end_of_box": CLOSE}.get(name, " ")
    if name in _ANSWER_TAGS:
        return CLOSE if closes else OPEN
    if name in _LINE_TAGS:
        return "\n"
    if name in _PLAIN_TAGS and (len(name) > 1 or name in whole):
        return " "
    return whole


def _without_latex(text: str) -> str:
    r"""The text without LaTeX's commands: `\boxed{\text{B}}` is B between `OPEN` and `CLOSE`.

    One pass with a stack of what closes each brace.
    """
    if "\\" not in text:
        return text
    out: list[str] = []
    closers: list[str] = []
    at = 0
    for found in _LATEX.finditer(text):
        if found.start() < at:  # the brace that a command took
            continue
        out.append(text[at : found.start()])
        at = found.end()
        if name := found.group("name"):
            takes = text[at : at + 1] == "{"
            at += takes
            boxes = takes and name in _BOXES
            out.append(OPEN if boxes else " ")
            if takes:
                closers.append(CLOSE if boxes else " ")
        elif sign := found.group("sign"):
            out.append(" " if sign in "()[]!,;: \n\\" else sign)
        elif found.group("brace") == "{":
            out.append("{")
            closers.append("}")
        else:
            out.append(closers.pop() if closers else "}")
    out.append(text[at:])
    return "".join(out)
