# When an unchanged size, time and inode number mean unchanged contents, and when not.
load ../lib/common.bash
setup() {
    make_work
}
teardown() {
    exec 7>&- 8<&- # the writer ends
    wait
    awk -v w="$WORK" 'index($2, w) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount "$mount"; done
    drop_work
}

files_read() { # backs up and prints how many files were read
    "${@:-holdfast}" --json backup | jq '.jobs[0].files_read'
}

twice_apart() { # ARGUMENTS: runs the program twice, the second time in a mount namespace of its own
    unshare -pf --mount-proc sh -c '"$0" "$@" >/dev/null && unshare -m "$0" "$@"; exit $?' \
        "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@"
}

# make_image KIND FILE TEXT: with one file of the same number, size and times in each.
make_image() {
    local tree=$WORK/tree
    rm -rf "$tree" "$2"
    mkdir -p "$tree/folder"
    echo "$3" >"$tree/folder/file"
    find "$tree" -exec touch -d @1600000000 {} +
    case $1 in
        squashfs) mksquashfs "$tree" "$2" -quiet -no-progress -mkfs-time 1600000000 -all-root >/dev/null ;;
        erofs) mkfs.erofs --quiet -T 1600000000 -U 11111111-2222-3333-4444-555555555555 "$2" "$tree" ;;
        ext4)
            truncate -s 8M "$2"
            E2FSPROGS_FAKE_TIME=1600000000 mke2fs -q -t ext4 -d "$tree" -U 11111111-2222-3333-4444-555555555555 \
                -E hash_seed=11111111-2222-3333-4444-555555555555 "$2"
            printf 'sif /folder/file %s\n' "ctime @1600000000" "ctime_extra 0" | debugfs -w -f - "$2" >/dev/null 2>&1
            ;;
    esac
}

@test "another image mounted at the same place is read, and the same one is not read again" {
    make_repo
    for kind in squashfs erofs ext4 ext4:rw; do
        local how=${kind#*:}
        [ "$how" = rw ] || how=ro
        make_image "${kind%:*}" "$WORK/one" one
        make_image "${kind%:*}" "$WORK/two" two
        mount -o "loop,$how" "$WORK/one" "$WORK/source"
        local before
        before=$(stat -c '%i %s %Y %Z' "$WORK/source/folder/file")
        [ "$(files_read)" -eq 1 ]
        [ "$(files_read)" -eq 0 ]
        # What is started in a mount namespace of its own, as systemd does, sees the same mount.
        [ "$(files_read twice_apart)" -eq 0 ]
        umount "$WORK/source"
        if [ "$how" = ro ]; then
            mount -o loop,ro "$WORK/one" "$WORK/source"
            [ "$(files_read)" -eq 0 ]
            umount "$WORK/source"
        fi
        mount -o "loop,$how" "$WORK/two" "$WORK/source"
        [ "$(stat -c '%i %s %Y %Z' "$WORK/source/folder/file")" = "$before" ]
        holdfast -q backup
        [ "$(holdfast cat latest "$WORK/source/folder/file")" = two ]
        umount "$WORK/source"
        # In the place of the same file.
        make_image "${kind%:*}" "$WORK/two" six
        mount -o "loop,$how" "$WORK/two" "$WORK/source"
        holdfast -q backup
        [ "$(holdfast cat latest "$WORK/source/folder/file")" = six ]
        umount "$WORK/source"
    done
}

@test "an ordinary file system is the same, wherever it is mounted from" {
    case $(stat -f -c %T "$WORK") in
        ext2/ext3 | xfs | btrfs) ;;
        *) skip "no ordinary file system in /var/tmp" ;;
    esac
    mkdir "$WORK/kept"
    echo one >"$WORK/kept/file"
    make_repo
    mount --bind "$WORK/kept" "$WORK/source"
    sleep 3.1 # what is as young as this is read once more
    [ "$(files_read)" -eq 1 ]
    umount "$WORK/source"
    mount --bind "$WORK/kept" "$WORK/source"
    [ "$(files_read)" -eq 0 ]
}

@test "what is written through a mapping is seen, though the times of its file stood still" {
    mkdir -p "$WORK/source/here" "$WORK/source/memory" "$WORK/source/overlay" "$WORK/lower" "$WORK/images"
    mount -t tmpfs none "$WORK/source/memory"
    mkdir "$WORK/source/memory/upper" "$WORK/source/memory/work"
    mount -t overlay -o "lowerdir=$WORK/lower,upperdir=$WORK/source/memory/upper,workdir=$WORK/source/memory/work" none \
        "$WORK/source/overlay"
    for kind in xfs btrfs ext4; do
        mkdir "$WORK/source/$kind"
        truncate -s 320M "$WORK/images/$kind"
        "mkfs.$kind" -q "$WORK/images/$kind"
        mount -o loop "$WORK/images/$kind" "$WORK/source/$kind"
    done
    make_repo
    mkfifo "$WORK/go" "$WORK/done"
    cat >"$WORK/writer.py" <<'P'
import mmap, os, sys
maps = []
for folder in sorted(os.listdir(sys.argv[1])):
    fd = os.open(f"{sys.argv[1]}/{folder}/db", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(fd, 8192)
    maps.append(mmap.mmap(fd, 8192))
for byte in b"ABCD":
    for m in maps:
        m[:] = bytes([byte]) * 8192
    print(chr(byte), flush=True)
    sys.stdin.readline()
P
    python3 "$WORK/writer.py" "$WORK/source" <"$WORK/go" >"$WORK/done" 3>&- &
    exec 7>"$WORK/go" 8<"$WORK/done"
    read -r _ <&8
    sleep 3.1
    for _ in B C; do
        holdfast -q backup
        echo >&7
        read -r byte <&8
        holdfast -q backup
        for folder in here memory overlay xfs btrfs ext4; do
            [ "$(holdfast cat latest "$WORK/source/$folder/db" | head -c 1)" = "$byte" ]
        done
    done
}
