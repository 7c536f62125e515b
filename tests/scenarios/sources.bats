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

@test "what a command says is shown though it ends well; one that prints nothing is warned of" {
    make_repo 1 'source = { type = "command"; command = [ "sh", "-c", "echo lacks a table >&2" ]; };'
    run holdfast backup
    [ "$status" -eq 3 ]
    [[ $output == *"job files: sh: lacks a table"* ]]
    [[ $output == *"warning: job files: the command printed nothing"* ]]
    sed -i 's/echo lacks a table/echo one >\&2; echo two >\&2; exit 4; echo/' "$WORK/holdfast.conf"
    run holdfast -q backup
    [ "$status" -eq 1 ]
    [[ $output == *"ended with status 4: two (before that: one)"* ]]
}

@test "a source that is a symbolic link is warned of, unless what it leads to is kept, too" {
    make_small_tree
    ln -s source "$WORK/by"
    ln -s nowhere "$WORK/dangling"
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/by\", \"$WORK/dangling\" ]; };"
    run holdfast backup
    [ "$status" -eq 3 ]
    [[ $output == *"warning: source $WORK/by: a symbolic link, and it alone is kept"* ]]
    [[ $output == *"warning: source $WORK/dangling: a symbolic link"* ]]
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/by\", \"$WORK/source\" ]; };"
    holdfast backup
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
    [ "$status" -eq 1 ]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
}

@test "an archive that was cut is no snapshot, wherever it was cut, and not for damage of the repository" {
    echo one >"$WORK/one"
    tar -C "$WORK" -cf "$WORK/whole.tar" one passphrase
    make_repo 1 "source = { type = \"tar\"; archive = \"$WORK/x.tar\"; };"
    for bytes in 512 1024 1536 2048; do # in a member and behind one
        head -c $bytes "$WORK/whole.tar" >"$WORK/x.tar"
        run holdfast backup
        [ "$status" -eq 1 ]
        [[ $output == *"make the archive anew"* ]]
    done
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
    cp "$WORK/whole.tar" "$WORK/x.tar"
    holdfast -q backup
}

@test "an archive that names a path twice: the later member counts, hard links keep what they led to" {
    local old="$WORK/old" new="$WORK/new"
    mkdir -p "$old" "$new/way"
    head -c 3000000 /dev/urandom >"$old/emptied"
    echo old >"$old/first"
    ln "$old/first" "$old/second"
    ln "$old/first" "$old/third"
    ln -s nowhere "$old/way"
    tar -C "$old" -cf "$WORK/x.tar" emptied first second third way
    : >"$new/emptied"
    echo new >"$new/first"
    echo lost >"$new/way/lost"
    tar -C "$new" -rf "$WORK/x.tar" emptied first way/lost
    make_repo 1 "source = { type = \"tar\"; archive = \"$WORK/x.tar\"; };"
    run holdfast backup
    [ "$status" -eq 3 ]
    [[ $output == *"way/lost: left out"* ]]
    [[ $output == *": 4 files, "* ]]
    holdfast -q restore latest --to "$WORK/out"
    [ ! -s "$WORK/out/emptied" ]
    [ "$(cat "$WORK/out/first")" = new ]
    [ "$(cat "$WORK/out/second")" = old ]
    [ "$WORK/out/second" -ef "$WORK/out/third" ]
    [ -L "$WORK/out/way" ]
}

@test "hard links in cpio have their contents, whichever of the names these stand with" {
    local format only
    mkdir "$WORK/in"
    head -c 3000000 /dev/urandom >"$WORK/in/1"
    ln "$WORK/in/1" "$WORK/in/2"
    ln "$WORK/in/1" "$WORK/in/3"
    : >"$WORK/in/empty"
    ln "$WORK/in/empty" "$WORK/in/empty2"
    echo small >"$WORK/in/small"
    ln "$WORK/in/small" "$WORK/in/small2"
    for format in newc odc pax; do
        bsdtar -C "$WORK/in" --format "$format" -cf "$WORK/$format" small 1 2 3 empty empty2 small2
    done
    make_repo
    for format in newc odc pax; do
        write_config 1 "source = { type = \"tar\"; archive = \"$WORK/$format\"; };"
        holdfast -q backup
        holdfast -q restore latest --to "$WORK/$format.out"
        diff -r "$WORK/in" "$WORK/$format.out"
        [ "$(stat -c %h "$WORK/$format.out/1" "$WORK/$format.out/empty" | tr '\n' ' ')" = "3 2 " ]
    done
    # Also where a name is left out: the last, with the contents, or the first.
    for only in 1 3; do
        write_config 1 "source = { type = \"tar\"; archive = \"$WORK/newc\"; exclude = [ \"*\", \"!$only\" ]; };"
        backup_of_less
        holdfast cat latest "$only" | cmp - "$WORK/in/1"
    done
    write_config 1 "source = { type = \"tar\"; archive = \"$WORK/newc\"; exclude = [ \"1\" ]; };"
    run holdfast backup
    [ "$status" -eq 3 ]
    [[ $output == *"2: left out"* ]]
    holdfast cat latest 3 | cmp - "$WORK/in/1"
}

@test "archives of tar that follow one another are one tree, a later member of the same path counts" {
    echo one >"$WORK/a"
    echo two >"$WORK/b"
    tar -C "$WORK" -cf "$WORK/1.tar" a b
    echo three >"$WORK/b"
    echo four >"$WORK/c"
    tar -C "$WORK" -czf "$WORK/2.tgz" b c
    make_repo 1 "source = { type = \"tar\"; command = [ \"sh\", \"-c\", \"cat $WORK/1.tar; zcat $WORK/2.tgz\" ]; };"
    holdfast -q backup
    [ "$(holdfast cat latest a)" = one ]
    [ "$(holdfast cat latest b)" = three ]
    [ "$(holdfast cat latest c)" = four ]
}

@test "what stands behind an archive and is none of tar makes the backup fail, and is told" {
    echo one >"$WORK/a"
    tar -C "$WORK" -cf "$WORK/1.tar" a
    make_repo 1 "source = { type = \"tar\"; command = [ \"sh\", \"-c\", \"cat $WORK/1.tar; yes garbage | head -n 100000\" ]; };"
    run holdfast backup
    [ "$status" -eq 1 ]
    [[ $output == *"behind the end of the archive, after byte 1024, there is more, which would be lost"* ]]
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
}
