load ../lib/common.bash
teardown() { drop_work; }

# One of two targets takes 50 kB a second, two minutes for everything, until make_quick: the others need not be quick.
make_slow() { # SETTINGS
    make_work passphrase
    make_repo 2 "" "pack_size = \"1M\"; $1"
    head -c 6000000 /dev/urandom >"$WORK/source/data"
    echo "slow 50000" >"$WORK/repo2.weather"
}
start_backup() {
    LD_PRELOAD=$WEATHER ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" --json backup >"$WORK/result" 2>"$WORK/messages" 3>&- &
    backup=$!
}
make_quick() { rm "$WORK/repo2.weather"; }
snapshots() { # TARGET: how many there are
    find "$WORK/$1/snapshots" -type f 2>/dev/null | wc -l
}
# Until the first target has so many, which it gets while the other has none.
wait_for_snapshots() {
    until [ "$(snapshots repo1)" -eq "$1" ]; do
        kill -0 "$backup"
        sleep 0.1
    done
    [ "$(snapshots repo2)" -eq 0 ]
}

@test "a slow target does not slow the commit of the others" {
    make_slow ""
    start_backup
    wait_for_snapshots 1
    # It is whole there and then.
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo1"
    cmp "$WORK/source/data" "$WORK/out$WORK/source/data"
    kill -0 "$backup"
    make_quick
    wait "$backup"
    [ "$(jq .jobs[0].targets_behind "$WORK/result")" -eq 0 ]
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out2" --target "$WORK/repo2"
    holdfast -q verify --all
}

@test "a target that lags is left behind, and brought up to date when the others are done" {
    make_slow 'target_lag = "2s";'
    start_backup
    wait_for_snapshots 1
    until grep -q "held the others up" "$WORK/messages"; do kill -0 "$backup"; sleep 0.1; done
    make_quick
    wait "$backup"
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
    # So long it may take, too, until it is quick and has stored what it has in hand.
    make_slow 'target_lag = "6s";'
    mv "$WORK/repo2" "$WORK/away"
    status=0
    holdfast -q backup || status=$?
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/repo2"
    echo more >"$WORK/source/more"
    first=$(ls "$WORK/repo1/snapshots")
    start_backup
    wait_for_snapshots 2
    make_quick
    wait "$backup" || { cat "$WORK/messages"; false; }
    [ "$(ls "$WORK/repo2/snapshots")" = "$(ls "$WORK/repo1/snapshots")" ]
    ls "$WORK/repo2/snapshots" | grep -q "$first"
    holdfast -q verify --all
}
