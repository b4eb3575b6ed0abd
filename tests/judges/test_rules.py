from __future__ import annotations

import pytest
from speceyes_judges.rules import make_judge

from speceyes_cli.core.chat import Picture
from speceyes_cli.core.judging import Claim
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
