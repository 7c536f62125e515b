# What holdfast(1) says of the command line: statuses, JSON, hints, progress, help, folders of configurations.
# shellcheck disable=SC2086 # $KEY is two words
load ../lib/common.bash
setup() {
    make_work passphrase
    # A person's key in a file is opened in no time, which a passphrase is not.
    unset HOLDFAST_PASSPHRASE_FILE
    KEY="--person-key $WORK/person.key"
}
teardown() { drop_work; }

init_repo() { holdfast -q init $KEY; }
make_repo() {
    write_config "$@"
    init_repo
}

PAGE="$BATS_TEST_DIRNAME/../../man/holdfast.1"

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

# ends STATUS COMMAND...: standard output to $WORK/out, standard error to $WORK/err; a failure has a hint.
ends() {
    local wanted=$1 got=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
    [ "$got" -eq "$wanted" ] || fail "$*: status $got instead of $wanted: $(cat "$WORK/err")"
    case $wanted in 1 | 2 | 4 | 5)
        grep -q '^holdfast: ' "$WORK/err" || [ -n "${NO_ERROR_LINE:-}" ] || fail "$*: no error: $(cat "$WORK/err")"
        grep -q '^hint: ' "$WORK/err" || fail "$*: no hint: $(cat "$WORK/err")" ;;
    esac
}

says() { grep -qF -- "$1" "$WORK/err" || fail "does not say \"$1\": $(cat "$WORK/err")"; }

# json STATUS COMMAND...: the document is as the page has it.
json() {
    local status=$1 name=$2
    shift
    [ "$name" != host ] || name="host $2"
    NO_ERROR_LINE=1 ends "$status" holdfast --json "$@"
    python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" "$PAGE" "$name" <"$WORK/out"
}

on_terminal() { python3 "$BATS_TEST_DIRNAME/../lib/on_terminal.py" "$@"; }

@test "exit statuses: done, failed, usage, warnings, busy, integrity, behind" {
    make_repo 2
    echo one >"$WORK/source/one"
    ends 0 holdfast backup
    ends 1 holdfast restore latest /no/such --to "$WORK/to" $KEY
    ends 1 holdfast snapshots --target "$WORK/nothing" --person-key "$WORK/nokey"
    ends 2 holdfast backup nojob
    ends 2 holdfast forget files:latests
    # A file that is gone when its turn comes cannot be read.
    write_config 2 "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/gone\" ]; };"
    ends 3 holdfast backup
    says "$WORK/gone"
    write_config 2
    exec 9>>"$WORK/state/lock"
    flock 9
    ends 4 holdfast backup
    exec 9>&-
    mv "$WORK/repo2" "$WORK/away"
    ends 6 holdfast backup
    says "target disk2"
    mv "$WORK/away" "$WORK/repo2"
    ends 0 holdfast backup
    local pack
    pack=$(find "$WORK/repo1/packs" -type f | head -1)
    chmod u+w "$pack"
    printf XXXXXXXX | dd of="$pack" bs=1 seek=20 conv=notrunc status=none
    NO_ERROR_LINE=1 ends 5 holdfast verify --all
    ends 0 holdfast heal
}

@test "one job of several that fails gives status 1, and the others are done" {
    write_config 1 "source = { type = \"command\"; command = [ \"false\" ]; }; }, { name = \"good\"; source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };"
    init_repo
    echo one >"$WORK/source/one"
    ends 1 holdfast backup
    ends 0 holdfast ls good:latest
    ends 1 holdfast ls files:latest
}

