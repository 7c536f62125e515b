# Restores over a system that is there: what is above, in the way, or healthy already.
load ../lib/common.bash
setup() {
    make_work
    umask 022
    mkdir -p "$WORK/usr/lib/modules/6.1/net"
    echo ko >"$WORK/usr/lib/modules/6.1/x.ko"
    echo net >"$WORK/usr/lib/modules/6.1/net/n.ko"
    ln "$WORK/usr/lib/modules/6.1/x.ko" "$WORK/usr/lib/modules/6.1/net/same.ko"
    echo ld >"$WORK/usr/lib/ld.so"
    ln -s usr/lib "$WORK/lib"
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/lib/modules\" ]; };"
    holdfast -q init
    holdfast -q backup
    M=$WORK/usr/lib/modules/6.1
}
teardown() {
    local mount
    for mount in $(awk -v work="$WORK/out/" 'index($2, work) == 1 { print $2 }' /proc/mounts); do umount "$mount"; done
    drop_work
}

# traced CALLS [OPTION]... -- [ARGUMENTS of holdfast]: what it asks the kernel for, in $WORK/trace. No leaks are looked for:
# that needs a tracer itself.
traced() {
    local calls=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -f -qq -y -e trace="$calls" "${options[@]}" -o "$WORK/trace" \
        "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@"
}

@test "a link above the source is followed and stays, whatever is to be overwritten" {
    local how
    for how in never changed always; do
        rm -r "$WORK/usr/lib/modules"
        holdfast -q restore latest --to / --overwrite "$how"
        [ "$(readlink "$WORK/lib")" = usr/lib ]
        [ "$(cat "$M/x.ko" "$M/net/n.ko" "$WORK/lib/ld.so")" = $'ko\nnet\nld' ]
        [ "$M/x.ko" -ef "$M/net/same.ko" ]
    done
    # An absolute one: "/" stays in itself.
    ln -sfn "$WORK/usr/lib" "$WORK/lib"
    echo damaged >"$M/net/n.ko"
    holdfast -q restore latest --to / --overwrite changed
    [ -L "$WORK/lib" ]
    [ "$(cat "$M/net/n.ko")" = net ]
}

@test "a link above the source is followed to where it leads once the destination is the root" {
    local out=$WORK/newroot
    mkdir -p "$out$WORK" "$out/data/lib"
    ln -s /data/lib "$out$WORK/lib"
    holdfast -q restore latest --to "$out"
    [ "$(cat "$out/data/lib/modules/6.1/x.ko")" = ko ]
    [ "$out/data/lib/modules/6.1/x.ko" -ef "$out/data/lib/modules/6.1/net/same.ko" ]
    # One that was made from here, with the destination in its path.
    ln -sfn "$out/data/lib" "$out$WORK/lib"
    rm -r "$out/data/lib/modules"
    holdfast -q restore latest --to "$out"
    [ "$(cat "$out/data/lib/modules/6.1/x.ko")" = ko ]
}

@test "two sources that come to one place by way of a link do not replace each other" {
    head -c 8000000 /dev/urandom >"$M/large"
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/lib/modules\", \"$WORK/usr/lib/modules\" ]; };"
    holdfast -q backup
    rm -r "$WORK/usr/lib/modules"
    run holdfast --json restore latest --to /
    [ "$status" -eq 0 ]
    [ "$(jq -c '[.files, .overwritten, .skipped, .unchanged]' <<<"$output")" = '[4,0,2,2]' ]
}

@test "a link above the source that leads out of the destination, or to nothing, is refused with a hint" {
    local target how where
    mkdir -p "$WORK/out$WORK" "$WORK/elsewhere" "$WORK/out/elsewhere"
    for target in ../../../../../../elsewhere "$WORK/elsewhere" nowhere; do
        where="to nothing in the destination"
        [[ $target != ..* ]] || where="out of the destination"
        ln -sfn "$target" "$WORK/out$WORK/lib"
        for how in never changed always; do
            run holdfast restore latest --to "$WORK/out" --overwrite "$how"
            [ "$status" -eq 1 ]
            [[ $output == *"$WORK/lib/modules: something is in the way: lib is a symbolic link that leads $where"* ]]
            [[ $output == *hint:* ]]
            [[ $output != *"--overwrite always"* ]]
        done
        [ "$(readlink "$WORK/out$WORK/lib")" = "$target" ]
    done
    [ -z "$(ls -A "$WORK/elsewhere" "$WORK/out/elsewhere" | grep -v :)" ]
}

