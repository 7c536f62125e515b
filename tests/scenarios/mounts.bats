# Mounts below a source: which are entered, which are left out, and that none is touched that is excluded.
load ../lib/common.bash
setup() {
    make_work
    FUSE=
}
teardown() {
    awk -v w="$WORK" 'index($2, w) == 1 {print $2}' /proc/mounts | sort -r | sed 's/\\040/ /g' |
        while read -r mount; do umount -l "$mount"; done
    [ -z "$FUSE" ] || kill "$FUSE" 2>/dev/null || true
    drop_work
}

job() { # SETTINGS: of the source
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; $1 };"
}

# A file system of which nothing is ever answered.
mount_silent() { # FOLDER
    /usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/silent_mount.py" "$1" 3>&- &
    FUSE=$!
    for _ in $(seq 100); do
        grep -q " $1 fuse" /proc/mounts && return
        sleep 0.05
    done
    return 1
}

@test "a mount that does not answer is no matter where it is left out" {
    mkdir -p "$WORK/source/silent" "$WORK/source/other"
    chmod 751 "$WORK/source/silent"
    echo one >"$WORK/source/a"
    make_repo
    mount_silent "$WORK/source/silent"
    for settings in 'exclude = [ "silent" ];' "exclude = [ \"$WORK/source/silent/\" ];" 'exclude = [ "silent/" ];' \
        'one_file_system = true;'; do
        job "$settings"
        for _ in 1 2; do
            run timeout 20 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -v backup
            [ "$status" -eq 0 ]
        done
    done
    [[ $output == *"$WORK/source/silent: something is mounted there, its contents are left out"* ]]
    [[ $output == *"; 1 mount left out; "* ]]
    holdfast -q restore latest --to "$WORK/out"
    [ "$(stat -c %a "$WORK/out$WORK/source/silent")" = 751 ]
}

@test "one file system: other mounts are left out and counted, of the same device, too, and by way of a link" {
    mkdir -p "$WORK/source/disk" "$WORK/source/same" "$WORK/source/own" "$WORK/source/a b"
    mount -t tmpfs -o mode=700 none "$WORK/source/disk"
    mount -t tmpfs none "$WORK/source/a b"
    mount --bind "$WORK/source/own" "$WORK/source/same"
    touch "$WORK/source/disk/no" "$WORK/source/own/yes" "$WORK/source/a b/no"
    ln -s . "$WORK/by"
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/by/source\" ]; one_file_system = true; };"
    holdfast --json backup | jq -e '.jobs[0].mounts_left_out == 3'
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cd "$WORK/out$WORK/by/source" && find . -type f)" = ./own/yes ]
    [ "$(cd "$WORK/out$WORK/by/source" && ls | tr '\n' ' ')" = "a b disk own same " ]
    [ "$(stat -c %a "$WORK/out$WORK/by/source/disk")" = 700 ]
    # Unless they are sources of their own.
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source/disk\", \"$WORK/source\" ]; one_file_system = true; };"
    holdfast --json backup | jq -e '.jobs[0].mounts_left_out == 3'
    holdfast -q restore latest "$WORK/source" --to "$WORK/both"
    [ -e "$WORK/both$WORK/source/disk/no" ]
    [ "$(stat -c %a "$WORK/both$WORK/source/disk")" = 700 ]
    # Else everything is.
    job ''
    holdfast --json backup | jq -e '.jobs[0].mounts_left_out == 0 and .jobs[0].files == 4'
}

@test "subvolumes of btrfs that nobody mounted belong to their file system" {
    truncate -s 120M "$WORK/image"
    mkfs.btrfs -q "$WORK/image"
    mount -o loop "$WORK/image" "$WORK/source"
    btrfs -q subvolume create "$WORK/source/home"
    btrfs -q subvolume create "$WORK/source/home/deeper"
    btrfs -q subvolume create "$WORK/source/else"
    echo one >"$WORK/source/home/one"
    echo two >"$WORK/source/home/deeper/two"
    btrfs -q subvolume snapshot -r "$WORK/source/home" "$WORK/source/.snapshots"
    mkdir "$WORK/source/mounted"
    mount -o loop,subvol=else "$WORK/image" "$WORK/source/mounted"
    touch "$WORK/source/else/three"
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; one_file_system = true; exclude = [ \"/.snapshots\", \".snapshots\" ]; };"
    holdfast --json backup | jq -e '.jobs[0].files == 3 and .jobs[0].mounts_left_out == 1'
    holdfast find two | grep -q source/home/deeper/two
    run holdfast find .snapshots
    [ "$status" -ne 0 ]
}

@test "a mount point of the automounter is not entered on the way" {
    mkdir -p "$WORK/source/auto" "$WORK/source/a"
    touch "$WORK/source/a/file"
    make_repo
    /usr/bin/python3 - "$WORK/source/auto" <<'P' || skip "no autofs here"
import ctypes, os, sys
r, w = os.pipe()
options = f"fd={w},pgrp={os.getpgrp()},minproto=5,maxproto=5,direct".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"auto", sys.argv[1].encode(), b"autofs", 0, options):
    sys.exit(1)
P
    run timeout 20 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -v backup
    [ "$status" -eq 0 ]
    [[ $output == *"source/auto: looking into it would mount something, its contents are left out"* ]]
    [[ $output == *"; 1 mount left out; "* ]]
}

@test "a mount that is a source of its own comes back with its own mode, not with that of what it covers" {
    mkdir -p "$WORK/source/private" "$WORK/behind"
    chmod 755 "$WORK/source/private"
    chmod 700 "$WORK/behind"
    echo secret >"$WORK/behind/file"
    /usr/bin/python3 -IB "$BATS_TEST_DIRNAME/../lib/poor_fs.py" "$WORK/behind" "$WORK/source/private" 3>&- &
    until mountpoint -q "$WORK/source/private"; do sleep 0.02; done
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/source/private\" ]; one_file_system = true; };"
    run holdfast backup
    [ "$status" -eq 0 ]
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cat "$WORK/out$WORK/source/private/file")" = secret ]
    [ "$(stat -c %a "$WORK/out$WORK/source/private")" = 700 ]
}

@test "patterns for folders only hold where a listing does not tell what its entries are" {
    mkdir -p "$WORK/behind/cache/deep" "$WORK/behind/a"
    echo no >"$WORK/behind/cache/deep/file"
    echo yes >"$WORK/behind/a/cache"
    echo no >"$WORK/behind/a/x.tmp"
    /usr/bin/python3 -IB "$BATS_TEST_DIRNAME/../lib/poor_fs.py" "$WORK/behind" "$WORK/source" 3>&- &
    until mountpoint -q "$WORK/source"; do sleep 0.02; done
    python3 - "$WORK/source" <<'P'
import ctypes, sys
libc = ctypes.CDLL(None)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
entry = libc.readdir(ctypes.c_void_p(libc.opendir(sys.argv[1].encode())))
sys.exit(ctypes.string_at(entry, 19)[18]) # d_type
P
    job 'exclude = [ "cache/", "*.tmp" ];'
    holdfast -q init
    run holdfast backup
    [ "$status" -eq 0 ]
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cd "$WORK/out$WORK/source" && find . | sort | tr '\n' ' ')" = ". ./a ./a/cache " ]
}
