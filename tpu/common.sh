# shellcheck shell=bash
# Sourced by the scripts of this folder: options, their checks, calls of gcloud.
#
# A script sets `options` and `flags` (names it accepts beside the common ones,
# each a variable with a default) and calls `parse "$@"`. Its head comment is
# its help. Runs with bash 3.2, the one of macOS.

readonly common_options="name zone project"
name="" zone="" project=""
options="" flags=""
dry_run=false
# What stands after `--`, for the script to pass on.
rest=()
readonly name_pattern='^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$'

wrong_usage() {
  printf 'error: %s\nSee %s --help.\n' "$1" "$(basename "$0")" >&2
  exit 2
}

fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

show_help() {
  # The comment at the head of the script, without its marks.
  sed -n -e '1d' -e '/^#/!q' -e 's/^# \{0,1\}//p' "$0"
  cat <<'END'

Common options:
  --name=NAME        of the slice and of its queued resource
  --zone=ZONE        e.g. us-west4-a
  --project=PROJECT  by default the one gcloud is set to
  --dry_run          print the commands and run nothing
  --help
END
}

one_of() {
  case " $2 " in *" $1 "*) return 0 ;; *) return 1 ;; esac
}

# Reads --NAME=VALUE and --FLAG into variables of that name.
parse() {
  local option
  while (($#)); do
    option="${1%%=*}"
    option="${option#--}"
    case "$1" in
      --help | -h)
        show_help
        exit 0
        ;;
      --dry_run) dry_run=true ;;
      --)
        shift
        rest=("$@")
        break
        ;;
      --*=*)
        one_of "$option" "$common_options $options" ||
          wrong_usage "there is no option --$option."
        printf -v "$option" '%s' "${1#*=}"
        ;;
      --*)
        one_of "$option" "$flags" ||
          wrong_usage "$1 is not a flag; options are written --NAME=VALUE."
        printf -v "$option" true
        ;;
      *) wrong_usage "unexpected $1; options are written --NAME=VALUE." ;;
    esac
    shift
  done
  check_value name "$name_pattern" "lower-case letters, digits and hyphens"
  check_value zone '^[a-z]+-[a-z]+[0-9]+-[a-z0-9]+$' "a zone such as us-west4-a"
  check_value project '^[a-z][-a-z0-9.:]+$' "a project id"
}

# check_value VARIABLE PATTERN WORDS: an empty value is `require`'s business.
check_value() {
  if [[ -n "${!1}" && ! "${!1}" =~ $2 ]]; then
    wrong_usage "--$1='${!1}' is not $3."
  fi
}

require() {
  local option
  for option in "$@"; do
    [[ -n "${!option}" ]] || wrong_usage "--$option=... is missing."
  done
}

check_bucket() {
  check_value "$1" '^gs://[a-z0-9][-_.a-z0-9]+(/[-_.A-Za-z0-9/]*)?$' \
    "a bucket or a folder in one, such as gs://mine/inksight"
}

# One word for a shell to read back, in quotes only where it needs them.
quote() {
  if [[ "$1" =~ ^[-A-Za-z0-9_@%+=:,./]+$ ]]; then
    printf '%s' "$1"
  else
    printf "'"
    printf '%s' "$1" | sed "s/'/'\\\\''/g"
    printf "'"
  fi
}

quote_all() {
  local word separator=""
  for word in "$@"; do
    printf '%s' "$separator"
    quote "$word"
    separator=" "
  done
}

# Runs a command, or prints it.
run() {
  if $dry_run; then
    quote_all "$@"
    printf '\n'
  else
    "$@"
  fi
}

# run_gcloud WORDS...: with the zone, and the project where one is given.
run_gcloud() {
  local place=("--zone=$zone")
  [[ -z "$project" ]] || place+=("--project=$project")
  run gcloud "$@" "${place[@]}"
}

# on_workers WORKER COMMAND: WORKER is a number or `all`.
on_workers() {
  run_gcloud compute tpus tpu-vm ssh "$name" --worker="$1" --command="$2"
}

# State of the queued resource: ACTIVE, SUSPENDED, ...; NONE where there is none.
state_of_resource() {
  local place=("--zone=$zone") answer
  [[ -z "$project" ]] || place+=("--project=$project")
  if answer="$(gcloud compute tpus queued-resources describe "$name" \
    --format='value(state.state)' "${place[@]}" 2>&1)"; then
    printf '%s\n' "$answer"
  elif [[ "$answer" == *NOT_FOUND* || "$answer" == *"not found"* ]]; then
    printf 'NONE\n'
  else
    # No network or no permission must not look like a slice that is gone.
    fail "gcloud could not describe $name: $answer"
  fi
}
