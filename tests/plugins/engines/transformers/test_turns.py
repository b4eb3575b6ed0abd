from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from transformers import AutoConfig, AutoModelForImageTextToText

from speceyes_cli.core.chat import Ask, Message, Picture, Reply, Role
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.host.plugin_options import OptionValues
from speceyes_cli.host.specs import EngineOptions
from tests.plugins.asking import picture

GATE = Gate("min", min_score, top_k=16)
SLOW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="session", params=["small", "large", "shared heads"])
def folder(
    request: pytest.FixtureRequest,
    untrained: dict[Role, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Both architectures, and Qwen2.5-VL with query heads that share their keys."""
    if request.param != "shared heads":
        return untrained[request.param]
    place = tmp_path_factory.mktemp("shared") / "model"
    shutil.copytree(untrained["large"], place)
    config = AutoConfig.from_pretrained(place)
    config.text_config.num_key_value_heads = config.text_config.num_attention_heads // 2
    torch.manual_seed(5)
    model = AutoModelForImageTextToText.from_config(config)
    model.lm_head.weight.data.mul_(30)
    model.save_pretrained(place)
    return place


@pytest.fixture(scope="session")
def keeping(folder: Path) -> TransformersEngine:
    return TransformersEngine(EngineOptions(str(folder), "large"))


def memory(gib: float) -> OptionValues:
    """The engine's option of that name."""
    return OptionValues((("turn-memory", gib),))


@pytest.fixture(scope="session")
def forgetting(folder: Path) -> TransformersEngine:
    return TransformersEngine(EngineOptions(str(folder), "large", options=memory(0)))


@pytest.fixture(scope="session")
def library(folder: Path) -> TransformersEngine:
    """What asks for the library's own attention is decoded by the library's own forward pass."""
    return TransformersEngine(EngineOptions(str(folder), "large", attention="eager"))


def replies(engine: TransformersEngine, asks: Sequence[Ask]) -> list[Reply]:
    out = list(engine.generate(asks))
    assert all(isinstance(item, Reply) for item in out), out
    return [item for item in out if isinstance(item, Reply)]


def assert_same(found: Sequence[Reply], wanted: Sequence[Reply], rel: float = 1e-5) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (one.text, one.finish, one.frames) == (other.text, other.finish, other.frames)
        scores = [s.separability for s in other.statistics]
        assert [s.separability for s in one.statistics] == pytest.approx(scores, rel=rel)
        logprobs = [s.logprob for s in other.statistics]
        assert [s.logprob for s in one.statistics] == pytest.approx(logprobs, rel=rel, abs=1e-5)


@contextmanager
def tokens_read(engine: TransformersEngine) -> Iterator[list[int]]:
    """How many tokens each pass embeds."""
    counts: list[int] = []

    def count(_module: object, inputs: tuple[torch.Tensor], _out: object) -> None:
        counts.append(inputs[0].numel())

    hook = engine._loaded.model.model.language_model.embed_tokens.register_forward_hook(count)
    try:
        yield counts
    finally:
        hook.remove()


def first(key: str, text: str, *pictures: Picture) -> Ask:
    return Ask("large", (Message("user", (*pictures, text)),), 8, gate=GATE, trajectory=key)


def following(ask: Ask, said: str, *content: str | Picture) -> Ask:
    more = (Message("assistant", (said,)), Message("user", content))
    return replace(ask, messages=(*ask.messages, *more), continue_turn=False)


words = st.text("abcdefgh colour dot?<>\n", min_size=1, max_size=30)
turns = st.lists(
    st.tuples(
        words,
        st.sampled_from(["as said", "cut", "other", "continue"]),
        st.lists(st.sampled_from([(56, 56), (112, 84), (200, 200)]), max_size=2),
    ),
    min_size=1,
    max_size=3,
)


@SLOW
@given(st.lists(turns, min_size=1, max_size=4), st.integers(0, 99))
def test_turns_that_go_on_answer_as_turns_read_anew(
    keeping: TransformersEngine,
    forgetting: TransformersEngine,
    conversations: list[list[tuple[str, str, list[tuple[int, int]]]]],
    seed: int,
) -> None:
    keys = [f"{seed}/{n}" for n in range(len(conversations))]
    asks = [
        first(key, "What colour is it? " * (n + 1), *[picture(seed + n)] * (n % 2 + 1))
        for n, key in enumerate(keys)
    ]
    live = dict(zip(keys, zip(asks, conversations, strict=True), strict=True))
    step = 0
    while live:
        found = replies(keeping, [ask for ask, _ in live.values()])
        assert_same(found, replies(forgetting, [ask for ask, _ in live.values()]))
        for (key, (ask, rest)), reply in zip(tuple(live.items()), found, strict=True):
            if step >= len(rest):
                keeping.forget(key)
                del live[key]
                continue
            text, way, sizes = rest[step]
            said = {"cut": reply.text[: len(reply.text) // 2], "other": text}.get(way, reply.text)
            if way == "continue":
                messages = (*ask.messages, Message("assistant", (said or "red",)))
                if ask.continue_turn:
                    messages = ask.messages
                live[key] = replace(ask, messages=messages, continue_turn=True), rest
            else:
                whole = ask.messages[:-1] if ask.continue_turn else ask.messages
                shown = [picture(step + 7 * i, size) for i, size in enumerate(sizes)]
                live[key] = following(replace(ask, messages=whole), said, *shown, text), rest
        step += 1
    assert keeping._conversations.kept.held == 0


def test_every_pass_agrees_with_the_library(
    keeping: TransformersEngine, library: TransformersEngine
) -> None:
    asks = [first("", "What? " * (1 + 4 * n), *[picture(n)] * (n % 3)) for n in range(5)]
    assert keeping._conversations._text is not None
    assert library._conversations._text is None
    assert_same(replies(keeping, asks), replies(library, asks), rel=1e-4)


def test_a_next_turn_reads_only_what_is_new(keeping: TransformersEngine) -> None:
    one = replace(first("a", "What colour is the dot? " * 8, picture(1)), gate=None)
    with tokens_read(keeping) as counts:
        (reply,) = replies(keeping, [one])
        whole = counts[0]
        counts.clear()
        replies(keeping, [following(one, reply.text, "And now?")])
    assert counts[0] < whole / 2
    keeping.forget("a")


def test_what_conversations_begin_with_is_read_once(
    keeping: TransformersEngine, forgetting: TransformersEngine
) -> None:
    rules = Message("system", ("Look closely, and answer in one word. " * 6,))

    def about(key: str, *pictures: Picture) -> Ask:
        ask = replace(first(key, f"Which {key}?", *pictures), gate=None)
        return replace(ask, messages=(rules, *ask.messages))

    read = []
    for number in range(5):
        asks = [about(f"{number}{i}", picture(number + i)) for i in range(number % 2 + 1)]
        with tokens_read(keeping) as counts:
            found = replies(keeping, asks)
        read.append(counts[0] / len(asks))
        assert_same(found, replies(forgetting, asks))
        for ask in asks:
            keeping.forget(ask.trajectory)
    assert max(read[2:]) < read[0] / 2
    one = about("text")
    assert_same(replies(keeping, [one]), replies(forgetting, [one]))
    assert_same(replies(keeping, [one]), replies(forgetting, [one]))
    keeping.forget("text")


def test_a_part_of_what_others_begin_with_is_not_written_over(folder: Path) -> None:
    engine = TransformersEngine(EngineOptions(str(folder), "large"))
    anew = TransformersEngine(EngineOptions(str(folder), "large", options=memory(0)))
    texts = ["one two three four " * 20] * 2 + ["one two three four " * 12, "one two " * 3]
    for number, text in enumerate([*texts, texts[0]]):
        ask = first(str(number), text + "?")
        assert_same(replies(engine, [ask]), replies(anew, [ask]))
        engine.forget(str(number))


def test_another_picture_in_the_same_words_is_looked_at(
    keeping: TransformersEngine, forgetting: TransformersEngine
) -> None:
    asks = [first("a", "What colour?", picture(1), picture(seed)) for seed in (2, 3)]
    for one in asks:
        assert_same(replies(keeping, [one]), replies(forgetting, [one]))
    keeping.forget("a")


def test_a_conversation_grows_over_many_blocks(
    keeping: TransformersEngine, forgetting: TransformersEngine
) -> None:
    asks = [replace(first(f"{n}", "Tell me. " * 40), max_new_tokens=270) for n in range(2)]
    for _ in range(2):
        found = replies(keeping, asks)
        assert_same(found, replies(forgetting, asks), rel=1e-4)
        asks = [
            following(ask, reply.text, "More. " * 30)
            for ask, reply in zip(asks, found, strict=True)
        ]
    for n in range(2):
        keeping.forget(f"{n}")


def test_what_ends_while_it_is_answered_is_not_kept(folder: Path) -> None:
    engine = TransformersEngine(EngineOptions(str(folder), "large"))
    ended: list[int] = []

    def end(scores: object, _threshold: float, _limit: int) -> bool:
        del scores
        if not ended:
            engine.forget("a")
        ended.append(1)
        return False

    replies(engine, [first("a", "?", picture(1))])
    assert engine._conversations.kept.held > 0
    late = replace(first("a", "?", picture(1)), gate=replace(GATE, hopeless=end))
    replies(engine, [late])
    assert ended
    assert engine._conversations.kept.held == 0
    replies(engine, [first("a", "?", picture(1))])
    assert engine._conversations.kept.held > 0


def test_rows_that_leave_do_not_disturb_the_others(
    keeping: TransformersEngine, forgetting: TransformersEngine
) -> None:
    limits = (2, 12, 3, 1, 12, 6)
    asks = [
        replace(first("", "So? " * (1 + 3 * n), *[picture(n)] * (n % 2)), max_new_tokens=limit)
        for n, limit in enumerate(limits)
    ]
    assert_same(replies(keeping, asks), [replies(forgetting, [ask])[0] for ask in asks])


def test_a_budget_is_kept_the_longest_unused_going_first(folder: Path) -> None:
    engine = TransformersEngine(EngineOptions(str(folder), "large"))
    kept = engine._conversations.kept
    replies(engine, [first("a", "?")])
    kept.budget = 3 * kept.held
    for key in ("b", "c", "a", "d"):
        replies(engine, [first(key, "?")])
    assert list(kept._kept) == ["c", "a", "d"]
    assert kept.held <= kept.budget
    kept.budget = 1
    replies(engine, [first("e", "?")])
    assert "e" not in kept._kept


@pytest.mark.parametrize("gib", [-1.0, float("nan"), 1e9])
def test_a_budget_that_cannot_be_is_refused(untrained: dict[Role, Path], gib: float) -> None:
    with pytest.raises(UsageError, match=r"--engine-option turn-memory=.* must be from 0 to the"):
        TransformersEngine(EngineOptions(str(untrained["small"]), "small", options=memory(gib)))


class Cramped(TransformersEngine):
    """A device that holds no kept turn, and at most two rows."""

    calls: list[int]

    def _generate(self, asks: Sequence[Ask]) -> list[Reply | Exception]:
        self.calls.append(len(asks))
        if len(asks) > 2 or self._conversations.kept.held:
            raise torch.OutOfMemoryError
        return super()._generate(asks)


def test_out_of_memory_gives_up_kept_turns_before_it_halves(untrained: dict[Role, Path]) -> None:
    engine = Cramped(EngineOptions(str(untrained["small"]), "small", batch_size=8))
    engine.calls = []
    replies(engine, [first("a", "?")])
    replies(engine, [first("b", "?")])
    assert engine.calls == [1, 1, 1]
    assert engine.max_batch == 8
    engine.calls.clear()
    replies(engine, [first(key, "?") for key in "abcd"])
    assert engine.calls == [4, 4, 2, 2, 2]
    assert engine.max_batch == 2


def test_out_of_memory_with_nothing_to_give_up_is_the_asks_own_error(
    untrained: dict[Role, Path],
) -> None:
    class Full(TransformersEngine):
        def _generate(self, _asks: Sequence[Ask]) -> list[Reply | Exception]:
            raise torch.OutOfMemoryError

    engine = Full(EngineOptions(str(untrained["small"]), "small"))
    with pytest.raises(torch.OutOfMemoryError):
        engine.generate([first("a", "?"), first("b", "?")])


def test_a_template_that_rewrites_earlier_turns_is_read_anew_and_said_once(
    untrained: dict[Role, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "rewriting"
    shutil.copytree(untrained["small"], place)
    template = place / "chat_template.jinja"
    plain = template.read_text(encoding="utf-8")
    rewriting = plain.replace(
        "message['role'] + '\\n'", "message['role'] + ('' if loop.last else ' before') + '\\n'"
    )
    assert rewriting != plain
    template.write_text(rewriting, encoding="utf-8")
    engine = TransformersEngine(EngineOptions(str(place), "small"))
    anew = TransformersEngine(EngineOptions(str(place), "small", options=memory(0)))
    for key in ("a", "b"):
        one = first(key, "What colour is the dot?", picture(1))
        for _ in range(3):
            (reply,) = replies(engine, [one])
            assert_same([reply], replies(anew, [one]))
            one = following(one, reply.text, "And now?")
    said = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert ["writes earlier turns differently" in r.getMessage() for r in said] == [True]
