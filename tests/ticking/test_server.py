"""The server of the page: verdicts are saved, and nothing that is sent can harm them."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy_keras import Cues
from proxy_keras.ticking import journey
from proxy_keras.ticking.cue_server import CueServer
from tests.ticking.conftest import Served, serving


def test_a_verdict_is_saved_at_once_and_taken_back(served: Served) -> None:
    state = served.ask("GET", "/state.json").json
    assert (state["verdicts"], state["last"]) == ({}, None)
    answer = served.ask("POST", "/verdict", {"cue": "2", "verdict": "not_object"})
    assert (answer.status, answer.json["verdicts"]) == (200, {"2": "not_object"})
    assert answer.json["last"] == "cue 2: not the object"
    assert answer.json["summary"].startswith("Ticked: 1 cue, ")
    assert Cues.load(served.folder).ticked == ["2"]
    answer = served.ask("POST", "/verdict", {"cue": "2", "verdict": None})
    assert answer.json["verdicts"] == served.verdicts == {}
    for expected in ({"2": "not_object"}, {}, {}):
        revision = served.ask("GET", "/state.json").json["revision"]
        assert served.ask("POST", "/undo", {"revision": revision}).json["verdicts"] == expected
        assert served.verdicts == expected


def test_two_pages_and_the_command_do_not_overwrite_each_other(served: Served, run_command) -> None:
    seen = served.ask("POST", "/verdict", {"cue": "1", "verdict": "object"}).json
    served.ask("POST", "/verdict", {"cue": "2", "verdict": "mixture"})
    run_command("--out", served.folder, "--tick", "3")
    everything = {"1": "object", "2": "mixture", "3": "not_object"}
    # The first page wants to take "cue 1" back, and does not know of the later verdicts.
    answer = served.ask("POST", "/undo", {"revision": seen["revision"]})
    assert answer.status == 409 and "nothing was taken back" in answer.json["error"]
    assert served.ask("GET", "/state.json").json["verdicts"] == served.verdicts == everything
    served.ask("POST", "/verdict", {"cue": "1", "verdict": "not_object"})
    assert served.verdicts == {**everything, "1": "not_object"}


def test_the_page_has_the_verdicts_and_security_headers(served: Served) -> None:
    served.ask("POST", "/verdict", {"cue": "2", "verdict": "object"})
    answer = served.ask("GET", "/")
    page = answer.body.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'id="cue-2" data-cue="2" data-verdict="object"' in page
    assert page.count('class="picture') >= 3 * 6
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for name in ("cues.css", "cues.js"):
        assert served.ask("GET", f"/page/{name}").status == 200


def titles(html: str) -> list[str]:
    """Return the names of the images in a part of the page."""
    return re.findall(r'class="picture[^"]*" title="([^"]+)"', html)


def mixture_of(folder: Path) -> str:
    """Return the name of the cue that has halves."""
    tree = Cues.load(folder).tree
    (name,) = [name for name in tree.shown if tree.halves_of(name)]
    return name


def test_halves_and_more_images_are_other_images(project, joined: Path) -> None:
    name = mixture_of(joined)
    with serving(project, joined) as served:
        halves = served.ask("GET", f"/cues/{name}/halves").body.decode()
        page = served.ask("GET", "/").body.decode()
        more = [
            titles(served.ask("GET", f"/cues/{name}/pictures?page={number}").body.decode())
            for number in range(1, 9)
        ]
        single = served.ask("GET", f"/cues/{name}a/halves")
    assert f'id="cue-{name}a"' in halves and f'id="cue-{name}b"' in halves
    assert len(titles(halves)) == 2 * 12
    start = page.index(f'id="cue-{name}"')
    shown = titles(page[start : page.index("</article>", start)])
    assert len(shown) == 12 and [len(names) for names in more[:2]] == [12, 12]
    everything = [*shown, *sum(more, [])]
    # Each image once, until there are no more.
    assert len(everything) == len(set(everything)) and more[-1] == []
    images = Cues.load(joined).images
    members = Cues.load(joined).tree.members(name)
    assert len(everything) == (images.evidence_by_cluster[:, members].sum(axis=1) > 0).sum()
    assert (single.status, single.json["error"]) == (
        404,
        f"Cue {name}a is a single cluster, so it has no halves.",
    )


def test_without_images_it_says_so_and_verdicts_are_taken(
    project, joined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*words: Any, **options: Any) -> None:
        raise FileNotFoundError("photos does not exist.")

    monkeypatch.setattr("proxy_keras.ticking.examined_model.load_data", gone)
    name = mixture_of(joined)
    with serving(project, joined) as served:
        # The pictures were kept; only new ones need the images.
        assert 'class="picture' in served.ask("GET", "/").body.decode()
        answer = served.ask("GET", f"/cues/{name}/pictures")
        assert (answer.status, answer.json) == (
            503,
            {"error": "The images cannot be read: photos does not exist."},
        )
        del served.server._store.pictures[f"{name}a"]
        halves = served.ask("GET", f"/cues/{name}/halves").body.decode()
        assert "There are no pictures: photos does not exist." in halves
        assert f'id="cue-{name}a"' in halves
        served.ask("POST", "/verdict", {"cue": f"{name}a", "verdict": "object"})
        assert served.verdicts == {f"{name}a": "object"}


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[[1, 2]]", b'[["99", "object"]]', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_file_of_verdicts_is_reported_and_kept(
    served: Served, content: bytes | None
) -> None:
    file = served.folder / "verdicts.json"
    file.unlink() if content is None else file.write_bytes(content)
    for method, path, body in (
        ("GET", "/", None),
        ("GET", "/state.json", None),
        ("POST", "/verdict", {"cue": "1", "verdict": "object"}),
    ):
        answer = served.ask(method, path, body)
        assert answer.status == 500
        assert answer.json["error"].startswith("The verdicts cannot be read or saved: ")
    assert (file.read_bytes() if file.exists() else None) == content


def test_a_verdict_that_cannot_be_written_is_not_taken(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cues, "save_verdicts", full)
    answer = served.ask("POST", "/verdict", {"cue": "1", "verdict": "object"})
    assert answer.status == 500 and "No space left on device" in answer.json["error"]
    assert served.ask("GET", "/state.json").json["verdicts"] == {}


@pytest.fixture(scope="module")
def hardened(project, found: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return served cues with a verdict, which no hostile request may change."""
    folder = Path(shutil.copytree(found, tmp_path_factory.mktemp("hostile") / "cues"))
    with serving(project, folder) as served:
        served.ask("POST", "/verdict", {"cue": "2", "verdict": "not_object"})
        yield served


