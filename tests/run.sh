#!/bin/sh
# Installs what the tests need, builds with gcc, clang and the sanitizers, runs everything. Scenarios wait more than they work:
# there are more of them at a time than processors, and what is built for later is built meanwhile.
# Usage: sh tests/run.sh [--long]      Ends with "N passed, N failed"; status 0 only if all passed.
set -u
cd "$(dirname "$0")/.." || exit 1
HOLDFAST_LONG=
for argument; do
    case $argument in
    --long) HOLDFAST_LONG=1 ;;
    *) echo "usage: sh tests/run.sh [--long]" >&2; exit 2 ;;
    esac
done
export HOLDFAST_LONG
sh etc/install-packages etc/packages-build etc/packages-test || { echo "0 passed, 1 failed"; exit 1; }

began=$(date +%s)
results=$(mktemp -d)
meanwhile=
trap '[ -z "$meanwhile" ] || kill "$meanwhile"; rm -rf "$results"' EXIT
at_a_time=$(($(nproc) * 5 / 2))
passed=0
failed=0
count() { # name, status, log
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok      %s\n' "$1"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$1"
        cat "$3"
    fi
}
step() { # name, command...
    name=$1
    shift
    "$@" >"$results/log" 2>&1
    count "$name" $? "$results/log"
}
# Each test of a build counts by itself; meson's JSON log has one line per test.
suite() { # name, folder, meson test arguments...
    name=$1 folder=$2
    shift 2
    rm -f "$folder"/meson-logs/testlog*.json
    meson test -C "$folder" --num-processes "$at_a_time" --print-errorlogs "$@" >"$results/log" 2>&1
    status=$?
    python3 - "$folder"/meson-logs/testlog*.json >"$results/counts" <<'P'
import json, sys
for path in sys.argv[1:]:
    for line in open(path):
        test = json.loads(line)
        print("ok" if test["result"] in ("OK", "EXPECTEDFAIL") else "FAILED", f'{test["duration"]:6.1f} s', test["name"].split(" / ")[-1])
P
    sed "s/^\(ok\|FAILED\) */\1 $name /" "$results/counts"
    good=$(grep -c '^ok' "$results/counts")
    bad=$(grep -c '^FAILED' "$results/counts")
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$bad" -gt 0 ] && cat "$results/log"
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] || [ "$((good + bad))" -eq 0 ]; then
        count "$name: tests could not run" 1 "$results/log"
    fi
}
build() { # folder, setup arguments...; $only: the target, by default everything
    folder=$1
    shift
    [ -f "$folder/build.ninja" ] || meson setup "$folder" --werror "$@" || return 1
    ninja -C "$folder" ${only:-}
}
# In the background, for later; its output is in $results/FOLDER, $! its process.
build_meanwhile() { # as build
    (
        renice -n 10 "$(exec sh -c 'echo $PPID')" >/dev/null
        build "$@"
    ) >"$results/$1" 2>&1 &
}
wait_for() { # process, its log
    wait "$1"
    status=$?
    cat "$2"
    return $status
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# libconfig 1.5 leaks its scanner's buffer when a text ends inside a string.
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.suppressions:print_suppressions=0"
step "build with gcc, release" build build-release -Dbuildtype=release
export CC=clang
build_meanwhile build-sanitizers -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false
unset CC
meanwhile=$!
suite release build-release
step "build with clang, ASan, UBSan and fuzzers" wait_for $meanwhile "$results/build-sanitizers"
only=threaded
build_meanwhile build-tsan -Db_sanitize=thread
only=
meanwhile=$!
suite sanitizers build-sanitizers --no-suite style
step "build with ThreadSanitizer" wait_for $meanwhile "$results/build-tsan"
meanwhile=
suite tsan build-tsan --wrap "setarch -R" --suite thread
suite valgrind build-release --wrap "valgrind -q --error-exitcode=9 --leak-check=full --suppressions=$PWD/tests/valgrind.suppressions" \
    --suite valgrind --timeout-multiplier 10

seconds=$(($(date +%s) - began))
printf 'took %d min %d s\n' $((seconds / 60)) $((seconds % 60))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
