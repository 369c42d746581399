"""Requests that the page's server refuses before anything reads them."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from descant_modeling.app.guard import LOCAL_NAMES, Guard

MAX_BYTES = 1_000


async def count(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(hosts: tuple[str, ...] | None = LOCAL_NAMES) -> TestClient:
    return TestClient(Guard(Starlette(routes=[Route("/", count, methods=["GET", "POST"])]), MAX_BYTES, hosts))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7860", "LOCALHOST:80", "127.0.0.1:7860", "[::1]:7860", "[::1]"]
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil", "", "::1"]
)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    answer = client().get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json() == {"error": "This server is for this machine only. Open it as localhost."}
    assert client(None).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_is_bounded_before_it_is_parsed(is_chunked: bool) -> None:
    for size, status in ((MAX_BYTES, 200), (MAX_BYTES + 1, 413)):
        pieces = [b"x" * 100] * (size // 100) + [b"x" * (size % 100)]
        answer = client(None).post("/", content=iter(pieces) if is_chunked else b"".join(pieces))
        assert answer.status_code == status
    assert answer.json() == {"error": "A request has at most 1,000 bytes. Send less."}
