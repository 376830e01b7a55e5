"""What the command does: find or open cues, give verdicts, print, write, serve."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Any

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.facts_text import facts_table
from proxy_keras.settings import DataConfig, declared
from proxy_keras.ticking.cue_page import summary
from proxy_keras.ticking.cue_store import PAGE_FILE, CueStore
from proxy_keras.ticking.examined_model import ExaminedModel
from proxy_keras.ticking.options import CueOptions
from proxy_keras.ticking.verdict_options import give_verdicts


def run_command(
    path: Path, options: CueOptions, given: frozenset[str], settings: dict[str, Any]
) -> None:
    """Run the command.

    Args:
        path: A run folder or a `.keras` file.
        options: The options.
        given: Names of those that were given.
        settings: The given data options, by name in the configuration.

    Raises:
        ValueError, OSError: The model, its images, the cues or an option cannot be used.
        FloatingPointError: The model computes values that are not finite.
    """
    source = ExaminedModel(path, settings, progress=not options.quiet)
    store = CueStore(source, options, given)
    lines = give_verdicts(store.cues, options)
    if lines:
        store.cues.save_verdicts(store.folder)
    store.save_page()
    print("\n".join([*store.notes, _table(store.cues), *lines, _ticked(store.cues)]))
    if not options.page:
        print("\n".join(_what_next(store)))
        return
    serve(store, options.port)


def serve(store: CueStore, port: int) -> None:
    """Serve the page until the command is stopped, then print what is ticked.

    Raises:
        OSError: The port is in use.
    """
    from proxy_keras.ticking.cue_server import CueServer

    try:
        server = CueServer(store, port)
    except OSError as error:
        raise OSError(
            f"Cannot listen on port {port}: {error.strerror}. Give another --port, or 0 for any."
        ) from error
    print(f"Tick the cues at http://127.0.0.1:{server.port}/ (Ctrl-C to stop)", flush=True)
    # SIGTERM stops it like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        store.save_page()
    print("\n".join([_ticked(store.cues), *_what_next(store)]))


def _ticked(cues: Cues) -> str:
    names = f"{', '.join(cues.ticked)}: not the object. " if cues.ticked else ""
    return f"{names}{summary(cues)}"


def _table(cues: Cues) -> str:
    """Return a table of the shown cues, and of those parts of them that have a verdict."""
    said = cues.verdicts.current
    parts = sorted({*cues.shown, *said}, key=lambda name: (int(name.rstrip("ab")), name))
    return facts_table([cues.facts(name) for name in parts], said)


def _what_next(store: CueStore) -> list[str]:
    """Return the lines on the page and on the next command."""
    source, page = store.source, store.folder / PAGE_FILE
    if not store.cues.ticked:
        return [f"page: {page}", f"next: {store.page_command}"]
    if source.run is not None:
        start = ["--config", str(source.run / "config.json")]
        name, folder = source.run.resolve().name, source.run
    else:
        start, name, folder = data_options(source.config.data), source.file.stem, source.file
    out = folder.with_name(f"{name}_without_cues")
    words = [*start, "--cues", str(store.folder), "--out", str(out)]
    return [f"page: {page}", f"next: python -m proxy_keras.train {shlex.join(words)}"]


def data_options(data: DataConfig) -> list[str]:
    """Return the command-line options of data, without those that have their default."""
    words: list[str] = []
    for name, setting in declared(DataConfig).items():
        value = getattr(data, name)
        if setting.is_flag and value != setting.default:
            words.append(setting.option if value else setting.option.replace("--", "--no-", 1))
        elif value != setting.default:
            words += [setting.option, str(value)]
    return words
