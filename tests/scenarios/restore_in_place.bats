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
teardown() { drop_work; }

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
}

@test "a link above the source that leads out of the destination, or to nothing, is refused with a hint" {
    local target how
    mkdir -p "$WORK/out$WORK" "$WORK/elsewhere"
    for target in ../../../../../../elsewhere "$WORK/elsewhere" nowhere; do
        ln -sfn "$target" "$WORK/out$WORK/lib"
        for how in never changed always; do
            run holdfast restore latest --to "$WORK/out" --overwrite "$how"
            [ "$status" -eq 1 ]
            [[ $output == *"$WORK/lib/modules: something is in the way: lib is a symbolic link that leads "* ]]
            [[ $output == *hint:* ]]
            [[ $output != *"--overwrite always"* ]]
        done
        [ "$(readlink "$WORK/out$WORK/lib")" = "$target" ]
    done
    [ -z "$(ls -A "$WORK/elsewhere")" ]
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
    holdfast -q backup
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
    holdfast -q backup
    rm -r "$S/home/docs"
    ln -s ../../etc "$S/home/docs"
    for how in never changed always; do
        run holdfast restore latest "$S/home/docs/f" --to / --overwrite "$how"
        [ "$status" -eq 1 ]
        [ -L "$S/home/docs" ]
        [ -z "$(ls -A "$WORK/etc")" ]
    done
}
