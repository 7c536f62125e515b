load ../lib/common.bash
# faketime is preloaded before the sanitizer, which minds.
asan_aside() { ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0" "$@"; }
setup() {
    case $BATS_TEST_DESCRIPTION in
    *passphrase* | *"person key"* | *"another repository"*) make_work passphrase ;;
    *) make_work ;;
    esac
}
teardown() { drop_work; }

# /usr/bin: Debian's python3, which has the modules.
tamper() { /usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/tamper.py" "$@"; }
plant_keyring() { /usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/planted_keyring.py" "$@"; }

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

# ends STATUS WORDS COMMAND...: the command ends so and says so; where it fails it also says what to do.
ends() {
    local wanted=$1 words=$2
    shift 2
    run "$@"
    # shellcheck disable=SC2154
    [ "$status" -eq "$wanted" ] || fail "$*: status $status instead of $wanted: $output"
    [[ $output == *"$words"* ]] || fail "$*: does not say \"$words\": $output"
    [ "$wanted" -eq 0 ] || [[ $output == *hint:* ]] || fail "$*: no hint: $output"
}

# Nothing is lost: all is right again, and the newest snapshot is the source.
all_well() {
    ends 0 "0 problems" holdfast verify --all
    restore_and_compare latest
}

# ---- configuration, passphrases, files of keys ----

@test "a mistake in the configuration is shown with its file, its line and the nearest name" {
    write_config
    good=$(cat "$WORK/holdfast.conf")
    wrong() { # sed script, words, hint
        sed "$1" <<<"$good" >"$WORK/holdfast.conf"
        ends 2 "$2" holdfast check-config
        [[ $output == *"$3"* ]] || fail "$1: does not hint at \"$3\": $output"
        ends 2 "$2" holdfast backup
    }
    wrong '1s/key_file/key_fiel/' 'holdfast.conf:1: ' 'key_file'
    wrong '2s/path =/pth =/' 'holdfast.conf:2: ' 'path'
    wrong '2s/"local"/"locla"/' 'holdfast.conf:2: ' 'local'
    wrong '3s/source =/sorce =/' 'holdfast.conf:3: ' 'source'
    wrong '3s/type = "files"/type = "file"/' 'holdfast.conf:3: ' 'files'
    wrong '3s/name = "files"/name = "fi les"/' 'holdfast.conf:3: ' 'hint:'
    wrong '3s/source = /keep = { daily = -1; }; source = /' 'holdfast.conf:3: ' 'hint:'
    wrong '1s/;  };/; pack_size = "lots"; };/' 'holdfast.conf:1: ' 'hint:'
    wrong '1s/repository = {/repository = /' 'holdfast.conf:' 'hint:'
    wrong '2d' 'target' 'hint:'
    printf '\xff\xfe' >"$WORK/holdfast.conf"
    ends 2 "holdfast.conf" holdfast check-config
    rm "$WORK/holdfast.conf"
    run holdfast check-config
    [ "$status" -ne 0 ] && [[ $output == *"holdfast.conf"*hint:* ]]
}

@test "a wrong, weak, empty or readable passphrase, and a readable key file, are refused" {
    write_config
    echo short >"$WORK/weak"
    chmod 600 "$WORK/weak"
    ends 2 passphrase holdfast init --passphrase-file "$WORK/weak"
    [ ! -e "$WORK/repo1/config" ]
    make_repo
    make_small_tree
    holdfast -q backup
    echo "quite another set of words here now" >"$WORK/wrong"
    : >"$WORK/empty"
    chmod 600 "$WORK/wrong" "$WORK/empty"
    ends 1 "passphrase is wrong" holdfast restore latest --to "$WORK/out" --passphrase-file "$WORK/wrong"
    ends 2 "no passphrase" holdfast restore latest --to "$WORK/out" --passphrase-file "$WORK/empty"
    ends 1 "$WORK/none" holdfast restore latest --to "$WORK/out" --passphrase-file "$WORK/none"
    chmod 644 "$WORK/passphrase"
    ends 1 "group or others" holdfast restore latest --to "$WORK/out"
    [[ $output == *"chmod 600 $WORK/passphrase"* ]]
    [ ! -e "$WORK/out" ]
    chmod 600 "$WORK/passphrase"
    chmod 640 "$WORK/host.key"
    for command in backup snapshots "verify --all" "prune"; do
        # shellcheck disable=SC2086
        ends 1 "group or others" holdfast $command
        [[ $output == *"chmod 600 $WORK/host.key"* ]]
    done
    chmod 600 "$WORK/host.key"
    all_well
}

@test "a damaged, empty, missing or foreign host key file is refused, and a person restores without it" {
    make_repo
    make_small_tree
    holdfast -q backup
    cp -p "$WORK/host.key" "$WORK/good.key"
    sed -i 's/^private-key = ../private-key = zz/' "$WORK/host.key"
    ends 2 "host.key" holdfast backup
    sed -i '$d' "$WORK/host.key"
    ends 2 "host.key" holdfast backup
    : >"$WORK/host.key"
    ends 2 "host.key" holdfast backup
    rm "$WORK/host.key"
    ends 1 "host.key" holdfast backup
    restore_and_compare latest
    cp -p "$WORK/good.key" "$WORK/host.key"
    sed 's|host.key|other.key|; s|/state"|/state2"|; s|/repo1|/other1|' "$WORK/holdfast.conf" >"$WORK/other.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" init ${PERSON_KEY:+--person-key "$WORK/other-person.key"}
    cp "$WORK/other.key" "$WORK/host.key"
    ends 5 "keyring" holdfast backup
    cp "$WORK/good.key" "$WORK/host.key"
    all_well
}

# ---- objects ----

# Two targets with three snapshots, two events, a run and what a killed run leaves, and a second repository beside it.
make_pair() {
    make_repo 2 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; schedule = { daily = \"00:00\"; };"
    make_small_tree
    holdfast -q run
    holdfast -q pin latest
    echo more >"$WORK/source/more"
    holdfast -q backup
    head -c 1500000 /dev/urandom >"$WORK/source/random2"
    holdfast -q backup
    holdfast -q pin latest
    sed "s|host.key|other.key|; s|/state\"|/state2\"|; s|$WORK/repo|$WORK/other|g" "$WORK/holdfast.conf" >"$WORK/other.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" init ${PERSON_KEY:+--person-key "$WORK/other-person.key"}
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" run
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" pin latest
    cp -a "$WORK/repo1" "$WORK/good1"
    cp -a "$WORK/repo2" "$WORK/good2"
}

packs() { # repository, kind: 1 data, 2 meta
    find "$1/packs" -type f | sort | while read -r f; do
        [ "$(od -An -tu1 -j6 -N1 "$f" | tr -d ' ')" = "$2" ] && echo "$f"
    done
}

# objects REPOSITORY TYPE: their paths.
objects() {
    case $2 in
    config) echo "$1/config" ;;
    keyring) ls "$1"/keys/[0-9]*-* ;;
    person) ls "$1"/keys/p-* ;;
    data) packs "$1" 1 ;;
    meta) packs "$1" 2 ;;
    index) ls "$1"/index/* ;;
    manifest) ls "$1"/snapshots/* ;;
    event) ls "$1"/events/* ;;
    run) ls "$1"/runs/* ;;
    lease) ls "$1"/leases/* ;;
    esac
}

flip() {
    python3 - "$1" <<'P'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)
P
}

put_back() {
    rm -rf "$WORK/repo1" "$WORK/repo2"
    cp -a "$WORK/good1" "$WORK/repo1"
    cp -a "$WORK/good2" "$WORK/repo2"
}

# Damages one object of the type on the first target in every way that bytes under a wrong name can have.
each_damage() {
    local type=$1 victim second foreign how
    make_pair
    victim=$(objects "$WORK/repo1" "$type" | tail -1)
    second=$(objects "$WORK/good1" "$type" | head -1)
    foreign=$(objects "$WORK/other1" "$type" | head -1)
    for how in ${DAMAGES:-flipped half empty swapped another_type foreign_bytes}; do
        case $how in
        flipped) flip "$victim" ;;
        half) truncate -s $(($(stat -c %s "$victim") / 2)) "$victim" ;;
        empty) : >"$victim" ;;
        swapped)
            [ "$(basename "$second")" != "$(basename "$victim")" ] || continue
            cp "$second" "$victim"
            ;;
        another_type)
            other=manifest
            [ "$type" != manifest ] || other=index
            cp "$(objects "$WORK/good1" $other | head -1)" "$victim"
            ;;
        foreign_bytes) cp "$foreign" "$victim" ;;
        esac
        # Without what the catalog remembers, and with it.
        [ "$how" = flipped ] || rm -rf "$WORK/state"
        ends 5 "disk1" holdfast verify --all
        # The other target has a good copy: that is enough to restore, and to heal.
        restore_and_compare latest
        ends 0 "" env -u HOLDFAST_PASSPHRASE_FILE "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" heal
        cmp "$victim" "$WORK/good1/${victim#"$WORK/repo1/"}" || fail "$type $how is not healed"
        ends 0 "0 problems" holdfast verify --all
        put_back
    done
    # On the only target: an error, and all is well when the object is back.
    flip "$victim"
    rm -rf "$WORK/repo2" "$WORK/state"
    run holdfast verify --all
    [ "$status" -eq 5 ] || fail "$type, alone: $output"
    # shellcheck disable=SC2154
    [[ $output == *"${victim##*/}"* || $output == *"config at"* || $output == *keyring* ]] || fail "not named: $output"
    [[ $output == *hint:* ]]
    put_back
    rm -rf "$WORK/state"
    all_well
}

