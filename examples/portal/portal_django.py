"""A portal for telephone customers, with Django. Run it: ``python portal_django.py``.

It needs ``pip install . django jinja2`` in a clone. In your own project, put the views into an app and open the store
in its ``AppConfig.ready``.
"""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from calls_page import HEADERS, Pairs, build_content, build_query, log_in, status_of
from demo_data import open_demo_settings, open_demo_store
from django.conf import settings as project
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

from cdrkit import DisplaySettingsStore, Store
from cdrkit.errors import CdrError, ConfigError


def create_app(store: Store, display: DisplaySettingsStore) -> Any:
    """Return the portal for one store, which all requests and threads share. One process has one portal."""
    folder = Path(__file__).parent / "templates"
    project.configure(
        SECRET_KEY=secrets.token_hex(32),
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[f"{__name__}.Guard"],
        TEMPLATES=[{"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [folder]}],
        CALLS=(store, display),
    )
    return get_wsgi_application()


class Guard:
    """Check the login, add headers and handle errors of cdrkit."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        """Return the response to a viewer who is logged in."""
        _, _, packed = request.headers.get("Authorization", "").partition("Basic ")
        try:
            name, _, password = base64.b64decode(packed).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            name = password = ""
        request.viewer = log_in(*project.CALLS, name, password)
        if request.viewer is None:
            return HttpResponse("Log in.", status=401, headers={"WWW-Authenticate": 'Basic realm="calls"'})
        response = self.get_response(request)
        for name, text in HEADERS.items():
            response.headers.setdefault(name, text)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the response to an error of cdrkit."""
        if not isinstance(error, CdrError):
            return None
        logging.getLogger(__name__).warning("%s", error)
        status, text = status_of(error)
        return HttpResponse(text, "text/plain", status)


def pairs(request: HttpRequest) -> Pairs:
    """Return the parameters of the URL, with every value of a repeated one."""
    return [(name, value) for name, values in request.GET.lists() for value in values]


def page(request: Any, error: str = "") -> HttpResponse:
    """Return the page."""
    values, status = build_content(request.viewer, pairs(request), error)
    return render(request, "calls.html", values, status=status)


@require_safe
def calls(request: HttpRequest) -> HttpResponse:
    """Show a page of calls."""
    return page(request)


@require_POST
def remember(request: Any) -> HttpResponse:
    """Store the viewer's time zone."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return HttpResponse("Not allowed.", status=403)  # a form on another site
    try:
        settings = attrs.evolve(request.viewer.settings, timezone=request.POST.get("timezone", ""))
    except ConfigError as exc:
        return page(request, str(exc))
    _, display = project.CALLS
    display.put(request.viewer.name, settings)
    return HttpResponseRedirect("/", status=303)


@require_safe
def csv(request: Any) -> StreamingHttpResponse:
    """Stream all calls of the query, in UTC."""
    parts = request.viewer.scope.run(build_query(request.viewer, pairs(request))).iter_csv(headers="labels")
    attachment = {"Content-Disposition": 'attachment; filename="calls.csv"'}
    return StreamingHttpResponse(parts, content_type="text/csv", headers=attachment)


@require_safe
def recording(request: Any, token: str) -> StreamingHttpResponse:
    """Stream a recording, or the range in the request."""
    response = request.viewer.scope.recording_by_token(token).respond(request.headers.get("Range"))
    return StreamingHttpResponse(response.body, status=response.status, headers=response.headers)


urlpatterns = [
    path("", calls),
    path("settings", remember),
    path("calls.csv", csv),
    path("recordings/<str:token>", recording),
]

if __name__ == "__main__":
    from wsgiref.simple_server import make_server

    portal = create_app(open_demo_store("portal-data"), open_demo_settings("portal-data"))
    make_server("127.0.0.1", 8000, portal).serve_forever()
