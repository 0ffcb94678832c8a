"""A lease, so that two maintenance jobs do not do the same work at once.

It saves work and protects nothing: every job is safe beside any other by the way it commits.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..errors import ConflictError
from ._files import Files

__all__ = ["lease"]

_FOLDER: Final = "_log/lease"
_NAME: Final = re.compile(rf"{_FOLDER}/(\d{{20}})\.json", re.ASCII)
_HELD: Final = timedelta(hours=6)


@contextlib.contextmanager
def lease(files: Files, job: str) -> Iterator[None]:
    """Hold the store's one lease while the block runs.

    Each holder creates the next number exclusively, so that of several who find the last one over just one goes on.

    Raises:
        ConflictError: When someone else holds it.
    """
    number = -1
    for entry in files.list(_FOLDER):
        if match := _NAME.fullmatch(entry.path):
            number = max(number, int(match[1]))
    if number >= 0:
        held = _read(files, number)
        if held is not None and _is_held(held):
            raise _busy(held)
    until = datetime.now(UTC) + _HELD
    mine: dict[str, Any] = {
        "job": job,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "token": secrets.token_hex(8),
        "until": until.isoformat(),
        "released": False,
    }
    if not files.create(_path(number + 1), json.dumps(mine).encode()):
        raise _busy(_read(files, number + 1) or mine)
    for old in range(max(0, number - 1), number + 1):
        files.remove(_path(old))
    try:
        yield
    finally:
        files.put(_path(number + 1), json.dumps({**mine, "released": True}).encode())


def _path(number: int) -> str:
    return f"{_FOLDER}/{number:020d}.json"


def _read(files: Files, number: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(files.read(_path(number)))
        return found if {"job", "host", "process", "until", "released"} <= set(found) else None
    except (FileNotFoundError, ValueError):
        return None


def _is_held(held: dict[str, Any]) -> bool:
    if held["released"] or datetime.fromisoformat(held["until"]) <= datetime.now(UTC):
        return False
    if held["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(held["process"]), 0)  # 0 is no signal: it asks whether the process is there
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _busy(held: dict[str, Any]) -> ConflictError:
    return ConflictError(
        f"{held['job']} is under way on {held['host']}, process {held['process']}, until {held['until']} at the "
        "latest; try again after it."
    )
