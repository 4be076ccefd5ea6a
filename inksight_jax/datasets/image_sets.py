"""Registry entries of the data sets with pictures of handwriting."""

from __future__ import annotations

from inksight_jax.datasets.aihub import read_aihub
from inksight_jax.datasets.alto import read_alto
from inksight_jax.datasets.font_words import read_font_words
from inksight_jax.datasets.gnhk import read_gnhk
from inksight_jax.datasets.hiertext import read_hiertext
from inksight_jax.datasets.iam import read_iam
from inksight_jax.datasets.icdar2015 import read_icdar2015
from inksight_jax.datasets.image_folder import read_image_folder
from inksight_jax.datasets.imgur5k import read_imgur5k
from inksight_jax.datasets.info import DatasetInfo
from inksight_jax.datasets.mnist import read_mnist
from inksight_jax.datasets.page_xml import read_page_xml
from inksight_jax.datasets.picture_tokens import read_picture_tokens
from inksight_jax.datasets.rimes import read_rimes
from inksight_jax.datasets.sklearn_digits import read_sklearn_digits

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
  DatasetInfo(
    name="imgur5k",
    kind="pictures + text: English words in photos",
    licence="CC BY-NC 4.0 (annotations; the photos are their owners')",
    citation=(
      "P. Krishnan, R. Kovvuri, G. Pang, B. Vassilev, T. Hassner, "
      "TextStyleBrush: transfer of text aesthetics from a single example, 2021"
    ),
    access=(
      "github.com/facebookresearch/IMGUR5K-Handwriting-Dataset, whose script "
      "downloads the photos; path: the folder with dataset_info/ and images/"
    ),
    # All word boxes, the ones marked "not annotated" among them.
    counts={"word": 230_573},
    reader=read_imgur5k,
    splits="official, by page; pages in two of them count for the later",
  ),
  DatasetInfo(
    name="hiertext",
    kind="pictures + text: handwritten words or lines in photos",
    licence="CC BY-SA 4.0",
    citation=(
      "S. Long, S. Qin, D. Panteleev, A. Bissacco, Y. Fujii, M. Raptis, "
      "Towards end-to-end unified scene text detection and layout analysis, "
      "CVPR 2022"
    ),
    access=(
      "github.com/google-research-datasets/hiertext (gt/) and "
      "s3://open-images-dataset/ocr/; path: the folder with gt/ and train/, "
      "validation/, test/"
    ),
    counts={"pictures": 11_639},
    reader=read_hiertext,
    splits="official, by picture",
  ),
  DatasetInfo(
    name="gnhk",
    kind="pictures + text: English words in photos of notes",
    licence="CC BY 4.0",
    citation=(
      "A. W. C. Lee, J. Chung, M. Lee, GNHK: a dataset for English handwriting "
      "in the wild, ICDAR 2021"
    ),
    access=(
      "goodnotes.com/gnhk; path: the folder with train*/ and test*/, each with "
      "pictures and one JSON per picture or a *.manifest"
    ),
    counts={"pictures": 687},
    reader=read_gnhk,
    splits="official test; validation is a tenth of the training pictures",
  ),
  DatasetInfo(
    name="rimes",
    kind="pictures + text: French letters, their lines and words",
    licence="research agreement with A2iA",
    citation=(
      "E. Grosicki, H. El Abed, ICDAR 2011: French handwriting recognition "
      "competition, ICDAR 2011"
    ),
    access=(
      "a2ialab.com (signed agreement); path: the folder with "
      "training_2011.xml, eval_2011_annotated.xml and images_gray/, or with "
      "the groundtruth_*.txt of the word task"
    ),
    # Words: of the three lists; pages: of the two XML files.
    counts={"word": 66_979, "page": 1_600},
    reader=read_rimes,
    splits="official test; validation is the last 100 training pages",
  ),
  DatasetInfo(
    name="mnist",
    kind="pictures + text: digits, alone or several in a row",
    licence="not stated by its authors; often given as CC BY-SA 3.0",
    citation="Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database, 1998",
    access=(
      "ossci-datasets.s3.amazonaws.com/mnist; path: the folder of the four "
      "idx files, gzipped or not"
    ),
    counts={"train": 60_000, "test": 10_000},
    reader=read_mnist,
    splits="official test; validation is the last 5,000 training digits",
    checksums={
      "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
      "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
      "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
      "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
  ),
  DatasetInfo(
    name="sklearn_digits",
    needs_path=False,
    kind="pictures + text: 1,797 small digits that come with scikit-learn",
    licence="CC BY 4.0",
    citation=(
      "E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits, UCI "
      "machine learning repository, 1998 (test part)"
    ),
    access="nothing to download: pip install scikit-learn; no path",
    counts={"digits": 1_797},
    reader=read_sklearn_digits,
    splits="the last 397 are the test, the 100 before them the validation",
  ),
  DatasetInfo(
    name="aihub",
    kind="pictures + text: Korean words in outdoor photos, or handwriting",
    licence="AI-Hub terms; account and approval, no redistribution",
    citation="AI-Hub, data sets 105 (outdoor Korean text) and 81 (letterforms)",
    access=(
      "aihub.or.kr, dataSetSn 105 or 81; path: the folder of the unpacked "
      "label and picture folders, or a CSV with img_path and text"
    ),
    counts={"pictures": 500_000},
    reader=read_aihub,
    splits="official Validation is the test set; validation by picture's hash",
  ),
  DatasetInfo(
    name="icdar2015_historical",
    kind="pictures + text you add: lines of historical documents",
    licence="not stated; the competition's site",
    citation=(
      "M. Murdock, S. Reid, B. Hamilton, J. Reese, ICDAR 2015 competition on "
      "text line detection in historical documents, ICDAR 2015"
    ),
    access=(
      "collections.ancestry.com/DART-2015-TextLines; it gives no texts: path: "
      "a folder with the pages and lines.csv (image,x0,y0,x1,y1,text)"
    ),
    counts={},
    reader=read_icdar2015,
    splits="by a hash of the page",
  ),
  DatasetInfo(
    name="image_folder",
    kind="pictures + text of your own, as CSV, TSV or text files",
    licence="yours",
    citation="none",
    access=(
      "path: a folder with labels.csv (image,text), or a .txt beside each "
      "picture, or a table itself"
    ),
    counts={},
    reader=read_image_folder,
    splits="a column, a folder's name, or a hash of the writer",
  ),
  DatasetInfo(
    name="page_xml",
    kind="pictures + text: lines or pages of PAGE-XML exports (Transkribus)",
    licence="of the documents; Bentham and READ-2016 are open",
    citation=(
      "S. Pletschacher, A. Antonacopoulos, The PAGE (page analysis and "
      "ground-truth elements) format framework, ICPR 2010"
    ),
    access=(
      "your export, or Zenodo 1164045 (READ-2016); path: the folder with XML "
      "and pictures"
    ),
    counts={},
    reader=read_page_xml,
    splits="a folder's name, or a hash of the page",
  ),
  DatasetInfo(
    name="alto",
    kind="pictures + text: lines or pages of ALTO exports",
    licence="of the documents",
    citation="Library of Congress, ALTO: layout and text metadata",
    access="your export; path: the folder with XML and pictures",
    counts={},
    reader=read_alto,
    splits="a folder's name, or a hash of the page",
  ),
  DatasetInfo(
    name="font_words",
    kind="generated pictures + text: words in fonts, across and downwards",
    licence="of the fonts; those of Debian: OFL 1.1",
    citation="none",
    access="generated; path: fonts, by default fonts-nanum or fonts-noto-cjk",
    counts={},
    reader=read_font_words,
    splits="by a hash of the word",
    needs_path=False,
  ),
  DatasetInfo(
    name="picture_tokens",
    kind="codes + text: pictures of any data set, made by a VQ-VAE",
    licence="of the pictures",
    citation="none",
    access="a trained VQ-VAE makes it of a data set; path: the folder",
    counts={},
    reader=read_picture_tokens,
    holds=("codes",),
    splits="those of the data set that was tokenised",
  ),
)
