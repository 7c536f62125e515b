# Archives: on machines that have no locale, and what is said of entries that one cannot hold.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

# without_locales LC_ALL COMMAND...: as in a chroot that has none installed.
without_locales() {
    LC_ALL=$1 unshare -m sh -c 'mount -t tmpfs none /usr/lib/locale && exec "$@"' - "${@:2}"
}

# names: of the archive on standard input, by what Python makes of it.
names() {
    python3 -c '
import io, sys, tarfile, zipfile
data = io.BytesIO(sys.stdin.buffer.read())
if zipfile.is_zipfile(data):
    found = zipfile.ZipFile(data).namelist()
else:
    data.seek(0)
    members = list(tarfile.open(fileobj=data))
    found = [m.name for m in members]
    links = [m.linkname for m in members if m.linkname]
    print(*sorted(n.rsplit("/", 1)[-1] for n in links))
print(*sorted(n.rsplit("/", 1)[-1] for n in found if not n.endswith("/source/") and not n.endswith("source")))'
}

@test "names are right in every archive, whatever locales there are" {
    make_repo
    touch "$WORK/source/grüße" "$WORK/source/日本語" "$WORK/source/plain"
    ln -s "ziel-ä" "$WORK/source/link"
    ln "$WORK/source/grüße" "$WORK/source/zweites-ü"
    holdfast -q backup
    [ -z "$(without_locales C.UTF-8 locale -a 2>/dev/null | grep -i utf)" ]
    local locale
    for locale in C POSIX C.UTF-8 de_DE.UTF-8 de_DE.ISO-8859-1; do
        without_locales $locale "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" export latest >"$WORK/pax" 2>"$WORK/err"
        [ "$(names <"$WORK/pax")" = $'grüße ziel-ä\ngrüße link plain zweites-ü 日本語' ]
        [ "$(tar -tf "$WORK/pax" 2>&1 --quoting-style=literal | wc -l)" -eq 6 ] # GNU tar finds nothing odd about it
        without_locales $locale "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" export latest --format zip >"$WORK/zip" 2>>"$WORK/err"
        [ "$(names <"$WORK/zip")" = 'grüße link plain zweites-ü 日本語' ]
        [ ! -s "$WORK/err" ]
    done
}

@test "an archive that is read keeps the bytes of names, whatever locales there are" {
    mkdir "$WORK/in"
    touch "$WORK/in/grüße" "$WORK/in/"$'bad\xff'
    tar -C "$WORK/in" --format=pax -cf "$WORK/in.tar" .
    make_repo 1 "source = { type = \"tar\"; command = [ \"cat\", \"$WORK/in.tar\" ]; };"
    run -0 --separate-stderr without_locales C "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup
    [ -z "$stderr" ]
    holdfast -q restore latest --to "$WORK/out"
    [ "$(cd "$WORK/out" && find . -type f | LC_ALL=C sort)" = "$(cd "$WORK/in" && find . -type f | LC_ALL=C sort)" ]
}

@test "what a zip cannot hold is named with its path, each on a line, and the rest is there" {
    make_repo
    mkdir "$WORK/source/sub"
    echo good >"$WORK/source/good"
    mkfifo "$WORK/source/sub/fifo"
    echo odd >"$WORK/source/sub/"$'odd\xff'
    touch -d 2200-01-01 "$WORK/source/sub/early"
    holdfast -q backup
    run -3 --separate-stderr bash -c '"$@" >"$WORK/zip"' - "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" export latest --format zip
    grep -qF "warning: $WORK/source/sub/fifo: the archive format has no such type of entry" <<<"$stderr"
    grep -qF "warning: $WORK/source/sub/odd\\xff: its name is not UTF-8" <<<"$stderr"
    grep -qF "warning: $WORK/source/sub/early: its time" <<<"$stderr"
    [ "${#stderr_lines[@]}" -eq 3 ]
    [ "$(names <"$WORK/zip" | tr ' ' '\n' | grep -c .)" -ge 3 ]
    python3 -m zipfile -t "$WORK/zip"
}

@test "an export that comes upon damage says in which file" {
    make_repo
    echo good >"$WORK/source/a"
    head -c 3000000 /dev/urandom >"$WORK/source/large"
    holdfast -q backup
    store_is_s3 && skip "packs are files of a folder here"
    local pack
    pack=$(find "$WORK/repo1/packs" -type f -size +1000k)
    truncate -s 2000 "$pack"
    # An archive of libarchive that is given up leaks what zlib has.
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
    for format in pax zip; do
        run -5 --separate-stderr bash -c '"$@" >"$WORK/archive"' - "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" export latest --format $format
        grep -qE "^holdfast: $WORK/source/(a|large): " <<<"$stderr"
    done
    # What cannot be written is no fault of a file.
    rm "$WORK/source/large"
    backup_of_less
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" export latest
    ! grep -qF "$WORK/source" <<<"$stderr"
}
