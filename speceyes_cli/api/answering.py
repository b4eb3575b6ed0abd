"""One question about one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from speceyes_cli.api.decision import Decision
from speceyes_cli.api.settings import installed, question_options
from speceyes_cli.core.errors import UsageError
from speceyes_cli.core.pictures.loading import PictureSource
from speceyes_cli.core.run.record_builder import build_record
from speceyes_cli.core.samples import Sample, with_picture
from speceyes_cli.host.planning.chat_questions import question_from_chat
from speceyes_cli.host.planning.questions import make_question, plan_question
from speceyes_cli.host.running.pool import EnginePool
from speceyes_cli.host.running.question import answer_question

Asked = PictureSource | Sample | Sequence[Mapping[str, Any]]
"""A picture in any form, a sample of a dataset, or Qwen-style messages that hold the picture."""


class Cascade:
    """Loaded models that answer one question after another; use as a context.

    `settings` are the options of `speceyes infer` by name: `models="paper"`, `agent="thyme"`,
    `small=`, `large=`, `gate=`, `threshold=`, `device=` and so on. Raises `SpecEyesError` for one
    that is wrong.

    >>> from speceyes_cli import Cascade, samples
    >>> asked = samples("needle", split="direct_attributes", limit=2)
    >>> with Cascade(threshold=0.95) as cascade:
    ...     decisions = [cascade.answer(sample) for sample in asked]
    >>> [decision.route in ("small", "large") for decision in decisions]
    [True, True]
    """

    def __init__(self, *, method: str = "speceyes", **settings: Any) -> None:
        self._options = question_options(settings, method)
        self._passed = tuple(settings)
        self._host = installed()
        self._pool = EnginePool(_ignore)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.__exit__()

    def answer(
        self, picture: Asked, question: str | None = None, *, options: Sequence[str] = ()
    ) -> Decision:
        """The decision on one question; see `answer`."""
        sample = _sample(picture, question, tuple(options))
        image = sample.picture.open()
        sample = with_picture(sample, replace(sample.picture, open=lambda: image))
        plan = plan_question(sample, self._options, self._host, self._passed)
        finished = answer_question(plan, self._pool.take(plan.loads))
        record = build_record(sample, 0, finished, plan.gate, None)
        return Decision(record, image, plan.gate.name, plan.gate.threshold)


def answer(
    picture: Asked,
    question: str | None = None,
    *,
    options: Sequence[str] = (),
    method: str = "speceyes",
    **settings: Any,
) -> Decision:
    """Answer one question about one picture, and give the whole decision.

    `picture` is a path, an address, bytes, a PIL image, or a `Sample`; or a list of messages in the
    form of Qwen's models, which hold picture and question, read by qwen-vl-utils. `options` are the
    texts of a multiple choice. `settings` are those of `Cascade`, which keeps models loaded for
    several questions. Raises `SpecEyesError` for what the user can mend; a question that fails
    while it is answered gives a decision with the route "error".

    >>> from speceyes_cli import answer, samples
    >>> [sample] = samples("needle", split="direct_attributes", limit=1)
    >>> decision = answer(sample)
    >>> decision.route in ("small", "large"), len(decision.gaps) > 0 or decision.route == "large"
    (True, True)
    """
    with Cascade(method=method, **settings) as cascade:
        return cascade.answer(picture, question, options=options)


def _sample(picture: Asked, question: str | None, choices: tuple[str, ...]) -> Sample:
    if isinstance(picture, Sample):
        if question is not None or choices:
            raise UsageError("A sample brings its question and options; leave them out.")
        return picture
    if isinstance(picture, Sequence) and not isinstance(picture, str | bytes | bytearray):
        if question is not None:
            raise UsageError("The messages hold the question; leave question= out.")
        return question_from_chat(picture, choices)
    if question is None:
        raise UsageError('What is asked about the picture? Write answer(picture, "question").')
    return make_question(picture, question, choices)


def _ignore(_text: str) -> None:
    """Loading one question's models needs no announcement."""
