"""The worst texts of a reader beside their pictures, as one page of HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from inksight_jax.inference.evaluation import Outcome
from inksight_jax.metrics.text_errors import differences
from inksight_jax.pipeline.task_set import write_text
from inksight_jax.rendering.images import encode_image

# Longer side of a picture, pixels.
_PICTURE_SIDE = 1000
_STYLE = """\
body { font: 15px sans-serif; margin: 2em; color: #222; background: #fff; }
section { border-top: 1px solid #bbb; padding: 1em 0; display: flex;
  flex-wrap: wrap; gap: 1.5em; align-items: flex-start; }
img { max-width: min(640px, 100%); border: 1px solid #ddd; }
img.small { min-width: 320px; image-rendering: pixelated; }
pre { font: 15px monospace; white-space: pre-wrap; margin: 0.2em 0 1em; }
h2 { font-size: 15px; margin: 0; } p { margin: 0 0 0.8em; color: #666; }
del { background: #f8c8c8; } ins { background: #c8e8c8; text-decoration: none; }
"""


def write(outcomes: Sequence[Outcome], path: str, title: str) -> None:
  """Writes the page; it needs nothing beside itself.

  Args:
    outcomes: scored predictions of a reading task, the worst first.
    path: the file.
    title: of the page.
  """
  sections = "".join(
    _section(number, outcome) for number, outcome in enumerate(outcomes, 1)
  )
  name = html.escape(title)
  text = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
    f"<title>{name}</title>\n<style>\n{_STYLE}</style></head><body>\n"
    f"<h1>{name}: the worst {len(outcomes)}</h1>\n"
    "<p><del>only in the truth</del> <ins>only in the prediction</ins></p>\n"
    f"{sections}</body></html>\n"
  )
  write_text(path, text)


def _section(number: int, outcome: Outcome) -> str:
  """One prediction: picture, error rate, truth and what was read."""
  image = outcome.sample.example.image
  data = encode_image(image, "image/png", _PICTURE_SIDE).data_uri
  small = ' class="small"' if max(image.shape[:2]) < 320 else ""
  notes = [f"character error rate {outcome.scores['cer']:.1%}"]
  if outcome.truncated:
    notes.append("cut off at the greatest length")
  return (
    f'<section><img{small} src="{data}" alt="">\n<div>'
    f"<h2>{number}. {html.escape(outcome.sample.id)}</h2>\n"
    f"<p>{'; '.join(notes)}</p>\n"
    f"<pre>{_marked(outcome.sample.text, outcome.text)}</pre>\n"
    f"<p>read as</p><pre>{html.escape(outcome.text) or '(nothing)'}</pre>"
    "</div></section>\n"
  )


def _marked(truth: str, prediction: str) -> str:
  """The truth with what is missing and what was added marked."""
  parts = []
  for same, lost, added in differences(truth, prediction):
    parts.append(html.escape(same))
    # A line break that is only on one side must be seen.
    for tag, text in (("del", lost), ("ins", added)):
      if text:
        shown = html.escape(text).replace("\n", "\u21b5\n")
        parts.append(f"<{tag}>{shown}</{tag}>")
  return "".join(parts)
