"""The download folder: checksummed pieces that let a download resume."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Final

import pyarrow as pa

from cdrkit._files import Files, open_files, translate_errors
from cdrkit.errors import CorruptDataError
from cdrkit.storage.log import Segment, identity_of, month_of

__all__ = ["DownloadFolder"]

_PIECE: Final = re.compile(r"(.+)\.(?:first|next)\.csv\.(?:gz|zst)")
_PARQUET: Final = ".parquet"
_BLOCK_BYTES: Final = 1 << 20
_READ_BYTES: Final = 8 << 20  # bytes of one request


def _is_piece(name: str) -> bool:
    """Return whether a file is a piece of a CSV download."""
    match = _PIECE.fullmatch(name)
    return match is not None and identity_of(match[1], "") is not None


def _part_suffix(month: str) -> str:
    """Return the file name suffix for unfinished downloads of *month*."""
    return f".{month}.part"


def _month_in(path: str) -> str | None:
    """Return the month recorded in a warm tier file's metadata, or None."""
    import pyarrow.parquet as pq

    try:
        metadata = json.loads((pq.read_metadata(path).metadata or {})[b"cdrkit"])
        return month_of(datetime.fromisoformat(metadata["first"]))
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


class DownloadFolder:
    """A local folder for the pieces of a download.

    Each piece appears complete, with its SHA-256 in ``SHA256SUMS``, or not at all.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files = open_files(folder)
        self._sums_path = "SHA256SUMS"
        self._sums: dict[str, str] = {}
        if self._files.size(self._sums_path) is not None:
            # A damaged line names no piece, so that piece is downloaded again.
            for line in self._files.read(self._sums_path).decode(errors="replace").splitlines():
                digest, _, name = line.partition("  ")
                if name:
                    self._sums[name] = digest

    def _is_complete(self, name: str) -> bool:
        return (
            name in self._sums
            and self._files.size(name) is not None
            and self._digest(name) == self._sums[name]
        )

    def _digest(self, name: str) -> str:
        checksum = hashlib.sha256()
        with self._files.open(name) as file:
            while block := file.read(_BLOCK_BYTES):
                checksum.update(block)
        return checksum.hexdigest()

    def write(self, name: str, write_to: Callable[[IO[bytes]], None]) -> None:
        """Write one piece of the download, unless the piece is already complete."""
        if self._is_complete(name):
            return
        with self._files.writer(name) as sink:
            write_to(sink)
        self._sums[name] = self._digest(name)
        self._write_sums(self._sums)

    def copy(self, name: str, source: Files, segment: Segment) -> None:
        """Download a segment's file, or resume an interrupted download.

        A file that is already complete is not copied again.

        Raises:
            CorruptDataError: When the file does not match the checksum in the log.
        """
        if self._is_complete(name):
            return
        part = f"{name}{_part_suffix(month_of(segment.first))}"
        path = os.path.join(self._folder, part)
        with translate_errors(path, "write"):
            os.makedirs(self._folder, exist_ok=True)
            while True:
                before = self._continue(path, source, segment)
                with open(path, "rb") as file:
                    checksum = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
                if checksum == segment.checksum:
                    break
                os.unlink(path)
                if not before:
                    url = source.url_of(segment.path)
                    raise CorruptDataError(
                        f"{url} does not match its checksum. Download it again. If this fails again, run "
                        "maintenance.verify().",
                        url=url,
                    )
            # Write the checksum first: a file without a checksum would not count as a piece of this download.
            self._sums[name] = self._digest(part)
            self._write_sums(self._sums)
            os.replace(path, os.path.join(self._folder, name))

    @staticmethod
    def _continue(path: str, source: Files, segment: Segment) -> int:
        """Download the rest of the file *path*; return how many bytes it had before."""
        with open(path, "ab") as file:
            before = file.tell()
            while (at := file.tell()) < segment.size_bytes:
                block = source.read(segment.path, at, min(at + _READ_BYTES, segment.size_bytes))
                if not block:
                    break
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        return before

    def remove_stale(self, names: list[str], month: str) -> None:
        """Remove the outdated files of *month*: every segment file not in *names*."""
        # The folder may also hold other months and other files, each with a checksum.
        for stale in {name for name in self._sums if identity_of(name, _PARQUET)} - set(names):
            if self._files.size(stale) is None:
                del self._sums[stale]
            elif _month_in(os.path.join(self._folder, stale)) == month:
                self._files.remove(stale)
                del self._sums[stale]
        suffix = _part_suffix(month)
        with translate_errors(self._folder, "list"):
            entries = os.listdir(self._folder)
        for entry in entries:
            if entry.endswith(suffix) and identity_of(entry.removesuffix(suffix), _PARQUET):
                self._files.remove(entry)  # an interrupted copy of a replaced file
        self._write_sums(self._sums)

    def _write_sums(self, sums: Mapping[str, str]) -> None:
        self._files.put(
            self._sums_path, "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
        )

    def join(self, names: list[str], target: str) -> None:
        """Concatenate the pieces into *target*, atomically, and remove the pieces."""
        head, name = os.path.split(os.path.abspath(target))
        files = open_files(head)
        whole = hashlib.sha256()
        with files.writer(name) as sink:
            for piece in names:
                with self._files.open(piece) as file:
                    while block := file.read(_BLOCK_BYTES):
                        whole.update(block)
                        sink.write(block)
        files.put(f"{name}.sha256", f"{whole.hexdigest()}  {name}\n".encode())
        self._remove()

    def _remove(self) -> None:
        """Remove every piece, and remove the folder if no other file remains."""
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
