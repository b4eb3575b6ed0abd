from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from speceyes_judges.rules import make_judge

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.judging.judges import Claim
from speceyes_cli.core.samples import Sample, Verdict
from speceyes_cli.host.manager import Host
from speceyes_cli.host.specs import JudgeOptions


def sample(answer: str | None, options: tuple[str, ...] = ()) -> Sample:
    def no_picture() -> None:
        raise AssertionError("a rule needs no picture")

    return Sample("s", "test", Picture("p", no_picture), "?", options, answer)


@pytest.mark.parametrize(
    ("asked", "text", "verdict"),
    [
        (sample("red", ("blue", "red")), "B", Verdict(True, "letter")),
        (sample("red", ("blue", "red")), "It is blue.", Verdict(False, "text")),
        (sample("yes"), "Yes.", Verdict(True, "yes_no")),
        (sample("No"), "yes", Verdict(False, "yes_no")),
        (sample("Yes", ("Yes", "No")), "no", Verdict(False, "text")),
        (sample("a fox"), "A fox.", Verdict(True, "text")),
        (sample("a fox"), "a dog", Verdict(None, "none")),
        (sample(None), "a dog", Verdict(None, "none")),
    ],
)
def test_the_rule_fits_the_sample(asked: Sample, text: str, verdict: Verdict) -> None:
    judge = make_judge(JudgeOptions())
    assert judge.prepare([Claim(asked, text)]) is None
    [[judged]] = judge.judge([Claim(asked, text)])
    assert Verdict(judged.note.right, judged.note.provenance) == verdict


def test_the_judge_is_a_plugin(host: Host) -> None:
    judge = host.judges.get("rules").factory(JudgeOptions())
    [[judged]] = judge.judge([Claim(sample("yes"), "no")])
    assert (judged.note.right, judged.note.judge) == (False, "rules")


def test_the_datasets_own_rule_is_used() -> None:
    judge = make_judge(JudgeOptions(rule=lambda _sample, text: Verdict(text == "x", "own")))
    [[judged]] = judge.judge([Claim(sample("yes"), "x")])
    assert (judged.note.right, judged.note.provenance) == (True, "own")


COLOURS = ("red", "green", "blue", "white")
EVASIONS = (
    "It is not {}.",
    "{} or {other}",
    "{other}",
    "Either {} or {other}.",
    "Is it {}?",
    "I cannot tell whether it is {}.",
    "{letter} or {other_letter}",
    "{other_letter}",
    "{other_letter}. {other}",
    "{other_letter}. {}",
    "The answer is {other_letter}, not {letter}.",
    "The answer is not {letter}.",
    "{letter}, {other_letter}",
    "",
)


@given(st.permutations(COLOURS), st.integers(0, 3), st.integers(0, 3), st.sampled_from(EVASIONS))
def test_never_right_for_another_answer_or_none(
    options: list[str], right: int, other: int, said: str
) -> None:
    assume(right != other)
    text = said.format(
        options[right], other=options[other], letter="ABCD"[right], other_letter="ABCD"[other]
    )
    judge = make_judge(JudgeOptions())
    [[judged]] = judge.judge([Claim(sample(options[right], tuple(options)), text)])
    assert judged.note.right is not True


@given(st.text(), st.sampled_from(COLOURS))
def test_free_text_is_right_only_in_the_known_words(text: str, known: str) -> None:
    judge = make_judge(JudgeOptions())
    [[judged]] = judge.judge([Claim(sample(known), text)])
    assert judged.note.right in ((True, None) if known in text.casefold() else (None,))
