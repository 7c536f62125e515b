#!/bin/bash
# What is written through a shared mapping moves the file's times once, and on tmpfs never again.
#
# POSIX marks the modification time for update between a write and the next msync. On ext4, xfs and btrfs the time moves when a
# clean page is written to first; while the page is dirty, later writes leave it alone, and the msync that follows does, too.
# So two looks can find the same time and other contents, unless the file system was written back (sync) between them. On
# tmpfs nothing is ever written back: after the first write the time stands still, whatever is written, synced or msynced.
# Databases that map their files (LMDB, bolt, rrdtool) keep them in /run or /dev/shm at times, and a backup that trusts size
# and times takes an early state for ever.
#
# Needs root and loop devices; e2fsprogs, xfsprogs and btrfs-progs in the pinned versions are taken apart in the temporary
# folder. Ends 0 while the behaviour is as described.
set -eu
work=$(mktemp -d)
finish() {
    for kind in ext4 xfs btrfs tmpfs; do umount "$work/$kind" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
cd "$work"
mkdir package images
chmod 755 .
for package in e2fsprogs=1.47.0-2+b2 xfsprogs=6.1.0-1 btrfs-progs=6.2-1+deb12u2; do
    (cd package && apt-get -q download "$package" >/dev/null 2>&1) || { echo "$package is not to be had" >&2; exit 2; }
done
for file in package/*.deb; do dpkg-deb -x "$file" package; done
tool() { # file system, image
    PATH=$work/package/sbin:$work/package/usr/sbin:$work/package/bin:$PATH "mkfs.$1" -q "$2" >/dev/null
}
cat >write.py <<'P'
import mmap, os, sys, time

path = sys.argv[1] + "/file"
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
os.pwrite(fd, bytes(4096), 0)
os.fsync(fd)
mapped = mmap.mmap(fd, 4096)

def write(text, sync):
    time.sleep(0.1)
    before = os.stat(path).st_mtime_ns
    mapped[: len(text)] = text
    if sync:
        mapped.flush()  # msync with MS_SYNC
    return "moves" if os.stat(path).st_mtime_ns != before else "stands"

seen = [write(b"first", False), write(b"second", False), write(b"third", True)]
os.sync()
seen.append(write(b"fourth", True))
print(*seen)
P
echo "Linux $(uname -r); the time at the first write, the second, the third with msync, the fourth after sync"
as_described=yes
for kind in ext4 xfs btrfs tmpfs; do
    mkdir "$kind"
    if [ "$kind" = tmpfs ]; then
        mount -t tmpfs none tmpfs
        expected="moves stands stands stands"
    else
        truncate -s 320M "images/$kind"
        tool "$kind" "images/$kind"
        mount -o loop "images/$kind" "$kind"
        expected="moves stands stands moves"
    fi
    seen=$(python3 write.py "$work/$kind")
    echo "$kind: $seen"
    [ "$seen" = "$expected" ] || as_described=no
done
[ "$as_described" = yes ] || { echo "this has changed"; exit 1; }
