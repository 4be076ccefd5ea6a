#!/usr/bin/env bash
# Copies data, vocabularies, weights and models between this machine, a bucket
# and the disks of a slice.
#
#   tpu/data.sh --to=gs://mine/data shards/ vocabulary.json B_16.npz
#   tpu/data.sh --from=gs://mine/runs/small_p --to=runs
#   tpu/data.sh --name=ink --zone=us-west4-a --from=gs://mine/data/shards --to=data
#
# With a slice (--name and --zone) every machine copies from the bucket to its
# own disk; shards are read faster there than through the mount.
#
# Options:
#   --from=gs://B/PATH  a file or folder in a bucket
#   --to=PATH           a folder: gs://... to upload, else of this machine, or of
#                       the machines of the slice, from their home folder on
#   FILES...            files and folders of this machine to upload
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

from="" to=""
options="from to"
words=() files=()
for word in "$@"; do
  case "$word" in
    -*) words+=("$word") ;;
    *) files+=("$word") ;;
  esac
done
parse ${words[@]+"${words[@]}"}
require to

if ((${#files[@]})); then
  [[ -z "$from$name" ]] || wrong_usage "give FILES, or --from, not both."
  [[ "$to" == gs://* ]] || wrong_usage "--to='$to' is not a bucket (gs://...)."
  check_bucket to
  for file in "${files[@]}"; do
    [[ -e "$file" ]] || fail "there is no file or folder $file."
  done
  run gcloud storage cp --recursive "${files[@]}" "${to%/}/"
  exit
fi
require from
[[ "$from" == gs://* ]] || wrong_usage "--from='$from' is not in a bucket (gs://...)."
check_bucket from
check_value to '^[-_.A-Za-z0-9/]+$' "a folder without spaces"
if [[ -n "$name" ]]; then
  require zone
  on_workers all "mkdir -p $to && gcloud storage cp --recursive $from $to/"
else
  run mkdir -p "$to"
  run gcloud storage cp --recursive "$from" "$to/"
fi
