"""evalscope's load tool, `evalscope perf`, one request a job."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import pickle
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import KEY, MODEL, URL, Messages, work

READ = "SELECT success, response_messages, prompt_tokens FROM result"


def version(_messages: Messages) -> dict[str, Any]:
    """The installed version."""
    return {"version": importlib.metadata.version("evalscope")}


def running(api: str, path: str, flag: str) -> Callable[[Messages], dict[str, Any]]:
    """A job: a run of one request, read from the database that it leaves."""

    def job(messages: Messages) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            asked = Path(folder, "asked.jsonl")
            asked.write_text(json.dumps(messages) + "\n")
            program = str(Path(sys.executable).with_name("evalscope"))
            where = ("--url", f"{URL}/{path}", "--api", api, "--model", MODEL, "--api-key", KEY)
            what = ("--dataset", "line_by_line", "--dataset-path", str(asked), flag)
            once = ("--number", "1", "--parallel", "1", "--outputs-dir", folder)
            command = [program, "perf", *where, *what, *once]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            [database] = Path(folder).rglob("benchmark_data.db")
            with sqlite3.connect(database) as results:
                [(success, packed, count)] = results.execute(READ).fetchall()
        answers = pickle.loads(base64.b64decode(packed))  # noqa: S301 - written by the line above
        return {"success": success, "text": text(answers), "prompt_tokens": count}

    return job


def text(answers: list[Any]) -> str:
    """The answer's words, of a whole answer or of a stream's events."""
    read = [json.loads(one) if isinstance(one, str) else one for one in answers]
    return "".join(map(words, read))


def words(event: dict[str, Any]) -> str:
    """The words of an answer, or of one event."""
    if event.get("type") == "response.output_text.delta":
        return event["delta"]
    if event.get("object") == "response":
        parts = [part for item in event["output"] for part in item["content"]]
        return "".join(part["text"] for part in parts if part["type"] == "output_text")
    found = [one.get("delta") or one.get("message") or {} for one in event.get("choices", ())]
    return "".join(one.get("content") or "" for one in found)


if __name__ == "__main__":
    chat = ("openai", "chat/completions")
    response = ("openai_responses", "responses")
    jobs = {
        "version": version,
        "create": running(*chat, "--no-stream"),
        "stream": running(*chat, "--stream"),
        "responses": running(*response, "--no-stream"),
        "responses_stream": running(*response, "--stream"),
    }
    work(jobs)
