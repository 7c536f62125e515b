load ../lib/common.bash
setup() { make_work; make_repo 2; make_small_tree; }
teardown() { drop_work; }

@test "each target alone restores" {
    holdfast -q backup
    for i in 1 2; do
        "$HOLDFAST_BIN" -q restore latest --to "$WORK/out$i" --target "$(store_url "$i")"
        python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$i$WORK/source"
    done
}

@test "a target that is away makes the run end 6 and catches up later" {
    holdfast -q backup
    store_away 2
    head -c 2000000 /dev/urandom >"$WORK/source/new"
    run holdfast backup
    [ "$status" -eq 6 ]
    # Whatever is written meanwhile is not written there, and whoever looks is told.
    for command in "pin latest" "unpin latest" verify prune "host add other --out $WORK/other.key"; do
        store_is_s3 && break # where each waits for an answer first
        run holdfast $command
        [ "$status" -eq 6 ] && [[ $output == *disk2*"left out"*hint:* ]] || { echo "$command: $status: $output"; false; }
    done
    store_back 2
    run holdfast backup
    [ "$status" -eq 0 ]
    [ "$(store_list 1 | grep -c ' keys/')" -eq "$(store_list 2 | grep -c ' keys/')" ]
    store_wipe 1
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$(store_url 2)"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "a target that missed a prune gets nothing back and is pruned later" {
    head -c 3000000 /dev/urandom >"$WORK/source/gone"
    holdfast -q backup
    rm "$WORK/source/gone"
    holdfast -q backup
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    store_away 2
    run holdfast prune
    [ "$status" -eq 6 ]
    size=$(store_bytes 1 packs)
    store_back 2
    holdfast -q backup
    holdfast -q prune
    [ "$(store_bytes 1 packs)" -le $((size + 200000)) ]
    [ "$(store_bytes 2 packs)" -le $((size + 200000)) ]
    holdfast verify --all
}

@test "damage on one target is healed from the other, without any key for contents" {
    holdfast -q backup
    store_damage 1 "$(store_list 1 | awk '$2 ~ /^packs/ && $1 > 1000000 { print $2; exit }')"
    store_remove 2 "$(store_list 2 | awk '$2 ~ /^index/ { print $2; exit }')"
    run holdfast verify --all
    [ "$status" -eq 5 ]
    restore_and_compare latest
    env -u HOLDFAST_PASSPHRASE_FILE "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" heal
    holdfast verify --all
}

@test "a target that lost all it held is filled again when it is said to be new" {
    holdfast -q backup
    store_wipe 2
    run holdfast backup
    [ "$status" -eq 6 ]
    holdfast -q heal --new-target disk2
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$(store_url 2)"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "what prune condemned under a writer's feet is copied to a new target, and its index with it" {
    write_config 2 "source = { type = \"command\"; command = [ \"$WORK/dump\" ]; filename = \"all\"; };" \
        'lease_refresh = "1s"; lease_recheck = "40s"; lease_live = "47s";'
    holdfast -q host add pruner --out "$WORK/pruner.key" --role prune
    sed -e 's|host.key|pruner.key|; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/pruner.conf"
    pruner() { "$HOLDFAST_BIN" -c "$WORK/pruner.conf" "$@"; }
    head -c 3000000 /dev/urandom >"$WORK/common"
    printf '#!/bin/sh\ncat %s/common\nrm -f %s/reading\nwhile [ -e %s/slow ]; do sleep 0.1; done\n' "$WORK" "$WORK" "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    holdfast -q backup
    sleep 2.1
    touch "$WORK/slow" "$WORK/reading"
    # A descriptor that stays open would keep bats waiting.
    holdfast -q backup 3>&- &
    local writer=$!
    while [ -e "$WORK/reading" ]; do kill -0 "$writer"; sleep 0.1; done
    sleep 1
    pruner -q forget "$(pruner --json snapshots | jq -r '.snapshots[0].id')"
    [ "$(pruner --json prune | jq .delayed_packs)" -gt 0 ]
    rm "$WORK/slow"
    wait "$writer" || [ $? -eq 3 ] # it has much less than before
    # Not before all that it needs is there.
    local pack
    pack=$(store_list 1 | awk '$2 ~ /^packs/ && $1 > 2000000 { print $2; exit }')
    store_get 1 "$pack" >"$WORK/pack"
    store_damage 1 "$pack"
    store_wipe 2
    run holdfast heal --new-target disk2
    [ "$status" -eq 5 ]
    [[ $output == *"is not copied to target disk2"* ]]
    [ "$(store_list 2 | grep -c ' snapshots/')" -eq 0 ]
    store_put 1 "$pack" "$WORK/pack"
    holdfast heal
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$(store_url 2)"
    cmp "$WORK/common" "$WORK/out/all"
    # Then it goes its way.
    pruner -q prune
    holdfast verify --all
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/again" --target "$(store_url 2)"
    cmp "$WORK/common" "$WORK/again/all"
}

