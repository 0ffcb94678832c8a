"""Readers shared by several formats: CSV, tables, JSON and local times."""

from __future__ import annotations

__all__: list[str] = []
