#!/bin/sh
# Check the bundle that came from somebody else, and two copies that were tampered with.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
cd "$here"

echo "== as it came"
"$cognitionos" verify someone.cogbundle --key someone.vkey

for copy in edited cut; do
  echo "== $copy"
  code=0
  "$cognitionos" verify "$copy.cogbundle" --key someone.vkey || code=$?
  if [ "$code" -ne 1 ]; then
    echo "ended with $code instead of 1" >&2
    exit 1
  fi
done
