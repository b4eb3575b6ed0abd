from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from speceyes_datasets.needle.plugin import SIZE
from speceyes_datasets.needle.problems import SPLITS, make_problem
from speceyes_datasets.needle.scene import COLOURS, SIDE, draw, make_scene
from speceyes_plugins.agents import boxes, zoom
from speceyes_plugins.agents.qwen.agent import CROPS as QWEN_CROPS
from speceyes_plugins.agents.qwen.agent import Qwen
from speceyes_training import architecture, lessons, recipe
from speceyes_training.architecture import FRAME, MERGE, PATCH
from speceyes_training.batches import Encoder, cut
from speceyes_training.lesson_sampling import LessonSampler
from speceyes_training.plans import TrainingPlan
from speceyes_training.training_model import SMOOTHING, TrainingModel, prior
from speceyes_training.views import UNKNOWN, render

from speceyes_cli.core.chat import Observation, Picture
from speceyes_cli.core.gate.decision import confidence_from_separability
from speceyes_cli.host.specs import AgentOptions


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return recipe.make_tokenizer()


def scene(seed: int = 0) -> object:
    return make_scene(random.Random(seed), target_large=True)[0]


def test_patches_are_those_of_the_real_processor(tokenizer: object) -> None:
    processor = architecture.build_processor(tokenizer)
    one = scene()
    real = processor.image_processor(images=[draw(one)], return_tensors="pt")
    pixels, grid, _ = cut([render(one)])
    assert torch.equal(grid, real["image_grid_thw"])
    assert (pixels - real["pixel_values"]).abs().max() < 0.02


@pytest.mark.parametrize("sizes", [zoom.CROPS, QWEN_CROPS])
def test_a_lesson_shows_the_crop_that_the_zoom_would(
    tokenizer: object, sizes: zoom.CropSizes
) -> None:
    processor = architecture.build_processor(tokenizer).image_processor
    rng = random.Random(5)
    seen = set()
    for _ in range(30):
        one, target = make_scene(rng, target_large=rng.random() < 0.5)
        box = lessons.frame_box(target, FRAME)
        shown = zoom.zoom(
            Picture("scene", partial(draw, one)),
            boxes.Box(*lessons.told(box)),
            box_frame="relative",
            frame=None,
            turn=0,
            sizes=sizes,
        )
        assert isinstance(shown, Observation)
        real = processor(images=[shown.content[0].open()], return_tensors="pt")
        view = render(one, lessons.zoomed_box(box), resized=sizes)
        pixels, grid, labels = cut([view])
        assert torch.equal(grid, real["image_grid_thw"])
        assert (pixels - real["pixel_values"]).abs().mean() < 0.002
        assert len(labels.classes) == view.tokens == int(grid.prod()) // MERGE**2
        seen.add(tuple(grid[0].tolist()))
    assert (1, 10, 10) in seen
    assert (len(seen) > 1) == (sizes == QWEN_CROPS)  # a crop of 154 by 155 is seen at 128 by 160


