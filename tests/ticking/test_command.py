"""The command from a run to ticked cues, in one process."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from proxy_keras import Cues
from proxy_keras.ticking import command


def rows(lines: list[str]) -> dict[str, list[str]]:
    """Return the cells of the printed table by the name of the cue."""
    found = (re.match(r" +(\d+[ab]*) +(\d.*)", line) for line in lines)
    return {row[1]: row[2].split() for row in found if row}


def corner_of(folder: Path) -> str:
    """Return the name of the cue that is never on the object."""
    cues = Cues.load(folder)
    (name,) = [name for name in cues.shown if cues.facts(name).inside == 0.0]
    return name


def test_from_a_run_to_ticked_cues(project, run_command, tmp_path: Path) -> None:
    folder = tmp_path / "cues"
    said = run_command("--out", folder, "--clusters", "8")
    assert (said.code, said.err) == (0, [])
    table = rows(said.out)
    assert list(table) == ["1", "2", "3"]
    corner = corner_of(folder)
    # In units of the colour, the square's evidence is 1 - 1/3, the corner's 3/4 - 1/2, and blank
    # images have none. The corner never leads, and is in two of three classes.
    coloured = Cues.load(folder).images.labels != 1
    assert table[corner][1:] == ["0%", "-", str(coloured.sum()), "2/3", "1.00"]
    share = Cues.load(folder).facts(corner).evidence_share
    assert share == pytest.approx(3 / 11, abs=0.002)
    assert all(table[name][1] == "100%" for name in table if name != corner)
    assert said.out[-3:-1] == ["Nothing is ticked.", f"page: {folder / 'cues.html'}"]
    content = json.loads((folder / "cues.json").read_text())
    schema = json.loads((folder / "cues.schema.json").read_text())
    jsonschema_rs.Draft202012Validator(schema).validate(content)
    assert content["images_with_known_object"] > 0

    said = run_command("--out", folder, "--tick-outside", "0.5")
    assert said.out[0] == f"Opened the cues in {folder}; --again finds them anew."
    assert f"Said of {corner}: not the object." in said.out
    assert f"{corner}: not the object. Ticked: 1 cue, {share:.0%} of the evidence." in said.out
    assert said.out[-1] == (
        f"next: python -m proxy_keras.train --config {project.run}/config.json --cues {folder} "
        f"--out {project.run}_without_cues"
    )
    assert Cues.load(folder).ticked == [corner]
    page = (folder / "cues.html").read_text()
    assert f"{share:.0%} of what the network looks at." in page
    assert "0% of it lies on the object" in page and "Always in the same place." in page
    assert page.count('class="picture') >= 3 * 6


def test_verdicts_are_given_and_taken_back(run_command, cues: Path) -> None:
    assert "Said of 1, 2: not the object." in run_command("--out", cues, "--tick", "1,2").out
    said = run_command("--out", cues, "--object", "1", "--mixture", "3", "--untick", "2")
    assert Cues.load(cues).verdicts.current == {"1": "object", "3": "mixture"}
    assert "Nothing is ticked." in said.out
    assert "Took back: cue 3: a mixture." in run_command("--out", cues, "--undo").out
    assert Cues.load(cues).verdicts.current == {"1": "object"}
    run_command("--out", cues, "--tick", "2,3")
    assert "Took back: cues 2, 3: not the object." in run_command("--out", cues, "--undo").out
    assert Cues.load(cues).verdicts.current == {"1": "object"}
    before = (cues / "verdicts.json").read_bytes()
    # Nothing changes, so nothing can be undone.
    run_command("--out", cues, "--object", "1")
    assert (cues / "verdicts.json").read_bytes() == before


def test_ticking_reads_no_images(run_command, cues: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: Any, **options: Any) -> None:
        raise AssertionError("images were read")

    monkeypatch.setattr("proxy_keras.ticking.examined_model.load_data", refuse)
    assert run_command("--out", cues, "--tick", "2").code == 0
    assert 'data-verdict="not_object"' in (cues / "cues.html").read_text()


def test_cues_are_not_dropped_unless_asked(run_command, cues: Path) -> None:
    run_command("--out", cues, "--tick", "2")
    said = run_command("--out", cues, "--clusters", "4")
    assert said.code == 2 and Cues.load(cues).ticked == ["2"]
    assert said.err == [
        f"error: The cues in {cues} were found with --clusters 8. Find them again with --again, "
        "which drops their verdicts, or give another --out."
    ]
    said = run_command("--out", cues, "--clusters", "4", "--again")
    assert "Dropped the verdicts on the earlier cues: 2 not object." in said.out
    assert Cues.load(cues).ticked == []


def test_cues_of_another_model_are_refused(run_command, project, cues: Path, tmp_path) -> None:
    run = Path(shutil.copytree(project.run, tmp_path / "run"))
    with (run / "model.keras").open("ab") as file:
        file.write(b"\0")
    said = run_command("--out", cues, model=run)
    assert said.code == 2 and "were found in another model" in said.err[0]


def test_a_file_needs_images_once(run_command, project, tmp_path: Path) -> None:
    model = Path(shutil.copy(project.run / "model.keras", tmp_path / "net.keras"))
    said = run_command(model=model)
    assert said.err == [f"error: {model} is not a run. Give the images to look at: --data SRC"]
    photos = ["--data", project.photos, "--val", "0.2"]
    assert run_command(*photos, "--clusters", "8", model=model).code == 0
    folder = tmp_path / "net_cues"
    said = run_command("--tick", corner_of(folder), model=model)
    assert said.out[-1] == (
        f"next: python -m proxy_keras.train --data {project.photos} --image-size 16 --val 0.2 "
        f"--cues {folder} --out {tmp_path / 'net_without_cues'}"
    )


def test_objects_can_be_named_later_and_of_a_share(run_command, cues: Path) -> None:
    known = int(Cues.load(cues).images.has_object.sum())
    run_command("--out", cues, "--tick", "2")
    run_command("--out", cues, "--object-share", "0.5", "--seed", "0")
    loaded = Cues.load(cues)
    assert 0 < loaded.images.has_object.sum() < known
    assert loaded.ticked == ["2"]


def test_without_its_images_the_command_says_so(
    run_command, project, cues: Path, tmp_path: Path
) -> None:
    (cues / "pictures.json").unlink()
    (cues / "found.json").unlink()
    said = run_command("--out", cues, "--data", tmp_path / "gone", "--tick", "1")
    assert said.code == 0 and Cues.load(cues).ticked == ["1"]
    (note,) = [line for line in said.out if line.startswith("The page has no pictures: ")]
    assert "gone" in note
    assert "There are no pictures: " in (cues / "cues.html").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--tick", "99"], "There is no cue '99'. There are 1 to 3, and their halves"),
        (["--tick", "1,"], "must be names such as 3,7b"),
        (["--tick", "1", "--object", "1"], "Give each cue one verdict. Received: '1'"),
        (["--tick-outside", "1.5"], "`tick_outside` must be in (0, 1]. Received: 1.5"),
        (["--tick-outside", "nan"], "`tick_outside` must be in (0, 1]."),
        (["--clusters", "1"], "must be auto or at least 2. Received: '1'"),
        (["--port", "70000"], "must be a number from 0 to 65535. Received: '70000'"),
        (["--max-images", "0"], "`max_images` must be >= 1. Received: 0"),
        (["--boxes", "gone.csv"], "'gone.csv' does not exist."),
        (["--object-share", "2"], "`object_share` must be in (0, 1]. Received: 2.0"),
    ],
)
def test_bad_options_change_nothing(
    project, cues: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    before = {file.name: file.read_bytes() for file in cues.iterdir()}
    try:
        code = command.main([str(project.run), "--out", str(cues), *words])
    except SystemExit as ended:
        code = ended.code
    assert code == 2 and why in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in cues.iterdir()} == before


def test_a_folder_of_something_else_is_refused(run_command, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    said = run_command("--out", tmp_path)
    assert said.err == [
        f"error: {tmp_path} is not empty and has no cues. Give a new or empty folder: --out DIR"
    ]
