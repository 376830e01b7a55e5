"""CueStore: the folder of cues, opened or found, with its pictures and its page."""

from __future__ import annotations

import dataclasses
import shlex
from importlib import resources
from pathlib import Path

import numpy as np

from proxy_keras.cues.cue_folder import CUES_FILE, MODEL_FILE, VERDICTS_FILE, load_verdicts
from proxy_keras.cues.cues import Cues
from proxy_keras.cues.find import find_cues
from proxy_keras.cues.pictures import Picture, draw_pictures
from proxy_keras.io.atomic_files import UNFINISHED, write_text_atomically
from proxy_keras.ticking.cue_page import standalone_page
from proxy_keras.ticking.examined_model import ExaminedModel
from proxy_keras.ticking.found_file import FOUND_FILE, FoundWith
from proxy_keras.ticking.options import FOUND_WITH, OBJECTS, CueOptions
from proxy_keras.ticking.picture_file import PICTURES_FILE, load_pictures, save_pictures

PAGE_FILE, SCHEMA_FILE = "cues.html", "cues.schema.json"
FILES = frozenset(
    {
        *(CUES_FILE, VERDICTS_FILE, MODEL_FILE, FOUND_FILE, PICTURES_FILE, PAGE_FILE, SCHEMA_FILE),
        *("clusters.npz", "images.npz"),
    }
)


