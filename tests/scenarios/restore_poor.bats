# Restores to file systems that lack something: hard links, or names that differ in case only.
load ../lib/common.bash
setup() { make_work; S=$WORK/source; }
teardown() {
    local place
    for place in "$WORK/out$S/b" "$WORK/out$S/file"; do
        ! mountpoint -q "$place" || umount "$place"
    done
    drop_work
}

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

@test "hard links are made anew where inode numbers tell nothing, and nothing is left beside them" {
    local how
    mkdir "$S/a"
    echo x >"$S/file"
    ln "$S/file" "$S/a/1"
    ln "$S/file" "$S/a/2"
    back_up
    mount_poor
    holdfast -q restore latest --to "$WORK/mounted"
    for how in changed always; do
        holdfast -q restore latest --to "$WORK/mounted" --overwrite "$how"
        [ "$(find "$B" -type f -printf '%P %n\n' | sort | tr '\n' ' ')" = "a/1 3 a/2 3 file 3 " ]
    done
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
    counts() { tail -n 1 | jq -c '[.exit_status, .files, .copies, .unchanged]'; }
    local fresh again
    fresh=$(holdfast --json restore latest --to "$WORK/out" -n | counts)
    run holdfast --json restore latest --to "$WORK/out"
    again=$(holdfast --json restore latest --to "$WORK/out" -n --overwrite changed | counts)
    umount "$WORK/out$S/b"
    [ "$status" -eq 3 ]
    [[ $output == *"Invalid cross-device link; it is a copy instead"* ]]
    [ "$(counts <<<"$output")" = '[3,3,1,0]' ]
    [ "$fresh" = '[3,3,1,0]' ]
    [ "$again" = '[3,0,1,3]' ]
    [ "$(cat "$WORK/mounted/1")" = x ]
    [ "$WORK/mounted/1" -ef "$WORK/mounted/2" ]
}

@test "a hard link of which not even a copy can be made is called none" {
    mkdir "$S/a" "$S/b"
    echo x >"$S/a/file"
    ln "$S/a/file" "$S/b/1"
    back_up
    mkdir -p "$WORK/mounted" "$WORK/out$S/b"
    mount -t tmpfs -o ro tmpfs "$WORK/mounted"
    mount --bind "$WORK/mounted" "$WORK/out$S/b"
    run holdfast --json restore latest --to "$WORK/out"
    umount "$WORK/out$S/b"
    [ "$status" -eq 1 ]
    [[ $output == *"source/b/1: cannot create the file: Read-only file system"* ]]
    [[ $output != *"copy instead"* ]]
    [ "$(tail -n 1 <<<"$output" | jq -c '[.files, .failed, .copies]')" = '[1,1,0]' ]
}

@test "a dry run says that the destination is read-only, if anything has to be written" {
    echo x >"$S/file"
    make_repo
    holdfast -q backup
    mkdir "$WORK/mounted"
    mount -t tmpfs tmpfs "$WORK/mounted"
    holdfast -q restore latest --to "$WORK/mounted"
    mount -o remount,ro "$WORK/mounted"
    run holdfast restore latest --to "$WORK/mounted" --overwrite changed -n
    [ "$status" -eq 0 ]
    run holdfast restore latest --to "$WORK/mounted" --overwrite always -n
    [ "$status" -eq 3 ]
    [[ $output == *"warning: $WORK/mounted is mounted read-only"* ]]
    run holdfast restore latest --to "$WORK/mounted" --overwrite always
    [ "$status" -eq 1 ]
}

@test "what is mounted on a file is told of where the file cannot be replaced" {
    echo x >"$S/file"
    make_repo
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    echo other >"$WORK/other"
    mount --bind "$WORK/other" "$WORK/out$S/file"
    run holdfast restore latest --to "$WORK/out" --overwrite changed
    umount "$WORK/out$S/file"
    [ "$status" -eq 1 ]
    [[ $output == *"source/file: cannot give the entry its name: Device or resource busy"*"hint: "*"unmount what is mounted there"* ]]
    [ "$(cat "$WORK/other" "$WORK/out$S/file")" = $'other\nx' ]
    [ "$(ls -A "$WORK/out$S")" = file ]
}

