"""An OpenAI-compatible server that judges: which model it has, and many questions at a time.

Retries are made in one place, the OpenAI client: it tries again, with backoff and jitter, after
429, 5xx, timeouts and connections that were refused or cut. Answers that are no chat completion
are made to look like a broken connection to it, so that it tries those again too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from speceyes_cli.plugin import UsageError, one_line

if TYPE_CHECKING:
    import openai

RETRIES = 5
"""Tries after the first; the pauses between them add up to about 15 seconds."""
VERDICT_TOKENS = 4
"""One digit, and room to see that it is prose when it is."""
CONNECT_SECONDS = 5.0
EXAMPLE_MODEL = "Qwen/Qwen2.5-72B-Instruct"
_SHOWN = 80

Messages = list[dict[str, str]]


class JudgeReply(NamedTuple):
    """What came back for one question."""

    key: str
    text: str
    """The model's words; the error's where there was one."""
    failed: bool


class JudgeEndpoint:
    """A server; nothing is connected before it is asked."""

    def __init__(self, url: str, key: str, concurrency: int, timeout: float) -> None:
        """`timeout` is in seconds; `UsageError` for an address that is none."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise UsageError(
                f"--api-url is an address such as http://localhost:23333/v1, not {url}."
            )
        self.url = url
        self._key = key
        self._concurrency = concurrency
        self._timeout = timeout
        self._runner: asyncio.Runner | None = None
        self._client: openai.AsyncOpenAI | None = None

    def find_model(self, wanted: str | None) -> str:
        """The model to ask: the wanted one, or the only one served."""
        served: list[str] = self._run(self._models())
        if not served:
            raise UsageError(f"The server at {self.url} lists no model; start it with one.")
        if wanted is None and len(served) == 1:
            return served[0]
        names = one_line(", ".join(served), 400)
        if wanted is None:
            raise UsageError(
                f"The server at {self.url} has several models: {names}; "
                "choose one with --judge-model."
            )
        if wanted not in served:
            raise UsageError(f"There is no model {wanted!r} at {self.url}; it lists: {names}.")
        return wanted

    def ask(self, model: str, messages: Messages) -> str:
        """One answer; `UsageError` when there is none."""
        import openai  # noqa: PLC0415 - slow to import

        try:
            return str(self._run(self._complete(model, messages)))
        except openai.OpenAIError as error:
            raise UsageError(f"{model} at {self.url} does not answer: {_told(error)}.") from None

    def ask_all(
        self, model: str, questions: Mapping[str, Messages]
    ) -> Iterator[Sequence[JudgeReply]]:
        """Answers to questions by key, as they come; all that wait are given at once."""
        come: asyncio.Queue[JudgeReply] = asyncio.Queue()
        left = iter(questions.items())
        workers: list[asyncio.Task[None]] = []

        async def work() -> None:
            for key, messages in left:
                come.put_nowait(await self._ask_one(model, key, messages))

        async def next_ones() -> list[JudgeReply]:
            if not workers:
                count = min(self._concurrency, len(questions))
                workers.extend(asyncio.create_task(work()) for _ in range(count))
            waiting = [await come.get()]
            while not come.empty():
                waiting.append(come.get_nowait())
            return waiting

        async def stop() -> None:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

        given = 0
        try:
            while given < len(questions):
                some = self._run(next_ones())
                given += len(some)
                yield some
        finally:
            self._run(stop())

    def close(self) -> None:
        """Close every connection."""
        if self._runner is not None:
            if self._client is not None:
                self._runner.run(self._client.close())
            self._runner.close()
            self._runner = self._client = None

    def _run(self, coroutine: Any) -> Any:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(coroutine)

    def _open(self) -> openai.AsyncOpenAI:
        if self._client is None:
            import httpx2  # noqa: PLC0415 - slow to import
            import openai  # noqa: PLC0415 - slow to import

            http = openai.DefaultAsyncHttpxClient(
                event_hooks={"response": [_refuse_malformed]},
                timeout=httpx2.Timeout(self._timeout, connect=CONNECT_SECONDS, pool=None),
                limits=httpx2.Limits(
                    max_connections=self._concurrency, max_keepalive_connections=self._concurrency
                ),
            )
            self._client = openai.AsyncOpenAI(
                base_url=self.url, api_key=self._key, max_retries=RETRIES, http_client=http
            )
        return self._client

    async def _models(self) -> list[str]:
        import httpx2  # noqa: PLC0415 - slow to import
        import openai  # noqa: PLC0415 - slow to import

        client = self._open()
        try:
            try:
                page = await client.with_options(max_retries=0).models.list()
            except openai.APIConnectionError as error:
                if isinstance(error.__cause__, httpx2.ConnectError):
                    raise UsageError(self._nobody()) from None
                page = await client.models.list()
            except openai.APIStatusError:
                page = await client.models.list()
        except openai.AuthenticationError:
            raise UsageError(f"{self.url} refuses the key; name another with --api-key.") from None
        except openai.OpenAIError as error:
            raise UsageError(
                f"{self.url}/models does not list models: {_told(error)}; is this the address of "
                "an OpenAI-compatible server, as in http://localhost:23333/v1?"
            ) from None
        return [model.id for model in page.data]

    async def _complete(self, model: str, messages: Messages) -> str:
        # The client's own `chat.completions.create` spends most of its time on rewriting messages
        # that need no rewriting; its plain `post` retries in the same way.
        body = {
            "model": model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": VERDICT_TOKENS,
        }
        done: Any = await self._open().post("/chat/completions", cast_to=object, body=body)
        return done["choices"][0]["message"].get("content") or ""

    async def _ask_one(self, model: str, key: str, messages: Messages) -> JudgeReply:
        try:
            return JudgeReply(key, await self._complete(model, messages), failed=False)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is kept with the sample
            return JudgeReply(key, _told(error), failed=True)

    def _nobody(self) -> str:
        port = urlsplit(self.url).port or 80
        return (
            f"No judge answers at {self.url}: start one, such as "
            f"`vllm serve {EXAMPLE_MODEL} --port {port}`, name another with --api-url, "
            "or judge by rules alone with --judge rules."
        )


