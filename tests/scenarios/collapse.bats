# Snapshots that hold far less than those before them: something may not be mounted.
load ../lib/common.bash

setup() {
    make_work
    S=$WORK/source
    mkdir "$S/data" "$WORK/small"
    seq 2000 | split -l 100 - "$S/data/f"
    echo text >"$WORK/small/file"
}
teardown() { drop_work; }

both="source = { type = \"files\"; paths = [ \"%s\", \"%s\" ]; }; keep = { manual = 2; };"

# shellcheck disable=SC2059
make_both() { make_repo 1 "$(printf "$both" "$S" "$WORK/small")"; }

marks() { holdfast --json snapshots 2>/dev/null | jq -c '[.snapshots[] | .collapsed]'; }

# backup_warns TEXT: it is done, and says so.
backup_warns() {
    run holdfast backup
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == *"$1"* ]]
}

@test "a source that is empty is warned of each time, and takes no good snapshot's place" {
    make_both
    for _ in 1 2 3; do holdfast -q backup; done
    good=$(holdfast --json snapshots | jq -r '.snapshots[-1].id')
    # However small it is beside the rest.
    mv "$WORK/small/file" "$WORK/away"
    for _ in 1 2 3 4; do
        backup_warns "warning: source $WORK/small: it is empty, and was not in snapshot ${good:0:10}: is it not mounted?"
        holdfast -q prune
    done
    [ "$(marks)" = '[false,false,true,true]' ]
    [[ $(holdfast snapshots) == *"collapsed, 2 warnings"* ]]
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"job files has collapsed: 1 of its sources held something before and is empty or gone"*"-> see whether something is not mounted"* ]]
    run holdfast restore latest --to "$WORK/out"
    [[ $output == *"has collapsed: it holds far less than those before it; the newest good one is ${good:0:10}"* ]]
    # It is there again: the good ones go on, and those of nothing expire as others do.
    mv "$WORK/away" "$WORK/small/file"
    holdfast -q backup
    [ "$(marks)" = '[false,false,true,true,false]' ]
    holdfast status >/dev/null
    holdfast -q backup
    holdfast -q prune --force
    [ "$(marks)" = '[false,false]' ]
}

@test "less than half of the entries, or of the bytes, is a collapse, wherever it is missing" {
    make_both
    holdfast -q backup
    mkdir "$WORK/away"
    mv "$S"/data/fa[a-l] "$WORK/away"
    backup_warns "warning: job files: this snapshot has collapsed: 12 entries with "
    mv "$WORK"/away/* "$S/data"
    holdfast -q backup
    for f in "$S"/data/*; do : >"$f"; done
    backup_warns "this snapshot has collapsed: 24 entries with "
    [ "$(marks)" = '[false,true,false,true]' ]
    # Gone is as bad as empty.
    rm -r "$WORK/small"
    for f in "$S"/data/*; do seq 100000 >"$f"; done
    backup_warns "this snapshot has collapsed: 1 of its sources held something before"
}

@test "what is acknowledged is what the next ones are compared with" {
    make_both
    holdfast -q backup
    rm "$S"/data/fa[a-l]
    backup_warns "collapsed"
    run holdfast status --acknowledge
    [ "$status" -eq 0 ]
    [[ $output == "acknowledged: job files has collapsed"* ]]
    [ "$(marks)" = '[false,false]' ]
    holdfast -q backup
    holdfast status >/dev/null
    # It stays as long as a larger one does, so that the next ones are compared with it then, too.
    holdfast -q pin "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    for _ in 1 2 3; do holdfast -q backup && holdfast -q prune; done
    [ "$(marks)" = '[false,false,false,false]' ]
    rm "$S"/data/*
    backup_warns "where there were up to 12"
}

@test "the output of a command that is less than half has collapsed, too" {
    make_repo 1 'source = { type = "command"; command = [ "cat", "'"$WORK"'/dump" ]; filename = "dump"; };'
    seq 10000 >"$WORK/dump"
    holdfast -q backup
    seq 6000 >"$WORK/dump"
    holdfast -q backup
    seq 1000 >"$WORK/dump"
    backup_warns "collapsed"
    backup_warns "collapsed"
}

@test "a host that prunes is told of the collapse of a host that only writes" {
    make_both
    holdfast -q host add second --out "$WORK/second.key"
    sed "s|$WORK/host.key|$WORK/second.key|; s|$WORK/state|$WORK/state2|" "$WORK/holdfast.conf" >"$WORK/second.conf"
    second() { command "$HOLDFAST_BIN" -c "$WORK/second.conf" "$@"; }
    holdfast -q backup
    second -q backup
    rm "$S"/data/fa[a-l]
    second -q backup || [ $? -eq 3 ]
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"job files of host second has collapsed"* ]]
    # What the other host says of itself does not count here.
    second -q status --acknowledge
    second status >/dev/null
    run holdfast status
    [ "$status" -eq 3 ]
    holdfast -q status --acknowledge
    holdfast status >/dev/null
}
