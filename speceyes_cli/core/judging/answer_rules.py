"""Rules that read a verdict from an answer, and say "undecided" rather than guess."""

from __future__ import annotations

from speceyes_cli.core.replies.choices import parse_choice
from speceyes_cli.core.replies.clean import CLOSE, OPEN, clean, fold
from speceyes_cli.core.replies.items import AROUND
from speceyes_cli.core.replies.tokens import tokenize_reply
from speceyes_cli.core.replies.yes_no import parse_yes_no
from speceyes_cli.core.samples import Sample, Verdict


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
    said = parse_yes_no(text, sample.question)
    if said is None:
        return Verdict(None, "ambiguous" if text.strip() else "none")
    return Verdict(None if sample.answer is None else said == _plain(sample.answer), "yes_no")


def score_text(sample: Sample, text: str) -> Verdict:
    """The verdict on a free answer: right when it says the known answer and nothing else.

    Other words may mean the same, so anything else is undecided, not wrong.
    """
    said = _words(clean(text) or "")
    same = bool(said) and sample.answer is not None and said == _words(sample.answer)
    return Verdict(right=True, provenance="text") if same else Verdict(None, "none")


def score_by_rule(sample: Sample, text: str) -> Verdict:
    """Judge by the rule that fits the sample: its options, yes or no, or the very words."""
    if sample.options:
        return score_choice(sample, text)
    if sample.answer is not None and sample.answer.casefold() in ("yes", "no"):
        return score_yes_no(sample, text)
    return score_text(sample, text)


def _words(text: str) -> str:
    """The words of a text, without what sets its type and marks it as the answer."""
    said = fold(text.replace(OPEN, " ").replace(CLOSE, " ")).strip(AROUND)
    return " ".join(token.text for token in tokenize_reply(said) or ()).strip(AROUND)


def _plain(text: str) -> str:
    """For comparing: one case, single spaces, no quotes or stops around."""
    return fold(text).strip(AROUND)
