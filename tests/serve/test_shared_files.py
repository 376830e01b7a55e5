"""Rules that training and serving share are the same files, since neither imports the other."""

from __future__ import annotations

import pytest

from tests.documents import ROOT


@pytest.mark.parametrize(
    "original",
    ["data/images.py", "data/left_out.py", "io/names.py", "io/output_target.py"],
)
def test_both_packages_have_the_same_rules(original: str) -> None:
    ours = ROOT / "proxy_keras" / original
    assert ours.read_bytes() == (ROOT / "serve" / ours.name).read_bytes()
