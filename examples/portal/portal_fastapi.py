"""A portal for telephone customers, with FastAPI. Run it: ``python portal_fastapi.py``.

It needs ``pip install . fastapi jinja2 python-multipart uvicorn`` in a clone. The handlers are plain
functions: the framework runs them in threads, as it should, for they read files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import fastapi
from calls_page import HEADERS, Pairs, Viewer, asked, content, log_in, status_of
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.templating import Jinja2Templates
from made_up import made_up_settings, made_up_store
from starlette.types import Receive, Scope, Send

from cdrkit import DisplaySettingsStore, Store
from cdrkit.errors import CdrError, ConfigError

TEMPLATES: Final = Jinja2Templates(Path(__file__).parent / "templates")


def create_app(store: Store, display: DisplaySettingsStore) -> fastapi.FastAPI:
    """Return the portal over one store, which all requests and threads share."""
    app = fastapi.FastAPI(openapi_url=None)
    app.state.store, app.state.display = store, display
    app.include_router(portal)
    app.add_exception_handler(CdrError, refused)
    return app


portal = fastapi.APIRouter()


def let_in(
    request: fastapi.Request, given: Annotated[HTTPBasicCredentials, fastapi.Depends(HTTPBasic())]
) -> Viewer:
    """Return who is logged in."""
    state = request.app.state
    viewer = log_in(state.store, state.display, given.username, given.password)
    if viewer is None:
        raise fastapi.HTTPException(401, "Log in.", {"WWW-Authenticate": 'Basic realm="calls"'})
    return viewer


class Streamed(StreamingResponse):
    """Pieces that are closed whatever becomes of the client; the framework leaves that to garbage collection."""

    def __init__(self, pieces: Iterator[bytes], status: int, headers: dict[str, str]) -> None:
        super().__init__(pieces, status, headers)
        self.pieces: Any = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.pieces.close()


LoggedIn = Annotated[Viewer, fastapi.Depends(let_in)]


def pairs(request: fastapi.Request) -> Pairs:
    """Return the URL's parameters, each value of one that is repeated."""
    return list(request.query_params.multi_items())


def page(request: fastapi.Request, viewer: Viewer, error: str = "") -> Response:
    """Return the page."""
    shown, status = content(viewer, pairs(request), error)
    return TEMPLATES.TemplateResponse(request, "calls.html", shown, status, HEADERS)


@portal.get("/")
def calls(request: fastapi.Request, viewer: LoggedIn) -> Response:
    """Show a page of calls."""
    return page(request, viewer)


@portal.post("/settings")
def remember(
    request: fastapi.Request, viewer: LoggedIn, timezone: Annotated[str, fastapi.Form()] = ""
) -> Response:
    """Remember the viewer's zone."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise fastapi.HTTPException(403, "Not allowed.")  # a form on somebody else's page
    try:
        chosen = attrs.evolve(viewer.settings, timezone=timezone)
    except ConfigError as exc:
        return page(request, viewer, str(exc))
    request.app.state.display.put(viewer.name, chosen)
    return RedirectResponse("/", 303, HEADERS)


@portal.get("/calls.csv")
def csv(request: fastapi.Request, viewer: LoggedIn) -> Response:
    """Stream all calls that are asked for, in UTC."""
    pieces = viewer.scope.run(asked(viewer, pairs(request))).iter_csv(headers="labels")
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="calls.csv"',
    }
    return Streamed(pieces, 200, HEADERS | headers)


@portal.get("/recordings/{token}")
def recording(request: fastapi.Request, viewer: LoggedIn, token: str) -> Response:
    """Stream a recording, or the range of it that the browser wants."""
    answer = viewer.scope.recording_by_token(token).respond(request.headers.get("Range"))
    return Streamed(answer.body, answer.status, HEADERS | answer.headers)


def refused(request: fastapi.Request, error: Exception) -> Response:
    """Answer an error of cdrkit's."""
    assert isinstance(error, CdrError)
    logging.getLogger(__name__).warning("%s", error)
    status, text = status_of(error)
    return PlainTextResponse(text, status, HEADERS)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create_app(made_up_store("portal-data"), made_up_settings("portal-data")))
