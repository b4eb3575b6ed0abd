"""An HTTP server on the loopback address that answers as vLLM does, or as servers do that fail.

It serves a model through the transformers engine, one request at a time, or canned answers after a
delay. Standalone, for benchmarks:

    python tests/servers/vllm_server.py --model embedded --role small
    python tests/servers/vllm_server.py --delay 0.5
"""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from speceyes_plugins.engines.transformers.decoding import Decoder, DecodingRow
from speceyes_plugins.engines.transformers.engine import TransformersEngine
from transformers.image_utils import SizeDict
from vllm_asks import read_ask, take_calls, uses_tools
from vllm_behaviour import Behaviour, Load
from vllm_refusals import RefusedError, check_request, too_long
from vllm_stream import chunks, completion

from speceyes_cli.host.specs import EngineOptions

__all__ = ["Behaviour", "Load", "Served", "serving"]

PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"
KEPT = 80  # log-probabilities kept of each token


class Tops(Decoder):
    """Keeps what every step's log-probabilities were, the end of sequence included."""

    penalty = 1.0
    samples = False
    logits = False
    prompt: torch.Tensor
    steps: list[tuple[int, list[int], list[float]]]

    def _take(self, logits: torch.Tensor, rows: Sequence[DecodingRow]) -> torch.Tensor:
        likeliest = logits.argmax(-1, keepdim=True)
        chosen = logits.scatter(-1, likeliest, -torch.inf) if self.samples else logits
        following = super()._take(chosen, rows)
        row = self._penalised(logits, self.penalty)[0]
        shown = row if self.logits else row.log_softmax(-1)
        values, tokens = shown.topk(KEPT)
        self.steps.append((int(following[0]), tokens.tolist(), values.tolist()))
        return following

    def _penalised(self, logits: torch.Tensor, penalty: float) -> torch.Tensor:
        if penalty == 1.0:
            return logits
        rows = logits.clone()
        seen = rows[0, self.prompt]
        rows[0, self.prompt] = torch.where(seen > 0, seen / penalty, seen * penalty)
        return rows


class Served(TransformersEngine):
    """The local engine, one ask at a time, with everything a response tells."""

    def __init__(self, options: EngineOptions) -> None:
        super().__init__(options)
        self.decoder = Tops(self._ends(), self._text)
        self._decoder = self.decoder
        images = self._loaded.processor.image_processor
        self.size, self.factor = images.size, images.patch_size * images.merge_size
        self.prompt_tokens = 0
        self.context = 4096
        self.lock = threading.Lock()

    def _decode(self, asks: Any) -> list[DecodingRow]:
        ((ask, seen),) = asks
        (ids,) = self._writer.write([(ask, [len(item.features) for item in seen])])
        self.prompt_tokens = len(ids)
        left = self.context - len(ids)
        if left < 1:
            raise RefusedError(400, too_long(self.context, len(ids)))
        fitting = replace(ask, max_new_tokens=min(ask.max_new_tokens, left))
        self.decoder.prompt = torch.tensor(ids, device=self._loaded.device)
        return super()._decode([(fitting, seen)])

    def complete(self, body: Mapping[str, Any], does: Behaviour) -> dict[str, Any]:
        """A chat completion."""
        with self.lock:
            given = body.get("mm_processor_kwargs", {}) if does.takes_budget else {}
            edges = given.get("size", {})
            low = given.get("min_pixels") or edges.get("shortest_edge") or self.size.shortest_edge
            high = given.get("max_pixels") or edges.get("longest_edge") or self.size.longest_edge
            self._loaded.processor.image_processor.size = SizeDict(
                shortest_edge=low, longest_edge=high
            )
            self.decoder.steps = []
            self.context = does.context
            penalty = body.get("repetition_penalty", 1.0)
            self.decoder.penalty = penalty if does.processed else 1.0
            self.decoder.samples, self.decoder.logits = does.samples, does.logits
            ask = read_ask(body, does)
            (reply,) = self.generate([ask])
            if isinstance(reply, Exception):
                raise RefusedError(400, str(reply))
            text, reason = reply.text, None
            ended = self.decoder.steps[-1][0] in self._ends()
            if reply.finish == "stop" and not ended:
                reason = next(stop for stop in ask.stop if text.endswith(stop))
                if not (does.keeps_stop and body.get("include_stop_str_in_output")):
                    text = text.removesuffix(reason)
            content = []
            if body.get("logprobs") and does.logprobs:
                steps = self.decoder.steps[: None if does.eos_entry or not ended else -1]
                content = [self._entry(step, body["top_logprobs"], does) for step in steps]
            if does.says and uses_tools(body):
                text, reply = does.says.popleft(), replace(reply, finish="stop")
            if does.thought:
                text = does.thought + text
                if content and not does.hides_thought:
                    content.insert(0, {**content[0], **named(does.thought)})
            choice: dict[str, Any] = {
                "index": 0,
                "message": written(text, does),
                "logprobs": {"content": content} if content else None,
                "finish_reason": reply.finish,
            }
            if does.tools == "calls" and body.get("tools"):
                take_calls(choice)
            if does.tells_stop:
                choice["stop_reason"] = reason
            generated = len(self.decoder.steps)
            usage = {
                "prompt_tokens": self.prompt_tokens,
                "total_tokens": self.prompt_tokens + generated,
                "completion_tokens": generated,
            }
            return completion(does.model, choice, usage if does.usage else None)

    def _entry(
        self, step: tuple[int, list[int], list[float]], count: int, does: Behaviour
    ) -> dict[str, Any]:
        chosen, tokens, values = step
        pairs = list(zip(tokens, values, strict=True))[:count]
        pairs.sort(key=lambda pair: pair[0] != chosen)  # the sampled token stands first
        if does.masked:
            pairs[-1] = (pairs[-1][0], -9999.0)
        top = [self._name(token) | {"logprob": value} for token, value in pairs]
        return {**top[0], "top_logprobs": top}

    def _name(self, token: int) -> dict[str, Any]:
        return named(self._tokenizer.decode([token]))


