load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

@test "a command's output becomes one file" {
    make_repo 1 'source = { type = "command"; command = [ "seq", "300000" ]; filename = "numbers"; };'
    holdfast -q backup
    holdfast cat latest numbers | cmp - <(seq 300000)
}

@test "a command that fails fails the snapshot: nothing is committed" {
    make_repo 1 'source = { type = "command"; command = [ "sh", "-c", "seq 100000; echo broken >&2; exit 3" ]; };'
    run holdfast backup
    [ "$status" -eq 1 ]
    [[ $output == *broken* ]]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
}

@test "a tar stream becomes a tree" {
    make_small_tree
    mkfifo "$WORK/source/fifo"
    setfattr -n user.colour -v blue "$WORK/source/a/hello"
    setfacl -m u:1234:r "$WORK/source/a/nothing"
    chown 1234:4321 "$WORK/source/a/b/numbers"
    make_repo 1 "source = { type = \"tar\"; command = [ \"tar\", \"--format=pax\", \"--xattrs\", \"--acls\", \"-C\", \"$WORK\", \"-c\", \"source\" ]; };"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out/source"
}

@test "a tar stream that breaks off is no snapshot" {
    make_small_tree
    tar -C "$WORK" -cf "$WORK/x.tar" source
    make_repo 1 "source = { type = \"tar\"; command = [ \"head\", \"-c\", \"100000\", \"$WORK/x.tar\" ]; };"
    run holdfast backup
    [ "$status" -ne 0 ]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
}
