"""Everything a plugin may use, by subject: specs and hooks, values that travel, helpers, errors.

Built-in plugins import nothing else of the program, and what is not listed here may change without
notice. Importing this module loads no numeric library, no database and no file format; the names
that need one come when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from speceyes_cli.core.agents import (
    Agent,
    AgentState,
    Await,
    Begin,
    Begun,
    Drop,
    Keeper,
    Policy,
    ToolCaller,
    Worded,
)
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    BoxFrame,
    Engine,
    Finish,
    Forwarding,
    ForwardingError,
    Introduced,
    Message,
    Observation,
    Picture,
    Rehearsing,
    Reply,
    Role,
    Run,
    Size,
    Tool,
    ToolCall,
    ToolError,
    ToolResults,
    chat_pictures,
)
from speceyes_cli.core.context import Closeable
from speceyes_cli.core.error_texts import first_line
from speceyes_cli.core.errors import (
    ContextLengthError,
    DataError,
    PictureError,
    RowError,
    RunStopError,
    ServerLostError,
    UsageError,
)
from speceyes_cli.core.gate.decision import Gate, confidence_from_separability
from speceyes_cli.core.gate.token import STATISTICS, Statistic, TokenScore
from speceyes_cli.core.judging.answer_rules import (
    score_by_rule,
    score_choice,
    score_yes_no,
)
from speceyes_cli.core.judging.judges import (
    Auditor,
    Batches,
    Claim,
    Identity,
    Judge,
    Judged,
    Rule,
    RuleJudge,
    by_rule,
)
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import draft_ask, passes_screen, solve, write_draft
from speceyes_cli.core.methods.prompts import METHOD_KEYS
from speceyes_cli.core.methods.thinking import THOUGHT_BEGIN, THOUGHT_END
from speceyes_cli.core.option_texts import places_kept
from speceyes_cli.core.replies.yes_no import parse_yes_no
from speceyes_cli.core.samples import (
    QUESTION,
    QuestionLayout,
    Sample,
    Verdict,
    fill,
    question_text,
    question_turns,
    short_question,
    with_question,
)
from speceyes_cli.core.secrets import (
    Secrets,
    check_key,
    has_userinfo,
    hide_userinfo,
)
from speceyes_cli.core.text import (
    one_line,
    strip_control,
    without_tags,
    without_tokens,
    writable,
)
from speceyes_cli.host.hookspecs import hookimpl
from speceyes_cli.host.plugin_options import OptionValue, OptionValues, PluginOption
from speceyes_cli.host.remote.hub import why_no_hub
from speceyes_cli.host.remote.opening import open_client, refuses_key
from speceyes_cli.host.remote.optional_fields import OptionalFields
from speceyes_cli.host.remote.proxies import proxy_before
from speceyes_cli.host.remote.watching import watching
from speceyes_cli.host.specs import (
    CONFIDENCE,
    STEP_SCORE,
    AgentOptions,
    AgentSpec,
    Bar,
    CheckSpec,
    DatasetSpec,
    DataSource,
    EngineOptions,
    EngineSpec,
    Finding,
    FoundPrompt,
    FoundPrompts,
    GateSpec,
    JudgeOptions,
    JudgeSpec,
    MethodSpec,
    Rendered,
    Scored,
)

if TYPE_CHECKING:
    from speceyes_cli.core.digests import cached_digest, digest_bytes, digest_file, digest_rows
    from speceyes_cli.core.judging.verdicts import CACHE, ERROR, LLM, JudgedNote
    from speceyes_cli.core.pictures.loading import (
        LFS_POINTER,
        decode_base64,
        decode_picture,
        is_lfs_pointer,
        picture_from,
    )
    from speceyes_cli.core.run.info import RunInfo
    from speceyes_cli.core.run.records import Record

__all__ = [  # noqa: RUF022 - by subject
    # The hooks, and the records that they yield.
    "AgentSpec",
    "CheckSpec",
    "DatasetSpec",
    "EngineSpec",
    "GateSpec",
    "JudgeSpec",
    "MethodSpec",
    "hookimpl",
    # What the command line says to a plugin.
    "AgentOptions",
    "DataSource",
    "EngineOptions",
    "JudgeOptions",
    "MethodOptions",
    "OptionValue",
    "OptionValues",
    "PluginOption",
    # A sample and its picture.
    "Picture",
    "Sample",
    "Verdict",
    "decode_base64",
    "decode_picture",
    "picture_from",
    # The words of a prompt: how a question is laid out, and texts that were read somewhere else.
    "FoundPrompt",
    "FoundPrompts",
    "METHOD_KEYS",
    "QUESTION",
    "QuestionLayout",
    "fill",
    "question_text",
    "question_turns",
    "short_question",
    "with_question",
    # A chat, and what a policy asks for and is sent.
    "Answer",
    "Ask",
    "Await",
    "Begin",
    "Begun",
    "Drop",
    "Finish",
    "Message",
    "Observation",
    "Policy",
    "Reply",
    "Role",
    "Run",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolResults",
    "chat_pictures",
    # Agents.
    "Agent",
    "AgentState",
    "Keeper",
    "ToolCaller",
    "Worded",
    # Engines, and how each token of a draft is scored.
    "BoxFrame",
    "Engine",
    "Forwarding",
    "ForwardingError",
    "Introduced",
    "Rehearsing",
    "Rendered",
    "Gate",
    "STATISTICS",
    "Size",
    "THOUGHT_BEGIN",
    "THOUGHT_END",
    "Statistic",
    "TokenScore",
    "confidence_from_separability",
    # Methods.
    "Bar",
    "CONFIDENCE",
    "STEP_SCORE",
    "draft_ask",
    "passes_screen",
    "solve",
    "write_draft",
    # Datasets: rules that score an answer, figures of one's own, digests and pointers of files.
    "LFS_POINTER",
    "Rule",
    "Scored",
    "cached_digest",
    "digest_bytes",
    "digest_file",
    "digest_rows",
    "is_lfs_pointer",
    "parse_yes_no",
    "places_kept",
    "score_by_rule",
    "score_choice",
    "score_yes_no",
    # Judges.
    "Auditor",
    "Batches",
    "CACHE",
    "Claim",
    "ERROR",
    "Identity",
    "Judge",
    "Judged",
    "JudgedNote",
    "LLM",
    "RuleJudge",
    "by_rule",
    # Checks of the machine.
    "Finding",
    # What an observer is shown.
    "Record",
    "RunInfo",
    # Errors that the user can mend, and text made fit for a terminal.
    "ContextLengthError",
    "DataError",
    "PictureError",
    "RowError",
    "RunStopError",
    "ServerLostError",
    "UsageError",
    "first_line",
    "one_line",
    "strip_control",
    "without_tags",
    "without_tokens",
    "writable",
    # Servers: clients with limits, keys that must not be told, and whether the hub can be asked.
    "OptionalFields",
    "Secrets",
    "check_key",
    "has_userinfo",
    "hide_userinfo",
    "open_client",
    "proxy_before",
    "refuses_key",
    "watching",
    "why_no_hub",
    # What is closed at the end of a block.
    "Closeable",
]

_LATER = {
    "CACHE": "speceyes_cli.core.judging.verdicts",
    "ERROR": "speceyes_cli.core.judging.verdicts",
    "JudgedNote": "speceyes_cli.core.judging.verdicts",
    "LFS_POINTER": "speceyes_cli.core.pictures.loading",
    "LLM": "speceyes_cli.core.judging.verdicts",
    "Record": "speceyes_cli.core.run.records",
    "RunInfo": "speceyes_cli.core.run.info",
    "cached_digest": "speceyes_cli.core.digests",
    "decode_base64": "speceyes_cli.core.pictures.loading",
    "decode_picture": "speceyes_cli.core.pictures.loading",
    "digest_bytes": "speceyes_cli.core.digests",
    "digest_file": "speceyes_cli.core.digests",
    "digest_rows": "speceyes_cli.core.digests",
    "is_lfs_pointer": "speceyes_cli.core.pictures.loading",
    "picture_from": "speceyes_cli.core.pictures.loading",
}
"""The names whose modules are imported when they are first used."""


def __getattr__(name: str) -> Any:
    """A name of `_LATER`."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