# What has a right name but does not belong here: it is told of, spreads to no other target, hides nothing.
foreign_object() {
    local type=$1 planted
    [ -d "$WORK/good1" ] || make_pair
    planted=$(tamper plant "$(objects "$WORK/repo1" "$type" | head -1)" "$(objects "$WORK/other1" "$type" | head -1)")
    ends 5 "${planted##*/}" holdfast verify --all
    holdfast -q backup
    ends 5 "${planted##*/}" holdfast heal
    [[ $output == *"remove by hand"* ]]
    [ ! -e "$WORK/repo2/${planted#"$WORK/repo1/"}" ] || fail "$type spread"
    run holdfast restore latest --to "$WORK/out-$type"
    [ "$status" -eq 0 ] || [ "$status" -eq 5 ]
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out-$type$WORK/source"
    rm "$planted"
    all_well
    put_back
    rm -rf "$WORK/state"
}

@test "config: damaged, cut, replaced" { each_damage config; }
@test "keyring: damaged, cut, replaced" { each_damage keyring; }
@test "person key: damaged, cut, replaced" { each_damage person; }
@test "data pack: damaged, cut, replaced" { each_damage data; }
@test "meta pack: damaged, cut, replaced" { each_damage meta; }
@test "index segment: damaged, cut, replaced" { each_damage index; }
@test "manifest: damaged, cut, replaced" { each_damage manifest; }
@test "event: damaged, cut, replaced" { each_damage event; }
@test "run record: damaged, cut, replaced" { each_damage run; }

