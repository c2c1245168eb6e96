#!/bin/sh
# Make the files of this example from a run of example 02: a bundle, the public key, and
# two copies that were tampered with. Each copy has its closing line set right again, as a
# careful forger would do it.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cognitionos=${COGNITIONOS:-cognitionos}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

cp -R "$here/../02-refusal-and-why/." "$work/travel"
rm -rf "$work/travel/out"
export COGNITIONOS_DATA="$work/data"
"$cognitionos" run "$work/travel/workflow.yaml" --no-input --quiet
"$cognitionos" ledger export --output "$here/someone.cogbundle" --key "$here/someone.vkey"

# close BUNDLE: count the lines and digest the bytes of a bundle without its last line, and
# write that line.
close() {
  lines=$(wc -l <"$1" | tr -d ' ')
  digest=$(sha256sum "$1" | cut -d ' ' -f 1)
  printf '{"end":{"digest":"sha256:%s","lines":%s}}\n' "$digest" "$lines" >>"$1"
}

# One word is changed: the desk did not ask, the head of travel did.
sed -e '$d' -e '/"kind":"denial"/s/"actor":"agent:travel-desk"/"actor":"user:head-of-travel"/' \
  "$here/someone.cogbundle" >"$work/edited"
close "$work/edited"
mv "$work/edited" "$here/edited.cogbundle"

# One line is gone: the attempt to send a traveller's data away.
sed -e '$d' -e '/"kind":"denial"/{/"step":"share"/d;}' "$here/someone.cogbundle" >"$work/cut"
close "$work/cut"
mv "$work/cut" "$here/cut.cogbundle"

if cmp -s "$here/someone.cogbundle" "$here/edited.cogbundle" ||
  cmp -s "$here/someone.cogbundle" "$here/cut.cogbundle"; then
  echo "the copies are not tampered with: has the form of an entry changed?" >&2
  exit 1
fi
