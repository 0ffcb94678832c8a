"""The command line ``cdrkit``, which needs the extra ``cli``.

Its commands ingest, query, export and maintain calls, and run a demo.
"""

from __future__ import annotations

from cdrkit.errors import missing_extra

try:
    import click  # noqa: F401  # checked here for a clear message
    import rich  # noqa: F401
except ImportError as _missing:
    raise SystemExit(str(missing_extra("The command line", "cli"))) from _missing

from cdrkit.cli.group import main

__all__ = ["main"]
