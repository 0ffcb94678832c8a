"""A portal for telephone customers, with Flask. Run it: ``python portal_flask.py``.

It needs ``pip install . flask`` in a clone.
"""

from __future__ import annotations

import attrs
import flask
from calls_page import HEADERS, Pairs, PortalViewer, build_content, build_query, log_in, status_of
from demo_data import open_demo_settings, open_demo_store

from cdrkit import DisplaySettingsStore, Store
from cdrkit.errors import CdrError, ConfigError


def create_app(store: Store, display: DisplaySettingsStore) -> flask.Flask:
    """Return the portal for one store, which all requests and threads share."""
    app = flask.Flask(__name__)

    def viewer() -> PortalViewer:
        current: PortalViewer = flask.g.viewer
        return current

    def pairs() -> Pairs:
        return list(flask.request.args.items(multi=True))

    def page(error: str = "") -> tuple[str, int]:
        values, status = build_content(viewer(), pairs(), error)
        return flask.render_template("calls.html", **values), status

    @app.before_request
    def require_login() -> flask.Response | None:
        credentials = flask.request.authorization
        name, password = (credentials.username or "", credentials.password or "") if credentials else ("", "")
        flask.g.viewer = log_in(store, display, name, password)
        if flask.g.viewer is None:
            return flask.Response("Log in.", 401, {"WWW-Authenticate": 'Basic realm="calls"'})
        return None

    @app.get("/")
    def calls() -> tuple[str, int]:
        return page()

    @app.post("/settings")
    def remember() -> flask.typing.ResponseReturnValue:
        if flask.request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "Not allowed.", 403  # a form on another site
        try:
            settings = attrs.evolve(viewer().settings, timezone=flask.request.form.get("timezone", ""))
        except ConfigError as exc:
            return page(str(exc))
        display.put(viewer().name, settings)
        return flask.redirect("/", 303)

    @app.get("/calls.csv")
    def csv() -> flask.Response:
        parts = viewer().scope.run(build_query(viewer(), pairs())).iter_csv(headers="labels")
        attachment = {"Content-Disposition": 'attachment; filename="calls.csv"'}
        return flask.Response(parts, mimetype="text/csv", headers=attachment)

    @app.get("/recordings/<token>")
    def recording(token: str) -> flask.Response:
        response = viewer().scope.recording_by_token(token).respond(flask.request.headers.get("Range"))
        return flask.Response(response.body, response.status, response.headers)

    @app.errorhandler(CdrError)
    def handle_error(error: CdrError) -> tuple[str, int, dict[str, str]]:
        app.logger.warning("%s", error)
        status, text = status_of(error)
        return text, status, {"Content-Type": "text/plain; charset=utf-8"}

    @app.after_request
    def guard(response: flask.Response) -> flask.Response:
        for name, text in HEADERS.items():
            response.headers.setdefault(name, text)
        return response

    return app


if __name__ == "__main__":
    create_app(open_demo_store("portal-data"), open_demo_settings("portal-data")).run(
        port=8000, threaded=True
    )
