load ../lib/common.bash
teardown() { drop_work; }

# One of two targets takes 1 MB a second.
make_slow() { # SETTINGS
    make_work passphrase
    make_repo 2 "" "pack_size = \"1M\"; $1"
    head -c 6000000 /dev/urandom >"$WORK/source/data"
    echo "slow 1000000" >"$WORK/repo2.weather"
}
start_backup() {
    LD_PRELOAD=$WEATHER ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" --json backup >"$WORK/result" 2>"$WORK/messages" 3>&- &
    backup=$!
}
wait_for_snapshot() { # TARGET SECONDS
    local i
    for i in $(seq $(($2 * 10))); do
        [ -z "$(ls "$WORK/$1/snapshots" 2>/dev/null)" ] || return 0
        sleep 0.1
    done
    return 1
}

@test "a slow target does not slow the commit of the others" {
    make_slow ""
    start_backup
    wait_for_snapshot repo1 4
    [ ! -d "$WORK/repo2/snapshots" ] || [ -z "$(ls "$WORK/repo2/snapshots")" ]
    # It is whole there and then.
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo1"
    cmp "$WORK/source/data" "$WORK/out$WORK/source/data"
    kill -0 "$backup"
    wait "$backup"
    [ "$(jq .jobs[0].targets_behind "$WORK/result")" -eq 0 ]
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out2" --target "$WORK/repo2"
    holdfast -q verify --all
}

@test "a target that lags is left behind, and brought up to date when the others are done" {
    make_slow 'target_lag = "2s";'
    start_backup
    wait_for_snapshot repo1 4
    wait "$backup"
    grep -q "held the others up" "$WORK/messages"
    [ "$(jq .exit_status "$WORK/result")" -eq 0 ]
    [ "$(jq .jobs[0].targets_behind "$WORK/result")" -eq 0 ]
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo2"
    cmp "$WORK/source/data" "$WORK/out$WORK/source/data"
    holdfast -q verify --all
}

@test "a target that cannot be brought up to date makes the run end 6, and too few targets 1" {
    make_slow ""
    echo fail >"$WORK/repo2.weather"
    start_backup
    status=0
    wait "$backup" || status=$?
    [ "$status" -eq 6 ]
    [ "$(jq .jobs[0].targets_behind "$WORK/result")" -eq 1 ]
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo1"
    sed -i 's/pack_size = "1M";/pack_size = "1M"; min_targets = 2;/' "$WORK/holdfast.conf"
    echo more >"$WORK/source/more"
    start_backup
    status=0
    wait "$backup" || status=$?
    [ "$status" -eq 1 ]
    rm "$WORK/repo2.weather"
    holdfast -q backup
    holdfast -q verify --all
}

@test "a target that has much to catch up and is slow holds up no backup" {
    make_slow 'target_lag = "1s";'
    mv "$WORK/repo2" "$WORK/away"
    status=0
    holdfast -q backup || status=$?
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/repo2"
    echo more >"$WORK/source/more"
    first=$(ls "$WORK/repo1/snapshots")
    start_backup
    for i in $(seq 45); do
        [ "$(ls "$WORK/repo1/snapshots" | wc -l)" -eq 1 ] || break
        sleep 0.1
    done
    [ "$(ls "$WORK/repo1/snapshots" | wc -l)" -eq 2 ]
    [ -z "$(ls "$WORK/repo2/snapshots" 2>/dev/null)" ]
    wait "$backup"
    [ "$(ls "$WORK/repo2/snapshots")" = "$(ls "$WORK/repo1/snapshots")" ]
    ls "$WORK/repo2/snapshots" | grep -q "$first"
    holdfast -q verify --all
}
