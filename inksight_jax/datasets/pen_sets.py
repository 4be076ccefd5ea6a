"""Registry entries of the data sets that come as files of pen strokes."""

from __future__ import annotations

from inksight_jax.datasets.crohme import read_crohme
from inksight_jax.datasets.deepwriting import read_deepwriting
from inksight_jax.datasets.iam_ondb import read_iam_ondb
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.inkml_folder import read_inkml_folder
from inksight_jax.datasets.inksight_inks import read_inksight_inks
from inksight_jax.datasets.mathwriting import read_mathwriting
from inksight_jax.datasets.quickdraw import read_quickdraw
from inksight_jax.datasets.scut_couch import read_scut_couch
from inksight_jax.datasets.uji import read_uji
from inksight_jax.datasets.vnondb import read_vnondb
from inksight_jax.datasets.xournal import read_xournal

_INK = ("ink",)

PEN_SETS: tuple[DatasetInfo, ...] = (
  DatasetInfo(
    name="deepwriting",
    kind="ink + text: English pieces of lines, words, characters; 294 writers",
    licence="see the project page; 200 writers are IAM-OnDB's (research)",
    citation=(
      "E. Aksan, F. Pece, O. Hilliges, DeepWriting: making digital ink "
      "editable via deep generative modeling, CHI 2018"
    ),
    access=(
      "ait.ethz.ch/deepwriting, and registration for IAM-OnDB; path: the "
      "folder with deepwriting_training.npz and deepwriting_validation.npz"
    ),
    counts={},
    reader=read_deepwriting,
    holds=_INK,
    by_writer=True,
    splits="by a hash of the writer (the set's own share writers)",
  ),
  DatasetInfo(
    name="vnondb",
    kind="ink + text: Vietnamese words, lines, paragraphs; 200 writers",
    licence="research only",
    citation=(
      "H. T. Nguyen, C. T. Nguyen, P. T. Bao, M. Nakagawa, A database of "
      "unconstrained Vietnamese online handwriting, Pattern Recognition 2018"
    ),
    access=(
      "tc11.cvc.uab.es/datasets/HANDS-VNOnDB2018_1; path: the folder with "
      "InkData_word, InkData_line, InkData_paragraph and "
      "VNOnDB_ICFHR2018_dataSplit"
    ),
    counts={"word": 110_746, "line": 7_296, "paragraph": 1_146},
    reader=read_vnondb,
    holds=_INK,
    splits="official lists of ICFHR 2018; without them by a hash of the file",
  ),
  DatasetInfo(
    name="scut_couch",
    kind="ink + text: Chinese characters, words, lines; over 190 writers",
    licence="academic use by signed agreement",
    citation=(
      "L. Jin, Y. Gao, G. Liu, Y. Li, K. Ding, SCUT-COUCH2009: a "
      "comprehensive online unconstrained Chinese handwriting database, "
      "IJDAR 2011"
    ),
    access=(
      "hcii-lab.net/data/scutcouch; path: the folder of the parts with their "
      ".idx and .dat files"
    ),
    counts={},
    reader=read_scut_couch,
    holds=_INK,
    by_writer=True,
  ),
  DatasetInfo(
    name="iam_ondb",
    kind="ink + text: English whiteboard lines; 221 writers",
    licence="non-commercial research, free registration",
    citation=(
      "M. Liwicki, H. Bunke, IAM-OnDB: an on-line English sentence database "
      "acquired from handwritten text on a whiteboard, ICDAR 2005"
    ),
    access=(
      "fki.tic.heia-fr.ch/databases/iam-on-line-handwriting-database "
      "(account); path: a folder with the unpacked lineStrokes/, ascii/, "
      "forms.txt and the four task lists"
    ),
    counts={
      "trainset": 5_364,
      "testset_v": 1_438,
      "testset_t": 1_518,
      "testset_f": 3_859,
    },
    reader=read_iam_ondb,
    holds=_INK,
    splits="official: IAM-OnDB-t1, both validation sets together",
  ),
  DatasetInfo(
    name="crohme",
    kind="ink + LaTeX: mathematical expressions or their symbols",
    licence="research",
    citation=(
      "H. Mouchère et al., ICFHR 2016 CROHME: competition on recognition of "
      "online handwritten mathematical expressions, ICFHR 2016"
    ),
    access=(
      "isical.ac.in/~crohme and TC11; path: the folder of the editions' "
      "folders, or an archive"
    ),
    counts={
      "train": 8_836,
      "test 2013": 671,
      "test 2014": 986,
      "test 2016": 1_147,
      "test 2019": 1_199,
    },
    reader=read_crohme,
    holds=_INK,
    splits="official test; validation by a hash of the training writers",
  ),
  DatasetInfo(
    name="mathwriting",
    kind="ink + LaTeX: mathematical expressions",
    licence="CC BY-NC-SA 4.0",
    citation=(
      "P. Gervais, A. Fadeeva, A. Maksai, MathWriting: a dataset for "
      "handwritten mathematical expression recognition, 2024, arXiv 2404.10690"
    ),
    access=(
      "storage.googleapis.com/mathwriting_data/mathwriting-2024.tgz (2.9 GB); "
      "path: the unpacked folder, or the archive of the excerpt"
    ),
    counts={
      "train": 229_864,
      "valid": 15_674,
      "test": 7_644,
      "synthetic": 396_014,
      "symbols": 6_423,
    },
    reader=read_mathwriting,
    holds=_INK,
    splits="official; some writers are in all three",
  ),
  DatasetInfo(
    name="quickdraw",
    kind="ink: sketches of 345 things, no text",
    licence="CC BY 4.0",
    citation=(
      "J. Jongejan, H. Rowley, T. Kawashima, J. Kim, N. Fox-Gieg, The Quick, "
      "Draw! A.I. experiment, 2016"
    ),
    access=(
      "github.com/googlecreativelab/quickdraw-dataset; path: a folder of "
      ".ndjson (raw or simplified) or .bin files"
    ),
    counts={"all": 50_000_000},
    reader=read_quickdraw,
    holds=_INK,
    splits="by a hash of the drawing (no writers known)",
  ),
  DatasetInfo(
    name="uji",
    kind="ink + text: letters, digits, accents, punctuation; 60 writers",
    licence="CC BY 4.0",
    citation=(
      "D. Llorens et al., The UJIpenchars database: a pen-based database of "
      "isolated handwritten characters, LREC 2008"
    ),
    access="UCI data set 177; path: ujipenchars2.txt or its folder",
    counts={"all": 11_640},
    reader=read_uji,
    holds=_INK,
    splits="official test; validation by a hash of the training writers",
  ),
  DatasetInfo(
    name="inksight_inks",
    kind="ink + text + pictures: derendered by InkSight's released models",
    licence="results for research, non-commercial",
    citation=(
      "B. Mitrevski et al., InkSight: offline-to-online handwriting "
      "conversion by learning to read and write, 2024, arXiv 2402.05804"
    ),
    access=(
      "huggingface.co/datasets/Derendering/InkSight-Derenderings; path: its "
      "folder"
    ),
    counts={"each model, data set and mode": 100},
    reader=read_inksight_inks,
    holds=("image", "ink"),
    splits="test only",
  ),
  DatasetInfo(
    name="xournal",
    kind="ink + text: your Xournal++ notes, page by page",
    licence="yours",
    citation="nobody",
    access=(
      "your own; path: a folder of .xopp files, each with its text in a .txt "
      "of the same name, form feeds between pages"
    ),
    counts={},
    reader=read_xournal,
    holds=_INK,
    by_writer=True,
    splits="by a hash of the folder",
  ),
  DatasetInfo(
    name="inkml_folder",
    kind="ink + text: InkML files of any origin",
    licence="yours",
    citation="nobody",
    access=(
      "your own; path: a folder of .inkml files with the text as annotation "
      "or in a .txt of the same name"
    ),
    counts={},
    reader=read_inkml_folder,
    holds=_INK,
    by_writer=True,
    splits="by a hash of the writer; else of the folder or file",
  ),
)
