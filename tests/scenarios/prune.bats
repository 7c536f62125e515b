bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work; }
# A writer that a test has stopped and not waited for would keep the suite waiting until its time is over.
teardown() {
    [ -z "${writer:-}" ] || kill -KILL "$writer" 2>/dev/null || true
    drop_work
}

# Names have the hash of the bytes.
objects() { store_list 1 | grep -v ' leases/'; }

@test "the newest of each class stay, the rest goes, and its space comes back" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 2; };"
    for i in 1 2 3 4; do
        head -c 2000000 /dev/urandom >"$WORK/source/data"
        holdfast -q backup --class daily
        sleep 1.1
    done
    before=$(store_bytes 1 packs)
    holdfast prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 2 ]
    after=$(store_bytes 1 packs)
    [ "$after" -lt $((before * 60 / 100)) ]
    restore_and_compare latest
    holdfast verify --all
}

@test "a dry run says what and why and writes nothing" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 1; };"
    echo one >"$WORK/source/f"
    holdfast -q backup --class daily
    sleep 1.1
    echo two >"$WORK/source/f"
    holdfast -q backup --class daily
    before=$(objects)
    run holdfast prune --dry-run
    [ "$status" -eq 0 ]
    [[ $output == *remove* ]]
    [[ $output == *"daily 1 of 1"* ]]
    [ "$(objects)" = "$before" ]
}

@test "what is too much at once stays until it is forced, and is told of" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 5; };"
    for i in 1 2 3 4 5; do holdfast -q backup --class daily; done
    sed -i 's/daily = 5/daily = 2/' "$WORK/holdfast.conf"
    run holdfast prune
    [ "$status" -eq 3 ]
    [[ $output == *'warning: 3 of the 5 snapshots of job "files"'*"more than 50 %"*"hint:"*"prune files --force"* ]]
    [[ $output == *"nothing is removed: 3 that have expired held back"* ]]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 5 ]
    run --separate-stderr holdfast --json prune --dry-run
    [ "$status" -eq 0 ]
    [ "$(jq -c '[.expired, .held, [.snapshots[] | .hold]]' <<<"$output")" = '[0,3,["max_removal","max_removal","max_removal",null,null]]' ]
    echo 'prune = { max_removal = 60; };' >>"$WORK/holdfast.conf"
    [ "$(holdfast --json prune --dry-run | jq .expired)" -eq 3 ]
    sed -i '$d' "$WORK/holdfast.conf"
    # More snapshots make it a smaller part, and change nothing: nobody has looked.
    for i in 1 2 3 4; do holdfast -q backup --class weekly; done
    run holdfast prune
    [ "$status" -eq 3 ]
    [[ $output == *'3 of the 9 snapshots of job "files"'*"and were more than 50 % at once: they stay"* ]]
    holdfast -q prune --force
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 6 ]
    restore_and_compare latest
}

@test "what was too much at once goes when somebody has seen it" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 5; };"
    for i in 1 2 3 4 5; do holdfast -q backup --class daily; done
    sed -i 's/daily = 5/daily = 2/' "$WORK/holdfast.conf"
    holdfast -q prune || [ $? -eq 3 ]
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"job files: too many snapshots have expired at once, and stay until somebody looked"* ]]
    run holdfast status --acknowledge
    [ "$status" -eq 0 ]
    [[ $output == "acknowledged: job files: too many snapshots"* ]]
    holdfast -q prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 2 ]
    # That was for once.
    for i in 1 2 3 4; do holdfast -q backup --class daily; done
    run holdfast prune
    [ "$status" -eq 3 ]
}

@test "nothing of a job goes after its failed run, until there is a snapshot of it again" {
    printf '#!/bin/sh\ndate +%%N\n[ ! -e %s/broken ]\n' "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    make_repo 1 "source = { type = \"command\"; command = [ \"$WORK/dump\" ]; }; keep = { daily = 2; }; schedule = { daily = \"02:30\"; };"
    for i in 1 2 3; do holdfast -q backup --class manual; done
    sed -i 's/keep = { daily = 2; }/keep = { daily = 2; manual = 2; }/' "$WORK/holdfast.conf"
    touch "$WORK/broken"
    run holdfast -q run
    [ "$status" -eq 1 ]
    run --separate-stderr holdfast --json prune --force
    [ "$status" -eq 3 ]
    [ "$(jq -c '[.expired, .held, .snapshots[0].hold]' <<<"$output")" = '[0,1,"failed_run"]' ]
    [[ $stderr == *'the last run of job "files"'*"failed"*"hint: "* ]]
    rm "$WORK/broken"
    sleep 1
    holdfast -q run
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 3 ]
    [ "$(holdfast --json snapshots | jq -c '[.snapshots[].classes[]]')" = '["manual","manual","daily"]' ]
}