async def _refuse_malformed(response: Any) -> None:
    """Raise what the client tries again for where a good status comes with a bad body."""
    if not response.is_success:
        return
    import httpx2  # noqa: PLC0415 - slow to import

    listing = response.url.path.endswith("/models")
    body = await response.aread()
    if listing and body.lstrip()[:1] == b"<":
        raise UsageError(
            f"{response.url} answers with a web page, not with a list of models; "
            "does --api-url end in /v1?"
        )
    if not (_is_listing(body) if listing else _is_completion(body)):
        shown = one_line(body.decode("utf-8", "replace"), _SHOWN)
        raise httpx2.DecodingError(f"a malformed answer: {shown!r}", request=response.request)


def _is_listing(body: bytes) -> bool:
    data = _member(_parse(body), "data")
    return isinstance(data, list) and all(isinstance(_member(m, "id"), str) for m in data)


def _is_completion(body: bytes) -> bool:
    choices = _member(_parse(body), "choices")
    if not isinstance(choices, list) or not choices:
        return False
    message = _member(choices[0], "message")
    return isinstance(message, dict) and isinstance(message.get("content"), str | None)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _told(error: BaseException) -> str:
    """What went wrong, for a reader."""
    import openai  # noqa: PLC0415 - slow to import

    if isinstance(error, openai.APITimeoutError):
        return f"no answer in time, {RETRIES + 1} times"
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__ or error
        return one_line(str(cause) or type(cause).__name__)
    if isinstance(error, openai.APIStatusError):
        return one_line(f"HTTP {error.status_code}: {error.message}")
    return one_line(f"{type(error).__name__}: {error}")
