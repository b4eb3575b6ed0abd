"""What a user sees of a plugin that is wrong: one sentence that names it, and a working program."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from speceyes_cli.app import main
from speceyes_cli.core.run.store import read_run

WHO = "Plugin 'wrong' of wrong-plugin 1.0"
START = "from speceyes_cli.plugin import *\nfrom speceyes_cli.plugin import hookimpl\n"
MODELS = ("--small", "scripted", "--large", "scripted")
FEW = ("--dataset", "dots", "--split", "near", "--limit", "3")
RUN = ("eval", *FEW, *MODELS, "--out", "r")
BASELINE = (*RUN, "--method", "baseline", "--agent", "wrong")


class Done(NamedTuple):
    code: int
    out: str
    err: str


Program = Callable[..., Done]


@pytest.fixture
def program(
    example_site: Path,
    write_plugin: Callable[[str, str, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Program:
    """program(source, arguments): the command line, with a plugin of that source installed."""
    assert example_site.is_dir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(source: str, *arguments: str) -> Done:
        if source:
            write_plugin("wrong-plugin", "wrong", START + source)
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["speceyes", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
        return Done(int(end.value.code or 0), out, err + "\n".join(warned))

    return run


def hook(body: str, name: str = "speceyes_gates", mark: str = "@hookimpl", takes: str = "") -> str:
    return f"{mark}\ndef {name}({takes}):\n    {body}\n"


GATE = 'GateSpec("wrong", lambda scores: 1.0, "sure")'
SPEC = "wrong_plugin.py, line "


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (hook("return 'min'"), "speceyes_gates: it returns the text 'min'; it must yield GateSpec"),
        (hook("pass"), "speceyes_gates: it returns None; it must yield GateSpec records."),
        (hook(f"return {GATE}"), "speceyes_gates: it returns a bare GateSpec; yield it"),
        (hook("return 1 / 0"), "speceyes_gates: it raised ZeroDivisionError: division by zero ("),
        (hook(f"yield {GATE}\n    raise OSError('no')"), "speceyes_gates: it raised OSError: no ("),
        (hook("import sys; sys.exit(3)"), "speceyes_gates: it raised SystemExit: 3 ("),
        (hook("yield GateSpec('wrong', min)"), "missing 1 required positional argument: 'summary'"),
        (hook("yield GateSpec('wrong', 'min', 's')"), "its score is the text 'min', which cannot"),
        (hook("yield GateSpec('wrong', min, None)"), "its summary is None, not str."),
        (hook("yield GateSpec('two words', min, 's')"), "a name has no spaces and is not empty"),
        (hook("yield 'min'"), "speceyes_gates: it yields the text 'min', not GateSpec."),
        (hook(f"yield {GATE}; yield {GATE}"), "speceyes_gates: it yields two called 'wrong'."),
        (
            hook(
                "yield DatasetSpec('d', 'abc', iter, iter, iter, False, 's')", "speceyes_datasets"
            ),
            "its splits is the text 'abc', not a tuple of str.",
        ),
        (
            hook("yield AgentSpec('wrong', min, {'huge': 'm'}, 's')", "speceyes_agents"),
            "its models has a key that is the text 'huge', not Literal['small', 'large'].",
        ),
        (
            hook("yield MethodSpec('wrong', min, ('small',), 's', bar=3)", "speceyes_methods"),
            "its bar is of the type int, not Bar.",
        ),
        (
            hook(f"yield {GATE}", "speceyes_gatez"),
            "speceyes_gatez: there is no such hook; did you mean 'speceyes_gates'?",
        ),
        (hook(f"yield {GATE}", mark=""), "speceyes_gates: it is not marked with @hookimpl"),
        (
            hook("pass", "speceyes_record", takes="record, secret"),
            "Argument(s) {'secret'} are declared in the hookimpl but can not be found",
        ),
        (
            hook("raise KeyError('app')", "speceyes_commands", takes="app"),
            "speceyes_commands: it raised KeyError: 'app' (",
        ),
        (
            hook("app.command('eval')(lambda: None)", "speceyes_commands", takes="app"),
            "speceyes_commands: it adds the command 'eval', which there is already.",
        ),
        (
            hook(
                "def odd(x: 'Nowhere'): ...\n    app.command('odd')(odd)",
                "speceyes_commands",
                takes="app",
            ),
            "speceyes_commands: it adds commands that cannot be made: NameError",
        ),
        ("import sys; sys.exit('no licence')\n", "could not be imported: SystemExit: no licence"),
    ],
)
def test_a_wrong_hook_is_one_sentence_and_the_rest_works(
    program: Program, source: str, said: str
) -> None:
    done = program(source, "plugins")
    assert done.code == 0
    [sentence] = done.err.splitlines()
    assert sentence.startswith(f"speceyes: {WHO}")
    assert said in sentence
    assert "looker" in done.out
    assert program("", *RUN, "--agent", "looker").code == 0


def test_a_plugin_s_other_hooks_are_used(program: Program) -> None:
    source = hook(f"yield {GATE}") + hook("pass", "speceyes_judges")
    done = program(source, "plugins", "--json")
    found = {(row["kind"], row["name"]) for row in json.loads(done.out)}
    assert ("gate", "wrong") in found
    assert ("broken", "speceyes_judges") in found


def test_one_module_cannot_be_two_plugins(
    program: Program, write_plugin: Callable[[str, str, str], None]
) -> None:
    write_plugin("again", "again", "from wrong_plugin import *\n")
    entry = next(Path("site").glob("again-*")) / "entry_points.txt"
    entry.write_text("[speceyes]\nagain = wrong_plugin\n")
    done = program(hook(f"yield {GATE}"), "plugins")
    assert done.code == 0
    assert (
        f"{WHO}, its entry point: it is the module that plugin 'again' of again 1.0 is" in done.err
    )


AGENT = """
class Wrong:
    max_turns, max_new_tokens, stop, continues_turn = 2, 9, (), False
    def screen(self, sample): return self.open(sample)
    def open(self, sample): return (Message("user", (sample.picture, sample.question)),)
    def step(self, reply, state):
        yield Run(lambda: Observation(("seen",)), {{}})
        return Answer("red", "large")
    {change}

