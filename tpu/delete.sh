#!/usr/bin/env bash
# Gives a slice back and removes its request: from then on it costs nothing. What
# is on the machines' disks is lost; the bucket stays.
#
#   tpu/delete.sh --name=ink --zone=us-west4-a
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parse "$@"
require name zone
# --force: the machines too. Without --quiet gcloud would ask and wait.
run_gcloud compute tpus queued-resources delete "$name" --force --quiet
