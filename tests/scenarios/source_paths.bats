# What the paths of a job name: each spelling, sources within sources, and what is no source at all.
load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

paths() { # PATH... [-- SETTINGS]: the settings of the job
    local list=() more
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        list+=("\"$1\"")
        shift
    done
    more=${2:-}
    echo "source = { type = \"files\"; paths = [ $(IFS=,; echo "${list[*]}") ]; $more };"
}

count_roots() {
    holdfast --json ls latest | jq '.entries | length'
}

@test "a source may be spelled in any way, and be asked for in any way" {
    make_small_tree
    make_repo 1 "$(paths "$WORK/source/" "/$WORK//./source/." "$WORK/source/a//b/")"
    holdfast -q backup
    [ "$(count_roots)" -eq 1 ]
    restore_and_compare latest
    holdfast cat latest "$WORK/./source//a/hello/" | cmp - "$WORK/source/a/hello"
    holdfast ls latest "$WORK/source/a/." | grep -q /a/hello
    holdfast find "$WORK//source/a/" | grep -q source/a
    holdfast export latest "$WORK/source/a/" | tar -t | grep -q source/a/hello
    run holdfast ls latest "$WORK/source/../source"
    [ "$status" -eq 2 ]
    [[ $output == *'with ".." is not followed'* ]]
}

@test "excludes may be spelled in any way" {
    make_small_tree
    make_repo 1 "$(paths "$WORK/source" -- "exclude = [ \"$WORK//source/./a/b/\", \"/$WORK/source/empty/.\" ];")"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    [ -e "$WORK/out$WORK/source/a/hello" ]
    [ ! -e "$WORK/out$WORK/source/a/b" ]
    [ ! -e "$WORK/out$WORK/source/empty" ]
}

@test "a path that lies in another source is walked once, and comes back whole, also alone" {
    make_small_tree
    ln "$WORK/source/a/b/numbers" "$WORK/source/a/b/twin"
    ln "$WORK/source/a/b/numbers" "$WORK/source/zwin"
    make_repo 1 "$(paths "$WORK/source/a/b" "$WORK/source" "$WORK/source/hard")"
    run holdfast backup
    [ "$status" -eq 0 ]
    [[ $output == *": 7 files, "* ]]
    [ "$(count_roots)" -eq 1 ]
    restore_and_compare latest
    for path in a/b a/b/twin hard zwin; do
        holdfast -q restore latest "$WORK/source/$path" --to "$WORK/part"
        diff -r "$WORK/source/$path" "$WORK/part$WORK/source/$path"
        rm -r "$WORK/part"
    done
    for path in a/b/numbers a/b/twin zwin; do
        holdfast cat latest "$WORK/source/$path" | cmp - "$WORK/source/a/b/numbers"
    done
    mkdir "$WORK/tar"
    holdfast export latest | tar -C "$WORK/tar" -x
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/tar$WORK/source"
    holdfast export latest "$WORK/source/a" "$WORK/source/a/b" --format zip >"$WORK/x.zip"
    [ "$(unzip -l "$WORK/x.zip" | grep -c twin)" -eq 1 ]
    unzip -p "$WORK/x.zip" "${WORK#/}/source/a/b/twin" | cmp - "$WORK/source/a/b/numbers"
    holdfast -q verify --all --content
}

@test "a path within another that leaves it out is a source of its own" {
    make_small_tree
    ln "$WORK/source/random" "$WORK/source/a/random"
    make_repo 1 "$(paths "$WORK/source" "$WORK/source/a" -- "exclude = [ \"$WORK/source/a\" ];")"
    holdfast -q backup
    [ "$(count_roots)" -eq 2 ]
    restore_and_compare latest
    # Whoever asks for the outer one means the inner one, too.
    holdfast -q restore latest "$WORK/source/" "$WORK/source/a/hello" --to "$WORK/part"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/part$WORK/source"
    run holdfast restore latest "$WORK/source" "$WORK/source/nothing" --to "$WORK/part"
    [ "$status" -ne 0 ]
    [[ $output == *"source/nothing is not in the snapshot"* ]]
}

@test "a source and a link to it, and the same folder at two places, come back as they were" {
    make_small_tree
    ln -s source "$WORK/by"
    mkdir "$WORK/source/mounted"
    mount --bind "$WORK/source/a" "$WORK/source/mounted"
    make_repo 1 "$(paths "$WORK/by" "$WORK/by/a" "$WORK/source")"
    holdfast -q backup
    holdfast cat latest "$WORK/by/a/hello" | cmp - "$WORK/source/a/hello"
    holdfast -q restore latest "$WORK/source" --to "$WORK/out"
    umount "$WORK/source/mounted"
    diff -r "$WORK/source/a" "$WORK/out$WORK/source/mounted"
    diff -r "$WORK/source/a" "$WORK/out$WORK/source/a"
}

@test "a source that is no folder and no file is refused, before anything is read" {
    make_small_tree
    mkfifo "$WORK/fifo"
    ln -s fifo "$WORK/to-fifo"
    mknod "$WORK/device" b 7 250
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$WORK/socket"
    make_repo
    for kind in "fifo:a FIFO" "to-fifo:a FIFO" "device:a block device" "socket:a socket"; do
        write_config 1 "$(paths "$WORK/source" "$WORK/${kind%:*}")"
        run holdfast backup
        [ "$status" -eq 1 ]
        [[ $output == *"source $WORK/${kind%:*} is neither a folder nor a file, but ${kind#*:}"*hint:* ]]
        run holdfast check-config
        [ "$status" -eq 3 ]
        [[ $output == *"job \"files\": source $WORK/${kind%:*} is neither a folder nor a file, but ${kind#*:}"* ]]
    done
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
    # Below a folder they are entries like others.
    mkfifo "$WORK/source/fifo"
    write_config
    holdfast -q backup
    restore_and_compare latest
}

@test "a source that is missing among others is warned of each time, and the others are kept" {
    make_small_tree
    make_repo 1 "$(paths "$WORK/source" "$WORK/nowhere" "$WORK/source/random/below")"
    for _ in 1 2; do
        run holdfast backup
        [ "$status" -eq 3 ]
        [[ $output == *"warning: source $WORK/nowhere: "*"No such file"* ]]
        [[ $output == *"warning: source $WORK/source/random/below: "*"Not a directory"* ]]
    done
    restore_and_compare latest
}

@test "a target that is named by way of a link is left out of the source that it lies in" {
    make_small_tree
    mkdir -p "$WORK/source/store"
    ln -s source/store "$WORK/by"
    write_targets_config "{ name = \"disk\"; type = \"local\"; path = \"$WORK/by\"; }"
    holdfast -q init
    holdfast -q backup
    [ -e "$WORK/source/store/config" ]
    holdfast -q restore latest --to "$WORK/out"
    [ -e "$WORK/out$WORK/source/a/hello" ]
    [ -z "$(ls -A "$WORK/out$WORK/source/store")" ]
}
