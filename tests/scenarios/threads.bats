load ../lib/common.bash
setup() { make_work; make_repo 2 "" 'workers = 4; chunk_average = "16K"; pack_size = "64K"; checkpoint_interval = "1s";'; }
teardown() { drop_work; }

# Also run with ThreadSanitizer: many small packs, several workers, two targets, warnings from several threads.
@test "backup, restore, prune and verify with several threads" {
    make_small_tree
    for i in $(seq 300); do
        head -c $((i * 300)) /dev/urandom >"$WORK/source/a/file$i"
        ln -s "file$i" "$WORK/source/a/link$i"
    done
    holdfast -q backup
    rm "$WORK"/source/a/file1*
    mkfifo "$WORK/source/a/fifo"
    holdfast -q backup
    restore_and_compare latest
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    holdfast -q prune --force
    holdfast -q verify --all --content
    rm -rf "$WORK/repo2"/packs/0*
    holdfast -q heal
    holdfast -q verify --all
    holdfast export latest | tar -tf - >/dev/null
    restore_and_compare latest
}