@test "a link above the source that is of another user, or in a loop, is refused" {
    local how
    rm -r "$WORK/usr/lib/modules"
    if [ "$(id -u)" -eq 0 ]; then
        chown -h 12345 "$WORK/lib"
        for how in never changed always; do
            run holdfast restore latest --to / --overwrite "$how"
            [ "$status" -eq 1 ]
            [[ $output == *"lib is a symbolic link that belongs neither to root nor to you"*hint:* ]]
            [ ! -e "$WORK/usr/lib/modules" ]
        done
    fi
    ln -sfn lib "$WORK/lib"
    run timeout 20 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" restore latest --to /
    [ "$status" -eq 1 ]
    [[ $output == *"lib is a symbolic link in a loop"*hint:* ]]
}

@test "what lies above the source and is no folder is never replaced" {
    local how
    mkdir -p "$WORK/out$WORK"
    echo mine >"$WORK/out$WORK/lib"
    for how in never changed always; do
        run holdfast restore latest --to "$WORK/out" --overwrite "$how"
        [ "$status" -eq 1 ]
        [[ $output == *"something is in the way: lib is no folder"* ]]
        [ "$(cat "$WORK/out$WORK/lib")" = mine ]
    done
}

@test "folders above a restored path get what the snapshot knows of them, and those that are there keep theirs" {
    local S=$WORK/source
    mkdir -p "$S/a/b"
    echo x >"$S/a/b/f"
    setfattr -n user.note -v n "$S/a"
    chmod 2775 "$S/a" "$S/a/b"
    chown -R 1234:4321 "$S"
    touch -d @1000000000 "$S/a"
    write_config 1
    backup_of_less
    rm -r "$S/a/b"
    chmod g-s,go= "$S/a"
    (umask 077 && holdfast -q restore latest "$S/a/b/f" --to /)
    [ "$(stat -c %a:%u:%g "$S/a/b")" = 2775:1234:4321 ]
    [ "$(stat -c %a "$S/a")" = 700 ]
    rm -r "$S/a"
    (umask 077 && holdfast -q restore latest "$S/a/b/f" --to /)
    [ "$(stat -c %a:%u:%g:%Y "$S/a")" = 2775:1234:4321:1000000000 ]
    [ "$(getfattr --only-values -n user.note "$S/a")" = n ]
    # Of what the snapshot does not know all may pass through it.
    mkdir "$WORK/out"
    (umask 077 && holdfast -q restore latest "$S/a/b/f" --to "$WORK/out")
    [ "$(stat -c %a:%u "$WORK/out$WORK")" = 755:0 ]
    [ "$(stat -c %a:%u "$WORK/out$S")" = "$(stat -c %a:%u "$S")" ]
}

@test "a link of a user in the place of a folder of the source leads a restore nowhere" {
    local S=$WORK/source how
    mkdir -p "$S/home/docs" "$WORK/etc"
    echo x >"$S/home/docs/f"
    write_config 1
    backup_of_less
    rm -r "$S/home/docs"
    ln -s ../../etc "$S/home/docs"
    for how in never changed always; do
        run holdfast restore latest "$S/home/docs/f" --to / --overwrite "$how"
        [ "$status" -eq 1 ]
        [ -L "$S/home/docs" ]
        [ -z "$(ls -A "$WORK/etc")" ]
    done
}

# ---- what is healthy is not touched ----

# counts [OPTIONS]: those of a restore over $WORK/out, in JSON.
counts() {
    holdfast --json restore latest --to "$WORK/out" "$@" 2>"$WORK/said" |
        jq -cS '{files, directories, others, bytes, overwritten, unchanged, skipped, failed, copies, conflicts}'
}

# Names, inodes and all times of what is there but the last access.
state() { (cd "$1" && find . -printf '%p %i %C@ %T@ %m %s\n' | sort); }

