"""Class names are read from the kinds of files in use; what could permute them is refused."""

import json

import pytest

from proxy_keras.io.class_names import check_order, read_class_names


def _read(tmp_path, content):
    file = tmp_path / "names.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_class_names(file)


@pytest.mark.parametrize("count", [1, 2, 10, 11, 12, 111])
def test_keras_class_indices_keep_their_numbers(tmp_path, count):
    # Keras sorts folders as text: "10" before "2".
    folders = sorted(str(number) for number in range(count))
    indices = {name: number for number, name in enumerate(folders)}
    assert _read(tmp_path, indices) == folders


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (["x", 1, "z"], ["x", "1", "z"]),
        ({"1": "1", "0": "x", "2": "z"}, ["x", "1", "z"]),
        ({"x": 0, "y": 2, "z": 1}, ["x", "z", "y"]),
        ({"0": "1", "1": "2", "2": "0"}, ["1", "2", "0"]),
        ({"0": 1, "1": 2, "2": 0}, ["2", "0", "1"]),
        ({"2020": 1, "2019": 0}, ["2019", "2020"]),
    ],
)
def test_names_are_a_list_or_by_class_id_or_class_ids_by_name(tmp_path, content, names):
    assert _read(tmp_path, content) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": "b"}, "must contain a JSON list of class names"),
        ("5", "must contain a JSON list of class names"),
        ('"abc"', "must contain a JSON list of class names"),
        (["cat", ["dog"]], "must contain a JSON list of class names"),
        (["cat", True], "must contain a JSON list of class names"),
        ({"cat": False, "dog": True}, "must contain a JSON list of class names"),
        ({"0": "cat", "1": None}, "must contain a JSON list of class names"),
        ("", "Received: invalid JSON"),
        (["cat", "cat"], "must have unique class names. Repeated: cat"),
        ({"0": "1", "1": 1}, "must have unique class names. Repeated: 1"),
        ({"cat": 1, "dog": 2}, "must be 0 to 1, each once. Received: {'cat': 1, 'dog': 2}"),
        ({"0": 0, "1": 0}, "must be 0 to 1, each once"),
        ({"0": 2019, "1": 2020}, "If the numbers are the class names, write them as strings"),
        ('{"0": "cat", "1": "dog", "0": "owl"}', "must have each key once. Repeated: 0"),
        ('{"cat": 0, "cat": 1}', "must have each key once. Repeated: cat"),
    ],
)
def test_other_content_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"names\.json .*{message}") as error:
        _read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"names\.json does not exist. Pass a JSON file"):
        read_class_names(tmp_path / "names.json")


def test_the_names_of_the_data_in_another_order_are_refused():
    message = "n.json has .* in another order: class 1 is 'b'. Received: 'c'. Correct the order"
    with pytest.raises(ValueError, match=message):
        check_order("n.json", ["a", "c", "b"], ["a", "b", "c"])
    for names in (["a", "b", "c"], ["x", "b", "a"], ["a", "c"]):
        check_order("n.json", names, ["a", "b", "c"])
