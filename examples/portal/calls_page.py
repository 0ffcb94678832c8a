"""The code that the three portals share: logins, queries, the content of the page, and HTTP statuses."""

from __future__ import annotations

import hmac
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from cdrkit import FIELDS, DisplaySettings, DisplaySettingsStore, Query, ScopedStore, Store
from cdrkit.errors import CdrError, NotFoundError, QueryError, ScopeError, StorageError

__all__ = ["HEADERS", "Pairs", "PortalViewer", "build_content", "build_query", "log_in", "status_of"]

#: Replace these names, passwords and customers with your own login.
LOGINS: Final = {
    "alice": ("looking-glass", "1001"),
    "bob": ("scoop", "1002"),
}
HIDDEN: Final = ("provider_id", "provider_charge", "source_ip", "extra")
PERIODS: Final = ("today", "yesterday", "last_7_days", "last_30_days", "this_month", "last_month")
ZONES: Final = (
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Auckland",
)
#: Headers of every response: no caching, and no foreign content in the pages.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}

Pairs = list[tuple[str, str]]


@attrs.frozen
class PortalViewer:
    """A person who is logged in, with their scope of the store and their display settings."""

    name: str
    customer: str
    scope: ScopedStore
    settings: DisplaySettings


def log_in(store: Store, display: DisplaySettingsStore, name: str, password: str) -> PortalViewer | None:
    """Return the viewer, or None when the login fails. The customer comes from the login, never from the browser."""
    expected, customer = LOGINS.get(name, ("", ""))
    if not customer or not hmac.compare_digest(expected.encode(), password.encode()):
        return None
    scope = store.scoped(customer_id=customer, hide=HIDDEN, recordings=["play"], viewer=name)
    return PortalViewer(name, customer, scope, display.get(name).within(scope.fields))


def build_query(viewer: PortalViewer, pairs: Pairs) -> Query:
    """Return the query of a URL, newest calls first by default. Dates are in the viewer's time zone.

    Raises:
        QueryError: If a parameter is unknown, or its value is not allowed.
    """
    query = viewer.scope.query_from_params([("timezone", viewer.settings.timezone), *pairs])
    query = query if query.selected else query.columns(*viewer.settings.columns)
    return query if "order" in dict(pairs) else query.newest_first()


def build_content(viewer: PortalViewer, pairs: Pairs, error: str = "") -> tuple[dict[str, Any], int]:
    """Return the values of the template and the status: a page of calls, or the error in the URL."""
    try:
        query = Query().limit(0).columns(*viewer.settings.columns) if error else build_query(viewer, pairs)
        result = viewer.scope.run(query).in_timezone(viewer.settings.timezone)
        page, total = result.page(viewer.settings.page_size), result.total()
    except QueryError as exc:
        return build_content(viewer, pairs, str(exc))
    parameters = [(name, value) for name, value in pairs if value and name != "cursor"]
    links = {"csv": "/calls.csv?" + urlencode(parameters)}
    if len(parameters) < len([value for _, value in pairs if value]):
        links["first"] = "/?" + urlencode(parameters)
    for name, cursor in (("previous", page.previous_cursor), ("next", page.next_cursor)):
        if cursor:
            links[name] = "/?" + urlencode([*parameters, ("cursor", cursor)])
    tokens = [viewer.scope.recording_token(call) if call.has_recording else "" for call in page.records]
    values = {
        "viewer": viewer,
        "parameters": dict(pairs),
        "error": error,
        "labels": [FIELDS[name].label for name in page.columns],
        "rows": [(list(row.values()), token) for row, token in zip(page.rows(), tokens, strict=True)],
        "total": total,
        "links": links,
        "periods": PERIODS,
        "zones": ZONES,
    }
    return values, 400 if error else 200


def status_of(error: CdrError) -> tuple[int, str]:
    """Return the status of an error and the text for the browser. Messages of storage errors go to the log only."""
    if isinstance(error, QueryError):
        return 400, str(error)
    if isinstance(error, ScopeError):
        return 403, "Not allowed."
    if isinstance(error, NotFoundError):
        return 404, "Not found."
    return 503 if isinstance(error, StorageError) and error.retryable else 500, "Not available."
