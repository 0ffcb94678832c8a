"""The notebook viewer of `Result.viewer`: its state in Python, its page in the browser."""

from __future__ import annotations

from cdrkit.viewer.state import CallsView, FileTransfer
from cdrkit.viewer.widget import Viewer

__all__ = ["CallsView", "FileTransfer", "Viewer"]