@hookimpl
def speceyes_agents():
    yield AgentSpec("wrong", lambda options: Wrong(), {{}}, "wrong")
"""


SCREEN = "def screen(self, sample): return ()"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("open = None", "has no method open(sample)."),
        ("step = 3", "has no method step(reply, state)."),
        ("max_turns = 'many'", "is not complete: its max_turns is the text 'many', not int."),
        ("stop = '</code>'", "its stop is the text '</code>', not a tuple of str."),
        ("def __init__(self): raise ValueError('no key')", "raised ValueError: no key ("),
        (
            "def open(self, sample): return 'Look!'\n    def screen(self, sample): return ()",
            "gives no messages from open: what it returns is the text 'Look!'",
        ),
        (
            f"def open(self, sample): return (Message('user', 'Look!'),)\n    {SCREEN}",
            "its content is the text 'Look!', not a tuple of str | ",
        ),
    ],
)
def test_a_wrong_agent_is_refused_before_the_run(program: Program, change: str, said: str) -> None:
    done = program(AGENT.format(change=change), *BASELINE)
    assert done.code == 2
    [sentence] = done.err.splitlines()
    assert sentence.startswith(f"speceyes: {WHO}, speceyes_agents: ")
    assert "the agent 'wrong'" in sentence
    assert said in sentence
    assert not Path("r").exists()


def test_an_agent_without_published_models_says_so(program: Program) -> None:
    done = program(AGENT.format(change=""), "eval", *FEW, "--agent", "wrong", "--models", "paper")
    assert done.code == 2
    assert f"The agent 'wrong' ({WHO}) names no published small model" in done.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "def step(self, reply, state): return Answer('red', 'large')",
            "has a step that is no generator: it must contain a yield.",
        ),
        (
            "def step(self, reply, state):\n        yield 'look'",
            "gives the text 'look' from step, not Run.",
        ),
        (
            "def step(self, reply, state):\n        return 'red'\n        yield",
            "gives the text 'red' from step, not Observation or ToolResults or Answer",
        ),
        (
            "def step(self, reply, state):\n        return Observation('seen')\n        yield",
            "gives Observation from step, but its content is the text 'seen'",
        ),
        (
            "def step(self, reply, state):\n        yield Run('look', {})",
            "gives Run from step, but its tool is the text 'look', which cannot be called.",
        ),
        (
            "def step(self, reply, state):\n        yield Run(print, {}, timeout='long')",
            "gives Run from step, but its timeout is the text 'long', not float.",
        ),
    ],
)
def test_a_wrong_step_is_each_sample_s_error_and_told_once(
    program: Program, change: str, said: str
) -> None:
    done = program(AGENT.format(change=change), *BASELINE)
    assert done.code == 1
    lines = [line for line in done.out.splitlines() if said in line]
    assert len(lines) == 1, done.out
    assert f"near/dot-0 and 2 more: {WHO}, speceyes_agents: the agent 'wrong'" in lines[0]
    [kind] = {record.error.kind for record in read_run(Path("r"))[1] if record.error}
    assert kind == "PluginError"


def test_a_tool_that_gives_nothing_is_named(program: Program) -> None:
    change = "def step(self, reply, state):\n        yield Run(int, {}, name='count')"
    done = program(AGENT.format(change=change), *BASELINE)
    assert done.code == 1
    assert "the tool 'count' gave a value of the type int, not Observation or ToolE" in done.out


def test_an_exception_in_a_step_is_told_once_with_its_place_and_kept_whole(
    program: Program,
) -> None:
    look = "yield Run(lambda: Observation(()), {})"
    change = f"def step(self, reply, state):\n        {look}\n        {{}}['box']"
    done = program(AGENT.format(change=change), *BASELINE)
    assert done.code == 1
    [line] = [line for line in done.out.splitlines() if "KeyError" in line]
    assert "near/dot-0 and 2 more: KeyError: 'box' (site/wrong_plugin.py, line 13; " in line
    assert f"step of the agent 'wrong', {WHO})" in line
    errors = [record.error for record in read_run(Path("r"))[1]]
    assert len(errors) == 3
    for error in errors:
        assert error is not None
        assert error.kind == "KeyError"
        assert "{}['box']" in error.traceback
        assert error.traceback.rstrip().splitlines()[-2] == "KeyError: 'box'"


GIVES = {
    "method": (
        "def wrong(*args):\n    {body}\n"
        + hook("yield MethodSpec('wrong', wrong, ('small',), 'wrong')", "speceyes_methods"),
        (*RUN, "--agent", "looker", "--method", "wrong"),
    ),
    "gate": (
        "def wrong(scores):\n    {body}\n" + hook("yield GateSpec('wrong', wrong, 'wrong')"),
        (*RUN, "--agent", "looker", "--gate", "wrong", "--screen", "none"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("method", "return Answer('red', 'small')", "has a policy that is no generator"),
        (
            "method",
            "yield 'ask'",
            "gives the text 'ask' from policy, not Ask or Run or Begin or Await or Drop.",
        ),
        ("method", "return 'red'\n    yield", "gives the text 'red' from policy, not Answer."),
        (
            "method",
            "yield Ask('small', 'Look!', 3)",
            "gives Ask from policy, but its messages is the text 'Look!', not a tuple of Message.",
        ),
        (
            "method",
            "1 / 0\n    yield",
            "ZeroDivisionError: division by zero (site/wrong_plugin.py,",
        ),
        ("gate", "return 'sure'", "gives the text 'sure' from score, not int or float."),
        ("gate", "return 1.5", "gives 1.5 from score, not a confidence from 0 to 1."),
        ("gate", "return 1 / 0", "score of the gate 'wrong' raised ZeroDivisionError"),
    ],
)
def test_a_wrong_method_or_gate_is_each_sample_s_error_and_told_once(
    program: Program, kind: str, body: str, said: str
) -> None:
    source, arguments = GIVES[kind]
    done = program(source.replace("{body}", body), *arguments)
    assert done.code == 1
    [line] = [line for line in done.out.splitlines() if said in line]
    assert "near/dot-0 and 2 more" in line
    assert WHO in line
    assert f"the {kind} 'wrong'" in line


def test_a_gate_that_raises_costs_the_others_nothing(program: Program) -> None:
    source = hook("yield GateSpec('wrong', lambda s: 1 / 0, 'wrong')")
    done = program(source, "infer", *FEW, *MODELS[:2], "--agent", "looker", "--out", "r")
    assert done.code == 0
    assert done.err.count("raised ZeroDivisionError") == 1
    lines = [json.loads(line) for line in Path("r/drafts.jsonl").read_text().splitlines()]
    assert [line["scores"]["wrong"] for line in lines] == [None] * 3
    assert all(line["scores"]["min"] > 0 for line in lines)


ENGINE = """
class Wrong:
    max_batch, workers, group = 4, 1, "wrong"
    def generate(self, asks): return [Reply("No.", 1, "stop", frames=(Size(9, 9),)) for _ in asks]
    def forget(self, trajectory): pass
    def describe(self): return {}
    def close(self): pass
    CHANGE

