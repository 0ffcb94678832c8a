"""The notebook viewer, which `Result.viewer` returns."""

from __future__ import annotations

from cdrkit.viewer.state import CallsView, FileTransfer
from cdrkit.viewer.widget import Viewer

__all__ = ["CallsView", "FileTransfer", "Viewer"]
