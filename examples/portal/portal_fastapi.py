"""A portal for telephone customers, with FastAPI. Run it: ``python portal_fastapi.py``.

It needs ``pip install . fastapi jinja2 python-multipart uvicorn`` in a clone. The handlers are plain
functions: the framework runs them in threads, because they read files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import fastapi
from calls_page import HEADERS, Pairs, PortalViewer, build_content, build_query, log_in, status_of
from demo_data import open_demo_settings, open_demo_store
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.templating import Jinja2Templates
from starlette.types import Receive, Scope, Send

from cdrkit import DisplaySettingsStore, Store
from cdrkit.errors import CdrError, ConfigError

TEMPLATES: Final = Jinja2Templates(Path(__file__).parent / "templates")


def create_app(store: Store, display: DisplaySettingsStore) -> fastapi.FastAPI:
    """Return the portal for one store, which all requests and threads share."""
    app = fastapi.FastAPI(openapi_url=None)
    app.state.store, app.state.display = store, display
    app.include_router(portal)
    app.add_exception_handler(CdrError, handle_error)
    return app


portal = fastapi.APIRouter()


def require_login(
    request: fastapi.Request, credentials: Annotated[HTTPBasicCredentials, fastapi.Depends(HTTPBasic())]
) -> PortalViewer:
    """Return the viewer who is logged in."""
    state = request.app.state
    viewer = log_in(state.store, state.display, credentials.username, credentials.password)
    if viewer is None:
        raise fastapi.HTTPException(401, "Log in.", {"WWW-Authenticate": 'Basic realm="calls"'})
    return viewer


class ClosingResponse(StreamingResponse):
    """A stream that is closed when the client disconnects. The framework leaves that to garbage collection."""

    def __init__(self, parts: Iterator[bytes], status: int, headers: dict[str, str]) -> None:
        super().__init__(parts, status, headers)
        self.parts: Any = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts, then close them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.parts.close()


Login = Annotated[PortalViewer, fastapi.Depends(require_login)]


def pairs(request: fastapi.Request) -> Pairs:
    """Return the parameters of the URL, with every value of a repeated one."""
    return list(request.query_params.multi_items())


def page(request: fastapi.Request, viewer: PortalViewer, error: str = "") -> Response:
    """Return the page."""
    values, status = build_content(viewer, pairs(request), error)
    return TEMPLATES.TemplateResponse(request, "calls.html", values, status, HEADERS)


@portal.get("/")
def calls(request: fastapi.Request, viewer: Login) -> Response:
    """Show a page of calls."""
    return page(request, viewer)


@portal.post("/settings")
def remember(
    request: fastapi.Request, viewer: Login, timezone: Annotated[str, fastapi.Form()] = ""
) -> Response:
    """Store the viewer's time zone."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise fastapi.HTTPException(403, "Not allowed.")  # a form on another site
    try:
        settings = attrs.evolve(viewer.settings, timezone=timezone)
    except ConfigError as exc:
        return page(request, viewer, str(exc))
    request.app.state.display.put(viewer.name, settings)
    return RedirectResponse("/", 303, HEADERS)


@portal.get("/calls.csv")
def csv(request: fastapi.Request, viewer: Login) -> Response:
    """Stream all calls of the query, in UTC."""
    parts = viewer.scope.run(build_query(viewer, pairs(request))).iter_csv(headers="labels")
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="calls.csv"',
    }
    return ClosingResponse(parts, 200, HEADERS | headers)


@portal.get("/recordings/{token}")
def recording(request: fastapi.Request, viewer: Login, token: str) -> Response:
    """Stream a recording, or the range in the request."""
    response = viewer.scope.recording_by_token(token).respond(request.headers.get("Range"))
    return ClosingResponse(response.body, response.status, HEADERS | response.headers)


def handle_error(request: fastapi.Request, error: Exception) -> Response:
    """Return the response to an error of cdrkit."""
    assert isinstance(error, CdrError)
    logging.getLogger(__name__).warning("%s", error)
    status, text = status_of(error)
    return PlainTextResponse(text, status, HEADERS)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create_app(open_demo_store("portal-data"), open_demo_settings("portal-data")))
