#!/bin/bash
# Measures holdfast against restic on an S3 store on this machine (Ceph's gateway, as in the tests): first backup, unchanged,
# restore, memory; what of it is CPU, on both sides, and how long cp takes for the restored files; then what 30 ms of latency and
# a second target cost. Medians, as Markdown; numbers that miss their goal are
# printed like the others. Usage: tests/bench/s3.sh [--rounds N]
# Works in TMPDIR or /var/tmp (3 GB, and 9 GB a round) and in memory (8 GB). Needs restic, time and the packages of the tests.
set -eu
cd "$(dirname "$0")/../.."
rounds=3
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    *) echo "usage: $0 [--rounds N]" >&2; exit 2 ;;
    esac
    shift
done
for tool in restic radosgw /usr/bin/time jq; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install restic time, and sh etc/install-packages etc/packages-test)" >&2; exit 1; }
done
[ -f build-release/build.ninja ] || meson setup build-release --werror -Dbuildtype=release >/dev/null
ninja -C build-release >/dev/null
holdfast=$PWD/build-release/src/holdfast

WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast-bench-XXXXXX")
HOLDFAST_GATEWAY=$WORK/gateway
export WORK HOLDFAST_GATEWAY
# shellcheck source=../lib/s3.bash
source tests/lib/s3.bash
trap 's3_stop; python3 tests/lib/gateway.py stop "$HOLDFAST_GATEWAY" >/dev/null 2>&1 || true; rm -rf "$WORK"' EXIT
eval "$(python3 tests/lib/gateway.py join "$HOLDFAST_GATEWAY" --pid $$ --bytes 12884901888)"
s3_start

mkdir "$WORK/corpus" "$WORK/results"
work=$WORK
source tests/bench/measure.bash
cp -a /usr/share /usr/include "$WORK/corpus/"
tar -cf - -C / usr/bin usr/lib 2>/dev/null | head -c 1073741824 >"$WORK/corpus/binaries.tar" || true
find "$WORK/corpus" -exec touch -h -d '1 hour ago' {} + 2>/dev/null
echo "corpus: $(find "$WORK/corpus" | wc -l) entries, $(du -sb --apparent-size "$WORK/corpus" | cut -f1) bytes; $(nproc) cores; $rounds rounds"

export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$WORK/restic-cache HOLDFAST_PASSPHRASE_FILE=$WORK/passphrase
(umask 077; echo "a passphrase for measuring only" >"$HOLDFAST_PASSPHRASE_FILE")

warm() { sync; find "$WORK/corpus" -type f -exec cat {} + >/dev/null; }
# Never removed between, see run.sh.
outs=0
fresh() { outs=$((outs + 1)); out=$WORK/out$outs; mkdir "$out"; sync; }
empty() { s3_admin bucket rm --bucket="$1" --purge-objects --bypass-gc >/dev/null 2>&1 || true; }

# configure TARGETS: a new repository on them.
configure() {
    rm -rf "$WORK/hf"
    mkdir "$WORK/hf"
    cat >"$WORK/hf/holdfast.conf" <<C
repository = { name = "bench"; key_file = "$WORK/hf/host.key"; state_dir = "$WORK/hf/state"; };
targets = ( $1 );
jobs = ( { name = "corpus"; source = { type = "files"; paths = [ "$WORK/corpus" ]; }; } );
C
    "$holdfast" -q -c "$WORK/hf/holdfast.conf" init
}
hf() { "$holdfast" -q -c "$WORK/hf/holdfast.conf" "$@"; }

# CPU seconds of the gateway so far.
gateway_cpu() {
    local pid
    for pid in $(pgrep -f -- "-c $HOLDFAST_GATEWAY/ceph.conf"); do
        cut -d' ' -f14,15 "/proc/$pid/stat"
    done | awk -v hz="$(getconf CLK_TCK)" '{ticks += $1 + $2} END {print ticks / hz}'
}

# As measure, and what it cost the gateway.
measure_both() {
    local before
    before=$(gateway_cpu)
    measure "$@"
    awk -v before="$before" -v after="$(gateway_cpu)" 'BEGIN {print after - before}' >>"$WORK/results/$1.gateway"
}

