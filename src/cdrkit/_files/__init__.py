"""Files below one URL: the only package that imports fsspec."""

from __future__ import annotations

__all__: list[str] = []
