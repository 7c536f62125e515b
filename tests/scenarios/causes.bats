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