make_rich_tree() {
    local S=$WORK/source
    mkdir -p "$S/dir/sub" "$S/locked" "$S/other"
    seq 3000 >"$S/dir/numbers"
    head -c 3000000 /dev/urandom >"$S/large"
    truncate -s 5M "$S/sparse"
    echo x | dd of="$S/sparse" bs=1 seek=3M conv=notrunc status=none
    echo one >"$S/first"
    ln "$S/first" "$S/dir/second"
    ln "$S/first" "$S/other/third"
    ln -s nowhere "$S/link"
    ln "$S/link" "$S/dir/same link"
    mkfifo "$S/fifo"
    mknod "$S/null" c 1 3
    setfattr -n user.k -v v "$S/dir/numbers"
    setfacl -m u:77:r "$S/dir/numbers"
    setfacl -d -m u:77:r "$S/other"
    chown 5:6 "$S/dir/numbers" "$S/dir"
    chmod 4755 "$S/large"
    echo i >"$S/locked/file"
    chattr +i "$S/locked/file" "$S/locked"
    write_config 1
    holdfast -q backup
    chattr -i "$S/locked/file" "$S/locked"
}

@test "a restore over what is healthy touches nothing, with whatever is to be overwritten but always" {
    local how
    make_rich_tree
    holdfast -q restore latest --to "$WORK/out"
    state "$WORK/out" >"$WORK/before"
    for how in changed never; do
        counts --overwrite "$how" >"$WORK/counts"
        [ "$(jq .files "$WORK/counts")" -eq 0 ]
        [ "$(jq .bytes "$WORK/counts")" -eq 0 ]
        [ "$(jq .overwritten "$WORK/counts")" -eq 0 ]
        state "$WORK/out" | diff "$WORK/before" -
    done
    chattr -i "$WORK/out$WORK/source/locked/file" "$WORK/out$WORK/source/locked"
}

@test "only what differs is touched, and a dry run counts as the restore does" {
    local S=$WORK/source O=$WORK/out$WORK/source how
    make_rich_tree
    for how in changed always never; do
        chattr -f -R -i "$WORK/out" || true
        rm -rf "$WORK/out"
        [ "$(counts --overwrite "$how" -n)" = "$(counts --overwrite "$how")" ]
        printf X | dd of="$O/large" bs=1 seek=10 conv=notrunc status=none
        rm "$O/dir/second" "$O/link" "$O/null" "$O/sparse"
        echo foreign >"$O/dir/second"
        ln -s elsewhere "$O/link"
        mkdir "$O/sparse"
        touch "$O/null"
        chmod 600 "$O/dir/numbers" "$O/fifo"
        rm -r "$O/dir/sub"
        echo foreign >"$O/stays"
        state "$WORK/out" >"$WORK/before"
        counts --overwrite "$how" -n >"$WORK/dry"
        state "$WORK/out" | diff "$WORK/before" -
        counts --overwrite "$how" >"$WORK/real"
        diff "$WORK/dry" "$WORK/real"
        [ "$(cat "$O/stays")" = foreign ]
        [ "$how" = never ] || python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$S/dir" "$O/dir"
        if [ "$how" = changed ]; then
            [ "$(jq -c '[.files, .others, .overwritten, .failed]' "$WORK/real")" = '[4,4,8,0]' ]
            state "$WORK/out" >"$WORK/after"
            # What is locked is as it was.
            for same in locked/file locked; do
                [ "$(grep "/$same " "$WORK/before")" = "$(grep "/$same " "$WORK/after")" ]
            done
            [ "$O/first" -ef "$O/dir/second" ]
        fi
    done
    chattr -f -R -i "$WORK/out" || true
}

