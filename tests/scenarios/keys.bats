load ../lib/common.bash
setup() { make_work passphrase; make_repo; make_small_tree; holdfast -q backup; }
teardown() { drop_work; }

bare() { env -u HOLDFAST_PASSPHRASE_FILE "$HOLDFAST_BIN" "$@" </dev/null; }
without_passphrase() { bare -c "$WORK/holdfast.conf" "$@"; }

@test "a host key without passphrase backs up, lists, finds, compares, prunes and verifies" {
    without_passphrase backup
    without_passphrase snapshots
    without_passphrase ls latest "$WORK/source/a"
    without_passphrase find hello
    without_passphrase diff latest latest
    without_passphrase prune --force
    without_passphrase verify --all
}

@test "a host key without passphrase cannot read contents" {
    run without_passphrase cat latest "$WORK/source/a/hello"
    [ "$status" -eq 1 ]
    run without_passphrase restore latest --to "$WORK/out"
    [ "$status" -eq 1 ]
    [[ $output == *passphrase* ]]
    [ ! -e "$WORK/out$WORK/source/a/hello" ]
    run without_passphrase export latest
    [ "$status" -eq 1 ]
    run without_passphrase verify --content
    [ "$status" -eq 1 ]
}

@test "a bare machine restores with the passphrase and the target's address alone" {
    mkdir "$WORK/bare"
    (cd "$WORK/bare" && "$HOLDFAST_BIN" restore latest --to "$WORK/bare/out" --target "$(store_url 1)")
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/bare/out$WORK/source"
}

@test "a bare machine lists, reads and exports with --target, too" {
    cd "$WORK"
    [ "$("$HOLDFAST_BIN" --json snapshots --target "$(store_url 1)" | jq '.snapshots | length')" -eq 1 ]
    [[ $("$HOLDFAST_BIN" ls latest "$WORK/source/a" --target "$(store_url 1)") == *hello* ]]
    [ "$("$HOLDFAST_BIN" cat latest "$WORK/source/a/hello" --target "$(store_url 1)")" = hello ]
    "$HOLDFAST_BIN" export latest --target "$(store_url 1)" | tar -tf - | grep -q a/hello
}

@test "init can leave the person's key in a file instead of a passphrase on the targets" {
    sed -e "s|host.key|host4.key|; s|/state\"|/state4\"|; s|^targets = .*|targets = ( { name = \"disk4\"; type = \"local\"; path = \"$WORK/repo4\"; } );|" "$WORK/holdfast.conf" >"$WORK/fourth.conf"
    bare -c "$WORK/fourth.conf" -q init --person-key "$WORK/person.key"
    [ "$(stat -c %a "$WORK/person.key")" = 600 ]
    ! compgen -G "$WORK/repo4/keys/p-*" || false
    bare -q -c "$WORK/fourth.conf" backup
    bare -q restore latest --to "$WORK/out" --target "$WORK/repo4" --person-key "$WORK/person.key"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out$WORK/source"
    run bare -c "$WORK/fourth.conf" init --person-key "$WORK/person.key"
    [ "$status" -ne 0 ]
}

@test "a wrong passphrase is refused with a hint" {
    echo "quite another set of words here now" >"$WORK/wrong"
    chmod 600 "$WORK/wrong"
    run holdfast restore latest --to "$WORK/out" --passphrase-file "$WORK/wrong"
    [ "$status" -eq 1 ]
    [[ $output == *"passphrase is wrong"* ]]
    [[ $output == *hint:* ]]
}

@test "a second host is added, backs up, and restores as a person can" {
    holdfast -q host add second --out "$WORK/second.key" --role prune
    sed -e 's|host.key|second.key|; s|/state"|/state2"|' "$WORK/holdfast.conf" >"$WORK/second.conf"
    # Whatever it calls itself: nobody takes its snapshots for those of another host.
    sed -i 's/^name = .*/name = first/' "$WORK/second.key"
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup
    [ "$(holdfast --json snapshots | jq '[.snapshots[].host] | unique | length')" -eq 2 ]
    [ "$(holdfast --json snapshots | jq '[.snapshots[] | select(.host == "second")] | length')" -eq 1 ]
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" restore second/files:latest --to "$WORK/out2"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$WORK/out2$WORK/source"
}

@test "a host that may only write cannot prune or forget" {
    holdfast -q host add writer --out "$WORK/writer.key" --role write
    sed -e 's|host.key|writer.key|; s|/state"|/state3"|' "$WORK/holdfast.conf" >"$WORK/writer.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/writer.conf" backup
    run "$HOLDFAST_BIN" -c "$WORK/writer.conf" prune --force
    [ "$status" -eq 1 ]
    run "$HOLDFAST_BIN" -c "$WORK/writer.conf" forget latest
    [ "$status" -eq 1 ]
}

@test "no key on the host opens a data pack" {
    run python3 "$BATS_TEST_DIRNAME/../lib/host_secrets.py" "$WORK/host.key"
    [ "$status" -eq 0 ]
    run holdfast verify --content --passphrase-file "$WORK/host.key"
    [ "$status" -eq 1 ]
}
