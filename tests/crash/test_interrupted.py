"""An interruption (Ctrl-C) at any step: the store object stays usable, and no batch is lost or partly stored."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cdrkit import open_store
from cdrkit._files import local
from tests.crash.model import STEPPED, Operation, Runs, State, after, check_whole, log_of, perform


class Interrupts:
    """Raises KeyboardInterrupt at the step numbered *at*, once: before or after each change of the local disk."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.steps = 0

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            raise KeyboardInterrupt

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put the steps in."""
        for name in ("link", "replace", "unlink", "mkdir", "fsync", "stat"):
            patch.setattr(os, name, self._around(getattr(os, name)))
        patch.setattr(local.LocalFiles, "read", self._around(local.LocalFiles.read))

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = original(*args, **kwargs)
            self._step()
            return result

        return interrupted


def steps_of(source: Path, folder: Path, operation: Operation) -> int:
    """Return how many steps *operation* takes on a copy of *source* in *folder*."""
    shutil.copytree(source, folder)
    counter, store = Interrupts(0), open_store(folder)
    with pytest.MonkeyPatch.context() as patch:
        counter.install(patch)
        perform(store, log_of(folder), operation)
    return counter.steps


@pytest.mark.parametrize("name", STEPPED)
def test_interrupted_at_a_step(name: str, template: tuple[Path, State], tmp_path: Path, runs: Runs) -> None:
    """Interrupted at any step, the same store holds what it held before or after it; done again, it is done."""
    source, before = template
    operation = STEPPED[name]
    steps = steps_of(source, tmp_path / "whole", operation)
    assert steps > 4
    for at in runs.some(range(1, steps + 1), 4):
        folder = tmp_path / f"store-{at}"
        shutil.copytree(source, folder)
        store, log = open_store(folder), log_of(folder)
        with pytest.MonkeyPatch.context() as patch:
            Interrupts(at).install(patch)
            with contextlib.suppress(KeyboardInterrupt):
                perform(store, log, operation)
        story = f"{operation} interrupted at step {at} of {steps}"
        states = [before, after(before, operation)]
        check_whole(store, states, story)
        check_whole(open_store(folder), states, story)
        perform(store, log, operation)
        check_whole(open_store(folder), states[1:], story)
        shutil.rmtree(folder)
