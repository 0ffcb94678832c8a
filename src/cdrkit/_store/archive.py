"""The archive: the months of the warm tier, and their download as Parquet or CSV."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import IO, Final, Literal

import attrs

from cdrkit._files import Files, is_url, split_url
from cdrkit._model import FIELDS
from cdrkit._output import write_frames
from cdrkit._store.download_folder import DownloadFolder
from cdrkit._text import html_table
from cdrkit.errors import ConfigError, NotFoundError, QueryError
from cdrkit.storage.log import Log, Segment, month_of
from cdrkit.storage.tiers import Tier

__all__ = ["Archive", "ArchiveMonth"]

_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_FORMATS: Final = ("parquet", "csv.gz", "csv.zst")
#: The suffix of a file name, in lower case. Digits, as in ``calls.2026``, are not a suffix.
_FILE_SUFFIX: Final = re.compile(r"\.[a-z][a-z0-9]{1,9}", re.ASCII)


@attrs.frozen(kw_only=True)
class ArchiveMonth:
    """A UTC month of the warm tier.

    Example:
        >>> from cdrkit import ArchiveMonth
        >>> month = ArchiveMonth(month="2026-08", items=1, rows=100, size_bytes=20_000)
        >>> month.size_bytes / month.rows
        200.0

    Attributes:
        month: The month, such as ``2026-08``.
        items: The number of files.
        rows: The number of calls.
        size_bytes: The size of the files in bytes.
    """

    month: str
    items: int
    rows: int
    size_bytes: int


class Archive:
    """The months of a store's warm tier, for bulk download.

    `Store.archive` returns it.

    Example:
        >>> import cdrkit
        >>> cdrkit.open_store("memory://archive-example").archive.months()
        []
    """

    def __init__(self, log: Log, warm: Tier, warm_files: Files | None) -> None:
        self._log = log
        self._warm = warm
        self._files = warm_files

    def months(self) -> list[ArchiveMonth]:
        """Return the months of the warm tier, earliest first.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://months-example")
            >>> _ = store.append(synthesize_calls(100, days=7, end=datetime(2026, 8, 8, tzinfo=timezone.utc)))
            >>> _ = store.maintenance.move_to_warm(now=datetime(2026, 12, 1, tzinfo=timezone.utc))
            >>> [(month.month, month.rows) for month in store.archive.months()]
            [('2026-08', 100)]

        Raises:
            StorageError: When the log cannot be read.
        """
        return [
            ArchiveMonth(
                month=month,
                items=len(segments),
                rows=sum(segment.rows for segment in segments),
                size_bytes=sum(segment.size_bytes for segment in segments),
            )
            for month, segments in sorted(self._months().items())
        ]

    def _repr_html_(self) -> str:
        rows = [
            [month.month, f"{month.items:,}", f"{month.rows:,}", f"{month.size_bytes:,}"]
            for month in self.months()
        ]
        heads = ["Month (UTC)", "Files", "Calls", "Bytes, compressed"]
        return html_table(heads, rows, title="Warm months", note="" if rows else "No month is warm yet.")

    def _months(self) -> Mapping[str, list[Segment]]:
        months: dict[str, list[Segment]] = defaultdict(list)
        for segment in self._log.snapshot().segments.values():
            if segment.tier == self._warm.name:
                months[month_of(segment.first)].append(segment)
        return months

    def download(
        self,
        month: str,
        dest: str | os.PathLike[str],
        *,
        format: Literal["parquet", "csv.gz", "csv.zst"] = "parquet",
        progress: Callable[[int, int | None], None] | None = None,
    ) -> str:
        """Download a month of the warm tier to a local folder or file.

        Call this method again to continue an interrupted download: complete pieces are kept. The checksums are written
        next to the file, in ``<dest>.sha256``, or to ``SHA256SUMS`` in the folder. Use ``sha256sum --check`` to check
        them.

        Example:
            >>> from datetime import datetime, timezone
            >>> import cdrkit
            >>> from cdrkit.samples import synthesize_calls
            >>> store = cdrkit.open_store("memory://download-example")
            >>> _ = store.append(synthesize_calls(100, days=7, end=datetime(2026, 8, 8, tzinfo=timezone.utc)))
            >>> _ = store.maintenance.move_to_warm(now=datetime(2026, 12, 1, tzinfo=timezone.utc))
            >>> store.archive.download("2026-08", "archive")  # Parquet files into a folder
            'archive'
            >>> store.archive.download("2026-08", "calls-2026-08.csv.gz", format="csv.gz")  # one CSV
            'calls-2026-08.csv.gz'

        Args:
            month: A UTC month, such as ``2026-08``.
            dest: A local path. For ``parquet``, a folder that receives unchanged copies of the month's files. The
                folder may also hold other months. For ``csv.gz`` and ``csv.zst``, a file that receives the calls in
                order, with every field, and with instants in UTC.
            format: ``parquet``, ``csv.gz`` or ``csv.zst``.
            progress: A function that receives the number of calls downloaded so far and the total number.

        Returns:
            *dest* as a string.

        Raises:
            NotFoundError: When the month is not in the warm tier.
            QueryError: When *month* is not a month.
            ConfigError: When the format is unknown or does not fit *dest*, or *dest* is not a local path. For
                ``parquet``, also when the warm tier does not store Parquet files.
            CorruptDataError: When a file does not match its checksum.
            StorageError: When a file cannot be read or written.
        """
        if not isinstance(month, str) or not _MONTH.fullmatch(month):
            raise QueryError(f"{month!r} is not a month. Give a month such as '2026-08'.", parameter="month")
        if format not in _FORMATS:
            raise ConfigError(f"format={format!r} is unknown. Give 'parquet', 'csv.gz' or 'csv.zst'.")
        segments = sorted(self._months().get(month, []), key=lambda segment: (segment.first, segment.id))
        if not segments:
            known = ", ".join(item.month for item in self.months()) or "none"
            raise NotFoundError(
                f"The month {month} is not in the warm tier. Months of the warm tier: {known}."
            )
        if format == "parquet" and self._files is None:
            raise ConfigError(
                f"The tier {self._warm.name!r} does not store Parquet files. Use the format 'csv.gz' or 'csv.zst'."
            )
        target = _check_target(dest, format)
        folder = target if format == "parquet" else f"{target}.parts"
        pieces = DownloadFolder(folder)
        total = sum(segment.rows for segment in segments)
        done = 0
        names: list[str] = []
        for number, segment in enumerate(segments):
            name = _piece_name(segment, number, format)
            names.append(name)
            if format == "parquet" and self._files is not None:
                pieces.copy(name, self._files, segment)
            else:
                pieces.write(name, lambda sink, s=segment, n=number: self._write_csv(s, sink, format, n == 0))  # type: ignore[misc]
            done += segment.rows
            if progress is not None:
                progress(done, total)
        if format == "parquet":
            pieces.remove_stale(names, month)
        else:
            pieces.join(names, target)
        return target

    def _write_csv(self, segment: Segment, sink: IO[bytes], format: str, first: bool) -> None:
        """Write a segment to *sink* as a complete compressed stream of CSV.

        The streams of several segments can be joined to one file.
        """
        frame = self._warm.read(segment, [*FIELDS])
        write_frames(
            [frame], tuple(FIELDS), sink, header=first, compression="gzip" if format == "csv.gz" else "zstd"
        )


def _check_target(dest: object, format: str) -> str:
    """Return *dest* as a path; raise an error if *dest* does not fit *format*.

    Raises:
        ConfigError: When *dest* is not a local path, or its name or type does not fit the format.
    """
    if not isinstance(dest, (str, os.PathLike)) or not isinstance(target := os.fspath(dest), str):
        raise ConfigError(f"{dest!r} is not a path. A download needs a local path.")
    if is_url(target):
        raise ConfigError(f"{target!r} is a URL. A download needs a local path.")
    if format == "parquet":
        suffix = os.path.splitext(target.rstrip(os.sep))[1].lower()
        # A folder of Parquet files may end in .parquet, as Spark names its folders.
        if _FILE_SUFFIX.fullmatch(suffix) and suffix != ".parquet":
            raise ConfigError(
                f"The format 'parquet' needs a folder, but {target!r} looks like a file name. To write one CSV file, "
                "give format='csv.gz' or format='csv.zst', and a name that ends in .csv.gz or .csv.zst."
            )
        return target
    split_url(target)  # raises an error for an empty name
    if os.path.isdir(target):
        raise ConfigError(f"{target!r} is a folder. The format {format!r} needs the name of a file.")
    suffix = os.path.splitext(target)[1].lower()
    if _FILE_SUFFIX.fullmatch(suffix) and suffix != f".{format.partition('.')[2]}":
        raise ConfigError(f"The format {format!r} needs a file name that ends in .{format}, not {target!r}.")
    return target


def _piece_name(segment: Segment, number: int, format: str) -> str:
    if format == "parquet":
        return segment.path.rpartition("/")[2]
    return f"{segment.id}.{'first' if number == 0 else 'next'}.{format}"
