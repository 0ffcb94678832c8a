"""AuditEvent: scopes of tenants, masks of numbers, signatures of tokens."""

from __future__ import annotations

from cdrkit._access.scope import EVERYTHING, AuditEvent, RecordingRight, Scope, named_fields, scope_of
from cdrkit._access.signing import checked_secret

__all__ = [
    "AuditEvent",
    "EVERYTHING",
    "RecordingRight",
    "Scope",
    "checked_secret",
    "named_fields",
    "scope_of",
]
