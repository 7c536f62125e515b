#!/bin/bash
# Measures holdfast against restic, borg and tar | zstd on one corpus, in the same run, interleaved; prints medians as Markdown.
# Each finds the same: before every timed run what it will read, source or repository, is read once and all that is
# written is synced; the order turns from round to round.
# Usage: tests/bench/run.sh [--rounds N] [--tools "holdfast restic"] [--ten]
# --ten: also a source ten times as large, for resident memory only.
# Works in TMPDIR or /var/tmp; takes 10 GB a round there, and 35 GB for --ten.
# Needs: restic borgbackup zstd time (Debian). Numbers that miss a goal are printed like the others.
set -eu
cd "$(dirname "$0")/../.."
rounds=3 ten= order="holdfast restic borg tar"
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --ten) ten=1 ;;
    --tools) order=$2; shift ;;
    *) echo "usage: $0 [--rounds N] [--tools LIST] [--ten]" >&2; exit 2 ;;
    esac
    shift
done
for tool in restic borg zstd /usr/bin/time; do
    command -v "$tool" >/dev/null || { echo "missing: $tool (apt-get install restic borgbackup zstd time)" >&2; exit 1; }
done
[ -f build-release/build.ninja ] || meson setup build-release --werror -Dbuildtype=release >/dev/null
ninja -C build-release >/dev/null
holdfast=$PWD/build-release/src/holdfast

work=$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
cp -a /usr/share /usr/include "$work/corpus/"
# One large file of binaries, cut at 1 GiB.
tar -cf - -C / usr/bin usr/lib 2>/dev/null | head -c 1073741824 >"$work/corpus/binaries.tar" || true
find "$work/corpus" -exec touch -h -d '1 hour ago' {} + 2>/dev/null
echo "corpus: $(find "$work/corpus" | wc -l) entries, $(du -sb --apparent-size "$work/corpus" | cut -f1) bytes, tar of $(stat -c %s "$work/corpus/binaries.tar") bytes; $(nproc) cores; $rounds rounds"

export RESTIC_PASSWORD=bench BORG_PASSPHRASE=bench BORG_RELOCATED_REPO_ACCESS_IS_OK=yes HOLDFAST_PASSPHRASE_FILE=$work/passphrase
export RESTIC_CACHE_DIR=$work/restic-cache BORG_BASE_DIR=$work/borg-base
(umask 077; echo "a passphrase for measuring only" >"$HOLDFAST_PASSPHRASE_FILE")

mkdir "$work/results"
source tests/bench/measure.bash
# A new folder each time, and nothing is removed between: ext4 passes over inodes freed in the last minutes one by one, which
# would make whoever comes after a removal look slow.
outs=0
fresh() { outs=$((outs + 1)); out=$work/out$outs; mkdir "$out"; }

# warm PATH: reads it once.
warm() { sync; find "$1" -type f -exec cat {} + >/dev/null; }

run_holdfast() {
    rm -rf "$work/hf"; mkdir "$work/hf"
    cat >"$work/hf/holdfast.conf" <<C
repository = { name = "bench"; key_file = "$work/hf/host.key"; state_dir = "$work/hf/state"; };
targets = ( { name = "disk"; type = "local"; path = "$work/hf/repo"; } );
jobs = ( { name = "corpus"; source = { type = "files"; paths = [ "$work/corpus" ]; }; } );
C
    "$holdfast" -q -c "$work/hf/holdfast.conf" init
    warm "$work/corpus"
    measure holdfast.first "$holdfast" -q -c "$work/hf/holdfast.conf" backup
    warm "$work/corpus"
    measure holdfast.unchanged "$holdfast" -q -c "$work/hf/holdfast.conf" backup
    fresh
    warm "$work/hf/repo"
    measure holdfast.restore "$holdfast" -q -c "$work/hf/holdfast.conf" restore latest --to "$out"
    diff -rq --no-dereference "$work/corpus" "$out$work/corpus" >&2
    fresh
    resident holdfast.unlocked "$holdfast" -q -c "$work/hf/holdfast.conf" restore latest --to "$out"
    du -sb "$work/hf/repo" | cut -f1 >>"$work/results/holdfast.stored"
}
run_restic() {
    rm -rf "$work/restic" "$work/restic-cache"
    restic -q -r "$work/restic" init >/dev/null
    warm "$work/corpus"
    measure restic.first restic -q -r "$work/restic" backup "$work/corpus"
    warm "$work/corpus"
    measure restic.unchanged restic -q -r "$work/restic" backup "$work/corpus"
    fresh
    warm "$work/restic"
    measure restic.restore restic -q -r "$work/restic" restore latest --target "$out"
    du -sb "$work/restic" | cut -f1 >>"$work/results/restic.stored"
}
run_borg() {
    rm -rf "$work/borg" "$work/borg-base"
    borg init -e repokey-blake2 "$work/borg" >/dev/null 2>&1
    warm "$work/corpus"
    measure borg.first borg create -C zstd,3 "$work/borg::1" "$work/corpus"
    warm "$work/corpus"
    measure borg.unchanged borg create -C zstd,3 "$work/borg::2" "$work/corpus"
    fresh
    warm "$work/borg"
    (cd "$out" && measure borg.restore borg extract "$work/borg::1")
    du -sb "$work/borg" | cut -f1 >>"$work/results/borg.stored"
}
run_tar() {
    warm "$work/corpus"
    measure tar.first sh -c "tar -C '$work' -cf - corpus | zstd -q -3 -T2 -o '$work/x.tar.zst' -f"
    fresh
    warm "$work/x.tar.zst"
    measure tar.restore sh -c "zstd -q -dc '$work/x.tar.zst' | tar -C '$out' -xf -"
    stat -c %s "$work/x.tar.zst" >>"$work/results/tar.stored"
    rm "$work/x.tar.zst"
}
for _ in $(seq "$rounds"); do
    for tool in $order; do "run_$tool"; done
    [ "$order" = "${order#* }" ] || order="${order#* } ${order%% *}"