@hookimpl
def speceyes_engines():
    yield EngineSpec("wrong", lambda m: m == "wrong", lambda options: None, lambda _: Wrong(), "w")
"""
DRAFTS = ("eval", *FEW, "--agent", "looker", "--method", "draft", "--small", "wrong", "--out", "r")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("generate = None", "has no method generate(asks)."),
        ("max_batch = 0", "is not complete: its max_batch is 0, not 1 or more."),
        ("group = None", "is not complete: its group is None, not str."),
        ("def __init__(self): raise OSError('no card')", "raised OSError: no card ("),
        ("def describe(self): return 'me'", "gives the text 'me' from describe, not Mapping."),
    ],
)
def test_a_wrong_engine_is_refused_before_the_run(program: Program, change: str, said: str) -> None:
    done = program(ENGINE.replace("CHANGE", change), *DRAFTS)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"speceyes: {WHO}, speceyes_engines: ")
    assert said in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("return []", "gives 0 replies to 1 asks."),
        ("return 'No.'", "gives no list of replies from generate."),
        ("return ['No.' for _ in asks]", "gives the text 'No.' from generate, not Reply."),
        (
            "return [Reply(None, 1, 'stop') for _ in asks]",
            "gives Reply from generate, but its text is None, not str.",
        ),
        (
            "return [Reply('No.', 1, 'stop') for _ in asks]",
            "gives a reply with 0 frames to an ask with 1 pictures: Reply.frames holds",
        ),
        ("raise KeyError('kv')", "KeyError: 'kv' (site/wrong_plugin.py, line 11; generate of the"),
    ],
)
def test_a_wrong_reply_is_each_sample_s_error_and_told_once(
    program: Program, change: str, said: str
) -> None:
    change = f"def generate(self, asks):\n        {change}"
    done = program(ENGINE.replace("CHANGE", change), *DRAFTS)
    assert done.code == 1
    [line] = [line for line in done.out.splitlines() if said in line] or [done.out]
    assert line.startswith("  near/dot-0 and 2 more: ")
    assert WHO in line


def test_an_engine_that_cannot_say_what_it_takes_takes_nothing(program: Program) -> None:
    source = hook("yield EngineSpec('wrong', lambda m: 1 / 0, iter, iter, 'w')", "speceyes_engines")
    done = program(source, *RUN, "--agent", "looker", "--small", "nosuch://model")
    assert done.code == 2
    assert "No engine takes the model 'nosuch://model'" in done.err
    assert f"{WHO}, speceyes_engines: takes of the engine 'wrong' raised ZeroDiv" in done.err


DATASET = """
def read(split, source):
    READ
