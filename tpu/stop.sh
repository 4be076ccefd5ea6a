#!/usr/bin/env bash
# Asks the training on all machines to save and to end (SIGTERM), and waits.
#
#   tpu/stop.sh --name=ink --zone=us-west4-a
#
# The slice stays, and costs money: tpu/delete.sh gives it back.
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parse "$@"
require name zone
# The brackets keep pkill from finding the shell that this very line runs in.
on_workers all "pkill -TERM -f 'inksight-jax [t]rain|t5x[.]train'; flock train.lock true"
