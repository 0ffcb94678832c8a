"""The viewer that `Result.viewer` puts into a notebook: its state in Python, its face in the browser."""

from __future__ import annotations

from ._view import CallsView
from ._widget import Viewer

__all__ = ["CallsView", "Viewer"]
