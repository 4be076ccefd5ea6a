"""Error rates while a model learns are those of what it writes by itself."""

import dataclasses

import pytest

from inksight_jax.inference import in_training
from inksight_jax.inference.evaluation import Outcome
from inksight_jax.inference.predictor import Predictor


def test_rates_count_the_texts_of_tasks_that_write_them(
  model: Predictor, monkeypatch: pytest.MonkeyPatch
):
  rates = in_training.ErrorRates(model.tasks, "test", count=1)
  found = rates.outcomes(model.model, model.params, 1)
  assert set(found) == set(model.tasks.tasks)
  said = {"recognize_ink": ("abc", "abd"), "recognize_and_derender": ("d", "")}

  def outcomes(*_) -> dict[str, list[Outcome]]:
    return {
      task: [
        dataclasses.replace(
          outcome,
          text=said.get(task, ("", "ink"))[1],
          sample=dataclasses.replace(
            outcome.sample, text=said.get(task, ("x", ""))[0]
          ),
        )
        for outcome in chosen
      ]
      for task, chosen in found.items()
    }

  monkeypatch.setattr(rates, "outcomes", outcomes)
  # One of three characters, and all of one; what derenders does not count.
  assert rates(model.model, model.params, 1) == {
    "eval/cer": 0.5,
    "eval/wer": 1.0,
    "eval/exact_match": 0.0,
  }


def test_tasks_without_text_have_no_rates(model: Predictor):
  rates = in_training.ErrorRates(
    dataclasses.replace(model.tasks, rates={"derender": 1.0}), "test", count=1
  )
  with pytest.raises(ValueError, match="none of derender"):
    rates(model.model, model.params, 1)
