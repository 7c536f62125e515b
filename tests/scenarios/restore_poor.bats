# Restores to file systems that lack something: hard links, or names that differ in case only.
load ../lib/common.bash
setup() { make_work; S=$WORK/source; }
teardown() { drop_work; }

# mount_poor [OPTIONS of poor_fs.py]: at $WORK/mounted; the folder behind it is $WORK/behind.
mount_poor() {
    mkdir -p "$WORK/behind" "$WORK/mounted"
    /usr/bin/python3 -IB "$BATS_TEST_DIRNAME/../lib/poor_fs.py" "$WORK/behind" "$WORK/mounted" "$@" 3>&- &
    until mountpoint -q "$WORK/mounted"; do sleep 0.02; done
    O=$WORK/mounted$S B=$WORK/behind$S
}

# A whole second: fusepy counts in floating point.
back_up() {
    find "$S" -depth -exec touch -h -d @1000000000 {} +
    make_repo
    holdfast -q backup
}

# Names and contents of all files below a folder.
listing() { (cd "$1" && find . -type f -printf '%P ' -exec cat {} \; | sort); }

# The same restore once more changes nothing, whatever is to be overwritten.
stays_so() {
    local before how
    before=$(listing "$B"; find "$B" -printf '%P %y %l\n' | sort)
    for how in never changed always; do
        run holdfast restore latest --to "$WORK/mounted" --overwrite "$how"
        [ "$status" -eq 3 ] || [ "$how" = never ]
        [ "$(listing "$B"; find "$B" -printf '%P %y %l\n' | sort)" = "$before" ]
    done
}

# ---- hard links ----

@test "hard links become copies where there are none, with one warning for all" {
    local i
    for i in $(seq 20); do
        echo "$i" >"$S/$i"
        ln "$S/$i" "$S/$i again"
        ln "$S/$i" "$S/$i more"
    done
    back_up
    mount_poor links=1
    run holdfast restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [ "$(grep -c '^warning: ' <<<"$output")" -eq 1 ]
    [[ $output == *"and 39 more: cannot link to the first name of the file: Operation not permitted; they are copies instead"* ]]
    diff -r "$S" "$B"
    run holdfast --json restore latest --to "$WORK/mounted" --overwrite changed
    [ "$status" -eq 3 ]
    [ "$(tail -n 1 <<<"$output" | jq -c '[.files, .unchanged, .copies, .bytes]')" = '[0,60,40,0]' ]
    stays_so
}

@test "where a file can have so many names only, further ones are names of a copy" {
    local i
    echo x >"$S/0"
    for i in $(seq 11); do ln "$S/0" "$S/$i"; done
    back_up
    mount_poor links=5 inodes
    run holdfast restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [[ $output == *"Too many links"* ]]
    diff -r "$S" "$B"
    [ "$(find "$B" -type f -printf '%i\n' | sort | uniq -c | awk '{ print $1 }' | sort | tr '\n' ' ')" = "2 5 5 " ]
}

@test "a hard link to another file system becomes a copy" {
    mkdir "$S/a" "$S/b"
    echo x >"$S/a/file"
    ln "$S/a/file" "$S/b/1"
    ln "$S/a/file" "$S/b/2"
    back_up
    mkdir -p "$WORK/mounted" "$WORK/out$S/b"
    mount -t tmpfs tmpfs "$WORK/mounted"
    mount --bind "$WORK/mounted" "$WORK/out$S/b"
    run holdfast restore latest --to "$WORK/out"
    umount "$WORK/out$S/b"
    [ "$status" -eq 3 ]
    [[ $output == *"Invalid cross-device link; it is a copy instead"* ]]
    [ "$(cat "$WORK/mounted/1")" = x ]
    [ "$WORK/mounted/1" -ef "$WORK/mounted/2" ]
}
