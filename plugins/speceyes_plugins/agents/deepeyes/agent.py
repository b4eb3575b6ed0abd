"""DeepEyes: the large model thinks, zooms into the first picture, and answers."""

from __future__ import annotations

import json
import math
from collections.abc import Generator

from PIL import Image

from speceyes_cli.plugin import (
    AgentOptions,
    AgentState,
    Answer,
    Message,
    Observation,
    Picture,
    Reply,
    Run,
    Sample,
    Size,
    ToolError,
    question_text,
)
from speceyes_plugins.agents.tags import Tagged, last_tagged, load_prompts, untagged_answer

TOOL = "image_zoom_in_tool"
MAX_TURNS = 6  # upstream SpecEyes
MAX_NEW_TOKENS = 512
GRID = 28  # patch 14 x merge 2: crops are resized to a multiple of it
MIN_PIXELS = 4 * GRID * GRID
MAX_PIXELS = 16384 * GRID * GRID
BOX_NUMBERS = 4
MIN_SIDE = 1.0  # pixels of the original picture under which a box is no region


class CallError(Exception):
    """A tool call that cannot be carried out, with its stable kind."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class DeepEyes:
    """The agent's two methods; it holds no model and does no I/O."""

    stop: tuple[str, ...] = ("</tool_call>", "</answer>")
    continues_turn = False

    def __init__(self, options: AgentOptions) -> None:
        self.max_turns = options.max_turns or MAX_TURNS
        self.max_new_tokens = options.max_new_tokens or MAX_NEW_TOKENS
        self.prompts = load_prompts("speceyes_plugins.agents.deepeyes", options.prompts)

    def screen(self, sample: Sample) -> tuple[Message, ...]:
        """Ask, yes or no, whether zooming would help."""
        text = f"{question_text(sample)}\n{self.prompts['screen']}"
        return (Message("user", (sample.picture, text)),)

    def open(self, sample: Sample) -> tuple[Message, ...]:
        """The tool's schema, the picture and the question."""
        text = f"{question_text(sample)}\n{self.prompts['instruction']}"
        return (
            Message("system", (self.prompts["system"],)),
            Message("user", (sample.picture, text)),
        )

    def step(
        self, reply: Reply, state: AgentState
    ) -> Generator[Run, Observation | ToolError, Observation | Answer | ToolError]:
        """An answer ends the loop; a tool call zooms; anything else is told to the model."""
        call = last_tagged(reply.text, "tool_call")
        answer = last_tagged(reply.text, "answer")
        if answer is not None and (call is None or answers_first(answer, call)):
            return Answer(answer.content.strip(), "large")
        if call is None:
            last_turn = state.turn + 1 >= self.max_turns
            untagged = untagged_answer(reply) if last_turn else None
            return untagged or self._complain(
                "no_action", "Neither <tool_call> nor <answer> was found."
            )
        try:
            box = parse_call(call.content)
        except CallError as error:
            return self._complain(error.kind, error.text)
        frame = state.frames[0] if state.frames else None
        seen = yield Run(
            zoom,
            {"picture": state.sample.picture, "box": box, "frame": frame, "turn": state.turn},
            name=TOOL,
        )
        if isinstance(seen, ToolError):
            return self._complain(seen.kind, seen.text)
        crop = next(part for part in seen.content if isinstance(part, Picture))
        return Observation(observation(crop, self.prompts["reminder"]), seen.notes)

    def _complain(self, kind: str, text: str) -> ToolError:
        """An error in the tags the model knows tool results by."""
        reminder = self.prompts["reminder"]
        return ToolError(kind, f"<tool_response>\n{text}\n{reminder}\n</tool_response>")


def answers_first(answer: Tagged, call: Tagged) -> bool:
    """Whether the turn ends with the answer: at whichever closes first, else with the later one.

    What a model writes after its call's closing tag rests on a picture that it has not been shown.
    """
    first = min(answer, call, key=lambda tagged: tagged.start)
    return (first is answer) == first.closed


def observation(crop: Picture, reminder: str) -> tuple[str | Picture, ...]:
    """The user turn that shows a crop."""
    return ("<tool_response>\n", crop, f"\n{reminder}\n</tool_response>")


def parse_call(text: str) -> tuple[float, float, float, float]:
    """The box of a call in the model's frame; raises `CallError`."""
    try:
        call = json.loads(text.strip())
    except (json.JSONDecodeError, RecursionError) as error:
        raise CallError("bad_json", "The tool call is not valid JSON.") from error
    if not isinstance(call, dict):
        raise CallError("bad_json", "The tool call is not a JSON object.")
    if call.get("name") != TOOL:
        raise CallError("unknown_tool", f"The only tool is {TOOL}.")
    arguments = call.get("arguments")
    box = arguments.get("bbox_2d") if isinstance(arguments, dict) else None
    if not isinstance(box, list) or len(box) != BOX_NUMBERS:
        raise CallError("bad_box", "bbox_2d must be four numbers: x1, y1, x2, y2.")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in box):
        raise CallError("bad_box", "bbox_2d must be four numbers: x1, y1, x2, y2.")
    left, top, right, bottom = (float(min(max(v, -1e9), 1e9)) for v in box)
    if not all(math.isfinite(v) for v in (left, top, right, bottom)):
        raise CallError("bad_box", "bbox_2d must be four finite numbers.")
    if left >= right or top >= bottom:
        raise CallError("bad_box", "bbox_2d is empty: x1 < x2 and y1 < y2 are needed.")
    return left, top, right, bottom


def zoom(
    picture: Picture, box: tuple[float, float, float, float], frame: Size | None, turn: int
) -> Observation | ToolError:
    """Crop the original picture; `box` is in pixels of `frame`, the size the model saw.

    An error when nothing of the picture is inside the box; a note when part of it is not.
    """
    original = picture.open()
    width, height = original.size
    seen = frame or Size(width, height)
    across, down = width / seen.width, height / seen.height
    left, right = (min(max(v * across, 0.0), float(width)) for v in (box[0], box[2]))
    top, bottom = (min(max(v * down, 0.0), float(height)) for v in (box[1], box[3]))
    if right - left < MIN_SIDE or bottom - top < MIN_SIDE:
        return ToolError(
            "bad_box", f"bbox_2d is outside the picture of {seen.width}x{seen.height} pixels."
        )
    region = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    crop = original.crop(region)
    crop = crop.resize(crop_size(crop.size), Image.Resampling.BICUBIC)
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= seen.width and box[3] <= seen.height
    notes = () if inside else (f"box {list(box)} was cut to the picture",)
    return Observation((Picture(f"crop {turn + 1} {region}", lambda: crop),), notes)


def crop_size(size: tuple[int, int]) -> tuple[int, int]:
    """The nearest multiples of 28 within the pixel limits, keeping the shape as far as possible."""
    width, height = (max(GRID, round(v / GRID) * GRID) for v in size)
    if width * height > MAX_PIXELS:
        scale = math.sqrt(size[0] * size[1] / MAX_PIXELS)
        width, height = (max(GRID, math.floor(v / scale / GRID) * GRID) for v in size)
    elif width * height < MIN_PIXELS:
        scale = math.sqrt(MIN_PIXELS / (size[0] * size[1]))
        width, height = (math.ceil(v * scale / GRID) * GRID for v in size)
    return width, height
