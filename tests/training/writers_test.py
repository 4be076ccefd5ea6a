import io
import json

import numpy as np
from tensorboardX.proto import event_pb2

from inksight_jax.training import writers


def test_curves_append_and_forget_what_a_resumed_run_repeats(tmp_path):
  first = writers.CurveWriter(str(tmp_path))
  for step in (10, 20, 30):
    first.scalars(step, {"train/loss": 1.0 / step})
  first.close()
  path = tmp_path / writers.CURVE_FILE
  with path.open("a") as file:
    file.write('{"step": 40, "train/lo')  # Killed here.
  resumed = writers.CurveWriter(str(tmp_path), start=20)
  resumed.scalars(30, {"train/loss": 7.0})
  resumed.close()
  lines = [json.loads(line) for line in path.read_text().splitlines()]
  assert [line["step"] for line in lines] == [10, 20, 30]
  assert lines[2]["train/loss"] == 7.0
  assert writers.read_curve(str(path)) == lines
  assert writers.read_curve(str(tmp_path / "absent")) == []


def records(path):
  """Events of a TFRecord file: length, checksum, bytes, checksum."""
  data = path.read_bytes()
  while data:
    length = int.from_bytes(data[:8], "little")
    yield event_pb2.Event.FromString(data[12 : 12 + length])
    data = data[16 + length :]


def test_tensorboard_files_hold_the_numbers_and_pictures(tmp_path):
  writer = writers.TensorBoardWriter(str(tmp_path))
  writer.scalars(5, {"train/loss": 0.25})
  writer.image(5, "samples", np.zeros((4, 6, 3), np.uint8))
  writer.close()
  (path,) = (tmp_path / writers.TENSORBOARD_FOLDER).iterdir()
  values = {
    value.tag: value
    for event in records(path)
    if event.step == 5
    for value in event.summary.value
  }
  assert values["train/loss"].simple_value == 0.25
  assert (values["samples"].image.height, values["samples"].image.width) == (
    4,
    6,
  )


class Terminal(io.StringIO):
  def isatty(self):
    return True


def test_console_lines_say_loss_speed_and_time_left():
  stream = io.StringIO()
  writer = writers.ConsoleWriter(1000, stream)
  writer.scalars(
    100,
    {
      "train/loss": 1.5,
      "train/steps_per_second": 3.0,
      "train/grad_norm": 9.0,
      "time/step": 0.7,
      "time/data": 0.25,
      "time/save": 0.046,
      "time/hooks": 0.004,
      "time/seconds": 7200.0,
      "time/starts": 3.0,
    },
  )
  writer.scalars(100, {"eval/loss": 2.5})
  first, second = stream.getvalue().splitlines()
  assert "step 100/1000" in first
  assert "train/loss 1.5" in first
  assert "grad_norm" not in first
  assert "goodput 70% of 2.0 h in 3 starts (data 25%, save 5%)" in first
  assert "5 min left" in first
  assert second == "step 100/1000  eval/loss 2.5"


def test_a_terminal_line_is_overwritten_by_the_next():
  stream = Terminal()
  writer = writers.ConsoleWriter(2, stream)
  for step in (1, 2):
    writer.scalars(step, {"train/steps_per_second": 1.0})
  text = stream.getvalue()
  assert text.count("\r") == 1
  assert text.endswith("\n")


def test_writers_hand_on_everything():
  class Remembers:
    def __init__(self):
      self.calls = []

    def scalars(self, step, values):
      self.calls.append(("scalars", step, values))

    def image(self, step, name, image):
      self.calls.append(("image", step, name))

    def close(self):
      self.calls.append(("close",))

  each = [Remembers(), Remembers()]
  both = writers.Writers(each)
  both.scalars(1, {"a": 2.0})
  both.image(1, "b", np.zeros((1, 1, 3), np.uint8))
  both.close()
  for writer in each:
    assert writer.calls == [
      ("scalars", 1, {"a": 2.0}),
      ("image", 1, "b"),
      ("close",),
    ]
