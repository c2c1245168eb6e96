#!/bin/sh
# Kill a run with SIGKILL in the middle, go on with it, and look that nothing happened twice.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
work=$(mktemp -d)
run_pid=
cleanup() {
  if [ -n "$run_pid" ]; then kill -9 "$run_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

pages=$work/pages
data=$work/data
count() { find "$pages" -type f -name 'page-*.txt' 2>/dev/null | wc -l | tr -d ' '; }

echo "== start, and kill -9 after ten pages"
"$cognitionos" run "$here/workflow.yaml" --data "$data" --input folder="$pages" \
  >"$work/first.log" 2>&1 &
run_pid=$!
waited=0
while [ "$(count)" -lt 10 ]; do
  waited=$((waited + 1))
  if [ "$waited" -gt 600 ] || ! kill -0 "$run_pid" 2>/dev/null; then
    echo "the run did not get to ten pages:" >&2
    cat "$work/first.log" >&2
    exit 1
  fi
  sleep 0.1
done
kill -9 "$run_pid"
wait "$run_pid" 2>/dev/null || true
run_pid=
killed_at=$(count)
run=$(grep -o 'run_[0-9a-z]*' "$work/first.log" | head -n 1)
echo "killed with $killed_at of 30 pages written"
test "$killed_at" -lt 30

echo "== go on with it"
"$cognitionos" run --resume "$run" --data "$data" --quiet

echo "== each page is there once"
echo "pages: $(count)"
test "$(count)" -eq 30
i=1
while [ "$i" -le 30 ]; do
  name=$(printf 'page-%02d.txt' "$i")
  test "$(cat "$pages/$name")" = "page $i of 30"
  i=$((i + 1))
done

echo "== and the ledger is whole"
"$cognitionos" ledger verify --data "$data"