@test "pinned snapshots stay" {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 1; };"
    echo one >"$WORK/source/f"
    holdfast -q backup --class daily
    holdfast -q pin latest
    for i in 2 3; do
        sleep 1.1
        echo "$i" >"$WORK/source/f"
        holdfast -q backup --class daily
    done
    holdfast -q prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 2 ]
    run holdfast forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    [ "$status" -eq 2 ]
}

@test "what only a forgotten snapshot needed goes, what others need stays" {
    make_repo
    head -c 3000000 /dev/urandom >"$WORK/source/kept"
    head -c 3000000 /dev/urandom >"$WORK/source/gone"
    holdfast -q backup
    rm "$WORK/source/gone"
    holdfast -q backup
    id=$(holdfast --json snapshots | jq -r '.snapshots[0].id')
    holdfast -q forget "$id"
    holdfast -q prune
    [ "$(store_bytes 1 packs)" -lt 3500000 ]
    holdfast verify --all
    restore_and_compare latest
    [ "$(store_list 1 | grep -c ' events/')" -eq 0 ]
}

@test "a writer at work delays the deletion, a later prune does it" {
    make_repo 1 "" 'lease_live = "100s"; lease_refresh = "20s"; lease_recheck = "50s";'
    holdfast -q host add other --out "$WORK/other.key"
    head -c 3000000 /dev/urandom >"$WORK/source/gone"
    holdfast -q backup
    rm "$WORK/source/gone"
    echo x >"$WORK/source/x"
    backup_of_less
    sed -e 's|host.key|other.key|; s|/state"|/state2"|; s|paths = .*;|&|' "$WORK/holdfast.conf" >"$WORK/other.conf"
    printf '#!/bin/sh\nwhile [ -e %s/slow ]; do sleep 0.1; done\necho x\n' "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    sed -i "s|source = { type = \"files\"; paths = \\[ \"$WORK/source\" \\]; };|source = { type = \"command\"; command = [ \"$WORK/dump\" ]; };|" "$WORK/other.conf"
    touch "$WORK/slow"
    sleep 6 # what is younger than a writer, by clocks that differ by a 24th of lease_live, is not condemned
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" backup 3>&- &
    writer=$!
    until store_list 1 | grep -q ' leases/'; do kill -0 "$writer"; sleep 0.1; done
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    run holdfast --json prune
    [ "$status" -eq 0 ]
    [ "$(jq .delayed_packs <<<"$output")" -gt 0 ]
    [ "$(jq .deleted_packs <<<"$output")" -eq 0 ]
    rm "$WORK/slow"
    wait "$writer"
    run holdfast --json prune
    [ "$(jq .deleted_packs <<<"$output")" -gt 0 ]
    holdfast verify --all
    restore_and_compare files:latest
}

@test "a writer that slept beyond its lease finds out what was deleted meanwhile, and stores it again" {
    make_repo 1 "source = { type = \"command\"; command = [ \"$WORK/dump\" ]; filename = \"all\"; };" \
        'chunk_average = "16K"; lease_refresh = "1s"; lease_recheck = "15s"; lease_live = "16s";'
    holdfast -q host add pruner --out "$WORK/pruner.key" --role prune
    # To a prune it is dead sooner: a writer that is merely slow, on a busy machine, is not to take itself for dead.
    sed -e 's|host.key|pruner.key|; s|/state"|/state2"|; s|"15s"|"2s"|; s|"16s"|"3s"|' "$WORK/holdfast.conf" >"$WORK/pruner.conf"
    head -c 3000000 /dev/urandom >"$WORK/common"
    printf '#!/bin/sh\ncat %s/common\nrm -f %s/reading\nwhile [ -e %s/slow ]; do sleep 0.1; done\ndate +%%N\n' "$WORK" "$WORK" "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    holdfast -q backup
    touch "$WORK/slow" "$WORK/reading"
    holdfast backup >"$WORK/log" 2>&1 3>&- &
    writer=$!
    while [ -e "$WORK/reading" ]; do kill -0 "$writer"; sleep 0.1; done
    SECONDS=0
    "$HOLDFAST_BIN" -q -c "$WORK/pruner.conf" forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    # As soon as the lease is too old; on a busy machine a prune may be too slow for its own. --force: one that comes too
    # early, in the second in which the writer began, leaves nothing for those after it to look at.
    until "$HOLDFAST_BIN" -q -c "$WORK/pruner.conf" prune --force && [ "$(store_bytes 1 packs)" -lt 1000000 ]; do
        kill -0 "$writer"
        sleep 0.5
    done
    while [ "$SECONDS" -lt 18 ]; do sleep 0.5; done
    rm "$WORK/slow"
    wait "$writer"
    cat "$WORK/log"
    grep -q "taken anew" "$WORK/log"
    holdfast verify --all
    holdfast cat files:latest all >"$WORK/again"
    cmp -n 3000000 "$WORK/common" "$WORK/again"
}

@test "what is condemned waits for condemn_grace" {
    make_repo 1 "" 'condemn_grace = "5s";'
    head -c 3000000 /dev/urandom >"$WORK/source/gone"
    holdfast -q backup
    rm "$WORK/source/gone"
    echo x >"$WORK/source/x"
    backup_of_less
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    holdfast --json prune >"$WORK/pruned"
    [ "$(jq .delayed_packs "$WORK/pruned")" -gt 0 ]
    [ "$(jq .deleted_packs "$WORK/pruned")" -eq 0 ]
    [ "$(date -d "$(jq -r .delayed_until "$WORK/pruned")" +%s)" -le $(($(date +%s) + 5)) ]
    [ "$(store_bytes 1 packs)" -gt 3000000 ]
    sleep 6
    [ "$(holdfast --json prune | jq .deleted_packs)" -gt 0 ]
    [ "$(store_bytes 1 packs)" -lt 1000000 ]
    holdfast verify --all
    restore_and_compare latest
}

@test "a damaged lease protects its writer, however late it was refreshed, until it is too old" {
    make_repo 1 "source = { type = \"command\"; command = [ \"$WORK/dump\" ]; filename = \"all\"; };" \
        'chunk_average = "16K"; lease_refresh = "1s"; lease_recheck = "40s"; lease_live = "47s";'
    holdfast -q host add pruner --out "$WORK/pruner.key" --role prune
    sed -e 's|host.key|pruner.key|; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/pruner.conf"
    pruner() { "$HOLDFAST_BIN" -c "$WORK/pruner.conf" "$@"; }
    head -c 3000000 /dev/urandom >"$WORK/common"
    cat >"$WORK/dump" <<S
#!/bin/sh
cat $WORK/common
[ -e $WORK/slow ] || exit 0
rm $WORK/slow
while [ ! -e $WORK/end ]; do head -c 300000 /dev/urandom; sleep 0.2; done
S
    chmod +x "$WORK/dump"
    holdfast -q backup
    sleep 2.1
    touch "$WORK/slow"
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup >"$WORK/log" 2>&1 &
    writer=$!
    while [ -e "$WORK/slow" ]; do sleep 0.1; done
    sleep 0.5
    pruner -q forget files:latest
    [ "$(pruner --json prune | jq .delayed_packs)" -gt 0 ]
    # Its lease is refreshed, and then damaged.
    sleep 3
    kill -STOP "$writer"
    lease=$(store_list 1 | awk '$2 ~ /^leases/ { print $2; exit }')
    [ -n "$lease" ]
    printf garbage >"$WORK/garbage"
    store_list 1 | awk '$2 ~ /^leases/ { print $2 }' | while read -r name; do store_put 1 "$name" "$WORK/garbage"; done
    pruner --json prune >"$WORK/pruned" 2>"$WORK/warned"
    [ "$(jq .deleted_packs "$WORK/pruned")" -eq 0 ]
    [ "$(jq .delayed_packs "$WORK/pruned")" -gt 0 ]
    grep "a lease cannot be read" "$WORK/warned"
    kill -CONT "$writer"
    touch "$WORK/end"
    wait "$writer"
    cat "$WORK/log"
    grep -q "snapshot" "$WORK/log"
    ! grep -q "taken anew" "$WORK/log" || false
    holdfast verify --all
    holdfast cat files:latest all | cmp -n 3000000 - "$WORK/common"
    # Whatever is too old by the time of the store protects nobody, and goes.
    store_put 1 "$lease" "$WORK/garbage"
    sed -i 's/lease_recheck = "40s"; lease_live = "47s"/lease_recheck = "2s"; lease_live = "3s"/' "$WORK/holdfast.conf"
    sleep 4
    holdfast -q forget files:latest
    run holdfast --json prune
    [ "$(jq .deleted_packs <<<"$output")" -gt 0 ]
    [ -z "$(store_list 1 | grep "$lease")" ]
}
