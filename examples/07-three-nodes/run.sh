#!/bin/sh
# Three nodes on one PostgreSQL database. Two of them are killed with SIGKILL under load; every
# run ends all the same, and each receipt has one outcome.
#
# The database is private and gone afterwards, unless DATABASE_URL names another: its role must
# own the database, and APPLICATION_URL is the address for the role that nodes connect as.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
work=$(mktemp -d)
server=
as_server=
cleanup() {
  for node in 1 2 3; do
    if [ -f "$work/$node.pid" ]; then kill -9 "$(cat "$work/$node.pid")" 2>/dev/null || true; fi
  done
  if [ -n "$server" ]; then $as_server "$server/pg_ctl" -D "$work/pg/data" -m immediate -w stop >/dev/null 2>&1 || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# A server of our own, in a folder of our own, that only this machine reaches.
private_database() {
  server=$(pg_config --bindir 2>/dev/null || true)
  for folder in $server /usr/lib/postgresql/*/bin; do
    if [ -x "$folder/initdb" ]; then server=$folder; fi
  done
  if [ -z "$server" ] || ! [ -x "$server/initdb" ]; then
    echo "this example needs PostgreSQL 15 or newer: apt-get install postgresql, or set DATABASE_URL" >&2
    server=
    exit 1
  fi
  mkdir -m 700 "$work/pg"
  if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    chmod 711 "$work"
    chown postgres "$work/pg"
    as_server="setpriv --reuid=postgres --regid=postgres --clear-groups"
  fi
  cd "$work/pg" 2>/dev/null || true
  $as_server "$server/initdb" -U postgres -E UTF8 --locale=C.UTF-8 --no-sync --auth=trust -D "$work/pg/data" >"$work/pg.log" 2>&1
  $as_server "$server/pg_ctl" -D "$work/pg/data" -l "$work/pg/log" -w start \
    -o "-c listen_addresses= -c unix_socket_directories=$work/pg" >>"$work/pg.log" 2>&1
  cd "$here"
  socket=$(echo "$work/pg" | sed 's#/#%2F#g')
  "$server/psql" -h "$work/pg" -U postgres -XqAt -c "CREATE ROLE cog_owner LOGIN" \
    -c "CREATE ROLE cog_nodes LOGIN" -c "CREATE DATABASE cognitionos OWNER cog_owner" postgres
  DATABASE_URL=postgres://cog_owner@$socket:5432/cognitionos
  APPLICATION_URL=postgres://cog_nodes@$socket:5432/cognitionos
}

if [ -z "${DATABASE_URL:-}" ]; then private_database; fi
application=$(echo "$APPLICATION_URL" | sed -E 's#^postgres://([^:@]+).*#\1#')
COGNITIONOS_MASTER_KEY_FILE=$work/master.key
export COGNITIONOS_MASTER_KEY_FILE

echo "== prepare the database, as its owner"
"$cognitionos" database prepare --database-url "$DATABASE_URL" --application "$application" >"$work/prepare"
grep -o '^the tables are those of this release' "$work/prepare"
COGNITIONOS_DATABASE_URL=$APPLICATION_URL
export COGNITIONOS_DATABASE_URL

echo "== start three nodes"
for node in 1 2 3; do
  "$cognitionos" serve --node "node-$node" >"$work/$node.log" 2>&1 &
  echo $! >"$work/$node.pid"
done
for node in 1 2 3; do
  waited=0
  until grep -q '^serving' "$work/$node.log"; do
    waited=$((waited + 1))
    if [ "$waited" -gt 300 ]; then cat "$work/$node.log" >&2; exit 1; fi
    sleep 0.1
  done
done

pages=$work/pages
submit() {
  "$cognitionos" submit "$here/workflow.yaml" --tenant "$(cat "$work/tenant-$1")" --key "run-$2" \
    --input folder="$pages/$1-$2" --quiet "$3"
}

echo "== ask for 24 runs, of 8 tenants"
for tenant in 1 2 3 4 5 6 7 8; do
  "$cognitionos" database new-tenant >"$work/tenant-$tenant"
  for run in 1 2 3; do submit "$tenant" "$run" >>"$work/runs" --no-input; done
done
echo "asked for $(sort -u "$work/runs" | wc -l | tr -d ' ') runs"

count() { find "$pages" -type f -name 'page-*.txt' 2>/dev/null | wc -l | tr -d ' '; }
# kill_at PAGES NODE: when so many pages are written.
kill_at() {
  waited=0
  while [ "$(count)" -lt "$1" ]; do
    waited=$((waited + 1))
    if [ "$waited" -gt 900 ]; then tail "$work"/?.log >&2; exit 1; fi
    sleep 0.1
  done
  kill -9 "$(cat "$work/$2.pid")"
  rm "$work/$2.pid"
  grep -q '^claimed' "$work/$2.log"
  test "$(count)" -lt 288
  echo "killed node-$2, which had claimed tenants, before all was done"
}

echo "== kill two of the three nodes under load"
kill_at 60 1
kill_at 120 2

echo "== every run ends"
for tenant in 1 2 3 4 5 6 7 8; do
  for run in 1 2 3; do submit "$tenant" "$run" --wait; done
done >"$work/ends"
grep -c '^completed  run_' "$work/ends" | sed 's/$/ completed/'
grep '^run_' "$work/ends" | sort -u >"$work/ended"
sort -u "$work/runs" | cmp - "$work/ended"
echo "and they are the runs that were asked for: nothing ran twice"
echo "pages: $(count)"
test "$(count)" -eq 288

echo "== the last node gives everything back when it is told to end"
kill -TERM "$(cat "$work/3.pid")"
wait "$(cat "$work/3.pid")"
rm "$work/3.pid"
tail -n 1 "$work/3.log"

echo "== each log holds, and each receipt has one outcome"
"$cognitionos" database audit >"$work/audit"
cut -d: -f1 "$work/audit" | awk '{ print $1 }' | sort | uniq -c | awk '{ print $1, "logs:", $2 }'
# No receipt is open, and of none is the outcome unknown.
if grep -E 'open|unknown' "$work/audit"; then exit 1; fi
echo "completed: $(grep -o '[0-9]* completed' "$work/audit" | awk '{ sum += $1 } END { print sum }')"