def pictures(number):
    from PIL import Image
    return Sample(str(number), "all", Picture("p", lambda: Image.new("RGB", (9, 9))), "dot 1?")

@hookimpl
def speceyes_datasets():
    yield DatasetSpec(**{**dict(name="wrong", splits=("all",), open=read, check=lambda *_: None,
        score=lambda *_: Verdict(True, "all"), multiple_choice=False, summary="w"), **dict(CHANGE)})
"""


@pytest.mark.parametrize(
    ("read", "change", "said"),
    [
        ("return None", "", "gives no samples from open: yield them."),
        ("yield 'sample'", "", "gives the text 'sample' from open, not Sample."),
        ("yield Sample(1, split, None, '?')", "", "gives Sample from open, but its id is of the"),
        ("1 / 0\n    yield", "", "open of the dataset 'wrong' raised ZeroDivisionError"),
        ("yield pictures(1)", "size=lambda *_: 1 / 0", "size of the dataset 'wrong' raised Zero"),
        ("yield pictures(1)", "size=lambda *_: 'one'", "gives the text 'one' from size, not int."),
        ("yield pictures(1)", "check=lambda *_: 1 / 0", "check of the dataset 'wrong' raised Zero"),
        ("yield pictures(1)", "fingerprint=lambda *_: 1 / 0", "fingerprint of the dataset 'wrong'"),
    ],
)
def test_a_wrong_dataset_is_one_sentence(
    program: Program, read: str, change: str, said: str
) -> None:
    source = DATASET.replace("READ", read).replace("CHANGE", change)
    done = program(source, "eval", "--dataset", "wrong", "--agent", "looker", *MODELS)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"speceyes: {WHO}, speceyes_datasets: ")
    assert said in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ("1 / 0", "metrics of the dataset 'wrong' raised ZeroDivisionError"),
        ("{'f1': float('nan')}", "gives nan from metrics, f1: leave it out."),
        ("{'f1': 'high'}", "gives the text 'high' from metrics, f1, not int or float."),
    ],
)
def test_a_dataset_s_wrong_figures_leave_the_others(
    program: Program, figures: str, said: str
) -> None:
    change = f"metrics=lambda *_: {figures}"
    source = DATASET.replace("READ", "yield pictures(1)").replace("CHANGE", change)
    done = program(source, "eval", "--dataset", "wrong", "--agent", "looker", *MODELS)
    assert done.code == 0
    assert said in done.err
    assert "accuracy" in done.out


def test_a_dataset_s_wrong_rule_is_each_sample_s_error(program: Program) -> None:
    source = DATASET.replace("READ", "yield pictures(1)").replace("CHANGE", "score=lambda *_: True")
    done = program(source, "eval", "--dataset", "wrong", "--agent", "looker", *MODELS)
    assert done.code == 1
    assert "the dataset 'wrong' gives a value of the type bool from score, not Verdict" in done.out


JUDGE = """
class Wrong:
    name = "wrong"
    def prepare(self, claims): return None
    def judge(self, claims): CHANGE
    def close(self): pass

