"""Reading the files of a folder of cues, which may be damaged or hostile: one error for each."""

from __future__ import annotations

import json
import math
import reprlib
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.atomic_files import write_atomically

_LARGEST_JSON = 2**26
# 20,000 images with maps of 112 x 112 take 1.3 GB.
_LARGEST_ARRAYS = 2**33

# What NumPy, zipfile and zlib raise, depending on the damage.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    tokenize.TokenError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

Expected = Mapping[str, tuple[tuple[int, ...], type[np.generic]]]
"""Shape and kind of arrays, by name."""


def save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a compressed archive, atomically and without pickle."""

    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.savez_compressed(opened, allow_pickle=False, **arrays)

    write_atomically(file, write)


def read_arrays(file: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays with these names; others in the archive are not read.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, has pickled objects, lacks one of the arrays, or is too large.
    """
    check_exists(file)
    try:
        with zipfile.ZipFile(file) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            wanted = [infos[f"{name}.npy"] for name in names if f"{name}.npy" in infos]
            size = sum(info.file_size for info in wanted)
            if len(wanted) == len(names) and size <= _LARGEST_ARRAYS:
                return {info.filename[:-4]: _read_array(archive, info) for info in wanted}
    except _DAMAGE as error:
        raise damaged(file, "must be an archive of arrays", error) from error
    if len(wanted) == len(names):
        raise damaged(file, f"must have at most {_LARGEST_ARRAYS:,} bytes of arrays", f"{size:,}")
    missing = [name for name in names if f"{name}.npy" not in infos]
    raise damaged(file, f"lacks {', '.join(missing)}", ", ".join(infos) or "nothing")


def check_arrays(file: Path, arrays: Mapping[str, NDArray[Any]], expected: Expected) -> None:
    """Check shapes, kinds of numbers, and that all are finite.

    Raises:
        ValueError: An array is something else.
    """
    for name, (shape, kind) in expected.items():
        array = arrays[name]
        is_right = array.shape == shape and np.issubdtype(array.dtype, kind)
        if not is_right or not (array.dtype.kind != "f" or np.isfinite(array).all()):
            rule = f"`{name}` must have shape {shape} and finite values of kind {kind.__name__}"
            raise damaged(file, rule, f"shape {array.shape}, dtype {array.dtype}")


def read_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It contains something else, or is too large.
    """
    check_exists(file)
    size = file.stat().st_size
    if size > _LARGEST_JSON:
        raise damaged(file, f"must have at most {_LARGEST_JSON:,} bytes", f"{size:,}")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(file, "must contain JSON", error) from error


def check_exists(file: Path) -> None:
    """Check that a file of a folder of cues is there.

    Raises:
        FileNotFoundError: It is not.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} does not exist, so {file.parent} is not a folder of cues. Find them first: "
            "python -m proxy_keras.cues MODEL"
        )


def damaged(file: Path, rule: str, received: object) -> ValueError:
    """Return the error that says what a file must be, what came, and what to do."""
    if isinstance(received, Exception):
        received = f"{type(received).__name__}: {received}"
    shown = received if isinstance(received, str) else reprlib.repr(received)
    return ValueError(f"{file}: {rule}. Received: {_short(shown)}. Find the cues again.")


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as opened:
        version = np.lib.format.read_magic(opened)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(opened)
    # A header can promise more than follows; NumPy would reserve memory for all of it.
    if math.prod(shape) * dtype.itemsize > info.file_size:
        raise ValueError(f"{info.filename} is shorter than its header says")
    with archive.open(info) as opened:
        return np.lib.format.read_array(opened, allow_pickle=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