@test "each document of --json has the names and types that holdfast(1) lists" {
    write_config 2
    json 0 check-config
    json 0 init --person "somebody" $KEY
    make_small_tree
    printf x >"$WORK/source/"$'odd\xff'
    json 3 status
    json 0 backup
    json 0 snapshots
    echo more >"$WORK/source/a/hello"
    rm "$WORK/source/random"
    touch -d 2020-01-01 "$WORK/source/link" -h
    json 3 backup --class daily
    jq -e '.jobs[0].exit_status == 3 and .jobs[0].job == "files"' <"$WORK/out"
    json 0 snapshots files
    jq -e '.snapshots | length == 2 and .[1].classes == ["daily"] and .[1].targets == ["disk1", "disk2"] and .[0].time <= .[1].time' <"$WORK/out"
    json 0 ls latest "$WORK/source"
    jq -e '.entries[] | select(.path_base64) | .path | endswith("odd\\xff")' <"$WORK/out"
    json 0 find 'li*'
    jq -e '.entries[0].link_target == "a/hello" and (.entries | length) == 2' <"$WORK/out"
    json 0 diff files:manual files:daily
    jq -e '[.changes[].change] | contains(["removed", "content", "metadata"])' <"$WORK/out"
    json 0 restore latest --to "$WORK/to" $KEY
    json 0 restore latest --to "$WORK/to" $KEY --overwrite changed --dry-run
    json 0 pin latest
    jq -e '.event == "pinned" and (.snapshots | length) == 1' <"$WORK/out"
    json 0 unpin latest
    json 0 forget files:manual
    json 0 prune --dry-run
    json 0 prune
    json 0 verify
    json 0 verify --all
    find "$WORK/repo1/packs" -type f -delete
    json 5 verify --all
    jq -e '.problem_count > 0 and (.problems | length) > 0' <"$WORK/out"
    json 0 heal
    json 0 host add other --out "$WORK/other.key" $KEY
    json 0 host list
    jq -e '[.hosts[].name] | contains(["other"])' <"$WORK/out"
}

@test "JSON stays well formed with sources that are not UTF-8, and says which job failed" {
    local odd="$WORK/"$'s\xfe'
    mkdir "$odd"
    printf 'x' >"$odd/f"
    write_config 1 "source = { type = \"files\"; paths = [ \"$odd\" ]; };"
    init_repo
    json 0 backup
    json 0 snapshots
    jq -e '.snapshots[0].sources[0] | endswith("s\\xfe")' <"$WORK/out"
    jq -re '.snapshots[0].sources_base64[0]' <"$WORK/out" | base64 -d | cmp - <(printf %s "$odd")
    write_config 1 "source = { type = \"command\"; command = [ \"sh\", \"-c\", \"exit 3\" ]; };"
    ends 1 holdfast --json backup
    jq -e '.exit_status == 1 and .jobs[0].exit_status == 1 and (.jobs[0].error | length) > 0 and (.jobs[0] | has("id") | not)' <"$WORK/out"
}

@test "every mistake on the command line has an error, a hint and status 2" {
    write_config
    local words
    while IFS= read -r words; do
        ends 2 holdfast $words
        [ ! -s "$WORK/out" ] || fail "$words: printed to standard output"
    done <<'W'

nonsense
--nonsense snapshots
-Z snapshots
-q -v snapshots
--json=yes snapshots
snapshots a b
ls
diff latest
restore latest
restore latest --to
restore latest --to /x --overwrite sometimes
restore latest --to /x --from a --target b
restore latest --to /x --to /y
verify --all --sample 5
verify --sample 0
verify --sample 101
backup --class hourly
backup --dry-run
export latest --format rar
snapshots --passphrase-file a --person-key b
host
host remove
host add
help nonsense
W
    ends 2 holdfast bakcup
    says 'did you mean "backup"?'
    ends 2 holdfast backup --clas daily
    says "did you mean --class?"
    ends 2 holdfast restore latest --too /x
    says "did you mean --to?"
    ends 2 holdfast snpashots
    says "snapshots"
    ends 2 holdfast restore latest
    says "--to"
}

@test "closed standard files: nothing else gets their numbers; what cannot be written to is a failure" {
    # shellcheck disable=SC2016,SC2086
    make_repo 1 'source = { type = "command"; command = [ "sh", "-c", "readlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2" ]; };'
    local got=0
    holdfast -q backup <&- >&- 2>&-
    [ "$(holdfast cat latest files $KEY | sort -u)" = /dev/null ]
    holdfast snapshots >&- 2>"$WORK/err" || got=$?
    [ "$got" -eq 1 ]
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/lacks\" ]; };"
    echo text >"$WORK/source/file"
    got=0
    holdfast --json backup >/dev/full 2>"$WORK/err" || got=$? # not 3, as if all had been said
    [ "$got" -eq 1 ]
    grep -q "cannot write to standard output" "$WORK/err"
}

