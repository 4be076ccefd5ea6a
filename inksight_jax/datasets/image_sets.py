"""Registry entries of the data sets with pictures of handwriting."""

from __future__ import annotations

from inksight_jax.datasets.iam import read_iam
from inksight_jax.datasets.info import DatasetInfo

IMAGE_SETS: tuple[DatasetInfo, ...] = (
  DatasetInfo(
    name="iam",
    kind="pictures + text: English words, lines or forms; 657 writers",
    licence="non-commercial research, free registration",
    citation=(
      "U.-V. Marti, H. Bunke, The IAM-database: an English sentence database "
      "for offline handwriting recognition, IJDAR 2002"
    ),
    access=(
      "fki.tic.heia-fr.ch/databases/iam-handwriting-database (account); path: "
      "a folder with the unpacked ascii/ and xml/, words/, lines/ or forms*/, "
      "and splits/*.uttlist of openslr.org/56"
    ),
    counts={"word": 115_320, "line": 13_353, "form": 1_539},
    reader=read_iam,
    splits="official: Aachen (forms) or LWI (lines)",
  ),
)
