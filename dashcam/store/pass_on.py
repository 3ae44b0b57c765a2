"""Jaeger's query API by asking a real Jaeger: what `BACKEND=jaeger` puts in the place of the own store's.

The addresses on the console's port stay what they are, so whoever reads traces there reads Jaeger's.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
import urllib3
from flask import Blueprint, Response, request

ANSWER_SECONDS = 30.0
"""How long Jaeger has to answer."""

_ASKED_WITH = ("Accept", "Content-Type")
_ANSWERED_WITH = ("Content-Type", "Retry-After")


class PassOn:
    """Every path under /api that this application does not answer itself, from the Jaeger at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._http = urllib3.PoolManager(
            maxsize=8, retries=False, timeout=urllib3.Timeout(connect=2.0, read=ANSWER_SECONDS)
        )

    def blueprint(self) -> Blueprint:
        """The routes."""
        api = Blueprint("jaeger", __name__)
        # By name too: that is how the console sees that this application answers for traces.
        api.add_url_rule("/api/traces", view_func=self.ask, defaults={"rest": "traces"})
        api.add_url_rule("/api/<path:rest>", view_func=self.ask, methods=["GET", "POST"])
        return api

    def ask(self, rest: str) -> Response:
        """Jaeger's answer as it is; 502 in the shape of its errors where it does not answer."""
        # The path as it came: Flask has already decoded `rest`, in which a service's name may hold a %2F.
        path, query = urlsplit(request.environ["REQUEST_URI"]).path, request.environ["QUERY_STRING"]
        target = f"{path}?{query}" if query else path
        headers = {name: request.headers[name] for name in _ASKED_WITH if name in request.headers}
        try:
            answer = self._http.request(
                request.method,
                self._address + target,
                body=request.get_data() or None,
                headers=headers,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return _no_answer(f"Jaeger at {self._address} does not answer: {error}")
        kept = {name: answer.headers[name] for name in _ANSWERED_WITH if name in answer.headers}
        return Response(answer.data, answer.status, kept)


def _no_answer(message: str) -> Response:
    body = {"data": None, "errors": [{"code": 502, "msg": message}], "total": 0, "limit": 0, "offset": 0}
    return Response(orjson.dumps(body), 502, content_type="application/json")
