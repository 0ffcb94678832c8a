"""The viewer that `Result.viewer` puts into a notebook: its state in Python, its face in the browser."""

from __future__ import annotations

from cdrkit.viewer.state import CallsView
from cdrkit.viewer.widget import Viewer

__all__ = ["CallsView", "Viewer"]