@test "what a prune condemned on the one target it reached, a snapshot of the other needs, and gets there with it" {
    local before size name
    holdfast -q backup
    before=$(store_list 1)
    size=$(store_bytes 1 packs)
    head -c 2000000 /dev/urandom >"$WORK/source/new"
    holdfast -q backup
    # Target 1 went away when it had the packs, and nothing yet that lists them.
    for name in $(store_list 1 | awk '$2 ~ /^(index|snapshots)\// { print $2 }'); do
        [[ $before == *"$name"* ]] || store_remove 1 "$name"
    done
    [ "$(store_bytes 1 packs)" -gt $((size + 2000000)) ]
    store_away 2
    run holdfast prune
    [ "$status" -eq 6 ]
    [ "$(store_bytes 1 packs)" -eq "$size" ]
    store_back 2
    # The event that condemns what the second snapshot needs comes to target 2, and the snapshot to target 1; nothing
    # stores the file anew.
    mv "$WORK/source/new" "$WORK/new"
    holdfast -q backup
    for name in 1 2; do
        [ "$(store_list "$name" | grep -c ' snapshots/')" -eq 3 ]
        "$HOLDFAST_BIN" -q verify --target "$(store_url "$name")"
    done
    holdfast -q prune
    holdfast -q verify --all
    name=$(holdfast --json snapshots | jq -r '.snapshots[1].id')
    "$HOLDFAST_BIN" -q restore "$name" --to "$WORK/out" --target "$(store_url 1)"
    cmp "$WORK/new" "$WORK/out$WORK/source/new"
}

@test "a condemned pack that somebody brings to a target stays, also for a prune that sees no other target" {
    local lease='lease_refresh = "1s"; lease_recheck = "40s"; lease_live = "47s";' pack i
    write_config 1 '' "$lease"
    sed -e 's|/state"|/state2"|; s|^\(targets.*\) );|\1, { name = "disk2"; type = "local"; path = "/nowhere"; } );|' \
        "$WORK/holdfast.conf" >"$WORK/one.conf"
    write_config 2 "source = { type = \"command\"; command = [ \"$WORK/dump\" ]; filename = \"all\"; };" "$lease"
    printf '#!/bin/sh\ncat %s/dumped\nwhile [ -e %s/slow ]; do sleep 0.1; done\n' "$WORK" "$WORK" >"$WORK/dump"
    chmod +x "$WORK/dump"
    head -c 2000000 /dev/urandom >"$WORK/dumped"
    holdfast -q backup
    pack=$(store_list 1 | awk '$2 ~ /^packs/ && $1 > 1000000 { print $2 }')
    store_get 1 "$pack" >"$WORK/pack"
    for i in $(store_list 1 | awk '$2 ~ /^(index|snapshots)\// { print $2 }'); do
        store_remove 1 "$i"
    done
    sleep 2.1
    run "$HOLDFAST_BIN" -c "$WORK/one.conf" -q prune
    [ "$status" -eq 6 ]
    [[ $(store_list 1) != *"$pack"* ]]
    sleep 2.1
    # A run that brings it back to target 1, seen before it wrote what lists and needs it.
    echo >"$WORK/dumped"
    touch "$WORK/slow"
    # A descriptor that stays open would keep bats waiting.
    holdfast -q backup 3>&- &
    local writer=$!
    for i in $(seq 600); do
        [[ $(store_list 1) != *" snapshots/"* ]] || break
        sleep 0.1
    done
    [[ $(store_list 1) == *"$pack"* ]]
    for i in $(store_list 1 | awk '$2 ~ /^(index|snapshots)\// { print $2 }'); do
        store_remove 1 "$i"
    done
    run "$HOLDFAST_BIN" -c "$WORK/one.conf" -q prune
    [ "$status" -eq 6 ]
    [[ $(store_list 1) == *"$pack"* ]]
    rm "$WORK/slow"
    wait "$writer" || [ $? -eq 3 ] # it has much less than before
    backup_of_less
    "$HOLDFAST_BIN" -q verify --all --target "$(store_url 1)"
}

@test "packs that came to a target without what lists them are not relied on there" {
    local name
    holdfast -q backup
    for name in $(store_list 1 | awk '$2 ~ /^(index|snapshots)\// { print $2 }'); do
        store_remove 1 "$name"
    done
    # Known to the state folder, and yet no target can give it.
    for name in $(store_list 2 | awk '$2 ~ /^index\// { print $2 }'); do
        store_damage 2 "$name"
    done
    run holdfast backup
    [ "$status" -eq 0 ]
    [[ $output == *"cannot be copied"* ]]
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$(store_url 1)"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}