@test "objects of another repository under names that fit are told of, do not spread and hide nothing" {
    for type in keyring person data meta index manifest event run; do
        foreign_object "$type"
    done
}

@test "a table of contents does not open in another pack" {
    make_pair
    mapfile -t list < <(objects "$WORK/repo1" data)
    moved=$(tamper move-contents "${list[0]}" "${list[1]}")
    ends 5 "${moved##*/}" holdfast verify --all
    [[ $output == *"table of contents"* ]]
    # The index may not be made to believe it, either: the catalog is rebuilt.
    rm -rf "$WORK/state"
    ends 5 "${moved##*/}" holdfast verify --all
    restore_and_compare latest
    ends 5 "remove by hand" holdfast heal
    rm "$moved"
    all_well
}

@test "a planted keyring is not obeyed" {
    make_repo 2
    make_small_tree
    holdfast -q backup
    planted=$(plant_keyring attack "$WORK/repo1")
    ends 5 "${planted##*/}" holdfast verify --all
    echo more >"$WORK/source/more"
    ends 0 "nobody who may has signed it" holdfast backup
    [ ! -e "$WORK/repo2/keys/${planted##*/}" ]
    # Sealed to the old recovery key, not to the attacker's.
    restore_and_compare latest
    (cd "$WORK" && "$HOLDFAST_BIN" -q restore latest --target "$WORK/repo1" --to "$WORK/bare")
    rm "$planted"
    all_well
}