@hookimpl
def speceyes_judges():
    yield JudgeSpec("wrong", lambda _: Wrong(), "wrong")
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("return None", "gives no batches from judge: yield lists of verdicts."),
        ("yield claims", "gives a value of the type Claim from judge, not Judged."),
        ("yield 'right'", "yields no lists of verdicts from judge."),
        ("1 / 0; yield", "judge of the judge 'wrong' raised ZeroDivisionError"),
        ("pass\n    prepare = None", "has no method prepare(claims)."),
        ("pass\n    def prepare(self, claims): return 'me'", "gives the text 'me' from prepare"),
    ],
)
def test_a_wrong_judge_is_one_sentence(program: Program, change: str, said: str) -> None:
    err = "scripted?err=1"
    made = program(
        JUDGE.replace("CHANGE", change),
        *("eval", *FEW, "--agent", "looker", "--small", err, "--large", err, "--out", "r"),
    )
    assert made.code == 0, made
    done = program("", "judge", "r", "--judge", "wrong")
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(f"speceyes: {WHO}, speceyes_judges: ")
    assert said in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 'fine'", "gives no findings from run: yield them."),
        ("yield 'fine'", "gives the text 'fine' from run, not Finding."),
        ("1 / 0\n    yield", "run of the check 'wrong' raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_check_is_a_finding(program: Program, body: str, said: str) -> None:
    source = f"def look():\n    {body}\n" + hook(
        "yield CheckSpec('wrong', look, 'wrong')", "speceyes_checks"
    )
    done = program(source, "doctor", "--json")
    assert done.code == 1
    [found] = [row for row in json.loads(done.out) if row["check"] == "wrong"]
    assert found["state"] == "failed"
    assert found["detail"].startswith(f"{WHO}, speceyes_checks: ")
    assert said in found["detail"]


def test_an_observer_that_raises_is_told_of_once_and_the_run_goes_on(program: Program) -> None:
    source = hook("raise OSError('no room')", "speceyes_record", takes="record")
    done = program(source, *RUN, "--agent", "looker")
    assert done.code == 0
    assert done.err.count(f"{WHO}, speceyes_record: it raised OSError: no room (site/wrong_") == 1
    assert len(read_run(Path("r"))[1]) == 3


def test_an_observer_may_stop_the_run(program: Program) -> None:
    source = hook("raise RunStopError('Enough.')", "speceyes_record", takes="record")
    done = program(source, *RUN, "--agent", "looker", "--batch-size", "1")
    assert done.code == 2
    assert done.err.splitlines()[-1] == "speceyes: Enough."
