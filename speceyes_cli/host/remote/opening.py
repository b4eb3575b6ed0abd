"""Clients for OpenAI-compatible servers, imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from speceyes_cli.core.errors import UsageError
from speceyes_cli.host.remote.proxies import proxy_before

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
    request repeated. The environment's proxies are used, save for loopback addresses. Raises
    `UsageError` for a proxy that cannot be used.
    """
    import httpx2  # noqa: PLC0415 - slow to import
    import openai  # noqa: PLC0415 - slow to import

    from speceyes_cli.host.remote.client import LimitedClient  # noqa: PLC0415 - imports both

    proxy = proxy_before(url)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    try:
        http = LimitedClient(
            seconds,
            most_bytes,
            check,
            timeout=httpx2.Timeout(seconds, connect=min(seconds, connect_seconds), pool=None),
            limits=limits,
            proxy=proxy.url if proxy else None,
            transport=httpx2.AsyncHTTPTransport(limits=limits),  # else it looks for proxies itself
        )
    except (ImportError, ValueError):
        raise UsageError(
            f"{url} cannot be reached through the proxy {proxy}: it must begin with http://, "
            "https:// or, after `pip install 'httpx2[socks]'`, socks5://; unset it, or name the "
            "address in NO_PROXY."
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
