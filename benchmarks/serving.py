"""The HTTP server compared with a plain decode and ONNX Runtime loop; shutdown, memory, start-up.

python benchmarks/serving.py [--quick] [--only throughput drain memory start]
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from sklearn.datasets import load_sample_images

from serve.images import read_resized

CLIENTS, BATCH, THREADS = 16, 8, 2
PARTS = ("throughput", "drain", "memory", "start")

# Runs in a separate process, so that TensorFlow does not affect the measurements.
MAKE = """
import sys, keras
from export.exporter import export_model
from export.source import open_source
name, size, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
keras.utils.set_random_seed(0)
if name == "mobilenet_v2":
    inputs = keras.Input((size, size, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    net = keras.applications.MobileNetV2(weights=None, include_top=False, input_tensor=scaled)
    pooled = keras.layers.GlobalAveragePooling2D()(net.output)
    model = keras.Model(inputs, keras.layers.Dense(10)(pooled), name=name)
else:
    from proxy_keras import build_model
    model = build_model(name, num_classes=10, image_size=size)
model.save(f"{folder}/{name}.keras")
from pathlib import Path
export_model(open_source(Path(f"{folder}/{name}.keras")), Path(f"{folder}/{name}.onnx"))
"""


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    port: int

    def resident_mb(self) -> float:
        """Return the resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def _environment() -> str:
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{os.cpu_count()} processors, load {load}; Python {sys.version.split()[0]}, "
        f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}"
    )


def _made(name: str, size: int, folder: Path) -> Path:
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = [sys.executable, "-c", MAKE, name, str(size), str(folder)]
    subprocess.run(words, check=True, env=quiet, stderr=subprocess.DEVNULL)
    return folder / f"{name}.onnx"


def _photographs(count: int) -> list[bytes]:
    """Return JPEG files of 500 x 375 pixels, each a different crop."""
    draw = np.random.default_rng(0)
    files = []
    for number in range(count):
        photograph = load_sample_images().images[number % 2]
        top, left = draw.integers(0, [52, 140])
        file = io.BytesIO()
        crop = photograph[top : top + 375, left : left + 500]
        Image.fromarray(crop).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


