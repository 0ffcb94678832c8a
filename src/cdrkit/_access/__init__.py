"""Access control: tenant scopes, number masks, signed tokens and audit events."""

from __future__ import annotations

from cdrkit._access.audit import AuditEvent
from cdrkit._access.scope import EVERYTHING, Scope, query_fields
from cdrkit._access.scope_options import RecordingRight, ScopeOptions, make_scope
from cdrkit._access.signing import check_secret

__all__ = [
    "EVERYTHING",
    "AuditEvent",
    "RecordingRight",
    "Scope",
    "ScopeOptions",
    "check_secret",
    "make_scope",
    "query_fields",
]