def named(token: str) -> dict[str, Any]:
    """A token's text as an entry of the log-probabilities tells it."""
    return {"token": token, "bytes": list(token.encode())}


def written(text: str, does: Behaviour) -> dict[str, Any]:
    """The answering message; a reasoning parser takes the thought out of it."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    thought, end, answer = text.partition("</think>")
    if does.reasons and end:
        message |= {"content": answer or None, "reasoning": thought.removeprefix("<think>")}
    return message


def answer(body: Mapping[str, Any], does: Behaviour, served: Served | None) -> dict[str, Any]:
    """What a request comes to; raises `RefusedError`."""
    check_request(body, does)
    if served is not None:
        return served.complete(body, does)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": does.canned},
        "finish_reason": "stop",
    }
    return completion(does.model, choice, {"prompt_tokens": 9, "completion_tokens": 5})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    does: Behaviour
    served: Served | None

    def do_GET(self) -> None:
        """The list of models."""
        if self.does.page:
            self._send(200, PAGE, "text/html")
        elif not self._may_enter():
            self._send_json(401, {"error": "Unauthorized"})
        elif self.path == "/v1/models":
            card = {"id": self.does.model, "object": "model", "max_model_len": self.does.context}
            self._send_json(200, {"object": "list", "data": [card]})
        else:
            self._send_json(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        """A chat completion, or what goes wrong instead."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/chat/completions":
            self._send_json(404, {"detail": "Not Found"})
        elif self.does.page:
            self._send(200, PAGE, "text/html")
        elif not self._may_enter():
            self._send_json(401, {"error": "Unauthorized"})
        else:
            self.does.load.change(1)
            try:
                self._complete(body)
            finally:
                self.does.load.change(-1)

    def _complete(self, body: dict[str, Any]) -> None:
        if self.does.bodies is not None:
            self.does.bodies.append(body)
        fault = self.does.faults.popleft() if self.does.faults else ""
        time.sleep(self.does.delay)
        if self.does.hangs:
            self.does.ended.wait()
            self.close_connection = True
            return
        if fault in ("429", "500", "503"):
            self._refuse(int(fault), "Too busy.")
            return
        if fault == "page":
            self._send(502, PAGE, "text/html")
            return
        if fault == "echo":
            self._refuse(400, f"I was sent {self.headers.get('Authorization')}")
            return
        try:
            told = answer(body, self.does, self.served)
        except RefusedError as error:
            self._refuse(error.status, str(error))
            return
        if body.get("stream") and not fault:
            self._send_stream(told, body)
            return
        data = json.dumps({"surprise": 1} if fault == "odd" else told).encode()
        if fault == "garbage":
            data = b"{" + data
        if fault in ("cut", "drip"):
            self._send_badly(data, fault)
        else:
            self._send(200, data)

    def _send_stream(self, told: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client has had enough
            for piece in chunks(told, body):
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(self.does.pace)

    def _may_enter(self) -> bool:
        return not self.does.key or self.headers.get("Authorization") == f"Bearer {self.does.key}"

    def _send_badly(self, data: bytes, fault: str) -> None:
        """Half an answer and no more, or one byte now and then."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.close_connection = True
        if fault == "cut":
            self.wfile.write(data[: len(data) // 2])
            return
        with contextlib.suppress(OSError):  # the client has had enough
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)

    def _refuse(self, status: int, text: str) -> None:
        error = {"message": text, "type": "BadRequestError", "param": None, "code": status}
        self._send_json(status, {"error": error})

    def _send_json(self, status: int, told: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(told).encode())

    def _send(self, status: int, data: bytes, kind: str = "application/json") -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()
        self.close_connection |= not self.does.keeps_open

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is none."""


@contextlib.contextmanager
def serving(does: Behaviour, served: Served | None = None, port: int = 0) -> Iterator[str]:
    """Serve for as long as the block lasts; gives the address with its model."""
    handler = type("Bound", (Handler,), {"does": does, "served": served})
    with LoopbackServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1#{does.model}"
        finally:
            server.shutdown()
            thread.join()


def main(wait: Callable[[], object] = input) -> None:
    """Serve until a line comes on standard input; then tell how busy it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="embedded or a folder; without it answers are canned")
    parser.add_argument("--role", default="small")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--places", type=int, default=64)
    arguments = parser.parse_args()
    served = None
    if arguments.model:
        served = Served(EngineOptions(arguments.model, arguments.role, batch_size=1))
    does = Behaviour(delay=arguments.delay, load=Load(places=arguments.places))
    with serving(does, served) as address:
        size = served.size if served else None
        areas = [size.shortest_edge, size.longest_edge] if size else []
        said = {"address": address, "areas": areas, "factor": served.factor if served else None}
        print(json.dumps(said), flush=True)  # noqa: T201 - a script
        wait()
    load = does.load
    told = {"served": load.served, "most": load.most, "busy_share": load.share()}
    print(json.dumps(told), flush=True)  # noqa: T201 - a script


if __name__ == "__main__":
    main()
