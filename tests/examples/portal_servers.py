"""The example portals behind real servers on this machine, over one store with two tenants."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib
import socket
import socketserver
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import cdrkit
from cdrkit import CallRecord, DisplaySettings, DisplaySettingsStore, Store
from cdrkit.samples import synthesize_calls, write_office

PORTALS = Path(__file__).parents[2] / "examples" / "portal"
PASSWORDS = {"alice": "looking-glass", "bob": "scoop"}
HOSTILE = "<script>alert(1)</script>"
BULK_DAYS = 40
BULK_ROWS = 7_500  # of each of them


@attrs.frozen
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.frozen
class Portal:
    """A portal behind a real server.

    Attributes:
        port: Where it listens.
        store: The store behind it, which a tenant never sees.
        display: What remembers its viewers' zones.
    """

    port: int
    store: Store
    display: DisplaySettingsStore

    def open(
        self,
        path: str,
        viewer: str = "alice",
        *,
        method: str = "GET",
        body: str | None = None,
        **headers: str,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask for *path*, and return the connection and the answer before its body is read."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if viewer:
            secret = f"{viewer}:{PASSWORDS.get(viewer, 'guessed')}"
            given["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
        if body is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.sock = socket.socket()
        connection.sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384
        )  # what is not read waits over there
        connection.sock.settimeout(60)
        connection.sock.connect(("127.0.0.1", self.port))
        connection.request(method, path, body, given)
        return connection, connection.getresponse()

    def get(self, path: str, viewer: str = "alice", **options: Any) -> Answer:
        """Ask for *path*, and return the whole answer."""
        connection, response = self.open(path, viewer, **options)
        with contextlib.closing(connection):
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read())


class _Threaded(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """The standard library's server, a thread a request; it waits for all of them when it is closed."""


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _flask(app: Any) -> Iterator[int]:
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    yield from _served(server, server.server_port)


@contextlib.contextmanager
def _django(app: Any) -> Iterator[int]:
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, _Threaded, _Quiet)
    yield from _served(server, server.server_port)


def _served(server: Any, port: int) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _fastapi(app: Any) -> Iterator[int]:
    uvicorn = pytest.importorskip("uvicorn")
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


SERVERS = {"flask": _flask, "django": _django, "fastapi": _fastapi}


def filled_store(folder: Path) -> Store:
    """Return a store of 1001's and 1002's calls: an office's, with recordings; many of 1001's; and a hostile one."""
    office = write_office(folder / "office", calls=1_500)
    store = cdrkit.open_store(
        folder / "calls",
        region="GB",
        recordings=f"{office.recordings}/{{recording}}",
        secret="for these tests only, 1 2 3",
    )
    store.ingest(
        office.master,
        format="asterisk-csv",
        timezone=office.timezone,
        customer_column="accountcode",
        recording_column="userfield",
    )
    store.append(synthesize_calls(BULK_DAYS * BULK_ROWS, days=BULK_DAYS, customers=1))
    last = max(call.start for call in store.run(cdrkit.Query().newest_first().limit(1)))
    hostile = CallRecord(
        call_id="hostile", start=last, source_name=HOSTILE, source=HOSTILE, customer_id="1001"
    )
    store.append([hostile])
    return store


@contextlib.contextmanager
def served(framework: str, store: Store, folder: Path) -> Iterator[Portal]:
    """Run the portal of a framework over *store*; what it remembers of its viewers goes into *folder*."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    pytest.importorskip({"flask": "werkzeug", "django": "jinja2", "fastapi": "uvicorn"}[framework])
    usual = DisplaySettings(columns=["start", "call_id", "source", "source_name", "duration"], page_size=25)
    display = DisplaySettingsStore(folder, default=usual)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PORTALS)
        app = importlib.import_module(f"portal_{framework}").create_app(store, display)
        with SERVERS[framework](app) as port:
            yield Portal(port, store, display)
