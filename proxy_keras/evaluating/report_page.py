"""A report as one self-contained HTML page and as PDF."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from proxy_keras.evaluating.report_parts import Report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def to_html(report: Report) -> str:
    """Render the report as one HTML file without scripts and external resources."""
    page = resources.files("proxy_keras.evaluating") / "page"
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    template = environment.from_string((page / "report.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        title=report.title,
        subtitle=report.subtitle,
        facts=report.facts,
        sections=report.sections,
        css=Markup((page / "report.css").read_text(encoding="utf-8")),
    )


def find_browser() -> str:
    """Return the path of an installed Chromium or Chrome.

    Raises:
        FileNotFoundError: None is installed.
    """
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(
        "--pdf needs Chromium or Chrome, and neither is installed. Install one (Debian, Ubuntu: "
        "apt install chromium), or print report.html from another browser."
    )


def write_pdf(html: Path, pdf: Path, browser: str, *, timeout_s: float = 120.0) -> None:
    """Print an HTML file to a PDF file.

    Args:
        html: The HTML file.
        pdf: The PDF file.
        browser: See `find_browser`.
        timeout_s: Time limit in seconds.

    Raises:
        RuntimeError: The browser failed or timed out.
    """
    # A killed browser may still be writing to its profile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            "--headless",
            # The browser's sandbox does not work for root.
            *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []),
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            f"--print-to-pdf={pdf}",
            html.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(
                f"{browser} could not print {html} within {timeout_s:g} s. Open the file in a "
                "browser and print it."
            ) from error
    if done.returncode or not pdf.is_file():
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"{browser} could not print {html}: {' '.join(reason)}")