@test "errors of every command have a hint, before and behind init" {
    write_config
    local words
    for words in backup snapshots "ls latest" "find x" "cat latest /x $KEY" "diff a b" "restore latest --to $WORK/to $KEY" \
        "export latest $KEY" "forget latest" "pin latest" "unpin latest" prune verify heal "host list" "host add x --out $WORK/x $KEY"; do
        ends 1 holdfast $words
        [ ! -s "$WORK/out" ] || fail "$words: printed to standard output"
    done
    init_repo
    ends 1 holdfast init $KEY
    for words in "ls latest" "cat latest /x $KEY" "diff a b" "restore latest --to $WORK/to $KEY" "export latest $KEY" "forget latest" "pin latest"; do
        ends 1 holdfast $words
    done
    echo one >"$WORK/source/one"
    holdfast -q backup
    ends 1 holdfast ls latest /nowhere
    ends 1 holdfast cat latest /nowhere $KEY
    ends 2 holdfast cat latest "$WORK/source" $KEY
    ends 1 holdfast find nothing-has-this-name
    ends 1 holdfast export latest /nowhere $KEY
    ends 1 holdfast host add "$(holdfast --json host list | jq -r '.hosts[0].name')" --out "$WORK/x" $KEY
}

@test "help: every command explains itself on standard output" {
    local name
    ends 0 "$HOLDFAST_BIN" help
    while IFS=$'\t' read -r _ name _; do
        ends 0 "$HOLDFAST_BIN" $name --help
        [ ! -s "$WORK/err" ]
        head -1 "$WORK/out" | grep -q "^usage: holdfast $name" || fail "$name --help says: $(head -1 "$WORK/out")"
        cp "$WORK/out" "$WORK/long"
        ends 0 "$HOLDFAST_BIN" -h $name
        cmp "$WORK/out" "$WORK/long"
        ends 0 "$HOLDFAST_BIN" help $name
        cmp "$WORK/out" "$WORK/long"
    done < <("$HOLDFAST_BIN" help --table | grep '^command')
    ends 0 "$HOLDFAST_BIN" --version
    grep -Eq '^holdfast [0-9]+\.' "$WORK/out"
    ends 0 "$HOLDFAST_BIN" --help
}