# ---- names that differ in case only ----

# A pair of each kind, three of a file, and a name that is there already.
make_pairs() {
    mkdir "$S/Dir" "$S/dir" "$S/dir/Sub" "$S/dir/sub" "$S/links"
    echo upper >"$S/README"
    echo mixed >"$S/Readme"
    echo lower >"$S/readme"
    echo same >"$S/TWIN"
    echo same >"$S/twin"
    echo 1 >"$S/Dir/file"
    echo 2 >"$S/dir/file"
    echo 3 >"$S/dir/Sub/x"
    echo 4 >"$S/dir/sub/x"
    ln "$S/readme" "$S/links/to lower"
    ln "$S/dir/sub/x" "$S/links/to x"
    ln "$S/README" "$S/links/HARD"
    ln "$S/dir/file" "$S/links/hard"
    ln -s up "$S/LINK"
    ln -s low "$S/link"
    mkfifo "$S/PIPE"
    echo file >"$S/pipe"
    printf 'composed\n' >"$S/$(printf '\303\251')"
    printf 'decomposed\n' >"$S/$(printf 'e\314\201')"
    echo foreign >"$S/twin.case-conflict-1"
}

# Every content is there once, under its name or one that says so.
expect_pairs() {
    [ "$(cat "$B/README" "$B/Readme.case-conflict-1" "$B/readme.case-conflict-2")" = $'upper\nmixed\nlower' ]
    [ "$(cat "$B/TWIN" "$B/twin.case-conflict-1" "$B/twin.case-conflict-2")" = $'same\nforeign\nsame' ]
    [ "$(cat "$B/Dir/file" "$B/dir.case-conflict-1/file")" = $'1\n2' ]
    [ "$(cat "$B/dir.case-conflict-1/Sub/x" "$B/dir.case-conflict-1/sub.case-conflict-1/x")" = $'3\n4' ]
    [ "$(cat "$B/links/to lower" "$B/links/to x")" = $'lower\n4' ]
    [ "$B/links/to x" -ef "$B/dir.case-conflict-1/sub.case-conflict-1/x" ]
    [ "$B/links/to lower" -ef "$B/readme.case-conflict-2" ]
    [ "$B/links/HARD" -ef "$B/README" ]
    [ "$B/links/hard.case-conflict-1" -ef "$B/dir.case-conflict-1/file" ]
    [ "$(readlink "$B/LINK"; readlink "$B/link.case-conflict-1")" = $'up\nlow' ]
    [ -p "$B/PIPE" ]
    [ "$(cat "$B/pipe.case-conflict-1")" = file ]
    [ "$(cat "$B"/e* "$B"/*'.case-conflict-'* 2>/dev/null | grep -c composed)" -eq 2 ]
}

@test "names that a file system takes for the same are all restored, the second under a name that says so" {
    make_pairs
    back_up
    local how
    for how in fold "fold inodes"; do
        # shellcheck disable=SC2086
        mount_poor $how
        run holdfast restore latest --to "$WORK/mounted"
        [ "$status" -eq 3 ]
        [[ $output == *"warning: $S/readme: the file system takes its name for that of README: it gets the name readme.case-conflict-2"* ]]
        expect_pairs
        [ "$(grep -c '^warning: ' <<<"$output")" -eq 9 ]
        stays_so
        expect_pairs
        umount "$WORK/mounted"
        rm -r "$WORK/behind"
    done
}