run_holdfast() {
    s3_bucket hf
    configure "$(s3_target a "$BUCKET" "$S3_HTTP")"
    warm
    measure_both holdfast.first "$holdfast" -q -c "$WORK/hf/holdfast.conf" backup
    warm
    measure holdfast.unchanged "$holdfast" -q -c "$WORK/hf/holdfast.conf" backup
    fresh
    measure_both holdfast.restore "$holdfast" -q -c "$WORK/hf/holdfast.conf" restore latest --to "$out"
    diff -rq --no-dereference "$WORK/corpus" "$out$WORK/corpus" >&2
    fresh
    resident holdfast.unlocked "$holdfast" -q -c "$WORK/hf/holdfast.conf" restore latest --to "$out"
    fresh
    measure cp.restore cp -a "$WORK/corpus" "$out"
    empty "$BUCKET"
}
run_restic() {
    rm -rf "$WORK/restic-cache"
    s3_bucket restic
    local repository="s3:$S3_HTTP/$BUCKET"
    restic -q -r "$repository" init >/dev/null
    warm
    measure_both restic.first restic -q -r "$repository" backup "$WORK/corpus"
    warm
    measure restic.unchanged restic -q -r "$repository" backup "$WORK/corpus"
    fresh
    measure_both restic.restore restic -q -r "$repository" restore latest --target "$out"
    empty "$BUCKET"
}
run_latency() { # the proxy without and with 30 ms before each request is passed on
    for name in near far; do
        s3_bucket "$name"
        s3_proxy "$name" "$([ "$name" = near ] || echo '{"latency_ms": 30}')"
        configure "$(s3_target a "$BUCKET" "$PROXY")"
        warm
        measure "holdfast.$name" "$holdfast" -q -c "$WORK/hf/holdfast.conf" backup
        kill "$PROXY_PID"
        empty "$BUCKET"
    done
}
run_two() {
    s3_bucket two
    local first
    first=$(s3_target a "$BUCKET" "$S3_HTTP")
    s3_bucket two
    configure "$first, $(s3_target b "$BUCKET" "$S3_HTTP")"
    warm
    measure holdfast.two "$holdfast" -q -c "$WORK/hf/holdfast.conf" backup
    empty "${S3_BUCKETS[-1]}"
    empty "${S3_BUCKETS[-2]}"
}
order="holdfast restic latency two"
for _ in $(seq "$rounds"); do
    for what in $order; do "run_$what"; done
    order="${order#* } ${order%% *}"
done

python3 - "$WORK/results" <<'P'
import statistics, sys

def median(name, column):
    return statistics.median(float(line.split()[column]) for line in open(f"{sys.argv[1]}/{name}"))

def row(title, one, other, goal, column=0, scale=1.0, absolute=False):
    a, b = median(one, column) / scale, median(other, column) / scale
    met = (a if absolute else a / b) <= goal
    wanted = f"≤ {goal:g} MB" if absolute else f"≤ {goal:.3f}"
    print(f"| {title} | {a:.2f} | {b:.2f} | {a / b:.3f} | {wanted} | {'yes' if met else 'no'} |")

print("\n| on an S3 store | holdfast | restic | ratio | goal | met |\n|---|---:|---:|---:|---:|---|")
row("first backup, wall s", "holdfast.first", "restic.first", 1 / 3)
row("unchanged, wall s", "holdfast.unchanged", "restic.unchanged", 1 / 6)
row("restore, wall s", "holdfast.restore", "restic.restore", 1 / 3)
row("resident in first backup, MB", "holdfast.first", "restic.first", 120, 2, 1e3, True)
row("resident in restore, MB", "holdfast.restore", "restic.restore", 120, 2, 1e3, True)
row("the same, unlocking aside, MB", "holdfast.unlocked", "restic.restore", 120, 2, 1e3, True)
print("\n| of these, s | holdfast | restic |\n|---|---:|---:|")
for title, name in ("first backup", "first"), ("restore", "restore"):
    for whose, ending, column in ("own CPU", "", 1), ("the gateway's CPU", ".gateway", 0):
        print(f"| {title}, {whose} |", " | ".join(f"{median(f'{tool}.{name}{ending}', column):.2f}" for tool in ("holdfast", "restic")), "|")
print(f"| restore: cp -a of the same files, wall | {median('cp.restore', 0):.2f} | |")
print("\n| holdfast against itself | with | without | ratio | goal | met |\n|---|---:|---:|---:|---:|---|")
row("first backup with 30 ms of latency, wall s", "holdfast.far", "holdfast.near", 1 / 0.9)
row("first backup to two targets instead of one, CPU s", "holdfast.two", "holdfast.first", 1.3, 1)
P
