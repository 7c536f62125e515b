# Packs, parts of the index and snapshots that are missing or damaged: each command tells the cause once, however many files
# it touches, then how many those are, and says where it looked.
bats_require_minimum_version 1.5.0
load ../lib/common.bash

setup() {
    make_work
    make_repo 2 "" 'pack_size = "1M";'
    mkdir "$WORK/source/many"
    python3 - "$WORK/source/many" <<'P'
import os, sys
for i in range(600):
    open(f"{sys.argv[1]}/{i}", "wb").write(os.urandom(6000))
P
    holdfast -q backup
    echo another >"$WORK/source/another"
    holdfast -q backup
}
teardown() { drop_work; }

fail() { echo "$*" >&2; return 1; }

# packs N: names of the packs of file contents on target N.
packs() { find "$WORK/repo$1/packs" -type f -size +500k -printf 'packs/%P\n' | sort; }

# ends STATUS COMMAND...: and at most 15 warnings.
ends() {
    run --separate-stderr holdfast "${@:2}"
    [ "$status" -eq "$1" ] || fail "status $status: $output $stderr"
    [ "$(grep -c '^warning' <<<"$stderr")" -le 15 ] || fail "$stderr"
}

# warned TEXT: exactly one warning has it.
warned() { [ "$(grep -cF "$1" <<<"$stderr")" -eq 1 ] || fail "\"$1\" not once in: $stderr"; }

# summary FILTER EXPECTED: of the JSON of verify or heal
summary() { [ "$(jq -c "$1" <<<"$output")" = "$2" ] || fail "$(jq -c "$1" <<<"$output"), not $2"; }

@test "packs that are missing everywhere: verify names them, and counts files and snapshots" {
    local pack count lost
    count=$(packs 1 | wc -l)
    [ "$count" -ge 2 ]
    for pack in $(packs 1); do rm "$WORK/repo1/$pack" "$WORK/repo2/$pack"; done
    ends 5 verify
    for pack in $(packs 1); do
        warned "target disk1: $pack: it is missing, and snapshots need it"
        warned "target disk2: $pack: it is missing, and snapshots need it"
    done
    lost=$(sed -n 's/^warning: \([0-9]*\) files of 2 snapshots cannot be restored$/\1/p' <<<"$stderr")
    [ "$lost" -gt 1000 ]
    [[ $output == *" $count problems; $lost files"* ]] || fail "$output"
    # As many as there are, with -v.
    run --separate-stderr holdfast -v verify
    [ "$(grep -c "many/.* cannot be restored" <<<"$stderr")" -eq "$lost" ]
    ends 5 --json verify --all
    summary '[.problem_count, .lost_count, .lost_snapshots, .incomplete_count, (.lost | length)]' "[$count,$lost,2,0,1000]"
    run holdfast status
    [[ $output == *"verify found $count damaged object"* ]] || fail "$output"
    ends 5 --json heal
    summary '[.problem_count, .repaired, .lost_count]' "[$count,0,$lost]"
}

@test "packs that one of two targets lacks, and one that is damaged there" {
    local list
    mapfile -t list < <(packs 2)
    rm "$WORK/repo2/${list[0]}"
    printf XXXX | dd of="$WORK/repo2/${list[1]}" bs=1 seek=300000 conv=notrunc 2>/dev/null
    ends 5 verify
    warned "target disk2: ${list[0]}: it is missing"
    warned "can be restored from one target and not from another"
    [[ $stderr != *"cannot be restored"* && $output == *" 1 problems;"* ]] || fail "$output $stderr"
    ends 5 --json verify --all
    summary '[.problem_count, .lost_count, .lost_snapshots, .incomplete_snapshots]' '[2,0,0,2]'
    [ "$(jq .incomplete_count <<<"$output")" -ge 300 ]
    # Damaged here and missing there is one damaged object.
    rm "$WORK/repo1/${list[1]}"
    ends 5 --json verify --all
    summary .problem_count 2
    ends 5 --json heal
    summary '[.problem_count, .repaired, .lost_snapshots]' '[1,0,2]'
}

