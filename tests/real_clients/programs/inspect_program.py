"""inspect_ai: the endpoint is the model `openai-api/speceyes/speceyes`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import tempfile
from typing import Any

from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageUser,
    ContentImage,
    ContentText,
    get_model,
)
from jobs import KEY, MODEL, URL, Messages, wait_until_asked, work

NAME = f"openai-api/{MODEL}/{MODEL}"


def version(_messages: Messages) -> dict[str, Any]:
    """The installed version."""
    return {"version": importlib.metadata.version("inspect-ai")}


def turns(messages: Messages) -> list[Any]:
    """The conversation in inspect's own types."""
    return [
        ChatMessageUser(content=content(one["content"]))
        if one["role"] == "user"
        else ChatMessageAssistant(content=one["content"])
        for one in messages
    ]


def content(given: Any) -> Any:
    """A turn's content in inspect's own types."""
    if isinstance(given, str):
        return given
    return [
        ContentText(text=part["text"])
        if part["type"] == "text"
        else ContentImage(image=part["image_url"]["url"])
        for part in given
    ]


def create(messages: Messages) -> dict[str, Any]:
    """The answer to the one sample of a task."""
    task = Task(dataset=[Sample(input=turns(messages))])
    with tempfile.TemporaryDirectory() as logs:
        [log] = evaluate(task, model=NAME, display="none", log_dir=logs)
        [sample] = log.samples  # read when they are asked for
        return told(sample.output)


def told(output: Any) -> dict[str, Any]:
    """What came of a job."""
    usage = output.usage  # its input tokens are those that no cache held
    read = usage.input_tokens + (usage.input_tokens_cache_read or 0)
    return {"text": output.completion, "prompt_tokens": read}


def asking(**options: Any) -> Any:
    """A job that asks a model with these options."""

    def job(messages: Messages) -> dict[str, Any]:
        return told(asyncio.run(generate(messages, **options)))

    return job


async def generate(messages: Messages, **options: Any) -> Any:
    """The model's output."""
    async with get_model(NAME, memoize=False, **options) as model:
        return await model.generate(turns(messages))


def cancel(messages: Messages) -> dict[str, Any]:
    """Ask, and give up while the answer is made."""

    async def give_up() -> None:
        asked = asyncio.create_task(generate(messages, stream=True))
        await asyncio.to_thread(wait_until_asked)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    asyncio.run(give_up())
    return {}


if __name__ == "__main__":
    os.environ.update(SPECEYES_BASE_URL=URL, SPECEYES_API_KEY=KEY)
    jobs = {
        "version": version,
        "create": create,
        "stream": asking(stream=True),
        "cancel": cancel,
        "responses": asking(responses_api=True),
        "responses_stream": asking(responses_api=True, stream=True),
    }
    work(jobs)
