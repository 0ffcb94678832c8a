"""Made-up calls, an office and recordings for tests, tutorials and demonstrations."""

from __future__ import annotations

__all__: list[str] = []
