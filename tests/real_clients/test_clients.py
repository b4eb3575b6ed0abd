"""What each client does with the endpoint, held against the endpoint's own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asked import Endpoint, Question, Questions, eventually
from client_matrix import CLIENTS, Client
from running import Running

pytestmark = pytest.mark.timeout(600)

DONE = "speceyes_answers_total"
LEFT = "speceyes_cancelled_total"


def cells() -> list[Any]:
    """Everything that a client is said to do."""
    return [
        pytest.param(client, column, id=f"{client.name}-{column}", marks=marks(client))
        for client in CLIENTS
        for column in ("version", *client.does)
    ]


def marks(client: Client) -> pytest.MarkDecorator:
    return pytest.mark.clients_by_hand if client.by_hand else pytest.mark.real_clients


def answers(told: dict[str, Any], question: Question) -> None:
    assert told["text"] == question.text
    assert told["prompt_tokens"] == question.prompt_tokens


def creates(client: Running, questions: Questions, _endpoint: Endpoint) -> None:
    for question in (questions.accepted, questions.fallen_back):
        answers(client.do("create", question.messages), question)


def streams(client: Running, questions: Questions, _endpoint: Endpoint) -> None:
    for question in (questions.accepted, questions.fallen_back, questions.words):
        answers(client.do("stream", question.messages), question)


def responds(client: Running, questions: Questions, _endpoint: Endpoint) -> None:
    for question in (questions.accepted, questions.fallen_back, questions.history):
        answers(client.do("responses", question.messages), question)
        answers(client.do("responses_stream", question.messages), question)


def leaves(client: Running, questions: Questions, endpoint: Endpoint) -> None:
    """It stops reading, and nothing more is done for it."""
    done, left = endpoint.metric(DONE), endpoint.metric(LEFT)
    client.do("cancel", questions.fallen_back.messages)
    assert eventually(lambda: endpoint.metric(LEFT) == left + 1)
    assert eventually(lambda: endpoint.metric("speceyes_live") == 0)
    assert endpoint.metric(DONE) == done


def has_its_version(client: Running, _questions: Questions, _endpoint: Endpoint) -> None:
    assert client.do("version")["version"] == client.client.version


def asks(kind: str) -> Callable[[Running, Questions, Endpoint], None]:
    def check(client: Running, questions: Questions, _endpoint: Endpoint) -> None:
        question: Question = getattr(questions, kind)
        answers(client.do("create", question.messages), question)

    return check


CHECKS = {
    "version": has_its_version,
    "create": creates,
    "stream": streams,
    "history": asks("history"),
    "several pictures": asks("several"),
    "words alone": asks("words"),
    "cancel": leaves,
    "Responses": responds,
}


@pytest.mark.parametrize(("client", "column"), cells(), indirect=["client"])
def test_a_client_does(
    client: Running, column: str, questions: Questions, endpoint: Endpoint
) -> None:
    CHECKS[column](client, questions, endpoint)
