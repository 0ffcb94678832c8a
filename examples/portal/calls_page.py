"""What the three portals share, whatever their framework: who may see what, the page's content, and the statuses."""

from __future__ import annotations

import hmac
from typing import Any, Final
from urllib.parse import urlencode

import attrs

from cdrkit import FIELDS, DisplaySettings, DisplaySettingsStore, Query, ScopedStore, Store
from cdrkit.errors import CdrError, NotFoundError, QueryError, ScopeError, StorageError

__all__ = ["HEADERS", "Pairs", "Viewer", "asked", "content", "log_in", "status_of"]

LOGINS: Final = {
    "alice": ("looking-glass", "1001"),
    "bob": ("scoop", "1002"),
}  # put your own login in their place
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
#: Keeps answers out of caches, and foreign content out of the pages.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
}

Pairs = list[tuple[str, str]]


@attrs.frozen
class Viewer:
    """Who is logged in, the part of the store they may see, and how they want it shown."""

    name: str
    customer: str
    scope: ScopedStore
    settings: DisplaySettings


def log_in(store: Store, display: DisplaySettingsStore, name: str, password: str) -> Viewer | None:
    """Return the viewer, or None for a stranger. Whose calls they see is known here, and never asked of the browser."""
    known, customer = LOGINS.get(name, ("", ""))
    if not customer or not hmac.compare_digest(known.encode(), password.encode()):
        return None
    scope = store.scoped(customer_id=customer, hide=HIDDEN, recordings=["play"], viewer=name)
    return Viewer(name, customer, scope, display.get(name).within(scope.fields))


def asked(viewer: Viewer, pairs: Pairs) -> Query:
    """Return the query in a URL, newest calls first unless it says otherwise; dates are those of the viewer's zone.

    Raises:
        QueryError: When a parameter is unknown, or its value is not allowed.
    """
    query = viewer.scope.query_from_params([("timezone", viewer.settings.timezone), *pairs])
    query = query if query.selected else query.columns(*viewer.settings.columns)
    return query if "order" in dict(pairs) else query.newest_first()


def content(viewer: Viewer, pairs: Pairs, error: str = "") -> tuple[dict[str, Any], int]:
    """Return what the template shows, and the status: a page of calls, or what is wrong with the URL."""
    try:
        query = Query().limit(0).columns(*viewer.settings.columns) if error else asked(viewer, pairs)
        page = viewer.scope.run(query).in_timezone(viewer.settings.timezone).page(viewer.settings.page_size)
    except QueryError as exc:
        return content(viewer, pairs, str(exc))
    kept = [(name, value) for name, value in pairs if value and name != "cursor"]
    links = {"csv": "/calls.csv?" + urlencode(kept)}
    if len(kept) < len([value for _, value in pairs if value]):
        links["first"] = "/?" + urlencode(kept)
    if page.next_cursor:
        links["next"] = "/?" + urlencode([*kept, ("cursor", page.next_cursor)])
    tokens = [viewer.scope.recording_token(call) if call.has_recording else "" for call in page.records]
    shown = {
        "viewer": viewer,
        "asked": dict(pairs),
        "error": error,
        "labels": [FIELDS[name].label for name in page.columns],
        "rows": [(list(row.values()), token) for row, token in zip(page.rows(), tokens, strict=True)],
        "links": links,
        "periods": PERIODS,
        "zones": ZONES,
    }
    return shown, 400 if error else 200


def status_of(error: CdrError) -> tuple[int, str]:
    """Return the status of an error, and what the browser is told; what is said of storage is for the log alone."""
    if isinstance(error, QueryError):
        return 400, str(error)
    if isinstance(error, ScopeError):
        return 403, "Not allowed."
    if isinstance(error, NotFoundError):
        return 404, "Not found."
    return 503 if isinstance(error, StorageError) and error.retryable else 500, "Not available."
