"""openai for Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openai
from jobs import KEY, MODEL, URL, Job, Messages, as_input, work


def make_jobs(url: str, key: str) -> Mapping[str, Job]:
    """What the client does at an address."""
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)

    def version(_messages: Messages) -> dict[str, Any]:
        return {"version": openai.__version__}

    def create(messages: Messages) -> dict[str, Any]:
        answer: Any = client.chat.completions.create(model=MODEL, messages=messages)
        return told(answer.choices[0].message.content, answer.usage.prompt_tokens)

    def stream(messages: Messages) -> dict[str, Any]:
        usage = {"include_usage": True}
        chunks: Any = client.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options=usage
        )
        pieces, text, count = 0, "", None
        for chunk in chunks:
            pieces += 1
            text += (chunk.choices and chunk.choices[0].delta.content) or ""
            count = chunk.usage.prompt_tokens if chunk.usage else count
        return {**told(text, count), "pieces": pieces}

    def cancel(messages: Messages) -> dict[str, Any]:
        with client.chat.completions.create(model=MODEL, messages=messages, stream=True) as chunks:
            next(iter(chunks))
        return {}

    def responses(messages: Messages) -> dict[str, Any]:
        answer: Any = client.responses.create(model=MODEL, input=as_input(messages))
        return told(answer.output_text, answer.usage.input_tokens)

    def responses_stream(messages: Messages) -> dict[str, Any]:
        with client.responses.stream(model=MODEL, input=as_input(messages)) as events:
            pieces = sum(1 for _ in events)
            answer: Any = events.get_final_response()
        return {**told(answer.output_text, answer.usage.input_tokens), "pieces": pieces}

    jobs = (version, create, stream, cancel, responses, responses_stream)
    return {job.__name__: job for job in jobs}


def told(text: str | None, prompt_tokens: int | None) -> dict[str, Any]:
    """What came of a job."""
    return {"text": text, "prompt_tokens": prompt_tokens}


if __name__ == "__main__":
    work(make_jobs(URL, KEY))
