"""Whether the Hugging Face hub can be asked: its own client tries for most of a minute."""

from __future__ import annotations

import time
from functools import lru_cache

from speceyes_cli.core.secrets import hide_userinfo

LONGEST = 10
"""Seconds that the hub's address may take to answer."""
VALID = 60
"""Seconds for which what was found is taken as true, so that several splits are one request."""


def why_no_hub() -> str:
    """Why the hub cannot be asked, in words that end a sentence; empty where it answers.

    It is one request to the configured address. The hub's client is imported only now.
    """
    from huggingface_hub import constants  # noqa: PLC0415 - heavy, and rarely needed

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    if _answers(constants.ENDPOINT, int(time.monotonic()) // VALID):
        return ""
    return f"{hide_userinfo(constants.ENDPOINT)} cannot be reached"


@lru_cache(maxsize=4)
def _answers(address: str, _period: int) -> bool:
    from huggingface_hub import get_session  # noqa: PLC0415 - as above

    try:
        get_session().head(address, timeout=LONGEST)
    except Exception:  # noqa: BLE001 - of whichever HTTP library the hub's client uses
        return False
    return True
