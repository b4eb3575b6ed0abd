"""Each family against the library itself, in both precisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from speceyes_plugins.engines.transformers import agreement, models
from speceyes_plugins.engines.transformers import engine as engine_module
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from speceyes_plugins.engines.transformers.families import find_hindrance
from speceyes_plugins.engines.transformers.models import TESTED, check
from speceyes_plugins.engines.transformers.positions import positions_of
from speceyes_plugins.engines.transformers.prompts import PromptWriter, pictures_of

from speceyes_cli.core.chat import Ask, Message, Picture, Reply, Size
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.gate.decision import Gate
from speceyes_cli.core.gate.scores import min_score
from speceyes_cli.host.specs import EngineOptions
from tests.plugins.asking import picture
from tests.plugins.engines.transformers import families_table
from tests.plugins.engines.transformers.families import SHAPES, build_family

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # from Glm4vProcessor
)
GATE = Gate("min", min_score, top_k=16)
TIED = {"float32": 0.0, "bfloat16": 0.02}
"""How far apart two logits may be, as a share of their range, for either to be written."""


class Subject(NamedTuple):
    """An engine, and what its precision allows."""

    engine: TransformersEngine
    dtype: str

    @property
    def model(self) -> Any:
        return self.engine._loaded.model

    @property
    def processor(self) -> Any:
        return self.engine._loaded.processor


@pytest.fixture(scope="module", params=sorted(SHAPES))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_family(request.param, tmp_path_factory.mktemp("families") / request.param)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def subject(family: Path, request: pytest.FixtureRequest) -> Subject:
    options = EngineOptions(str(family), "large", batch_size=8, dtype=request.param)
    return Subject(TransformersEngine(options), request.param)


def questions(count: int) -> list[Ask]:
    """Conversations of several lengths, shapes of pictures and numbers of turns."""
    sizes = ((200, 200), (300, 120), (90, 250))
    asks = []
    for i in range(count):
        content = ["What colour? " * (1 + i % 4), picture(i, sizes[i % 3]), "Look closer."]
        messages = [Message("user", tuple(content))]
        if i % 2:
            seen = ("Here: ", picture(i + 50, sizes[(i + 1) % 3]), "?")
            messages += [Message("assistant", ("red",)), Message("user", seen)]
        asks.append(Ask("large", (Message("system", ("Be brief.",)), *messages), 3 + i))
    return asks


def replies(subject: Subject, asks: Sequence[Ask]) -> list[Reply]:
    found = list(subject.engine.generate(asks))
    assert all(isinstance(reply, Reply) for reply in found), found
    return [reply for reply in found if isinstance(reply, Reply)]


def library_inputs(subject: Subject, ask: Ask) -> Any:
    """What the library's own processor makes of an ask."""
    chat = [
        {
            "role": message.role,
            "content": [
                {"type": "image"} if isinstance(part, Picture) else {"type": "text", "text": part}
                for part in message.content
            ],
        }
        for message in ask.messages
    ]
    text = subject.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    images = [shown.open() for shown in pictures_of(ask)]
    return subject.processor(text=[text], images=images, return_tensors="pt")


def test_every_type_that_is_called_tested_is_tested() -> None:
    assert sorted(TESTED) == sorted(SHAPES)


def test_frames_are_those_of_the_library(subject: Subject) -> None:
    asks = questions(4)
    patch = subject.processor.image_processor.patch_size
    for ask, reply in zip(asks, replies(subject, asks), strict=True):
        grids = library_inputs(subject, ask)["image_grid_thw"].tolist()
        assert reply.frames == tuple(Size(w * patch, h * patch) for _, h, w in grids)


