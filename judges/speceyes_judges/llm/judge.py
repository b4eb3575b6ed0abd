"""Rules first, then a model: the judge that the paper's accuracies need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speceyes_cli.plugin import (
    CACHE,
    ERROR,
    LLM,
    Batches,
    Claim,
    Identity,
    Judged,
    JudgedNote,
    JudgeOptions,
    UsageError,
    by_rule,
    one_line,
)
from speceyes_judges.llm.cache import Cache, cache_key, default_cache
from speceyes_judges.llm.endpoint import JudgeEndpoint, JudgeReply
from speceyes_judges.llm.prompt import (
    FIRST,
    PROBE,
    SECOND,
    Wording,
    claim_content,
    messages,
    parse_verdict,
)

NAME = "llm"


class LlmJudge:
    """Asks a model about what the dataset's rule leaves undecided."""

    name = NAME

    def __init__(self, options: JudgeOptions) -> None:
        """Nothing is connected before `prepare` finds that a model is needed."""
        if options.concurrency < 1:
            raise UsageError(f"--concurrency must be at least 1, not {options.concurrency}.")
        if not options.timeout > 0:
            raise UsageError(f"--timeout must be more than 0 seconds, not {options.timeout:g}.")
        self._rule = options.rule
        self._wanted = options.model
        self._model: str | None = None
        self._endpoint = JudgeEndpoint(
            options.api_url, options.api_key, options.concurrency, options.timeout
        )
        self._cache_path = options.cache or default_cache()
        self._cache: Cache | None = None

    def prepare(self, claims: Sequence[Claim]) -> Identity | None:
        """Find the model and see that it keeps to one digit, if anything must be asked."""
        left = sum(map(self._is_for_model, claims))
        if not left:
            return None
        try:
            return Identity(self._find_model(), FIRST.digest)
        except UsageError as error:
            told = f"{left} of {len(claims)} answers are left for a model: no rule decides them."
            raise UsageError(f"{error} {told}") from error

    def judge(self, claims: Sequence[Claim]) -> Batches:
        """By rule, then from the cache, then by the model; equal cases are asked once."""
        ruled = [Judged(claim, by_rule(self._rule, claim, NAME)) for claim in claims]
        yield [one for one in ruled if not _asks(one.claim, one.note)]
        open_ones = [one.claim for one in ruled if _asks(one.claim, one.note)]
        if not open_ones:
            return
        by_key: dict[str, list[Claim]] = {}
        for claim in open_ones:
            by_key.setdefault(self._key(claim), []).append(claim)
        cached = {key: right for key in by_key if (right := self._recall(key)) is not None}
        yield [
            Judged(claim, self._note(FIRST, CACHE, right))
            for key, right in cached.items()
            for claim in by_key[key]
        ]
        asked = {key: same[0] for key, same in by_key.items() if key not in cached}
        for answers in self._ask(FIRST, asked):
            self._remember(answers)
            yield [one for answer in answers for one in self._read(answer, by_key[answer.key])]

    def audit(self, claims: Sequence[Claim]) -> Batches:
        """The model's own opinion of each claim, asked in other words."""
        self._find_model()
        asked = {str(place): claim for place, claim in enumerate(claims)}
        for answers in self._ask(SECOND, asked):
            yield [Judged(asked[one.key], self._fresh(SECOND, one)) for one in answers]

    def close(self) -> None:
        """Close connections and the cache."""
        self._endpoint.close()
        if self._cache is not None:
            self._cache.close()

    def _is_for_model(self, claim: Claim) -> bool:
        return _asks(claim, by_rule(self._rule, claim, NAME))

    def _find_model(self) -> str:
        if self._model is None:
            model = self._endpoint.find_model(self._wanted)
            reply = self._endpoint.ask(model, messages(FIRST, PROBE))
            if parse_verdict(reply) is None:
                raise UsageError(
                    f"{model} at {self._endpoint.url} answers {one_line(reply, 60)!r} where one "
                    "digit was asked for; choose an instruction-tuned model that does not think "
                    "aloud."
                )
            self._model = model
            self._cache = Cache(self._cache_path)
        return self._model

    def _ask(self, wording: Wording, claims: dict[str, Claim]) -> Iterator[Sequence[JudgeReply]]:
        if not claims:
            return iter(())
        questions = {key: messages(wording, claim_content(claim)) for key, claim in claims.items()}
        return self._endpoint.ask_all(self._find_model(), questions)

    def _read(self, answer: JudgeReply, same: Sequence[Claim]) -> Iterator[Judged]:
        """The verdict on the claim that was asked about, and on those equal to it."""
        note = self._fresh(FIRST, answer)
        for place, claim in enumerate(same):
            copied = place > 0 and note.right is not None
            yield Judged(claim, note.model_copy(update={"provenance": CACHE}) if copied else note)

    def _fresh(self, wording: Wording, answer: JudgeReply) -> JudgedNote:
        if answer.failed:
            return self._note(wording, ERROR, None, answer.text)
        return self._note(wording, LLM, parse_verdict(answer.text), answer.text)

    def _note(
        self,
        wording: Wording,
        provenance: str,
        right: bool | None,  # noqa: FBT001 - a verdict's own field
        reply: str = "",
    ) -> JudgedNote:
        return JudgedNote(
            right=right,
            provenance=provenance,
            judge=NAME,
            model=self._find_model(),
            prompt=wording.digest,
            reply=reply,
        )

    def _key(self, claim: Claim) -> str:
        return cache_key(self._find_model(), FIRST.digest, claim_content(claim))

    def _recall(self, key: str) -> bool | None:
        return self._cache.get(key) if self._cache is not None else None

    def _remember(self, answers: Sequence[JudgeReply]) -> None:
        decided = {
            one.key: right
            for one in answers
            if not one.failed and (right := parse_verdict(one.text)) is not None
        }
        if self._cache is not None and decided:
            self._cache.put(decided)


def _asks(claim: Claim, note: JudgedNote) -> bool:
    """Whether a model must be asked: the rule is undecided, and there is an answer to compare.

    An answer of nothing needs no model to stay undecided, nor does a sample without a known one.
    """
    return note.right is None and claim.sample.answer is not None and bool(claim.said.strip())
