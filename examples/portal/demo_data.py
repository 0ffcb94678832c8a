"""The data of the example portals: calls and recordings of a made-up office with four customers."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import cdrkit
from cdrkit import DisplaySettings, DisplaySettingsStore
from cdrkit.samples import write_office

__all__ = ["open_demo_settings", "open_demo_store"]


def open_demo_store(folder: str | os.PathLike[str]) -> cdrkit.Store:
    """Open the store in *folder*, and fill a new one. A real portal opens its own store once, when it starts."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    secret = root / "secret"  # every process of the portal uses the same secret, and keeps it private
    if not secret.exists():
        secret.write_text(secrets.token_hex(32))
    recordings = f"{root}/office/recordings/{{recording}}"
    store = cdrkit.open_store(root / "calls", region="GB", recordings=recordings, secret=secret.read_text())
    if not store.exists:
        office = write_office(root / "office", calls=2_000)
        store.ingest(
            office.master,
            format="asterisk-csv",
            timezone=office.timezone,
            customer_column="accountcode",
            recording_column="userfield",
        )
    return store


def open_demo_settings(folder: str | os.PathLike[str]) -> DisplaySettingsStore:
    """Open the store of each viewer's display settings, such as the time zone."""
    default = DisplaySettings(
        columns=["start", "source", "source_name", "destination", "disposition", "duration"], page_size=25
    )
    return DisplaySettingsStore(Path(folder) / "display", default=default)
