"""`inksight-jax doctor`: finds what would stop a job, before it costs chips."""

from __future__ import annotations

import argparse
import json

from inksight_jax.cli.train import add_gin_arguments

HELP = "check a job before it starts: configuration, data, chips, disk"
DESCRIPTION = """\
Check everything that usually stops a training job after the chips are paid
for: gin names, data set, shards and vocabulary, the model directory and its
disk, the accelerator, the mesh, and what has to be divisible by it. One line
per check: ok, warning or problem, with what to do. Nothing is trained and no
parameter is allocated.
"""
EPILOG = """\
examples:
  inksight-jax doctor --gin_file=gin/recipes/inksight_quickstart.gin \\
    --model_dir=runs/mine
  inksight-jax doctor --gin_file=gin/recipes/unipen_words.gin \\
    --gin.DATA_PATH='"unipen.tar.xz"' --gin.MESH_FSDP=8 \\
    --model_dir=/mnt/runs/words --accelerator=tpu --chips=8

The exit code is 1 if there is a problem. Whether a model fits the memory of the
chips is another question: `inksight-jax plan` answers it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `doctor`."""
  add_gin_arguments(parser)
  parser.add_argument(
    "--model_dir", metavar="DIR", help="where the model shall go"
  )
  parser.add_argument(
    "--accelerator",
    choices=("tpu", "gpu", "cpu"),
    help="what the job needs; without it any kind is fine",
  )
  parser.add_argument(
    "--chips",
    type=int,
    metavar="N",
    help="chips of the whole job; those of this machine by default",
  )
  parser.add_argument(
    "--num_processes",
    type=int,
    default=1,
    metavar="N",
    help="processes of the job, one per host (default: %(default)s)",
  )
  parser.add_argument("--json", action="store_true", help="print JSON")
  parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
  """Checks; returns 1 if there is a problem."""
  from inksight_jax.cli import checks, job_checks

  job = checks.Job(
    tuple(args.gin_file),
    tuple(args.gin_bindings),
    args.model_dir,
    args.accelerator,
    args.chips,
    args.num_processes,
  )
  findings = job_checks.examine(job)
  problems = sum(f.status == checks.PROBLEM for f in findings)
  warnings = sum(f.status == checks.WARNING for f in findings)
  if args.json:
    rows = [vars(finding) for finding in findings]
    print(json.dumps({"findings": rows, "problems": problems}, indent=2))
  else:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
      print(f"{finding.status:8}{finding.check:{width}}  {finding.line()}")
    print(f"problems: {problems}, warnings: {warnings}")
  return 1 if problems else 0
