load ../lib/common.bash
setup() { make_work passphrase; echo text >"$WORK/source/file"; }
teardown() { drop_work; }

words="seven words that nobody would ever guess today"

given() { # FORMAT of printf
    # shellcheck disable=SC2059
    printf "$1" >"$WORK/passphrase"
}

reads() { [ "$(holdfast cat latest "$WORK/source/file")" = text ]; }

@test "a passphrase file of Windows is the same passphrase as that which a person types" {
    given "$words\r\n"
    make_repo
    holdfast -q backup
    reads
    for line in "$words\n" "\357\273\277$words\r\n"; do
        given "$line"
        reads
    done
}

@test "a passphrase that could not be typed is refused by init, with the reason" {
    write_config
    while IFS='|' read -r line why; do
        given "$line"
        run holdfast init
        echo "$line: $output"
        [ "$status" -eq 2 ]
        [[ $output == *"$why"* ]]
        [ ! -e "$WORK/host.key" ]
    done <<E
\357\273\277$words\n|byte-order mark
\377\376s\000e\000v\000e\000n\000 \000w\000o\000r\000d\000s\000|UTF-16
$words\000 more\n|a NUL byte
$words\nand more\n|more than one line
\n$words\n|more than one line
$words\n\n|more than one line
seven\twords that nobody would ever guess|a tab
se\314\210ven words that nobody would ever guess|write as two
seven w\366rds that nobody would ever guess|UTF-8
$words \n|begins or ends with a space
\n|holds no passphrase
E
    given "$words"
    holdfast -q init
}

@test "a repository whose passphrase was taken with its line end or mark opens, from the file and typed" {
    make_repo
    holdfast -q backup
    local was="$words" kept
    for kept in "$words\r" "\357\273\277$words\r"; do
        given "$was"
        cp "$WORK/passphrase" "$WORK/was"
        given "$kept"
        cp "$WORK/passphrase" "$WORK/kept"
        /usr/bin/python3 "$BATS_TEST_DIRNAME/../lib/set_passphrase.py" "$WORK/repo1" "$WORK/was" "$WORK/kept" # as older versions did
        was=$kept
        given "$kept\n"
        reads
        given "$words\n"
        reads
    done
}

@test "a wrong passphrase with something in it that nobody sees is told so" {
    make_repo
    holdfast -q backup
    given "other words\twith a tab\n"
    run holdfast cat latest "$WORK/source/file"
    [ "$status" -eq 1 ]
    [[ $output == *"hint: what was given may not be what was meant: the passphrase has a tab"* ]]
}

@test "a person key in a file of Windows opens" {
    write_config
    env -u HOLDFAST_PASSPHRASE_FILE "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q init --person-key "$WORK/person.key"
    holdfast -q backup
    { printf '\357\273\277' && sed 's/$/\r/' "$WORK/person.key"; } >"$WORK/copy.key"
    chmod 600 "$WORK/copy.key"
    [ "$(holdfast cat latest "$WORK/source/file" --person-key "$WORK/copy.key")" = text ]
}