@test "while a file is compared its mode stays, and what reads it sees the old contents or the new ones" {
    local S=$WORK/source O=$WORK/out$WORK/source
    mkdir -p "$S"
    seq 400000 >"$S/file"
    chmod 644 "$S/file"
    write_config 1
    backup_of_less
    holdfast -q restore latest --to "$WORK/out"
    sed -i 1s/1/2/ "$O/file"
    cp "$O/file" "$WORK/old"
    traced fchmod,ftruncate,pwrite64,write,rename,renameat,renameat2,unlink,unlinkat -- \
        -q restore latest --to "$WORK/out" --overwrite changed
    cmp "$S/file" "$O/file"
    [ "$(grep -cE "(fchmod|ftruncate|write[0-9]*)\([0-9]+<$O/file>" "$WORK/trace")" -eq 0 ]
    [ "$(grep -cE "unlink(at)?\(.*\"file\"" "$WORK/trace")" -eq 0 ]
    grep -q 'renameat.*"file"' "$WORK/trace"
}

@test "a file of which there is no room for another is changed in place" {
    local O=$WORK/mounted$WORK/source
    truncate -s 24M "$WORK/image"
    mkfs.ext4 -q -m 0 "$WORK/image"
    mkdir "$WORK/mounted"
    mount -o loop "$WORK/image" "$WORK/mounted"
    head -c 12000000 /dev/urandom >"$WORK/source/large"
    write_config 1
    backup_of_less
    holdfast -q restore latest --to "$WORK/mounted"
    printf X | dd of="$O/large" bs=1 seek=10 conv=notrunc status=none
    inode=$(stat -c %i "$O/large")
    holdfast -q restore latest --to "$WORK/mounted" --overwrite changed
    cmp "$WORK/source/large" "$O/large"
    [ "$(stat -c %i "$O/large")" = "$inode" ]
}

@test "where files can share their contents a changed one shares what it has with the old one" {
    local S=$WORK/source O=$WORK/mounted$WORK/source
    truncate -s 256M "$WORK/image"
    mkfs.btrfs -q "$WORK/image"
    mkdir "$WORK/mounted"
    mount -o loop "$WORK/image" "$WORK/mounted"
    head -c 12000000 /dev/urandom >"$S/large"
    truncate -s 14M "$S/large"
    echo end >>"$S/large"
    write_config 1
    backup_of_less
    holdfast -q restore latest --to "$WORK/mounted"
    # Other contents, data in the hole, and a longer end.
    printf X | dd of="$O/large" bs=1 seek=10 conv=notrunc status=none
    printf X | dd of="$O/large" bs=1 seek=13M conv=notrunc status=none
    echo more >>"$O/large"
    cp --reflink=always "$O/large" "$WORK/mounted/old"
    holdfast -q restore latest --to "$WORK/mounted" --overwrite changed
    cmp "$S/large" "$O/large"
    sync -f "$O"
    filefrag -v "$O/large" | grep -q shared
}

@test "a file with another name outside is replaced: neither its contents nor its metadata are changed" {
    local O=$WORK/out$WORK/source
    echo x >"$WORK/source/mode"
    echo x >"$WORK/source/contents"
    write_config 1
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    echo other >"$O/contents"
    chmod 640 "$O/mode" "$O/contents"
    ln "$O/mode" "$WORK/mode"
    ln "$O/contents" "$WORK/contents"
    holdfast -q restore latest --to "$WORK/out" --overwrite changed
    [ "$(stat -c %a:%h "$WORK/mode" "$WORK/contents" | tr '\n' ' ')" = "640:1 640:1 " ]
    [ "$(cat "$WORK/contents")" = other ]
    [ "$(stat -c %a "$O/mode" "$O/contents" | tr '\n' ' ')" = "644 644 " ]
}

@test "a folder in the way stays with what is in it, whatever is to be overwritten" {
    local S=$WORK/source O=$WORK/out$WORK/source how
    mkdir -p "$S"
    echo x >"$S/file"
    echo y >"$S/more"
    ln -s x "$S/link"
    ln "$S/file" "$S/hard"
    write_config 1
    holdfast -q backup
    mkdir -p "$O/file/deep" "$O/link" "$O/hard/deep" "$O/more"
    echo mine >"$O/link/mine"
    for how in changed always; do
        run holdfast restore latest --to "$WORK/out" --overwrite "$how"
        [ "$status" -eq 1 ]
        [ "$(grep -c "a folder that is not empty is in the way" <<<"$output")" -eq 3 ]
        [[ $output == *"hint: "*"move it away"* ]]
        [ -d "$O/file/deep" ]
        [ -d "$O/hard/deep" ]
        [ "$(cat "$O/link/mine")" = mine ]
        [ "$(cat "$O/more")" = y ] # an empty one holds nothing
        run holdfast restore latest --to "$WORK/out" --overwrite "$how" -n
        [ "$status" -eq 1 ]
    done
    # Of the file's names the one that can be made has the contents.
    rm -r "$O/hard"
    run holdfast restore latest --to "$WORK/out" --overwrite changed
    [ "$status" -eq 1 ]
    [ "$(cat "$O/hard")" = x ]
}

@test "what cannot be replaced is not counted as replaced" {
    local O=$WORK/out$WORK/source how
    echo x >"$WORK/source/file"
    echo y >"$WORK/source/other"
    write_config 1
    holdfast -q backup
    mkdir -p "$O"
    echo old | tee "$O/file" >"$O/other"
    mount --bind "$WORK/passphrase" "$O/file"
    for how in changed always; do
        echo old >"$O/other"
        run holdfast --json restore latest --to "$WORK/out" --overwrite "$how"
        echo "$output"
        [ "$status" -eq 1 ]
        [ "$(tail -n 1 <<<"$output" | jq -c '[.files, .overwritten, .failed]')" = '[1,1,1]' ]
        [ "$(cat "$O/other")" = y ]
    done
    umount "$O/file"
    [ "$(cat "$O/file")" = old ]
}

# ---- what is said to be done is done ----

@test "every file system that was restored to is synced before the restore says so" {
    local O=$WORK/out$WORK/source
    mkdir -p "$WORK/source/mounted" "$WORK/source/other" "$O/mounted"
    echo 1 >"$WORK/source/file"
    echo 2 >"$WORK/source/mounted/file"
    write_config 1
    holdfast -q backup
    mount -t tmpfs tmpfs "$O/mounted"
    traced syncfs,write,rename,renameat,linkat,fchmod,mkdirat -- restore latest --to "$WORK/out"
    umount "$O/mounted"
    [ "$(grep -c 'syncfs(' "$WORK/trace")" -eq 2 ]
    grep -q "syncfs([0-9]*<$WORK/out>" "$WORK/trace"
    grep -q "syncfs([0-9]*<$O/mounted>" "$WORK/trace"
    # Nothing is written between them and the summary.
    sed -n '/syncfs(/,/restored [0-9]* files/p' "$WORK/trace" | grep -v syncfs | grep -cE "$WORK/out|mkdirat" | grep -qx 0
    grep -A99 'syncfs(' "$WORK/trace" | grep -q 'write.*restored 2 files'
    # Also one above what is restored.
    mount -t tmpfs tmpfs "$O/mounted"
    traced syncfs -- restore latest "$WORK/source/mounted/file" --to "$WORK/out"
    umount "$O/mounted"
    grep -q "syncfs([0-9]*<$O/mounted>" "$WORK/trace"
    # What the disk could not keep is not restored.
    run traced syncfs -e inject=syncfs:error=EIO -- restore latest --to "$WORK/out"
    [ "$status" -eq 1 ]
    [[ $output == *"what was restored may not be on the disk: Input/output error"*hint:* ]]
}

@test "what a restore that was killed left beside old files goes with the next one" {
    local O=$WORK/out$WORK/source pid
    echo x >"$WORK/source/file"
    write_config 1
    backup_of_less
    holdfast -q restore latest --to "$WORK/out"
    sh -c 'exit 0' &
    pid=$!
    wait "$pid"
    echo part >"$O/.holdfast-$pid-0"
    echo mine >"$O/.holdfast-$pid-1"
    echo busy >"$O/.holdfast-$$-0"
    chmod 1600 "$O/.holdfast-$pid-0" "$O/.holdfast-$$-0"
    holdfast -q restore latest --to "$WORK/out" --overwrite changed
    [ "$(cd "$O" && find . -type f | sort | tr '\n' ' ')" = "$(printf '%s\n' ./file "./.holdfast-$$-0" "./.holdfast-$pid-1" | sort | tr '\n' ' ')" ]
}