@test "a pack of listings, a part of the index and a snapshot that are missing" {
    local meta index
    meta=$(cd "$WORK/repo1" && find packs -type f -size -400k -printf '%T@ %p\n' | sort -n | cut -d' ' -f2 | head -1)
    index=$(cd "$WORK/repo2" && find index -type f | head -1)
    # Of one target: the other says what is missing.
    rm "$WORK/repo2/$index"
    ends 5 verify
    warned "target disk2: $index: this part of the index is missing"
    [[ $output == *" 1 problems;"* ]] || fail "$output $stderr"
    holdfast -q heal
    # Everywhere, and a state folder that does not know it.
    rm "$WORK/repo1/$meta" "$WORK/repo2/$meta"
    rm -r "$WORK/state"
    ends 5 verify
    warned "target disk1: $meta: it is missing"
    [[ $output == *" 1 problems;"* ]] || fail "$output $stderr"
    for i in 1 2; do rm -r "$WORK/repo$i/index"; mkdir "$WORK/repo$i/index"; done
    rm -r "$WORK/state"
    ends 5 verify
    warned "target disk1: index: a part of it is missing: nothing lists"
    [[ $output == *" 1 problems;"* ]] || fail "$output $stderr"
    # A snapshot that one target lacks is no damage there: it is behind.
    rm "$WORK"/repo2/snapshots/*
    ends 5 --json verify
    summary '.targets_behind' 1
}

@test "restore, cat and export name what is missing and where they looked, and restore what is there" {
    local pack count all
    count=$(packs 1 | wc -l)
    for pack in $(packs 1); do rm "$WORK/repo1/$pack"; done
    # The other target has it.
    holdfast -q restore latest --to "$WORK/whole"
    cmp "$WORK/source/many/7" "$WORK/whole$WORK/source/many/7"
    # Who looks at one target only speaks of that one.
    ends 5 restore latest --to "$WORK/one" --from disk1
    for pack in $(packs 2); do warned "$pack is missing on target disk1 (disk2 was not asked)"; done
    [[ $stderr == *"warning: and "*" more that cannot be restored: -v lists them"* && $stderr != *"no target"* ]] || fail "$stderr"
    [ "$(cat "$WORK/one$WORK/source/another")" = another ]
    ends 5 --json restore latest --to "$WORK/json" --from disk1
    summary '[(.causes | length), .warning_count]' "[$count,$count]"
    all=$(jq .damaged <<<"$output")
    [ "$all" -gt 500 ]
    run --separate-stderr holdfast -v restore latest --to "$WORK/listed" --from disk1
    [ "$(grep -c "many/.* cannot be restored" <<<"$stderr")" -eq "$all" ]
    # Nowhere: missing on one, damaged on the other, and missing on both.
    for pack in $(packs 2); do printf XXXX | dd of="$WORK/repo2/$pack" bs=1 seek=300000 conv=notrunc 2>/dev/null; done
    ends 5 restore latest --to "$WORK/damaged"
    [ "$(grep -c "is damaged or missing on targets disk1, disk2" <<<"$stderr")" -eq "$count" ] || fail "$stderr"
    for pack in $(packs 2); do rm "$WORK/repo2/$pack"; done
    ends 5 restore latest --to "$WORK/none"
    [ "$(grep -c "is missing on targets disk1, disk2" <<<"$stderr")" -eq "$count" ] || fail "$stderr"
    ends 5 cat latest "$WORK/source/many/300"
    [[ $stderr == *"packs/"*" is missing on targets disk1, disk2"* ]] || fail "$stderr"
    ends 5 export latest
    [[ $stderr == *"packs/"*" is missing on targets disk1, disk2"* ]] || fail "$stderr"
    # prune removes nothing then, and says why; a backup stores anew what the files still hold.
    ends 5 prune --force
    [[ $stderr == *"nothing is removed"*"packs/"*"is missing on"* ]] || fail "$stderr"
    touch "$WORK/source/many/"*
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/anew"
}
