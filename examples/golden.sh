#!/bin/sh
# Run every example and compare what it prints with its expected.txt.
#
#   examples/golden.sh            compare; ends with 1 if something differs
#   examples/golden.sh --write    write the files anew
#
# Ids, hashes, keys and times differ from run to run and are replaced by words. What runs
# side by side comes in any order and is sorted.
set -eu

examples=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
COGNITIONOS=${COGNITIONOS:-cognitionos}
export COGNITIONOS NO_COLOR=1
LC_ALL=C
export LC_ALL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

normalise() {
  sed -E \
    -e "s#$work#<work>#g" -e "s#$examples#<examples>#g" -e 's#/tmp/tmp\.[A-Za-z0-9]+#<temp>#g' \
    -e 's/\<(run|rcp|dny|apr|pln|prp|ten)_[0-9a-z]{26}/<\1>/g' \
    -e 's/sha256:[0-9a-f]+…?/<digest>/g' -e 's/root [0-9a-f]{12}/root <digest>/' \
    -e 's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/<time>/g' \
    -e 's/\+[0-9a-f]{8}\+[A-Za-z0-9+\/=]{40,}/+<key>/g'
}

# show COMMAND...: the command, what it prints, and how it ended. What it says on standard
# error comes last: the two streams have no order between them.
show() {
  echo "\$ cognitionos $*"
  code=0
  "$COGNITIONOS" "$@" 2>"$work/errors" || code=$?
  cat "$work/errors"
  echo "[exit $code]"
  echo
}

# first PREFIX: the first id of this kind in the ledger.
first() {
  "$COGNITIONOS" ledger list --json --limit 1000 >"$work/entries"
  grep -o "$1_[0-9a-z]*" "$work/entries" | head -n 1
}

# A copy of an example in the work folder, with a ledger of its own.
enter() {
  rm -rf "$work/here" "$work/data"
  cp -R "$examples/$1" "$work/here"
  rm -rf "$work/here/out" "$work/here/.cognitionos"
  COGNITIONOS_DATA=$work/data
  export COGNITIONOS_DATA
  cd "$work/here"
}

# Lines of steps that follow each other, each with the lines indented below it, are sorted.
side_by_side() {
  awk '
    function flush(  i, j, line) {
      for (i = 2; i <= count; i++) {
        line = steps[i]
        for (j = i - 1; j >= 1 && steps[j] > line; j--) steps[j + 1] = steps[j]
        steps[j + 1] = line
      }
      for (i = 1; i <= count; i++) print steps[i]
      count = 0
    }
    /^  (permit|done|plan|ask|refuse|wait|retry|failed|unknown|void) +[a-z]/ { steps[++count] = $0; next }
    /^          / && count > 0 { steps[count] = steps[count] "\n" $0; next }
    { flush(); print }
    END { flush() }
  '
}

run_01() {
  enter 01-quickstart
  show run workflow.yaml --no-input | side_by_side
  show approvals approve "$(first apr)" --as user:operator
  show approvals approve "$(first apr)" --as user:cfo
  show run --resume "$(first run)" --no-input | side_by_side
  (cd out/payments && for file in *; do echo "$file $(grep -o '"method":"[a-z]*"' "$file")"; done)
  echo
  show replay
  show ledger verify
}

run_02() {
  enter 02-refusal-and-why
  show run workflow.yaml --no-input | side_by_side
  "$COGNITIONOS" ledger list --json --kind denial | grep -o 'dny_[0-9a-z]*' | uniq >"$work/denials"
  while read -r denial; do show why "$denial"; done <"$work/denials"
}

run_03() {
  enter 03-choosing-a-plan
  show run workflow.yaml --no-input | side_by_side
  show why "$(first pln)"
  show run workflow.yaml --no-input --input budget_micros=100000000 --input deadline_hours=24 | side_by_side
  show run workflow.yaml --no-input --input deadline_hours=24 | side_by_side
}

# Where the kill hits is left to chance, and with it whether a receipt became void.
run_04() {
  "$examples/04-survives-kill-9/demo.sh" 2>/dev/null |
    sed -E -e 's/with [0-9]+ of/with <some> of/' \
      -e 's/[0-9]+ (entries|bodies|receipts|abandoned|decisions)/<some> \1/g'
}

run_05() { "$examples/05-verify-someone-elses-ledger/demo.sh" 2>/dev/null; }
run_07() { "$examples/07-three-nodes/run.sh" 2>/dev/null; }
run_06() { "$examples/06-change-the-canon/demo.sh" 2>/dev/null | side_by_side; }

failed=0
for example in "$examples"/0?-*; do
  name=${example##*/}
  number=${name%%-*}
  ("run_$number") | normalise >"$work/found.txt"
  if [ "${1:-}" = --write ]; then
    cp "$work/found.txt" "$example/expected.txt"
    echo "wrote  $name"
  elif diff -u "$example/expected.txt" "$work/found.txt"; then
    echo "same   $name"
  else
    echo "DIFFERS $name" >&2
    failed=1
  fi
done
exit "$failed"
