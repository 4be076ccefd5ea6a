"""The InkSight tasks and their mixture in SeqIO's registry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import seqio
import tensorflow as tf

from inksight_jax.metrics.summary import InkEvaluation, TextEvaluation
from inksight_jax.pipeline import preprocessors
from inksight_jax.pipeline.sources import RecordDataSource, RecordTable
from inksight_jax.pipeline.spec import InkSightTasks, task_info
from inksight_jax.pipeline.vocabularies import SeqioVocabulary
from inksight_jax.text.vocabulary import Decoded

MetricFn = Callable[[Sequence[Decoded], Sequence[Decoded]], dict[str, float]]


def task_name(spec: InkSightTasks, task: str) -> str:
  """Name of a task in SeqIO's registry."""
  return f"{spec.name}_{task}"


def register(spec: InkSightTasks, seed: int = 0) -> str:
  """Registers every task of a spec and their mixture; again is no error.

  Args:
    spec: the tasks, their data set and their rates.
    seed: seed of the fixed examples of the splits other than "train"; training
      examples follow the seed that SeqIO is given.

  Returns:
    The mixture's name, for `seqio.get_mixture_or_task`.
  """
  vocabulary = SeqioVocabulary(spec.vocabulary)
  features = {
    "image": seqio.ContinuousFeature(dtype=tf.uint8, rank=3),
    "inputs": seqio.Feature(vocabulary, add_eos=False),
    "targets": seqio.Feature(vocabulary, add_eos=True),
  }
  # One table for all tasks: a data set is read once.
  source = RecordDataSource(RecordTable(spec))
  # Path and rates are not part of the name, so a second registration replaces
  # the first.
  _remove(seqio.MixtureRegistry, spec.name)
  for task in spec.tasks:
    name = task_name(spec, task)
    _remove(seqio.TaskRegistry, name)
    seqio.TaskRegistry.add(
      name,
      # SeqIO's own base class says None where its protocol wants a count.
      source=source,  # pyright: ignore[reportArgumentType]
      preprocessors=[
        functools.partial(
          preprocessors.examples, table=source.table, task=task, seed=seed
        )
      ],
      output_features=features,
      postprocess_fn=functools.partial(read_answer, vocabulary=vocabulary),
      metric_fns=metric_fns(spec, task),
      shuffle_buffer_size=None,
    )
  seqio.MixtureRegistry.add(
    spec.name,
    [(task_name(spec, task), spec.rates[task]) for task in spec.tasks],
  )
  return spec.name


def _remove(registry: type[seqio.DatasetProviderRegistry], name: str) -> None:
  """Takes a name out of a registry if it is in."""
  if name in registry.names():
    registry.remove(name)


def read_answer(
  output: str, *, vocabulary: SeqioVocabulary, **unused: object
) -> Decoded:
  """SeqIO's postprocessing: a decoded answer to its text and its ink."""
  return vocabulary.vocabulary.decode(vocabulary.encode(output))


def metric_fns(spec: InkSightTasks, task: str) -> list[MetricFn]:
  """Metrics of what a task writes: text, ink or both."""
  info = task_info(task)
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
