"""Protobuf text is read as its own library reads it."""

import pytest

from export.protobuf_text import parse_protobuf_text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", []),
        ("a: 1 b: 'x' # c: 2", [("a", "1"), ("b", "x")]),
        ('a: "x\\"y" "z"', [("a", 'x"yz')]),
        ("a: -1, b: KIND_CPU;", [("a", "-1"), ("b", "KIND_CPU")]),
        ("a { b: 1 } a: < b: 2 >", [("a", [("b", "1")]), ("a", [("b", "2")])]),
        (
            "a: [ 1, 2 ] b [ { c: 3 }, { } ]",
            [("a", "1"), ("a", "2"), ("b", [("c", "3")]), ("b", [])],
        ),
        ("a: [ ]", []),
        ("a {\n  b {\n c: [8,8]}}", [("a", [("b", [("c", "8"), ("c", "8")])])]),
    ],
)
def test_fields_are_read(text, message):
    assert parse_protobuf_text(text) == message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "a value is expected. Received: 'the end'"),
        ("a {", "a field's name is expected. Received: 'the end'"),
        ("a: [ 1", "a value is expected. Received: 'the end'"),
        ("a: 1 }", "a field's name is expected. Received: '}'"),
        ("a: ]", "a value is expected. Received: ']'"),
        ("{ a: 1 }", "a field's name is expected. Received: '{'"),
        ('a: "b', "a string is not closed at character 3"),
        ("1: 2", "a field's name is expected. Received: '1'"),
    ],
)
def test_other_text_is_refused(text, problem):
    with pytest.raises(ValueError) as error:
        parse_protobuf_text(text)
    assert str(error.value) == problem
