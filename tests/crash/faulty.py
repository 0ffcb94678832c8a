"""A service that fails: an fsspec filesystem in memory whose calls raise, before or after they took effect."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

KINDS: tuple[type[OSError], ...] = (OSError, TimeoutError, ConnectionResetError, PermissionError)


class Faults:
    """When a call of the service fails, and how."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.rate = 0.0
        self.reached: list[str] = []

    def strike(self, what: str) -> bool:
        """Return whether something goes wrong now."""
        if self.rng.random() >= self.rate:
            return False
        self.reached.append(what)
        return True

    def around(self, what: str) -> tuple[bool, bool]:
        """Return whether a call fails before it takes effect, and whether its answer is lost after it did."""
        before = self.strike(f"{what} failed")
        return before, not before and self.strike(f"answer of {what} lost")

    def error(self) -> OSError:
        """Return what the call raises."""
        return self.rng.choice(KINDS)("a fault on purpose")


class FaultyFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Files in memory behind a service that fails as `faults` says; creation is exclusive."""

    protocol = "faulty"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    faults: ClassVar[Faults] = Faults(0)
    listing: ClassVar[dict[str, Any]] = {}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        before, after = self.faults.around(f"write of {path}")
        if before:
            raise self.faults.error()
        super().pipe_file(path, value, mode=mode, **kwargs)
        if after:
            raise self.faults.error()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        if self.faults.strike(f"read of {path} failed"):
            raise self.faults.error()
        found: bytes = super().cat_file(path, start=start, end=end, **kwargs)
        if found and self.faults.strike(f"read of {path} cut short"):
            return found[: self.faults.rng.randrange(len(found))]
        return found

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if self.faults.strike(f"listing of {path} failed"):
            raise self.faults.error()
        stale = path in self.listing and self.faults.strike(f"listing of {path} stale")
        if not stale:
            self.listing[path] = super().find(path, *args, **kwargs)
        return dict(self.listing[path])

    def info(self, path: str, **kwargs: Any) -> Any:
        if self.faults.strike(f"look at {path} failed"):
            raise self.faults.error()
        return super().info(path, **kwargs)

    def rm_file(self, path: str) -> None:
        before, after = self.faults.around(f"removal of {path}")
        if before:
            raise self.faults.error()
        super().rm_file(path)
        if after:
            raise self.faults.error()


def new_service(seed: int) -> Faults:
    """Make the service empty and faultless, and return its faults."""
    fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
    FaultyFileSystem.store.clear()
    FaultyFileSystem.listing.clear()
    FaultyFileSystem.faults = Faults(seed)
    return FaultyFileSystem.faults
