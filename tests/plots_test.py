"""Learning curves: what is read is what was written, and it is drawn."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from inksight_jax import plots

pytest.importorskip("matplotlib")


def write_curve(folder: pathlib.Path, entries: list[dict]) -> pathlib.Path:
  folder.mkdir(exist_ok=True)
  text = "".join(json.dumps(entry) + "\n" for entry in entries)
  (folder / "curve.jsonl").write_text(text)
  return folder


def test_a_resumed_run_is_read_once_and_in_order(tmp_path: pathlib.Path):
  folder = write_curve(
    tmp_path / "run",
    [
      {"step": 10, "loss": 3.0},
      {"step": 20, "loss": 9.0, "note": "text", "ok": True},
      {"step": 15, "loss": 2.0, "cer": 0.5},
      {"step": 20, "loss": 1.0, "cer": float("nan")},
    ],
  )
  with (folder / "curve.jsonl").open("a") as file:
    file.write('{"step": 30, "lo')
  curve = plots.read_curve(folder)
  assert set(curve) == {"loss", "cer"}
  np.testing.assert_array_equal(curve["loss"], [[10, 15, 20], [3, 2, 1]])
  np.testing.assert_array_equal(curve["cer"], [[15], [0.5]])


def test_a_lower_curve_is_drawn_lower(tmp_path: pathlib.Path):
  from PIL import Image

  runs = {
    name: write_curve(
      tmp_path / name, [{"step": s, "loss": loss} for s in (0, 1)]
    )
    for name, loss in (("high", 2.0), ("low", 1.0))
  }
  path = tmp_path / "curve.png"
  plots.plot_curves(runs, ["loss"], path)
  with Image.open(path) as file:
    picture = np.asarray(file.convert("RGB")).astype(int)
  rows = {}
  for name, color in (("high", (31, 119, 180)), ("low", (255, 127, 14))):
    close = np.abs(picture - color).sum(-1) < 40
    # The legend shows a short piece of each color; the line is the widest row.
    rows[name] = int(close.sum(1).argmax())
    assert close[rows[name]].sum() > 200
  assert rows["high"] < rows["low"]


def test_one_panel_for_each_metric_and_gaps_allowed(tmp_path: pathlib.Path):
  from PIL import Image

  one = write_curve(tmp_path / "one", [{"step": 1, "loss": 1.0}])
  two = write_curve(tmp_path / "two", [{"step": 1, "loss": 1.0, "cer": 0.1}])
  widths = []
  for metrics in (["loss"], ["loss", "cer"]):
    path = tmp_path / f"{len(metrics)}.png"
    plots.plot_curves({"a": one, "b": two}, metrics, path, log_scale=["loss"])
    with Image.open(path) as picture:
      widths.append(picture.width)
  assert widths[1] == 2 * widths[0]


def test_clear_errors(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match="no learning curve at"):
    plots.read_curve(tmp_path)
  (tmp_path / "curve.jsonl").write_text('{"loss": 1}\n{"step": 2}\n')
  with pytest.raises(ValueError, match=r"curve.jsonl:1: wanted a JSON object"):
    plots.read_curve(tmp_path)
  (tmp_path / "curve.jsonl").write_text('{"step": 2}\n')
  with pytest.raises(ValueError, match="no number"):
    plots.read_curve(tmp_path)
  run = write_curve(tmp_path / "run", [{"step": 1, "loss": 1.0}])
  with pytest.raises(ValueError, match="No run recorded `cer`; there are loss"):
    plots.plot_curves({"run": run}, ["cer"], tmp_path / "x.png")
  with pytest.raises(ValueError, match="0 runs and 1 metrics"):
    plots.plot_curves({}, ["cer"], tmp_path / "x.png")


def test_matplotlib_is_loaded_only_to_draw():
  code = "import inksight_jax.plots, sys; sys.exit('matplotlib' in sys.modules)"
  subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_that_is_too_sure_lies_below_the_line(tmp_path: pathlib.Path):
  from PIL import Image

  def middle(accuracy: float) -> float:
    path = tmp_path / "reliability.png"
    points = [
      {"confidence": c, "accuracy": accuracy, "count": 10} for c in (0.3, 0.7)
    ]
    plots.plot_reliability({"task": points}, path)
    with Image.open(path) as file:
      picture = np.asarray(file.convert("RGB")).astype(int)
    blue = np.abs(picture - (31, 119, 180)).sum(-1) < 40
    # The lower panel, alike in both, is the last quarter of the picture.
    rows = np.nonzero(blue[: int(0.7 * len(blue))].sum(1) > 100)[0]
    return rows.mean() / len(blue)

  assert middle(0.9) < middle(0.2) - 0.2
  with pytest.raises(ValueError, match="needs an answer"):
    plots.plot_reliability({"task": []}, tmp_path / "none.png")
