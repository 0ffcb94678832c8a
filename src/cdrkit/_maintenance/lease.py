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

from cdrkit._files import Files
from cdrkit.errors import ConflictError, StorageError

__all__ = ["lease"]

_FOLDER: Final = "_log/lease"
_NAME: Final = re.compile(rf"{_FOLDER}/(\d{{20}})\.json", re.ASCII)
_HELD: Final = timedelta(hours=6)
#: The tokens of the leases that this process holds: any other that names it was left behind by a failing storage.
_held_here: Final[set[str]] = set()


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
    token = secrets.token_hex(8)
    mine: dict[str, Any] = {
        "job": job,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "token": token,
        "until": until.isoformat(),
        "released": False,
    }
    _held_here.add(token)
    try:
        _create(files, number + 1, mine)
        for old in range(max(0, number - 1), number + 1):
            with contextlib.suppress(StorageError):
                files.remove(_path(old))
        try:
            yield
        finally:
            try:
                files.put(_path(number + 1), json.dumps({**mine, "released": True}).encode())
            except StorageError:  # the job's own outcome is what counts
                with contextlib.suppress(StorageError):
                    files.remove(_path(number + 1))  # which needs no room on the disk
    finally:
        _held_here.discard(token)


def _create(files: Files, number: int, mine: dict[str, Any]) -> None:
    """Create the lease *number*; an answer that was lost is no failure."""
    try:
        if files.create(_path(number), json.dumps(mine).encode()):
            return
    except StorageError:
        found = _read(files, number)
        if found is None or found["token"] != mine["token"]:
            raise
        return
    found = _read(files, number) or {**mine, "token": None}
    if found["token"] != mine["token"]:
        raise _busy(found)


def _path(number: int) -> str:
    return f"{_FOLDER}/{number:020d}.json"


def _read(files: Files, number: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(files.read(_path(number)))
        found["until"] = datetime.fromisoformat(found["until"]).astimezone(UTC).isoformat()
        found["process"] = int(found["process"])
        return found if {"job", "host", "token", "released"} <= set(found) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, OverflowError):
        return None  # a damaged lease is nobody's


def _is_held(held: dict[str, Any]) -> bool:
    if held["released"] or datetime.fromisoformat(held["until"]) <= datetime.now(UTC):
        return False
    if held["host"] != socket.gethostname():
        return True
    if held["process"] == os.getpid():
        return held["token"] in _held_here
    try:
        os.kill(held["process"], 0)  # 0 is no signal: it asks whether the process is there
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _busy(held: dict[str, Any]) -> ConflictError:
    return ConflictError(
        f"{held['job']} is under way on {held['host']}, process {held['process']}, until {held['until']} at the "
        "latest; try again after it."
    )
