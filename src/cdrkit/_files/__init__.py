"""Files below one URL, on the local disk or through fsspec."""

from __future__ import annotations

from cdrkit._files.error_translation import translate_errors
from cdrkit._files.files import Data, Entry, Files
from cdrkit._files.open import open_files
from cdrkit._files.paths import is_url, split_url

__all__ = ["Data", "Entry", "Files", "is_url", "open_files", "split_url", "translate_errors"]
