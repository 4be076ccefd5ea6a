"""Vocabularies know what training shows and nothing else."""

import numpy as np
import pytest

from inksight_jax.datasets.picture_tokens import write_picture_tokens
from inksight_jax.datasets.record import Record
from inksight_jax.pipeline.alphabet import training_characters


def test_characters_of_held_out_splits_are_unknown(tmp_path):
  codes = np.zeros((1, 2), np.int32)
  splits = {
    name: [Record(text, "unit", text, codes=codes) for text in texts]
    for name, texts in {"train": ["cab", "ä b"], "test": ["xyz"]}.items()
  }
  write_picture_tokens(tmp_path, splits, num_codes=2, length=4)
  assert training_characters("picture_tokens", str(tmp_path)) == " abcä"
  del splits["train"]
  write_picture_tokens(tmp_path / "b", splits, num_codes=2, length=4)
  with pytest.raises(ValueError, match="no text in its training split"):
    training_characters("picture_tokens", str(tmp_path / "b"))
