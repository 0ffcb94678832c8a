"""The viewer that `Result.viewer` puts into a notebook: its state in Python, its face in the browser."""

from __future__ import annotations

from cdrkit._notebook._view import CallsView
from cdrkit._notebook._widget import Viewer

__all__ = ["CallsView", "Viewer"]
