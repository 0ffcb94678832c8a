"""The process that is killed: it runs operations on a store and records each one that returned.

Run as ``python -m tests.crash.victim FOLDER NOTES random SEED STATE`` it does operations of its own choice until it is
killed; as ``… steps N OPERATION`` it does one operation and kills itself at the step numbered N, or, when it has
fewer, prints the names of them all.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import json
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cdrkit import open_store
from cdrkit._files import local
from tests.crash.model import CODES, Operation, State, after, log_of, perform


class Steps:
    """Counts the named steps of an operation; at the one numbered *fatal* the process is killed."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.names: list[str] = []

    def __call__(self, name: str) -> None:
        if len(self.names) == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.names.append(name)

    def around(self, owner: Any, method: str, *, before: bool = True, after: bool = True) -> None:
        """Make a step before and one after each call of that method or function."""
        original: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(original)
        def stepping(*args: Any, **kwargs: Any) -> Any:
            if before:
                self(f"before {method}")
            result = original(*args, **kwargs)
            if after:
                self(f"after {method}")
            return result

        setattr(owner, method, stepping)

    def install(self) -> None:
        """Make the steps of local files: each method, and each thing that changes the disk within it."""
        for method in ("put", "create", "remove"):
            self.around(local.LocalFiles, method)
        for function in ("link", "replace", "unlink", "mkdir"):  # nothing changes between one and the next
            self.around(os, function, before=False)
        self.around(os, "fsync", after=False)
        local.open = self.torn_open  # type: ignore[attr-defined]
        writer = local.LocalFiles.writer

        @contextlib.contextmanager
        def stepping(files: local.LocalFiles, path: str) -> Iterator[IO[bytes]]:
            self("before writer")
            with writer(files, path) as file:
                yield file
            self("after writer")

        local.LocalFiles.writer = stepping  # type: ignore[method-assign, assignment]

    def torn_open(self, path: str, mode: str) -> IO[bytes]:
        """Open a file whose writes take two steps."""
        file: IO[bytes] = builtins.open(path, mode)  # noqa: SIM115  # the caller closes it
        if "x" in mode:
            original = file.write

            def write(data: memoryview) -> int:
                half = len(data) // 2
                original(data[:half])
                file.flush()
                self("half written")
                return half + original(data[half:])

            file.write = write  # type: ignore[method-assign, assignment]
        return file


def draw(rng: random.Random, state: State) -> Operation:
    """Return an operation that makes sense in *state*."""
    held = sorted(state)
    name = rng.choices(
        ["append", "again", "replace", "erase", "compact", "rollover", "vacuum", "checkpoint"],
        [8, 1, 4, 2, 2, 3, 2, 1],
    )[0]
    if name == "append" or not held:
        return ["append", max([199, *held]) + 1 + rng.randrange(4)]
    if name == "again":
        number = rng.choice(held)
        return ["replace", number, state[number]]
    if name == "replace":
        return ["replace", rng.choice(held), rng.choice(CODES)]
    if name == "erase":
        return ["erase", *rng.sample(held, min(2, len(held)))]
    return [name, "far"] if name == "vacuum" and rng.random() < 0.7 else [name]


def main(folder: str, notes: str, mode: str, number: str, rest: str) -> None:
    """Do what the module says."""
    store, log = open_store(folder), log_of(Path(folder))
    note = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def noted(what: str, operation: Operation) -> None:
        os.write(note, json.dumps([what, list(operation)]).encode() + b"\n")

    if mode == "steps":
        operation = json.loads(rest)
        store.count()  # what is imported late is imported now
        steps = Steps(int(number))
        steps.install()
        noted("begin", operation)
        perform(store, log, operation)
        steps("returned")
        noted("done", operation)
        sys.stdout.write(json.dumps(steps.names))
        return
    rng = random.Random(int(number))
    state: State = {int(key): code for key, code in json.loads(rest).items()}
    while True:
        operation = draw(rng, state)
        noted("begin", operation)
        perform(store, log, operation)
        noted("done", operation)
        state = after(state, operation)


if __name__ == "__main__":
    main(*sys.argv[1:])
