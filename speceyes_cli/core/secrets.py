"""Keys that a server may repeat, and addresses that hold a password."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.text import UNSEEN

LEAST = 6
"""Characters: placeholders such as EMPTY and none are shorter, and they are words of answers."""
HIDDEN = "***"

_USERINFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{1,3})[^/?#\s\"'<>]*@")


class Secrets:
    """Hides keys in what a server said, before it reaches a record, a log or a message."""

    def __init__(self, *keys: str) -> None:
        """Keys shorter than `LEAST` characters are not hidden."""
        known = {key for key in keys if len(key) >= LEAST}
        forms = sorted({form for key in known for form in (key, quote(key, safe=""))})
        self._pattern = re.compile("|".join(map(_form, forms)), re.IGNORECASE) if forms else None

    def hide(self, text: str) -> str:
        """The text with *** for every key, in whatever case, percent-encoded or as it is.

        Control characters within a key do not save it: they are dropped before text is shown.
        """
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def hide_in(self, value: Any, but: str = "") -> Any:
        """A JSON value with every string in it filtered, names of members too.

        Members called `but` are left as they are. Raises `RecursionError` for what is nested deeper
        than Python's stack.
        """
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list):
            return [self.hide_in(item, but) for item in value]
        if isinstance(value, dict):
            return {
                self.hide(name): item if name == but else self.hide_in(item, but)
                for name, item in value.items()
            }
        return value


def hide_userinfo(text: str) -> str:
    """The text with *** for the user and password of every address in it."""
    return _USERINFO.sub(rf"\g<scheme>{HIDDEN}@", text)


def has_userinfo(url: str) -> bool:
    """Whether an address holds a user or a password."""
    return _USERINFO.match(url.strip()) is not None


def hide_hub_token(text: str) -> str:
    """What the Hugging Face hub's client said, without its token or the password of a proxy."""
    tokens = (os.environ.get(name, "") for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    return Secrets(*tokens).hide(hide_userinfo(text))


def check_key(key: str, names: Iterable[str]) -> str:
    """The key without blanks around it; `UsageError` where no HTTP header can carry it.

    `names` are the options or variables that it may have come from.
    """
    key = key.strip()
    if all("!" <= sign <= "~" for sign in key):
        return key
    raise UsageError(
        f"The key in {' or '.join(names)} holds a blank, a control character or a letter beyond "
        "ASCII, which no HTTP header carries; copy it anew."
    )


def refuse_shared_key(name: str) -> None:
    """Raise `UsageError` where the key's old variable is set and its own, `name`, is not.

    Both the judge and the server read SPECEYES_API_KEY once, so that one's key went to the other's
    clients or server; ignoring it now would leave a server open that its operator thinks locked.
    """
    if "SPECEYES_API_KEY" in os.environ and name not in os.environ:
        raise UsageError(
            "SPECEYES_API_KEY is no longer read, since it stood for two keys: set "
            f"{name} and unset it."
        )


def _form(key: str) -> str:
    return f"{UNSEEN}*+".join(map(re.escape, key))
