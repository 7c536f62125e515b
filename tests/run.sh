#!/bin/sh
# Installs what the tests need, builds with gcc, clang and the sanitizers, runs everything.
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
trap 'rm -rf "$results"' EXIT
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
    meson test -C "$folder" --print-errorlogs "$@" >"$results/log" 2>&1
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
configure() { # folder, setup arguments...
    folder=$1
    shift
    [ -f "$folder/build.ninja" ] || meson setup "$folder" --werror "$@" || return 1
    ninja -C "$folder"
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# libconfig 1.5 leaks its scanner's buffer when a text ends inside a string.
export LSAN_OPTIONS="suppressions=$PWD/tests/lsan.suppressions:print_suppressions=0"
step "clang-format" sh -c 'find src tests -name "*.[ch]" | xargs clang-format --dry-run -Werror'
step "build with gcc, release" configure build-release -Dbuildtype=release
step "build with clang, sanitizers and fuzzers" env CC=clang sh -c "[ -f build-fuzz/build.ninja ] ||
    meson setup build-fuzz --werror -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false || exit 1; ninja -C build-fuzz"
step "build with ASan and UBSan" configure build-asan -Db_sanitize=address,undefined
suite release build-release
suite asan build-asan --no-suite style
suite fuzz build-fuzz --suite fuzz
step "build with ThreadSanitizer" configure build-tsan -Db_sanitize=thread
suite tsan build-tsan --wrap "setarch -R" --suite thread
suite valgrind build-release --wrap "valgrind -q --error-exitcode=9 --leak-check=full --suppressions=$PWD/tests/valgrind.suppressions" \
    --suite valgrind --timeout-multiplier 10

seconds=$(($(date +%s) - began))
printf 'took %d min %d s\n' $((seconds / 60)) $((seconds % 60))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
