load ../lib/common.bash
setup() { make_work passphrase; }
teardown() {
    rm -f "$WORK/stall"
    drop_work
}

# start ARGUMENT...: holdfast in the background; what it says is in $WORK/said.
start() {
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@" >"$WORK/said" 2>&1 3>&- &
    pid=$!
}

# start_stalled NAME ARGUMENT...: likewise; SIGINT does not count meanwhile (system(3)); whoever opens a file of that name waits as long as $WORK/stall is there.
start_stalled() {
    local name=$1
    shift
    touch "$WORK/stall"
    LD_PRELOAD="$ON_ACCESS" ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
        ON_ACCESS_CALL=openat ON_ACCESS_NAME="$name" \
        ON_ACCESS_RUN="touch '$WORK/stalled'; while [ -e '$WORK/stall' ]; do sleep 0.1; done" \
        "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@" >"$WORK/said" 2>&1 3>&- &
    pid=$!
    wait_for "$WORK/stalled"
}

wait_for() {
    local i
    for i in $(seq 1200); do
        [ -e "$1" ] && return 0
        sleep 0.1
    done
    cat "$WORK/said"
    return 1
}

# stop SIGNAL [COMMAND]: it ends by the signal, soon, though what it waits for would take a quarter of an hour or for ever;
# the command is run when the signal has been sent.
stop() {
    local status=0
    kill "-$1" "$pid"
    "${@:2}"
    (sleep 30; kill -KILL "$pid") >/dev/null 2>&1 3>&- &
    local rescue=$!
    wait "$pid" || status=$?
    kill "$rescue"
    cat "$WORK/said"
    echo "status $status"
    [ "$status" -eq $((128 + $(kill -l "$1"))) ]
    grep -q "stopped by a signal" "$WORK/said"
    # What is cut off is neither damaged nor lost, and no file has changed.
    ! grep -qiE 'warning:|damage|shrank|cannot be re' "$WORK/said"
}

count() { holdfast --json snapshots | jq '.snapshots | length'; }
leases() { find "$WORK"/repo*/leases -type f 2>/dev/null | wc -l; }
stored() { find "$WORK/repo1/packs" -type f -printf '%s\n' 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'; }
data_pack() { find "$WORK/repo1/packs" -type f -printf '%s %f\n' | sort -n | tail -n 1 | cut -d' ' -f2; }

# What the command has started is no more, or waits for nothing but to be forgotten by whoever inherited it.
ended() {
    local state i
    for i in $(seq 300); do
        state=$(ps -o stat= -p "$(cat "$WORK/child")") || return 0
        [[ $state != Z* ]] || return 0
        sleep 0.1
    done
    return 1
}

# A repository of one command that writes much, says so in $WORK/written, and then says nothing more for a long time.
make_slow_command() {
    printf '#!/bin/sh\n%s\nhead -c 3000000 %s/random\ntouch %s/written\nsleep 1000 & echo $! >%s/child\nwait\n' \
        "${1:-}" "$WORK" "$WORK" "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    head -c 3000000 /dev/urandom >"$WORK/random"
    make_repo 1 "source = { type = \"${2:-command}\"; command = [ \"$WORK/dump\" ]; };" \
        'pack_size = "64K"; chunk_average = "16K";'
}

@test "a command that says nothing is ended at once, with all that it started; what was uploaded serves the next run" {
    for signal in TERM INT; do
        make_slow_command
        start backup
        wait_for "$WORK/written"
        until [ "$(stored)" -gt 2000000 ]; do sleep 0.1; done
        stop $signal
        ended
        [ "$(count)" -eq 0 ]
        [ "$(leases)" -eq 0 ]
        printf '#!/bin/sh\ncat %s/random\n' "$WORK" >"$WORK/dump"
        [ "$(holdfast --json backup | jq '.jobs[0].bytes_stored')" -lt 1000000 ]
        holdfast verify --all
        rm -rf "$WORK"/repo1 "$WORK"/state "$WORK"/host.key "$WORK"/written
    done
}

@test "a command that does not heed SIGTERM is killed" {
    make_slow_command 'trap "" TERM'
    start backup
    wait_for "$WORK/written"
    stop TERM
    ended
    [ "$(leases)" -eq 0 ]
}

@test "a tar stream that stands still is ended at once" {
    make_slow_command "truncate -s 9M $WORK/nine; tar -C $WORK -c nine | head -c 10240" tar # what follows is its contents
    start backup
    wait_for "$WORK/written"
    stop TERM
    ended
    [ "$(count)" -eq 0 ]
    [ "$(leases)" -eq 0 ]
}

@test "a backup ends while its target does not answer, and the command with it" {
    make_slow_command
    start_stalled ".tmp-*-1" backup
    stop TERM
    [ ! -e "$WORK/child" ] || ended
    rm "$WORK/stall"
    [ "$(count)" -eq 0 ]
    printf '#!/bin/sh\ncat %s/random\n' "$WORK" >"$WORK/dump"
    holdfast -q backup
    holdfast verify --all
    [ "$(leases)" -eq 0 ]
}

@test "restore, verify, prune and heal end while a target does not answer; nothing is lost" {
    make_repo 2 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 1; };" \
        'pack_size = "64K"; chunk_average = "16K";'
    make_small_tree
    holdfast -q backup --class daily
    pack=$(data_pack)
    start_stalled "$pack" restore latest --to "$WORK/out"
    stop TERM
    rm "$WORK/stalled"
    start_stalled "$pack" verify --all
    stop TERM
    rm "$WORK/stalled"
    sleep 1.1
    head -c 2000000 /dev/urandom >"$WORK/source/random"
    holdfast -q backup --class daily
    start_stalled ".tmp-*-1" prune
    stop TERM
    rm "$WORK/stalled" "$WORK/stall"
    rm "$WORK/repo2/packs/${pack:0:2}/$pack"
    start_stalled ".tmp-*-1" heal
    stop TERM
    rm "$WORK/stall"
    holdfast -q heal
    holdfast -q prune
    [ "$(count)" -eq 1 ]
    holdfast verify --all
    restore_and_compare latest
    [ "$(leases)" -eq 0 ]
}

