"""The files of a sample office: an Asterisk CDR file and recordings."""

from __future__ import annotations

import os
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

from cdrkit._model import UTC, check_zone, zone
from cdrkit.errors import AccessDeniedError, ConfigError, StorageError
from cdrkit.samples.arguments import check_count, check_instant
from cdrkit.samples.exchange import KNOWN_NUMBER, Exchange
from cdrkit.samples.recordings import write_tones

__all__ = ["Office", "write_office"]

_LONGEST_RECORDING: Final = 6  # seconds


@attrs.frozen(kw_only=True)
class Office:
    """The paths and properties of a sample office that `write_office` generated.

    Example:
        >>> from cdrkit.samples import write_office
        >>> office = write_office("sample-office", calls=10)
        >>> office.calls, office.timezone
        (10, 'Europe/London')

    Attributes:
        folder: The folder with all files.
        master: The path of the Asterisk ``Master.csv``. Its timestamps are local times of *timezone*.
        recordings: The folder with the recordings. The column ``userfield`` holds paths below it.
        calls: The number of rows in the file.
        number: A number in national form. In an office of 200 calls or more, at least 20 rows have it, in several
            notations.
        timezone: IANA name of the time zone of the timestamps.
    """

    folder: str
    master: str
    recordings: str
    calls: int
    number: str
    timezone: str


def write_office(
    folder: str | os.PathLike[str],
    *,
    calls: int = 3000,
    days: int = 14,
    seed: int = 1,
    now: datetime | None = None,
    timezone: str = "Europe/London",
) -> Office:
    """Generate the Asterisk files of a sample office.

    The files are ``Master.csv`` and recordings of the latest calls. The file has 18 columns (``loguniqueid`` and
    ``loguserfield`` are on), timestamps in local time without an offset, and rows in the order in which calls ended.
    Inbound calls may ring three telephones at once, which gives three rows with one unique id. Most numbers are
    British ones reserved for drama, in national form. Up to 40 of the latest answered calls have a recording: at most
    six seconds of tones, WAV, 16 bits, mono, 8 kHz.

    Equal arguments give equal bytes. An earlier ``Master.csv`` in the folder is replaced; earlier recordings stay.

    Example:
        >>> import tempfile
        >>> from cdrkit.samples import write_office
        >>> folder = tempfile.TemporaryDirectory()
        >>> office = write_office(folder.name, calls=250)
        >>> office.number
        '020 7946 0018'
        >>> folder.cleanup()

    Args:
        folder: A local folder, which is created if it does not exist.
        calls: The number of rows, from 1 to 1,000,000.
        days: The length of the period before *now* in which the calls begin, in days of 24 hours.
        seed: The seed of the random numbers; another seed gives other calls.
        now: An aware instant by which every call has ended. None: the current time.
        timezone: IANA name of the time zone of the office and of its timestamps.

    Returns:
        The paths of the files, and a number to search for.

    Raises:
        ConfigError: When a count is out of its range, *now* is naive, or the zone is unknown.
        AccessDeniedError: When the permissions of the folder forbid writing.
        StorageError: When writing fails for another reason.
    """
    check_count("calls", calls, at_least=1, at_most=1_000_000)
    check_count("days", days, at_least=1, at_most=3650)
    check_count("seed", seed, at_least=0, at_most=2**64 - 1)
    now = datetime.now(UTC) if now is None else check_instant("now", now)
    timezone = check_zone(timezone)
    local = zone(timezone)
    try:
        until = now.astimezone(UTC).replace(microsecond=0)
        legs = Exchange(
            random=random.Random(seed), first=until - timedelta(days=days), until=until, local=local
        ).legs(calls)
    except OverflowError as exc:
        raise ConfigError(
            f"The {days} days before now={now.isoformat()} must lie within the years 1 to 9999. "
            "Give fewer days or another time."
        ) from exc
    root = Path(folder).absolute()
    office = Office(
        folder=str(root),
        master=str(root / "Master.csv"),
        recordings=str(root / "recordings"),
        calls=len(legs),
        number=KNOWN_NUMBER,
        timezone=timezone,
    )
    try:
        root.mkdir(parents=True, exist_ok=True)
        for leg in legs:
            if leg.recording:
                target = Path(office.recordings, leg.recording)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_tones(target, min(leg.talk, _LONGEST_RECORDING), random.Random(leg.unique_id))
        Path(office.master).write_bytes("".join(leg.line(local) for leg in legs).encode())
    except PermissionError as exc:
        raise AccessDeniedError(
            f"The files of the sample office cannot be written to {root}: {exc.strerror}. Choose a folder that you may "
            "write to.",
            url=str(root),
        ) from exc
    except OSError as exc:
        raise StorageError(
            f"The files of the sample office cannot be written to {root}: {exc.strerror}. Choose another folder.",
            url=str(root),
        ) from exc
    return office
