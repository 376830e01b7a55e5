"""Failures to print a report say what to do."""

import pytest

from proxy_keras.evaluating.report_page import write_pdf


def _browser(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [("exec sleep 30", " within 0.2 s"), ("echo no display >&2; exit 1", ": no display")],
)
def test_what_the_browser_does_not_print_is_told(tmp_path, script, reason):
    browser = _browser(tmp_path / "browser", script)
    timeout_s = 0.2 if "sleep" in script else 20.0
    with pytest.raises(RuntimeError, match=f"browser could not print .*report.html{reason}"):
        write_pdf(tmp_path / "report.html", tmp_path / "x.pdf", browser, timeout_s=timeout_s)