class CueStore:
    """The folder of cues of one model.

    Args:
        source: The model and its images.
        options: The options of the command.
        given: Names of the options that were given.

    Attributes:
        folder: The folder.
        cues: The cues.
        was_found: Whether they were found now rather than opened.
        seed: Seed of the pictures.
        pictures: Pictures by the name of their cue.
        problem: Why there are no pictures; "": there are.
        notes: Lines on what was done.

    Raises:
        ValueError, OSError: The model, its images, the cues or an option cannot be used.
    """

    def __init__(self, source: ExaminedModel, options: CueOptions, given: frozenset[str]) -> None:
        self.source = source
        self.folder = options.out or source.default_folder
        self.notes: list[str] = []
        self.problem = ""
        _check_folder(self.folder)
        exists = (self.folder / CUES_FILE).is_file()
        self.was_found = options.again or not exists
        if self.was_found:
            dropped = self._dropped()
            if dropped and not options.again:
                raise ValueError(
                    f"{self.folder} has verdicts, but not the {CUES_FILE} of their cues. Restore "
                    "that file, or find the cues again with --again, which drops the verdicts."
                )
            self.cues = self._find(options)
            self.notes += [dropped] if dropped else []
            self._save(options)
        else:
            options = self._open(options, given)
        self.seed = options.seed
        pictures = load_pictures(self.folder)
        if pictures is None:
            pictures = self._draw()
        self.pictures: dict[str, list[Picture]] = pictures

    @property
    def title(self) -> str:
        """What the cues are of."""
        return str(self.source.run or self.source.file)

    @property
    def page_command(self) -> str:
        """The command that serves the page."""
        source = self.source
        out = [] if self.folder == source.default_folder else ["--out", str(self.folder)]
        return shlex.join(["python", "-m", "proxy_keras.cues", str(source.path), *out, "--page"])

    def draw(self, names: list[str], page: int = 0) -> dict[str, list[Picture]]:
        """Return pictures of cues by their name; those of page 0 are kept.

        Raises:
            ValueError, OSError: The images cannot be read.
        """
        missing = names if page else [name for name in names if name not in self.pictures]
        drawn = draw_pictures(
            *(self.cues, missing, self.source.read, self.source.path_of), page=page, seed=self.seed
        )
        if page:
            return drawn
        self.pictures |= drawn
        return {name: self.pictures[name] for name in names}

    def save_page(self) -> None:
        """Write `cues.html` and the pictures that were drawn."""
        if self.pictures:
            save_pictures(self.folder, self.pictures)
        schema = resources.files("proxy_keras.ticking") / "page" / SCHEMA_FILE
        write_text_atomically(self.folder / SCHEMA_FILE, schema.read_text(encoding="utf-8"))
        page = standalone_page(
            self.cues,
            self.pictures,
            title=self.title,
            problem=self.problem,
            command=self.page_command,
        )
        write_text_atomically(self.folder / PAGE_FILE, page)

    def _find(self, options: CueOptions) -> Cues:
        source = self.source
        data = source.data
        source.check_classes()
        cues = find_cues(
            source.saved.model,
            data,
            clusters=options.clusters,
            target_layer=options.layer,
            max_images=options.max_images,
            shown=options.shown,
            batch_size=options.batch_size,
            seed=options.seed,
            verbose=int(not options.quiet),
        )
        return self._with_objects(cues, options)

    def _with_objects(self, cues: Cues, options: CueOptions) -> Cues:
        """Return cues whose objects are those that the options name."""
        objects, position_of = self.source.objects(options)
        if objects is None:
            if options.object_share is not None:
                raise ValueError(
                    "No object is known in these images, so --object-share has nothing to draw "
                    "from. Give --boxes FILE.csv or --masks DIR."
                )
            return cues
        examined = zip(cues.images.example_ids, cues.images.is_held_out.tolist(), strict=True)
        positions = [-1 if held_out else position_of.get(name, -1) for name, held_out in examined]
        return cues.with_objects(objects, np.array(positions, np.int64))

    def _save(self, options: CueOptions) -> None:
        self.cues.save(self.folder)
        found = {name: getattr(options, name) for name in FOUND_WITH}
        source = self.source
        FoundWith(str(source.file), source.sha256, source.config.data, found).save(self.folder)

    def _open(self, options: CueOptions, given: frozenset[str]) -> CueOptions:
        """Open the cues, and return the options with which they were found."""
        found = FoundWith.load(self.folder)
        asked = {name: getattr(options, name) for name in FOUND_WITH if name in given}
        if found is not None:
            found.check(self.folder, self.source.sha256, asked)
            self.source.recorded = found.data
            options = dataclasses.replace(options, **found.options)
        elif asked:
            raise ValueError(
                f"The cues in {self.folder} were saved in Python, so it is not known whether they "
                f"were found with --{next(iter(asked)).replace('_', '-')}. Leave it out, or find "
                "them again: --again"
            )
        self.cues = Cues.load(self.folder)
        self.notes.append(f"Opened the cues in {self.folder}; --again finds them anew.")
        if given & set(OBJECTS):
            self.cues = self._with_objects(self.cues, options)
            self.cues.save(self.folder)
        return options

    def _draw(self) -> dict[str, list[Picture]]:
        mixtures = [name for name in self.cues.shown if self.cues.facts(name).is_mixture]
        halves = [half for name in mixtures for half in self.cues.tree.halves_of(name)]
        names = [*self.cues.shown, *halves]
        try:
            read, path_of = self.source.read, self.source.path_of
            return draw_pictures(self.cues, names, read, path_of, seed=self.seed)
        except (ValueError, OSError) as error:
            self.problem = str(error)
            self.notes.append(f"The page has no pictures: {error}")
            return {}

    def _dropped(self) -> str:
        """Return a line on the verdicts that finding the cues again drops; "": none."""
        try:
            verdicts = load_verdicts(self.folder).current
        except FileNotFoundError:
            return ""
        except ValueError as error:
            return f"Dropped the verdicts on the earlier cues, which cannot be read: {error}"
        names = ", ".join(
            f"{name} {verdict.replace('_', ' ')}" for name, verdict in verdicts.items()
        )
        return f"Dropped the verdicts on the earlier cues: {names}." if names else ""


def _check_folder(folder: Path) -> None:
    """Refuse a folder that has files of something else."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give a folder: --out DIR")
    names = {file.name.replace(UNFINISHED, "") for file in folder.glob("*")}
    if names - FILES and CUES_FILE not in names:
        raise ValueError(
            f"{folder} is not empty and has no cues. Give a new or empty folder: --out DIR"
        )
