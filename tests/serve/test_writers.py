"""Table, JSON and CSV contain the answers, for any names of files and classes."""

from __future__ import annotations

import csv
import io
import json

import numpy as np

from serve.files import ImageFile
from serve.prediction import Prediction
from serve.stream import Result
from serve.writers import CsvFile, JsonFile, Table, shown, write_confusion

LABELS = ["cat, black", 'd"og', "füchse"]
ODD = b"a\xff\n.png".decode("utf-8", "surrogateescape")
GOOD = Result(
    ImageFile("x/1.png", "1.png", 1),
    [Prediction(LABELS[2], 2, 0.75), Prediction(LABELS[0], 0, 0.125)],
    np.zeros(3, np.float32),
    overlay="out/1.png",
)
BAD = Result(ImageFile(ODD, ODD), error="truncated")


def test_json():
    file = io.BytesIO()
    writer = JsonFile(file, {"device": "cpu"}, LABELS)
    writer.add(GOOD)
    writer.add(BAD)
    writer.close({"bad": 1, "scores": None})
    assert "füchse" in file.getvalue().decode("utf-8")
    assert json.loads(file.getvalue()) == {
        "device": "cpu",
        "files": [
            {
                "path": "x/1.png",
                "label": 'd"og',
                "class": "füchse",
                "class_id": 2,
                "probability": 0.75,
                "top": [
                    {"class": "füchse", "class_id": 2, "probability": 0.75},
                    {"class": "cat, black", "class_id": 0, "probability": 0.125},
                ],
                "overlay": "out/1.png",
            },
            {"path": ODD, "error": "truncated"},
        ],
        "bad": 1,
        "scores": None,
    }


def test_json_without_a_file():
    file = io.BytesIO()
    JsonFile(file, {"device": "cpu"}, LABELS).close({"bad": 0})
    assert json.loads(file.getvalue()) == {"device": "cpu", "files": [], "bad": 0}


def test_csv():
    file = io.BytesIO()
    writer = CsvFile(file, 2, LABELS)
    writer.add(GOOD)
    writer.add(BAD)
    text = file.getvalue().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows == [
        {
            "path": "x/1.png",
            "label": 'd"og',
            "class": "füchse",
            "class_id": "2",
            "probability": "0.75",
            "class_2": "cat, black",
            "probability_2": "0.125",
            "overlay": "out/1.png",
            "error": "",
        },
        dict.fromkeys(rows[0], "") | {"path": ODD, "error": "truncated"},
    ]


def test_a_csv_has_as_many_columns_as_there_are_classes():
    file = io.BytesIO()
    CsvFile(file, 9, LABELS)
    assert file.getvalue().decode().rstrip().split(",")[-4:] == [
        "class_3",
        "probability_3",
        "overlay",
        "error",
    ]


def test_the_table(capsys):
    table = Table(["x/1.png", ODD], LABELS, is_labelled=True)
    table.add(BAD)
    table.add(GOOD)
    table.add(GOOD)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["path", "class", "prob", "truth", "others"]
    # The path of the bad file is wider: its two unprintable characters are escaped.
    assert rows == ['x/1.png        füchse       75.0%  d"og        cat, black 12.5%'] * 2


def test_the_table_without_truth_or_others(capsys):
    one = Result(ImageFile("1.png", "1.png"), GOOD.predictions[:1], GOOD.logits)
    Table(["1.png"], LABELS, is_labelled=False).add(one)
    assert capsys.readouterr().out == "path   class         prob\n1.png  füchse       75.0%\n"


def test_odd_names_take_one_line_on_the_screen():
    assert shown("photos/ä.png") == "photos/ä.png"
    assert shown(ODD) == r"a\udcff\n.png"


def test_the_confusion_matrix(tmp_path):
    write_confusion(tmp_path / "c.csv", np.arange(9).reshape(3, 3), LABELS)
    with open(tmp_path / "c.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ answered", *LABELS],
            [LABELS[0], "0", "1", "2"],
            [LABELS[1], "3", "4", "5"],
            [LABELS[2], "6", "7", "8"],
        ]
