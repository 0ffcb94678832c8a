"""Calls of two tenants, and scopes of the first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cdrkit import AuditEvent, CallRecord, Query, ScopedStore, Store

__all__ = ["MINE", "SECRET", "START", "THEIRS", "audited_scope", "call", "prefix_counts", "scope"]

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECRET = "a secret of the application's own"


def call(number: int, **given: Any) -> CallRecord:
    """Return a call, *number* minutes after nine."""
    usual: dict[str, Any] = {
        "call_id": f"call-{number}",
        "start": START + timedelta(minutes=number),
        "customer_id": "1003",
        "reseller_id": "r1",
        "source": f"+44207946{number:04d}",
        "destination": "+12125550100",
        "duration": number,
        "charge": "0.10",
        "currency": "GBP",
        "provider_charge": f"0.0{number % 10}",
    }
    return CallRecord(**(usual | given))


MINE = [call(number) for number in range(10)]
THEIRS = [
    call(number, customer_id="1004", reseller_id="r2", provider_charge="0.5") for number in range(10, 20)
]


def scope(store: Store, **given: Any) -> ScopedStore:
    """Return customer 1003's part, with what is given besides."""
    return store.scoped(**({"customer_id": "1003", "viewer": "ann"} | given))


def audited_scope(store: Store, events: list[AuditEvent], **given: Any) -> ScopedStore:
    """Return a scope whose audit is *events*."""
    return scope(store, **({"recordings": ["play", "download"], "audit": events.append} | given))


def prefix_counts(scoped: ScopedStore, number: str) -> list[int]:
    """Return the number of calls found by each prefix of a source number, from two characters to the whole number."""
    prefixes = [number[:length] for length in range(2, len(number) + 1)]
    return [scoped.count(Query().number(f"{prefix}*", role="source")) for prefix in prefixes]
