"""The viewer as Jupyter shows it: commands come in, what is shown goes out, files leave piece by piece."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic

from cdrkit._output import DisplaySettings
from cdrkit._query import Query
from cdrkit.errors import CdrError, missing_extra
from cdrkit.viewer.state import AnswerT, CallsView

__all__ = ["Viewer"]

_NOTHING: Final[Iterator[bytes]] = iter(())


class Viewer(Generic[AnswerT]):
    """A viewer of calls in a notebook; ``Result.viewer`` makes it, and it is shown when it ends a cell.

    What it shows can be taken on: `query`, `settings` and `result` are those of the moment.
    """

    def __init__(self, view: CallsView[AnswerT]) -> None:
        self._view = view
        self._token: object = None
        self._pieces: Iterator[bytes] = _NOTHING
        self._widget = _widget_class()(choices=view.choices(), view=view.shown())
        self._widget.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"<Viewer of {self.query!r}>"

    @property
    def query(self) -> Query:
        """All calls that are shown, on whatever page: the result's query, narrowed, in the order shown."""
        return self._view.query

    @property
    def settings(self) -> DisplaySettings:
        """The zone, the columns and the length of a page."""
        return self._view.settings

    @property
    def result(self) -> AnswerT:
        """The result of `query`, in the zone that is shown: at the version of the store that the viewer looks at."""
        return self._view.result

    @property
    def widget(self) -> Any:
        """The widget itself, an ``anywidget.AnyWidget``, to be put beside others."""
        return self._widget

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self._widget._repr_mimebundle_(**options)

    def _receive(self, widget: Any, content: object, buffers: object) -> None:
        """Answer one message of the browser's; its token says which of several faces sent it."""
        command: object = dict(content) if isinstance(content, Mapping) else content
        token = command.pop("token", None) if isinstance(command, dict) else None
        if command == {"do": "more"}:
            self._send_piece(token)
            return
        shown, sending = self._view.handle(command)
        self._widget.view = shown
        if sending is not None:
            self._token, self._pieces = token, sending.pieces
            facts = {"file": sending.name, "type": sending.content_type, "use": sending.use}
            self._widget.send({"token": token, **facts})

    def _send_piece(self, token: object) -> None:
        """Send the next piece of the one file that is on its way; whoever asks for another has lost it."""
        try:
            piece = next(self._pieces, None) if token == self._token else None
        except CdrError as exc:
            self._pieces = _NOTHING
            self._widget.view = self._view.shown(error=str(exc))
            self._widget.send({"token": token, "piece": "lost"})
            return
        if piece is not None:
            self._widget.send({"token": token, "piece": "more"}, buffers=[piece])
        else:
            self._widget.send({"token": token, "piece": "end" if token == self._token else "lost"})


@functools.cache
def _widget_class() -> Any:
    try:
        import anywidget
        import traitlets
    except ImportError as exc:
        raise missing_extra("A viewer", "notebook") from exc
    files = importlib.resources.files(__package__)

    class CallsWidget(anywidget.AnyWidget):  # type: ignore[misc,unused-ignore]  # an optional package
        _esm = files.joinpath("viewer.js").read_text(encoding="utf-8")
        _css = files.joinpath("viewer.css").read_text(encoding="utf-8")
        choices = traitlets.Dict().tag(sync=True)
        view = traitlets.Dict().tag(sync=True)

    return CallsWidget
