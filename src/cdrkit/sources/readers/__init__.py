"""Readers that several formats share: CSV, tables, mappings, JSON documents and local times."""

from __future__ import annotations

__all__: list[str] = []
