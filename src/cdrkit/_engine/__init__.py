"""The query engine: plans, scans, order, aggregation and explanations."""

from __future__ import annotations

__all__: list[str] = []
