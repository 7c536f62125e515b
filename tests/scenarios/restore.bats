load ../lib/common.bash
setup() { make_work; make_repo; make_small_tree; holdfast -q backup; }
teardown() { drop_work; }

compare() { python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$@"; }

@test "one path is restored alone" {
    holdfast -q restore latest "$WORK/source/a" --to "$WORK/out"
    compare "$WORK/source/a" "$WORK/out$WORK/source/a"
    [ ! -e "$WORK/out$WORK/source/random" ]
}

@test "a path above the sources restores all of them" {
    holdfast -q restore latest "$(dirname "$WORK")" --to "$WORK/out"
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "a hard link whose other name is not restored gets its contents" {
    holdfast -q restore latest "$WORK/source/hard" --to "$WORK/out"
    cmp "$WORK/source/hard" "$WORK/out$WORK/source/hard"
}

@test "what is there stays unless it is to be overwritten" {
    mkdir -p "$WORK/out$WORK/source/a"
    echo mine >"$WORK/out$WORK/source/a/hello"
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cat "$WORK/out$WORK/source/a/hello")" = mine ]
    cmp "$WORK/source/random" "$WORK/out$WORK/source/random"
    holdfast -q restore latest --to "$WORK/out" --overwrite always
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "a restore that was killed is finished by the same command" {
    # What that leaves, and leaves it for any N, see tests/crash: content that is not whole under the final name.
    holdfast -q restore latest --to "$WORK/out"
    for file in random a/b/numbers; do
        truncate -s 1000 "$WORK/out$WORK/source/$file"
        chmod 1600 "$WORK/out$WORK/source/$file"
    done
    run holdfast --json restore latest --to "$WORK/out"
    [ "$status" -eq 0 ]
    [ "$(jq .skipped <<<"$output")" -eq 3 ]
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "a hard link is not made to a file that was there before" {
    ln "$WORK/source/hard" "$WORK/source/harder"
    holdfast -q backup
    mkdir -p "$WORK/out$WORK/source/a"
    echo mine >"$WORK/out$WORK/source/a/hello"
    echo mine >"$WORK/out$WORK/source/hard"
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cat "$WORK/out$WORK/source/a/hello")" = mine ]
    [ "$(cat "$WORK/out$WORK/source/hard")" = mine ]
    [ "$(cat "$WORK/out$WORK/source/harder")" = hello ]
    rm -r "$WORK/out$WORK/source"
    holdfast -q restore latest --to "$WORK/out"
    rm "$WORK/out$WORK/source/harder" # what a restore made before is what it leads to
    holdfast -q restore latest --to "$WORK/out"
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "overwrite changed fetches only the blobs that differ" {
    holdfast -q restore latest --to "$WORK/out"
    printf X | dd of="$WORK/out$WORK/source/random" bs=1 seek=10 conv=notrunc 2>/dev/null
    run holdfast --json restore latest --to "$WORK/out" --overwrite changed
    [ "$status" -eq 0 ]
    fetched=$(jq .bytes_fetched <<<"$output")
    [ "$fetched" -gt 0 ]
    [ "$fetched" -lt 3000000 ]
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "a dry run writes nothing" {
    run holdfast restore latest --to "$WORK/out" --dry-run
    [ "$status" -eq 0 ]
    [[ $output == *"would restore"* ]]
    [ ! -e "$WORK/out" ]
}

@test "a source that cannot be made, below a symbolic link that is a source itself, does not stop the rest" {
    ln -s source/a "$WORK/by"
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/by\", \"$WORK/by/hello\", \"$WORK/source\" ]; };"
    holdfast -q backup
    run holdfast restore latest --to "$WORK/out"
    [ "$status" -eq 1 ]
    [[ $output == *"$WORK/by/hello: something is in the way"* ]]
    [ "$(readlink "$WORK/out$WORK/by")" = source/a ]
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "a path that is not in the snapshot is a failure" {
    run holdfast restore latest /nowhere --to "$WORK/out"
    [ "$status" -eq 1 ]
    [[ $output == *hint:* ]]
}

@test "symbolic links in the destination are not followed out of it" {
    mkdir -p "$WORK/elsewhere" "$WORK/out$WORK"
    ln -s "$WORK/elsewhere" "$WORK/out$WORK/source"
    run holdfast restore latest --to "$WORK/out"
    [ "$status" -ne 0 ]
    [ -z "$(ls -A "$WORK/elsewhere")" ]
    holdfast -q restore latest --to "$WORK/out" --overwrite always
    [ -z "$(ls -A "$WORK/elsewhere")" ]
    compare "$WORK/source" "$WORK/out$WORK/source"
}

@test "cat and export give the same bytes" {
    holdfast cat latest "$WORK/source/random" | cmp - "$WORK/source/random"
    holdfast cat latest "$WORK/source/hard" | cmp - "$WORK/source/a/hello"
    mkdir "$WORK/untar"
    holdfast export latest | tar -x -p -C "$WORK/untar"
    diff -r --no-dereference "$WORK/source" "$WORK/untar$WORK/source"
    holdfast export latest --format zip >"$WORK/x.zip"
    python3 -c "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None and len(z.namelist()) > 5" "$WORK/x.zip"
}

@test "a repository none of whose snapshots can be read says so, not that it holds none" {
    local name
    for name in $(store_list 1 | awk '$2 ~ /^snapshots/ { print $2 }'); do
        store_damage 1 "$name"
    done
    rm -rf "$WORK/state"
    for command in "restore latest --to $WORK/out" "ls latest"; do
        # shellcheck disable=SC2086
        run holdfast $command
        [ "$status" -eq 5 ]
        [[ $output == *"none of the repository's snapshots can be read, of 1 that are there"* ]]
        [[ $output != *"holds no snapshots"* ]]
    done
}
