load ../lib/common.bash
setup() { make_work; make_repo 2; make_small_tree; }
teardown() { drop_work; }

@test "each target alone restores" {
    holdfast -q backup
    for i in 1 2; do
        "$HOLDFAST_BIN" -q restore latest --to "$WORK/out$i" --target "$WORK/repo$i"
        python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$i$WORK/source"
    done
}

@test "a target that is away makes the run end 6 and catches up later" {
    holdfast -q backup
    mv "$WORK/repo2" "$WORK/away"
    head -c 2000000 /dev/urandom >"$WORK/source/new"
    run holdfast backup
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/repo2"
    run holdfast backup
    [ "$status" -eq 0 ]
    rm -rf "$WORK/repo1"
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo2"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "a target that missed a prune gets nothing back and is pruned later" {
    head -c 3000000 /dev/urandom >"$WORK/source/gone"
    holdfast -q backup
    rm "$WORK/source/gone"
    holdfast -q backup
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    mv "$WORK/repo2" "$WORK/away"
    run holdfast prune
    [ "$status" -eq 6 ]
    size=$(du -sb "$WORK/repo1/packs" | cut -f1)
    mv "$WORK/away" "$WORK/repo2"
    holdfast -q backup
    holdfast -q prune
    [ "$(du -sb "$WORK/repo1/packs" | cut -f1)" -le $((size + 200000)) ]
    [ "$(du -sb "$WORK/repo2/packs" | cut -f1)" -le $((size + 200000)) ]
    holdfast verify --all
}

@test "damage on one target is healed from the other, without any key for contents" {
    holdfast -q backup
    pack=$(find "$WORK/repo1/packs" -type f -size +1000k | head -1)
    printf XXXX | dd of="$pack" bs=1 seek=100000 conv=notrunc 2>/dev/null
    rm "$(find "$WORK/repo2/index" -type f | head -1)"
    run holdfast verify --all
    [ "$status" -eq 5 ]
    restore_and_compare latest
    env -u HOLDFAST_PASSPHRASE_FILE "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" heal
    holdfast verify --all
}

@test "a new target is filled" {
    holdfast -q backup
    rm -rf "$WORK/repo2"
    run holdfast backup
    [ "$status" -eq 6 ]
    holdfast -q heal
    "$HOLDFAST_BIN" -q restore latest --to "$WORK/out" --target "$WORK/repo2"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}
