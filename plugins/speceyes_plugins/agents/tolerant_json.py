"""Reads what a model meant as JSON: strict or not, cut brackets and loose quotes included.

Besides JSON it takes Python's literals and tuples, bare keys, comments, trailing and missing
commas, brackets that are missing or too many, quotes and line breaks inside a text, and calls such
as `zoom(box=[1, 2, 3, 4])`. It goes through the text once, never evaluates it, and its depth is
bounded. Well-formed JSON is read as `json.loads` reads it, numbers of more than `MAX_DIGITS`
characters apart.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_DEPTH = 32
MAX_DIGITS = 40
"""Characters of a number; no coordinate needs more, and Python refuses integers of 4,300 digits."""

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}  # noqa: RUF001 - typographic ones
CLOSING = {"{": "}", "[": "]", "(": ")"}
WORDS: dict[str, Value] = {
    **dict.fromkeys(("true", "True"), True),
    **dict.fromkeys(("false", "False"), False),
    **dict.fromkeys(("null", "None", "undefined"), None),
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
BLANK = re.compile(r"\s*+")
LINE_COMMENT = re.compile(r"(?://|#)[^\n]*+")
WORD = re.compile(r"""[^\s,;:=\[\]{}()"'`“”]++""")
REST = re.compile(r"""[^,;\]})\n"']*+""")
"""More words of a text without quotes."""
NUMBER = re.compile(r"[+-]?(?:\d++\.?|\.(?=\d))\d*+(?:[eE][+-]?\d++)?")
HEX4 = re.compile(r"[0-9a-fA-F]{4}")
NEXT_ENTRY = re.compile(r"""["'][\w -]{1,40}["']\s*+:""")
"""A quoted key: where it follows a quote, a comma is missing."""
NEXT_KEY = re.compile(r"[\w-]{1,40}\s*+[:=]")
NEXT_NUMBER = re.compile(r"\s*+,\s*+(?=[-+.\d])")
NEXT_WORD = re.compile(r"(?:true|false|null|True|False|None|NaN|Infinity)\b")


class UnreadableError(ValueError):
    """The text means no value; the message says why, as the end of a sentence."""


class Read(NamedTuple):
    """A value, and what had to be mended to read it."""

    value: Value
    end: int
    """Where it ends in the text."""
    mends: tuple[str, ...]
    """Departures from JSON in a few words each; empty for well-formed JSON."""


def read_value(text: str, start: int = 0, *, complete: bool = True) -> Read:
    """The value that begins at `start`; raises `UnreadableError`.

    `complete` says that the text was not cut: a number or a text that reaches its end is whole.
    """
    reader = _Reader(text, start, complete=complete)
    value = reader.value()
    return Read(value, reader.at, tuple(reader.mends))


def is_name(word: str) -> bool:
    """Whether it can be the name of a function, such as `functions.zoom`."""
    return word not in WORDS and all(part.isidentifier() for part in word.split("."))


