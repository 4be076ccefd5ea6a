#!/usr/bin/env bash
# Asks for a TPU slice and its machines, as a queued resource. Spot by default:
# a fraction of the price, may be taken away at any time; resume.sh gets over it.
#
#   tpu/create.sh --name=ink --zone=us-west4-a --wait
#   tpu/create.sh --name=ink --zone=us-west4-a --type=v5litepod-8 --on_demand
#
# Options:
#   --type=TYPE        slice; v5litepod-64 by default: 64 chips v5e, 16 machines
#   --runtime=VERSION  software of the machines; v2-alpha-tpuv5-lite by default
#   --on_demand        full price, not taken away
#   --valid_for=TIME   give up waiting in the queue after, e.g., 6h; without it a
#                      slice may arrive, and cost money, when nobody expects it
#   --wait             return when the slice is there, or fail when it never will
#   -- WORDS...        further words for gcloud, e.g. --service-account=...
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

type=v5litepod-64 runtime=v2-alpha-tpuv5-lite valid_for=""
on_demand=false wait=false
readonly seconds_between_looks=30
options="type runtime valid_for" flags="on_demand wait"
parse "$@"
require name zone
check_value type '^[a-z0-9]+-[0-9]+$' "a slice such as v5litepod-64"
check_value runtime '^[-a-z0-9.]+$' "a runtime version"
check_value valid_for '^[0-9]+[smhd]$' "a time such as 6h"

words=(
  "$name" --node-id="$name" --accelerator-type="$type"
  --runtime-version="$runtime"
)
$on_demand || words+=(--spot)
[[ -z "$valid_for" ]] || words+=(--valid-until-duration="$valid_for")
run_gcloud compute tpus queued-resources create "${words[@]}" \
  ${rest[@]+"${rest[@]}"}

if $wait && ! $dry_run; then
  while true; do
    state="$(state_of_resource)"
    printf '%s %s: %s\n' "$(date +%T)" "$name" "$state"
    case "$state" in
      ACTIVE) break ;;
      FAILED | SUSPENDED | SUSPENDING | NONE)
        fail "$name will not come: $state. tpu/delete.sh removes the request."
        ;;
    esac
    sleep "$seconds_between_looks"
  done
fi