@test "restore, verify and prune stop in the midst of the work" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { manual = 1; };" \
        'pack_size = "64K"; chunk_average = "16K";'
    head -c 20000000 /dev/urandom >"$WORK/source/random"
    holdfast -q backup
    # Each waits a moment when it comes to the first pack, and gets the signal then.
    start_stalled "$(data_pack)" restore latest --to "$WORK/out"
    stop TERM rm "$WORK/stall"
    rm "$WORK/stalled"
    # Several packs at a time: each of them waits.
    start_stalled "$(printf '?%.0s' $(seq 64))" verify --all
    stop TERM rm "$WORK/stall"
    rm "$WORK/stalled"
    head -c 20000000 /dev/urandom >"$WORK/source/random"
    sleep 1.1
    holdfast -q backup
    start_stalled ".tmp-*-1" prune
    stop TERM rm "$WORK/stall"
    [ "$(leases)" -eq 0 ]
    holdfast -q prune
    holdfast verify --all
    restore_and_compare latest
}

@test "a signal in a large file is no change of that file: nothing is warned of, and no job has failed" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; schedule = { daily = \"00:00\"; };" \
        'pack_size = "64K"; chunk_average = "16K"; workers = 1;'
    echo small >"$WORK/source/a"
    holdfast -q run
    head -c 100000000 /dev/urandom >"$WORK/source/large"
    local words
    for words in "INT backup" "TERM --json backup" "HUP backup"; do
        before=$(stored)
        # shellcheck disable=SC2086
        start ${words#* }
        until [ "$(stored)" -gt $((before + 1000000)) ]; do kill -0 "$pid"; sleep 0.02; done
        stop "${words%% *}"
    done
    [ "$(count)" -eq 1 ]
    [ "$(leases)" -eq 0 ]
    sed -i 's/daily = "00:00"/weekly = "mon 00:00"/' "$WORK/holdfast.conf"
    before=$(stored)
    start --json run
    until [ "$(stored)" -gt $((before + 1000000)) ]; do kill -0 "$pid"; sleep 0.02; done
    stop INT
    grep '^{' "$WORK/said" | jq -e '.exit_status == 130 and .interrupted and .jobs[0].exit_status == 130 and
        .jobs[0].warning_count == 0'
    holdfast --json status | jq -e '.repositories[0] | .jobs[0].health == "ok" and
        ([.problems[] | select(.severity != "warning" and .severity != "behind")] | length) == 0'
    holdfast status | grep 'stopped by a signal'
    holdfast -q run
    holdfast -q verify --all
    restore_and_compare latest
}

@test "a signal in the midst of what a person reads: cat and export just end" {
    make_repo 1 "" 'pack_size = "64K"; chunk_average = "16K";'
    head -c 20000000 /dev/urandom >"$WORK/source/random"
    holdfast -q backup
    mkfifo "$WORK/pipe"
    local words status
    for words in "INT cat latest $WORK/source/random" "TERM export latest" "TERM export latest --format zip"; do
        # shellcheck disable=SC2086
        env --default-signal=INT "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" ${words#* } >"$WORK/pipe" 2>"$WORK/said" 3>&- &
        pid=$! status=0
        exec 8<"$WORK/pipe"
        head -c 1000 <&8 >/dev/null
        kill "-${words%% *}" "$pid"
        wait "$pid" || status=$?
        exec 8<&-
        [ "$status" -eq $((128 + $(kill -l "${words%% *}"))) ]
        [ ! -s "$WORK/said" ]
    done
}

@test "what a killed run knows of directories whose listings it had not stored yet is not relied on" {
    make_repo 1 "" 'pack_size = "64K"; chunk_average = "16K"; workers = 1;'
    mkdir "$WORK/source/a" "$WORK/source/z"
    echo first >"$WORK/source/a/file"
    holdfast -q backup
    echo second >"$WORK/source/a/file"
    head -c 60000000 /dev/urandom >"$WORK/source/z/large"
    touch -d '1 hour ago' "$WORK/source/a/file"
    sleep 3 # what changed lately is read again in any case
    before=$(find "$WORK/repo1/packs" -type f | wc -l)
    "$HOLDFAST_BIN" -q -c "$WORK/holdfast.conf" backup 3>&- &
    pid=$!
    until [ "$(find "$WORK/repo1/packs" -type f | wc -l)" -gt $((before + 20)) ]; do kill -0 $pid; done
    kill -KILL $pid
    wait $pid || true
    : >"$WORK/source/z/large"
    holdfast -q backup
    restore_and_compare latest
    holdfast -q verify --all
}