@test "a planted person key opens nothing, and does not hide the right one" {
    make_repo 2
    make_small_tree
    holdfast -q backup
    right=$(objects "$WORK/repo1" person)
    # Of the same person's name, of a repository of the attacker's own.
    echo "words that the attacker knows and nobody else" >"$WORK/attacker"
    chmod 600 "$WORK/attacker"
    sed "s|host.key|other.key|; s|/state\"|/state2\"|; s|$WORK/repo|$WORK/other|g" "$WORK/holdfast.conf" >"$WORK/other.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/other.conf" init --passphrase-file "$WORK/attacker"
    planted=$(tamper plant "$right" "$(objects "$WORK/other1" person)")
    ends 1 "different repositories" holdfast restore latest --to "$WORK/out" --passphrase-file "$WORK/attacker"
    run "$HOLDFAST_BIN" restore latest --target "$WORK/repo1" --to "$WORK/out" --passphrase-file "$WORK/attacker"
    [ "$status" -eq 5 ]
    [ ! -e "$WORK/out" ]
    restore_and_compare latest
    ends 5 "${planted##*/}" holdfast verify --all
    rm "$planted"
    all_well
}

@test "an older state of a target is refused, or brought up to date from the others" {
    make_repo 1
    make_small_tree
    holdfast -q backup
    cp -a "$WORK/repo1" "$WORK/old"
    cp -a "$WORK/state" "$WORK/old-state"
    holdfast -q host add second --out "$WORK/second.key"
    echo more >"$WORK/source/more"
    holdfast -q backup
    mv "$WORK/repo1" "$WORK/new"
    # The host has seen the newer keyring and remembers it.
    cp -a "$WORK/old" "$WORK/repo1"
    for command in snapshots backup "prune --force" "verify --all" heal; do
        # shellcheck disable=SC2086
        ends 5 "has seen version 2" holdfast $command
    done
    [ "$(ls "$WORK/repo1/snapshots")" = "$(ls "$WORK/old/snapshots")" ]
    # Only the keyring.
    rm -rf "$WORK/repo1"
    cp -a "$WORK/new" "$WORK/repo1"
    rm "$WORK"/repo1/keys/2-*
    ends 5 "has seen version 2" holdfast snapshots
    # An older catalog with the newer target.
    rm -rf "$WORK/repo1" "$WORK/state"
    mv "$WORK/new" "$WORK/repo1"
    mv "$WORK/old-state" "$WORK/state"
    all_well
    # With a second target the older state is behind, and caught up with.
    write_config 2
    cp -a "$WORK/old" "$WORK/repo2"
    ends 6 "disk2" holdfast verify
    ends 0 "" holdfast heal
    "$HOLDFAST_BIN" -q restore latest --target "$WORK/repo2" --to "$WORK/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
    all_well
}

@test "what was pruned and is put back without its packs is told of and harms nothing" {
    make_repo 1
    make_small_tree
    holdfast -q backup
    old=$(holdfast --json snapshots | jq -r '.snapshots[0].id')
    cp -a "$WORK/repo1" "$WORK/old"
    rm "$WORK/source/random"
    backup_of_less
    holdfast -q forget "$old" 2>/dev/null
    holdfast -q prune
    cp -a "$WORK/repo1" "$WORK/new"
    cp -an "$WORK/old/index/." "$WORK/repo1/index/"
    cp -an "$WORK/old/snapshots/." "$WORK/repo1/snapshots/"
    rm -rf "$WORK/state"
    ends 5 "is missing" holdfast verify
    ends 5 "nothing is removed" holdfast prune --force
    restore_and_compare latest
    backup_of_less
    restore_and_compare latest
    ends 0 "forgot" holdfast forget "$old"
    ends 0 "" holdfast prune
    all_well
}

