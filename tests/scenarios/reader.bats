load ../lib/common.bash
setup() { make_work passphrase; }
teardown() { drop_work; }

reader() {
    /usr/bin/python3 "$BATS_TEST_DIRNAME/../reader/holdfast_reader.py" "$WORK/repo1" --passphrase-file "$WORK/passphrase" "$@"
}

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

# The most slots that a pack of the index has: several are there only after repacking.
most_slots() {
    /usr/bin/python3 - "$BATS_TEST_DIRNAME/../reader" "$WORK/repo1" "$WORK/passphrase" <<'P'
import sys
sys.path.insert(0, sys.argv[1])
from holdfast_reader import Repository
with open(sys.argv[3], "rb") as f:
    repository = Repository(sys.argv[2], f.read().removesuffix(b"\n"))
repository.read_index()
print(max(pack.entry.contents.slot_count for pack in repository.packs))
P
}

restore_all() {
    local id
    [ "$(reader list | cut -d' ' -f1 | sort)" = "$(holdfast --json snapshots | jq -r '.snapshots[].id' | sort)" ]
    for id in $(holdfast --json snapshots | jq -r '.snapshots[].id'); do
        rm -rf "$WORK/out"
        reader restore "$id" "$WORK/out"
        python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
    done
}

@test "a reader written from the manual alone restores a snapshot" {
    make_repo 1 "" 'chunk_average = "64K"; pack_size = "1M";'
    make_tree
    holdfast -q backup
    reader restore latest "$WORK/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "it reads what a second host wrote and what prune repacked, and sees what is forgotten" {
    make_repo 1 "" 'chunk_average = "16K"; pack_size = "4M";'
    holdfast -q host add second --out "$WORK/second.key" --role write
    sed -e 's|host.key|second.key|; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/second.conf"
    make_tree
    holdfast -q backup
    # Three packs, each half of what goes and half of what stays, in whatever order files were read.
    for i in 1 2 3; do
        for part in goes stays; do head -c 800000 /dev/urandom >"$WORK/source/$part$i"; done
        holdfast -q backup
    done
    rm "$WORK/source/large" "$WORK/source/goes"*
    seq -f "$WORK/source/many/a rather long name, so that the listing is cut in several pieces %g" 1 2 3000 | xargs -d '\n' rm
    holdfast -q backup
    for id in $(holdfast --json snapshots | jq -r '.snapshots[:4][].id'); do holdfast -q forget "$id"; done
    holdfast -q prune --force
    [ "$(most_slots)" -gt 1 ]
    restore_all
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup
    holdfast -q prune --force # of what both hosts wrote one copy stays
    restore_all
}

@test "it reads the output of a command, and sources that lie in one another" {
    make_repo 1 'source = { type = "command"; command = [ "seq", "100000" ]; filename = "numbers"; };'
    holdfast -q backup
    reader restore latest "$WORK/out"
    seq 100000 | cmp - "$WORK/out/numbers"
    make_small_tree
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/./source//\", \"$WORK/source/a\", \"$WORK/passphrase\" ]; };"
    holdfast -q backup
    reader restore latest "$WORK/out2"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out2$WORK/source"
    cmp "$WORK/passphrase" "$WORK/out2$WORK/passphrase"
}

@test "it refuses a wrong passphrase and a damaged pack" {
    make_repo
    make_small_tree
    holdfast -q backup
    echo "another one entirely" >"$WORK/wrong"
    run reader --passphrase-file "$WORK/wrong" restore latest "$WORK/out"
    [ "$status" -eq 1 ]
    for pack in "$WORK"/repo1/packs/*/*; do printf x | dd of="$pack" bs=1 seek=200 conv=notrunc status=none; done
    run reader restore latest "$WORK/out"
    [ "$status" -eq 1 ]
}

@test "it refuses listings that lead out of the destination" {
    /usr/bin/python3 - "$BATS_TEST_DIRNAME/../reader" "$WORK" <<'P'
import os, sys
sys.path.insert(0, sys.argv[1])
import holdfast_reader as h

class Planted(h.Repository):
    """Nothing but one listing."""
    def __init__(self, nodes):
        self.problems = 0
        self.bytes = h.MESSAGES["Tree"](nodes=nodes).SerializeToString()
    def blob(self, kind, extent):
        return self.bytes if kind == h.META else b"planted"

def node(name, **more):
    return h.MESSAGES["Node"](name=name, **more)

out, victim = os.path.join(sys.argv[2], "out"), os.path.join(sys.argv[2], "victim")
os.mkdir(victim)
manifest = h.MESSAGES["Manifest"](root=[h.MESSAGES["Extent"](blob=b"listing", length=1)])
file = {"type": h.FILE, "size": 7, "content": [h.MESSAGES["Extent"](blob=b"file", length=7)], "mode": 0o600}
link = node(b"/a", type=h.SYMLINK, link_target=victim.encode())
for number, nodes in enumerate((
        [node(b"/../victim/f", **file)], [node(b"/x/../../victim/f", **file)], [node(b"..", type=h.DIRECTORY)],
        [link, node(b"/a/f", **file)], [link, node(b"/a/g/h", **file)],
        [node(b"/f", **file), node(b"/g", type=h.FILE, hard_link=b"/../passphrase")],
        [link, node(b"/g", type=h.FILE, hard_link=b"/a/f")], [node(b"/b", **file), node(b"/a", **file)])):
    planted = Planted(nodes)
    try:
        h.Restore(planted, f"{out}{number}").run(manifest)
    except h.Bad:
        continue
    if not planted.problems:
        sys.exit(f"listing {number} was restored")
assert os.listdir(victim) == []
h.Restore(Planted([node(b"/good/f", **file)]), out).run(manifest)
P
    [ "$(cat "$WORK/out/good/f")" = planted ]
}
