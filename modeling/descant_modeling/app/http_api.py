"""The HTTP API: every task is a job that can be followed, fetched and canceled; see docs/serve.md."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi import Depends, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from descant_modeling import __version__
from descant_modeling.app.jobs import JobQueue, QueueFullError
from descant_modeling.app.live import add_live
from descant_modeling.app.schemas import (
    CheckRequest,
    ContinueRequest,
    ErrorFacts,
    FileRequest,
    HarmonizeRequest,
    InfillRequest,
    JobFacts,
    ModelFacts,
    RenderRequest,
    SampleFacts,
    ServerFacts,
)
from descant_modeling.app.service import Service
from descant_modeling.app.submissions import Submission, Submissions, UnknownNameError
from descant_modeling.app.tasks import Work, check_task, generation_task, render_task
from descant_modeling.app.words import API_PREFIX, first_fault, for_api
from descant_tokenizers.common.errors import InputError, printable

__all__ = ["API_PREFIX", "OPEN_PATHS", "make_api"]

OPEN_PATHS = tuple(f"{API_PREFIX}{path}" for path in ("/docs", "/openapi.json", "/static-offline-docs/"))
"""Beginnings of the paths that need no token: the description of the API."""

_POLL_SECONDS = 0.1
_BODIES: tuple[type[FileRequest], ...] = (
    HarmonizeRequest, ContinueRequest, InfillRequest, CheckRequest, RenderRequest,
)  # fmt: skip
_MEDIA_TYPES = {
    ".mid": "audio/midi",
    ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
}
_DESCRIPTION = """Harmonize, continue, rewrite, check and render music on this machine.

Every task is a job. `POST` a file to start it: as JSON, or as `multipart/form-data` with the parts `file` and
`options` (the JSON without the file). Follow its events, get its result and files, `DELETE` it to cancel it. With
`?wait=true` the answer comes when the job is done."""

Body = TypeVar("Body", bound=FileRequest)


def make_api(service: Service) -> FastAPI:
    """Return the API of a service, to be mounted at `API_PREFIX`."""
    api = FastAPIOffline(
        title="Descant",
        version=__version__,
        description=_DESCRIPTION,
        redoc_url=None,
        dependencies=[Depends(HTTPBearer(auto_error=False, description="Only where the server has a --token."))],
        responses={status: {"model": ErrorFacts} for status in (422, 503)},
    )
    submissions = Submissions(service.limits)
    _describe_bodies(api)
    _add_tasks(api, service, submissions)
    _add_jobs(api, submissions)
    add_live(api, service, "/live")
    api.add_exception_handler(InputError, _answer_input_error)
    api.add_exception_handler(HTTPException, _answer_http_error)

    @api.get("/info", tags=["server"], summary="Models and limits")
    def info() -> ServerFacts:
        """Return the version, the models with their tasks and styles, and the limits on requests."""
        models = [
            ModelFacts(name=name, tasks=list(each.tasks), styles=list(each.styles), has_hints=each.has_hints)
            for name, each in service.generators.items()
        ]
        return ServerFacts(version=__version__, models=models, limits=service.limits.facts())

    return api


def _add_tasks(api: FastAPI, service: Service, submissions: Submissions) -> None:
    def add(
        kind: type[Body], path: str, make: Callable[[Service, Body], Work], queue_of: Callable[[Body], JobQueue]
    ) -> None:
        """Add the route that starts a task's jobs."""

        async def start(request: Request, response: Response, wait: bool = False) -> JobFacts:
            """Start a job; with `wait`, answer when it is done."""
            asked = await _body(request, kind, service)
            submission = submissions.start(path, make(service, asked), queue_of(asked))
            if not wait:
                response.status_code = 202
                return submission.facts()
            return await _finished(request, submission)

        start.__name__ = path
        api.post(
            f"/{path}",
            tags=["tasks"],
            summary=(kind.__doc__ or "").rstrip("."),
            openapi_extra={"requestBody": _request_body(kind)},
            responses={202: {"model": JobFacts, "description": "Started (without `wait`)"}},
        )(start)

    for kind in (HarmonizeRequest, ContinueRequest, InfillRequest):
        add(kind, kind.task, generation_task, lambda _: service.queue)
    add(CheckRequest, "check", check_task, lambda asked: service.queue if asked.repair else service.short_queue)
    add(RenderRequest, "render", render_task, lambda _: service.short_queue)


