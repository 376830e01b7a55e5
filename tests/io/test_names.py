"""Names of files and classes can be written and compared, whatever bytes they have."""

import os
import unicodedata

import pytest

from proxy_keras.io.names import canonical, printable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"Mu\xf1oz.png", "Mu%F1oz.png"),
        ("Mu\u00f1oz.png".encode(), "Mu\u00f1oz.png"),
        (b"\x80\xff", "%80%FF"),
        (b"plain 100%.png", "plain 100%.png"),
    ],
)
def test_bytes_that_are_not_utf8_are_written_out(name, expected):
    assert printable(os.fsdecode(name)) == expected
    assert canonical(os.fsdecode(name)).encode()


def test_normal_forms_are_the_same_name():
    forms = [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    assert {canonical(form) for form in forms} == {"caf\u00e9"}
