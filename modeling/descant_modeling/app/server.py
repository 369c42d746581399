"""The server of `descant serve`: the HTTP API without the page."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from descant_modeling.app.http_api import API_PREFIX, make_api
from descant_modeling.app.service import Service


def make_server(service: Service) -> FastAPI:
    """Return a server of the API; its first page is the description."""
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    server.mount(API_PREFIX, make_api(service))

    @server.get("/")
    def first_page() -> RedirectResponse:
        return RedirectResponse(f"{API_PREFIX}/docs")

    return server