@test "what is there in another spelling is one of ours only if no other entry has that name" {
    echo upper >"$S/README"
    echo lower >"$S/readme"
    echo single >"$S/Single"
    echo linked >"$S/Linked"
    ln "$S/Linked" "$S/second"
    back_up
    mount_poor fold inodes
    mkdir -p "$B"
    echo old >"$B/readme"
    echo old >"$B/sINGLE"
    echo linked >"$B/lINKED"
    ln "$B/lINKED" "$B/second"
    touch -d @1000000000 "$B/lINKED"
    run holdfast --json restore latest --to "$WORK/mounted" --overwrite changed
    [ "$status" -eq 3 ]
    [ "$(tail -n 1 <<<"$output" | jq -c '[.files, .conflicts]')" = '[3,1]' ]
    [ "$(listing "$B")" = $'README.case-conflict-1 upper\nlINKED linked\nreadme lower\nsINGLE single\nsecond linked' ]
    stays_so
}

@test "a letter that is composed in another way there is the same entry, whatever inode numbers tell" {
    local how
    echo text >"$S/$(printf '\303\251')"
    echo more text >"$S/other"
    back_up
    for how in fold "fold inodes"; do
        # shellcheck disable=SC2086
        mount_poor $how
        mkdir -p "$B"
        echo old >"$B/$(printf 'e\314\201')"
        echo more text >"$B/other"
        holdfast -q restore latest --to "$WORK/mounted" --overwrite changed
        [ "$(cat "$B"/e*)" = text ] || [ "$(cat "$B/$(printf '\303\251')")" = text ]
        [ "$(find "$B" -type f | wc -l)" -eq 2 ]
        umount "$WORK/mounted"
        rm -r "$WORK/behind"
    done
}

@test "one of two names is restored alone beside the other" {
    echo upper >"$S/README"
    echo lower >"$S/readme"
    back_up
    mount_poor fold inodes
    holdfast -q restore latest "$S/README" --to "$WORK/mounted"
    run holdfast restore latest "$S/readme" --to "$WORK/mounted" --overwrite always
    [ "$status" -eq 3 ]
    [ "$(listing "$B")" = $'README upper\nreadme.case-conflict-1 lower' ]
}

@test "sources that differ in case only are all restored" {
    echo upper >"$S/README"
    echo lower >"$S/readme"
    write_config 1 "source = { type = \"files\"; paths = [ \"$S/README\", \"$S/readme\" ]; };"
    holdfast -q init
    holdfast -q backup
    mount_poor fold
    run holdfast restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [ "$(listing "$B")" = $'README upper\nreadme.case-conflict-1 lower' ]
}

@test "three of the same contents get three names" {
    local name
    for name in NOTE Note note; do echo same >"$S/$name"; done
    back_up
    mount_poor fold inodes
    run holdfast restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [ "$(listing "$B")" = $'NOTE same\nNote.case-conflict-1 same\nnote.case-conflict-2 same' ]
    stays_so
}

@test "a name of many bytes that is taken keeps its beginning" {
    local long
    long=$(printf '\303\244%.0s' $(seq 125))
    echo upper >"$S/${long}ABC"
    echo lower >"$S/${long}abc"
    back_up
    mount_poor fold inodes
    run holdfast restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [ "$(find "$B" -type f | wc -l)" -eq 2 ]
    [ "$(cat "$B/${long}ABC")" = upper ]
    [ "$(cat "$B"/*.case-conflict-1)" = lower ]
    stays_so
}

# ---- owners ----

@test "of what the file system cannot keep of many entries ten are told, and how many there are more" {
    touch "$S"/{1..30}
    chown 1:1 "$S"/*
    back_up
    mount_poor owners
    run holdfast --json restore latest --to "$WORK/mounted"
    [ "$status" -eq 3 ]
    [ "$(grep -c "^warning: $S/.*: cannot set the owner: Operation not permitted" <<<"$output")" -eq 10 ]
    [[ $output == *"warning: cannot set the owner: Operation not permitted: of 20 entries more, which -v lists"* ]]
    [ "$(tail -n 1 <<<"$output" | jq .warning_count)" -eq 30 ]
    # What is tried again and fails again is no change.
    run holdfast --json restore latest --to "$WORK/mounted" --overwrite changed
    [ "$(tail -n 1 <<<"$output" | jq -c '[.files, .overwritten, .unchanged]')" = '[0,0,30]' ]
}