def test_positions_and_prompts_are_those_of_the_library(subject: Subject) -> None:
    writer = PromptWriter(subject.processor)
    merge = subject.processor.image_processor.merge_size
    for ask in questions(4):
        inputs = library_inputs(subject, ask)
        grids = [tuple(grid) for grid in inputs["image_grid_thw"].tolist()]
        [ids] = writer.write([(ask, [t * h * w // merge**2 for t, h, w in grids])])
        assert ids == inputs["input_ids"][0].tolist()
        positions, _ = subject.model.model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
        )
        ours = positions_of(ids, grids, subject.model.config.image_token_id, merge)
        assert torch.equal(ours, positions[:, 0])


def test_batches_of_one_and_of_eight_answer_alike(subject: Subject) -> None:
    asks = questions(8)
    together = replies(subject, asks)
    for ask, batched in zip(asks, together, strict=True):
        [alone] = replies(subject, [ask])
        assert_same_up_to_ties(subject, ask, alone, batched)


def test_decoding_is_that_of_generate(subject: Subject) -> None:
    asks = questions(4)
    for ask, reply in zip(asks, replies(subject, asks), strict=True):
        tokens, logits = generated(subject, ask)
        assert_tied(subject, reply, tokens, logits)


def test_a_next_turn_answers_as_one_that_is_read_anew(subject: Subject) -> None:
    asks = [replace(ask, trajectory=f"{i}") for i, ask in enumerate(questions(3))]
    following = []
    for i, (ask, reply) in enumerate(zip(asks, replies(subject, asks), strict=True)):
        more = (Message("assistant", (reply.text,)), Message("user", (picture(i + 9), "And now?")))
        following.append(replace(ask, messages=(*ask.messages, *more)))
    going_on = replies(subject, following)
    for ask, kept in zip(following, going_on, strict=True):
        [anew] = replies(subject, [replace(ask, trajectory="")])
        assert_same_up_to_ties(subject, ask, anew, kept)
        subject.engine.forget(ask.trajectory)


def generated(subject: Subject, ask: Ask) -> tuple[list[int], list[torch.Tensor]]:
    """What `generate` writes, without the end of sequence, and each step's raw logits."""
    inputs = library_inputs(subject, ask)
    subject.model.model.rope_deltas = None
    out = subject.model.generate(
        **inputs,
        max_new_tokens=ask.max_new_tokens,
        do_sample=False,
        repetition_penalty=1.0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    ends = subject.engine._ends()
    return [token for token in tokens if token not in ends], [row[0] for row in out.logits]


def assert_tied(
    subject: Subject, reply: Reply, tokens: list[int], logits: list[torch.Tensor]
) -> None:
    """The reply is the library's, or turns off it where two tokens are as good as equal."""
    text = subject.engine._text(tokens)
    if reply.text == text:
        return
    allowed = TIED[subject.dtype]
    for place in range(len(tokens) + 1):
        if reply.text.startswith(subject.engine._text(tokens[: place + 1])):
            continue
        best = logits[place].float().topk(2).values
        assert best[0] - best[1] <= allowed * (best[0] - logits[place].float().min()), (
            f"{reply.text!r} is not {text!r}"
        )
        return


def assert_same_up_to_ties(subject: Subject, ask: Ask, one: Reply, other: Reply) -> None:
    if one.text != other.text:
        tokens, logits = generated(subject, ask)
        assert_tied(subject, one, tokens, logits)
        assert_tied(subject, other, tokens, logits)
    assert one.frames == other.frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_family("qwen3_vl", tmp_path_factory.mktemp("untested") / "eyes")


def test_a_type_without_a_test_is_held_against_the_library_when_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "TESTED", ())
    monkeypatch.setattr(engine_module, "TESTED", ())
    check(EngineOptions(str(folder), "large"))
    for dtype in ("float32", "bfloat16"):
        TransformersEngine(EngineOptions(str(folder), "large", dtype=dtype)).close()


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("PictureEncoder.resized", "pictures come out at other sizes"),
        ("PictureEncoder.look", "it raises TypeError"),
        ("PromptWriter.write", "the prompt comes out as other tokens"),
        ("positions_of", "it gives other logits"),
    ],
)
def test_a_type_that_is_read_otherwise_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str, says: str
) -> None:
    monkeypatch.setattr(engine_module, "TESTED", ())
    owner, _, name = broken.rpartition(".")
    where = getattr(agreement, owner) if owner else agreement
    whole = getattr(where, name)
    change = {
        "resized": lambda pixels: pixels[:, :-32],
        "look": lambda seen: len(seen) + "pictures",
        "write": lambda ids: [ids[0][1:]],
        "positions_of": lambda positions: positions * 2,
    }[name]
    monkeypatch.setattr(where, name, lambda *args: change(whole(*args)))
    with pytest.raises(UsageError, match=says) as raised:
        TransformersEngine(EngineOptions(str(folder), "large"))
    assert str(raised.value).startswith(f"--large: {folder} holds a 'qwen3_vl' model, which")


def test_types_are_taken_by_what_their_classes_take() -> None:
    assert all(find_hindrance(model_type) is None for model_type in TESTED)
    assert find_hindrance("glm46v") is None
    lacking = find_hindrance("gemma3")
    assert lacking is not None
    assert lacking.startswith("Gemma3ForConditionalGeneration does not take pictures as grids")
    unknown = find_hindrance("llama")
    assert unknown is not None
    assert unknown.endswith("has no vision chat model of this type")


def test_the_page_lists_what_the_library_has() -> None:
    page = families_table.PAGE.read_text(encoding="utf-8")
    if f"Types of transformers {version('transformers')}:" not in page:
        pytest.skip("the page was written for another version of the library")
    assert families_table.write(page) == page, "run families_table.py to write it anew"
