"""The notebook viewer: an anywidget that connects a `CallsView` to the browser."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic

from cdrkit._output import DisplaySettings
from cdrkit._query import Query
from cdrkit.errors import CdrError, missing_extra
from cdrkit.viewer.state import CallsView, ViewResultT

__all__ = ["Viewer"]

_NOTHING: Final[Iterator[bytes]] = iter(())


class Viewer(Generic[ViewResultT]):
    """A viewer of calls in a notebook.

    `Result.viewer` returns the viewer, and a notebook shows it at the end of a cell. `query`, `settings` and `result`
    always match the calls shown, so other cells can continue with these calls.

    Example:
        >>> import cdrkit
        >>> viewer = cdrkit.open_store("memory://shown").run().viewer(page_size=50)  # needs cdrkit[notebook]
        >>> viewer.result.count()  # the next cell, after `viewer` alone ended a cell and showed the calls
        0
    """

    def __init__(self, view: CallsView[ViewResultT]) -> None:
        self._view = view
        self._token: object = None
        self._pieces: Iterator[bytes] = _NOTHING
        self._widget = _widget_class()(choices=view.choices(), view=view.state())
        self._widget.on_msg(self._receive)

    def __repr__(self) -> str:
        """Return a short text that shows the viewer's query."""
        return f"<Viewer of {self.query!r}>"

    @property
    def query(self) -> Query:
        """The query whose calls the viewer shows, page by page.

        This is the query of the original result, with the viewer's filters, columns and order added.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://shown").run(cdrkit.Query().connected()).viewer().query.conditions
            (field('duration') > 0,)
        """
        return self._view.query

    @property
    def settings(self) -> DisplaySettings:
        """The viewer's time zone, columns and page size.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://shown").run().viewer(page_size=50).settings.page_size
            50
        """
        return self._view.settings

    @property
    def result(self) -> ViewResultT:
        """The result of the viewer's query, in the viewer's time zone.

        The result uses the viewer's version of the store.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://shown")
            >>> store.run().in_timezone("Europe/London").viewer().result.timezone
            'Europe/London'
        """
        return self._view.result

    @property
    def widget(self) -> Any:
        """The viewer's ``anywidget.AnyWidget``, for layouts with other widgets.

        Example:
            >>> import anywidget, cdrkit
            >>> isinstance(cdrkit.open_store("memory://shown").run().viewer().widget, anywidget.AnyWidget)
            True
        """
        return self._widget

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self._widget._repr_mimebundle_(**options)

    def _receive(self, widget: Any, content: object, buffers: object) -> None:
        """Handle a message from the browser.

        The message's token names one of the displays of the widget.
        """
        command: object = dict(content) if isinstance(content, Mapping) else content
        token = command.pop("token", None) if isinstance(command, dict) else None
        if command == {"do": "more"}:
            self._send_piece(token)
            return
        state, transfer = self._view.handle(command)
        self._widget.view = state
        if transfer is not None:
            self._token, self._pieces = token, transfer.pieces
            facts = {"file": transfer.name, "type": transfer.content_type, "use": transfer.use}
            self._widget.send({"token": token, **facts})

    def _send_piece(self, token: object) -> None:
        """Send the next piece of the current file to the browser.

        Only one file is sent at a time: a display loses its file when another file is requested.
        """
        try:
            piece = next(self._pieces, None) if token == self._token else None
        except CdrError as exc:
            self._pieces = _NOTHING
            self._widget.view = self._view.state(error=str(exc))
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
