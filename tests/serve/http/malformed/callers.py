"""Clients of the server: valid ones, slow ones, and a generator of requests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.serve.http.malformed.images import red_png
from tests.serve.http.malformed.raw_http import statuses_in
from tests.serve.http.malformed.sent import INFER, PREDICT, Sent
from tests.serve.http.malformed.tensors import tensor


class GoodClient(threading.Thread):
    """Sends valid requests repeatedly on one connection, and records the answers.

    Attributes:
        right: Answers that were as they must be.
        wrong: Those that were not.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.right = 0
        self.wrong: list[str] = []
        self._port = port
        self._is_over = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        picture = red_png()
        text = json.dumps({"inputs": [tensor()], "outputs": [{"name": "logits"}]})
        while not self._is_over.wait(0.01):
            connection.request("POST", f"{PREDICT}?heatmap=true", picture)
            answer = self._answer(connection)
            if answer.get("predictions", [{}])[0].get("class_id") == 0:
                self.right += 1
            else:
                self.wrong.append(str(answer))
            connection.request("POST", INFER, text)
            answer = self._answer(connection)
            data = answer.get("outputs", [{}])[0].get("data", [0])
            if np.allclose(data, 9 / 255, atol=1e-6):
                self.right += 1
            else:
                self.wrong.append(str(answer))
        connection.close()

    def stop(self) -> None:
        self._is_over.set()
        self.join(60)

    def _answer(self, connection: http.client.HTTPConnection) -> dict[str, Any]:
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        return {**answer, "status": response.status}


class Dawdler(threading.Thread):
    """Sends only the start of a request, and records the statuses received."""

    def __init__(self, port: int, beginning: bytes) -> None:
        super().__init__(daemon=True)
        self.statuses: list[int] | None = None
        self._port = port
        self._beginning = beginning

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall(self._beginning)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        self.statuses = statuses_in(received)


def send(connection: http.client.HTTPConnection, case: Sent) -> tuple[int, bytes]:
    """Send a request that is valid HTTP; return status and body."""
    connection.putrequest(case.method, case.path, skip_accept_encoding=True)
    connection.putheader("Content-Length", str(len(case.body)))
    for name, value in case.headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders(case.body)
    response = connection.getresponse()
    return response.status, response.read()


def from_the_schema(port: int, count: int) -> Iterator[tuple[str, int, bool]]:
    """Send schemathesis' requests for the server's schema; yield name, status, may pass."""
    url = f"http://127.0.0.1:{port}"
    schema = schemathesis.openapi.from_dict(requests.get(f"{url}/openapi.json", timeout=60).json())
    schema.config.update(base_url=url)
    known = {"name": "mean_colour", "version": "1"}
    session = requests.Session()
    for found, mode in product(schema.get_all_operations(), GenerationMode):
        operation = found.ok()
        is_asked = operation.method == "post" and operation.path != "/v2/repository/index"
        # Without parameters, a request cannot be invalid.
        if is_asked or mode is GenerationMode.POSITIVE:
            names = {key: known[key] for key in known if f"{{{key}}}" in operation.path}
            strategy = operation.as_strategy(
                generation_mode=mode, path_parameters=names if is_asked else None
            )
            may_pass = mode is GenerationMode.POSITIVE
            for status in asked(strategy, session, count if is_asked else count // 8):
                yield f"{mode.name} {operation.label}", status, may_pass
    session.close()


def asked(strategy: Any, session: requests.Session, count: int) -> list[int]:
    """Send this many requests of a strategy, deterministically; return the statuses."""
    statuses: list[int] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def ask(case: schemathesis.Case[Any]) -> None:
        statuses.append(case.call(session=session, timeout=60).status_code)

    ask()
    return statuses
