"""Files below one URL: the only package that imports fsspec."""

from __future__ import annotations

from cdrkit._files.files import Data, Entry, Files, is_url, open_files, split_url, translate_errors

__all__ = ["Data", "Entry", "Files", "is_url", "open_files", "split_url", "translate_errors"]
