# What the benchmarks share. $work is their folder, $work/results where numbers go, $out what a restore fills.
# shellcheck shell=bash disable=SC2154

# measure FILE COMMAND...: appends "wall cpu rss" to FILE.
measure() {
    local file=$1
    shift
    /usr/bin/time -f '%e %U %S %M' -o "$work/time" "$@" >/dev/null 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
    awk '{print $1, $2 + $3, $4}' "$work/time" >>"$work/results/$file"
}

# resident FILE COMMAND...: appends the most memory it held from when the first entry was in $out, so that scrypt, which
# takes its own before, does not count.
resident() {
    local file=$1 pages most=0 pid
    shift
    "$@" >/dev/null 2>&1 &
    pid=$!
    until [ -n "$(ls -A "$out")" ] || ! kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    while read -r _ pages _ 2>/dev/null <"/proc/$pid/statm"; do
        [ "$pages" -le "$most" ] || most=$pages
        sleep 0.05
    done
    wait "$pid"
    echo "0 0 $((most * $(getconf PAGESIZE) / 1024))" >>"$work/results/$file"
}
