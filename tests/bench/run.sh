#!/bin/bash
# Measures holdfast against restic, borg and tar | zstd on one corpus, in the same run, interleaved; prints medians as Markdown:
# a table with the goals, which are set against Debian's restic, and one that lists every tool.
# Each finds the same: before every timed run what it will read, source or repository, is read once and all that is
# written is synced; the order turns from round to round. After each restore the tree is compared with the source.
# Usage: tests/bench/run.sh [--rounds N] [--tools "holdfast restic"] [--corpus DIR] [--ten]
# --tools: out of holdfast restic restic-new bupstash borg tar; only those named are needed. restic-new is a current
#   restic; it and bupstash are built by tests/bench/peers.sh and looked for in PATH, then in HOLDFAST_BENCH_BIN
#   (~/.cache/holdfast-bench/bin).
# --corpus: this folder, read where it is, instead of /usr/share, /usr/include and a tar of binaries.
# --ten: also a source ten times as large, for resident memory only.
# Each tool encrypts (tar aside), writes to a folder on the same disk and has its own defaults, but for these: borg compresses
# with zstd 3 (by default lz4); bupstash keeps and restores owners and extended attributes as the others do unasked.
# Works in TMPDIR or /var/tmp; takes 2.1 GB there for each restore of each round (holdfast restores twice), 2.1 GB for the
# corpus, 0.7 GB for a repository, and 35 GB for --ten.
# Needs time, and per tool: restic borgbackup zstd (Debian). Numbers that miss a goal are printed like the others.
set -eu
cd "$(dirname "$0")/../.."
rounds=3 order="holdfast restic borg tar" ten="" corpus=""
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2; shift ;;
    --ten) ten=1 ;;
    --tools) order=$2; shift ;;
    --corpus) corpus=$(realpath -e -- "$2"); shift ;;
    *) echo "usage: $0 [--rounds N] [--tools LIST] [--corpus DIR] [--ten]" >&2; exit 2 ;;
    esac
    shift
done
[ -z "$ten" ] || [ -z "$corpus" ] || { echo "$0: --ten makes its own corpus, it cannot go with --corpus" >&2; exit 2; }
PATH=$PATH:${HOLDFAST_BENCH_BIN:-$HOME/.cache/holdfast-bench/bin}

# need COMMAND HOW: it can be run, or how to get it is said.
need() { command -v "$1" >/dev/null || { echo "missing: $1 ($2)" >&2; exit 1; }; }
need /usr/bin/time "apt-get install time"
read -ra tools <<<"$order"
order=${tools[*]}
for tool in "${tools[@]}"; do
    case $tool in
    holdfast) ;;
    restic) need restic "apt-get install restic" ;;
    borg) need borg "apt-get install borgbackup" ;;
    tar) need zstd "apt-get install zstd" ;;
    restic-new | bupstash) need "$tool" "tests/bench/peers.sh $tool" ;;
    *) echo "$0: no such tool: $tool (there are: holdfast restic restic-new bupstash borg tar)" >&2; exit 2 ;;
    esac
done
[ -f build-release/build.ninja ] || meson setup build-release --werror -Dbuildtype=release >/dev/null
ninja -C build-release >/dev/null
holdfast=$PWD/build-release/src/holdfast

