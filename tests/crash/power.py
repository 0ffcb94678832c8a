"""A local disk that can lose power: it keeps flushed content, and of the rest the worst combination.

A file keeps what it held when it was flushed last. A folder keeps the names that it had when it was flushed last; of
changes since then, all or none may have come through, or only that names are gone. Real disks keep more, never less.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import attrs
import pytest

from cdrkit._files import local

#: What became of changes to folders that were not flushed.
Fate: TypeAlias = Literal["none came through", "all came through", "only removals came through"]
FATES: tuple[Fate, ...] = ("none came through", "all came through", "only removals came through")

#: What lies below a folder: each path with what the file holds; None: it is a folder.
Image: TypeAlias = frozenset[tuple[str, bytes | None]]


def write_image(image: Image, target: Path) -> None:
    """Make *target* a folder that holds *image*."""
    target.mkdir()
    for path, data in sorted(image, key=lambda each: each[0]):
        if data is None:
            (target / path).mkdir()
        else:
            (target / path).write_bytes(data)


@attrs.define(eq=False)
class File:
    """A file, whatever its name: what it holds if power fails now."""

    flushed: bytes = b""


@attrs.define(eq=False)
class Folder:
    """A folder: its names now, and when it was flushed last."""

    now: dict[str, File | Folder] = attrs.field(factory=dict)
    flushed: dict[str, File | Folder] = attrs.field(factory=dict)

    def left(self, fate: Fate) -> dict[str, File | Folder]:
        """Return what is in it after power failed."""
        if fate == "all came through":
            return self.now
        if fate == "none came through":
            return self.flushed
        return {name: thing for name, thing in self.flushed.items() if name in self.now}


class Disk:
    """The local disk below *root*, as it is and as it would be if power failed; *step* is called after each change."""

    def __init__(self, root: Path, step: Callable[[str], None]) -> None:
        self._root = str(root)
        self._step = step
        self._top = self._read(root)

    def _read(self, folder: Path) -> Folder:
        found = Folder()
        for path in folder.iterdir():
            found.now[path.name] = self._read(path) if path.is_dir() else File(path.read_bytes())
        found.flushed = dict(found.now)
        return found

    def _at(self, path: str) -> Any:
        """Return the folder or file at *path*, or None when that is not below the root."""
        if path != self._root and not path.startswith(self._root + os.sep):
            return None
        found: File | Folder = self._top
        for name in os.path.relpath(path, self._root).split(os.sep):
            if name != ".":
                assert isinstance(found, Folder)
                found = found.now[name]
        return found

    def image(self, fate: Fate) -> Image:
        """Return what would be left if power failed now."""
        return frozenset(self._left(self._top, "", fate))

    def _left(self, folder: Folder, path: str, fate: Fate) -> Iterator[tuple[str, bytes | None]]:
        for name, thing in folder.left(fate).items():
            if isinstance(thing, Folder):
                yield path + name, None
                yield from self._left(thing, f"{path}{name}/", fate)
            else:
                yield path + name, thing.flushed

    # -- what happens to it -----------------------------------------------------------------------------------

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Watch what the store does to its files."""
        for name in ("link", "replace", "unlink", "mkdir", "fsync"):
            patch.setattr(os, name, self._after(getattr(os, name), getattr(self, f"_{name}")))
        patch.setattr(local, "open", self._open, raising=False)

    def _after(self, original: Callable[..., Any], record: Callable[..., None]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            record(*args)
            return result

        return watched

    def _parent(self, path: str) -> Folder | None:
        found: Folder | None = self._at(os.path.dirname(path))
        return found

    def _open(self, path: str, mode: str) -> IO[bytes]:
        file: IO[bytes] = builtins.open(path, mode)  # noqa: SIM115  # the caller closes it
        if "x" in mode and (folder := self._parent(path)) is not None:
            folder.now[os.path.basename(path)] = File()
        return file

    def _link(self, source: str, target: str) -> None:
        if (folder := self._parent(target)) is not None:
            folder.now[os.path.basename(target)] = self._at(source)
            self._step(f"link {target}")

    def _replace(self, source: str, target: str) -> None:
        if (folder := self._parent(target)) is not None:
            folder.now[os.path.basename(target)] = self._at(source)
            del self._at(os.path.dirname(source)).now[os.path.basename(source)]
            self._step(f"replace {target}")

    def _unlink(self, path: str) -> None:
        if (folder := self._parent(path)) is not None:
            del folder.now[os.path.basename(path)]
            self._step(f"unlink {path}")

    def _mkdir(self, path: str, *_: object) -> None:
        if (folder := self._parent(path)) is not None:
            folder.now[os.path.basename(path)] = Folder()
            self._step(f"mkdir {path}")

    def _fsync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        thing = self._at(path)
        if isinstance(thing, Folder):
            thing.flushed = dict(thing.now)
        elif isinstance(thing, File):
            thing.flushed = Path(path).read_bytes()
        self._step(f"fsync {path}")
