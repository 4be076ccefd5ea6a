"""The examples in the documentation of the API run as they stand."""

import doctest
import pathlib

import numpy as np
import pytest
from PIL import Image

import inksight_jax
from inksight_jax.inference import outputs, page, predictor, results


@pytest.mark.parametrize(
  "module", [inksight_jax, outputs, page, predictor, results]
)
def test_examples_are_true(
  module,
  model: predictor.Predictor,
  tmp_path: pathlib.Path,
  monkeypatch: pytest.MonkeyPatch,
):
  # The examples speak of these.
  noise = np.random.default_rng(0).integers(0, 256, (126, 250, 3), np.uint8)
  Image.fromarray(noise).save(tmp_path / "word.png")
  monkeypatch.chdir(tmp_path)
  loaded = {pathlib.Path("runs/quickstart"): model}
  # Compiled once; `load` itself made the fixture.
  monkeypatch.setattr(
    predictor, "load", lambda path: loaded[pathlib.Path(path)]
  )
  failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
  assert not failed
  if module in (inksight_jax, predictor, outputs):
    assert tried
