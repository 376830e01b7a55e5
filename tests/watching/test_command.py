"""Tests of proxy_keras/watch.py: its arguments, its messages, and the real command."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy_keras import watch
from proxy_keras.watching import WatchServer

PROJECT = Path(__file__).resolve().parents[2]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts the command on a free port; it is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: object) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "proxy_keras.watch", *map(str, arguments), "--port", "0"],
                cwd=PROJECT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Background processes may inherit an ignored SIGINT.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_command_follows_a_run_and_ends_cleanly(run, start: Start, how: signal.Signals) -> None:
    process = start(run.path)
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.fullmatch(r"Watching (.+) at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C to stop\)\n", said)
    assert found and found[1] == str(run.path)
    assert process.stdout.readline() == (
        "No training run has started there yet; the page waits for one.\n"
    )

    def told() -> tuple[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", int(found[2]), timeout=10)
        connection.request("GET", "/state.json")
        progress = json.loads(connection.getresponse().read())["progress"]
        connection.close()
        return progress["phase"], progress["epoch"]

    assert told() == ("waiting", 0)
    run.begin()
    run.train(3)
    assert told() == ("training", 3)
    process.send_signal(how)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


@pytest.fixture
def unserved(monkeypatch: pytest.MonkeyPatch) -> list[WatchServer]:
    """Collect the servers of the command; each is interrupted at once, as by Ctrl-C."""
    servers: list[WatchServer] = []

    def interrupt(server: WatchServer) -> None:
        servers.append(server)
        server.listening.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(WatchServer, "serve_forever", interrupt)
    return servers


def test_tensorflow_is_not_loaded() -> None:
    code = "import sys, proxy_keras.watch; print({'tensorflow', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_taken_port_is_said(run, serve, capsys: pytest.CaptureFixture[str]) -> None:
    run.begin()
    port = serve().port
    assert watch.main([str(run.path), "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot listen on 127.0.0.1, port {port}: Address already in use. Give another "
        "--host or --port.\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.77", "a" * 64 + ".example.org"])
def test_a_host_that_is_not_here_is_said(
    run, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    assert watch.main([str(run.path), "--host", host, "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: cannot listen on {host}, port 0: ")
    assert said.endswith(". Give another --host or --port.\n")


def test_what_is_no_run_folder_is_said(
    run, tmp_path: Path, capsys: pytest.CaptureFixture[str], unserved: list[WatchServer]
) -> None:
    def error(folder: Path) -> str:
        assert watch.main([str(folder), "--port", "0"]) == 2
        return capsys.readouterr().err

    run.begin()
    config = run.path / "config.json"
    assert error(config) == f"error: {config} is a file. Give a run folder.\n"
    said = error(run.path.parent)
    assert said == (
        f"error: {run.path.parent} is not a run folder: it is not empty and has no config.json. "
        f"Give the --out folder of a training run, such as {run.path}.\n"
    )
    (tmp_path / "other" / "run").mkdir(parents=True)
    assert error(tmp_path / "other").endswith("Give the --out folder of a training run.\n")
    assert unserved == []


@pytest.mark.parametrize("name", ["split.csv", "labels.unfinished.json", "lr_range_test.png", ""])
def test_a_training_may_be_about_to_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unserved: list[WatchServer], name: str
) -> None:
    if name:
        (tmp_path / name).write_text("")
    assert watch.main([str(tmp_path), "--port", "0"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["No training run has started there yet; the page waits for one."]


def test_beyond_loopback_it_is_said_who_can_see_it(
    run, capsys: pytest.CaptureFixture[str], unserved: list[WatchServer]
) -> None:
    run.begin()
    options = ["--host", "0.0.0.0", "--port", "0", "--allowed-host", "Board.example.org"]
    assert watch.main([str(run.path), *options, "--allowed-host", "b"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["Everyone who can reach this machine can see the run."]
    assert unserved[0].names >= {"board.example.org", "b", "localhost"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--port", "x"], "must be a number from 0 to 65535. Received: 'x'"),
        (["--port", "65536"], "must be a number from 0 to 65535. Received: '65536'"),
        (["--port", "-1"], "must be a number from 0 to 65535. Received: '-1'"),
        (["--host", " "], "must be an address or a host name, e.g. 127.0.0.1."),
    ],
    ids=["no number", "too high", "too low", "no host"],
)
def test_arguments_are_checked(
    capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        watch.main(["runs/a", *options])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_it_listens_on_this_machine_alone_unless_told() -> None:
    given = watch.build_parser().parse_args(["runs/a"])
    assert vars(given) == {
        **{"run": Path("runs/a"), "host": "127.0.0.1", "port": 8765, "allowed_host": []}
    }
