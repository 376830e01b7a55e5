"""The graph walk and the cut, on graphs small enough to know the answer."""

import keras
import pytest
from keras import layers, ops

from proxy_keras.graph import frontier, inputs_of, nodes_to, operation_of


def names(tensors):
    return [tensor._keras_history.operation.name for tensor in tensors]


@pytest.fixture
def residual():
    """image -> a -> b -> (a + b) -> c, with the image used again at the end."""
    image = keras.Input((4,), name="image")
    a = layers.Dense(4, name="a")(image)
    b = layers.Dense(4, name="b")(a)
    total = layers.Add(name="sum")([a, b])
    c = layers.Dense(4, name="c")(total)
    end = layers.Concatenate(name="end")([c, image])
    return {"image": image, "a": a, "b": b, "sum": total, "c": c, "end": end}


def test_nodes_come_after_those_that_they_need(residual):
    order = [node.operation.name for node in nodes_to(residual["end"])]
    assert order == ["a", "b", "sum", "c", "end"]


def test_walk_stops_at_given_tensors(residual):
    nodes = nodes_to(residual["end"], stop=[id(residual["sum"])])
    assert [node.operation.name for node in nodes] == ["c", "end"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("a", ["image"]), ("b", ["a", "image"]), ("sum", ["image"]), ("c", ["image"])],
)
def test_frontier_is_what_the_rest_needs_besides_the_target(residual, target, expected):
    assert sorted(names(frontier(residual[target], residual["end"]))) == expected


def test_frontier_of_a_cut_is_empty(residual):
    assert frontier(residual["sum"], residual["c"]) == []


def test_frontier_of_a_tensor_that_is_not_used_is_refused(residual):
    with pytest.raises(ValueError, match="do not depend"):
        frontier(residual["c"], residual["sum"])
    with pytest.raises(ValueError, match="do not depend"):
        frontier(residual["end"], residual["end"])


def test_operation_and_inputs_of_a_tensor(residual):
    assert operation_of(residual["sum"]).name == "sum"
    assert names(inputs_of(residual["sum"])) == ["a", "b"]
    assert inputs_of(residual["image"]) == []


def test_a_deep_graph_is_walked_without_recursion():
    image = keras.Input((2,))
    tensor = image
    for _ in range(1500):
        tensor = ops.add(tensor, 1.0)
    assert len(nodes_to(tensor)) == 1500
