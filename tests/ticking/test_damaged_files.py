"""Damaged files of cues are reported, and the verdicts in the folder are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proxy_keras import Cues


def rewrite(**values: object) -> Callable[[Path], None]:
    """Return a function that changes values of a JSON file."""

    def change(file: Path) -> None:
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return change


def replace(**arrays: object) -> Callable[[Path], None]:
    """Return a function that changes arrays of an archive; None leaves one out."""

    def change(file: Path) -> None:
        with np.load(file) as old:
            new = {**dict(old), **arrays}
        np.savez(file, **{name: value for name, value in new.items() if value is not None})

    return change


def write(content: bytes) -> Callable[[Path], None]:
    """Return a function that overwrites a file."""
    return lambda file: file.write_bytes(content) and None


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


BINARY = ("clusters.npz", "images.npz", "network.keras")
JSON = ("cues.json", "found.json", "verdicts.json")
DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    *((name, Path.unlink) for name in (*BINARY, "cues.json", "verdicts.json")),
    *((name, write(b"")) for name in (*BINARY, *JSON)),
    *((name, write(b"\x00\xff{")) for name in (*BINARY, *JSON)),
    *((name, write(b"[" * 100_000)) for name in JSON),
    *((name, write(b"[1]")) for name in JSON),
    *((name, cut) for name in (*BINARY, *JSON)),
    ("cues.json", rewrite(format=2)),
    ("cues.json", rewrite(target_layer="gone")),
    ("cues.json", rewrite(target_layer=None)),
    ("cues.json", rewrite(classes=["a"])),
    ("found.json", rewrite(data={"source": 1})),
    ("found.json", rewrite(options={})),
    ("found.json", rewrite(options="all")),
    ("clusters.npz", replace(joins=None)),
    ("clusters.npz", replace(joins=np.zeros([2, 2], np.int32))),
    ("clusters.npz", replace(roots=np.array([0]))),
    ("clusters.npz", replace(centroids=np.full([3, 3], np.nan, np.float32))),
    ("images.npz", replace(clusters=None)),
    ("images.npz", replace(evidence=np.zeros([1, 4, 4], np.uint8))),
    ("images.npz", replace(num_clusters=np.array(99))),
    ("verdicts.json", write(b'[["99", "object"]]')),
    ("verdicts.json", write(b'[["1", "ticked"]]')),
    ("verdicts.json", write(b'{"1": "object"}')),
]


@pytest.mark.parametrize(
    ("name", "damage"),
    DAMAGES,
    ids=[f"{name}-{number}" for number, (name, _) in enumerate(DAMAGES)],
)
def test_a_damaged_file_is_reported_and_verdicts_are_kept(
    run_command, cues: Path, name: str, damage: Callable[[Path], None]
) -> None:
    (cues / "verdicts.json").write_text('[["2", "not_object"]]')
    damage(cues / name)
    before = {file.name: file.read_bytes() for file in cues.iterdir()}
    said = run_command("--out", cues, "--tick", "1")
    assert said.code == 2
    assert len(said.err) == 1 and said.err[0].startswith("error: ")
    assert str(cues) in said.err[0] and len(said.err[0]) < 900
    assert {file.name: file.read_bytes() for file in cues.iterdir()} == before


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"cues_sha256": 1}'])
def test_damaged_pictures_are_drawn_again(run_command, cues: Path, content: bytes | None) -> None:
    file = cues / "pictures.json"
    before = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    assert run_command("--out", cues, "--tick", "2").code == 0
    assert file.read_bytes() == before


def test_pictures_are_only_images(run_command, cues: Path) -> None:
    file = cues / "pictures.json"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"data:image/png", b"http://evil.example/", 1))
    assert run_command("--out", cues).code == 0
    assert file.read_bytes() == before
    assert "evil" not in (cues / "cues.html").read_text()


def test_damaged_cues_can_be_found_again(run_command, cues: Path) -> None:
    (cues / "images.npz").write_bytes(b"")
    (cues / "verdicts.json").write_bytes(b"{")
    said = run_command("--out", cues, "--again", "--clusters", "8")
    assert said.code == 0
    assert any(
        "Dropped the verdicts on the earlier cues, which cannot" in line for line in said.out
    )
    assert Cues.load(cues).ticked == []
