#!/bin/sh
# Runs a target on its corpus and on what it found before, then looks for more: FUZZ_SECONDS, by default 1,
# with HOLDFAST_LONG 300 and another seed each time. What stops it is left in the folder of the build; run the target with that file.
# What is allotted may be more than what is used: libarchive does so for a long name, and the reader stops it.
# Usage: run.sh TARGET CORPUS FOLDER LONGEST
set -eu
target=$1 corpus=$2 folder=$3 longest=$4
seconds=${FUZZ_SECONDS:-1} seed=1
[ -z "${HOLDFAST_LONG:-}" ] || seconds=${FUZZ_SECONDS:-300} seed=0
mkdir -p "$folder/found" "$folder/failed"
dictionary="${corpus%/*}/$(basename "$corpus").dict"
[ -f "$dictionary" ] || dictionary=
"$target" "$corpus"/* 2>"$folder/corpus.log" || { cat "$folder/corpus.log"; exit 1; }
"$target" "$folder/found" "$corpus" -seed="$seed" -max_total_time="$seconds" -max_len="$longest" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=8192 \
    -artifact_prefix="$folder/failed/" -print_final_stats=1 ${dictionary:+-dict="$dictionary"} ||
    exit 1 # not 77, which means skipped