@contextmanager
def _serving(file: Path, *options: str) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "serve.server", str(file), "--port", str(port)]
    process = subprocess.Popen(
        [*words, "--device", "cpu", "--threads", str(THREADS), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


class Session:
    """A plain ONNX Runtime session."""

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._size = int(self._session.get_inputs()[0].shape[1])

    def decode(self, file: bytes) -> np.ndarray:
        """Decode and resize an image for the model."""
        return read_resized(file, self._size)

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of the model."""
        return self._session.run(None, {"image": np.stack(images)})


def _raw(session: Session, files: list[bytes], pool: ThreadPoolExecutor) -> float:
    """Return the seconds of a loop that decodes each batch in two threads and then runs it."""
    start = time.perf_counter()
    for first in range(0, len(files), BATCH):
        session.run(list(pool.map(session.decode, files[first : first + BATCH])))
    return time.perf_counter() - start


def _request(file: bytes) -> bytes:
    return (
        b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: %d\r\n\r\n" % len(file)
    ) + file


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Read a response: status, body, and whether the server closes the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(re.search(r"content-length: (\d+)", head)[1])
    return int(head.split()[1]), await reader.readexactly(length), "connection: close" in head


async def _loaded(port: int, files: list[bytes]) -> list[float]:
    """Return the latency of each request of 16 clients with persistent connections."""
    waiting = iter(files)
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for file in waiting:
            start = time.perf_counter()
            writer.write(_request(file))
            status, body, _ = await _answer(reader)
            latencies.append(time.perf_counter() - start)
            if status != 200:
                raise RuntimeError(f"{status}: {body!r}")
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return latencies


def throughput(name: str, size: int, count: int, rounds: int, folder: Path) -> str:
    """Compare images per second of the server and the plain loop, in turn."""
    file = _made(name, size, folder)
    files = _photographs(count)
    session, raws, served, latencies = Session(file), [], [], []
    with ThreadPoolExecutor(THREADS) as pool, _serving(file) as server:
        _raw(session, files, pool)
        asyncio.run(_loaded(server.port, files))
        for _ in range(rounds):
            raws.append(_raw(session, files, pool))
            start = time.perf_counter()
            latencies += asyncio.run(_loaded(server.port, files))
            served.append(time.perf_counter() - start)
    raw, own = statistics.median(raws), statistics.median(served)
    batch_ms = 1000 * raw / (count / BATCH)
    p50, p99 = (1000 * float(np.quantile(latencies, q)) for q in (0.5, 0.99))
    return (
        f"\n### {name}, {size} px, {CLIENTS} clients, {count} images, {rounds} rounds\n\n"
        f"| | images/s | of plain |\n|---|---|---|\n"
        f"| plain: decode in {THREADS} threads, run batches of {BATCH} | {count / raw:.1f} | |\n"
        f"| server | {count / own:.1f} | {raw / own:.1%} (target: 95%) |\n\n"
        f"latency: median {p50:.0f} ms, p99 {p99:.0f} ms = {p99 / batch_ms:.1f} x the plain batch "
        f"({batch_ms:.0f} ms; target: <= 4)"
    )


async def _until_gone(port: int, file: bytes) -> tuple[int, int]:
    """Return the answered and lost requests of a client that runs until the server is gone."""
    answered = lost = 0
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return answered, lost
        closes = False
        while not closes:
            try:
                writer.write(_request(file))
                await writer.drain()
                status, _, closes = await _answer(reader)
                answered += status == 200
                lost += status != 200
            except (OSError, asyncio.IncompleteReadError):
                lost += 1
                break
        writer.close()


def drain(times: int, folder: Path) -> str:
    """Count the requests lost when the server gets SIGTERM under load."""
    file = _made("resnet20", 32, folder)
    photograph = _photographs(1)[0]
    answered = lost = 0

    async def under_load(server: Server) -> list[tuple[int, int]]:
        clients = [
            asyncio.create_task(_until_gone(server.port, photograph)) for _ in range(CLIENTS)
        ]
        await asyncio.sleep(1.5)
        server.process.send_signal(signal.SIGTERM)
        return await asyncio.gather(*clients)

    codes = []
    for _ in range(times):
        with _serving(file) as server:
            results = asyncio.run(under_load(server))
            codes.append(server.process.wait(60))
        answered += sum(a for a, _ in results)
        lost += sum(b for _, b in results)
    return (
        f"\n### SIGTERM under load, {CLIENTS} clients, {times} times\n\n"
        f"{answered} answered, {lost} lost (target: 0); exit codes {sorted(set(codes))}"
    )


def memory(requests: int, folder: Path) -> str:
    """Measure the resident memory of the server over many requests."""
    file = _made("resnet20", 32, folder)
    files = _photographs(32)
    rows = []
    with _serving(file) as server:
        for done in range(0, requests + 1, requests // 10):
            rows.append(f"| {done} | {server.resident_mb():.1f} |")
            if done < requests:
                batch = [files[i % len(files)] for i in range(requests // 10)]
                asyncio.run(_loaded(server.port, batch))
    return "\n### Resident memory\n\n| requests | MB |\n|---|---|\n" + "\n".join(rows)


def start(folder: Path) -> str:
    """Measure the seconds to `import serve`, and to the first answer of `serve.predict`."""
    file = _made("resnet20", 32, folder)
    (folder / "a.jpg").write_bytes(_photographs(1)[0])
    check = (
        "import sys, runpy; sys.argv = ['predict', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('serve.predict', run_name='__main__')\n"
        "finally:\n    print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", check, str(file), str(folder / "a.jpg")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = {
        "python -c pass": ["-c", "pass"],
        "import serve": ["-c", "import serve"],
        "first answer of serve.predict, and exit": [
            *("-m", "serve.predict", str(file), str(folder / "a.jpg"))
        ],
    }
    rows = []
    for what, words in commands.items():
        seconds = []
        for _ in range(7):
            begun = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            seconds.append(time.perf_counter() - begun)
        rows.append(f"| {what} | {statistics.median(seconds):.2f} |")
    loaded = json.loads(out.splitlines()[-1].replace("'", '"'))
    return (
        "\n### Start-up (target: < 1.5 s)\n\n| | seconds |\n|---|---|\n"
        + "\n".join(rows)
        + f"\n\nloaded of TensorFlow and Keras: {loaded or 'none'}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few requests and rounds")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    print(_environment())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if "throughput" in given.only:
            count, rounds = (64, 2) if given.quick else (512, 7)
            print(throughput("mobilenet_v2", 224, count, rounds, folder), flush=True)
        if "drain" in given.only:
            print(drain(2 if given.quick else 10, folder), flush=True)
        if "memory" in given.only:
            print(memory(1000 if given.quick else 20_000, folder), flush=True)
        if "start" in given.only:
            print(start(folder), flush=True)


if __name__ == "__main__":
    main()