def _add_jobs(api: FastAPI, submissions: Submissions) -> None:
    missing: dict[int | str, dict[str, Any]] = {404: {"model": ErrorFacts}}

    @api.get("/jobs/{job}", tags=["jobs"], summary="State and result of a job", responses=missing)
    def facts(job: str) -> JobFacts:
        """Return the state of a job, its progress, and its result once it is done."""
        return submissions.find(job).facts()

    @api.get(
        "/jobs/{job}/events",
        tags=["jobs"],
        summary="States of a job as server-sent events, until it ends",
        response_class=EventSourceResponse,
        responses=missing,
        dependencies=[Depends(lambda job: submissions.find(job))],  # before the answer begins
    )
    async def events(job: str) -> AsyncIterator[ServerSentEvent]:
        """Send the state of a job each time it changes."""
        submission, shown = submissions.find(job), None
        while shown is None or shown.state in ("waiting", "running"):
            present = submission.facts()
            if present != shown:
                shown = present
                yield ServerSentEvent(event=shown.state, data=shown.model_dump())
            else:
                await asyncio.sleep(_POLL_SECONDS)

    @api.get("/jobs/{job}/files/{name}", tags=["jobs"], summary="A file of the result", responses=missing)
    def file(job: str, name: str) -> Response:
        """Return a file that the result of a job names."""
        content = submissions.find(job).file(name)
        return Response(content, media_type=_MEDIA_TYPES[Path(name).suffix])

    @api.delete("/jobs/{job}", tags=["jobs"], summary="Cancel and forget a job", responses=missing)
    def cancel(job: str) -> JobFacts:
        """Stop a job if it still waits or runs, drop its files, and return its last state."""
        return submissions.remove(job).facts()


async def _finished(request: Request, submission: Submission) -> JobFacts:
    """Wait for the end of a job, which is canceled if the client leaves.

    Raises:
        InputError: The job failed.
    """
    try:
        while not submission.job.has_ended and not await request.is_disconnected():
            await asyncio.sleep(_POLL_SECONDS)
    finally:
        submission.job.stop()
    facts = submission.facts()
    if facts.error is not None:
        raise InputError(facts.error)
    return facts


async def _body(request: Request, kind: type[Body], service: Service) -> Body:
    """Read a request's body within the time limit.

    Raises:
        InputError: It is not of this kind, or arrives too slowly.
    """
    seconds = service.limits.request_seconds
    try:
        async with asyncio.timeout(seconds):
            values = await _values(request)
    except TimeoutError:
        raise InputError(f"The request did not arrive within {seconds:g} seconds. Send it again.") from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


async def _values(request: Request) -> Any:
    """Read JSON, or a form with a file and with JSON for the options."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return _parsed(await request.body(), "The body")
    try:
        async with request.form(max_files=1, max_fields=1) as form:
            file, options = form.get("file"), form.get("options", "{}")
            if not isinstance(file, UploadFile) or not isinstance(options, str):
                raise InputError("The form has no file. Send the parts file and options.")
            data = base64.b64encode(await file.read()).decode("ascii")
            values = _parsed(options, "The part options")
            return {**values, "file": {"name": file.filename or "", "base64": data}}
    except (MultiPartException, HTTPException):
        raise InputError("The form cannot be read. Send the parts file and options.") from None


def _parsed(text: str | bytes, name: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise InputError(f"{name} is not an object in JSON. See {API_PREFIX}/docs.")
    return values


def _answer_input_error(request: Request, error: Exception) -> JSONResponse:
    status = 404 if isinstance(error, UnknownNameError) else 503 if isinstance(error, QueueFullError) else 422
    return JSONResponse({"error": for_api(error)}, status)


def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = f"{error.detail} ({request.method} {printable(request.url.path, 80)}). See {API_PREFIX}/docs."
    return JSONResponse({"error": message}, error.status_code, error.headers)


def _request_body(kind: type[FileRequest]) -> dict[str, Any]:
    """Describe both forms of a body for OpenAPI."""
    form = {
        "type": "object",
        "required": ["file"],
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "options": {"type": "string", "description": "The fields of the JSON body but `file`, as JSON."},
        },
    }
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}},
            "multipart/form-data": {"schema": form},
        },
    }


def _describe_bodies(api: FastAPI) -> None:
    """Add the bodies, which are read by `_body`, to the description of the API."""

    def described() -> dict[str, Any]:
        """Return the description, made once."""
        if api.openapi_schema is None:
            found = get_openapi(
                title=api.title,
                version=api.version,
                description=api.description,
                routes=api.routes,
                servers=api.servers,
            )
            kinds: list[type[BaseModel]] = [*_BODIES, SampleFacts]
            _, own = models_json_schema(
                [(kind, "validation") for kind in kinds], ref_template="#/components/schemas/{model}"
            )
            found["components"]["schemas"] |= own["$defs"]
            api.openapi_schema = found
        return api.openapi_schema

    cast(Any, api).openapi = described
