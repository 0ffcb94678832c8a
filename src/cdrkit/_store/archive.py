"""Bulk download of warm months, piece by piece, so that a download that was cut off goes on where it stopped."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Final, Literal, TypeAlias

import attrs
import pyarrow as pa

from cdrkit._files import Files, is_url, open_files, split_url, translate_errors
from cdrkit._model import FIELDS
from cdrkit._output import write_frames
from cdrkit._text import html_table
from cdrkit.errors import ConfigError, CorruptDataError, NotFoundError, QueryError
from cdrkit.storage.log import Log, Segment, identity_of, month_of
from cdrkit.storage.tiers import Tier

__all__ = ["Archive", "ArchiveMonth"]

_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_PIECE: Final = re.compile(r"(.+)\.(?:first|next)\.csv\.(?:gz|zst)")
_PARQUET: Final = ".parquet"
_BLOCK: Final = 1 << 20
_FETCHED: Final = 8 << 20  # bytes that are asked for at once

ArchiveFormat: TypeAlias = Literal["parquet", "csv.gz", "csv.zst"]


@attrs.frozen(kw_only=True)
class ArchiveMonth:
    """One UTC month of the warm tier.

    Attributes:
        month: As ``2026-08``.
        items: How many files it is kept in.
        rows: How many calls.
        size_bytes: How large the files are together, compressed as they are.
    """

    month: str
    items: int
    rows: int
    size_bytes: int


class Archive:
    """The warm months of a store, for bulk download; ``Store.archive`` gives it."""

    def __init__(self, log: Log, warm: Tier, warm_files: Files | None) -> None:
        self._log = log
        self._warm = warm
        self._files = warm_files

    def months(self) -> list[ArchiveMonth]:
        """Return the months that are in the warm tier, earliest first."""
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
        found: dict[str, list[Segment]] = defaultdict(list)
        for segment in self._log.snapshot().segments.values():
            if segment.tier == self._warm.name:
                found[month_of(segment.first)].append(segment)
        return found

    def download(
        self,
        month: str,
        dest: str | os.PathLike[str],
        *,
        format: ArchiveFormat = "parquet",
        progress: Callable[[int, int | None], None] | None = None,
    ) -> str:
        """Copy a month out of the warm tier.

        What was cut off is taken up again by calling it once more: pieces that are whole stay. Beside the result lies
        ``<dest>.sha256`` (in the folder ``SHA256SUMS``), in the form that ``sha256sum --check`` reads.

        Args:
            month: As ``2026-08``.
            dest: A local path: of a folder for ``parquet``, which gets the month's files as they are, beside those of
                other months; of one file for ``csv.gz`` and ``csv.zst``, with every field, in UTC, in order.
            format: ``parquet``, ``csv.gz`` or ``csv.zst``.
            progress: Called with the calls done and all there are.

        Returns:
            *dest*.

        Raises:
            NotFoundError: When that month is not in the warm tier.
            QueryError: When *month* is not one.
            ConfigError: When the format is unknown, or *dest* is a URL, or no such path; or of ``parquet``, when the
                warm tier is of another kind.
            CorruptDataError: When what was read is not what was stored.
        """
        if not isinstance(month, str) or not _MONTH.fullmatch(month):
            raise QueryError(f"A month is written as 2026-08, not {month!r}.", parameter="month")
        if format not in ("parquet", "csv.gz", "csv.zst"):
            raise ConfigError(f"format cannot be {format!r}; give 'parquet', 'csv.gz' or 'csv.zst'.")
        segments = sorted(self._months().get(month, []), key=lambda segment: (segment.first, segment.id))
        if not segments:
            known = ", ".join(item.month for item in self.months()) or "none"
            raise NotFoundError(f"The month {month} is not in the warm tier; there are: {known}.")
        if format == "parquet" and self._files is None:
            raise ConfigError(
                f"The tier {self._warm.name!r} keeps no Parquet that could be downloaded as it is; take 'csv.gz' or "
                "'csv.zst'."
            )
        target = _checked_target(dest, format)
        folder = target if format == "parquet" else f"{target}.parts"
        pieces = _Pieces(folder)
        total = sum(segment.rows for segment in segments)
        done = 0
        names: list[str] = []
        for number, segment in enumerate(segments):
            name = _piece_name(segment, number, format)
            names.append(name)
            if format == "parquet" and self._files is not None:
                pieces.copy(name, self._files, segment)
            else:
                pieces.make(name, lambda sink, s=segment, n=number: self._write_csv(s, sink, format, n == 0))  # type: ignore[misc]
            done += segment.rows
            if progress is not None:
                progress(done, total)
        if format == "parquet":
            pieces.keep_only(names, month)
        else:
            pieces.join(names, target)
        return target

    def _write_csv(self, segment: Segment, sink: IO[bytes], format: str, first: bool) -> None:
        """Write one segment as a compressed stream of its own: such streams may stand one after the other."""
        frame = self._warm.read(segment, [*FIELDS])
        write_frames(
            [frame], tuple(FIELDS), sink, header=first, compression="gzip" if format == "csv.gz" else "zstd"
        )


def _checked_target(dest: object, format: str) -> str:
    """Return *dest* as a path, where a download of that format can go to."""
    if not isinstance(dest, (str, os.PathLike)) or not isinstance(target := os.fspath(dest), str):
        raise ConfigError(f"A download goes to a local path, not to {dest!r}.")
    if is_url(target):
        raise ConfigError(f"A download goes to a local path, not to {target!r}.")
    if format != "parquet":
        split_url(target)  # is there a name?
        if os.path.isdir(target):
            raise ConfigError(f"{target!r} is a folder; give the name of a file for {format!r}.")
    return target


def _piece_name(segment: Segment, number: int, format: str) -> str:
    if format == "parquet":
        return segment.path.rpartition("/")[2]
    return f"{segment.id}.{'first' if number == 0 else 'next'}.{format}"


def _is_piece(name: str) -> bool:
    """Return whether a file of that name is a piece of a file that is made of several."""
    found = _PIECE.fullmatch(name)
    return found is not None and identity_of(found[1], "") is not None


def _part_suffix(month: str) -> str:
    """Return what the name of a file of *month* has at its end while it is fetched."""
    return f".{month}.part"


def _month_in(path: str) -> str | None:
    """Return the month that a file of the warm tier says it is of; None where it says nothing."""
    import pyarrow.parquet as pq

    try:
        about = json.loads((pq.read_metadata(path).metadata or {})[b"cdrkit"])
        return month_of(datetime.fromisoformat(about["first"]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


class _Pieces:
    """A local folder of pieces: each appears whole, with its SHA-256 known, or not at all."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files = open_files(folder)
        self._sums_path = "SHA256SUMS"
        self._sums: dict[str, str] = {}
        if self._files.size(self._sums_path) is not None:
            # What is damaged is a sum of nothing: its pieces are made anew.
            for line in self._files.read(self._sums_path).decode(errors="replace").splitlines():
                digest, _, name = line.partition("  ")
                if name:
                    self._sums[name] = digest

    def _is_whole(self, name: str) -> bool:
        return (
            name in self._sums
            and self._files.size(name) is not None
            and self._digest(name) == self._sums[name]
        )

    def _digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self._files.open(name) as file:
            while block := file.read(_BLOCK):
                found.update(block)
        return found.hexdigest()

    def make(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a piece, unless it is there whole."""
        if self._is_whole(name):
            return
        with self._files.writer(name) as sink:
            write(sink)
        self._sums[name] = self._digest(name)
        self._write_sums(self._sums)

    def copy(self, name: str, source: Files, segment: Segment) -> None:
        """Copy a segment's file, going on behind what is there of it, unless it is there whole."""
        if self._is_whole(name):
            return
        part = f"{name}{_part_suffix(month_of(segment.first))}"
        path = os.path.join(self._folder, part)
        with translate_errors(path, "write"):
            os.makedirs(self._folder, exist_ok=True)
            while True:
                before = self._go_on(path, source, segment)
                with open(path, "rb") as file:
                    found = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
                if found == segment.checksum:
                    break
                os.unlink(path)
                if not before:
                    url = source.url_of(segment.path)
                    raise CorruptDataError(
                        f"{url} came out damaged; download it again; if that stays so, run verify().", url=url
                    )
            # The sum first: of a file that has none, nobody would know that it came from here.
            self._sums[name] = self._digest(part)
            self._write_sums(self._sums)
            os.replace(path, os.path.join(self._folder, name))

    @staticmethod
    def _go_on(path: str, source: Files, segment: Segment) -> int:
        """Fetch what is missing at the end of *path*; return how many bytes there were before."""
        with open(path, "ab") as file:
            before = file.tell()
            while (at := file.tell()) < segment.size_bytes:
                block = source.read(segment.path, at, min(at + _FETCHED, segment.size_bytes))
                if not block:
                    break
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return before

    def keep_only(self, names: list[str], month: str) -> None:
        """Remove pieces of an earlier download of *month*, from before it was written anew."""
        # The folder need not be the month's alone: sums of other months, and of other files, may stand there, too.
        for stale in {name for name in self._sums if identity_of(name, _PARQUET)} - set(names):
            if self._files.size(stale) is None:
                del self._sums[stale]
            elif _month_in(os.path.join(self._folder, stale)) == month:
                self._files.remove(stale)
                del self._sums[stale]
        suffix = _part_suffix(month)
        with translate_errors(self._folder, "list"):
            there = os.listdir(self._folder)
        for entry in there:
            if entry.endswith(suffix) and identity_of(entry.removesuffix(suffix), _PARQUET):
                self._files.remove(entry)  # cut off, and then the month was written anew
        self._write_sums(self._sums)

    def _write_sums(self, sums: Mapping[str, str]) -> None:
        self._files.put(
            self._sums_path, "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
        )

    def join(self, names: list[str], target: str) -> None:
        """Put the pieces one after the other into *target*, which appears whole, and remove them."""
        head, name = os.path.split(os.path.abspath(target))
        files = open_files(head)
        whole = hashlib.sha256()
        with files.writer(name) as sink:
            for piece in names:
                with self._files.open(piece) as file:
                    while block := file.read(_BLOCK):
                        whole.update(block)
                        sink.write(block)
        files.put(f"{name}.sha256", f"{whole.hexdigest()}  {name}\n".encode())
        self._remove()

    def _remove(self) -> None:
        """Remove every piece, and the folder, unless it was somebody's before and has other files."""
        with translate_errors(self._folder, "remove"):
            for entry in filter(_is_piece, os.listdir(self._folder)):
                self._files.remove(entry)
            if others := {name: digest for name, digest in self._sums.items() if not _is_piece(name)}:
                self._write_sums(others)
            else:
                self._files.remove(self._sums_path)
            self._files.remove_temporary(datetime.now(UTC))
            try:
                os.rmdir(self._folder)
            except OSError as exc:
                if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