def test_lessons_are_encoded_as_the_chat_template_does(tokenizer: object) -> None:
    encoder = Encoder(tokenizer)
    one = scene()
    lesson = lessons.draft_lesson(random.Random(0), one, one.discs[0])
    ids, goals = encoder.encode(lesson)
    processor = architecture.build_processor(tokenizer)
    content = [{"type": "image"}, {"type": "text", "text": lesson.messages[0].content[1]}]
    chat = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": lesson.messages[1].content[0]},
    ]
    text = processor.apply_chat_template(chat, tokenize=False)
    tokens = (FRAME // PATCH // MERGE) ** 2
    text = text.replace("<|image_pad|>", "<|image_pad|>" * tokens)
    assert ids == tokenizer(text)["input_ids"]
    learnt = [token for token in goals if token != UNKNOWN]
    assert tokenizer.decode(learnt) == lesson.messages[1].content[0] + "<|im_end|>"


def test_labels_name_the_disc_under_a_token() -> None:
    one = scene(3)
    token = PATCH * MERGE
    count = FRAME // token
    labels = render(one).classes.reshape(count, count, 4)
    for disc in one.discs:
        scale = FRAME / SIDE
        row, column = int(disc.y * scale // token), int(disc.x * scale // token)
        assert labels[row, column, 0] == COLOURS.index(disc.colour) + 1
        assert labels[row, column, 1] == disc.large
        known = labels[row, column, 2] != UNKNOWN
        assert known == disc.large  # a small disc's dot is not to be guessed


def test_a_shared_prefix_changes_nothing(tokenizer: object) -> None:
    sampler = LessonSampler("large", tokenizer)
    sampler.pool.renew(2)
    model = TrainingModel(architecture.build(tokenizer)).eval()
    batch = sampler.lesson_batch("zoom", 2)
    assert batch.shared_prefix > 50
    features = model.see(batch.pixels, batch.grid)
    once = model.read(batch, features)
    again = model.read(replace(batch, shared_prefix=0), features)
    assert torch.equal(once[1], again[1])
    assert (once[0] - again[0]).abs().max() < 1e-4


def separability(target: torch.Tensor) -> float:
    top = target.log().topk(64).values
    return float((top[0] - top[1:].mean()) / (top[1:].std(correction=0) + 1e-6))


def test_the_smoothed_target_puts_sure_answers_above_the_bar_and_ties_below() -> None:
    losers = prior(architecture.VOCABULARY)
    sure, tie = SMOOTHING * losers, SMOOTHING * losers
    sure[5] += 1 - SMOOTHING
    tie[[5, 9]] += (1 - SMOOTHING) / 2
    assert confidence_from_separability(separability(sure)) > 0.98
    assert confidence_from_separability(separability(tie)) < 0.98


def test_a_new_tokenizer_knows_every_word_of_the_lessons_whole() -> None:
    learnt = recipe.learn_tokenizer()
    assert len(learnt) <= architecture.VOCABULARY
    for word in (*COLOURS, "left", "right", "</tool_call>", "</code>", "<sandbox_output>"):
        assert len(learnt(word)["input_ids"]) == 1, word


def test_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    plan = TrainingPlan(
        "small",
        architecture.NARROW,
        steps=4,
        rows=2,
        rate=1e-3,
        dense_share=0.25,
        first={"caption": 1.0},
        first_until=0.5,
        then={"draft": 0.5, "zoom": 0.5},
        vision_until=0.75,
        pool=16,
        save_every=2,
    )
    recipe.Trainer(plan, tmp_path).run(until=2)
    second = recipe.Trainer(plan, tmp_path)
    assert second.step == 2
    second.run()
    second.export()
    lines = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == [2, 4]
    assert (tmp_path / "model" / "model.safetensors").stat().st_mode & 0o044


def test_no_training_scene_is_a_test_scene(tokenizer: object) -> None:
    pool = LessonSampler("small", tokenizer).pool
    pool.renew(50)
    tests = {repr(make_problem(split, seed).scene) for split in SPLITS for seed in range(SIZE)}
    assert not tests & {repr(one) for one, _ in pool.scenes}


def test_a_description_is_two_to_eight_tokens(tokenizer: object) -> None:
    lengths = {
        len(tokenizer(make_problem("descriptions", seed).answer)["input_ids"])
        for seed in range(SIZE)
    }
    assert min(lengths) >= 2
    assert max(lengths) <= 8
    assert len(lengths) > 2


def test_every_corner_of_a_box_is_one_token(tokenizer: object) -> None:
    rng = random.Random(4)
    for _ in range(50):
        _, target = make_scene(rng, target_large=rng.random() < 0.5)
        for number in lessons.told(lessons.frame_box(target, FRAME)):
            assert 0 <= number <= 1000
            for text in (str(number), f" {number}"):
                assert len(tokenizer(text)["input_ids"]) == 1, text


def test_the_screen_is_taught_what_a_glance_tells() -> None:
    rng = random.Random(2)
    seen: dict[tuple[str, bool, bool], bool] = {}
    for _ in range(2000):
        one, target = make_scene(rng, target_large=rng.random() < 0.5)
        task = lessons.make_task(rng, one, target)
        key = (task.kind, target.large, target.colour in lessons.LIGHT)
        assert seen.setdefault(key, lessons.seems_hidden(task)) == lessons.seems_hidden(task)
    several = {"row", "dot"}
    assert all(hidden for (kind, _, _), hidden in seen.items() if kind in several)
    assert not any(
        hidden for (kind, large, _), hidden in seen.items() if large and kind not in several
    )
    assert not any(hidden for (kind, _, _), hidden in seen.items() if kind == "disc")
    assert seen["dot_side", False, True]
    assert seen["dot_colour", False, False]
    assert not seen["dot_colour", False, True]  # light: it seems readable, and is not


def test_an_answer_is_right_as_a_whole() -> None:
    right = torch.tensor([True, True, False, True, True, True])
    ends = torch.tensor([False, True, False, True, False, True])
    assert recipe.whole_answers(right, ends) == pytest.approx(2 / 3, abs=1e-3)


def test_native_calls_are_taught_as_the_chat_template_writes_them(tokenizer: object) -> None:
    one = scene()
    agent = Qwen(AgentOptions())
    task = lessons.make_task(random.Random(0), one, one.discs[0], zooms=True)
    lesson = lessons.native_lesson(random.Random(0), agent, task)
    ids, _ = Encoder(tokenizer).encode(lesson)
    _, question, first, _, last = lesson.messages
    said, _, call = str(first.content[0]).partition("\n<tool_call>\n")
    function = json.loads(call.removesuffix("\n</tool_call>"))
    chat = [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": question.content[1]}],
        },
        {"role": "assistant", "content": said, "tool_calls": [{"function": function}]},
        {"role": "tool", "content": [{"type": "image"}]},
        {"role": "assistant", "content": last.content[0]},
    ]
    text = architecture.build_processor(tokenizer).apply_chat_template(
        chat, tools=[tool.as_json() for tool in agent.tools], tokenize=False
    )
    tokens = (FRAME // PATCH // MERGE) ** 2
    text = text.replace("<|image_pad|>", "<|image_pad|>" * tokens)
    assert ids == tokenizer(text)["input_ids"]