class _Reader:
    """One pass over a text; `at` only ever grows."""

    def __init__(self, text: str, start: int, *, complete: bool) -> None:
        self.text = text
        self.at = start
        self.complete = complete
        self.mends: dict[str, None] = {}
        self._open: list[str] = []
        """Closing brackets that are still to come, the innermost last."""

    def value(self) -> Value:
        sign = self._peek()
        if sign in CLOSING:
            return self._object() if sign == "{" else self._array()
        if sign in QUOTES:
            return self._quoted(key=False)
        name = self._word()
        if self.text.startswith("(", self.at) and is_name(name):
            self._mend("written as a function call")
            return {"name": name, "arguments": self._call_arguments()}
        return self._plain(name)

    def _object(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        self._enter()
        while (sign := self._next_item()) is not None:
            key = self._quoted(key=True) if sign in QUOTES else self._word()
            if sign not in QUOTES:
                self._mend("keys without quotes")
                self.at += self.text.startswith(('"', "'"), self.at)  # the closing one may be there
            if not self._takes_colon():
                following = self._peek()
                if sign in QUOTES and following and following in "\"'[{":
                    self._mend('":" missing')
                elif following:
                    raise UnreadableError(f'":" is missing after {key[:40]!r}')
                else:
                    break  # cut between a key and its value
            found[key] = self._unbracketed(self.value())
        self._leave()
        return found

    def _unbracketed(self, value: Value) -> Value:
        """A value, or the numbers that follow it: a list whose opening bracket is missing."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        numbers: list[Value] = [value]
        while (found := NEXT_NUMBER.match(self.text, self.at)) is not None:
            self.at = found.end()
            numbers.append(self._plain(self._word()))
        if len(numbers) == 1:
            return value
        self._mend("a list without its opening bracket")
        return numbers

    def _array(self) -> list[Value]:
        found: list[Value] = []
        if self.text[self.at] == "(":
            self._mend("round brackets")
        self._enter()
        while self._next_item() is not None:
            found.append(self.value())
        self._leave()
        return found

    def _call_arguments(self) -> Value:
        """What stands in a call's brackets: named arguments, else its only value or all of them."""
        named: dict[str, Value] = {}
        others: list[Value] = []
        self._enter()
        while self._next_item() is not None:
            key = NEXT_KEY.match(self.text, self.at)
            if key is None:
                others.append(self.value())
                continue
            name = self._word()
            self._takes_colon()
            named[name] = self.value()
        self._leave()
        if named or not others:
            return named
        return others[0] if len(others) == 1 else others

    def _enter(self) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise UnreadableError(f"it is nested more than {MAX_DEPTH} levels deep")
        self._open.append(CLOSING[self.text[self.at]])
        self.at += 1

    def _next_item(self) -> str | None:
        """The sign at which the next item begins; None at the end of what is open.

        A closing bracket of something further out ends this too: its own is missing.
        """
        commas = 0
        first = self.text[self.at - 1] in CLOSING
        while True:
            sign = self._peek()
            if not sign or sign == self._open[-1]:
                if commas:
                    self._mend("a comma before a closing bracket")
                return None
            if sign in ",;":
                commas += 1
                self.at += 1
            elif sign in "]})":
                if sign in self._open:
                    return None
                self._mend("a wrong closing bracket")
                self.at += 1
            elif sign in ":=":
                raise UnreadableError(f"{sign!r} stands where a value should")
            else:
                if commas != (0 if first else 1):
                    self._mend("a comma missing or too many")
                return sign

    def _leave(self) -> None:
        closing = self._open.pop()
        if self._peek() == closing:
            self.at += 1
        else:
            self._mend("a closing bracket was missing")

    def _takes_colon(self) -> bool:
        sign = self._peek()
        if not sign or sign not in ":=":
            return False
        self.at += 1
        if sign == "=":
            self._mend('"=" for ":"')
        return True

    def _word(self) -> str:
        self._peek()
        found = WORD.match(self.text, self.at)
        if found is None:
            raise UnreadableError("it ends, or has a bracket, where a value should stand")
        self.at = found.end()
        if self.at == len(self.text) and not self.complete:
            raise UnreadableError("it is cut off")
        return found.group()

    def _plain(self, word: str) -> Value:
        if word in WORDS:
            if word not in ("true", "false", "null", "NaN", "Infinity", "-Infinity"):
                self._mend("Python's words for true, false and null")
            return WORDS[word]
        if len(word) > MAX_DIGITS:
            if word[:MAX_DIGITS].strip("+-.").isdigit():
                raise UnreadableError(f"a number has {len(word):,} digits")
        elif NUMBER.fullmatch(word) and word.isascii():
            if word.lstrip("+-").isdigit():
                return int(word)
            return float(word)
        self._mend("text without quotes")
        rest = REST.match(self.text, self.at)
        self.at = rest.end() if rest else self.at
        return (word + rest.group() if rest else word).rstrip()

    def _quoted(self, *, key: bool) -> str:
        quote = QUOTES[self.text[self.at]]
        if quote != '"':
            self._mend("other quotes than JSON's")
        plain = re.compile(rf"[^{quote}\\\n]*+")
        parts: list[str] = []
        self.at += 1
        while True:
            found = plain.match(self.text, self.at)
            parts.append(found.group() if found else "")
            self.at += len(parts[-1])
            sign = self.text[self.at : self.at + 1]
            if not sign:
                return self._unclosed("".join(parts))
            self.at += 1
            if sign == "\\":
                parts.append(self._escape())
            elif sign == "\n":
                self._mend("a line break inside a text")
                parts.append(sign)
            elif key or self._closes():
                return "".join(parts)
            else:
                self._mend("quotes inside a text")
                parts.append(sign)

    def _unclosed(self, content: str) -> str:
        if not self.complete:
            raise UnreadableError("it is cut off")
        self._mend("a text without its closing quote")
        return content.rstrip(" \t\r\n]})")

    def _escape(self) -> str:
        sign = self.text[self.at : self.at + 1]
        self.at += len(sign)
        if sign != "u":
            return ESCAPES.get(sign, sign)
        return self._unicode()

    def _unicode(self) -> str:
        """The character of four hexadecimal digits, or of two escapes that pair up in UTF-16."""
        found = HEX4.match(self.text, self.at)
        if found is None:
            return "u"
        self.at = found.end()
        high = int(found.group(), 16)
        if 0xD800 <= high < 0xDC00 and self.text.startswith("\\u", self.at):  # noqa: PLR2004 - UTF-16
            other = HEX4.match(self.text, self.at + 2)
            low = int(other.group(), 16) if other else 0
            if other and 0xDC00 <= low < 0xE000:  # noqa: PLR2004 - UTF-16
                self.at = other.end()
                return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        return chr(high)

    def _closes(self) -> bool:
        """Whether the quote before `at` ends its text: what follows could follow a text.

        A quote in the middle of a text is followed by more of it.
        """
        after = self._blank(self.at)
        sign = self.text[after : after + 1]
        if not sign or sign in "]})":
            return True
        if sign in "\"'":
            return NEXT_ENTRY.match(self.text, after) is not None
        if sign not in ",;":
            return self.text.startswith(("//", "/*"), after)
        after = self._blank(after + 1)
        sign = self.text[after : after + 1]
        if not sign or sign in QUOTES or sign in "{[(]})-+./#" or sign.isdigit():
            return True
        return bool(NEXT_KEY.match(self.text, after) or NEXT_WORD.match(self.text, after))

    def _blank(self, at: int) -> int:
        found = BLANK.match(self.text, at)
        return found.end() if found else at

    def _peek(self) -> str:
        """The next sign after blanks and comments; empty at the end."""
        while True:
            self.at = self._blank(self.at)
            comment = LINE_COMMENT.match(self.text, self.at)
            if comment is not None:
                self.at = comment.end()
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                self.at = len(self.text) if end < 0 else end + 2
            else:
                return self.text[self.at : self.at + 1]
            self._mend("comments")

    def _mend(self, what: str) -> None:
        self.mends[what] = None
