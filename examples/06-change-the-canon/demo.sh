#!/bin/sh
# Propose a canon, look at what it would change, have somebody else approve it, put it in
# force, run again, replay both.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The orders go to ./out beside the workflow file: a copy keeps this folder clean.
cp -R "$here/workflow.yaml" "$here/canon-v1" "$here/canon-v2" "$work"
cd "$work"
export COGNITIONOS_DATA="$work/data"

# expect CODE COMMAND...: the command has to end with this code.
expect() {
  wanted=$1
  shift
  code=0
  "$@" 2>&1 || code=$?
  if [ "$code" -ne "$wanted" ]; then
    echo "ended with $code instead of $wanted: $*" >&2
    exit 1
  fi
}

echo "== a run under v1: 500.00 is the limit"
"$cognitionos" run workflow.yaml --canon canon-v1 --no-input

echo "== how v2 differs"
"$cognitionos" canon diff canon-v1 canon-v2

echo "== the head of the laboratory proposes it"
"$cognitionos" canon propose canon-v2 --as user:head-of-lab | tee proposed.txt
proposal=$(grep -o 'prp_[0-9a-z]*' proposed.txt | head -n 1)

echo "== what it would have changed"
"$cognitionos" canon impact canon-v2

echo "== her own approval is not enough"
"$cognitionos" canon approve "$proposal" --as user:head-of-lab
expect 4 "$cognitionos" canon activate "$proposal" --as user:head-of-lab

echo "== the controller approves, and it is put in force"
"$cognitionos" canon approve "$proposal" --as user:controller
"$cognitionos" canon activate "$proposal" --as user:head-of-lab

echo "== the same workflow under v2"
"$cognitionos" run workflow.yaml --no-input

echo "== both runs, each under the canon that bound it"
"$cognitionos" replay --all

echo "== and the ledger is whole"
"$cognitionos" ledger verify
