# What listings say: sizes, marks, and names that nothing has.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

# sizes COMMAND...: the size of each path that the command lists, in JSON.
sizes() {
    holdfast --json "$@" | jq -Sc '[.entries[] | {(.path | split("/") | last): .size}] | add'
}

@test "each name of a file is shown with its size, wherever the first name is" {
    make_repo
    mkdir "$WORK/source/a" "$WORK/source/b"
    seq 1000 >"$WORK/source/a/first" # 3893 bytes
    ln "$WORK/source/a/first" "$WORK/source/b/second"
    ln "$WORK/source/a/first" "$WORK/source/third"
    ln -s nowhere "$WORK/source/symlink"
    ln "$WORK/source/symlink" "$WORK/source/symlink2"
    holdfast -q backup
    [ "$(sizes ls latest "$WORK/source/b")" = '{"second":3893}' ]
    [ "$(sizes ls latest "$WORK/source/third")" = '{"third":3893}' ]
    [ "$(sizes find '*[std]')" = '{"first":3893,"second":3893,"third":3893}' ]
    holdfast ls latest "$WORK/source" | grep -E ' 3893 .*/third$'
    holdfast find second | grep -E ' 3893 .*/second$'
    holdfast --json find second | jq -e --arg first "$WORK/source/third" '.entries[0].hard_link == $first'
    # A symbolic link of two names is none of a file.
    holdfast find symlink2 | grep -- '-> nowhere$'
}

@test "a change of a file is one of each of its names, and a name that became a further one is none" {
    make_repo
    mkdir "$WORK/source/a" "$WORK/source/b"
    seq 1000 >"$WORK/source/a/first"
    ln "$WORK/source/a/first" "$WORK/source/b/second"
    echo lone >"$WORK/source/b/z"
    holdfast -q backup
    old=$(holdfast --json snapshots | jq -r '.snapshots[-1].id')
    seq 1001 >"$WORK/source/a/first"
    ln "$WORK/source/b/z" "$WORK/source/a/new"
    holdfast -q backup
    holdfast --json diff "$old" latest |
        jq -c '.changes[] | select(.type == "file") | [.change, (.path | split("/") | last), .size_before, .size]' \
            >"$WORK/changes"
    diff "$WORK/changes" - <<CHANGES
["content","first",3893,3898]
["added","new",null,5]
["content","second",3893,3898]
["metadata","z",5,5]
CHANGES
}

@test "the bytes of a file count once, however many names it has and whether it was read or not" {
    make_repo
    seq 1000 >"$WORK/source/first"
    ln "$WORK/source/first" "$WORK/source/second"
    touch -d '1 hour ago' "$WORK/source/first"
    sleep 3 # until the times can be trusted
    [ "$(holdfast --json backup | jq -c '.jobs[0] | [.files, .bytes]')" = '[2,3893]' ]
    run holdfast --json backup
    echo "$output"
    [ "$(jq -c '.jobs[0] | [.files, .bytes, .files_read]' <<<"$output")" = '[2,3893,0]' ]
    touch "$WORK/source/third"
    [ "$(holdfast --json backup | jq -c '.jobs[0] | [.files, .bytes]')" = '[3,3893]' ]
    [ "$(holdfast --json restore latest --to "$WORK/out" | jq -c '[.files, .bytes]')" = '[3,3893]' ]
}

@test "a snapshot that lacks something is marked in the list, and no other" {
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/gone\" ]; };"
    holdfast -q init
    echo text >"$WORK/source/file"
    holdfast -q backup 2>"$WORK/err" || [ $? -eq 3 ]
    mkdir "$WORK/gone"
    holdfast -q backup
    holdfast snapshots | tee "$WORK/out"
    [ "$(grep -c ' 1 warning$' "$WORK/out")" -eq 1 ]
    ! grep ' $' "$WORK/out" || false
    [ "$(holdfast --json snapshots | jq -c '[.snapshots[] | .incomplete]')" = '[true,false]' ]
}

@test "a name that nothing has is an error, and the nearest is told" {
    make_repo
    run -0 holdfast snapshots
    [[ $output == *"holds no snapshots"* ]]
    run -0 holdfast snapshots files
    [[ $output == *"job files has no snapshots"* ]]
    run -1 holdfast ls files:latest # a job that is known, and has none
    echo one >"$WORK/source/one"
    holdfast -q backup
    local words
    for words in "snapshots fils" "backup fils" "run fils" "run -n fils" "prune fils" "prune -n fils" "ls fils:latest" \
        "ls fils@2026-01-01" "cat fils:latest /x" "restore fils:latest --to $WORK/to" "export fils:latest" \
        "diff files:latest fils:latest" "pin fils:latest" "unpin fils:daily" "forget fils:latest" "ls fils"; do
        run -2 holdfast $words
        [[ $output == *'"fils"'*'did you mean "files"?'* ]] || { echo "$words: $output"; false; }
    done
    run -2 holdfast ls files:dayly
    [[ $output == *'did you mean "daily"?'* ]]
    run -2 holdfast ls latst
    [[ $output == *'did you mean "latest"?'* ]]
    run -2 holdfast ls nohost/files:latest
    [[ $output == *'no host is named "nohost"'* ]]
    run -2 holdfast restore latest --to "$WORK/to" --from disc1
    [[ $output == *'did you mean "disk1"?'* ]]
    run -1 holdfast ls files:weekly # a class that it could have
    run -1 holdfast ls 00000000 # an id
    # A job that is no longer configured is known by its snapshots.
    sed -i 's/name = "files"/name = "new"/' "$WORK/holdfast.conf"
    run -0 holdfast snapshots files
    run -0 holdfast snapshots new
    run -0 holdfast ls files:latest
}