@test "a newer version of config, person key, pack or record is named as such and not guessed at" {
    write_config 2
    bare() { env -u HOLDFAST_PASSPHRASE_FILE "$@"; }
    bare "$HOLDFAST_BIN" -q -c "$WORK/holdfast.conf" init --person-key "$WORK/person.key"
    make_small_tree
    holdfast -q backup
    holdfast -q pin latest
    cp -a "$WORK/repo1" "$WORK/good1"
    for type in data meta index manifest event; do
        object=$(objects "$WORK/repo1" $type | head -1)
        tamper newer "$object"
        tamper rename "$object" >/dev/null
        rm -rf "$WORK/state"
        ends 5 "format version 1" holdfast verify --all
        # Nothing is deleted while there are things that cannot be read.
        case $type in index | manifest | event) ends 5 "version" holdfast prune --force ;; esac
        rm -rf "$WORK/repo1" "$WORK/state"
        cp -a "$WORK/good1" "$WORK/repo1"
        ends 0 "0 problems" holdfast verify --all
    done
    # As a newer version would: an admin signs the keyring that names the config.
    plant_keyring newer-config "$WORK/repo1" "$WORK/person.key"
    for command in backup snapshots "verify --all" "prune --force" heal; do
        # shellcheck disable=SC2086
        ends 1 "format version 1" bare "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" $command
        [[ $output == *"newer version of holdfast"* ]]
    done
    rm -rf "$WORK/repo1" "$WORK/state"
    cp -a "$WORK/good1" "$WORK/repo1"
    bare "$HOLDFAST_BIN" -q -c "$WORK/holdfast.conf" restore latest --to "$WORK/out" --person-key "$WORK/person.key"
    ends 0 "0 problems" holdfast verify --all
}

@test "a person key of a newer version is named as such" {
    make_repo 1
    make_small_tree
    holdfast -q backup
    object=$(objects "$WORK/repo1" person)
    cp "$object" "$WORK/good"
    tamper newer "$object"
    newer=$(tamper rename "$object")
    ends 1 "format version 1" holdfast restore latest --to "$WORK/out"
    rm "$newer"
    cp "$WORK/good" "$object"
    all_well
}

# ---- clocks, disks, neighbours ----

@test "a clock that jumps is named, and nothing expires by it" {
    make_repo 1 'keep = { manual = 2; within = "30d"; }; source = { type = "files"; paths = [ "'"$WORK"'/source" ]; };'
    make_small_tree
    for i in 1 2 3; do
        echo "$i" >"$WORK/source/number"
        holdfast -q backup
    done
    count() { holdfast --json snapshots 2>/dev/null | jq '.snapshots | length'; }
    # Ten years ahead: everything would be too old.
    ends 3 "this machine's clock says" asan_aside faketime -f +10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" prune --force
    [[ $output == *"clock seems to have jumped"* ]]
    [ "$(count)" -eq 3 ]
    ends 0 "this machine's clock says" asan_aside faketime -f +10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup
    ends 3 "clock seems to have jumped" asan_aside faketime -f +10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" prune --force
    [ "$(count)" -eq 4 ]
    # Right again: the one of the future is told of, displaces none and is kept.
    ends 0 "this machine's clock says" holdfast prune --force
    [ "$(count)" -eq 4 ]
    ends 0 "in the future" holdfast prune --dry-run
    # Ten years behind: all others are of the future.
    ends 0 "this machine's clock says" asan_aside faketime -f -10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup
    ends 0 "this machine's clock says" asan_aside faketime -f -10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" prune --force
    [ "$(count)" -eq 5 ]
    restore_and_compare "files@$(date -u +%F)"
    ends 0 "0 problems" asan_aside faketime -f -10y "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" verify --all
    ends 0 "0 problems" holdfast verify --all
}

small_disk() {
    mkdir "$WORK/mounted"
    mount -t tmpfs -o "size=$1" tmpfs "$WORK/mounted" 2>/dev/null || skip "cannot mount here"
}

@test "a full disk under a target fails that target, and nothing that was committed is lost" {
    small_disk 1m
    make_repo 2
    mkdir "$WORK/mounted/repo"
    cp -a "$WORK/repo2/." "$WORK/mounted/repo"
    sed -i "s|$WORK/repo2|$WORK/mounted/repo|" "$WORK/holdfast.conf"
    echo small >"$WORK/source/small"
    holdfast -q backup
    make_small_tree
    ends 6 "No space left on device" holdfast backup
    [[ $output == *disk2* ]]
    [ -z "$(find "$WORK/mounted/repo" -name '.tmp*')" ]
    [ -z "$(ls "$WORK/mounted/repo/leases")" ]
    # The only target.
    sed 's|{ name = "disk1"[^}]*}, ||; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/only.conf"
    ends 1 "No space left on device" "$HOLDFAST_BIN" -c "$WORK/only.conf" backup
    ends 0 "0 problems" "$HOLDFAST_BIN" -c "$WORK/only.conf" verify --all
    mount -o remount,size=20m "$WORK/mounted"
    ends 0 "" holdfast backup
    all_well
    "$HOLDFAST_BIN" -q restore latest --target "$WORK/mounted/repo" --to "$WORK/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
}

