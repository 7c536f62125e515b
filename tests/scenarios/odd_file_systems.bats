# Sources on file systems that tell little of their files, or nothing that could be relied on.
load ../lib/common.bash

setup() {
    make_work
    M=$WORK/source/mounted
    mkdir "$M"
}

teardown() { drop_work; }

# mount_odd KIND, see odd_fs.py.
mount_odd() {
    /usr/bin/python3 -IB "$BATS_TEST_DIRNAME/../lib/odd_fs.py" "$1" "$M" 3>&- &
    for _ in $(seq 200); do
        ! mountpoint -q "$M" || return 0
        sleep 0.02
    done
    false
}

# kept_whole FOLDER FILE...: what the snapshot holds is what cat prints.
kept_whole() {
    local folder=$1 file
    shift
    for file; do
        cmp <(holdfast cat latest "$folder/$file") "$folder/$file"
    done
}

@test "files are read to their end where their size means nothing" {
    mount_odd sizes
    make_repo
    run holdfast -q backup
    echo "$output"
    [ "$status" -eq 3 ]
    [ "$(grep -c '^warning: ' <<<"$output")" -eq 1 ]
    [[ $output == *"warning: $M/too-large: ended before the size that its file system tells"* ]]
    kept_whole "$M" document film stream too-small too-small-film page page-full true empty too-large
    [ "$(holdfast --json ls latest "$M/document" | jq '.entries[0].size')" -eq "$(wc -c <"$M/document")" ]
    rm -rf "$WORK/out"
    holdfast -q restore latest --to "$WORK/out"
    cmp "$M/film" "$WORK/out$M/film"
    # Nothing tells whether they changed: they are read again.
    holdfast -q backup || [ $? -eq 3 ]
    kept_whole "$M" document film stream too-small true
}

@test "a file that never ends does not keep a backup from its end" {
    mount_odd endless
    make_repo
    run timeout 60 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q backup
    [ "$status" -eq 3 ]
    [[ $output == *"warning: $M/endless: only its beginning was read: it goes on for more than 4 GiB"* ]]
}

@test "what the kernel shows of itself is read as cat does, where it is a source" {
    local files=(/proc/version /proc/cpuinfo /proc/kallsyms /sys/devices/system/cpu/online)
    make_repo 1 "source = { type = \"files\"; paths = [ $(printf '"%s", ' "${files[@]}") \"/proc/sys/kernel/random\" ]; };"
    holdfast -q backup
    kept_whole "" "${files[@]#/}" proc/sys/kernel/random/boot_id proc/sys/kernel/random/poolsize
}

@test "inode numbers that change at each look keep no file out of a backup" {
    mount_odd numbers
    make_repo
    for _ in 1 2; do
        run holdfast -q backup
        [ "$output" = "" ]
        [ "$status" -eq 0 ]
        kept_whole "$M" file{1..8}
        [ "$(holdfast --json snapshots | jq '.snapshots[-1].files')" -eq 16 ] # as many below
    done
    holdfast ls latest "$M/below" >/dev/null
}

@test "files that have had the same inode number keep their own contents" {
    mount_odd reused
    make_repo
    for _ in 1 2; do
        holdfast -q backup
        kept_whole "$M" file{1..8}
    done
}

@test "a snapshot in which no file could be read is no snapshot" {
    mount_odd broken
    echo whole >"$WORK/whole"
    make_repo 1 "source = { type = \"files\"; paths = [ \"$M\" ]; };"
    run holdfast -q backup
    [ "$status" -eq 1 ]
    [[ $output == *"nothing could be read: the snapshot would be empty"* ]]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
    # Beside another source it is a warning of its own.
    write_config 1 "source = { type = \"files\"; paths = [ \"$M\", \"$WORK/whole\" ]; };"
    run holdfast -q backup
    [ "$status" -eq 3 ]
    [[ $output == *"warning: source $M: nothing in it could be read"* ]]
    kept_whole "" "${WORK#/}/whole"
}
