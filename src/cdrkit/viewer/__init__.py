"""The notebook viewer, which `Result.viewer` returns."""

from __future__ import annotations

from cdrkit.viewer.state import CallsView as CallsView  # internal
from cdrkit.viewer.widget import Viewer

__all__ = ["Viewer"]