@test "a full disk under the state folder fails the command, and the next one rebuilds" {
    small_disk 2m
    make_repo
    make_small_tree
    holdfast -q backup
    sed "s|$WORK/state|$WORK/mounted/state|" "$WORK/holdfast.conf" >"$WORK/small.conf"
    head -c 4000000 /dev/zero >"$WORK/mounted/filler" 2>/dev/null || true
    for command in backup snapshots "verify --all"; do
        # shellcheck disable=SC2086
        ends 1 "$WORK/mounted/state" "$HOLDFAST_BIN" -c "$WORK/small.conf" $command
    done
    rm "$WORK/mounted/filler"
    echo more >"$WORK/source/more"
    ends 0 "" "$HOLDFAST_BIN" -c "$WORK/small.conf" backup
    all_well
}

@test "a full disk under the destination of a restore fails it, and with room it is finished" {
    small_disk 1m
    make_repo
    make_small_tree
    holdfast -q backup
    ends 1 "No space left on device" holdfast restore latest --to "$WORK/mounted/out"
    [[ $output == *"the rest was not begun"* ]]
    mount -o remount,size=20m "$WORK/mounted"
    holdfast -q restore latest --to "$WORK/mounted/out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/mounted/out$WORK/source"
    all_well
}

@test "a second writer is told who is at work and ends 4; readers are let in" {
    make_repo
    make_small_tree
    holdfast -q backup
    sed 's|type = "files"; paths = [^}]* }|type = "command"; command = [ "sleep", "300" ]; filename = "x"; }|' \
        "$WORK/holdfast.conf" >"$WORK/slow.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/slow.conf" backup >/dev/null 2>&1 3>&- &
    writer=$!
    until [ -n "$(ls "$WORK/repo1/leases" 2>/dev/null)" ]; do kill -0 "$writer"; sleep 0.05; done
    for command in backup prune heal "forget latest"; do
        # shellcheck disable=SC2086
        ends 4 "process $writer since" holdfast $command
    done
    ends 0 "files" holdfast snapshots
    ends 0 "0 problems" holdfast verify --all
    restore_and_compare latest
    kill "$writer"
    wait "$writer" || true
    holdfast -q backup
    all_well
}

@test "what a prune has copied that failed before the index told of it is not relied on" {
    make_repo 1 "" 'pack_size = "1M";'
    for i in $(seq 40); do head -c 300000 /dev/urandom >"$WORK/source/part$i"; done
    holdfast -q backup
    # Of nearly every pack a part dies: they are copied.
    for i in $(seq 1 2 40); do rm "$WORK/source/part$i"; done
    holdfast -q backup
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    sleep 1.1
    packs=$(find "$WORK/repo1/packs" -type f | wc -l)
    touch "$WORK/before"
    chattr +i "$WORK/repo1/index"
    run holdfast prune
    chattr -i "$WORK/repo1/index"
    [ "$status" -ne 0 ]
    [ "$(find "$WORK/repo1/packs" -type f | wc -l)" -gt "$packs" ] # the copies
    # What was copied is lost: who wrote the copies must not take them for what others find.
    cp -a "$WORK/repo1" "$WORK/kept"
    find "$WORK/repo1/packs" -type f -size +900k ! -newer "$WORK/before" -delete
    ends 5 "it is missing, and snapshots need it" holdfast verify
    rm -r "$WORK/repo1"
    mv "$WORK/kept" "$WORK/repo1"
    holdfast -q prune --force
    # Another host knows what the index lists, and no more.
    sed "s|/state\"|/state2\"|" "$WORK/holdfast.conf" >"$WORK/other.conf"
    "$HOLDFAST_BIN" -c "$WORK/other.conf" verify --all
    rm -r "$WORK/state"
    holdfast verify --all
    restore_and_compare latest
}
