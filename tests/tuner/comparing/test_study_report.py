"""The report of a study, finished or not: files, tables, figures."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from proxy_keras.io.figures import to_array
from tests.tuner.made_up_results import results
from tuner.comparing import study_figures, study_report
from tuner.comparing.analysis import analyse

FILES = {
    "summary.csv",
    "comparisons.csv",
    "report.md",
    "selections.csv",
    "accuracy.png",
    "accuracy.svg",
    "differences.png",
    "differences.svg",
}
FINISHED = {
    "none": [80.0, 81.0, 82.0, 80.5, 81.5],
    "proxy": [83.0, 84.2, 84.9, 83.6, 84.3],
    "random_mask": [81.5, 82.4, 83.6, 82.1, 82.9],
    "proxies_off": [80.0, 81.0, 82.0, 80.5, 81.5],
}
UNFINISHED = {"none": [80.0, 81.0], "proxy": [83.0], "a|$b_{": [82.0, 82.0]}


def write(folder, accuracies, **options):
    table = results(accuracies)
    return study_report.write(folder, table, title="A $x study", command="run", **options)


def test_a_report_of_a_finished_study(tmp_path):
    verdict = write(tmp_path / "new", FINISHED, notes=["Of one data set."])
    folder = tmp_path / "new"
    assert {file.name for file in folder.iterdir()} == FILES
    summary = pd.read_csv(folder / "summary.csv").set_index("arm")
    assert list(summary.index) == list(FINISHED)
    assert summary.loc["proxy", "mean_points"] == pytest.approx(84.0)
    assert summary.loc["proxy", "cpu_ratio"] == 1.25
    pairs = pd.read_csv(folder / "comparisons.csv")
    assert list(pairs["outcome"]) == ["better", "better", "identical", "better", "better"]
    assert pairs["differences_points"][0] == "0:3 1:3.2 2:2.9 3:3.1 4:2.8"
    assert not pairs.drop(index=2).isna().any(axis=None)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert f"**{verdict.sentence}**" in text and all(line in text for line in verdict.comparisons)
    for part in (
        "```bash\nrun\n```",
        "| proxy | 5 | 84.0 | 83.1 to 84.9 | 0.72 | 50.0 | 25 | 1.25 | 100 | 10.0% |",
        "| proxy - none | 5 | +3.0 | +2.8 to +3.2 | < 0.001 | < 0.001 | 0.0625 |",
        "its p is never below 0.0625, so it cannot reach 0.05 here",
        "](accuracy.png)",
        "](differences.svg)",
        "- Of one data set.",
    ):
        assert part in text
    assert "nan" not in text.lower() and "None" not in text


def test_a_report_of_an_unfinished_study(tmp_path):
    write(tmp_path, UNFINISHED, arms=[*UNFINISHED, "erasing"], seeds=range(3))
    assert {file.name for file in tmp_path.iterdir()} == FILES
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "7 of 12 runs are missing" in text
    assert "| proxy | 1 (2 missing) | 83.0 | – | – |" in text
    assert "| erasing | 0 (3 missing) | – | – |" in text
    assert r"a\|$b_{" in text and "nan" not in text.lower()


def test_supervision_and_cues_have_columns_where_an_arm_has_them(tmp_path):
    table = results({"none": [80.0, 81.0], "proxy:a": [85.0, 86.0], "proxy:b": [85.0, 87.0]})
    cues = table["arm"] == "proxy:a"
    table.loc[cues, "cues_ticked"] = [0.0, 3.0]
    table.loc[cues, "cue_cpu_seconds"] = [4.0, 8.0]
    told = {"proxy:a": "objects of 10% of the training images", "proxy:b": "the planted shortcut"}
    study_report.write(tmp_path, table, title="t", command="run", supervision=told)
    lines = (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()
    ends = [line.partition("pixels replaced")[2] or line for line in lines if line[:2] == "| "][:5]
    assert ends[0] == " | supervision | finding cues | nothing ticked |"
    assert ends[2].endswith("| – | – | – | – |")
    assert ends[3].endswith("10.0% | objects of 10% of the training images | 6 | 1 of 2 |")
    assert ends[4].endswith("10.0% | the planted shortcut | – | – |")
    assert any("trained on originals only" in line for line in lines)
    summary = pd.read_csv(tmp_path / "summary.csv").set_index("arm")
    assert summary["unticked"].dropna().to_dict() == {"proxy:a": 1.0}


def test_steps_beside_those_of_all_arms_have_a_column(tmp_path):
    table = results({"none": [80.0, 81.0], "jtt": [85.0, 86.0]})
    table["extra_steps"] = np.where(table["arm"] == "jtt", 1500.0, 0.0)
    study_report.write(tmp_path, table, title="t", command="run")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    header, _, plain, twice = [line for line in text.splitlines() if line[:2] == "| "][:4] or [""]
    assert header.endswith("| pixels replaced | extra steps |")
    assert plain.endswith("| – |") and twice.endswith("| 1,500 |")
    assert "Extra steps are optimizer steps beside those that all arms share." in text


def test_a_study_of_one_arm_has_a_report_without_comparisons(tmp_path):
    write(tmp_path, {"none": [80.0]})
    assert "## Comparisons" not in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert list(pd.read_csv(tmp_path / "comparisons.csv").columns)[:2] == ["arm", "control"]


def test_the_same_results_give_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder, FINISHED)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_report_is_replaced(tmp_path):
    write(tmp_path, {"none": [80.0], "proxy": [81.0]})
    write(tmp_path, FINISHED)
    assert "84.0" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert {file.name for file in tmp_path.iterdir()} == FILES


def test_figures_are_as_wide_as_promised(tmp_path):
    write(tmp_path, FINISHED)
    for name in ("accuracy", "differences"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width == 1000
        assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("arms", [FINISHED, UNFINISHED, {"none": []}])
@pytest.mark.parametrize("draw", [study_figures.accuracy, study_figures.differences])
def test_no_label_leaves_the_picture(arms, draw):
    long = "an_arm_whose_name_goes_on_and_on_and_on"
    table = results({**arms, long: [70.0, 99.0]})
    figure = draw(analyse(table, arms=[*arms, long]), title="A title $of_{ " * 12)
    pixels = to_array(figure)
    edges = [pixels[:, :4], pixels[:, -4:], pixels[:2], pixels[-2:]]
    assert all(np.all(edge == 255) for edge in edges)
    (axis,) = figure.axes
    renderer = figure.canvas.get_renderer()
    labels = [label.get_window_extent(renderer) for label in axis.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in zip(labels, labels[1:], strict=False))


def test_filled_marks_are_the_differences_shown():
    figure = study_figures.differences(analyse(results(FINISHED)), title="x")
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    faces = [mark.get_markerfacecolor() != "white" for mark in marks]
    assert faces == [True, True, False, True, True]


def test_an_interval_longer_than_the_axis_ends_in_arrows():
    table = results({"none": [40.0, 41.0], "proxy": [41.0, 59.0]})
    figure = study_figures.accuracy(analyse(table), title="x")
    low, high = figure.axes[0].get_xlim()
    assert low > 10.0 and high < 90.0
    assert {"<", ">"} <= {line.get_marker() for line in figure.axes[0].lines}


def test_the_report_needs_no_tensorflow():
    code = "import sys, tuner.comparing.study_report; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
