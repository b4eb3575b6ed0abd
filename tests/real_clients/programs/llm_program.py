"""Simon Willison's `llm`: the endpoint is two of its extra OpenAI-compatible models."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import KEY, MODEL, URL, Messages, wait_until_asked, work

RESPONSES = "speceyes-responses"


def version(_messages: Messages) -> dict[str, Any]:
    """The installed version."""
    return {"version": importlib.metadata.version("llm")}


def configure(folder: Path) -> None:
    """Tell `llm` of the endpoint, as its user would."""
    model = {"model_name": MODEL, "api_base": URL, "api_key_name": MODEL, "vision": True}
    models = [
        {**model, "model_id": MODEL},
        {**model, "model_id": RESPONSES, "responses": True},
    ]
    (folder / "extra-openai-models.yaml").write_text(json.dumps(models))  # JSON is YAML
    (folder / "keys.json").write_text(json.dumps({MODEL: KEY}))
    os.environ["LLM_USER_PATH"] = str(folder)


def ask(model: str, messages: Messages, *, stream: bool) -> Any:
    """The response to the last turn; the earlier ones are asked anew."""
    import llm  # noqa: PLC0415 - it reads its settings when it is imported

    conversation = llm.get_model(model).conversation()
    for message in messages:
        if message["role"] == "user":
            words, attachments = parts(message["content"])
            shown = [llm.Attachment(type="image/png", content=data) for data in attachments]
            response = conversation.prompt(words, attachments=shown, stream=stream)
            if message is not messages[-1]:
                response.text()
    return response


def parts(content: Any) -> tuple[str, list[bytes]]:
    """The words and the pictures of a turn."""
    if isinstance(content, str):
        return content, []
    words = "\n".join(part["text"] for part in content if part["type"] == "text")
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return words, [base64.b64decode(url.partition(",")[2]) for url in urls]


def asking(model: str) -> Callable[[Messages], dict[str, Any]]:
    """A job: the whole answer."""

    def job(messages: Messages) -> dict[str, Any]:
        response = ask(model, messages, stream=False)
        return {"text": response.text(), "prompt_tokens": response.usage().input}

    return job


def streaming(model: str) -> Callable[[Messages], dict[str, Any]]:
    """A job: the answer as it comes."""

    def job(messages: Messages) -> dict[str, Any]:
        response = ask(model, messages, stream=True)
        pieces = list(response)
        told = {"text": "".join(pieces), "prompt_tokens": response.usage().input}
        return {**told, "pieces": len(pieces)}

    return job


def cancel(messages: Messages) -> dict[str, Any]:
    """Ctrl-C at the command line."""
    words, [picture] = parts(messages[-1]["content"])
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(picture)
        file.flush()
        program = str(Path(sys.executable).with_name("llm"))
        asked = subprocess.Popen(
            [program, "-m", MODEL, "-a", file.name, words], stdin=subprocess.DEVNULL
        )
        wait_until_asked()
        asked.send_signal(signal.SIGINT)
        return {"status": asked.wait(60)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        configure(Path(made))
        jobs = {
            "version": version,
            "create": asking(MODEL),
            "stream": streaming(MODEL),
            "cancel": cancel,
            "responses": asking(RESPONSES),
            "responses_stream": streaming(RESPONSES),
        }
        work(jobs)
