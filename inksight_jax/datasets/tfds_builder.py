"""TensorFlow Datasets builders: one shell around every reader.

    builder = tfds_builder("iam", data_dir="tfds", level="word")
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(manual_dir="downloads")
    )

Needs tensorflow_datasets, which is imported where it is used only.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.registry import dataset_info, load_records
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import SPLITS

VERSION = "1.0.0"
# TFDS has builders called mnist and omniglot of its own.
PREFIX = "handwriting_"


def config_name(options: dict[str, Any]) -> str:
  """A folder name for the records that the options select."""
  if not options:
    return "default"
  text = json.dumps(options, sort_keys=True, default=str)
  digest = hashlib.sha256(text.encode()).hexdigest()[:8]
  words = (v for v in options.values() if isinstance(v, str) and v.isalnum())
  return "_".join([*words, digest])


@functools.cache
def builder_class(name: str) -> type:
  """The TFDS builder class of a data set of the registry.

  It reads `manual_dir/<name>`, or `manual_dir` itself where there is no such
  folder, because TFDS' default folder is shared by all data sets.

  Args:
    name: a key of `DATASETS`.

  Returns:
    A subclass of tfds.core.GeneratorBasedBuilder called
    `handwriting_<name>`, registered with TFDS.

  Raises:
    ValueError: unknown data set.
  """
  import tensorflow_datasets as tfds

  info = dataset_info(name)

  def generate(
    self: Any, manual_dir: pathlib.Path, split: str
  ) -> Iterator[tuple[str, dict[str, Any]]]:
    options = getattr(self.builder_config, "options", {})
    report = SkipReport()
    records = load_records(name, manual_dir, split, report, **options)
    for record in records:
      yield record.id, example(record, info)

  def split_generators(self: Any, dl_manager: Any) -> dict[str, Any]:
    # Generated data has no files, and asks for none.
    folder = pathlib.Path()
    if self.MANUAL_DOWNLOAD_INSTRUCTIONS:
      folder = pathlib.Path(dl_manager.manual_dir)
      folder = folder / name if (folder / name).exists() else folder
    splits = {}
    for split in SPLITS:
      # TFDS refuses splits without examples.
      examples = self._generate_examples(folder, split)
      if (first := next(examples, None)) is not None:
        splits[split] = itertools.chain([first], examples)
    return splits

  def information(self: Any) -> Any:
    return tfds.core.DatasetInfo(
      builder=self,
      description=f"{info.kind}. Licence: {info.licence}.",
      features=tfds.features.FeaturesDict(_features(tfds, info)),
      citation=info.citation,
      license=info.licence,
    )

  needs_files = info.needs_path
  return type(
    PREFIX + name,
    (tfds.core.GeneratorBasedBuilder,),
    {
      "__module__": __name__,
      "__doc__": f"{info.kind}.",
      "name": PREFIX + name,
      # TFDS would find these itself, by a package that it does not install.
      "code_path": tfds.core.as_path(__file__),
      "pkg_dir_path": tfds.core.as_path(__file__).parent,
      "VERSION": tfds.core.Version(VERSION),
      "RELEASE_NOTES": {VERSION: "First."},
      "MANUAL_DOWNLOAD_INSTRUCTIONS": info.access if needs_files else None,
      "_info": information,
      "_split_generators": split_generators,
      "_generate_examples": generate,
    },
  )


def tfds_builder(
  name: str, data_dir: str | pathlib.Path | None = None, **options: Any
) -> Any:
  """A TFDS builder of the records that the options select.

  Args:
    name: a key of `DATASETS`.
    data_dir: where TFDS keeps prepared data sets; its default if None.
    **options: of the reader, see `DatasetInfo.options`.

  Returns:
    A tfds.core.DatasetBuilder; other options are another config of it.

  Raises:
    ValueError: unknown data set or option.
  """
  import dataclasses

  import tensorflow_datasets as tfds

  dataset_info(name).full_options(options)  # refuses unknown ones

  @dataclasses.dataclass(eq=False)
  class RecordConfig(tfds.core.BuilderConfig):
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

  config = RecordConfig(name=config_name(options), options=options)
  return builder_class(name)(data_dir=data_dir, config=config)


def _features(tfds: Any, info: DatasetInfo) -> dict[str, Any]:
  """What `example` returns, as TFDS features."""
  picture = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
  number = tfds.features.Tensor(shape=(None,), dtype=np.float32)
  features: dict[str, Any] = {
    "id": tfds.features.Text(),
    "text": tfds.features.Text(),
    "writer": tfds.features.Text(),
  }
  if "ink" in info.holds:
    features["ink"] = {
      "x": number,
      "y": number,
      "t": number,
      "stroke_id": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    }
  if info.holds == ("image",):
    features["image"] = picture
    features["lines"] = tfds.features.Sequence(
      {
        "text": tfds.features.Text(),
        "box": tfds.features.Tensor(shape=(4,), dtype=np.float32),
      }
    )
  elif "image" in info.holds:
    # Not every record of these has one.
    features["images"] = tfds.features.Sequence(picture)
  return features


def example(record: Record, info: DatasetInfo) -> dict[str, Any]:
  """A record as TFDS example.

  Args:
    record: of the data set.
    info: of the data set.

  Returns:
    id, text, writer; `image` uint8[height, width, 3] and `lines` (text and box
    left, top, right, bottom) of picture sets, `images` of sets where it may be
    absent; `ink` with x, y (pixels, y down), t (ms; NaN where there is none)
    and stroke_id of each point.
  """
  features: dict[str, Any] = {
    "id": record.id,
    "text": record.text,
    "writer": record.writer,
  }
  if "ink" in info.holds:
    strokes = record.ink.strokes if record.ink else ()
    none = np.zeros((0, 2))
    points = np.concatenate([none, *(s.points for s in strokes)])
    times = [
      np.full(len(s.points), np.nan) if s.times is None else s.times
      for s in strokes
    ]
    lengths = [len(s.points) for s in strokes]
    features["ink"] = {
      "x": points[:, 0].astype(np.float32),
      "y": points[:, 1].astype(np.float32),
      "t": np.concatenate([none[:, 0], *times]).astype(np.float32),
      "stroke_id": np.repeat(np.arange(len(strokes)), lengths).astype(np.int32),
    }
  if info.holds == ("image",):
    features["image"] = record.image
    features["lines"] = [
      {"text": line.text, "box": np.asarray(line.box, np.float32)}
      for line in record.lines
    ]
  elif "image" in info.holds:
    features["images"] = [] if record.image is None else [record.image]
  return features
