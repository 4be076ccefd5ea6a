#!/usr/bin/env bash
# Starts training on all machines of a slice, or goes on with it.
#
#   tpu/launch.sh --name=ink --zone=us-west4-a --model_dir=bucket/runs/words \
#     -- --gin_file=gin/recipes/unipen_words.gin --gin.DATA_PATH='"data/unipen.tar.xz"'
#   tpu/launch.sh --name=ink --zone=us-west4-a --t5x \
#     --model_dir=gs://mine/t5x/small_p -- --gin_file=gin/t5x/...
#
# Returns when every machine has started; the job goes on when this terminal is
# closed. Its output is in ~/train.log of each machine: tpu/watch.sh shows it. A
# machine where training runs already is left alone. Paths are those of the
# machines, from their home folder on; gin/ is found beside the package.
#
# Options:
#   --model_dir=DIR  one that all machines see: below bucket/ (tpu/setup.sh), or
#                    gs://... for T5X, which writes there itself
#   --t5x            python -m t5x.train instead of inksight-jax train
#   --log=FILE       train.log by default
#   -- WORDS...      for the trainer
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

model_dir="" log=train.log t5x=false
options="model_dir log" flags="t5x"
parse "$@"
require name zone model_dir
check_value model_dir '^(gs://)?[-_.A-Za-z0-9/]+$' "a folder without spaces"
check_value log '^[-_.A-Za-z0-9/]+$' "a file without spaces"
((${#rest[@]})) || wrong_usage "the trainer's words are missing: -- --gin_file=..."

if $t5x; then
  # T5X resumes by itself when the folder holds a checkpoint.
  trainer=(
    venv/bin/python -m t5x.train "--gin.MODEL_DIR=\"$model_dir\""
    --gin_search_paths=inksight-jax "${rest[@]}"
  )
else
  [[ "$model_dir" != gs://* ]] ||
    wrong_usage "inksight-jax writes to a folder: --model_dir=bucket/..."
  # The same words start a run and go on with it.
  trainer=(
    venv/bin/inksight-jax train "${rest[@]}" "--model_dir=$model_dir" --resume
  )
fi
# flock: the lock lives as long as the trainer, whatever ends it.
on_workers all "nohup flock --nonblock train.lock $(quote_all "${trainer[@]}") >>$log 2>&1 </dev/null & sleep 1"
