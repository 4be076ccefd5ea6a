#!/usr/bin/env bash
# Goes on after a slice was taken away: a new slice, set up, data copied, training
# started again from its last checkpoint. Does nothing while the slice is there
# but start training where it does not run.
#
#   tpu/resume.sh --name=ink --zone=us-west4-a --bucket=gs://mine \
#     --data=gs://mine/unipen.tar.xz --model_dir=bucket/runs/words --every=300 \
#     -- --gin_file=gin/recipes/unipen_words.gin --gin.DATA_PATH='"data/unipen.tar.xz"'
#
# Options: those of create.sh (--type, --runtime, --on_demand, --valid_for),
# setup.sh (--bucket, --extras) and launch.sh (--model_dir, --t5x, --log), with
# the trainer's words after `--`; and
#   --data=gs://B/PATH  copied to ~/data of the machines of a new slice
#   --every=SECONDS     look again and again, until Ctrl-C; once by default
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

type=v5litepod-64 runtime=v2-alpha-tpuv5-lite valid_for="" bucket="" extras=tpu
model_dir="" log=train.log data="" every=""
on_demand=false t5x=false
options="type runtime valid_for bucket extras model_dir log data every"
flags="on_demand t5x"
parse "$@"
require name zone model_dir
check_value every '^[0-9]+$' "a number of seconds"
((${#rest[@]})) || wrong_usage "the trainer's words are missing: -- --gin_file=..."

here="$(dirname "${BASH_SOURCE[0]}")"
same=("--name=$name" "--zone=$zone")
[[ -z "$project" ]] || same+=("--project=$project")
if $dry_run; then same+=(--dry_run); fi

new_slice() {
  local create=("--type=$type" "--runtime=$runtime" --wait)
  local setup=("--extras=$extras")
  if $on_demand; then create+=(--on_demand); fi
  [[ -z "$valid_for" ]] || create+=("--valid_for=$valid_for")
  [[ -z "$bucket" ]] || setup+=("--bucket=$bucket")
  "$here/create.sh" "${same[@]}" "${create[@]}"
  "$here/setup.sh" "${same[@]}" "${setup[@]}"
  [[ -z "$data" ]] || "$here/data.sh" "${same[@]}" "--from=$data" --to=data
}

launch() {
  local words=("--model_dir=$model_dir" "--log=$log")
  if $t5x; then words+=(--t5x); fi
  "$here/launch.sh" "${same[@]}" "${words[@]}" -- "${rest[@]}"
}

# Nothing is asked of gcloud in a dry run: it shows the case of a lost slice.
look() {
  local state=SUSPENDED
  $dry_run || state="$(state_of_resource)"
  printf '# %s is %s\n' "$name" "$state"
  case "$state" in
    ACTIVE) ;;
    SUSPENDED | FAILED)
      "$here/delete.sh" "${same[@]}"
      new_slice
      ;;
    NONE) new_slice ;;
    *) return 0 ;; # On its way, or on its way out: look again later.
  esac
  launch
}

if [[ -z "$every" ]] || $dry_run; then
  look
  exit
fi
# Each look in a shell of its own: a step that fails, because the slice is just
# being taken away, say, ends that look and not the watch.
once=("${same[@]}" "--type=$type" "--runtime=$runtime" "--extras=$extras"
  "--model_dir=$model_dir" "--log=$log")
[[ -z "$valid_for" ]] || once+=("--valid_for=$valid_for")
[[ -z "$bucket" ]] || once+=("--bucket=$bucket")
[[ -z "$data" ]] || once+=("--data=$data")
if $on_demand; then once+=(--on_demand); fi
if $t5x; then once+=(--t5x); fi
while true; do
  "$0" "${once[@]}" -- "${rest[@]}" || printf '# failed\n' >&2
  printf '# next look in %s s\n' "$every"
  sleep "$every"
done
