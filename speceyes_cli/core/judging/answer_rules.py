"""Rules that read a verdict from an answer, and say "undecided" rather than guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.core.text import strip_control


class Choice(NamedTuple):
    """Which option an answer names, and how that was read."""

    option: int | None
    """0 for the first option; None: undecided."""
    provenance: str
    """One of "letter", "text", "ambiguous" and "none"."""


AMBIGUOUS = Choice(None, "ambiguous")
NOTHING = Choice(None, "none")

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_AROUND = " \t\n\"'.,;:!\u3001\u3002"
"""What may stand around an answer without meaning anything; the last two are Chinese stops."""
_HEDGE = re.compile(
    r"\b(?:not|no|nor|neither|never|none|cannot|\w+n't|except|without|wrong|incorrect|false"
    r"|instead|rather|unlike|unless|wait|actually|maybe|perhaps|unsure|either|or|versus|vs"
    r"|eliminate[ds]?|exclude[ds]?|ruled? out|ruling out|different from|other than|both)\b"
    r"|\?|/|或|不|非",
    re.IGNORECASE,
)
"""Where one of these stands, a letter or an option may be named without being the answer."""
_CUED_LETTER = re.compile(
    r"(?:\b(?P<noun>answer|option|choice|response)\b(?P<verb>\s+(?:is|would be|should be|must be))?"
    r"|\b(?:choose|chose|pick|select|go with|going with)\b(?:\s+(?:option|choice|answer))?"
    r"|答案|选项|选择|应选|选|選項|選擇|應選|選)"
    r"\s*(?:是|为|為)?\s*[:=]?\s*(?:(?:option|choice)\s+)?[(\[{\"']*"
    r"(?P<letter>[A-Z])(?![\w'-])[)\]}\"']*",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s+(?!because\b|since\b|as\b)\w")
_LEADING_LETTER = re.compile(
    r"[(\[{]?(?P<letter>[A-Z])(?:[)\]}][.:,]?|\s*[.:](?!\w)|[.:](?=\w\w)|\s+-)\s*", re.IGNORECASE
)
_LETTER_ALONE = re.compile(r"[(\[{<]?\s*([A-Z])\s*[)\]}>]?", re.IGNORECASE)
_SEVERAL_LETTERS = re.compile(r"[A-Z](?:\s*(?:[,&+/]|and|or|\u3001)?\s*[A-Z]\b)+")
_FORMULA = re.compile(r"\$+\s*([A-Za-z]|\\.*?)\s*\$+")
_MARKUP = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)|^\s*#+\s|</?answer>", re.MULTILINE)
"""Marks that mean nothing; $1.50, #3 and snake_case keep theirs."""
_WRAPPED = re.compile(r"\\?(?:boxed|text|textbf)?\{(?P<inside>(?:[^{}]|\\?\w*\{[^{}]*\})*)\}")


def score_choice(sample: Sample, text: str) -> Verdict:
    """The verdict on a multiple-choice answer; options with equal texts count as one.

    Undecided when the answer names no option or several, or when the sample has no known answer.
    """
    option, provenance = parse_choice(text, sample.options)
    if option is None or sample.answer is None:
        return Verdict(None, provenance)
    return Verdict(_plain(sample.options[option]) == _plain(sample.answer), provenance)


def score_yes_no(sample: Sample, text: str) -> Verdict:
    """The verdict on a yes/no answer; undecided unless it says one of the two plainly."""
    said = parse_yes_no(text)
    if said is None:
        return Verdict(None, "ambiguous" if text.strip() else "none")
    return Verdict(None if sample.answer is None else said == _plain(sample.answer), "yes_no")


def score_text(sample: Sample, text: str) -> Verdict:
    """The verdict on a free answer: right when it says the known answer and nothing else.

    Other words may mean the same, so anything else is undecided, not wrong.
    """
    said = _plain(_unwrap(text))
    same = bool(said) and sample.answer is not None and said == _plain(sample.answer)
    return Verdict(right=True, provenance="text") if same else Verdict(None, "none")


def score_by_rule(sample: Sample, text: str) -> Verdict:
    """Judge by the rule that fits the sample: its options, yes or no, or the very words."""
    if sample.options:
        return score_choice(sample, text)
    if sample.answer is not None and sample.answer.casefold() in ("yes", "no"):
        return score_yes_no(sample, text)
    return score_text(sample, text)


def parse_choice(text: str, options: Sequence[str]) -> Choice:
    """The option an answer names by its letter or its text.

    A letter counts where it stands alone, leads ("B. red") or follows a cue ("the answer is B");
    a text counts as the whole answer, or as the only option mentioned. "Apple" is not the letter
    A, and an answer that hedges, negates or lists is ambiguous.
    """
    said = _unwrap(text)
    plain = _plain(said)
    texts = [_plain(option) for option in options]
    if not plain or not texts:
        return NOTHING
    bare = said.strip(_AROUND)
    alone = _LETTER_ALONE.fullmatch(bare)
    letter = _option_of(alone.group(1), texts) if alone else None
    if plain in texts:
        option = texts.index(plain)
        return AMBIGUOUS if letter not in (None, option) else Choice(option, "text")
    if alone:
        return NOTHING if letter is None else Choice(letter, "letter")
    if _SEVERAL_LETTERS.fullmatch(bare):
        return AMBIGUOUS
    return _led_by_letter(said, texts) or _cued_by_letter(said, texts) or _mentioned(plain, texts)