GOOD = {"cue": "1", "verdict": "object"}
HOSTILE: dict[str, tuple[int, str, str, object, dict[str, str]]] = {
    # Status, method, path, body, headers.
    "empty": (400, "POST", "/verdict", b"", {}),
    "no JSON": (400, "POST", "/verdict", b"cue=1&verdict=object", {}),
    "half of it": (400, "POST", "/verdict", b'{"cue": "1", "verd', {}),
    "no UTF-8": (400, "POST", "/verdict", b'{"cue": "\xff\xfe"}', {}),
    "a zero byte": (400, "POST", "/verdict", b"\0", {}),
    "deep": (400, "POST", "/verdict", b"[" * 4000, {}),
    "a long number": (400, "POST", "/verdict", b'{"cue": ' + b"9" * 4000 + b"}", {}),
    "NaN": (400, "POST", "/verdict", b'{"cue": NaN, "verdict": null}', {}),
    "too large": (413, "POST", "/verdict", b" " * 5000, {}),
    "large cue": (413, "POST", "/verdict", {"cue": "1" * 5000, "verdict": "object"}, {}),
    "a list": (400, "POST", "/verdict", [GOOD], {}),
    "a text": (400, "POST", "/verdict", "1", {}),
    "null": (400, "POST", "/verdict", b"null", {}),
    "no verdict": (400, "POST", "/verdict", {"cue": "1"}, {}),
    "no cue": (400, "POST", "/verdict", {"verdict": "object"}, {}),
    "one name more": (400, "POST", "/verdict", {**GOOD, "out": "/etc/passwd"}, {}),
    "prototype": (400, "POST", "/verdict", {**GOOD, "__proto__": {}}, {}),
    "cue is a number": (400, "POST", "/verdict", {**GOOD, "cue": 1}, {}),
    "cue is a list": (400, "POST", "/verdict", {**GOOD, "cue": ["1"]}, {}),
    "cue is null": (400, "POST", "/verdict", {**GOOD, "cue": None}, {}),
    "cue is an object": (400, "POST", "/verdict", {**GOOD, "cue": {"1": 1}}, {}),
    "cue is empty": (404, "POST", "/verdict", {**GOOD, "cue": ""}, {}),
    "cue 0": (404, "POST", "/verdict", {**GOOD, "cue": "0"}, {}),
    "cue -1": (404, "POST", "/verdict", {**GOOD, "cue": "-1"}, {}),
    "cue 99": (404, "POST", "/verdict", {**GOOD, "cue": "99"}, {}),
    "two cues": (404, "POST", "/verdict", {**GOOD, "cue": "1,2"}, {}),
    "cue with a space": (404, "POST", "/verdict", {**GOOD, "cue": " 1"}, {}),
    "cue in Arabic digits": (404, "POST", "/verdict", {**GOOD, "cue": "\u0661"}, {}),
    "cue with a surrogate": (404, "POST", "/verdict", {**GOOD, "cue": "\ud800"}, {}),
    "cue is a path": (404, "POST", "/verdict", {**GOOD, "cue": "../verdicts.json"}, {}),
    "cue is HTML": (404, "POST", "/verdict", {**GOOD, "cue": "<script>1</script>"}, {}),
    "no third half": (404, "POST", "/verdict", {**GOOD, "cue": "1c"}, {}),
    "too many halves": (404, "POST", "/verdict", {**GOOD, "cue": "1" + "a" * 999}, {}),
    "verdict is unknown": (400, "POST", "/verdict", {**GOOD, "verdict": "ticked"}, {}),
    "verdict is empty": (400, "POST", "/verdict", {**GOOD, "verdict": ""}, {}),
    "verdict is true": (400, "POST", "/verdict", {**GOOD, "verdict": True}, {}),
    "verdict is a list": (400, "POST", "/verdict", {**GOOD, "verdict": ["object"]}, {}),
    "verdict is an object": (400, "POST", "/verdict", {**GOOD, "verdict": {"a": 1}}, {}),
    "verdict is long": (400, "POST", "/verdict", {**GOOD, "verdict": "x" * 3000}, {}),
    "a form": (
        *(415, "POST", "/verdict", GOOD),
        {"Content_Type": "application/x-www-form-urlencoded"},
    ),
    "plain text": (415, "POST", "/verdict", GOOD, {"Content_Type": "text/plain"}),
    "a type that begins alike": (415, "POST", "/verdict", GOOD, {"Content_Type": "application/js"}),
    "no type": (415, "POST", "/verdict", GOOD, {"Content_Type": ""}),
    "another site": (403, "POST", "/verdict", GOOD, {"Origin": "http://evil.example"}),
    "another port": (403, "POST", "/verdict", GOOD, {"Origin": "http://127.0.0.1:1"}),
    "a sandboxed page": (403, "POST", "/verdict", GOOD, {"Origin": "null"}),
    "the site in HTTPS": (403, "POST", "/verdict", GOOD, {"Origin": "https://127.0.0.1"}),
    "cross-site": (403, "POST", "/verdict", GOOD, {"Sec_Fetch_Site": "cross-site"}),
    "same site, other port": (403, "POST", "/verdict", GOOD, {"Sec_Fetch_Site": "same-site"}),
    "preflight": (403, "OPTIONS", "/verdict", None, {"Origin": "http://evil.example"}),
    "a rebound name": (421, "POST", "/verdict", GOOD, {"Host": "evil.example"}),
    "a rebound name, read": (421, "GET", "/state.json", None, {"Host": "evil.example:80"}),
    "a name that begins alike": (421, "GET", "/", None, {"Host": "127.0.0.1.evil.example"}),
    "a name that ends alike": (421, "GET", "/", None, {"Host": "evil.localhost"}),
    "another address": (421, "GET", "/", None, {"Host": "192.168.0.7"}),
    "an empty host": (421, "GET", "/", None, {"Host": ""}),
    "a long host": (421, "GET", "/", None, {"Host": "a" * 9000}),
    "verdict by GET": (405, "GET", "/verdict?cue=1&verdict=object", None, {}),
    "verdict by PUT": (405, "PUT", "/verdict", GOOD, {}),
    "verdict by DELETE": (405, "DELETE", "/verdict", None, {}),
    "post to the page": (405, "POST", "/", GOOD, {}),
    "undo by GET": (405, "GET", "/undo", None, {}),
    "undo of nothing": (400, "POST", "/undo", {}, {}),
    "undo of a number": (400, "POST", "/undo", {"revision": 0}, {}),
    "undo of null": (400, "POST", "/undo", {"revision": None}, {}),
    "undo of another state": (409, "POST", "/undo", {"revision": "0" * 16}, {}),
    "undo of a long state": (409, "POST", "/undo", {"revision": "0" * 4000}, {}),
    "no such page": (404, "GET", "/verdicts.json", None, {}),
    "a file of the folder": (404, "GET", "/page/../verdicts.json", None, {}),
    "an encoded path": (404, "GET", "/page/%2e%2e%2fcommand.py", None, {}),
    "a template": (404, "GET", "/page/cues.html.jinja", None, {}),
    "a file from the root": (404, "GET", "//etc/passwd", None, {}),
    "halves of no cue": (404, "GET", "/cues/99/halves", None, {}),
    "halves of a path": (404, "GET", "/cues/..%2f1/halves", None, {}),
    "halves of HTML": (404, "GET", "/cues/%3Cscript%3E/halves", None, {}),
    "halves of broken UTF-8": (404, "GET", "/cues/%ff/halves", None, {}),
    "pictures of no cue": (404, "GET", "/cues/0/pictures", None, {}),
    "page 0": (400, "GET", "/cues/1/pictures?page=0", None, {}),
    "page -1": (400, "GET", "/cues/1/pictures?page=-1", None, {}),
    "page 1e9": (400, "GET", "/cues/1/pictures?page=1000000000", None, {}),
    "page x": (400, "GET", "/cues/1/pictures?page=x", None, {}),
    "page of superscripts": (400, "GET", "/cues/1/pictures?page=%C2%B2", None, {}),
    "page of nothing": (400, "GET", "/cues/1/pictures?page=", None, {}),
    "page of a long number": (400, "GET", "/cues/1/pictures?page=" + "9" * 5000, None, {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_are_refused_and_change_nothing(hardened: Served, name: str) -> None:
    status, method, path, body, headers = HOSTILE[name]
    before = (hardened.folder / "verdicts.json").read_bytes()
    answer = hardened.ask(method, path, body, **headers)
    assert answer.status == status, answer.body
    error = answer.json["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert 10 <= len(error) <= 400 and "Traceback" not in error
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert (hardened.folder / "verdicts.json").read_bytes() == before
    assert hardened.ask("GET", "/state.json").json["verdicts"] == {"2": "not_object"}


def test_a_request_that_never_ends_does_not_stop_others(hardened: Served) -> None:
    head = b"POST /verdict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", hardened.server.port), timeout=10) as slow:
        slow.sendall(head + b'Content-Length: 100\r\n\r\n{"cue": "1"')
        assert hardened.ask("GET", "/state.json").json["verdicts"] == {"2": "not_object"}
    assert hardened.ask("GET", "/state.json").status == 200


def test_the_command_serves_until_it_is_stopped_and_writes_the_page(
    run_command, cues: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tick_and_stop(server: CueServer) -> None:
        with server._listening:
            server._board.say("3", "not_object")
        raise KeyboardInterrupt

    monkeypatch.setattr(CueServer, "serve_forever", tick_and_stop)
    monkeypatch.setattr(journey.signal, "signal", lambda *words: None)
    said = run_command("--out", cues, "--page", "--port", "0")
    assert (said.code, said.err) == (0, [])
    assert any(line.startswith("Tick the cues at http://127.0.0.1:") for line in said.out)
    assert said.out[-3].startswith("3: not the object. Ticked: 1 cue, ")
    assert 'data-verdict="not_object"' in (cues / "cues.html").read_text()


def test_a_port_in_use_is_said(run_command, served: Served) -> None:
    said = run_command("--out", served.folder, "--page", "--port", served.server.port)
    assert said.code == 2
    assert said.err == [
        f"error: Cannot listen on port {served.server.port}: Address already in use. Give another "
        "--port, or 0 for any."
    ]


def test_names_from_the_data_are_text_on_the_page(served: Served) -> None:
    bad = "<img src=x onerror=alert(1)>"
    board = served.server._store
    name = next(iter(board.pictures))
    board.pictures[name] = [
        one.__class__(**{**vars(one), "name": bad, "predicted": bad})
        for one in board.pictures[name]
    ]
    page = served.ask("GET", "/").body.decode()
    assert bad not in page and "&lt;img src=x" in page
    assert json.dumps(bad) not in page
