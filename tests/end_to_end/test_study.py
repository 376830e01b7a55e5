"""A real study, killed and resumed, with its controls."""

import signal
import time

import pandas as pd
import pytest


@pytest.mark.slow
def test_a_killed_study_resumes_and_its_control_equals_plain_training(
    commands, run_command, squares, tmp_path
):
    out = tmp_path / "study"
    words = [
        *("-m", "tuner.study", "--data", f"npz:{squares}", "--out", str(out)),
        *("--model", "small_cnn", "--epochs", "5", "--batch-size", "48", "--seeds", "1"),
        *("--arms", "proxy,proxies_off", "--no-controls", "--workers", "2", "--quiet"),
        *("--schedule", "1,p,3", "--select", "all", "--subset", "1", "--threshold", "0.3"),
        *("--weight", "1", "--method", "layer_score_cam"),
    ]
    first = commands.start(*words)
    checkpoints = out / "runs" / "none" / "seed-0" / "checkpoints"
    timing = checkpoints.with_name("timing.csv")
    until = time.monotonic() + 240
    while not list(checkpoints.glob("epoch_000?")) and time.monotonic() < until:
        assert first.poll() is None
        time.sleep(0.05)
    seconds = pd.read_csv(timing).loc[0, "seconds"]
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL and not (out / "results.csv").exists()

    again = run_command(*words, timeout_s=280)
    assert again.returncode == 0, again.stderr
    rows = pd.read_csv(out / "results.csv", keep_default_na=False).set_index("arm")
    assert set(rows.index) == {"none", "proxy", "proxies_off"}
    for name in ("test_accuracy", "val_accuracy", "test_loss"):
        assert rows.loc["none", name] == rows.loc["proxies_off", name]
    assert rows.loc["none", "test_loss"] != rows.loc["proxy", "test_loss"]
    assert rows["proxies_made"].to_dict() == {"none": 0, "proxy": 204, "proxies_off": 204}
    assert rows["initial_weights_sha256"].nunique() == 1
    assert "no comparison has two seeds" in again.stdout
    # An unchanged duration shows that the first epoch was not trained again.
    assert pd.read_csv(timing).loc[0, "seconds"] == seconds
