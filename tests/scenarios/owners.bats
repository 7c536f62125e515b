# Owners by name or by number, on a machine that knows other users, or the same under other numbers.
bats_require_minimum_version 1.5.0
load ../lib/common.bash

# One machine has alice, bob and carol; the other has alice under another number, not carol, and dave with carol's.
setup_file() {
    make_work
    users alice:2001 bob:2002 carol:2003 >"$WORK/passwd1"
    users alice:3001 bob:2002 dave:2003 >"$WORK/passwd2"
    for name in alice bob carol; do
        echo $name >"$WORK/source/$name"
        chown "$(grep "^$name:" "$WORK/passwd1" | cut -d: -f3)" "$WORK/source/$name"
    done
    chgrp 2001 "$WORK/source/alice"
    ln -s alice "$WORK/source/link"
    chown -h 2001 "$WORK/source/link"
    mkdir "$WORK/source/folder" "$WORK/etc"
    chown 2001 "$WORK/source/folder"
    echo shared >"$WORK/source/shared"
    setfacl -m u:2002:r "$WORK/source/shared"
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };"
    holdfast -q init
    on 1 -q backup
    export HOLDFAST_BIN
}
teardown_file() { drop_work; }

users() {
    grep -E '^(root|daemon|nobody):' /etc/passwd
    printf '%s\n' "$@" | awk -F: '{ print $1 ":x:" $2 ":" $2 "::/:/bin/false" }'
}

# on MACHINE ARGUMENT...: holdfast where these are the users and groups.
on() {
    sed 's/^\([^:]*\):[^:]*:[^:]*:\([^:]*\):.*/\1:x:\2:/' "$WORK/passwd$1" >"$WORK/group$1"
    unshare -m sh -c 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"' - \
        "$WORK/passwd$1" "$WORK/group$1" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "${@:2}"
}

owners() { (cd "$1$WORK/source" && stat -c '%n:%u' ./*) | tr -d ./ | tr '\n' ' '; }

@test "owners go by name, and what came to belong to somebody else is a warning" {
    run -3 --separate-stderr on 2 restore latest --to "$WORK/names"
    [ "$(owners "$WORK/names")" = "alice:3001 bob:2002 carol:2003 folder:3001 link:3001 shared:0 " ]
    [ "$(stat -c %g "$WORK/names$WORK/source/alice")" -eq 3001 ]
    [[ $output == *"owners go by name"* ]]
    [[ $output == *"user alice: 3 entries with number 3001, which was 2001"* ]]
    [[ $output == *"group alice: 1 entries with number 3001, which was 2001"* ]]
    [[ $stderr == *"warning: user carol: 1 entries with number 2003, for the name is unknown here; here that is dave"* ]]
    [[ $stderr == *"ACLs were set by number"* ]]
    [[ $output$stderr != *bob* ]]
    run -3 --separate-stderr on 2 --json restore latest --to "$WORK/names2" --owners names
    jq -e '.owners == "names" and .acl_numbers == 1 and .warning_count == 2 and
        ([.owner_differences[] | [.kind, .name, .recorded, .restored, .number, .belongs_to, .entries]] | sort) ==
        [["group", "alice", 2001, 3001, 3001, null, 1], ["user", "alice", 2001, 3001, 3001, null, 3],
         ["user", "carol", 2003, 2003, null, "dave", 1]]' <<<"$output"
}

@test "owners go by number where that is asked for, and what they mean here is said" {
    run -0 --separate-stderr on 2 restore latest --to "$WORK/numbers" --owners numbers
    [ "$(owners "$WORK/numbers")" = "alice:2001 bob:2002 carol:2003 folder:2001 link:2001 shared:0 " ]
    [[ $output == *"owners go by number"* ]]
    [[ $output == *"user alice: 3 entries with number 2001, though the name has number 3001 here"* ]]
    [[ $output == *"user carol: 1 entries with number 2003, for the name is unknown here; here that is dave"* ]]
    [ -z "$stderr" ]
}

@test "where the users are the same nothing is said of them" {
    run -0 --separate-stderr on 1 restore latest --to "$WORK/same"
    [ "$(owners "$WORK/same")" = "alice:2001 bob:2002 carol:2003 folder:2001 link:2001 shared:0 " ]
    [ "${#lines[@]}" -eq 3 ]
    [ -z "$stderr" ]
}

@test "a system that is restored whole, or has users of its own, gets its numbers" {
    mkdir -p "$WORK/system/etc"
    cp "$WORK/passwd1" "$WORK/system/etc/passwd"
    run -0 on 2 restore latest --to "$WORK/system"
    [[ $output == *"owners go by number: there is an etc/passwd of its own"* ]]
    [ "$(owners "$WORK/system")" = "alice:2001 bob:2002 carol:2003 folder:2001 link:2001 shared:0 " ]
    # A snapshot that brings the users with it.
    sed "s|paths = .*]|paths = [ \"/etc/passwd\", \"$WORK/source\" ]|; s/\"files\"; source/\"system\"; source/" \
        "$WORK/holdfast.conf" >"$WORK/system.conf"
    mv "$WORK/holdfast.conf" "$WORK/files.conf"
    cp "$WORK/system.conf" "$WORK/holdfast.conf"
    on 1 -q backup
    run -0 on 2 restore system:latest --to "$WORK/bare"
    [[ $output == *"owners go by number: etc/passwd is restored with them"* ]]
    [ "$(owners "$WORK/bare")" = "alice:2001 bob:2002 carol:2003 folder:2001 link:2001 shared:0 " ]
    # On the machine itself they go by name, unless its users are to be replaced.
    run -0 on 2 restore system:latest --to / -n
    [[ $output == *"owners go by name"* ]]
    run -3 on 2 restore files:latest --to / -n --overwrite changed
    [[ $output == *"owners go by name"* ]]
    run -0 on 2 restore system:latest --to / -n --overwrite changed
    [[ $output == *"owners go by number: etc/passwd is restored with them"* ]]
    # A part of it goes by name as any other does.
    run -0 on 2 restore system:latest "$WORK/source/alice" --to "$WORK/part"
    [[ $output == *"owners go by name"* ]]
    [ "$(stat -c %u "$WORK/part$WORK/source/alice")" -eq 3001 ]
    mv "$WORK/files.conf" "$WORK/holdfast.conf"
}

@test "an entry of an ACL for the owner goes with the owner" {
    holdfast -q forget system:latest 2>/dev/null || true
    setfacl -m u:2001:rw "$WORK/source/alice"
    on 1 -q backup
    run -3 on 2 restore files:latest "$WORK/source/alice" "$WORK/source/shared" --to "$WORK/acl"
    [[ $output == *"warning: 1 users and groups in ACLs were set by number"* ]]
    getfacl -n --omit-header -p "$WORK/acl$WORK/source/alice" | grep -q '^user:3001:rw-'
    getfacl -n --omit-header -p "$WORK/acl$WORK/source/shared" | grep -q '^user:2002:r--'
}
