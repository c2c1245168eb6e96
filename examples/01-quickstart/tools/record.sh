#!/bin/sh
# Record the cassette anew: recordings/reader.jsonl from recordings/answers.json.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
work=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

python3 "$here/tools/answering_model.py" --idle-seconds 60 >"$work/model" &
server=$!
waited=0
while [ ! -s "$work/model" ]; do
  waited=$((waited + 1))
  test "$waited" -lt 100
  sleep 0.1
done

# A copy, so that payments and ledger of the recording do not mix with those of a run.
mkdir "$work/example"
cp -R "$here/workflow.yaml" "$here/canon" "$here/invoices" "$work/example"
code=0
"$cognitionos" run "$work/example/workflow.yaml" --data "$work/data" --no-input --quiet \
  --model "$(cat "$work/model")" --record "$work/reader.jsonl" || code=$?
# 8: one invoice waits for approval; every document was read by then.
test "$code" -eq 8

# Documents are read side by side; sorted, a recording of the same answers is the same file.
LC_ALL=C sort "$work/reader.jsonl" >"$here/recordings/reader.jsonl"
wc -l "$here/recordings/reader.jsonl"
