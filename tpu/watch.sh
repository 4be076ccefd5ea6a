#!/usr/bin/env bash
# Shows the state of a slice and the end of the training log.
#
#   tpu/watch.sh --name=ink --zone=us-west4-a --follow
#   tpu/watch.sh --name=ink --zone=us-west4-a --worker=all --lines=3
#
# Options:
#   --worker=N   machine whose log to show, or all; 0 by default, which reports
#   --lines=N    last lines of the log; 20 by default
#   --log=FILE   as given to launch.sh
#   --follow     go on showing new lines until Ctrl-C
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

worker=0 lines=20 log=train.log follow=false
options="worker lines log" flags="follow"
parse "$@"
require name zone
check_value worker '^([0-9]+|all)$' "a number or all"
check_value lines '^[0-9]+$' "a number"
check_value log '^[-_.A-Za-z0-9/]+$' "a file without spaces"

run_gcloud compute tpus queued-resources describe "$name" \
  --format='value(state.state)'
if $follow; then
  on_workers "$worker" "tail -n $lines -F $log"
else
  on_workers "$worker" "flock --nonblock train.lock true && echo 'no training here' || echo 'training'; tail -n $lines $log"
fi
