"""Audit events: a portal viewer's exports of calls and uses of recordings."""

from __future__ import annotations

from datetime import datetime

import attrs

from cdrkit._query import Query

__all__ = ["AuditEvent"]


@attrs.frozen(kw_only=True)
class AuditEvent:
    """An audit event: a portal viewer exports calls or uses a recording.

    Pass a function that receives these events to `Store.scoped` as ``audit``. The function is called before the first
    byte is sent. If it raises an exception, nothing is sent.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://audit-event-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, customer_id="1003")])
        >>> events = []
        >>> scoped = store.scoped(customer_id="1003", viewer="ann", audit=events.append)
        >>> _ = scoped.run().to_arrow()
        >>> [(event.viewer, event.tenant, event.action, event.format) for event in events]
        [('ann', 'customer_id=1003', 'export', 'arrow')]

    Attributes:
        viewer: The portal viewer, as the application named it.
        tenant: The tenant whose calls the portal viewer may see, such as ``customer_id=1003``.
        action: ``export``, or for a recording ``play``, ``download`` or ``url``.
        at: The instant of the action, in UTC.
        call_id: The id of the call whose recording is used, or None for an export.
        start: The start of this call, in UTC; None for an export.
        format: The format of an export: ``csv``, ``arrow``, ``polars``, ``pandas``, ``records`` or ``zip``.
        query: The query whose calls are exported; None for a recording.
    """

    viewer: str
    tenant: str
    action: str
    at: datetime
    call_id: str | None = None
    start: datetime | None = None
    format: str | None = None
    query: Query | None = None
