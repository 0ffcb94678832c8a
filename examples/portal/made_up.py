"""What the example portals show: a made-up office's calls and recordings, of four customers, in a folder of its own."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import cdrkit
from cdrkit import DisplaySettings, DisplaySettingsStore
from cdrkit.testing import write_office

__all__ = ["made_up_settings", "made_up_store"]


def made_up_store(folder: str | os.PathLike[str]) -> cdrkit.Store:
    """Open the store in *folder*; fill it when it is new. A real portal opens its own, once, when it starts."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    secret = place / "secret"  # the same for every process that serves the portal, and nobody else's
    if not secret.exists():
        secret.write_text(secrets.token_hex(32))
    recordings = f"{place}/office/recordings/{{recording}}"
    store = cdrkit.open_store(place / "calls", region="GB", recordings=recordings, secret=secret.read_text())
    if not store.exists:
        office = write_office(place / "office", calls=2_000)
        store.ingest(
            office.master,
            format="asterisk-csv",
            timezone=office.timezone,
            customer_column="accountcode",
            recording_column="userfield",
        )
    return store


def made_up_settings(folder: str | os.PathLike[str]) -> DisplaySettingsStore:
    """Open what remembers the zone of each viewer."""
    usual = DisplaySettings(
        columns=["start", "source", "source_name", "destination", "disposition", "duration"], page_size=25
    )
    return DisplaySettingsStore(Path(folder) / "display", default=usual)
