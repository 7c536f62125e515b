# heal fills a target that is new; never, unasked, the place of one that held the repository and does not now: an unmounted
# disk's mount point, a mistyped path.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work; make_repo 2; echo content >"$WORK/source/file"; }
teardown() { drop_work; }

fail() { echo "$*" >&2; return 1; }

# disk2_at PATH: the second target is configured there.
disk2_at() {
    write_targets_config "{ name = \"disk1\"; type = \"local\"; path = \"$WORK/repo1\"; },
        { name = \"${2:-disk2}\"; type = \"local\"; path = \"$1\"; }"
}

# refused PATH [WORDS]: heal leaves the second target alone, says which and what to do, and nothing is written below PATH.
refused() {
    run holdfast heal
    [ "$status" -eq 6 ] && [[ $output == *"target ${3:-disk2}"*"${2:-held this repository before}"*"left out"*hint:*"mounted"*"--new-target ${3:-disk2}"* ]] ||
        fail "$status $output"
    [ -z "$(find "$1" -type f 2>/dev/null)" ] || fail "$(find "$1" -type f)"
}

@test "a disk that is not mounted is not filled in its place, whatever is left there, and backups go on without it" {
    holdfast -q backup
    mv "$WORK/repo2" "$WORK/away"
    refused "$WORK/repo2"
    [ ! -e "$WORK/repo2" ] # nor is a folder made
    mkdir -p "$WORK/repo2/lost+found"
    refused "$WORK/repo2"
    run holdfast backup
    [ "$status" -eq 6 ] && [[ $output == *disk2*"left out"*"mounted"* ]]
    [ -z "$(find "$WORK/repo2" -type f)" ]
    run holdfast status
    [ "$status" -eq 6 ] && [[ $output == *"BEHIND"*"target disk2 cannot be used: no repository at"*mounted* ]] || fail "$output"
    # What belongs to somebody else stays his.
    echo mine >"$WORK/repo2/notes"
    run holdfast heal
    [ "$status" -eq 6 ]
    [ "$(find "$WORK/repo2" -type f)" = "$WORK/repo2/notes" ]
    # It is back: nothing more is needed.
    rm -r "$WORK/repo2"
    mv "$WORK/away" "$WORK/repo2"
    holdfast -q heal
    holdfast -q verify --all
}

@test "a real mount point is not filled while its disk is away" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    truncate -s 64M "$WORK/image"
    mkfs.ext4 -q "$WORK/image"
    mkdir "$WORK/mounted"
    mount -o loop "$WORK/image" "$WORK/mounted"
    disk2_at "$WORK/mounted"
    holdfast -q backup || [ $? -eq 6 ]
    holdfast -q heal --new-target disk2
    umount "$WORK/mounted"
    refused "$WORK/mounted"
    mount -o loop,ro "$WORK/image" "$WORK/mounted"
    echo more >"$WORK/source/more"
    run holdfast backup
    [ "$status" -eq 6 ] && [[ $output == *disk2*"Read-only"* ]]
    umount "$WORK/mounted"
    mount -o loop "$WORK/image" "$WORK/mounted"
    holdfast -q heal
    umount "$WORK/mounted"
}

@test "a target is known by its name and by its place" {
    holdfast -q backup
    # A slip in the path, and another name for a disk that is not there.
    disk2_at "$WORK/repo2typo"
    refused "$WORK/repo2typo"
    mv "$WORK/repo2" "$WORK/away"
    mkdir "$WORK/repo2"
    disk2_at "$WORK/repo2" usb
    refused "$WORK/repo2" "" usb
    # Both new: that is a new target.
    disk2_at "$WORK/new/disk" new
    holdfast -q heal
    [ -f "$WORK/new/disk/config" ]
    # Names exchanged, or another target's copy in its place: it is the repository, wherever it lies.
    rmdir "$WORK/repo2"
    mv "$WORK/away" "$WORK/repo2"
    write_targets_config "{ name = \"disk2\"; type = \"local\"; path = \"$WORK/repo1\"; }, { name = \"disk1\"; type = \"local\"; path = \"$WORK/repo2\"; }"
    holdfast -q heal
    rm -r "$WORK/repo2"
    cp -a "$WORK/repo1" "$WORK/repo2"
    holdfast -q heal
    holdfast -q verify --all
}

@test "a target is filled anew when it is named, and no other with it" {
    holdfast -q backup
    rm -r "$WORK/repo2"
    run holdfast heal --new-target disk3
    [ "$status" -eq 2 ] && [[ $output == *'no target is named "disk3"'*hint:* ]]
    run holdfast heal --new-target disk1
    [ "$status" -eq 6 ] && [ ! -e "$WORK/repo2" ]
    holdfast -q heal --new-target disk2
    holdfast -q verify --all
    holdfast -q heal --new-target disk2 # there is nothing to be done
    # What another repository uses is never filled.
    rm -r "$WORK/repo2"
    sed "s|$WORK/|$WORK/other/|g" "$WORK/holdfast.conf" >"$WORK/other.conf"
    mkdir "$WORK/other"
    PERSON_KEY=$WORK/other/person.key "$HOLDFAST_BIN" -q -c "$WORK/other.conf" init
    cp -a "$WORK/other/repo1" "$WORK/repo2"
    run holdfast heal --new-target disk2
    [ "$status" -ne 0 ] && [[ $output == *"holds another repository"* ]] || fail "$status $output"
    diff -r "$WORK/other/repo1" "$WORK/repo2"
}

@test "a config or keyring that is lost is restored unasked: the rest tells whose the target is" {
    holdfast -q backup
    rm "$WORK/repo2/config"
    holdfast -q heal
    rm "$WORK"/repo2/keys/*
    holdfast -q heal
    cmp "$WORK/repo1/config" "$WORK/repo2/config"
    diff -r "$WORK/repo1/keys" "$WORK/repo2/keys"
    rm "$WORK/repo2/config" "$WORK"/repo2/keys/*
    run holdfast heal
    [ "$status" -eq 6 ] && [[ $output == *"--new-target disk2"* ]]
    holdfast -q heal --new-target disk2
    holdfast -q verify --all
}

@test "a state folder that began without a target does not fill it; one that knows it is new does" {
    holdfast -q backup
    mv "$WORK/repo2" "$WORK/away"
    rm -r "$WORK/state"
    refused "$WORK/repo2" "does not know"
    # Not after it has come to know the rest, either.
    holdfast -q backup || [ $? -eq 6 ]
    refused "$WORK/repo2" "does not know"
    mv "$WORK/away" "$WORK/repo2"
    holdfast -q heal
    # What a run recorded counts, should the state folder be of an older version that took no note.
    rm -r "$WORK/state"
    sed -i 's|name = "files";|name = "files"; schedule = { daily = "00:00"; };|' "$WORK/holdfast.conf"
    holdfast -q run
    python3 -c "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); n = d.execute(\"DELETE FROM value WHERE key LIKE 'filled%'\").rowcount; d.commit(); sys.exit(n != 4)" "$WORK/state/catalog.db"
    mv "$WORK/repo2" "$WORK/away"
    refused "$WORK/repo2"
}

@test "before there is a snapshot a second target is filled without a question" {
    disk2_at "$WORK/disk"
    holdfast -q heal
    holdfast -q backup
    [ "$(find "$WORK/disk/snapshots" -type f | wc -l)" -eq 1 ]
    # init does not take a mount point for a new repository while its key is there.
    rm -r "$WORK/disk"
    run holdfast init
    [ "$status" -eq 1 ] && [ ! -e "$WORK/disk/config" ]
}
