"""What the pair is taught to write, from scenes that no test split contains."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image
from speceyes_datasets.needle.problems import SPLITS, Kind, ask_about, choose_kind
from speceyes_datasets.needle.scene import CELLS, COLOURS, SIDE, Disc, Scene
from speceyes_plugins.agents import boxes
from speceyes_plugins.agents.deepeyes.agent import DeepEyes, observation
from speceyes_plugins.agents.qwen.agent import CROPS as QWEN_CROPS
from speceyes_plugins.agents.qwen.agent import Qwen
from speceyes_plugins.agents.qwen.schemas import PICTURE as PICTURE_INDEX
from speceyes_plugins.agents.qwen.schemas import ZOOM
from speceyes_plugins.agents.thyme.texts import (
    opening,
    results,
)
from speceyes_plugins.agents.zoom import CROPS, CropSizes, on_original, whole_pixels
from speceyes_plugins.engines.tool_texts import spell_out
from speceyes_plugins.sandbox.values import PICTURE

from speceyes_cli.core.chat import Message, Picture, Size
from speceyes_cli.core.methods.prompts import SCORE_INSTRUCTION, draft_messages
from speceyes_cli.core.samples import (
    Sample,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_training.architecture import RELATIVE_SIDE, WIDE, WORDS, Shape
from speceyes_training.views import Box

BLANK = Picture("lesson", lambda: Image.new("RGB", (1, 1)))  # lessons bring their own pixels
SNAP = 8  # pixels of the model's frame; boxes are centred on this grid
BABBLE = (*COLOURS, "nothing", "large", "small", "left", "right", "is", "dot", "_in")
HALF = {False: 12, True: 28}  # half a box's side around a small or large disc, in the frame
SHARES = (1, 1, 2)  # of the splits: an answer of several words is more to learn
LIGHT = ("white", "yellow", "cyan", "pink")
"""Discs on which a dot seems readable to somebody who has not looked closely."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A conversation; the model learns its assistant turns."""

    messages: tuple[Message, ...]
    crop: Box | None = None
    """The second picture, in original pixels."""
    resized: CropSizes | None = None
    """To what the tool resizes the crop; None: not at all."""
    given: tuple[str, ...] = ()
    """Parts of assistant turns that are shown to the model, not learnt."""


class Task(NamedTuple):
    """A training question about one disc of a scene."""

    scene: Scene
    target: Disc
    kind: Kind
    sample: Sample
    answer: str

    @property
    def zooms(self) -> bool:
        """Whether the agent zooms: it always does where a dot is asked for."""
        return self.kind != "row"


def make_task(rng: random.Random, scene: Scene, target: Disc, *, zooms: bool = False) -> Task:
    """A question of a split drawn at random, with `zooms` one for which the agent zooms."""
    split = rng.choices(SPLITS, weights=SHARES)[0]
    kind = choose_kind(rng, split)
    if zooms and kind == "row":
        kind = "disc"
    question, options, answer = ask_about(rng, kind, scene, target)
    return Task(scene, target, kind, Sample("lesson", split, BLANK, question, options), answer)


def by_cell(scene: Scene, describe: Callable[[Disc], str]) -> str:
    """Every cell of the grid, row by row."""
    cells = ["nothing"] * (CELLS * CELLS)
    for disc in scene.discs:
        cells[disc.cell] = describe(disc)
    rows = [", ".join(cells[i : i + CELLS]) for i in range(0, len(cells), CELLS)]
    return "; ".join(rows)


def caption(scene: Scene) -> str:
    """The speculator's description: what can be told of each disc at its frame."""

    def describe(disc: Disc) -> str:
        dot = f" {disc.dot_colour} {disc.dot_side}" if disc.large else ""
        return f"{'large' if disc.large else 'small'} {disc.colour}{dot}"

    return by_cell(scene, describe)


