"""An OpenAI-compatible server that judges: which model it has, and many questions at a time.

Retries are made in one place, the OpenAI client: it tries again, with backoff and jitter, after
429, 5xx, timeouts and connections that were refused or cut. Answers that are no chat completion
are made to look like a broken connection to it, so that it tries those again too. Each try has one
time limit, from connecting to the last byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from speceyes_cli.plugin import (
    OptionalFields,
    Secrets,
    ServerLostError,
    UsageError,
    check_key,
    has_userinfo,
    hide_userinfo,
    one_line,
    open_client,
    proxy_before,
    refuses_key,
    writable,
)

if TYPE_CHECKING:
    import httpx2
    import openai

RETRIES = 5
"""Tries after the first; the pauses between them add up to about 15 seconds."""
LOOK_RETRIES = 2
"""The same for the list of models, whose first try is made without any."""
GREEDY: Mapping[str, Any] = {"repetition_penalty": 1.0, "top_k": 0}
"""Sent where the server takes them: vLLM applies a checkpoint's repetition penalty also at
temperature 0, and a verdict of one digit changes with it."""
VERDICT_TOKENS = 4
"""One digit, and room to see that it is prose when it is."""
CONNECT_SECONDS = 5.0
MOST_BYTES = 4 * 2**20
"""Of an answer: one digit, or a gateway's list of all its models."""
KEY_SOURCES = ("--api-key", "SPECEYES_JUDGE_API_KEY")
EXAMPLE_MODEL = "Qwen/Qwen2.5-72B-Instruct"
LONGEST_REPLY = 2000
"""Characters of a reply that are kept: a server need not keep to the tokens asked for."""
_SHOWN = 80

Messages = list[dict[str, str]]


class JudgeReply(NamedTuple):
    """What came back for one question."""

    key: str
    text: str
    """The model's words; the error's where there was one."""
    failed: bool
    lost: bool = False
    """Nobody took a connection, however often it was tried."""


class JudgeEndpoint:
    """A server; nothing is connected before it is asked."""

    def __init__(self, url: str, key: str, concurrency: int, timeout: float) -> None:
        """`timeout` is in seconds; `UsageError` for an address that is none."""
        if has_userinfo(url):  # the address itself is not repeated
            raise UsageError(
                "--api-url holds a user or password, and an address is kept with the verdicts; put "
                f"a key into {KEY_SOURCES[1]}."
            )
        if not _is_address(url):
            raise UsageError(
                f"--api-url is an address such as http://localhost:23333/v1, not {url}."
            )
        self.url = url
        self._key = check_key(key, KEY_SOURCES)
        self._secrets = Secrets(self._key)
        self._concurrency = concurrency
        self._timeout = timeout
        self._fields = OptionalFields(GREEDY)
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
        except (openai.OpenAIError, RecursionError) as error:
            raise UsageError(
                f"{model} at {self.url} does not answer: {self._told(error)}."
            ) from None

    def ask_all(
        self, model: str, questions: Mapping[str, Messages]
    ) -> Iterator[Sequence[JudgeReply]]:
        """Answers to questions by key, as they come; all that wait are given at once.

        Raises `ServerLostError` once the server is gone; what came before it has been given.
        """
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
                yield [one for one in some if not one.lost]
                self._require_server(model, some)
        finally:
            self._run(stop())

    def _require_server(self, model: str, replies: Sequence[JudgeReply]) -> None:
        lost = next((one for one in replies if one.lost), None)
        if lost is not None:
            raise ServerLostError(
                f"{model} at {self.url} is gone: {lost.text}; the verdicts so far are kept."
            )

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
            self._client = open_client(
                self.url,
                self._key,
                seconds=self._timeout,
                connect_seconds=CONNECT_SECONDS,
                most_bytes=MOST_BYTES,
                retries=RETRIES,
                connections=self._concurrency,
                check=self._refuse_malformed,
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
                page = await client.with_options(max_retries=LOOK_RETRIES).models.list()
            except openai.APIStatusError:
                page = await client.with_options(max_retries=LOOK_RETRIES).models.list()
        except (openai.OpenAIError, RecursionError) as error:
            if refuses_key(error):
                raise UsageError(
                    f"{self.url} refuses the key; put the right one into {KEY_SOURCES[1]}."
                ) from None
            raise UsageError(
                f"{self.url}/models does not list models: {self._told(error)}; is this the "
                "address of an OpenAI-compatible server, as in http://localhost:23333/v1?"
            ) from None
        return [self._heard(model.id) for model in page.data]

    async def _complete(self, model: str, messages: Messages) -> str:
        # The client's own `chat.completions.create` spends most of its time on rewriting messages
        # that need no rewriting; its plain `post` retries in the same way.
        body = {
            "model": model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": VERDICT_TOKENS,
            **GREEDY,
        }
        post = partial(self._open().post, "/chat/completions", cast_to=object)
        done: Any = await self._fields.send(lambda kept: post(body=kept), body)
        text = done["choices"][0]["message"].get("content") or ""
        return self._heard(text)

    async def _ask_one(self, model: str, key: str, messages: Messages) -> JudgeReply:
        try:
            return JudgeReply(key, await self._complete(model, messages), failed=False)
        except Exception as error:  # noqa: BLE001 - whatever went wrong is kept with the sample
            return JudgeReply(key, self._told(error), failed=True, lost=_no_connection(error))

    def _nobody(self) -> str:
        port, proxy = urlsplit(self.url).port or 80, proxy_before(self.url)
        through = f" through the proxy {proxy}" if proxy else ""
        return (
            f"No judge answers at {self.url}{through}: start one, such as "
            f"`vllm serve {EXAMPLE_MODEL} --port {port}`, name another with --api-url, "
            "or judge by rules alone with --judge rules."
        )

    def _refuse_malformed(self, response: httpx2.Response) -> None:
        """Raise what the client tries again for where a good status comes with a bad body."""
        if not response.is_success:
            return
        import httpx2  # noqa: PLC0415 - slow to import

        listing = response.url.path.endswith("/models")
        body = response.content
        if listing and body.lstrip()[:1] == b"<":
            raise UsageError(
                f"{response.url} answers with a web page, not with a list of models; "
                "does --api-url end in /v1?"
            )
        if not (_is_listing(body) if listing else _is_completion(body)):
            shown = one_line(self._secrets.hide(response.text), _SHOWN)
            raise httpx2.DecodingError(f"a malformed answer: {shown!r}", request=response.request)

    def _heard(self, text: str) -> str:
        """What the server said, fit to be kept and sent."""
        return self._secrets.hide(writable(text))[:LONGEST_REPLY]

    def _told(self, error: BaseException) -> str:
        """What went wrong, for a reader, without the key or a password."""
        import openai  # noqa: PLC0415 - slow to import

        if isinstance(error, openai.APITimeoutError):
            return f"no whole answer within {self._timeout:g} seconds"
        if isinstance(error, openai.APIConnectionError):
            cause = error.__cause__ or error
            told = str(cause) or type(cause).__name__
            if proxy := proxy_before(self.url):
                told = f"{told}, through the proxy {proxy}"
        elif isinstance(error, openai.APIStatusError):
            where = error.response.headers.get("location", "")
            moved = f", it has moved to {where}" if where else ""
            told = f"HTTP {error.status_code}: {error.message}{moved}"
        else:
            told = f"{type(error).__name__}: {error}"
        return one_line(self._secrets.hide(hide_userinfo(told)))


def _no_connection(error: BaseException) -> bool:
    import httpx2  # noqa: PLC0415 - slow to import

    nobody = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)
    return isinstance(error.__cause__, nobody)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


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
