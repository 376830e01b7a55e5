"""Scalars of other tools are read from event files exactly, without TensorFlow."""

import struct
import subprocess
import sys

import pytest
import tensorflow as tf
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from tests.tuner.fake_runs import write_events
from tuner.collecting.event_files import read_scalars


def _files(folder):
    return sorted(folder.glob("events.out.tfevents.*"))


@pytest.mark.parametrize("is_old_style", [False, True])
def test_scalars_by_tag_and_step(tmp_path, is_old_style):
    folder = tmp_path / "a"
    write_events(folder, {"x": {0: 0.7, 1: 0.25}, "y": {3: -1.0}}, is_old_style=is_old_style)
    scalars = read_scalars(_files(folder))
    assert scalars.series == {("a", "x"): {0: 0.7, 1: 0.25}, ("a", "y"): {3: -1.0}}
    assert scalars.first == 1_000_000_000.0


def test_what_tensorflow_writes(tmp_path):
    with tf.summary.create_file_writer(str(tmp_path / "a")).as_default():
        for step, value in enumerate([0.5, 0.75]):
            tf.summary.scalar("loss", value, step)
            tf.summary.image("picture", tf.zeros([1, 4, 4, 3]), step)
            tf.summary.histogram("weights", [1.0, 2.0], step)
    assert read_scalars(_files(tmp_path / "a")).series == {("a", "loss"): {0: 0.5, 1: 0.75}}


def test_a_run_that_went_on_overwrites_the_steps_that_it_did_again(tmp_path):
    write_events(tmp_path / "a", {"x": {0: 0.0, 1: 0.0}})
    (first,) = _files(tmp_path / "a")
    first.rename(first.with_name("events.out.tfevents.1000000000.a"))
    write_events(tmp_path / "a", {"x": {1: 1.0, 2: 1.0}}, start=1_000_000_100.0)
    scalars = read_scalars(_files(tmp_path / "a"))
    assert scalars.series == {("a", "x"): {0: 0.0, 1: 1.0, 2: 1.0}}


@pytest.mark.parametrize("cut", [1, 6, 30])
def test_a_record_that_is_being_written_is_left_out(tmp_path, cut):
    write_events(tmp_path / "a", {"x": {0: 0.5, 1: 0.25}})
    (file,) = _files(tmp_path / "a")
    file.write_bytes(file.read_bytes()[:-cut])
    assert read_scalars([file]).series == {("a", "x"): {0: 0.5}}


def test_damage_is_an_error(tmp_path):
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(bytes(64))
    with pytest.raises(ValueError, match="damaged at byte 0"):
        read_scalars([file])


def test_a_record_that_is_no_event_is_an_error(tmp_path):
    length = struct.pack("<Q", 2)
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(length + struct.pack("<I", masked_crc32c(length)) + b"\xff\xff" + bytes(4))
    with pytest.raises(ValueError, match="not an event"):
        read_scalars([file])


def test_tensorflow_is_not_imported():
    code = "import sys, tuner.collecting.event_row; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_scalar_that_is_no_number_is_an_error(tmp_path):
    writer = EventFileWriter(str(tmp_path / "a"))
    metadata = summary_pb2.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    value = summary_pb2.Summary.Value(tag="x", metadata=metadata, tensor=make_tensor_proto("text"))
    writer.add_event(event_pb2.Event(summary=summary_pb2.Summary(value=[value])))
    writer.close()
    with pytest.raises(ValueError, match="'x' is not a number"):
        read_scalars(_files(tmp_path / "a"))
