"""A record of the folders that local files flush."""

from __future__ import annotations

import pytest

from cdrkit._files import local

__all__ = ["flushes"]


def flushes(patch: pytest.MonkeyPatch) -> list[str]:
    """Return the folders that are flushed from now on, in their order."""
    found: list[str] = []
    original = local._sync_folder

    def flush(folder: str) -> None:
        found.append(folder)
        original(folder)

    patch.setattr(local, "_sync_folder", flush)
    return found
