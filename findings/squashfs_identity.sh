#!/bin/bash
# Two squashfs images, mounted one after the other at the same place, agree in all by which a file is told from another.
#
# Device, inode number, size, modification and change time of a file, and even the file system id that statfs gives are the
# same, though the contents are not. Inode numbers follow the order in the image, the times come from the tree (a
# reproducible build sets them all alike), and the file system id is made from the number of the loop device, which the next
# image gets again: squashfs has no UUID. erofs, of the same trees, makes its id from the UUID of the image.
# A backup that trusts what stat says, as rsync and most others do, keeps the old image's contents.
#
# Needs root and loop devices; squashfs-tools and erofs-utils are taken apart in the temporary folder. Ends 0 while the
# behaviour is as described.
set -eu
SQUASHFS=1:4.5.1-1 EROFS=1.5-1
work=$(mktemp -d)
finish() {
    umount "$work/mount" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
cd "$work"
mkdir mount package old new
(cd package && apt-get -q download "squashfs-tools=$SQUASHFS" "erofs-utils=$EROFS" >/dev/null 2>&1) || {
    echo "squashfs-tools $SQUASHFS or erofs-utils $EROFS are not to be had" >&2
    exit 2
}
for file in package/*.deb; do dpkg-deb -x "$file" package; done
PATH=$work/package/usr/bin:$PATH
echo one >old/file
echo two >new/file
touch -d @1600000000 old/file new/file old new
for tree in old new; do
    mksquashfs "$tree" "$tree.squashfs" -quiet -no-progress -all-root -mkfs-time 1600000000 >/dev/null
    mkfs.erofs -T 1600000000 "$tree.erofs" "$tree" >/dev/null 2>&1
done
look() { # image: what identifies its file, then the contents
    mount -o loop,ro -t "${1#*.}" "$1" mount
    echo "device $(stat -c %d mount/file), inode $(stat -c '%i, size %s, times %Y %Z' mount/file), file system $(stat -f -c %i mount)"
    cat mount/file >"contents.$1"
    umount mount
}
echo "squashfs-tools $SQUASHFS, erofs-utils $EROFS, Linux $(uname -r)"
for kind in squashfs erofs; do
    look "old.$kind" >"seen.old.$kind"
    look "new.$kind" >"seen.new.$kind"
    echo "$kind, old ($(cat "contents.old.$kind")): $(cat "seen.old.$kind")"
    echo "$kind, new ($(cat "contents.new.$kind")): $(cat "seen.new.$kind")"
done
cmp -s seen.old.squashfs seen.new.squashfs && ! cmp -s contents.old.squashfs contents.new.squashfs &&
    ! cmp -s seen.old.erofs seen.new.erofs || { echo "this has changed"; exit 1; }