def parse_yes_no(text: str) -> str | None:
    """The word "yes" or "no" where the answer says exactly one of them plainly, else None."""
    plain = _plain(_unwrap(text))
    if re.search(r"\b(?:wait|actually|maybe|perhaps|unsure|not sure)\b|\?|/", plain):
        return None
    cued = re.findall(r"\banswer\b(?: is)?\s*:?\s*[\"'(]*(yes|no)\b", plain)
    if cued:
        return str(cued[0]) if len(set(cued)) == 1 else None
    lead = re.match(r"(yes|no)\b(?P<stop>\s*[,.;:!-])?(?P<rest>.*)", plain, re.DOTALL)
    if lead is None or re.match(r"\s*(?:doubt|idea|way to|clue|matter)\b", lead.group("rest")):
        return None
    said, rest = lead.group(1), lead.group("rest")
    if said == "yes" and lead.group("stop"):  # "Yes, there is no other" says yes
        contradicted = re.match(r"\s*no\b\s*(?:[,.;:!]|$)", rest)
    else:
        contradicted = re.search(r"\bno\b" if said == "yes" else r"\byes\b", rest)
    return None if contradicted else said


def _led_by_letter(said: str, texts: list[str]) -> Choice | None:
    """The option whose letter leads the answer, as in "(B) red"; None where no letter does."""
    lead = _LEADING_LETTER.match(said)
    if lead is None:
        return None
    option = _option_of(lead.group("letter"), texts)
    rest = said[lead.end() :]
    if option is None:
        return NOTHING
    if _plain(rest) == texts[option]:
        return Choice(option, "letter")
    others = {_option_of(found, texts) for found in _cued_letters(rest)} - {option}
    if others or _plain(rest) in texts or _HEDGE.search(rest) or _starts_letter(rest):
        return AMBIGUOUS
    return Choice(option, "letter")


def _cued_by_letter(said: str, texts: list[str]) -> Choice | None:
    """The option whose letter follows a cue such as "answer:"; None where no letter does."""
    cued = {letter.upper() for letter in _cued_letters(said)}
    if not cued:
        return None
    if len(cued) > 1 or _HEDGE.search(said):
        return AMBIGUOUS
    option = _option_of(cued.pop(), texts)
    return NOTHING if option is None else Choice(option, "letter")


def _cued_letters(said: str) -> Iterator[str]:
    """Letters that follow a cue, and those joined to them by "and", "or" and the like.

    A lower-case letter counts only at the end of its clause; an article never does.
    """
    for match in _CUED_LETTER.finditer(said):
        letter = match.group("letter")
        rest = said[match.end() :]
        named = match.group("noun") and not match.group("verb")  # "option A", not "the answer is a"
        article = letter in "AI" and not named and _GOES_ON.match(rest)
        ends = re.match(r"\s*(?:[.,;:!\u3002]|$)", rest)
        if ends or (letter.isupper() and not article):
            yield letter
        yield from re.findall(r"^\s*(?:and|or|&|,|/|或|和)\s*([A-Z])\b", rest)


def _mentioned(plain: str, texts: list[str]) -> Choice:
    """The only option whose text stands in the answer; longer texts hide those inside them."""
    rest = plain
    found = set()
    for text in sorted(filter(None, set(texts)), key=len, reverse=True):
        rest, times = re.subn(_whole(text), " ; ", rest)
        if times:
            found.add(text)
    if not found:
        return NOTHING
    option = texts.index(next(iter(found)))
    others = {_option_of(letter, texts) for letter in _cued_letters(rest)} - {None, option}
    if len(found) > 1 or others or _HEDGE.search(rest):
        return AMBIGUOUS
    return Choice(option, "text")


def _starts_letter(rest: str) -> bool:
    """Whether another lettered option begins, as in "A. red B. green"."""
    return re.search(r"(?:^|\s)[(\[]?[A-Z][)\].:](?:\s|$)", rest) is not None


def _option_of(letter: str, texts: Sequence[str]) -> int | None:
    option = ord(letter.upper()) - ord("A")
    return option if option < len(texts) else None


def _whole(text: str) -> str:
    """A pattern for the text as whole words: 3 stands neither in 13 nor in 3.5."""
    before = r"(?<![^\W_])(?<!\d[.,])(?<!-)" if text[0].isalnum() else ""
    after = r"(?![^\W_])(?![.,]\d)(?!-)" if text[-1].isalnum() else ""
    if not text.isascii():
        before = after = ""  # scripts that are written without spaces
    return before + re.escape(text) + after


def _unwrap(text: str) -> str:
    """The text without control characters and markup, signs that mean the same made one."""
    said = unicodedata.normalize("NFKC", strip_control(text)).translate(_QUOTES)
    said = re.sub(r"[\u2013\u2014]", "-", said)
    said = _FORMULA.sub(r" \1 ", said)
    said = _MARKUP.sub(" ", said).strip()
    while wrapped := _WRAPPED.fullmatch(said.strip(_AROUND)):
        said = wrapped.group("inside").strip()
    return said


def _plain(text: str) -> str:
    """For comparing: one case, single spaces, no quotes or stops around."""
    said = unicodedata.normalize("NFKC", strip_control(text)).translate(_QUOTES).casefold()
    return " ".join(said.split()).strip(_AROUND)
