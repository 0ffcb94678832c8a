"""The command line."""

from __future__ import annotations

from cdrkit.cli.cli import main

__all__ = ["main"]