def scan(scene: Scene, target: Disc, shape: Shape = WIDE) -> str:
    """The agent's look over the cells: what is in each, and where the asked disc is.

    A place is told as its disc is named, while the model looks at that cell, and no other numbers
    stand in the thought: to look a place up again among several is more than so small a model
    learns in an hour.
    """

    def describe(disc: Disc) -> str:
        x, y, _, _ = told(frame_box(disc, shape.frame), shape)
        place = f" {x} {y}" if disc is target else ""
        return f"{disc.colour}{place} {'large' if disc.large else 'small'}"

    return by_cell(scene, describe)


def frame_box(disc: Disc, side: int) -> Box:
    """The square around a disc in a frame of `side` pixels, on a coarse grid, inside the frame."""
    half = HALF[disc.large]
    corners = []
    for centre in (disc.x, disc.y):
        snapped = round(centre * side / SIDE / SNAP) * SNAP
        corners.append(min(max(snapped - half, 0), side - 2 * half))
    x, y = corners
    return x, y, x + 2 * half, y + 2 * half


def cut_box(box: Box, shape: Shape = WIDE) -> Box:
    """What Pillow cuts out for a box of the model's frame, in original pixels."""
    left, top, right, bottom = (round(v * SIDE / shape.frame) for v in box)
    return left, top, right, bottom


def zoomed_box(box: Box, shape: Shape = WIDE) -> Box:
    """What the zoom tools cut out for a box of the model's frame, in original pixels."""
    whole, original = Size(shape.whole, shape.whole), Size(SIDE, SIDE)
    region = whole_pixels(on_original(boxes.Box(*told(box, shape)), original, whole), "outward")
    return region.left, region.top, region.right, region.bottom


