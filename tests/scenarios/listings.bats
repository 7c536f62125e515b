# What listings say: sizes, marks, and names that nothing has.
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
