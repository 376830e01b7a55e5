"""Thousands of malformed requests get only 4xx, and concurrent valid ones get answers."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.serve.http.malformed.callers import Dawdler, GoodClient, from_the_schema, send
from tests.serve.http.malformed.images import broken_forms, broken_images
from tests.serve.http.malformed.raw_http import broken_http, chunked, exchange, head, wrong_places
from tests.serve.http.malformed.sent import SIZE, TIMEOUT_S
from tests.serve.http.malformed.tensors import broken_codings, broken_tensors


@pytest.mark.slow
def test_malformed_requests_are_refused_and_good_ones_beside_them_answered(
    start_process: Callable[..., Any], write_model: Callable[..., Path]
) -> None:
    server = start_process(
        *(write_model(size=SIZE), "--device", "cpu", "--threads", 1, "--timeout-s", TIMEOUT_S)
    )
    server.wait_ready()
    good = [GoodClient(server.port), GoodClient(server.port)]
    slow = [
        Dawdler(server.port, head(b"Content-Length: 50") + b"hello"),
        Dawdler(server.port, chunked(b"5\r\nhello\r\n")),
        Dawdler(server.port, b"POST /v1/pre"),
        Dawdler(server.port, b""),
    ]
    for thread in (*good, *slow):
        thread.start()
    try:
        count, bad = send_everything(server.port)
    finally:
        for client in good:
            client.stop()
    for dawdler in slow:
        dawdler.join(3 * TIMEOUT_S)

    assert not bad, "\n".join(bad)
    assert sum(count.values()) - count["may have passed"] >= 2_000, count
    assert count["closed"] <= 12, count
    assert [dawdler.statuses for dawdler in slow] == [[408], [408], [], []]
    assert [client.wrong for client in good] == [[], []]
    assert all(client.right >= 20 for client in good), [client.right for client in good]
    assert server.process.poll() is None
    ready = requests.get(f"http://127.0.0.1:{server.port}/v2/health/ready", timeout=60)
    assert ready.json() == {"ready": True}
    assert "Traceback" not in server.log
    assert peak_memory_mb(server.process.pid) < 600


def send_everything(port: int) -> tuple[Counter[int | str], list[str]]:
    """Send all requests; return the count of each status and a line per unexpected one."""
    count: Counter[int | str] = Counter()
    bad: list[str] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for cases in (*(broken_images, broken_forms, broken_tensors, broken_codings, wrong_places),):
        for case in cases():
            status, body = send(connection, case)
            is_fine = 400 <= status < 500 and json.loads(body)["error"]
            if not (is_fine or (case.may_pass and status == 200)):
                bad.append(f"{case.what}: {status} {body[:200]!r}")
            count["may have passed" if case.may_pass else status] += 1
    connection.close()
    for what, sent in broken_http():
        statuses = exchange(port, sent)
        if not all(400 <= status < 500 for status in statuses):
            bad.append(f"{what}: {statuses}")
        count[statuses[0] if statuses else "closed"] += 1
    for what, status, may_pass in from_the_schema(port, 60):
        if not (400 <= status < 500 or (may_pass and status == 200)):
            bad.append(f"{what}: {status}")
        count["may have passed" if may_pass else status] += 1
    return count, bad


def peak_memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        # Available only on Linux.
        return 0.0
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert peak
    return int(peak[1]) / 1024
