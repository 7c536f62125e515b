# What heal can repair it repairs, what it cannot it names.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work; make_repo 1; make_small_tree; }
teardown() { drop_work; }

damage() { # OPERATOR SIZE: each pack of that size, -gt or -lt
    local size name
    store_list 1 | while read -r size name; do
        [[ $name != packs/* ]] || ! [ "$size" "$1" "$2" ] || store_damage 1 "$name"
    done
}

@test "what cannot be healed is named: each file of each snapshot that it touches, and no other" {
    mkdir "$WORK/source/deep"
    head -c 3000000 /dev/urandom >"$WORK/source/deep/lost"
    holdfast -q backup
    echo more >"$WORK/source/more"
    holdfast -q backup
    damage -gt 2900000
    run --separate-stderr holdfast --json heal
    [ "$status" -eq 5 ]
    [ "$(jq -r '[.lost[].snapshot] | unique | length' <<<"$output")" -eq 2 ]
    [ "$(jq -r "[.lost[] | select(.path == \"$WORK/source/deep/lost\")] | length" <<<"$output")" -eq 2 ]
    [ "$(jq -r "[.lost[] | select(.path == \"$WORK/source/more\")] | length" <<<"$output")" -eq 0 ]
    [ "$(jq .lost_count <<<"$output")" -eq "$(jq '.lost | length' <<<"$output")" ]
    run holdfast heal
    [ "$status" -eq 5 ]
    [[ $output == *"source/deep/lost cannot be restored"* ]]
    # The next backup stores anew what the files still hold.
    rm "$WORK/source/deep/lost"
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    holdfast -q backup
    holdfast -q prune --force
    holdfast -q verify --all
}

@test "listings come back from the local copies when every target's are bad" {
    holdfast -q backup
    holdfast -q ls latest >"$WORK/before"
    damage -lt 200000
    run holdfast verify --all
    [ "$status" -eq 5 ]
    run holdfast heal
    [[ $output == *"repaired"* ]]
    rm -rf "$WORK/state"
    holdfast -q ls latest >"$WORK/after"
    cmp "$WORK/before" "$WORK/after"
}
