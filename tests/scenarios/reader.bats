load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

reader() { /usr/bin/python3 "$BATS_TEST_DIRNAME/../reader/read.py" "$@"; }

make_tree() {
    make_small_tree
    mkdir "$WORK/source/many"
    for i in $(seq 3000); do echo "$i" >"$WORK/source/many/a rather long name, so that the listing is cut in several pieces $i"; done
    head -c 5000000 /dev/urandom >"$WORK/source/large"
    seq 400000 >"$WORK/source/compressible"
    truncate -s 3M "$WORK/source/holes"
    echo end >>"$WORK/source/holes"
    setfattr -n user.note -v value "$WORK/source/a/hello"
    mkfifo "$WORK/source/fifo"
}

@test "a reader written after the manual restores a snapshot" {
    make_repo 1 "" 'chunk_average = "64K"; pack_size = "1M";'
    make_tree
    holdfast -q backup
    reader "$WORK/repo1" --passphrase-file "$WORK/passphrase" --to "$WORK/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "it reads what a second host wrote and what prune repacked, and sees what is forgotten" {
    make_repo 1 "" 'chunk_average = "16K"; pack_size = "64K"; lease_refresh = "1s"; lease_recheck = "2s"; lease_live = "3s";'
    holdfast -q host add second --out "$WORK/second.key" --role write
    sed -e 's|host.key|second.key|; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/second.conf"
    make_tree
    holdfast -q backup
    rm "$WORK/source/large"
    for i in $(seq 1 2 3000); do rm "$WORK/source/many/"*" $i"; done
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup
    holdfast -q backup
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    holdfast -q prune --force
    sleep 4
    holdfast -q prune --force
    [ "$(reader "$WORK/repo1" --passphrase-file "$WORK/passphrase" --list | cut -d' ' -f1 | sort)" = \
        "$(holdfast --json snapshots | jq -r '.snapshots[].id' | sort)" ]
    for id in $(holdfast --json snapshots | jq -r '.snapshots[].id'); do
        rm -rf "$WORK/out"
        reader "$WORK/repo1" --passphrase-file "$WORK/passphrase" --snapshot "$id" --to "$WORK/out"
        python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
    done
}

@test "it refuses a wrong passphrase and a damaged pack" {
    make_repo
    make_small_tree
    holdfast -q backup
    echo "another one entirely" >"$WORK/wrong"
    run reader "$WORK/repo1" --passphrase-file "$WORK/wrong" --to "$WORK/out"
    [ "$status" -eq 1 ]
    for pack in "$WORK"/repo1/packs/*/*; do printf x | dd of="$pack" bs=1 seek=200 conv=notrunc status=none; done
    run reader "$WORK/repo1" --passphrase-file "$WORK/passphrase" --to "$WORK/out"
    [ "$status" -eq 1 ]
}
