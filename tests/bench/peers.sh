#!/bin/bash
# Builds the peers that tests/bench/run.sh can measure and Debian does not have, in fixed versions, by their languages' own
# clients, with one job at the lowest priority; it takes minutes. kopia is not among them: its module could not be had.
# Usage: tests/bench/peers.sh [--into FOLDER] [restic-new | bupstash]...
# Without names all are built. FOLDER: HOLDFAST_BENCH_BIN, or ~/.cache/holdfast-bench/bin.
# Needs go for restic-new; cargo, libsodium-dev and pkg-config (the last two Debian's) for bupstash.
set -eu
into=${HOLDFAST_BENCH_BIN:-$HOME/.cache/holdfast-bench/bin}
tools=()
while [ $# -gt 0 ]; do
    case $1 in
    --into) into=$2; shift ;;
    restic-new | bupstash) tools+=("$1") ;;
    *) echo "usage: $0 [--into FOLDER] [restic-new | bupstash]..." >&2; exit 2 ;;
    esac
    shift
done
[ ${#tools[@]} -gt 0 ] || tools=(restic-new bupstash)
need() { command -v "$1" >/dev/null || { echo "missing: $1 ($2)" >&2; exit 1; }; }
mkdir -p "$into"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast-peers-XXXXXX")
trap 'rm -rf "$work"' EXIT
renice -n 19 $$ >/dev/null

# crate NAME VERSION OPTION...: leaves its commands in $work/bin.
crate() {
    need cargo "a Rust toolchain"
    CARGO_TARGET_DIR=$work/target cargo install -q -j 1 --locked --root "$work" "$1" --version "$2" "${@:3}"
}
for tool in "${tools[@]}"; do
    case $tool in
    restic-new)
        need go "a Go toolchain"
        (cd "$work" && GOBIN=$work/bin GOMAXPROCS=1 go install -p 1 github.com/restic/restic/cmd/restic@v0.18.1)
        mv "$work/bin/restic" "$work/bin/restic-new"
        ;;
    bupstash)
        need pkg-config "apt-get install pkg-config"
        pkg-config libsodium || { echo "missing: libsodium (apt-get install libsodium-dev)" >&2; exit 1; }
        crate bupstash 0.12.0
        ;;
    esac
    mv "$work/bin/$tool" "$into/"
    echo "$into/$tool"
done
