# What a tree can hold is kept: each test compares the restored tree with its source.
load ../lib/common.bash
setup() { make_work; make_repo; S=$WORK/source; }
teardown() {
    mountpoint -q "$WORK/source/b/mounted" && umount "$WORK/source/b/mounted"
    mountpoint -q "$WORK/other" && umount "$WORK/other"
    mountpoint -q "$S/long" && umount "$S/long"
    drop_work
}

compare() { python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$@"; }

# Backed up without a warning, and restored as it was.
round_trip() {
    run holdfast -q backup
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    rm -rf "$WORK/out"
    holdfast -q restore latest --to "$WORK/out"
    compare "$S" "$WORK/out$S"
}

# ext4's own attributes and flags are not everywhere; no scenario may pass without having been tried.
need() { # what, command...
    "${@:2}" || { echo "the file system of /var/tmp has no $1"; return 1; }
}

mount_tmpfs() {
    mkdir -p "$1"
    mount -t tmpfs none "$1" || skip "mounting is not permitted here"
}

# ---- names and paths ----

@test "names with every byte but slash and NUL" {
    python3 - "$S" <<'P'
import os, sys
os.chdir(os.fsencode(sys.argv[1]))
for byte in range(1, 256):
    if byte != ord("/"):
        name = bytes([byte])
        for n in (name if name != b"." else b"a.", b"a" + name + b"z", name * 3, name * 255):
            with open(n, "wb") as f:
                f.write(n)
for name in (b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xff\xfe", b"...", b" ", b"\n\n", b"\x1b[31mred", b"%s%n", b"-rf", b"~", b"*"):
    os.mkdir(name + b"-dir")
    os.symlink(name, name + b"-link")
    with open(name + b"-dir/" + name, "wb") as f:
        f.write(b"x")
P
    [ "$(find "$S" -type f -printf x | wc -c)" -eq $((254 * 4 + 12)) ]
    round_trip
    # One of them by its path, as typed.
    holdfast -q restore latest "$S/"$'\xff\xfe-dir' --to "$WORK/one"
    compare "$S/"$'\xff\xfe-dir' "$WORK/one$S/"$'\xff\xfe-dir'
    # Lists stay lists: one line for each entry, JSON that parses.
    [ "$(holdfast ls latest "$S" | wc -l)" -eq "$(find "$S" -mindepth 1 -maxdepth 1 -printf x | wc -c)" ]
    [ "$(holdfast --json ls latest "$S" | jq '.entries | length')" -eq "$(find "$S" -mindepth 1 -maxdepth 1 -printf x | wc -c)" ]
}

@test "names of 255 bytes" {
    local long other
    long=$(printf 'n%.0s' $(seq 255))
    other=$(printf '\xc3\xa4%.0s' $(seq 127))x
    mkdir "$S/$long" "$S/$other"
    echo 1 >"$S/$long/$long"
    echo 2 >"$S/$other/$other"
    ln "$S/$long/$long" "$S/$other/$long"
    ln -s "$long" "$S/$long/$other"
    mkfifo "$S/$other/${long%n}f"
    round_trip
    # An existing file of that name is replaced: the temporary name must not be longer still.
    echo damaged >"$WORK/out$S/$long/$long"
    holdfast -q restore latest --to "$WORK/out" --overwrite always
    compare "$S" "$WORK/out$S"
}

@test "names of more bytes than most file systems take" {
    local name
    name=$(printf 'あ%.0s' $(seq 250)).txt
    mkdir "$S/long"
    /usr/bin/python3 -IB "$BATS_TEST_DIRNAME/../lib/long_names.py" "$S/long" "$name" 3>&- &
    until mountpoint -q "$S/long"; do sleep 0.05; done
    run holdfast -q backup
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run holdfast ls latest "$S/long"
    [[ $output == *"$name"* ]]
    [ "$(holdfast cat latest "$S/long/$name")" = long ]
    # Where it cannot be made that is said, and everything else is restored.
    run holdfast restore latest --to "$WORK/out"
    [ "$status" -eq 1 ]
    [[ $output == *"$name: "*"File name too long"* ]]
    [ "$(cat "$WORK/out$S/long/short")" = short ]
}

@test "paths longer than PATH_MAX, and more levels than descriptors" {
    python3 - "$S" <<'P'
import os, sys
def build(name, levels):
    os.chdir(sys.argv[1])
    for i in range(levels):
        os.mkdir(name)
        os.chdir(name)
        if i % 7 == 0 or i == levels - 1:
            with open("file", "w") as f:
                f.write(str(i))
    os.link("file", "hard")
    os.symlink("x" * 4095, "link")
    os.mkfifo("fifo")
    os.setxattr("file", "user.level", b"deep")
build("d" * 250, 40)
build("e", 1200)
P
    round_trip
    # A part of it, named by a path that no system call takes.
    local path=$S/$(python3 -c 'print("/".join(["d" * 250] * 30))')
    [ ${#path} -gt 7000 ]
    holdfast -q restore latest "$path" --to "$WORK/part"
    [ "$(cd "$WORK/part$S" && python3 - <<'P'
import os
n = 0
while os.path.isdir("d" * 250):
    os.chdir("d" * 250)
    n += 1
print(n, open("file").read())
P
    )" = "40 39" ]
    # Found unchanged, too.
    sleep 3
    holdfast -q backup
    run holdfast --json backup
    [ "$(jq '.jobs[0].files_read' <<<"$output")" -eq 0 ]
}

@test "a directory of 100,000 entries, many of them hard links" {
    python3 - "$S" <<'P'
import os, sys
os.mkdir(sys.argv[1] + "/first")
os.mkdir(sys.argv[1] + "/many")
os.chdir(sys.argv[1] + "/many")
for i in range(100000):
    name = "entry %d" % i
    if i < 20000:
        with open(name, "w") as f:
            f.write(str(i) if i % 2 else "")
    elif i < 40000:
        os.symlink(str(i), name)
    else:
        os.link("entry %d" % (i % 17000), name)
        if i % 1000 == 0:
            os.link(name, "../first/" + name)
P
    round_trip
    sleep 3
    holdfast -q backup
    echo new >"$S/many/entry 100000"
    run holdfast --json backup
    [ "$(jq '.jobs[0].files_read' <<<"$output")" -eq 1 ]
    # A listing is cut into pieces: one more entry does not store all of them again.
    [ "$(jq '.jobs[0].bytes_stored' <<<"$output")" -lt 2000000 ]
    [ "$(holdfast ls latest "$S/many" | wc -l)" -eq 100001 ]
}

# ---- contents ----

@test "empty files and directories" {
    mkdir -p "$S/a/b/c" "$S/full"
    : >"$S/empty"
    : >"$S/a/b/empty"
    : >"$S/full/empty"
    echo x >"$S/full/x"
    chmod 0 "$S/a/b/empty" "$S/a/b/c"
    round_trip
}

blocks_of() { (cd "$1" && stat -c '%n %b' -- * | sort); }

@test "sparse files: holes stay holes" {
    python3 - "$S" <<'P'
import os, sys
os.chdir(sys.argv[1])
K = 1024
def make(name, size, runs):
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    os.ftruncate(fd, size)
    for at, length in runs:
        os.pwrite(fd, os.urandom(length), at)
    return fd
make("all hole, tiny", 100, [])
make("all hole, one block", 4096, [])
make("all hole, small", 100 * K, [])
make("all hole, large", 300 << 20, [])
make("no hole", 5 << 20, [(0, 5 << 20)])
make("hole first", 64 * K, [(60 * K, 4 * K)])
make("hole last", 64 * K, [(0, 4 * K)])
make("hole last, odd end", 4 * K + 7, [(0, 10)])
make("hole in the middle", 64 * K, [(0, 4 * K), (60 * K, 4 * K)])
make("one hole of one block", 12 * K, [(0, 4 * K), (8 * K, 4 * K)])
make("every other block", 128 * K, [(i * 8 * K, 4 * K) for i in range(16)])
make("large, holes first and last", 40 << 20, [(10 << 20, 3 << 20)])
make("large, every other block", 8 << 20, [(i * 8 * K, 4 * K) for i in range(1024)])
make("zeros that are stored", 64 * K, [])
with open("zeros that are stored", "r+b") as f:
    f.write(bytes(64 * K))
# As many blocks as its size has, though one is a hole: the attribute has a block of its own.
fd = make("a hole and an attribute", 12 * K, [(0, 4 * K), (8 * K, 4 * K)])
os.setxattr(fd, "user.block", os.urandom(2000))
# Likewise: space beyond the end.
fd = make("a hole and space beyond the end", 2 << 20, [(0, 1 << 20)])
P
    fallocate --keep-size --offset 4M --length 4M "$S/a hole and space beyond the end"
    sync -f "$S"
    round_trip
    sync -f "$S"
    [ "$(blocks_of "$S" | grep -v beyond)" = "$(blocks_of "$WORK/out$S" | grep -v beyond)" ]
    [ "$(stat -c %b "$WORK/out$S/a hole and space beyond the end")" -le 2048 ]
    # In place as well: data where there was a hole, a hole where there was data, and both are put right.
    printf x | dd of="$WORK/out$S/hole last" bs=1 seek=50000 conv=notrunc status=none
    printf x | dd of="$WORK/out$S/all hole, large" bs=1 seek=200M conv=notrunc status=none
    fallocate --punch-hole --offset 1M --length 1M "$WORK/out$S/no hole"
    holdfast -q restore latest --to "$WORK/out" --overwrite changed
    compare "$S" "$WORK/out$S"
}

@test "a sparse file of 1 TiB takes no time and no space" {
    truncate -s 1T "$S/huge"
    printf start | dd of="$S/huge" conv=notrunc status=none
    printf middle | dd of="$S/huge" bs=1 seek=512G conv=notrunc status=none
    sync -f "$S"
    timeout 100 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q backup
    timeout 100 "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q restore latest --to "$WORK/out"
    compare "$S" "$WORK/out$S"
    sync -f "$S"
    [ "$(stat -c %b "$WORK/out$S/huge")" -eq "$(stat -c %b "$S/huge")" ]
    [ "$(du -sk "$WORK/repo1" | cut -f1)" -lt 1000 ]
}

# ---- links and special files ----

@test "hard links, across directories and in a part that is restored" {
    mkdir -p "$S/a/deep/er" "$S/b" "$S/c"
    echo small >"$S/a/deep/er/small"
    head -c 3000000 /dev/urandom >"$S/a/large"
    : >"$S/a/empty"
    for name in small large empty; do
        first=$(find "$S/a" -name "$name")
        ln "$first" "$S/b/$name"
        ln "$first" "$S/b/$name too"
        ln "$first" "$S/c/$name"
    done
    ln "$S/c/small" "$WORK/outside"
    round_trip
    [ "$(stat -c %h "$WORK/out$S/c/large")" -eq 4 ]
    # Without the first names: those that are restored belong together still.
    holdfast -q restore latest "$S/b" "$S/c" --to "$WORK/part"
    rm -r "$S/a"
    touch -r "$WORK/out$S" "$S"
    compare --no-root "$S" "$WORK/part$S"
    [ "$(stat -c %h "$WORK/part$S/c/large")" -eq 3 ]
    # The next backup sees other first names.
    round_trip
}

@test "symbolic links, FIFOs and devices of several names" {
    mkdir "$S/a" "$S/b" "$S/c"
    ln -s nowhere "$S/a/link"
    mkfifo "$S/a/fifo"
    mknod "$S/a/character" c 1 3
    mknod "$S/a/block" b 7 250
    for name in link fifo character block; do
        ln -P "$S/a/$name" "$S/b/$name"
        ln -P "$S/a/$name" "$S/c/$name"
    done
    round_trip
    [ "$(stat -c %h "$WORK/out$S/c/link")" -eq 3 ]
    [ "$(stat -c %h "$WORK/out$S/c/block")" -eq 3 ]
    # Without the first names: those that are restored belong together still.
    holdfast -q restore latest "$S/b" "$S/c" --to "$WORK/part"
    mkdir "$WORK/tar" "$WORK/whole"
    holdfast export latest "$S/b" "$S/c" | tar -x --same-owner -p -C "$WORK/tar"
    holdfast export latest | tar -x --same-owner -p -C "$WORK/whole"
    compare --no-root "$S" "$WORK/whole$S"
    # An archive is a source, too. GNU tar links symbolic links only.
    holdfast export latest >"$WORK/own.tar"
    tar --format=pax -C / -cf "$WORK/other.tar" "${S#/}"
    for archive in own other; do
        write_config 1 "source = { type = \"tar\"; archive = \"$WORK/$archive.tar\"; };"
        holdfast -q backup
        holdfast -q restore latest --to "$WORK/$archive"
        [ "$(stat -c %h "$WORK/$archive$S/c/link")" -eq 3 ]
    done
    compare --no-root "$S" "$WORK/own$S"
    rm -r "$S/a"
    compare --no-root "$S" "$WORK/part$S"
    compare --no-root "$S" "$WORK/tar$S"
    [ "$(stat -c %h "$WORK/part$S/c/link")" -eq 2 ]
}

@test "symbolic links: dangling, absolute, long, to themselves, with times of their own" {
    mkdir "$S/d"
    echo x >"$S/d/file"
    ln -s d/file "$S/relative"
    ln -s nowhere/at/all "$S/dangling"
    ln -s "$S/d/file" "$S/absolute"
    ln -s /etc/shadow "$S/elsewhere"
    ln -s ../../../../../../../.. "$S/d/up"
    ln -s loop "$S/loop"
    ln -s d "$S/directory"
    ln -s "$(printf 'x/%.0s' $(seq 2047))y" "$S/long"
    python3 -c 'import os, sys; os.symlink(b"bytes \xff\n\x01", os.fsencode(sys.argv[1]) + b"/bytes")' "$S"
    touch -h -d '1999-12-31 23:59:59.123456789 UTC' "$S/dangling" "$S/absolute"
    touch -h -d '1960-01-01 00:00:00.000000001 UTC' "$S/loop"
    chown -h 1234:4321 "$S/relative"
    [ "$(readlink "$S/long" | wc -c)" -eq 4096 ]
    round_trip
}

@test "FIFOs and devices; sockets are left out with a note" {
    mkfifo -m 640 "$S/fifo"
    mknod -m 666 "$S/null" c 1 3 || skip "devices are not permitted here"
    mknod -m 600 "$S/character" c 511 1048575
    mknod -m 660 "$S/block" b 259 1048575
    chown 12:34 "$S/block" "$S/fifo"
    touch -d '2001-02-03 04:05:06.070809 UTC' "$S/fifo" "$S/block"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1] + "/socket")' "$S"
    run holdfast -v backup
    [ "$status" -eq 0 ]
    [[ $output == *"$S/socket: a socket, left out"* ]]
    round_trip
    [ ! -e "$WORK/out$S/socket" ]
}

# ---- metadata ----

@test "modes: set-uid, set-gid, sticky, none at all" {
    local mode
    for mode in 0 1 4755 2755 6755 1777 7777 444 222 4000 2010 1000; do
        echo "$mode" >"$S/file $mode"
        chmod "$mode" "$S/file $mode"
        mkdir "$S/directory $mode"
        echo x >"$S/directory $mode/x"
        chmod "$mode" "$S/directory $mode"
    done
    chown 1234:4321 "$S"/*4755 && chmod 4755 "$S"/*4755
    chown 0:4321 "$S"/*6755 && chmod 6755 "$S"/*6755
    chown 4294967294:4294967294 "$S/file 444"
    (umask 077 && round_trip)
    (umask 0 && round_trip)
}

# Dates that the file system cannot hold it rounds itself, so what counts is what the source says.
make_times() {
    python3 - "$1" <<'P'
import os, sys
os.chdir(sys.argv[1])
os.mkdir("d")
kept = 0
for seconds in (-28502755200, -2147483649, -2147483648, -2147483647, -86401, -2, -1, 0, 1, 2147483647, 2147483648, 4294967295,
                4294967296, 4313433599, 15032385535, 15032385536, 64060588799, 253402300799, 253402300800):
    for ns in (0, 1, 100, 999999999):
        names = [f"{seconds} {ns}", f"d/{seconds} {ns}", f"link {seconds} {ns}"]
        open(names[0], "w").close()
        os.mkdir(names[1])
        os.symlink("x", names[2])
        for name in names:
            os.utime(name, ns=(0, seconds * 10**9 + ns), follow_symlinks=False)
        kept += os.stat(names[0]).st_mtime_ns == seconds * 10**9 + ns
os.utime("d", ns=(0, -1))
print(kept)
P
}

@test "times before 1970 and after 2106, to the nanosecond" {
    # ext4 holds 1901 to 2446, and so 11 of these 19 seconds with each of the 4 fractions.
    [ "$(make_times "$S")" -ge 44 ]
    [ "$(stat -c %y "$S/4313433599 999999999")" = "$(date -d @4313433599.999999999 '+%F %T.%N %z')" ]
    round_trip
}

@test "times of any year, where the file system holds them" {
    mount_tmpfs "$S/mounted"
    mount_tmpfs "$WORK/other"
    [ "$(make_times "$S/mounted")" -ge 72 ]
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/other"
    compare "$S/mounted" "$WORK/other$S/mounted"
}

@test "extended attributes" {
    mkdir "$S/d"
    echo x >"$S/file"
    ln -s nowhere "$S/link"
    mkfifo "$S/fifo"
    need "user attributes" setfattr -n user.colour -v blue "$S/file"
    setfattr -n user.empty "$S/file"
    setfattr -n user.binary -v 0x00ff0a0d00 "$S/file"
    setfattr -n "user.$(printf 'n%.0s' $(seq 250))" -v long "$S/file"
    setfattr -n user.large -v "0x$(head -c 3000 /dev/urandom | od -An -tx1 | tr -d ' \n')" "$S/d"
    for i in $(seq 40); do setfattr -n "user.$i" -v "$i" "$S/d"; done
    python3 -c 'import os, sys; os.setxattr(sys.argv[1], b"user.\xff\n", b"x")' "$S/file"
    setfattr -n trusted.secret -v t "$S/file"
    setfattr -h -n trusted.on.a.link -v t "$S/link"
    setfattr -n trusted.on.a.fifo -v t "$S/fifo"
    setfattr -n user.root -v r "$S"
    round_trip
    # Where a file is put in order in place, attributes it should not have go.
    setfattr -n user.foreign -v x "$WORK/out$S/file"
    setfattr -x user.colour "$WORK/out$S/file"
    holdfast -q restore latest --to "$WORK/out" --overwrite changed
    compare "$S" "$WORK/out$S"
}

@test "POSIX ACLs, with default ACLs" {
    mkdir -p "$S/d/inherits" "$S/closed"
    echo x >"$S/d/file"
    echo x >"$S/group"
    need "ACLs" setfacl -m u:1234:rwx,g:4321:r,m::rx "$S/d/file"
    setfacl -m u:1:---,g:2:w,o::- "$S/group"
    setfacl -d -m u:1234:rwx,g:4321:rx,o::- "$S/d"
    setfacl -m u:1234:x "$S/d"
    echo x >"$S/d/inherited"
    mkdir "$S/d/below"
    mkfifo "$S/d/fifo"
    echo x >"$S/d/without"
    setfacl -b "$S/d/without" "$S/d/inherits"
    chmod 4750 "$S/d/inherited"
    [ "$(getfacl -cp "$S/d/file" | grep -c 1234)" -eq 1 ]
    round_trip
    # Nothing is inherited from where it is restored to.
    mkdir "$WORK/inherit"
    setfacl -m u:77:rwx -m d:u:77:rwx "$WORK/inherit"
    holdfast -q restore latest --to "$WORK/inherit"
    compare "$S" "$WORK/inherit$S"
}

@test "file capabilities" {
    cp /bin/true "$S/ping"
    cp /bin/true "$S/server"
    need "capabilities" setcap cap_net_raw+ep "$S/ping"
    chown 1234:4321 "$S/server"
    chmod 2755 "$S/server"
    setcap cap_net_bind_service,cap_chown=eip "$S/server"
    ln "$S/server" "$S/server too"
    round_trip
    [[ $(getcap "$WORK/out$S/ping") == *cap_net_raw* ]]
}

@test "file flags: immutable, append-only, no dump and the others" {
    mkdir "$S/d" "$S/immutable" "$S/append"
    local flag
    for flag in i a d A S D s u; do
        echo "$flag" >"$S/file $flag"
        ln "$S/file $flag" "$S/d/other name of $flag"
        mkdir "$S/directory $flag"
    done
    echo x >"$S/immutable/x"
    echo x >"$S/append/x"
    need "flags" chattr +d "$S/file d" "$S/directory d"
    for flag in A S s u; do chattr "+$flag" "$S/file $flag" "$S/directory $flag"; done
    chattr +DT "$S/directory D"
    chattr +aid "$S/file a"
    chattr +i "$S/immutable/x" "$S/immutable" "$S/file i" "$S/directory i"
    chattr +a "$S/append/x" "$S/append" "$S/directory a"
    lsattr -d "$S/immutable" | grep -q -- '^....i'
    (
        unlocked() { chattr -R -i -a "$WORK/out" "$S" 2>/dev/null || true; }
        trap unlocked EXIT
        round_trip
        # Over what is there and locked.
        holdfast -q restore latest --to "$WORK/out" --overwrite changed
        compare "$S" "$WORK/out$S"
        holdfast -q restore latest --to "$WORK/out" --overwrite always
        compare "$S" "$WORK/out$S"
    )
}

# ---- from one backup to the next ----

@test "an unchanged tree restores the same from the next backup" {
    make_small_tree
    setfattr -n user.colour -v blue "$S/a/hello"
    truncate -s 5M "$S/sparse"
    mkfifo "$S/fifo"
    sleep 3
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/first"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/second"
    compare "$WORK/first$S" "$WORK/second$S"
    compare "$S" "$WORK/second$S"
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 2 ]
}

@test "a change of metadata alone is noticed" {
    # One change in each directory, so that none hides behind another.
    local change i=0 changes=('chmod 604 file' 'chmod 701 e' 'chmod 710 .' 'chown 1234 file' 'chgrp 4321 .' 'chown -h 5:6 link'
        'setfattr -n user.a -v b file' 'setfattr -n user.a -v b e' 'setfattr -x user.b file' 'setfacl -m u:9:r file' 'setfacl -m d:u:9:r e'
        'setfacl -b acl' 'setcap cap_chown+ep file' 'chattr +d file' 'chattr +A e' 'touch -h -d 2001-01-01 link' 'touch -d 2001-01-01 file'
        'touch -d 2001-01-01 e' 'touch -d 2001-01-01 .' 'chmod 606 fifo' 'ln file hard' 'mv file ../file' 'rm second')
    for change in "${changes[@]}"; do
        i=$((i + 1))
        mkdir -p "$S/$i/e"
        (cd "$S/$i" && echo same >file && ln file second && echo x >acl && ln -s nowhere link && mkfifo fifo)
        setfattr -n user.b -v b "$S/$i/file"
        setfacl -m u:9:r "$S/$i/acl"
    done
    sleep 3
    round_trip
    cp -a "$S" "$WORK/before"
    i=0
    for change in "${changes[@]}"; do
        i=$((i + 1))
        (cd "$S/$i" && eval "$change")
        # The comparison sees it; so the restored tree has it.
        if compare "$WORK/before/$i" "$S/$i" >/dev/null; then echo "no change: $change" && false; fi
    done
    round_trip
    chmod 705 "$S"
    round_trip
}

@test "contents that change behind the same size and time are noticed" {
    echo first >"$S/file"
    touch -d '2020-01-01' "$S/file"
    sleep 3
    round_trip
    echo other >"$S/file"
    touch -d '2020-01-01' "$S/file"
    round_trip
    [ "$(cat "$WORK/out$S/file")" = other ]
}

# ---- files that change while they are read, or cannot be read ----

# backup_while CALL NAME OFFSET COMMAND: the command runs when the program makes that call on that file.
backup_while() {
    run env LD_PRELOAD="$ON_ACCESS" ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
        ON_ACCESS_CALL="$1" ON_ACCESS_NAME="$2" ON_ACCESS_OFFSET="$3" ON_ACCESS_RUN="$4" \
        "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q backup
    echo "$4: $status: $output"
}

warned() {
    [ "$status" -eq 3 ]
    [[ $output == *"warning: $S/d/$1: $2"* ]]
    [ "$(grep '^warning: ' <<<"$output" | grep -vc 'has collapsed')" -eq 1 ] # what is lacking may be most of it
}

# The entry d/$1 is named by a warning that begins with $2, and the snapshot is made, with everything else in it.
warned_and_kept() {
    warned "$@"
    rm -rf "$WORK/out"
    holdfast -q restore latest --to "$WORK/out"
    compare --no-root "$WORK/others" "$WORK/out$S/others"
}

make_others() {
    mkdir "$S/d" "$S/others"
    echo before >"$S/others/aaa"
    head -c 2000000 /dev/urandom >"$S/others/random"
    ln -s x "$S/others/link"
    cp -a "$S/others" "$WORK/others"
}

@test "a file that changes, grows, shrinks or vanishes while it is read" {
    make_others
    local size at f=$S/d/file
    for size in 100000 6000000; do
        at=$((size / 2))
        head -c "$size" /dev/urandom >"$WORK/original"
        fresh() { rm -rf "$f" && cp "$WORK/original" "$f"; }

        fresh
        backup_while pread file "$at" "printf X | dd of='$f' bs=1 seek=$((size - 10)) conv=notrunc status=none"
        warned_and_kept file "changed while it was read"
        [ "$(stat -c %s "$WORK/out$f")" -eq "$size" ]

        fresh
        backup_while pread file "$at" "echo more >>'$f'"
        warned_and_kept file "grew while it was read"
        # As long as it was when it was opened.
        cmp "$WORK/original" "$WORK/out$f"

        fresh
        backup_while pread file "$at" "truncate -s 1000 '$f'"
        warned_and_kept file "shrank while it was read"
        cmp -n 1000 "$WORK/original" "$WORK/out$f"

        fresh
        backup_while pread file "$at" "truncate -s 0 '$f'; truncate -s $size '$f'"
        warned file "changed while it was read"

        # Deleted while it is open, its contents are still there.
        fresh
        backup_while pread file "$at" "rm '$f'"
        warned_and_kept file "changed while it was read"
        cmp "$WORK/original" "$WORK/out$f"

        fresh
        backup_while openat file 0 "rm '$f'"
        warned_and_kept file "vanished before it was read"
        [ ! -e "$WORK/out$f" ]

        fresh
        backup_while statx file 0 "rm '$f'"
        warned file "vanished before it was read"
        [ -z "$(holdfast ls latest "$S/d")" ]

        # Grown beyond every blob and frame since it was listed: whole as it was when it was opened.
        fresh
        backup_while openat file 0 "yes | head -c 70000000 >>'$f'"
        [ "$status" -eq 0 ]
        rm -rf "$WORK/out"
        holdfast -q restore latest --to "$WORK/out"
        cmp "$f" "$WORK/out$f"

        # Something else in its place is not taken for it, nor waited for: it is kept as what it is.
        for replace in "mkfifo '$f'" "ln -s /etc/passwd '$f'" "mkdir '$f'" "cp /etc/passwd '$f'"; do
            fresh
            backup_while openat file 0 "mv '$f' '$WORK/moved'; $replace"
            ! grep '^warning: ' <<<"$output" | grep -v 'has collapsed' || false
            rm -rf "$WORK/out"
            holdfast -q restore latest --to "$WORK/out"
            compare --no-root "$S/d" "$WORK/out$S/d"
        done
    done
    # And when it keeps still it is read again, though nothing changed since.
    rm -rf "$f"
    cp "$WORK/original" "$f"
    backup_while pread file 0 "printf X | dd of='$f' bs=1 conv=notrunc status=none"
    [ "$status" -eq 3 ]
    holdfast -q status --acknowledge # that it is less than the 70 MB before
    round_trip
}

@test "a directory or a link that vanishes while the tree is read" {
    make_others
    mkdir "$S/d/gone"
    echo x >"$S/d/gone/x"
    backup_while openat gone 0 "rm -r '$S/d/gone'"
    warned_and_kept gone "vanished before it was read"
    ln -s x "$S/d/gone"
    backup_while openat gone 0 "rm '$S/d/gone'"
    warned_and_kept gone "vanished before it was read"
    mkdir "$S/d/gone"
    backup_while openat gone 0 "rmdir '$S/d/gone'; ln -s /etc '$S/d/gone'"
    [ "$status" -eq 0 ]
    rm -rf "$WORK/out"
    holdfast -q restore latest --to "$WORK/out"
    [ "$(readlink "$WORK/out$S/d/gone")" = /etc ]
}

@test "a file whose first name vanishes keeps its contents under the others" {
    make_others
    local size
    for size in 1000 3000000; do
        head -c "$size" /dev/urandom >"$S/d/first"
        ln "$S/d/first" "$S/d/second"
        mkdir -p "$S/e"
        ln "$S/d/first" "$S/e/third"
        backup_while openat first 0 "rm '$S/d/first'"
        warned_and_kept first "vanished before it was read"
        compare "$S/e" "$WORK/out$S/e"
        cmp "$S/d/second" "$WORK/out$S/d/second"
        [ "$WORK/out$S/d/second" -ef "$WORK/out$S/e/third" ]
        round_trip
        rm -r "$S/d/second" "$S/e"
    done
}

@test "a file that cannot be read to its end" {
    make_others
    head -c 5000000 /dev/urandom >"$S/d/large"
    head -c 50000 /dev/urandom >"$S/d/small"
    export ON_ACCESS_ERRNO=5
    backup_while pread small 0 ""
    warned_and_kept small "cannot read at byte 0: Input/output error"
    [ ! -e "$WORK/out$S/d/small" ]
    cmp "$S/d/large" "$WORK/out$S/d/large"
    rm "$S/d/small"
    backup_while pread large 4500000 ""
    warned_and_kept large "only its beginning could be read: cannot read at byte"
    cmp -n "$(stat -c %s "$WORK/out$S/d/large")" "$S/d/large" "$WORK/out$S/d/large"
    unset ON_ACCESS_ERRNO
    # When the disk recovers, so does the snapshot.
    round_trip
}

@test "attributes that cannot be read are asked for again, though the file did not change" {
    make_others
    head -c 5000000 /dev/urandom >"$S/d/bad-large"
    echo x >"$S/d/bad-small"
    mkdir "$S/d/bad-directory"
    setfattr -n user.colour -v blue "$S"/d/bad-*
    sleep 3
    for round in 1 2; do
        ON_ACCESS_ERRNO=5 backup_while flistxattr "bad-*" 0 ""
        [ "$status" -eq 3 ]
        [ "$(grep -c "^warning: $S/d/bad-.*: cannot list the extended attributes: Input/output error" <<<"$output")" -eq 3 ]
    done
    round_trip
}

@test "files and directories that may not be read" {
    make_others
    echo secret >"$S/d/secret"
    chmod 0 "$S/d/secret"
    ln "$S/d/secret" "$S/d/secret too"
    mkdir "$S/d/closed"
    echo x >"$S/d/closed/x"
    chmod 0 "$S/d/closed"
    echo foreign >"$S/d/readable"
    chmod 644 "$S/d/readable"
    cp "$HOLDFAST_PROGRAM" "$WORK/holdfast" # which may lie where nobody else gets to
    chown -R 65534:65534 "$WORK"
    chown root "$S/d/readable"
    # Secrets must be those of whoever runs the program.
    as_root() {
        chown root "$WORK/host.key" "$WORK/person.key"
        holdfast "$@"
        chown -R 65534 "$WORK/host.key" "$WORK/person.key" "$WORK/state"
    }
    unprivileged() { setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/holdfast" -c "$WORK/holdfast.conf" "$@"; }
    for round in 1 2; do
        run unprivileged -q backup
        echo "$output"
        [ "$status" -eq 3 ]
        [[ $output == *"warning: $S/d/secret: "*"Permission denied"* ]]
        [[ $output == *"warning: $S/d/secret too: "*"Permission denied"* ]]
        [[ $output == *"warning: $S/d/closed: "*"Permission denied"* ]]
        [ "$(grep -c '^warning: ' <<<"$output")" -eq 3 ]
        rm -rf "$WORK/out"
        as_root -q restore latest --to "$WORK/out"
        compare "$S/others" "$WORK/out$S/others"
        cmp "$S/d/readable" "$WORK/out$S/d/readable"
        [ "$(stat -c %u "$WORK/out$S/d/readable")" -eq 0 ]
        [ "$(stat -c %a "$WORK/out$S/d/closed")" = 0 ]
        [ "$(ls -A "$WORK/out$S/d")" = "$(printf 'closed\nreadable')" ]
        sleep 3
    done
    # Restored by somebody who may not give files away: that is said, and the rest is right.
    [ "$(unprivileged --json restore latest --to "$WORK/own" --person-key "$WORK/person.key" | jq .owner_failures)" -eq 1 ]
    compare --no-owner "$WORK/out$S" "$WORK/own$S"
    # Once more, into a folder that was restored without a right to write; and what only root can set is named.
    mkdir "$S/d/fixed"
    echo y >"$S/d/fixed/y"
    chmod 555 "$S/d/fixed"
    setfattr -n trusted.odd -v 1 "$S/d/fixed"
    as_root -q backup
    chmod 755 "$WORK/own$S/d"
    mkdir -m 555 "$WORK/own$S/d/fixed"
    chown 65534:65534 "$WORK/own$S/d/fixed"
    chown -R 65534 "$WORK"/repo*
    run unprivileged restore latest "$S/d/fixed" --to "$WORK/own" --person-key "$WORK/person.key"
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == *"warning: $S/d/fixed: cannot set the extended attribute trusted.odd"* ]]
    [ "$(cat "$WORK/own$S/d/fixed/y")" = y ]
    [ "$(stat -c %a "$WORK/own$S/d/fixed")" = 555 ]
}

# ---- what is left out ----

@test "mount points, with and without one_file_system" {
    mkdir -p "$S/a" "$S/b/mounted"
    echo x >"$S/a/x"
    chmod 711 "$S/b/mounted"
    mount_tmpfs "$S/b/mounted"
    chmod 750 "$S/b/mounted"
    echo inside >"$S/b/mounted/file"
    mkdir "$S/b/mounted/directory"
    round_trip
    [ "$(cat "$WORK/out$S/b/mounted/file")" = inside ]
    # What the kernel shows of itself is no data: that would warn of each process that ends, and may never end itself.
    mkdir "$S/b/mounted/proc"
    mount --bind /proc "$S/b/mounted/proc"
    run holdfast backup
    umount "$S/b/mounted/proc"
    [ "$status" -eq 0 ]
    holdfast -q restore latest --to "$WORK/kernel"
    [ -z "$(ls -A "$WORK/kernel$S/b/mounted/proc")" ]
    rmdir "$S/b/mounted/proc"

    write_config 1 "source = { type = \"files\"; paths = [ \"$S\" ]; one_file_system = true; };"
    backup_of_less
    holdfast -q restore latest --to "$WORK/one"
    [ -z "$(ls -A "$WORK/one$S/b/mounted")" ]
    [ "$(stat -c %a "$WORK/one$S/b/mounted")" = 750 ]
    compare "$S/a" "$WORK/one$S/a"
    # A path that is named is read wherever it lies, and what is not mounted any more is read again.
    write_config 1 "source = { type = \"files\"; paths = [ \"$S/b/mounted\", \"$S/a\" ]; one_file_system = true; };"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/named"
    compare "$S/b/mounted" "$WORK/named$S/b/mounted"
    umount "$S/b/mounted"
    echo below >"$S/b/mounted/below"
    write_config
    rm -rf "$WORK/out"
    round_trip
}

@test "cache directories: only what is marked as the convention says" {
    mkdir -p "$S/cache/deep" "$S/not" "$S/short" "$S/link"
    printf 'Signature: 8a477f597d28d172789f06886806bc55\n# by a test\n' >"$S/cache/CACHEDIR.TAG"
    echo Signature >"$S/not/CACHEDIR.TAG"
    printf 'Signature: 8a477f597d28d172789f06886806bc5' >"$S/short/CACHEDIR.TAG"
    ln -s ../cache/CACHEDIR.TAG "$S/link/CACHEDIR.TAG"
    for d in cache cache/deep not short link; do echo x >"$S/$d/x"; done
    chmod 701 "$S/cache"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    [ -z "$(ls -A "$WORK/out$S/cache")" ]
    [ "$(stat -c %a "$WORK/out$S/cache")" = 701 ]
    for d in not short link; do compare "$S/$d" "$WORK/out$S/$d"; done

    write_config 1 "source = { type = \"files\"; paths = [ \"$S\" ]; exclude_caches = false; };"
    round_trip
}

@test "exclude patterns mean what they mean to git" {
    cd "$S"
    for f in a.tmp keep.tmp dir/a.tmp dir/keep.tmp build/x src/build/x src/build.c only/dir/x anchored src/anchored \
        cache/x cache/keep deep/1/2/3/log/x deep/log/x deep/x/logs 'white space' '#hash' '!bang' brackets/a1 brackets/b2 brackets/cx \
        doc/a/b/c.html doc/c.html doc/notes.txt stars/one/two/file stars/file 'back\slash' q/ab q/abc q/a/c file-or-dir sub/file-or-dir/x \
        negated/a negated/b negated/keep/x nested/out/back $'invalid\xff.o' 'a*b' axb; do
        mkdir -p "$(dirname "$f")"
        echo "$f" >"$f"
    done
    # Each as in .gitignore; those with a slash are meant from the top of the source.
    cat >"$WORK/patterns" <<'P'
*.tmp
!keep.tmp
/build/
/anchored
cache/*
!cache/keep
deep/**/log
**/c.html
stars/**/file
\#hash
\!bang
brackets/[a-b][0-9]
white?space
back\\slash
q/a?
file-or-dir/
negated/*
!negated/keep
nested/
!nested/out
*.o
a\*b
P
    python3 - "$WORK" >"$WORK/list" <<'P'
import sys
out = []
for line in open(sys.argv[1] + "/patterns"):
    p = line.rstrip("\n")
    no, p = ("!", p[1:]) if p[0] == "!" else ("", p)
    if "/" in p.rstrip("/") and not p.startswith("**/"):
        p = sys.argv[1] + "/source/" + p.lstrip("/")
    out.append('"' + (no + p).replace("\\", "\\\\") + '"')
print(", ".join(out))
P
    write_config 1 "source = { type = \"files\"; paths = [ \"$S\" ]; exclude = [ $(cat "$WORK/list") ]; };"
    holdfast -q backup
    holdfast -q restore latest --to "$WORK/out"
    git init -q "$WORK/git"
    git -c core.excludesFile="$WORK/patterns" --git-dir="$WORK/git/.git" --work-tree="$S" ls-files -z --others --exclude-standard |
        tr '\0\n' '\n\0' | LC_ALL=C sort >"$WORK/by-git"
    (cd "$WORK/out$S" && find . -type f -printf '%P\0') | tr '\0\n' '\n\0' | LC_ALL=C sort >"$WORK/by-us"
    [ "$(wc -l <"$WORK/by-git")" -eq 15 ]
    diff "$WORK/by-git" "$WORK/by-us"
    # What is left is as it was.
    cmp "$S/negated/keep/x" "$WORK/out$S/negated/keep/x"
    cmp "$S/src/build/x" "$WORK/out$S/src/build/x"
    [ ! -e "$WORK/out$S/build" ]
}
