"""Requests as clients wrote them, answered by vLLM's own chat server within this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from typing import Any

from pydantic import ValidationError
from vllm.entrypoints.openai.chat_completion.protocol import (
    ChatCompletionRequest,
    ChatCompletionResponse,
)
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.exceptions import VLLMValidationError
from vllm.renderers.online_renderer import OnlineRenderer

from speceyes_cli.plugin import ForwardingError
from speceyes_plugins.engines.server_events import EventReader
from speceyes_plugins.engines.vllm.requests import FORWARD, EngineDiedError, Request, StepThread

NAME = "large"
BAD_REQUEST = 400
FAILED = 502


class StepClient:
    """What vLLM's chat server needs of an engine, over the thread that steps ours."""

    def __init__(self, engine: Any, thread: StepThread) -> None:
        """`engine` is a `vllm.LLM`'s `llm_engine`."""
        self._thread = thread
        self.vllm_config = engine.vllm_config
        self.model_config = engine.model_config
        self.renderer = engine.renderer
        self.input_processor = engine.input_processor

    @property
    def errored(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._thread.died is not None

    @property
    def dead_error(self) -> Exception:
        """Why."""
        return EngineDiedError(str(self._thread.died))

    def check_admission(self, count: int) -> None:
        """Everything that arrives joins the batch, or waits within vLLM."""

    async def generate(
        self, prompt: Any, parameters: Any, request_id: str, **_options: Any
    ) -> AsyncGenerator[Any, None]:
        """The request's outputs as they come."""
        del request_id  # the thread counts its own
        loop, outputs = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def told(output: Any) -> None:
            loop.call_soon_threadsafe(outputs.put_nowait, output)

        request = Request(prompt, parameters, None, told)
        self._thread.begin(request)
        try:
            while True:
                output = await outputs.get()
                if isinstance(output, Exception):
                    raise output
                yield output
                if output.finished:
                    return
        finally:
            self._thread.drop(request)


class _Chat(OpenAIServingChat):  # type: ignore[misc] # vLLM publishes no types
    """vLLM's chat server, whose preparations do not meet those of the thread that steps."""

    async def render_chat_request(self, request: Any) -> Any:
        """Pictures are prepared with caches that are vLLM's own, and of one thread at a time."""
        await asyncio.to_thread(FORWARD.acquire)
        try:
            return await super().render_chat_request(request)
        finally:
            FORWARD.release()


class Forwarder:
    """vLLM's chat server on an event loop of its own."""

    def __init__(self, engine: Any, thread: StepThread, tool_parser: str) -> None:
        """`tool_parser` is vLLM's name for the form in which the model writes calls."""
        self._client = StepClient(engine, thread)
        self._tool_parser = tool_parser
        self._chat: _Chat | None = None
        self._loop = asyncio.new_event_loop()
        self._running = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._running.start()

    def forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> Future[None]:
        """See `Forwarding.forward`."""
        return asyncio.run_coroutine_threadsafe(self._forward(body, emit), self._loop)

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.join()
        self._loop.close()

    async def _forward(
        self, body: Mapping[str, Any], emit: Callable[[Mapping[str, Any]], None]
    ) -> None:
        try:
            request = ChatCompletionRequest.model_validate({**body, "model": NAME})
            answer = await self._server().create_chat_completion(request)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ForwardingError(BAD_REQUEST, f"{place}: {first['msg']}.", place) from None
        except (ValueError, VLLMValidationError) as error:
            named = getattr(error, "parameter", None)
            raise ForwardingError(BAD_REQUEST, str(error), named) from None
        except EngineDiedError as error:
            raise ForwardingError(FAILED, f"vLLM stopped working: {error}.") from None
        if isinstance(answer, ErrorResponse):
            told = answer.error
            raise ForwardingError(int(told.code), told.message, told.param)
        if isinstance(answer, ChatCompletionResponse):
            emit(answer.model_dump())
            return
        reader = EventReader()
        async for text in answer:
            for event in reader.feed(text.encode()):
                emit(event)

    def _server(self) -> _Chat:
        if self._chat is None:
            client = self._client
            models = OpenAIServingModels(client, [BaseModelPath(NAME, NAME)])
            shared = {
                "request_logger": None,
                "chat_template": None,
                "chat_template_content_format": "auto",
                "enable_auto_tools": True,
                "tool_parser": self._tool_parser,
            }
            renderer = OnlineRenderer(client.model_config, client.renderer, **shared)
            self._chat = _Chat(
                client,
                models,
                "assistant",
                online_renderer=renderer,
                enable_prompt_tokens_details=True,
                **shared,
            )
        return self._chat
