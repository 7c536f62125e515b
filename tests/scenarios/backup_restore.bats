load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

@test "a tree is backed up and restored byte for byte" {
    make_repo
    make_small_tree
    holdfast backup
    restore_and_compare latest
}

@test "an unchanged tree costs nothing the second time" {
    make_repo
    make_small_tree
    touch -d '1 hour ago' "$WORK"/source/a/hello "$WORK"/source/a/b/numbers "$WORK"/source/random
    sleep 3
    holdfast --json backup | jq -e '.jobs[0] | .bytes_read == .bytes and .bytes > 0'
    run holdfast --json backup
    [ "$status" -eq 0 ]
    [ "$(jq '.jobs[0].files_read' <<<"$output")" -eq 0 ]
    [ "$(jq '.jobs[0].bytes_read' <<<"$output")" -eq 0 ]
    [ "$(jq '.jobs[0].bytes_stored' <<<"$output")" -eq 0 ]
    restore_and_compare latest
    # Of what changed, all is read, though most of it is known.
    echo more >>"$WORK/source/random"
    [ "$(holdfast --json backup | jq '.jobs[0].bytes_read')" -eq "$(stat -c %s "$WORK/source/random")" ]
}

@test "a change is seen and only that is stored" {
    make_repo
    make_small_tree
    sleep 3
    holdfast -q backup
    echo more >>"$WORK/source/a/hello"
    rm "$WORK/source/a/nothing"
    mkdir "$WORK/source/new"
    run holdfast --json backup
    [ "$(jq '.jobs[0].files_read' <<<"$output")" -eq 1 ]
    restore_and_compare latest
    run holdfast diff files:latest latest
    [ "$status" -eq 0 ]
}

@test "the same contents are stored once" {
    make_repo
    head -c 5000000 /dev/urandom >"$WORK/source/one"
    cp "$WORK/source/one" "$WORK/source/two"
    run holdfast --json backup
    [ "$(jq '.jobs[0].bytes_new' <<<"$output")" -eq 5000000 ]
    restore_and_compare latest
}

@test "local state that is lost is rebuilt by the next command" {
    make_repo
    make_small_tree
    holdfast -q backup
    rm -rf "$WORK/state"
    run holdfast --json backup
    [ "$status" -eq 0 ]
    [ "$(jq '.jobs[0].bytes_new' <<<"$output")" -eq 0 ]
    rm -rf "$WORK/state"
    restore_and_compare latest
    holdfast verify --all
}

@test "a damaged catalog is set aside and rebuilt" {
    make_repo
    make_small_tree
    holdfast -q backup
    dd if=/dev/urandom of="$WORK/state/catalog.db" bs=4096 count=20 conv=notrunc 2>/dev/null
    holdfast -q backup
    restore_and_compare latest
}

@test "compression and meta_cache are as they are set" {
    local level
    # Texts of the same kind, and names that make a listing of some size.
    words() {
        python3 -c 'import random, sys
r = random.Random(int(sys.argv[1]))
known = ["".join(r.choices("abcdefghijklmnop", k=r.randrange(2, 9))) for _ in range(500)]
print(*r.choices(known, weights=range(1, 501), k=300000))' "$1"
    }
    write_config 1 "" 'compression = 1; meta_cache = "8K"; chunk_average = "64K"; pack_size = "64K";'
    holdfast -q init
    for level in 1 19; do
        write_config 1 "" "compression = $level; meta_cache = \"8K\"; chunk_average = \"64K\"; pack_size = \"64K\";"
        words $level >"$WORK/source/text$level"
        for i in $(seq 400); do echo "$i" >"$WORK/source/$(md5sum <<<"$i" | tr -d ' -')$i"; done
        stored[$level]=$(holdfast --json backup | jq '.jobs[0].bytes_stored')
        [ "$(cat "$WORK"/state/meta/* | wc -c)" -le 8192 ]
        restore_and_compare latest
    done
    [ "${stored[19]}" -lt "$((stored[1] * 95 / 100))" ]
    holdfast verify --all
}

@test "the targets and the state folder are left out of what lies around them" {
    write_config 2 "source = { type = \"files\"; paths = [ \"$WORK\" ]; };"
    holdfast -q init
    make_small_tree
    holdfast -q backup
    holdfast -q backup
    [ -z "$(holdfast --json ls latest "$WORK/repo1" | jq -r '.entries[].name')" ]
    [ -z "$(holdfast --json ls latest "$WORK/repo2" | jq -r '.entries[].name')" ]
    [ -z "$(holdfast --json ls latest "$WORK/state" | jq -r '.entries[].name')" ]
    [ -n "$(holdfast --json ls latest "$WORK/source" | jq -r '.entries[].name')" ]
}
