import numpy as np
import optax
import pytest
from clu import metrics

from inksight_jax.training import hooks, mesh, state


class Report:
  def __init__(self):
    self.values, self.images = {}, {}

  def scalars(self, step, values):
    self.values[step] = values

  def image(self, step, name, image):
    self.images[step, name] = image

  def close(self):
    raise AssertionError("not the hook's to close")


def moment_of(model, batch, where):
  shapes = {name: x.shape for name, x in batch.items()}
  _, shardings = state.abstract_state(
    model, optax.sgd(0.1), shapes, {}, where, mesh.LOGICAL_AXIS_RULES
  )
  start = state.initial_state(model, optax.sgd(0.1), shapes, {}, shardings, 0)
  return hooks.Moment(5, start, Report(), False)


def test_evaluation_weighs_tokens_over_all_batches(toy_model, toy_batches):
  where = mesh.make_mesh()
  model, source = toy_model(dropout_rate=0.5), toy_batches(limit=3)
  batches = list(source.batches())
  moment = moment_of(model, batches[0], where)
  hook = hooks.evaluate_loss(model, source, where, num_batches=10, name="held")
  for _ in range(2):  # The same batches each time, and no dropout.
    hook(moment)
  # All batches as one: the mean over all tokens, not of the batches' means.
  joined = {
    name: np.concatenate([batch[name] for batch in batches])
    for name in batches[0]
  }
  _, expected = model.eval_fn(moment.state.params, joined)
  values = moment.writer.values[5]
  assert set(values) == {f"held/{name}" for name in expected}
  for name, metric in expected.items():
    assert values[f"held/{name}"] == pytest.approx(
      float(metric.compute()), rel=1e-5
    )


def test_evaluation_takes_no_more_batches_than_asked(toy_model, toy_batches):
  where = mesh.make_mesh()
  model = toy_model()
  moment = moment_of(model, next(toy_batches().batches()), where)
  hooks.evaluate_loss(model, toy_batches(), where, num_batches=1)(moment)
  _, expected = model.eval_fn(
    moment.state.params, next(toy_batches().batches())
  )
  assert moment.writer.values[5]["eval/loss"] == pytest.approx(
    float(expected["loss"].compute()), rel=1e-5
  )
  empty = hooks.evaluate_loss(model, toy_batches(limit=0), where)
  with pytest.raises(ValueError, match="batches of 'eval' are empty"):
    empty(moment)


def test_pictures_go_to_the_writer(toy_model, toy_batches):
  model = toy_model()
  moment = moment_of(model, next(toy_batches().batches()), mesh.make_mesh())

  def draw(given, params, step):
    assert given is model
    return np.full((2, 2, 3), step + int(params["kernel"].size), np.uint8)

  hooks.draw_pictures(model, draw)(moment)
  assert set(moment.writer.images[5, "samples"].ravel()) == {5 + 8 * 16}


def test_schedules():
  def nothing(moment):
    del moment

  scheduled = hooks.every(4, nothing)
  assert [s for s in range(1, 11) if scheduled.due(s, s == 10)] == [4, 8, 10]
  punctual = hooks.every(4, nothing, at_end=False)
  assert [s for s in range(1, 11) if punctual.due(s, s == 10)] == [4, 8]
  with pytest.raises(ValueError, match="every 0 steps"):
    hooks.every(0, nothing)


def test_merging_adds_totals_and_counts():
  def average(total, count):
    return {"m": metrics.Average(np.float32(total), np.int32(count))}

  got = hooks.merged([average(1, 2), average(5, 1), average(0, 3)])
  assert got == {"m": 6 / 6}
  assert isinstance(got["m"], float)
