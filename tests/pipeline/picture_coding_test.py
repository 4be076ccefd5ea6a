"""Pictures on the canvases of a budget: given ones, and drawn ink."""

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example, Skip
from inksight_jax.pipeline.families import FAMILIES
from inksight_jax.pipeline.joined import Join, join_records
from inksight_jax.pipeline.picture_coding import PictureTasks
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.rendering.warp import WarpConfig
from inksight_jax.text.codecs import EOS_ID


def make_tasks(**changes) -> PictureTasks:
  settings = {"source": "sklearn_digits", "budget": 32, "patch": 8}
  return PictureTasks(**{**settings, **changes})


def build(tasks, record, training=False) -> Example:
  rng = np.random.default_rng(0)
  example = tasks.build(record, "reconstruct", rng, training)
  assert isinstance(example, Example)
  return example


def digits(count: int, name: str) -> Record:
  parts = [
    Record(
      f"{name}/{i}",
      "sklearn_digits",
      str(i),
      image=np.full((16, 16, 3), 60 * (i + 1), np.uint8),
    )
    for i in range(count)
  ]
  return join_records(parts)


@pytest.mark.parametrize("square", [False, True])
def test_the_shape_is_known_beforehand(square):
  tasks = make_tasks(square=square, padding="black")
  rng = np.random.default_rng(1)
  shapes = set()
  for number, (height, width) in enumerate(rng.integers(9, 90, (30, 2))):
    image = rng.integers(1, 256, (height, width, 3)).astype(np.uint8)
    record = Record(str(number), "x", image=image)
    example = build(tasks, record)
    assert example.image.shape[:2] == tasks.shape_of(record, "reconstruct")
    assert example.image.shape[:2] in tasks.image_shapes
    shapes.add(example.image.shape)
    # What is told to be covered is, the rest is padding.
    rows, columns = (8 * example.inputs).tolist()
    rest = example.image.copy()
    rest[:rows, :columns] = 0
    assert not rest.any()
    assert example.image[rows - 8 : rows].any()
    assert example.image[:, columns - 8 : columns].any()
  assert (len(shapes) == 1) == square


def test_parts_stand_below_each_other_as_often_as_told():
  tasks = make_tasks(vertical=0.3, padding="black")
  stacked = 0
  for number in range(200):
    record = digits(3, str(number))
    example = build(tasks, record)
    height, width = example.image.shape[:2]
    assert (height, width) == tasks.shape_of(record, "reconstruct")
    # Digits are as bright as they come first: at the end of the long side.
    if height > width:
      stacked += 1
      levels = example.image[:, 4, 0]
    else:
      levels = example.image[4, :, 0]
    seen = [v for v in dict.fromkeys(levels.tolist()) if v in (60, 120, 180)]
    assert seen == [60, 120, 180]
  assert 40 <= stacked <= 80


@pytest.mark.parametrize("padding", ["black", "white"])
@pytest.mark.parametrize(
  "points",
  [
    [[[0, 0], [300, 40], [10, 90]]],
    [[[5, 0], [8, 700]], [[0, 350], [30, 350]]],
    [[[0, 5], [400, 5]]],
    [[[3, 3]]],
  ],
)
def test_ink_is_drawn_inside_its_cells(points, padding):
  tasks = make_tasks(rendered=True, padding=padding)
  record = Record("1", "unipen", ink=Ink.from_arrays(points))
  for training in (False, True):
    example = build(tasks, record, training)
    assert example.image.shape[:2] == tasks.shape_of(record, "reconstruct")
    paper = 0 if padding == "black" else 255
    drawn = example.image[:, :, 0] != paper
    assert drawn.any()
    # Nothing touches the edge, and nothing lies in cells called padding.
    assert not drawn[0].any() and not drawn[:, 0].any()
    assert not drawn[-1].any() and not drawn[:, -1].any()
    rows, columns = (8 * example.inputs).tolist()
    assert not drawn[rows:].any() and not drawn[:, columns:].any()


def test_texts_come_along_where_there_is_room():
  record = digits(3, "a")
  assert build(make_tasks(), record).targets.tolist() == [EOS_ID]
  tasks = make_tasks(target_length=8)
  targets = build(tasks, record).targets
  assert tasks.vocabulary.decode(targets).text == "012"


def test_what_cannot_be_coded_is_left_out():
  tasks = make_tasks()
  thin = Record("1", "x", image=np.zeros((1, 4000, 3), np.uint8))
  rng = np.random.default_rng(0)
  assert tasks.build(thin, "reconstruct", rng, True) == Skip(
    "too thin for any canvas"
  )
  assert tasks.shape_of(thin, "reconstruct") in tasks.image_shapes
  assert tasks.build(Record("2", "x"), "reconstruct", rng, True) == Skip(
    "no image"
  )
  with pytest.raises(ValueError, match="only one is reconstruct"):
    tasks.info("read")


def test_tasks_are_read_back(tmp_path):
  tasks = make_tasks(
    square=True,
    join=Join(2, 6, 3),
    vertical=0.5,
    augment=WarpConfig(chance=0.5, angle=3.0),
    ink_augment=AugmentConfig.light(),
  )
  tasks.save(str(tmp_path))
  assert FAMILIES["pictures"].load(str(tmp_path)) == tasks


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"budget": 1}, "budget of 1"),
    ({"vertical": 1.5}, "share in"),
    ({"pen": (2.0, 1.0)}, "least and a most"),
    ({"margin": 4.0, "rendered": True}, "leaves nothing"),
    ({"padding": "blue"}, "one of paper"),
  ],
)
def test_bad_settings_are_refused(changes, message):
  with pytest.raises(ValueError, match=message):
    make_tasks(**changes)
