"""Clients for OpenAI-compatible servers, imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from speceyes_cli.core.errors import UsageError

if TYPE_CHECKING:
    import openai


def open_client(
    url: str,
    key: str,
    *,
    seconds: float,
    connect_seconds: float,
    most_bytes: int,
    retries: int,
    connections: int,
    check: Callable[[Any], None] = lambda _: None,
) -> openai.AsyncOpenAI:
    """A client whose every try has `seconds` from connecting to the last byte of `most_bytes`.

    `check` sees each response (an `httpx2.Response`); a `RequestError` that it raises has the
    request repeated. Raises `UsageError` for a proxy in the environment that cannot be used.
    """
    import httpx2  # noqa: PLC0415 - slow to import
    import openai  # noqa: PLC0415 - slow to import

    from speceyes_cli.host.remote.client import LimitedClient  # noqa: PLC0415 - imports both

    try:
        http = LimitedClient(
            seconds,
            most_bytes,
            check,
            timeout=httpx2.Timeout(seconds, connect=min(seconds, connect_seconds), pool=None),
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=connections
            ),
        )
    except (ImportError, ValueError) as error:
        raise UsageError(
            "The proxy that the environment names (ALL_PROXY, HTTP_PROXY, HTTPS_PROXY) cannot be "
            f"used ({type(error).__name__}); unset it, or set NO_PROXY for {url}."
        ) from None
    # Servers without a key ignore it, and the client wants one.
    return openai.AsyncOpenAI(
        base_url=url, api_key=key or "none", max_retries=retries, http_client=http
    )


def refuses_key(error: BaseException) -> bool:
    """Whether an error of the `openai` client says that the key is wrong.

    That is status 401 or 403; LiteLLM's proxy without a database answers 400 in their place.
    """
    status = getattr(error, "status_code", None)
    without_database = status == 400 and getattr(error, "type", "") == "no_db_connection"  # noqa: PLR2004 - bad request
    return status in (401, 403) or without_database
