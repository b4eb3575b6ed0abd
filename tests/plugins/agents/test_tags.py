from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speceyes_plugins.agents.tags import after_thought, last_tagged, untagged_answer

from speceyes_cli.core.chat import Reply

PIECES = ("<", ">", "/", "answer", "<answer>", "</answer>", "<answer ", " ", "\n", "think", "x")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("<answer>red</answer>", "red"),
        ("<Answer>red</Answer>", "red"),
        ("<ANSWER>red</answer>", "red"),
        ("< answer >red</ answer >", "red"),
        ("<answer\n>red< / answer >", "red"),
        ('<answer type="final">red</answer>', "red"),
        ("<answer>red", "red"),
        ("<answer>red</", "red"),
        ("<answer>red</ans", "red"),
        ("<answer>red</answer", "red"),
        ("<answer>a < b</answer>", "a < b"),
        ("<answer>a</answer> then <answer>b</answer> more", "b"),
        ("<answer></answer>", ""),
        ("<answers>red</answers>", None),
        ("<an swer>red", None),
        ("<answer", None),
        ("answer: red", None),
        ("</answer>", None),
    ],
)
def test_a_tag_is_read_however_it_is_spelt(text: str, content: str | None) -> None:
    found = last_tagged(text, "answer")
    assert (found and found.content) == content
    if found is not None:
        assert text[found.start :].startswith("<")


def test_a_missing_closing_tag_is_told() -> None:
    closed, cut = last_tagged("<code>x</code> y", "code"), last_tagged("<code>x</co", "code")
    assert closed is not None
    assert closed.closed
    assert closed.end == len("<code>x</code>")
    assert cut is not None
    assert not cut.closed


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("It is red.", "It is red."),
        ("<think>hm</think>It is red.", "It is red."),
        ("hm</THINK> red", " red"),
        ("<think>a</think>b<think>c</think>d", "d"),
        ("<think>no end", None),
    ],
)
def test_a_thought_is_no_answer(text: str, rest: str | None) -> None:
    assert after_thought(text) == rest


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (Reply("<think>hm</think>\nIt is green.", 5, "stop"), "It is green."),
        (Reply("It is green.", 5, "stop"), "It is green."),
        (Reply("It is gr", 5, "length"), None),
        (Reply("<think>It is green.", 5, "stop"), None),
        (Reply("<think>hm</think>\n", 5, "stop"), None),
        (Reply("", 0, "stop"), None),
    ],
)
def test_a_reply_without_tags_is_kept_as_the_answer_and_marked(
    reply: Reply, answer: str | None
) -> None:
    found = untagged_answer(reply)
    assert (found and found.text) == answer
    if found is not None:
        assert found.details == {"untagged": True}


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_pieces_of_tags_never_raise(text: str) -> None:
    found = last_tagged(text, "answer")
    assert found is None or found.content in text
    untagged_answer(Reply(text, 1, "stop"))


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="<>")))
def test_what_is_put_into_tags_comes_out(before: str, content: str) -> None:
    found = last_tagged(f"{before}<answer>{content}</answer>", "answer")
    assert found is not None
    assert found.content == content
