"""Everything a plugin may use: specs and hooks, the values that travel, errors, and helpers.

Built-in plugins import nothing else of the program, and what is not listed here may change without
notice.
"""

from __future__ import annotations

from speceyes_cli.core.agents import Agent, AgentState, Keeper, Policy
from speceyes_cli.core.chat import (
    Answer,
    Ask,
    BoxFrame,
    Engine,
    Finish,
    Message,
    Observation,
    Picture,
    Reply,
    Role,
    Run,
    Size,
    ToolError,
)
from speceyes_cli.core.context import Closeable
from speceyes_cli.core.digests import cached_digest, digest_bytes, digest_file, digest_rows
from speceyes_cli.core.errors import DataError, PictureError, RowError, RunStopError, UsageError
from speceyes_cli.core.gate.decision import Gate, confidence_from_separability
from speceyes_cli.core.gate.token import STATISTICS, Statistic, TokenScore
from speceyes_cli.core.judging.answer_rules import (
    score_by_rule,
    score_choice,
    score_yes_no,
)
from speceyes_cli.core.judging.judging import (
    Batches,
    Claim,
    Identity,
    Judge,
    Judged,
    Rule,
    RuleJudge,
    by_rule,
)
from speceyes_cli.core.judging.verdicts import CACHE, ERROR, LLM, JudgedNote
from speceyes_cli.core.methods.method_options import MethodOptions
from speceyes_cli.core.methods.policies import draft_ask
from speceyes_cli.core.pictures.loading import decode_base64, decode_picture, picture_from
from speceyes_cli.core.replies.yes_no import parse_yes_no
from speceyes_cli.core.run.info import RunInfo
from speceyes_cli.core.run.records import Record
from speceyes_cli.core.samples import Sample, Verdict, question_text
from speceyes_cli.core.text import one_line, strip_control
from speceyes_cli.host.hookspecs import hookimpl
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
    GateSpec,
    JudgeOptions,
    JudgeSpec,
    MethodSpec,
    Scored,
)

__all__ = [
    "CACHE",
    "CONFIDENCE",
    "ERROR",
    "LLM",
    "STATISTICS",
    "STEP_SCORE",
    "Agent",
    "AgentOptions",
    "AgentSpec",
    "AgentState",
    "Answer",
    "Ask",
    "Bar",
    "Batches",
    "BoxFrame",
    "CheckSpec",
    "Claim",
    "Closeable",
    "DataError",
    "DataSource",
    "DatasetSpec",
    "Engine",
    "EngineOptions",
    "EngineSpec",
    "Finding",
    "Finish",
    "Gate",
    "GateSpec",
    "Identity",
    "Judge",
    "JudgeOptions",
    "JudgeSpec",
    "Judged",
    "JudgedNote",
    "Keeper",
    "Message",
    "MethodOptions",
    "MethodSpec",
    "Observation",
    "Picture",
    "PictureError",
    "Policy",
    "Record",
    "Reply",
    "Role",
    "RowError",
    "Rule",
    "RuleJudge",
    "Run",
    "RunInfo",
    "RunStopError",
    "Sample",
    "Scored",
    "Size",
    "Statistic",
    "TokenScore",
    "ToolError",
    "UsageError",
    "Verdict",
    "by_rule",
    "cached_digest",
    "confidence_from_separability",
    "decode_base64",
    "decode_picture",
    "digest_bytes",
    "digest_file",
    "digest_rows",
    "draft_ask",
    "hookimpl",
    "one_line",
    "parse_yes_no",
    "picture_from",
    "question_text",
    "score_by_rule",
    "score_choice",
    "score_yes_no",
    "strip_control",
]
