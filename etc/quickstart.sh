#!/bin/sh
# Shows Holdfast at work: installs what is missing, builds, backs up /usr/share/doc twice, restores it and compares.
set -eu
cd "$(dirname "$0")/.."
sh etc/install-packages etc/packages-build
echo "building ..."
if ! { [ -f build-quickstart/build.ninja ] || meson setup build-quickstart -Dbuildtype=release -Dtests=false; } >build-quickstart.log 2>&1 ||
    ! ninja -C build-quickstart >>build-quickstart.log 2>&1; then
    cat build-quickstart.log >&2
    exit 1
fi
rm -f build-quickstart.log
holdfast=$PWD/build-quickstart/src/holdfast

work=$(mktemp -d /var/tmp/holdfast-quickstart-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >holdfast.conf <<C
repository = { name = "quickstart"; key_file = "$work/host.key"; state_dir = "$work/state"; };
targets = ( { name = "disk"; type = "local"; path = "$work/repository"; } );
jobs = ( { name = "docs"; source = { type = "files"; paths = [ "/usr/share/doc" ]; }; keep = { daily = 7; weekly = 5; }; } );
C
umask 077
od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >passphrase
umask 022

show() {
    printf '\n$ holdfast %s\n' "$*"
    "$holdfast" -c holdfast.conf "$@"
}
show init --passphrase-file passphrase
show backup
show backup
show snapshots
show verify --all
printf '\n(the host key alone opens no contents)\n'
printf '$ holdfast cat latest /usr/share/doc/bash/copyright\n'
"$holdfast" -c holdfast.conf cat latest /usr/share/doc/bash/copyright </dev/null 2>&1 | head -n 2 || true
show restore latest --to restored --passphrase-file passphrase

describe() { (cd "$1" && find . ! -type s -printf '%y %m %U %G %T@ %l %p\n' | sort); }
describe /usr/share/doc >before
describe restored/usr/share/doc >after
diff -r --no-dereference /usr/share/doc restored/usr/share/doc
cmp before after
printf '\nrestored and compared: contents, types, modes, owners and times of %s entries are the same\n' "$(wc -l <before)"
printf 'everything was in %s, which is removed now\n' "$work"