@test "a progress line on a terminal, and nowhere else" {
    make_repo 1 "source = { type = \"command\"; command = [ \"sh\", \"-c\", \"for i in 1 2; do head -c 9000000 /dev/zero; sleep 0.3; done\" ]; };"
    shown() { grep -qa $'\033\[K' <<<"$1"; }
    local out
    out=$(on_terminal "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup)
    shown "$out" || fail "no progress on a terminal: $out"
    grep -qaE 'files: [0-9.]+ [KMG]iB' <<<"$out" || fail "$out"
    [[ $out == *$'\r\033[K' ]] || fail "the line is left behind: $out"
    out=$(on_terminal "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q backup)
    [ -z "$out" ] || fail "-q: $out"
    # How much there will be is known from the last time.
    out=$(on_terminal "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup)
    grep -qaE 'files: [0-9.]+ [KMG]iB of 17.2 MiB \([0-9]+ %\)' <<<"$out" || fail "no total: $out"
    out=$(TERM=dumb on_terminal "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup)
    ! shown "$out" || fail "on a dumb terminal: $out"
    ends 0 holdfast backup
    ! shown "$(cat "$WORK/err")" || false
    [ ! -s "$WORK/err" ] || fail "in a pipe: $(cat "$WORK/err")"
}

@test "heal, prune, backup and run show on a terminal how much they have copied" {
    make_repo 2 "" 'pack_size = "1M";'
    # The first pack takes a while to read, so that there is something to show.
    local h='[0-9a-f]'
    slowly() {
        on_terminal env LD_PRELOAD="$ON_ACCESS" ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
            ON_ACCESS_CALL=openat ON_ACCESS_NAME="$h$h$h$h$h$h$h$h$h*" ON_ACCESS_RUN='sleep 0.5' \
            "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@"
    }
    for i in $(seq 40); do head -c 300000 /dev/urandom >"$WORK/source/$i"; done
    holdfast -q backup
    [ "$(find "$WORK/repo1/packs" -type f | wc -l)" -gt 8 ] # more than are read at a time
    for i in $(seq 1 2 40); do rm "$WORK/source/$i"; done
    holdfast -q backup
    rm -r "$WORK/repo2"
    out=$(slowly heal --new-target disk2)
    grep -qaE 'heal: copying: [0-9.]+ [KM]iB of [0-9.]+ [KM]iB \([0-9]+ %\)' <<<"$out" || fail "$out"
    # Also what comes before a backup, to a target that has lost what it had.
    write_config 2 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; schedule = { daily = \"00:00\"; };"
    for words in backup run; do
        rm -r "$WORK"/repo2/packs "$WORK"/repo2/index "$WORK"/repo2/snapshots
        out=$(slowly "$words")
        grep -qaE "$words: copying: [0-9.]+ [KM]iB of [0-9.]+ [KM]iB \([0-9]+ %\)" <<<"$out" || fail "$words: $out"
    done
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    sleep 1.1
    out=$(slowly prune --force)
    grep -qaE 'prune: copying: [0-9.]+ [KM]iB of [0-9.]+ [KM]iB \([0-9]+ %\)' <<<"$out" || fail "$out"
    ends 0 holdfast verify --all
}

@test "-q prints errors and warnings only, -v says more" {
    make_repo
    echo one >"$WORK/source/one"
    local words normal
    for words in backup "verify --all" "pin latest" "unpin latest" prune heal "restore latest --to $WORK/to $KEY"; do
        ends 0 holdfast $words
        normal=$(cat "$WORK/out" "$WORK/err" | wc -l)
        ends 0 holdfast -q $words
        [ ! -s "$WORK/out" ] && [ ! -s "$WORK/err" ] || fail "-q $words: $(cat "$WORK/out" "$WORK/err")"
        [ "$normal" -gt 0 ] || fail "$words says nothing"
    done
    # What is asked for is printed however quiet.
    ends 0 holdfast -q snapshots
    [ -s "$WORK/out" ]
    ends 1 holdfast -q ls latest /nowhere
    mkfifo "$WORK/source/fifo"
    ends 0 holdfast backup
    normal=$(cat "$WORK/out" "$WORK/err" | wc -l)
    ends 0 holdfast -v backup
    [ "$(cat "$WORK/out" "$WORK/err" | wc -l)" -ge "$normal" ]
}

@test "-c DIR works on each configuration in it, in order, and ends with the worst status" {
    local name
    mkdir "$WORK/all"
    for name in b a; do
        sed "s|;  };|; };|" >"$WORK/all/$name.conf" <<C
repository = { name = "$name"; key_file = "$WORK/$name.key"; state_dir = "$WORK/state-$name"; };
targets = ( { name = "disk"; type = "local"; path = "$WORK/repo-$name"; } );
jobs = ( { name = "files"; source = { type = "files"; paths = [ "$WORK/source" ]; }; } );
C
        "$HOLDFAST_BIN" -q -c "$WORK/all/$name.conf" init --person-key "$WORK/$name.person"
    done
    echo "not a configuration" >"$WORK/all/notes.txt"
    echo one >"$WORK/source/one"
    all() { "$HOLDFAST_BIN" -c "$WORK/all" "$@"; }
    ends 0 all --json check-config
    [ "$(jq -r '[.configurations[].repository] | join(" ")' <"$WORK/out")" = "a b" ]
    ends 0 all backup
    ends 0 all snapshots
    [ "$(grep -c files "$WORK/out")" -eq 2 ]
    # 4 is less bad than 3, 3 than 2, 2 than 1, 1 than 5.
    exec 9>>"$WORK/state-a/lock"
    flock 9
    ends 4 all backup
    sed -i "s|paths = \[|& \"$WORK/gone\",|" "$WORK/all/b.conf"
    ends 3 all backup
    echo "nonsense" >"$WORK/all/c.conf"
    ends 2 all backup
    mv "$WORK/repo-b" "$WORK/away"
    ends 1 all backup
    exec 9>&-
    mv "$WORK/away" "$WORK/repo-b"
    find "$WORK/repo-a/packs" -type f -delete
    ends 5 all verify --all
    rm "$WORK"/all/*.conf
    ends 2 all backup
}
