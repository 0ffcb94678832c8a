"""Calls spread over months, and access to the inner parts of a store, for tests of tiers and retention."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
from hypothesis import HealthCheck, settings

from cdrkit import CallRecord, Store
from cdrkit._files import Files
from cdrkit.storage.log.log import Log
from cdrkit.storage.tiers.tier import Tier

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
#: For laws whose every example makes a store: a fifth of what the profile says.
fewer = settings(max_examples=max(settings().max_examples // 5, 1))
#: For laws whose every example asks a service hundreds of times: a twentieth, and never less than four.
seldom = settings(
    max_examples=max(settings().max_examples // 20, 4),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MONTHS = tuple(f"2026-{number:02d}" for number in range(4, 12))


def calls_of(*months: str, each: int = 6, part: str = "", **fields: object) -> list[CallRecord]:
    """Return *each* calls for each of the *months*, five days apart; *part* keeps the ids of several sets apart."""
    return [
        CallRecord(
            call_id=f"{month}{part}-{number}",
            start=datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
            + timedelta(days=5 * (number % 6), seconds=number),
            **{"source": "+442079460018", "customer_id": f"{1001 + number % 3}", **fields},  # type: ignore[arg-type]
        )
        for month in months
        for number in range(each)
    ]


def in_order(calls: list[CallRecord]) -> list[CallRecord]:
    """Return *calls* as a store gives them."""
    return sorted(calls, key=lambda call: (call.start, call.call_id))


def months_in(store: Store, tier: str) -> list[str]:
    """Return the months of which there are calls in a tier."""
    segments = inside(store).log.snapshot().segments.values()
    return sorted({f"{segment.first:%Y-%m}" for segment in segments if segment.tier == tier})


@attrs.frozen
class Inside:
    """What a store is made of."""

    log: Log
    tiers: Mapping[str, Tier]
    hot: Tier
    warm: Tier
    files: Files


def inside(store: Store) -> Inside:
    """Return what *store* is made of."""
    return Inside(store._log, store._tiers, store._hot, store._warm, store._log.files)


def every_file(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the bytes of every file below *folder*, temporary ones too."""
    found: dict[str, bytes] = {}
    for here, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(here, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found
