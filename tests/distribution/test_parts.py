"""Every image of a batch is in one part; each part is the same whoever reads it."""

import numpy as np
import tensorflow as tf

from proxy_keras.distribution import Parts


def _read(parts, batches):
    dataset = parts.of(tf.data.Dataset.from_generator(lambda: batches, tf.int64, [None]))
    return {int(number): part.tolist() for number, part in dataset.as_numpy_iterator()}


def test_parts_keep_the_order_and_differ_by_one_at_most():
    batches = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
    parts = _read(Parts(3, 0, 3), batches)
    assert parts == {0: [0, 1], 1: [2, 3], 2: [4, 5], 3: [6], 4: [7], 5: [8, 9]}


def test_no_part_is_empty():
    assert _read(Parts(3, 0, 3), [[7, 8]]) == {0: [7], 1: [7], 2: [8]}


def test_processes_read_what_one_process_would():
    batches = [list(range(8)), list(range(8, 13))]
    whole = _read(Parts(4, 0, 4), batches)
    halves = [_read(Parts(4, first, 2), batches) for first in (0, 2)]
    assert halves[0].keys() == {0, 1, 4, 5} and halves[1].keys() == {2, 3, 6, 7}
    assert {**halves[0], **halves[1]} == whole


def test_all_tensors_of_a_batch_are_cut_alike():
    images = np.arange(10, dtype=np.float32).reshape(5, 2)
    batches = tf.data.Dataset.from_tensor_slices((np.arange(5), images)).batch(5)
    for number, (positions, cut) in Parts(2, 0, 2).of(batches).as_numpy_iterator():
        assert positions.tolist() == [[0, 1], [2, 3, 4]][number]
        np.testing.assert_array_equal(cut, images[positions])
