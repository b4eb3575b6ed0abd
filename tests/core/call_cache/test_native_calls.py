from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from speceyes_cli.core.call_cache.engine import CachedEngine
from speceyes_cli.core.call_cache.store import CallCache
from speceyes_cli.core.chat import Ask, Message, Reply, Tool, ToolCall
from tests.core.call_cache.test_store import Counting

LOOK = Tool("look", "Look closer.", {"type": "object", "properties": {}})
CALL = ToolCall("look", '{"at": "ü"}', "1")
ASK = Ask("large", (Message("user", ("Which?",)),), 8)


def test_calls_are_replayed_as_they_were_made(tmp_path: Path) -> None:
    made = Reply("", 3, "stop", calls=(CALL, ToolCall("look", "{")))
    with CallCache(tmp_path) as cache:
        cache.put("key", made)
        assert cache.get("key") == replace(made, cached=True)


def test_tools_and_calls_make_other_asks(tmp_path: Path) -> None:
    said = Message("assistant", (), (CALL,))
    asks = [
        ASK,
        replace(ASK, tools=(LOOK,)),
        replace(ASK, tools=(replace(LOOK, description="Look."),)),
        replace(ASK, messages=(*ASK.messages, said)),
        replace(ASK, messages=(*ASK.messages, replace(said, calls=()))),
        replace(ASK, messages=(*ASK.messages, said, Message("tool", ("x",), call_id="1"))),
        replace(ASK, messages=(*ASK.messages, said, Message("tool", ("x",), call_id="2"))),
    ]
    counting = Counting()
    with CallCache(tmp_path) as cache:
        engine = CachedEngine(counting, cache, {})
        engine.generate(asks)
        engine.generate(asks)
    assert len(counting.asked) == len(asks)
