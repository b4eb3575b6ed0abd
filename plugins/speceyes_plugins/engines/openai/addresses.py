"""What a model name means to this engine: `URL#model`, found out without asking the server."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

from speceyes_cli.plugin import (
    EngineOptions,
    Role,
    UsageError,
    check_key,
    has_userinfo,
    hide_userinfo,
)

SHAPE = "URL#model, such as http://localhost:8000/v1#Qwen/Qwen3-VL-2B-Instruct"
FACTORS = "28 for Qwen2.5-VL, 32 for Qwen3-VL, another model's patch x merge, or none"
"""What `?factor=` may say, in pixels."""


class Address(NamedTuple):
    """Where a model is served."""

    url: str
    """The API's base, without a slash at its end."""
    model: str
    """The model's name there; empty: the only one it serves."""
    factor: int | None
    """Sides of pictures are multiples of this many pixels; 0: it does not matter; None: measure."""


def takes(model: str) -> bool:
    """An http(s) address."""
    return model.lower().startswith(("http://", "https://"))


def check(options: EngineOptions) -> None:
    """Say what is wrong with the address before anything is asked."""
    parse_address(options.model, options.role)
    api_key(options.role)
    if options.concurrency is not None and options.concurrency < 1:
        raise UsageError(f"--concurrency must be at least 1, not {options.concurrency}.")
    low = options.min_pixels or 1
    if options.max_pixels is not None and options.max_pixels < low:
        raise UsageError(
            f"--{options.role}-max-pixels {options.max_pixels} is too small: at least {low} "
            "is needed."
        )


def parse_address(name: str, role: Role) -> Address:
    """The parts of `URL#model?factor=N` or `URL?factor=N#model`; raises `UsageError`."""
    try:
        parts = urlsplit(name)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        shown = hide_userinfo(name)
        raise UsageError(f"--{role} {shown}: {hide_userinfo(str(error))}; give {SHAPE}.") from None
    model, _, settings = parts.fragment.partition("?")
    if not settings and not set(parse_qs(parts.query, keep_blank_values=True)) - {"factor"}:
        settings = parts.query
    if has_userinfo(name) or parts.query not in ("", settings):
        # The name itself is not repeated: it may hold a secret.
        raise UsageError(
            f"--{role}: an address holds no user, password or query, since it is kept with the "
            f"run; put a key into {key_variables(role)[0]}."
        )
    if not host:
        raise UsageError(f"--{role} {name}: the address names no host; give {SHAPE}.")
    path = parts.path.rstrip("/") or "/v1"
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return Address(url, model, _factor(settings, name, role))


def api_key(role: Role) -> str:
    """The key for the role's endpoint; empty without one. It stays in memory.

    Raises `UsageError` for one that no HTTP header can carry.
    """
    for name in key_variables(role):
        if key := check_key(os.environ.get(name, ""), [name]):
            return key
    return ""


def key_variables(role: Role) -> tuple[str, ...]:
    """The environment variables that may hold the role's key, the first that is set counts."""
    return (f"SPECEYES_{role.upper()}_API_KEY", "OPENAI_API_KEY")


def _factor(settings: str, name: str, role: Role) -> int | None:
    if not settings:
        return None
    found = parse_qs(settings, keep_blank_values=True)
    values = found.pop("factor", [])
    if found or len(values) != 1 or not re.fullmatch(r"[1-9]\d{0,3}|none", values[0]):
        raise UsageError(f"--{role} {name}: after a ? only factor= may stand ({FACTORS}).")
    return 0 if values[0] == "none" else int(values[0])