def told(box: Box, shape: Shape = WIDE) -> Box:
    """A box of the model's frame in the numbers that the model's family writes."""
    left, top, right, bottom = (v * shape.whole // shape.frame for v in box)
    return left, top, right, bottom


def draft_lesson(rng: random.Random, scene: Scene, target: Disc) -> Lesson:
    """The answer alone."""
    task = make_task(rng, scene, target)
    return Lesson((*draft_messages(task.sample), Message("assistant", (task.answer,))))


def caption_lesson(scene: Scene) -> Lesson:
    """The whole picture in words."""
    return Lesson(
        (
            Message("user", (BLANK, "Describe the picture.")),
            Message("assistant", (caption(scene),)),
        )
    )


def scan_lesson(rng: random.Random, scene: Scene, target: Disc, shape: Shape = WIDE) -> Lesson:
    """The first thought of a zoom lesson, without its long prompt."""
    task = make_task(rng, scene, target, zooms=True)
    return Lesson(
        (
            Message("user", (BLANK, question_text(task.sample))),
            Message("assistant", (look(scene, target, shape),)),
        )
    )


def screen_lesson(
    rng: random.Random, prompts: Mapping[str, str], scene: Scene, target: Disc
) -> Lesson:
    """Would a tool help? Asked in the words of an agent's prompts."""
    task = make_task(rng, scene, target)
    verdict = Message("assistant", ("yes" if seems_hidden(task) else "no",))
    text = with_question(prompts["screen"], short_question(task.sample))
    return Lesson((*question_turns(task.sample, text), verdict))


def seems_hidden(task: Task) -> bool:
    """Whether somebody who only glances at the picture would wish for a tool.

    Real models misjudge what they can read, so the screen is taught to judge by the look of the
    disc and the kind of question. Several things to read off, a whole row or a dot's colour and
    side, call for a tool. So does a small disc, with two exceptions that are wrong: who is asked to
    describe a disc tells what is seen, and on a light disc the colour of the dot seems readable.
    """
    if task.kind in {"row", "dot"}:
        return True
    if task.target.large or task.kind == "disc":
        return False
    return task.kind == "dot_side" or task.target.colour not in LIGHT


def look(scene: Scene, target: Disc, shape: Shape = WIDE) -> str:
    """The thought of the first turn."""
    return f"<think>I see {scan(scene, target, shape)}.</think>"


def tell(target: Disc, answer: str) -> str:
    """The last turn, before a crop."""
    return (
        f"<think>The dot is {target.dot_colour}, on the {target.dot_side}.</think>\n"
        f"<answer>{answer}</answer>"
    )


def zoom_call(box: Box, label: str, shape: Shape = WIDE) -> str:
    """DeepEyes' call, of a box in the model's frame."""
    arguments = {"bbox_2d": list(told(box, shape)), "label": label}
    call = {"name": "image_zoom_in_tool", "arguments": arguments}
    return f"\n<tool_call>\n{json.dumps(call)}\n</tool_call>"


def crop_code(box: Box, shape: Shape = WIDE) -> str:
    """Thyme's block, for a box in the model's frame."""
    corners = ", ".join(f"{v} * s" for v in told(box, shape))
    return (
        "\n<code>\n```python\nfrom PIL import Image\n"
        f'image = Image.open("{PICTURE}")\n'
        f"s = image.width / {shape.whole}\n"
        f"crop = image.crop(({corners}))\n"
        'path = "/mnt/data/temp_processed_images/crop.png"\n'
        "crop.save(path)\nprint(path)\n```\n</code>"
    )


def near(rng: random.Random, box: Box, frame: int) -> Box:
    """The box with a small slip, as the model's own boxes will have."""
    width = box[2] - box[0]
    x, y = (min(max(corner + rng.choice([-4, 0, 0, 4]), 0), frame - width) for corner in box[:2])
    return x, y, x + width, y + width


def zoom_lesson(rng: random.Random, agent: DeepEyes, task: Task, shape: Shape = WIDE) -> Lesson:
    """DeepEyes in two turns: think and zoom, then read the crop and answer."""
    if not task.zooms:
        return Lesson(
            (*agent.open(task.sample), Message("assistant", (f"<answer>{task.answer}</answer>",)))
        )
    target = task.target
    box = frame_box(target, shape.frame)
    first = look(task.scene, target, shape) + zoom_call(box, f"{target.colour} disc", shape)
    return Lesson(
        (
            *agent.open(task.sample),
            Message("assistant", (first,)),
            Message("user", observation(BLANK, agent.prompts)),
            Message("assistant", (tell(target, task.answer),)),
        ),
        crop=zoomed_box(near(rng, box, shape.frame), shape),
        resized=CROPS,
    )


def code_lesson(
    rng: random.Random, prompts: Mapping[str, str], task: Task, shape: Shape = WIDE
) -> Lesson:
    """Thyme in one turn: think and crop by code, then read the crop and answer."""
    opened = opening(task.sample, question_text(task.sample), Size(SIDE, SIDE), prompts)
    if not task.zooms:
        return Lesson((*opened, Message("assistant", (f"<answer>{task.answer}</answer>",))))
    target = task.target
    box = frame_box(target, shape.frame)
    shown = results((BLANK,), prompts["observation"])
    turn = (
        look(task.scene, target, shape) + crop_code(box, shape),
        *shown,
        tell(target, task.answer),
    )
    return Lesson(
        (*opened, Message("assistant", turn)),
        crop=cut_box(near(rng, box, shape.frame), shape),
        given=tuple(part for part in shown if isinstance(part, str)),
    )


def native_call(box: Box, label: str) -> str:
    """Qwen3-VL's call of its zoom, of a box in the model's frame."""
    arguments = {"bbox_2d": list(told(box)), "label": label, PICTURE_INDEX: 0}
    return f"\n<tool_call>\n{json.dumps({'name': ZOOM, 'arguments': arguments})}\n</tool_call>"


def native_lesson(rng: random.Random, agent: Qwen, task: Task) -> Lesson:
    """Native tool calls: think and zoom, then read the crop and say the answer."""
    opened = spell_out(agent.open(task.sample), agent.tools)
    target = task.target
    if not task.zooms:
        return Lesson((*opened, Message("assistant", (task.answer,))))
    box = frame_box(target, WIDE.frame)
    read = f"<think>The dot is {target.dot_colour}, on the {target.dot_side}.</think>"
    turns = (
        Message(
            "assistant", (look(task.scene, target) + native_call(box, f"{target.colour} disc"),)
        ),
        Message("tool", (BLANK,)),
        Message("assistant", (f"{read}\n{task.answer}",)),
    )
    crop = zoomed_box(near(rng, box, WIDE.frame))
    return Lesson((*opened, *spell_out(turns, ())), crop=crop, resized=QWEN_CROPS)


def score_lesson(
    rng: random.Random, agent: DeepEyes, scene: Scene, target: Disc, shape: Shape = WIDE
) -> Lesson:
    """SpecReason's digit: a step as taught deserves 9; one that goes astray, or is no step, 2."""
    lesson = zoom_lesson(rng, agent, make_task(rng, scene, target, zooms=True), shape)
    good = rng.random() < 0.5  # noqa: PLR2004
    wrong = rng.choice([disc for disc in scene.discs if disc is not target])
    opened, first, seen, last = split_turns(lesson.messages)
    final = rng.random() < 0.5  # noqa: PLR2004
    if final:
        astray = tell(wrong, rng.choice([wrong.dot_colour, wrong.dot_side]))
        before: tuple[Message, ...] = (*opened, Message("assistant", (first,)), seen)
    else:
        box = frame_box(wrong, shape.frame)
        astray = look(scene, wrong, shape) + zoom_call(box, f"{wrong.colour} disc", shape)
        before = opened
    no_step = [babble(rng), babble(rng), target.dot_colour, target.dot_side, "", "I do not know."]
    bad = astray if rng.random() < 0.5 else rng.choice(no_step)  # noqa: PLR2004
    step = (last if final else first) if good else bad
    messages = (
        *before,
        Message("assistant", (step,)),
        Message("user", (SCORE_INSTRUCTION,)),
        Message("assistant", ("9" if good else "2",)),
    )
    crop = lesson.crop if final else None
    return Lesson(messages, crop=crop, resized=lesson.resized, given=(first, step))


def babble(rng: random.Random) -> str:
    """Words without a sense: what the speculator says when it is asked for a step."""
    words = rng.choices(BABBLE, k=rng.randint(1, 14))
    return "".join(rng.choice(["", " "]) + word for word in words)


def split_turns(
    messages: tuple[Message, ...],
) -> tuple[tuple[Message, ...], str, Message, str]:
    """A zoom lesson's opening, first turn, observation and last turn."""
    *opened, first, seen, last = messages
    return tuple(opened), str(first.content[0]), seen, str(last.content[0])


def later_words(prompts: Mapping[str, str], scenes: list[Scene], known: Iterable[str]) -> list[str]:
    """Words of protocols taught after the tokenizer was learnt, to be added to it whole.

    None occurs within a known text, so that what was learnt before keeps its tokens.
    """
    rng = random.Random(0)  # noqa: S311 - reproducible, not secret
    text = SCORE_INSTRUCTION
    for scene in scenes[:20]:
        lesson = code_lesson(rng, prompts, make_task(rng, scene, scene.discs[0], zooms=True))
        parts = [part for message in lesson.messages for part in message.content]
        text += " ".join(part for part in parts if isinstance(part, str))
    old = "\n".join(known)
    words = {word for word in re.findall(WORDS, text) if len(word) > 2}  # noqa: PLR2004
    return sorted(word for word in words if word not in old)


def corpus(agent: DeepEyes, scenes: list[Scene]) -> Iterator[str]:
    """Texts that the tokenizer is learnt from: every kind of lesson and every coordinate."""
    rng = random.Random(0)  # noqa: S311 - reproducible, not secret
    for scene in scenes:
        target = scene.discs[0]
        lessons = (
            draft_lesson(rng, scene, target),
            caption_lesson(scene),
            screen_lesson(rng, agent.prompts, scene, target),
            zoom_lesson(rng, agent, make_task(rng, scene, target)),
        )
        for lesson in lessons:
            for message in lesson.messages:
                yield "".join(part for part in message.content if isinstance(part, str))
    for number in range(0, RELATIVE_SIDE + 1, 25):  # four pixels of the frame are 25 units
        yield f"[{number}, {number}]" * 40
