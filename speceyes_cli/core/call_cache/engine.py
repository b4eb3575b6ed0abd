"""An engine behind the call cache: what was answered before is not asked again."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from speceyes_cli.core.call_cache.store import CallCache
from speceyes_cli.core.chat import Ask, Engine, Picture, Rehearsing, Reply


class CachedEngine:
    """Any engine, local or remote; `identity` is all of it that can change an answer."""

    def __init__(self, engine: Engine, cache: CallCache, identity: Mapping[str, Any]) -> None:
        self._engine = engine
        self._cache = cache
        self._identity = json.dumps(identity, sort_keys=True, default=str)
        self._pictures: dict[str, dict[Picture, str]] = {}
        self._lock = threading.Lock()
        if isinstance(engine, Rehearsing):
            self.rehearse = engine.rehearse

    @property
    def max_batch(self) -> int:
        """The engine's own."""
        return self._engine.max_batch

    @property
    def workers(self) -> int:
        """The engine's own."""
        return self._engine.workers

    @property
    def group(self) -> str:
        """The engine's own."""
        return self._engine.group

    def generate(self, asks: Sequence[Ask]) -> Sequence[Reply | Exception]:
        """Replay what is known, ask the rest.

        Drafts are scored to their end: one that was given up early would not do for another gate.
        """
        keys = [self._key(ask) for ask in asks]
        outcomes: list[Reply | Exception | None] = [
            self._cache.get(key) if key is not None else None for key in keys
        ]
        missing = [i for i, outcome in enumerate(outcomes) if outcome is None]
        if missing:
            fresh = self._engine.generate([_to_its_end(asks[i]) for i in missing])
            for i, outcome in zip(missing, fresh, strict=True):
                outcomes[i] = outcome
                key = keys[i]
                if key is not None and isinstance(outcome, Reply):
                    self._cache.put(key, outcome)
        return [outcome for outcome in outcomes if outcome is not None]

    def forget(self, trajectory: str) -> None:
        """Forget here too."""
        with self._lock:
            self._pictures.pop(trajectory, None)
        self._engine.forget(trajectory)

    def describe(self) -> Mapping[str, Any]:
        """The engine's own words: a run may go on with or without the cache."""
        return self._engine.describe()

    def close(self) -> None:
        """Release the model; the cache stays open."""
        self._engine.close()

    def _key(self, ask: Ask) -> str | None:
        """SHA-256 of everything that can change the reply; None when a picture cannot be opened."""
        digest = hashlib.sha256(self._identity.encode())
        try:
            for part in self._parts(ask):
                encoded = part.encode("utf-8", "surrogatepass")
                digest.update(f"{len(encoded)}:".encode())
                digest.update(encoded)
        except Exception:  # noqa: BLE001 - the engine meets the same picture and tells of it
            return None
        return digest.hexdigest()

    def _parts(self, ask: Ask) -> Iterator[str]:
        gate = ask.gate
        scored = None if gate is None else (gate.top_k, gate.kept, ask.scored_after)
        yield json.dumps([ask.max_new_tokens, ask.stop, ask.continue_turn, scored])
        if ask.tools:
            yield f"tools {json.dumps([tool.as_json() for tool in ask.tools])}"
        for message in ask.messages:
            yield f"role {message.role}"
            if message.calls or message.call_id:
                calls = [(call.name, call.arguments, call.id) for call in message.calls]
                yield f"calls {json.dumps([calls, message.call_id])}"
            for part in message.content:
                if isinstance(part, Picture):
                    yield f"picture {self._picture(ask.trajectory, part)}"
                else:
                    yield f"text {part}"

    def _picture(self, trajectory: str, picture: Picture) -> str:
        """The digest of a picture's pixels, taken once for each trajectory."""
        with self._lock:
            known = self._pictures.get(trajectory, {}).get(picture)
        if known is not None:
            return known
        image = picture.open().convert("RGB")
        digest = hashlib.sha256(f"{image.width}x{image.height}".encode())
        digest.update(image.tobytes())
        found = digest.hexdigest()
        if trajectory:
            with self._lock:
                self._pictures.setdefault(trajectory, {})[picture] = found
        return found


def _to_its_end(ask: Ask) -> Ask:
    return ask if ask.gate is None else replace(ask, gate=replace(ask.gate, hopeless=None))
