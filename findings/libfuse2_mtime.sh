#!/bin/bash
# Through libfuse 2, a change of the modification time alone is confirmed and not made.
#
# A caller may set the modification time and leave the access time as it is (utimensat with UTIME_OMIT, what touch -m does). The
# high-level library of FUSE 2 hands times on to a file system only where both are given, unless the file system sets
# flag_utime_omit_ok, which by default it does not. The call returns 0, the file system is never asked, the old time stays.
# A backup tool that restores modification times in this way loses them without an error; one that gives the access time,
# too, even "now", keeps them.
#
# Needs root, /dev/fuse, apt-get and pip. Ends 0 while the behaviour is as described.
set -eu
LIBFUSE=2.9.9-6+b1 FUSEPY=3.0.1
work=$(mktemp -d)
server=
finish() {
    umount "$work/mount" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
cd "$work"
mkdir mount package
chmod 755 .
(cd package && apt-get -q download "libfuse2=$LIBFUSE" >/dev/null 2>&1) || { echo "libfuse2 $LIBFUSE is not to be had" >&2; exit 2; }
dpkg-deb -x package/libfuse2_*.deb package
python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --target python "fusepy==$FUSEPY" >/dev/null

cat >server.py <<'P'
import stat
import sys
import time

from fuse import FUSE, Operations

class OneFile(Operations):
    times = (1000000000.0, 1000000000.0)  # access, modification

    def getattr(self, path, fh=None):
        common = {"st_uid": 0, "st_gid": 0, "st_ctime": 0, "st_atime": self.times[0], "st_mtime": self.times[1]}
        if path == "/":
            return dict(common, st_mode=stat.S_IFDIR | 0o755, st_nlink=2)
        return dict(common, st_mode=stat.S_IFREG | 0o644, st_nlink=1, st_size=0)

    def readdir(self, path, fh):
        return [".", "..", "file"]

    def utimens(self, path, times=None):
        OneFile.times = times or (time.time(), time.time())
        print("asked for", times, flush=True)

FUSE(OneFile(), sys.argv[1], foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0)
P
FUSE_LIBRARY_PATH=$(find "$work/package" -name 'libfuse.so.2' | head -1) PYTHONPATH=$work/python \
    timeout 60 python3 server.py mount >asked 2>server.log &
server=$!
for _ in $(seq 50); do
    mountpoint -q mount && break
    sleep 0.1
done
mountpoint -q mount || { cat server.log >&2; exit 2; }

echo "libfuse2 $LIBFUSE, fusepy $FUSEPY, Linux $(uname -r)"
touch -m -d @1200000000 mount/file
alone=$(stat -c %Y mount/file)
echo "modification time alone: touch ended with $?, the time is $alone, the file system was asked $(wc -l <asked) times"
touch -d @1200000000 mount/file
both=$(stat -c %Y mount/file)
echo "both times: the time is $both, the file system was asked $(wc -l <asked) times"
[ "$alone" = 1000000000 ] && [ "$both" = 1200000000 ] && [ "$(wc -l <asked)" = 1 ] || { echo "this has changed"; exit 1; }
