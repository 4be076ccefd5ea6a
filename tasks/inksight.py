"""The tasks of a family and their mixture in SeqIO's registry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import seqio
import tensorflow as tf

from inksight_jax.metrics.summary import InkEvaluation, TextEvaluation
from inksight_jax.pipeline import preprocessors
from inksight_jax.pipeline.examples import TRAIN
from inksight_jax.pipeline.mixture import component_rates
from inksight_jax.pipeline.records import MixtureRecords
from inksight_jax.pipeline.sources import RecordDataSource, RecordTable
from inksight_jax.pipeline.task_set import TaskSet
from inksight_jax.pipeline.vocabularies import SeqioVocabulary
from inksight_jax.text.vocabulary import Decoded

MetricFn = Callable[[Sequence[Decoded], Sequence[Decoded]], dict[str, float]]


def task_name(spec: TaskSet, component: str) -> str:
  """Name in SeqIO's registry of a task, or of a task over one source.

  Args:
    spec: the tasks.
    component: "derender", or "derender/unipen" where there are several sources;
      see `TaskSet.components`.
  """
  return f"{spec.name}_{component.replace('/', '_')}"


def register(spec: TaskSet, seed: int = 0) -> str:
  """Registers every task of a spec and their mixture; again is no error.

  Args:
    spec: the tasks, their data sets and their rates. Of several data sets the
      shares follow their sizes, so these are read when SeqIO asks for a rate.
    seed: seed of the fixed examples of the splits other than "train"; training
      examples follow the seed that SeqIO is given.

  Returns:
    The mixture's name, for `seqio.get_mixture_or_task`.
  """
  spec.check_one_shape("SeqIO tasks")
  vocabulary = SeqioVocabulary(spec.vocabulary)
  features: dict[str, Any] = {
    "image": seqio.ContinuousFeature(dtype=tf.uint8, rank=3),
    "targets": seqio.Feature(vocabulary, add_eos=True),
  }
  if spec.prompt_length:
    features["inputs"] = seqio.Feature(vocabulary, add_eos=False)
  # One table for all tasks: a data set is read once.
  sources = {
    source.key: RecordDataSource(RecordTable(spec, source))
    for source in spec.all_sources
  }
  # Path and rates are not part of the name, so a second registration replaces
  # the first.
  _remove(seqio.MixtureRegistry, spec.name)
  for component in spec.components:
    name = task_name(spec, component.name)
    source = sources[component.source.key]
    _remove(seqio.TaskRegistry, name)
    seqio.TaskRegistry.add(
      name,
      # SeqIO's own base class says None where its protocol wants a count.
      source=source,  # pyright: ignore[reportArgumentType]
      preprocessors=[
        functools.partial(
          preprocessors.examples,
          table=source.table,
          task=component.task,
          seed=seed,
        )
      ],
      output_features=features,
      postprocess_fn=functools.partial(read_answer, vocabulary=vocabulary),
      metric_fns=metric_fns(spec, component.task),
      shuffle_buffer_size=None,
    )
  seqio.MixtureRegistry.add(spec.name, _rates(spec))
  return spec.name


def _rates(
  spec: TaskSet,
) -> list[tuple[str, float | Callable[[seqio.Task], float]]]:
  """(name, rate) of each task; functions where the rate follows the sizes."""
  if len(spec.all_sources) == 1:
    return [
      (task_name(spec, component.name), spec.rates[component.task])
      for component in spec.components
    ]

  @functools.cache
  def shares() -> dict[str, float]:
    sizes = MixtureRecords(spec, TRAIN).sizes
    rates = component_rates(spec.components, spec.rates, sizes)
    return {task_name(spec, name): rate for name, rate in rates.items()}

  return [
    # 0 for a data set that has nothing for the task; SeqIO never draws it.
    (task_name(spec, component.name), lambda task: shares().get(task.name, 0.0))
    for component in spec.components
  ]


def _remove(registry: type[seqio.DatasetProviderRegistry], name: str) -> None:
  """Takes a name out of a registry if it is in."""
  if name in registry.names():
    registry.remove(name)


def read_answer(
  output: str, *, vocabulary: SeqioVocabulary, **unused: object
) -> Decoded:
  """SeqIO's postprocessing: a decoded answer to its text and its ink."""
  return vocabulary.vocabulary.decode(vocabulary.encode(output))


def metric_fns(spec: TaskSet, task: str) -> list[MetricFn]:
  """Metrics of what a task writes: text, ink or both."""
  info = spec.info(task)
  fns: list[MetricFn] = []
  if info.writes_text:
    fns.append(text_metrics)
  if info.writes_ink:
    # SeqIO reads the arguments' names, so a partial would do as well; a closure
    # has a name in its logs.
    def ink_metrics(
      targets: Sequence[Decoded], predictions: Sequence[Decoded]
    ) -> dict[str, float]:
      evaluation = InkEvaluation(canvas=spec.canvas)
      for truth, prediction in zip(targets, predictions, strict=True):
        evaluation.add(truth.ink, prediction.ink)
      return evaluation.result()

    fns.append(ink_metrics)
  return fns


def text_metrics(
  targets: Sequence[Decoded], predictions: Sequence[Decoded]
) -> dict[str, float]:
  """CER, WER and exact match with their shuffled controls."""
  evaluation = TextEvaluation()
  for truth, prediction in zip(targets, predictions, strict=True):
    evaluation.add(truth.text, prediction.text)
  return evaluation.result()