done

if [ -n "$ten" ]; then
    rm -rf "$work"/out* "$work/restic" "$work/borg"
    mkdir "$work/ten"
    for i in $(seq 10); do
        mkdir "$work/ten/$i"
        cp -a "$work/corpus/share" "$work/corpus/include" "$work/ten/$i/"
        openssl enc -aes-128-ctr -K "$(printf %032d "$i")" -iv 00000000000000000000000000000000 \
            -in "$work/corpus/binaries.tar" -out "$work/ten/$i/binaries" 2>/dev/null
    done
    sed -i "s|$work/corpus|$work/ten|" "$work/hf/holdfast.conf"
    rm -rf "$work/hf/repo" "$work/hf/state" "$work/hf/host.key"
    "$holdfast" -q -c "$work/hf/holdfast.conf" init
    measure holdfast.ten "$holdfast" -q -c "$work/hf/holdfast.conf" backup
fi
python3 - "$work/results" <<'P'
import os, statistics, sys
folder = sys.argv[1]
def column(name, index):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return None
    return statistics.median(float(line.split()[index]) for line in open(path))
tools = ["holdfast", "restic", "borg", "tar"]
rows = [("first backup, wall s", "first", 0, 1 / 3), ("first backup, CPU s", "first", 1, 1 / 2),
        ("unchanged, wall s", "unchanged", 0, 1 / 8), ("restore, wall s", "restore", 0, 1 / 2),
        ("stored, MB", "stored", 0, 0.97), ("resident in first backup, MB", "first", 2, None),
        ("resident in restore, MB", "restore", 2, None), ("the same, scrypt aside, MB", "unlocked", 2, 100)]
print("\n| | " + " | ".join(tools) + " | holdfast / restic | goal | met |")
print("|---|" + "---:|" * len(tools) + "---:|---:|---|")
for title, what, index, goal in rows:
    values = [column(f"{t}.{what}", index) for t in tools]
    if "MB" in title:
        scale = 1e6 if what == "stored" else 1e3
        values = [v and v / scale for v in values]
    ratio = f"{values[0] / values[1]:.3f}" if values[0] and values[1] else ""
    cells = ["" if v is None else f"{v:.2f}" if v < 10 else f"{v:.1f}" for v in values]
    if not values[0] or (goal and goal <= 1 and not ratio):
        verdict = " | "
    elif goal and goal <= 1:
        verdict = f"≤ {goal:.3f} | {'yes' if float(ratio) <= goal else 'no'}"
    elif what == "restore":
        verdict = " | "
    else:
        verdict = f"≤ 100 MB | {'yes' if values[0] <= 100 else 'no'}"
    print(f"| {title} | " + " | ".join(cells) + f" | {ratio} | {verdict} |")
ten = column("holdfast.ten", 2)
if ten:
    print(f"| resident, a source ten times as large, MB | {ten / 1e3:.1f} | | | | | ≤ 100 MB | {'yes' if ten <= 100e3 else 'no'} |")
P
