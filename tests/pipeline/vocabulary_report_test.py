"""The report before training, against counts made by hand."""

import json
import unicodedata

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.vocabulary_report import (
  never_seen,
  report_table,
  script_of,
  script_shares,
  vocabulary_report,
)
from inksight_jax.text.codecs import ByteCodec, CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary


def test_characters_are_counted(make_spec, records):
  ink = Ink.from_arrays([[(0, 0), (9, 9)]])
  texts = {"train": ["ab", "a1", "é"], "validation": ["bz"], "test": ["q"]}
  for split, found in texts.items():
    records[split] = [
      Record(f"{split}{i}", "unit", text=t, ink=ink)
      for i, t in enumerate(found)
    ]
  vocabulary = Vocabulary(CharacterCodec("abxyz"), InkCodec(32))
  spec = make_spec(
    vocabulary=vocabulary, rates={"recognize_ink": 1.0, "derender": 3.0}
  )
  report = vocabulary_report(spec)
  assert report["characters"] == {
    "different": 4,
    "total": 5,
    "outside_vocabulary": {"1": 1, "é": 1},
    "only_in_other_splits": {"q": 1, "z": 1},
  }
  assert report["never_seen"] == ["x", "y", "z"]
  # é takes two bytes.
  assert report["scripts"] == pytest.approx({"LATIN": 5 / 6, "digits": 1 / 6})
  read = report["components"]["recognize_ink"]
  assert read["records"] == 3 and read["share"] == 0.25
  # The vocabulary cannot spell the prompt.
  assert read["lengths"]["skipped"] == {"text outside the vocabulary": 3}
  assert json.loads(json.dumps(report)) == report


def test_lengths_are_those_of_the_examples(make_spec, records):
  spec = make_spec(rates={"derender": 1.0, "recognize_ink": 1.0})
  report = vocabulary_report(spec, samples=100)
  read = report["components"]["recognize_ink"]
  # By hand: word0 .. word22, each letter a byte, and EOS.
  lengths = [
    len(r.text) + 1 for r in records["train"] if r.text and r.ink is not None
  ]
  assert read["records"] == len(lengths) == read["lengths"]["samples"]
  assert read["lengths"]["longest"] == max(lengths)
  assert read["lengths"]["median"] == np.median(lengths)
  assert sum(read["lengths"]["counts"]) == len(lengths)
  assert read["lengths"]["edges"][-1] == spec.target_length
  assert read["left_out"] == {"no ink": 2, "no text": 4}
  table = report_table(report)
  for words in ("recognize_ink", "no text 4", "LATIN", "different"):
    assert words in table
  fewer = vocabulary_report(spec, samples=0)
  assert fewer["components"]["derender"]["lengths"] is None


def test_bytes_that_never_come_are_named():
  missing = never_seen({"a": 1, "é": 2}, Vocabulary(ByteCodec()))
  assert "b" in missing and "a" not in missing
  assert "<0xC3>" not in missing and "<0xC4>" in missing
  assert len(missing) == 256 - 3


def test_scripts_go_by_unicode_names():
  words = {
    "a": "LATIN", "ß": "LATIN", "漢": "CJK", "한": "HANGUL", "я": "CYRILLIC",
    "ひ": "HIRAGANA", "7": "digits", " ": "spaces", "!": "signs",
    "\u0301": "COMBINING", "ệ": "LATIN",
  }  # fmt: skip
  for character, script in words.items():
    assert script_of(character) == script, unicodedata.name(character)
  shares = script_shares({"a": 3, "漢": 1})
  assert shares == {"LATIN": 0.5, "CJK": 0.5}
