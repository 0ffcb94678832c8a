"""Readers that several formats share: tables, mappings, documents and local times."""

from __future__ import annotations

__all__: list[str] = []
