#!/usr/bin/env bash
# Installs this checkout, as committed, on all machines of a slice, and mounts
# the bucket at ~/bucket. May be run again after a change.
#
#   tpu/setup.sh --name=ink --zone=us-west4-a --bucket=gs://mine
#
# The machines come with Python 3.10 and JAX wants 3.11 or later, so uv fetches
# one; nothing of the system is changed but gcsfuse.
#
# Options:
#   --bucket=gs://B  mounted by gcsfuse on all machines: the model directory must
#                    be one that every machine sees. Make the bucket with a
#                    hierarchical namespace, where a folder is renamed in one go:
#                    a checkpoint counts once it has been renamed.
#   --extras=LIST    extras of setup.py; tpu by default, tpu,t5x,tensorflow for T5X
#   --python=3.12    version for uv to fetch
set -euo pipefail
# shellcheck source=tpu/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bucket="" extras=tpu python=3.12
options="bucket extras python"
parse "$@"
require name zone
check_value bucket '^gs://[a-z0-9][-_.a-z0-9]+$' "a whole bucket, such as gs://mine"
check_value extras '^[a-z0-9]+(,[a-z0-9]+)*$' "a list such as tpu,t5x"
check_value python '^3\.[0-9]+$' "a version such as 3.12"

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
package="${TMPDIR:-/tmp}/inksight-jax-$name.tar.gz"
run git -C "$root" archive --format=tar.gz --output="$package" HEAD
run_gcloud compute tpus tpu-vm scp "$package" "$name":inksight-jax.tar.gz \
  --worker=all
on_workers all "set -e
rm -rf inksight-jax && mkdir inksight-jax
tar -xzf inksight-jax.tar.gz -C inksight-jax
python3 -m pip install --quiet --user uv
~/.local/bin/uv venv --quiet --clear --python=$python venv
~/.local/bin/uv pip install --quiet --python=venv/bin/python './inksight-jax[$extras]'"
if [[ -n "$bucket" ]]; then
  on_workers all "set -e
if ! command -v gcsfuse >/dev/null; then
  release=gcsfuse-\$(lsb_release -cs)
  curl -fsS https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo tee /usr/share/keyrings/cloud.google.asc >/dev/null
  echo \"deb [signed-by=/usr/share/keyrings/cloud.google.asc] https://packages.cloud.google.com/apt \$release main\" | sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null
  sudo apt-get -qq update
  sudo apt-get -qq install -y gcsfuse
fi
mkdir -p bucket
mountpoint -q bucket || gcsfuse --implicit-dirs ${bucket#gs://} bucket"
fi
# A slice is whole when every chip answers; JAX must be asked on all machines.
on_workers all "venv/bin/python -c 'import jax
jax.distributed.initialize()
print(jax.process_index(), jax.local_device_count(), jax.device_count())'"
