"""The maintenance lease, which keeps two jobs from doing the same work.

The lease only saves work. Correctness does not depend on it: jobs commit in a way that is safe when they overlap.
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

__all__ = ["acquire_lease", "last_maintenance"]

_FOLDER: Final = "_log/lease"
_NAME: Final = re.compile(rf"{_FOLDER}/(\d{{20}})\.json", re.ASCII)
_DURATION: Final = timedelta(hours=6)
#: The names of maintenance jobs in leases. An erasure also holds the lease, but is not maintenance.
_JOBS: Final = frozenset({"compact", "rollover", "vacuum"})
#: The public names of jobs that have another name in lease files.
_LABELS: Final = {"rollover": "move_to_warm"}
#: The tokens of this process's leases. Any other lease that names this process is a leftover of a storage failure.
_own_tokens: Final[set[str]] = set()


@contextlib.contextmanager
def acquire_lease(files: Files, job: str) -> Iterator[None]:
    """Hold the store's maintenance lease during the ``with`` block.

    Each job creates the lease with the next number exclusively. If several processes find that the last lease has
    ended, only one of them gets the next lease.

    Args:
        files: The files of the store's log.
        job: The name of the job, for the error message that other processes show.

    Raises:
        ConflictError: When another job holds the lease.
    """
    number = _newest_number(files)
    newest = _read(files, number) if number >= 0 else None
    if newest is not None and _is_active(newest):
        raise _conflict(newest)
    maintained = None if newest is None else _maintained(newest)
    until = datetime.now(UTC) + _DURATION
    token = secrets.token_hex(8)
    own: dict[str, Any] = {
        "job": job,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "token": token,
        "until": until.isoformat(),
        "released": False,
        # An erasure replaces the lease of the last maintenance job, so it carries this job's time along.
        "maintained": None if maintained is None else maintained.isoformat(),
    }
    _own_tokens.add(token)
    try:
        _create(files, number + 1, own)
        for old in range(max(0, number - 1), number + 1):
            with contextlib.suppress(StorageError):
                files.remove(_path(old))
        try:
            yield
        finally:
            try:
                files.put(_path(number + 1), json.dumps({**own, "released": True}).encode())
            except StorageError:  # do not hide the outcome of the job
                with contextlib.suppress(StorageError):
                    files.remove(_path(number + 1))  # works on a full disk, too
    finally:
        _own_tokens.discard(token)


def last_maintenance(files: Files) -> datetime | None:
    """Return the start (in UTC) of the last maintenance job; None if unknown.

    Args:
        files: The files of the store's log.
    """
    number = _newest_number(files)
    newest = _read(files, number) if number >= 0 else None
    return None if newest is None else _maintained(newest)


def _maintained(lease: dict[str, Any]) -> datetime | None:
    """Return when the last maintenance job started, according to *lease*.

    If *lease* belongs to a maintenance job, this job is the last one. Otherwise, *lease* may record an earlier job.
    If it does not, the result is None.
    """
    if lease["job"] in _JOBS:
        return datetime.fromisoformat(lease["until"]) - _DURATION
    earlier = lease.get("maintained")
    return None if earlier is None else datetime.fromisoformat(earlier)


def _newest_number(files: Files) -> int:
    """Return the number of the newest lease, or -1 if no lease is stored."""
    names = (_NAME.fullmatch(entry.path) for entry in files.list(_FOLDER))
    return max((int(name[1]) for name in names if name), default=-1)


def _create(files: Files, number: int, own: dict[str, Any]) -> None:
    """Create the lease with this *number*.

    If another job has already created this lease, raise an error. After a storage error, the stored token shows
    whether the lease was created.
    """
    try:
        if files.create(_path(number), json.dumps(own).encode()):
            return
    except StorageError:
        stored = _read(files, number)
        if stored is None or stored["token"] != own["token"]:
            raise
        return
    stored = _read(files, number) or {**own, "token": None}
    if stored["token"] != own["token"]:
        raise _conflict(stored)


def _path(number: int) -> str:
    return f"{_FOLDER}/{number:020d}.json"


def _read(files: Files, number: int) -> dict[str, Any] | None:
    """Return the lease with this *number*, or None if it is missing or damaged."""
    try:
        lease: dict[str, Any] = json.loads(files.read(_path(number)))
        lease["until"] = datetime.fromisoformat(lease["until"]).astimezone(UTC).isoformat()
        lease["process"] = int(lease["process"])
        if lease.get("maintained") is not None:  # leases of earlier versions lack it
            lease["maintained"] = datetime.fromisoformat(lease["maintained"]).astimezone(UTC).isoformat()
        return lease if {"job", "host", "token", "released"} <= set(lease) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _is_active(lease: dict[str, Any]) -> bool:
    """Return whether the job that holds *lease* may still be running."""
    if lease["released"] or datetime.fromisoformat(lease["until"]) <= datetime.now(UTC):
        return False
    if lease["host"] != socket.gethostname():
        return True
    if lease["process"] == os.getpid():
        return lease["token"] in _own_tokens
    try:
        os.kill(lease["process"], 0)  # signal 0 is not sent: it checks that the process exists
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _conflict(lease: dict[str, Any]) -> ConflictError:
    job = _LABELS.get(lease["job"], lease["job"])
    return ConflictError(
        f"The job {job} is running on {lease['host']}, in process {lease['process']}. Its lease ends at "
        f"{lease['until']} at the latest. Try again when the job has ended."
    )
