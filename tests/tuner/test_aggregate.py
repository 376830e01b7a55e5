"""The aggregate command: its table, its messages and its exit codes."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from proxy_keras.settings import ProxyConfig
from tests.tuner.fake_runs import config, write_events, write_run
from tuner.aggregate import build_parser, main

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "aggregate.md").read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path):
    """Return runs of two models, plain and with proxies, two seeds each; one is unfinished."""
    folder = tmp_path / "runs"
    for i, model in enumerate(["resnet20", "vgg16"]):
        for seed in range(2):
            for name, proxy in (("none", None), ("proxy", ProxyConfig(schedule="1,p"))):
                write_run(
                    folder / f"{model}_{name}_{seed}",
                    config(model=model, seed=seed, proxy=proxy),
                    val=0.5 + i / 8 + seed / 16,
                    test=0.5 - seed / 8,
                )
    write_run(folder / "late", is_finished=False)
    return folder


def _csv(capsys, *arguments):
    assert main([*map(str, arguments), "--to", "csv"]) == 0
    return pd.read_csv(io.StringIO(capsys.readouterr().out))


def test_one_row_per_run(runs, capsys):
    table = _csv(capsys, runs)
    assert len(table) == 9 and table["name"].is_unique
    assert table["test_accuracy"].count() == 8


def test_columns_where_and_sort(runs, capsys):
    condition = "model == 'vgg16' and method == 'none'"
    columns = ["--columns", "name,seed", "--where", condition]
    table = _csv(capsys, runs, *columns, "--sort", "test_accuracy")
    assert table.to_dict("list") == {"name": ["vgg16_none_1", "vgg16_none_0"], "seed": [1, 0]}
    table = _csv(capsys, runs, *columns, "--sort", "seed", "--descending")
    assert table["seed"].tolist() == [1, 0]


def test_rows_without_the_value_come_last_either_way(runs, capsys):
    for order in ([], ["--descending"]):
        table = _csv(capsys, runs, "--sort", "test_accuracy", *order)
        assert table["name"].tolist()[-1] == "late"


def test_what_was_read_is_told(runs, capsys):
    assert main([str(runs), "--where", "seed == 0"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told == ["9 runs: 9 read, 0 unchanged, 1 unfinished", "5 of 9 runs match"]
    main([str(runs)])
    assert "9 runs: 1 read, 8 unchanged, 1 unfinished" in capsys.readouterr().err


def test_tables_to_read_have_the_columns_that_hold_something(runs, capsys):
    main([str(runs), "--where", "status == 'finished'"])
    header = capsys.readouterr().out.splitlines()[0]
    assert "test accuracy (%)" in header
    assert "status" not in header and "shortcut" not in header
    main([str(runs)])
    assert "status" in capsys.readouterr().out.splitlines()[0]


def test_groups(runs, capsys):
    main([str(runs), "--to", "csv", "--group-by", "model,schedule"])
    read = capsys.readouterr()
    table = pd.read_csv(io.StringIO(read.out))
    assert table["model"].tolist() == ["resnet20", "resnet20", "vgg16", "vgg16"]
    assert table["runs"].tolist() == [2, 2, 2, 2]
    assert table["test_accuracy_mean"].tolist() == [0.4375] * 4
    assert "1 unfinished runs left out" in read.err and "differ" not in read.err


def test_groups_that_mix_settings_are_told(runs, capsys):
    main([str(runs), "--group-by", "model"])
    told = capsys.readouterr().err
    assert "note: runs of one group differ in " in told and " more, not only in their seed" in told


def test_best_of_each_group(runs, capsys):
    table = _csv(capsys, runs, "--group-by", "model,arm", "--best")
    assert table["name"].tolist() == [
        "resnet20_none_1",
        "resnet20_proxy_1",
        "vgg16_none_1",
        "vgg16_proxy_1",
    ]
    assert _csv(capsys, runs, "--best")["name"].tolist() == ["vgg16_none_1"]
    assert _csv(capsys, runs, "--best", "--by", "val_loss")["name"].tolist() == ["resnet20_none_0"]


def test_formats_and_out(runs, tmp_path, capsys):
    for kind, start in {"md": "| ", "tex": "% Needs", "html": "<!DOCTYPE", "csv": "name,"}.items():
        out = tmp_path / f"table.{kind}"
        assert main([str(runs), "--to", kind, "--out", str(out)]) == 0
        assert out.read_text().startswith(start)
    assert capsys.readouterr().out == ""


def test_the_page_says_what_is_in_it(runs, capsys):
    where = ["--where", "seed < 1"]
    main([str(runs), "--to", "html", *where, "--group-by", "model", "--best"])
    page = capsys.readouterr().out
    assert "where seed &lt; 1; the best of each model by val_accuracy" in page


def test_no_match_is_an_empty_table(runs, capsys):
    assert main([str(runs), "--to", "csv", "--where", "seed > 99", "--columns", "name"]) == 0
    assert capsys.readouterr().out == "name\n"


@pytest.mark.parametrize("kind", ["md", "tex", "html"])
@pytest.mark.parametrize("options", [[], ["--group-by", "model"], ["--best"]])
def test_an_empty_table_has_a_header_in_every_format(runs, capsys, kind, options):
    assert main([str(runs), "--to", kind, "--where", "seed > 99", *options]) == 0
    assert "seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "name,modle"], "--columns: There is no column 'modle'. Did you mean model"),
        (["--group-by", "modle"], "--group-by: There is no column"),
        (["--sort", "modle"], "--sort: There is no column"),
        (["--sort", "lr", "--group-by", "model"], "--sort: There is no column 'lr'"),
        (["--best", "--by", "modle"], "--by: There is no column"),
        (["--best", "--by", "test_accuracy"], "selecting on the test split"),
        (["--where", "modle == 'x'"], "Did you mean model"),
        (["--where", "print(1)"], "is not allowed"),
        (["--out", "."], "--out: . must be a file"),
        (["--out", "nowhere/table.md"], "must be a file in an existing folder"),
    ],
)
def test_bad_input_is_exit_code_2_and_a_message(runs, capsys, options, message):
    assert main([str(runs), *options]) == 2
    read = capsys.readouterr()
    assert message in read.err.splitlines()[-1]
    assert read.out == ""


@pytest.mark.parametrize("options", [["--by", "lr"], ["--descending"], ["--columns", "a,,b"]])
def test_options_that_make_no_sense_are_refused(runs, options):
    with pytest.raises(SystemExit) as stopped:
        main([str(runs), *options])
    assert stopped.value.code == 2


def test_no_folder_and_no_run_are_exit_code_2(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere")]) == 2
    assert main([str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "There is no folder" in told and "No runs found" in told


def test_unreadable_runs_are_exit_code_1_and_the_rest_is_done(runs, capsys):
    (runs / "vgg16_none_0" / "config.json").write_text("[")
    assert main([str(runs), "--to", "csv"]) == 1
    read = capsys.readouterr()
    assert len(read.out.splitlines()) == 9
    assert "1 unreadable (vgg16_none_0: config.json is not valid JSON" in read.err
    assert main([str(runs / "vgg16_none_0")]) == 2


def test_out_through_a_link_keeps_the_link(runs, tmp_path):
    (tmp_path / "link.md").symlink_to(tmp_path / "table.md")
    main([str(runs), "--out", str(tmp_path / "link.md")])
    assert (tmp_path / "link.md").is_symlink() and (tmp_path / "table.md").exists()


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/null"])
def test_out_may_be_a_device(path, runs, commands):
    done = commands.run("-m", "tuner.aggregate", runs, "--to", "csv", "--out", path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == (10 if path == "/dev/stdout" else 0)
    assert Path("/dev/null").is_char_device() and os.path.islink("/dev/stdout")


def test_the_lines_of_the_document_run(runs, tmp_path, monkeypatch, capsys):
    write_events(tmp_path / "others" / "logs" / "a", {"val_acc": {0: 0.5}})
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"^python -m tuner.aggregate (.*)$", DOCUMENT, re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line)) == 0
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    capsys.readouterr()
    exec(code, {})
    assert "resnet20" in capsys.readouterr().out


def test_the_document_names_all_options():
    options = re.findall(r"--[a-z-]+", build_parser().format_help())
    assert [option for option in options if option not in DOCUMENT and option != "--help"] == []


def test_stopping_is_no_traceback(runs, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tuner.aggregate.read_runs", stop)
    assert main([str(runs)]) == 130
    assert "stopped" in capsys.readouterr().err


def _command(*arguments, code="from tuner.aggregate import main; sys.exit(main(sys.argv[1:]))"):
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {code}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_folders_and_event_files_are_read_without_tensorflow(runs):
    write_events(runs / "theirs", {"val_acc": {0: 0.5}})
    code = "from tuner.aggregate import main; code = main(sys.argv[1:]); "
    code += "sys.exit(code or 3 * any(m in sys.modules for m in ('tensorflow', 'keras')))"
    done = _command(runs, "--to", "csv", code=code)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 11


def test_real_command(runs, tmp_path):
    arguments = [str(runs), "--to", "tex", "--group-by", "model", "--out", tmp_path / "t.tex"]
    done = subprocess.run(
        [sys.executable, "-m", "tuner.aggregate", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    assert r"resnet20 & 4 & 43.75 & 7.22" in (tmp_path / "t.tex").read_text()


def test_a_reader_that_has_seen_enough_is_no_error(runs):
    many = runs.parent / "many"
    for number in range(40):
        write_run(many / f"{number}")
    command = f"{sys.executable} -m tuner.aggregate {many} --to html | head -c 10"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "<!DOCTYPE "
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
