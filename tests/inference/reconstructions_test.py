"""Pictures to codes and back, scores and tokens, with untrained weights."""

import json

import numpy as np
import pytest

from inksight_jax.cli import data_draw, main
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.datasets.picture_tokens import read_picture_tokens
from inksight_jax.inference import held_out, recipe, reconstructions

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory, save_untrained):
  """Of the quickstart, as small as it gets; two canvases that come often."""
  return save_untrained(
    tmp_path_factory.mktemp("codes"),
    ["gin/recipes/inverse_dalle_quickstart.gin"],
    [
      "WIDTHS = (4, 4)",
      "PATCH = 4",
      "BUDGET = 8",
      "NUM_CODES = 16",
      "joined.Join.least = 1",
      "joined.Join.most = 2",
      "joined.Join.deals = 1",
    ],
  )


@pytest.fixture(scope="module")
def coder(model_dir):
  return reconstructions.load(model_dir, batch_size=8)


def test_canvases_of_any_shape_in_any_order(coder):
  rng = np.random.default_rng(0)
  sizes = [(4, 28), (8, 12), (4, 28), (8, 12), (4, 28)]
  canvases = [
    rng.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes
  ]
  codes = coder.encode(canvases)
  for canvas, grid in zip(canvases, codes, strict=True):
    assert grid.shape == (canvas.shape[0] // 4, canvas.shape[1] // 4)
    np.testing.assert_array_equal(coder.encode([canvas])[0], grid)
  for canvas, made in zip(canvases, coder.decode(codes), strict=True):
    assert made.shape == canvas.shape and made.dtype == np.uint8
  picture = canvases[0][:, :20]
  on_canvas, _ = coder.tasks.fit(picture)
  np.testing.assert_array_equal(
    coder.encode_picture(picture), coder.encode([on_canvas])[0]
  )


def test_scores_are_those_of_the_samples_and_of_nothing_else(coder):
  """Batches are filled up with empty rows, which must not count."""
  samples = held_out.held_out_samples(coder.tasks, "test", 11)["reconstruct"]
  scores, made = reconstructions.evaluate(coder, samples)
  errors, used = [], set()
  for sample, picture in zip(samples, made, strict=True):
    rows, columns = (4 * sample.example.inputs).tolist()
    grey = sample.example.image.astype(float).mean(-1)
    error = np.abs(picture.astype(float)[..., 0] - grey) / 127.5
    errors.append(error[:rows, :columns].ravel())
    grid = coder.encode([sample.example.image])[0]
    used |= set(grid[: rows // 4, : columns // 4].ravel().tolist())
  # Pictures are rounded to whole levels.
  assert scores["l1"] == pytest.approx(
    np.concatenate(errors).mean(), abs=0.5 / 127.5
  )
  assert scores["codes_used"] == pytest.approx(len(used) / 16)
  assert scores["samples"] == 11


def test_evaluate_writes_metrics_and_a_sheet(model_dir, tmp_path, capsys):
  arguments = ["--samples=4", "--pictures=4", f"--output_dir={tmp_path}"]
  assert main.main(["evaluate", f"--model_dir={model_dir}", *arguments]) == 0
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert 0 < metrics["reconstruct/codes_used"] <= 1
  assert 1 <= metrics["reconstruct/perplexity"] <= 16
  assert (tmp_path / "sheet.png").exists()
  assert "codes_used" in capsys.readouterr().out


def test_another_model_is_refused(tmp_path):
  recipe.parse(["gin/recipes/sequence_digits_quickstart.gin"])
  recipe.build().save(tmp_path)
  (tmp_path / "checkpoints" / "1").mkdir(parents=True)
  with pytest.raises(ValueError, match="inverse_dalle"):
    reconstructions.load(tmp_path, 1)


def test_a_data_set_becomes_codes(
  model_dir, coder, tmp_path, capsys, monkeypatch
):
  arguments = [f"--model_dir={model_dir}", f"--output_dir={tmp_path}"]
  command = ["data", "tokenize", *arguments, "--split=test"]
  assert main.main([*command, "--batch_size=8"]) == 0
  assert "16 codes, 8 tokens a picture" in capsys.readouterr().out
  records = list(read_picture_tokens(tmp_path, split="test"))
  samples = held_out.held_out_samples(coder.tasks, "test", 10**6)["reconstruct"]
  assert len(records) == len(samples) > 100
  by_id = {record.id: record for record in records}
  for sample in samples[:20]:
    record = by_id[sample.id]
    assert record.text == sample.text
    (codes,) = coder.encode([sample.example.image])
    np.testing.assert_array_equal(record.codes, codes)
  # And back: an image folder of what the codes draw.
  drawn = tmp_path / "drawn"
  command = ["data", "draw", f"--model_dir={model_dir}", f"--path={tmp_path}"]
  command += [f"--output_dir={drawn}", "--batch_size=8"]
  assert main.main([*command, "--split=train"]) == 1
  assert "no split train" in capsys.readouterr().err
  assert main.main([*command, "--samples=9"]) == 0
  pictures = list(read_image_folder(drawn, split="test"))
  assert [p.text for p in pictures] == [r.text for r in records[:9]]
  for picture, record in zip(pictures, records, strict=False):
    (whole,) = coder.decode([record.codes])
    rows, columns = picture.image.shape[:2]
    np.testing.assert_array_equal(picture.image, whole[:rows, :columns])
    assert whole[rows:].max(initial=0) < 64 > whole[:, columns:].max(initial=0)
  # Cut short, it leaves no labels that are not of these pictures.
  with monkeypatch.context() as patch:
    patch.setattr(data_draw, "_write", _cut_short)
    assert main.main(command) != 0
  assert not (drawn / "labels.csv").exists()
  # The control: the same pictures, one canvas for all.
  square = tmp_path / "square"
  command = ["data", "tokenize", f"--model_dir={model_dir}", "--split=test"]
  command += ["--batch_size=8", "--square", f"--output_dir={square}"]
  assert main.main(command) == 0
  others = list(read_picture_tokens(square, split="test"))
  assert {r.codes.shape for r in others} == {(2, 2)}
  assert {r.id: r.text for r in others} == {r.id: r.text for r in records}


def _cut_short(*args):
  raise KeyboardInterrupt