work=$(mktemp -d "${TMPDIR:-/var/tmp}/holdfast-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -z "$corpus" ] || case $(realpath "$work") in
"${corpus%/}"/*) echo "$0: TMPDIR must not lie in the corpus" >&2; exit 2 ;;
esac
if [ -z "$corpus" ]; then
    corpus=$work/corpus
    mkdir "$corpus"
    cp -a /usr/share /usr/include "$corpus/"
    # One large file of binaries, cut at 1 GiB.
    tar -cf - -C / usr/bin usr/lib 2>/dev/null | head -c 1073741824 >"$corpus/binaries.tar" || true
    find "$corpus" -exec touch -h -d '1 hour ago' {} + 2>/dev/null
    binaries=", tar of $(stat -c %s "$corpus/binaries.tar") bytes"
fi
echo "corpus: $(find "$corpus" | wc -l) entries, $(du -sb --apparent-size "$corpus" | cut -f1) bytes${binaries-}; $(nproc) cores; $rounds rounds"

export RESTIC_PASSWORD=bench BORG_PASSPHRASE=bench BORG_RELOCATED_REPO_ACCESS_IS_OK=yes HOLDFAST_PASSPHRASE_FILE=$work/passphrase
export BORG_BASE_DIR=$work/borg-base
export BUPSTASH_REPOSITORY=$work/bupstash BUPSTASH_KEY=$work/bupstash.key BUPSTASH_SEND_LOG=$work/bupstash-cache/send BUPSTASH_QUERY_CACHE=$work/bupstash-cache/query
(umask 077; echo "a passphrase for measuring only" >"$HOLDFAST_PASSPHRASE_FILE")

mkdir "$work/results"
source tests/bench/measure.bash
# A new folder each time, and nothing is removed between: ext4 passes over inodes freed in the last minutes one by one, which
# would make whoever comes after a removal look slow.
outs=0
fresh() { outs=$((outs + 1)); out=$work/out$outs; mkdir "$out"; }

# warm PATH: reads it once.
warm() { sync; find "$1" -type f -exec cat {} + >/dev/null; }

# same PATH: what was restored there is what was backed up.
same() { diff -rq --no-dereference "$corpus" "$1" >&2; }

# stored TOOL PATH: what its repository takes.
stored() { du -sb "$2" | cut -f1 >>"$work/results/$1.stored"; }

run_holdfast() {
    rm -rf "$work/hf"; mkdir "$work/hf"
    cat >"$work/hf/holdfast.conf" <<C
repository = { name = "bench"; key_file = "$work/hf/host.key"; state_dir = "$work/hf/state"; };
targets = ( { name = "disk"; type = "local"; path = "$work/hf/repo"; } );
jobs = ( { name = "corpus"; source = { type = "files"; paths = [ "$corpus" ]; }; } );
C
    "$holdfast" -q -c "$work/hf/holdfast.conf" init
    warm "$corpus"
    measure holdfast.first "$holdfast" -q -c "$work/hf/holdfast.conf" backup
    warm "$corpus"
    measure holdfast.unchanged "$holdfast" -q -c "$work/hf/holdfast.conf" backup
    fresh
    warm "$work/hf/repo"
    measure holdfast.restore "$holdfast" -q -c "$work/hf/holdfast.conf" restore latest --to "$out"
    same "$out$corpus"
    fresh
    resident holdfast.unlocked "$holdfast" -q -c "$work/hf/holdfast.conf" restore latest --to "$out"
    stored holdfast "$work/hf/repo"
}
with_restic() { # NAME, which is that of the command, too
    local repository=$work/$1
    export RESTIC_CACHE_DIR=$work/$1-cache
    rm -rf "$repository" "$RESTIC_CACHE_DIR"
    "$1" -q -r "$repository" init >/dev/null
    warm "$corpus"
    measure "$1.first" "$1" -q -r "$repository" backup "$corpus"
    warm "$corpus"
    measure "$1.unchanged" "$1" -q -r "$repository" backup "$corpus"
    fresh
    warm "$repository"
    measure "$1.restore" "$1" -q -r "$repository" restore latest --target "$out"
    same "$out$corpus"
    stored "$1" "$repository"
}
run_restic() { with_restic restic; }
run_restic-new() { with_restic restic-new; }
run_bupstash() {
    rm -rf "$work/bupstash" "$work/bupstash.key" "$work/bupstash-cache"
    mkdir "$work/bupstash-cache"
    bupstash init
    bupstash new-key -o "$work/bupstash.key"
    warm "$corpus"
    measure bupstash.first bupstash put -q --xattrs run=1 "$corpus"
    warm "$corpus"
    measure bupstash.unchanged bupstash put -q --xattrs run=2 "$corpus"
    fresh
    warm "$work/bupstash"
    measure bupstash.restore bupstash restore -q --ownership --xattrs --into "$out" run=2
    same "$out"
    stored bupstash "$work/bupstash"
}
run_borg() {
    rm -rf "$work/borg" "$work/borg-base"
    borg init -e repokey-blake2 "$work/borg" >/dev/null 2>&1
    warm "$corpus"
    measure borg.first borg create -C zstd,3 "$work/borg::1" "$corpus"
    warm "$corpus"
    measure borg.unchanged borg create -C zstd,3 "$work/borg::2" "$corpus"
    fresh
    warm "$work/borg"
    (cd "$out" && measure borg.restore borg extract "$work/borg::1")
    same "$out$corpus"
    stored borg "$work/borg"
}
run_tar() {
    warm "$corpus"
    measure tar.first sh -c "tar -C '$corpus' -cf - . | zstd -q -3 -T2 -o '$work/x.tar.zst' -f"
    fresh
    warm "$work/x.tar.zst"
    measure tar.restore sh -c "zstd -q -dc '$work/x.tar.zst' | tar -C '$out' -xf -"
    same "$out"
    stored tar "$work/x.tar.zst"
    rm "$work/x.tar.zst"
}
for _ in $(seq "$rounds"); do
    for tool in $order; do "run_$tool"; done
    [ "$order" = "${order#* }" ] || order="${order#* } ${order%% *}"
done

if [ -n "$ten" ]; then
    rm -rf "$work"/out* "$work/restic" "$work/restic-new" "$work/bupstash" "$work/borg"
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

# Which version each is, of tar that of zstd.
version() {
    case $1 in
    tar) zstd -q --version ;;
    holdfast) "$holdfast" --version ;;
    restic*) "$1" version ;;
    bupstash) bupstash version ;;
    *) "$1" --version ;;
    esac | sed -n '1s/[^0-9]*\([0-9.]*[0-9]\).*/\1/p'
}
for tool in "${tools[@]}"; do version "$tool" >"$work/results/$tool.version"; done
python3 - "$work/results" "${tools[@]}" <<'P'
import os, statistics, sys
folder = sys.argv[1]
def column(name, index):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return None
    return statistics.median(float(line.split()[index]) for line in open(path))
def number(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"
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
    cells = [number(v) for v in values]
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
print("\n| | version | first, wall s | first, CPU s | unchanged, wall s | restore, wall s | stored, MB | resident in first, MB | in restore, MB |")
print("|---|---|" + "---:|" * 7)
columns = [("first", 0, 1), ("first", 1, 1), ("unchanged", 0, 1), ("restore", 0, 1), ("stored", 0, 1e6), ("first", 2, 1e3), ("restore", 2, 1e3)]
for tool in sys.argv[2:]:
    version = open(os.path.join(folder, f"{tool}.version")).read().strip()
    values = [column(f"{tool}.{what}", index) for what, index, _ in columns]
    cells = [number(v and v / scale) for v, (_, _, scale) in zip(values, columns)]
    print(f"| {tool} | {version} | " + " | ".join(cells) + " |")
print("""
Compression: holdfast, restic and restic-new as they do by default, bupstash zstd 3 (its default), borg zstd 3 (its
default is lz4), tar zstd 3 on two threads. Of bupstash and tar, which are two processes each, the larger one's memory counts.
restic and restic-new unlock with scrypt in every command, holdfast in a restore; bupstash reads a key file; tar does
not encrypt.""")
P
