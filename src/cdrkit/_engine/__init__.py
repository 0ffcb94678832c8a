"""The query engine: plans, scans, sorting, aggregates and explanations."""

from __future__ import annotations

from cdrkit._engine.explain import Explanation
from cdrkit._engine.plan import Plan

__all__ = ["Explanation", "Plan"]
