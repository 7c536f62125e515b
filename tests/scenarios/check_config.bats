# What check-config says of a configuration, and that what it accepts can be made.
load ../lib/common.bash
setup() { make_work; }
teardown() { drop_work; }

check() { # STATUS WORDS...
    local expected=$1 words
    shift
    run holdfast check-config
    [ "$status" -eq "$expected" ] || { echo "status $status: $output"; return 1; }
    for words in "$@"; do
        [[ $output == *"$words"* ]] || { echo "no \"$words\" in: $output"; return 1; }
    done
}

targets() { # COUNT
    local i
    for i in $(seq "$1"); do
        [ "$i" -eq 1 ] || printf ', '
        printf '{ name = "t%s"; type = "local"; path = "%s/repo%s"; }' "$i" "$WORK" "$i"
    done
}

@test "as many targets as check-config accepts can be made and written to" {
    echo text >"$WORK/source/file"
    write_targets_config "$(targets 17)"
    check 2 '"targets" has 17 entries; it takes 1 to 16'
    write_targets_config "$(targets 16)"
    check 0
    holdfast -q init
    holdfast -q backup
    [ "$(find "$WORK"/repo*/snapshots -type f | wc -l)" -eq 16 ]
}

@test "the largest pack size that check-config accepts makes a repository that opens" {
    write_targets_config "$(targets 1)" "" 'pack_size = "129M";'
    check 2 'pack_size' 'takes 64.0 KiB to 128.0 MiB'
    write_targets_config "$(targets 1)" "" 'pack_size = "128M"; chunk_average = "16M";'
    check 0
    holdfast -q init
    head -c 3000000 /dev/urandom >"$WORK/source/file"
    holdfast -q backup
    holdfast cat latest "$WORK/source/file" | cmp - "$WORK/source/file"
}

@test "an exclude pattern that matches nothing is refused where the configuration is read" {
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; exclude = [ \"*.tmp\", \"[a\" ]; };"
    check 2 'holdfast.conf:3: job "files": exclude pattern "[a": a bracket is not closed'
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; exclude = [ \"$(printf 'x%.0s' $(seq 4097))\" ]; };"
    check 2 'it has more than 4096 bytes'
}

@test "a configuration with line ends and a byte-order mark of Windows is read" {
    write_config
    sed -i '1s/^/\xef\xbb\xbf/; s/$/\r/' "$WORK/holdfast.conf"
    check 0
}

@test "what the configuration names and this machine lacks is a warning, each with a hint" {
    echo x >"$WORK/plain"
    chmod 600 "$WORK/plain"
    cp "$WORK/plain" "$WORK/open"
    chmod 644 "$WORK/open"
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; };
targets = ( { name = "file"; type = "local"; path = "$WORK/plain"; },
            { name = "bucket"; type = "s3"; provider = "aws"; region = "eu-central-1"; bucket = "bucket";
              credentials_file = "$WORK/none.credentials"; ca_file = "$WORK/none.pem"; } );
jobs = (
  { name = "files"; source = { type = "files"; paths = [ "$WORK/source", "$WORK/none" ]; };
    hooks = { before = ( [ "true" ], [ "no-such-program" ] ); on_failure = [ "$WORK/plain" ]; }; },
  { name = "dump"; source = { type = "command"; command = [ "no-such-dump" ]; }; },
  { name = "archive"; source = { type = "tar"; archive = "$WORK/none.tar"; }; } );
hooks = { after = [ "$WORK/none.sh" ]; };
notify = ( { type = "webhook"; url_file = "$WORK/open"; }, { type = "mail"; to = [ "root" ]; command = [ "no-such-mailer" ]; } );
metrics = { textfile = "$WORK/none/holdfast.prom"; };
C
    check 3 "target \"file\": $WORK/plain is not a folder" \
        "credentials_file: cannot open $WORK/none.credentials" "ca_file: $WORK/none.pem: No such file" \
        "job \"files\": source $WORK/none: No such file" 'job "files": hook before: cannot run no-such-program' \
        "job \"files\": hook on_failure: cannot run $WORK/plain: Permission denied" \
        'job "dump": command: cannot run no-such-dump' "job \"archive\": archive $WORK/none.tar: No such file" \
        "hook after: cannot run $WORK/none.sh" "url_file: $WORK/open holds a secret" 'mail: cannot run no-such-mailer' \
        "metrics.textfile: $WORK/none: No such file"
    [ "$(grep -c '^hint: .' <<<"$output")" -eq 12 ]
    [[ $output != *"cannot run true"* && $output != *"source $WORK/source:"* ]]
    [ "$(holdfast --json check-config 2>/dev/null | jq '.configurations[0].warnings | length')" -eq 12 ]
}

@test "sources that no backup can take, or that it leaves out, are warned of" {
    mkfifo "$WORK/fifo"
    mkdir -p "$WORK/repo1/inside" "$WORK/source/repo2"
    ln -s "$WORK/repo1/inside" "$WORK/link"
    write_targets_config "{ name = \"a\"; type = \"local\"; path = \"$WORK/repo1\"; }, { name = \"b\"; type = \"local\"; path = \"$WORK/source/repo2\"; }" \
        "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/fifo\", \"$WORK/repo1/inside\", \"$WORK/link\", \"$WORK/state\" ]; };"
    mkdir "$WORK/state"
    check 3 "source $WORK/fifo is neither a folder nor a file" "source $WORK/repo1/inside lies in the folder of a target" \
        "source $WORK/link lies in the folder of a target" "source $WORK/state lies in the state folder"
    [ "$(grep -c '^hint: .' <<<"$output")" -eq 4 ]
    ln -s repo1 "$WORK/again"
    write_targets_config "{ name = \"a\"; type = \"local\"; path = \"$WORK/repo1\"; }, { name = \"b\"; type = \"local\"; path = \"$WORK/again\"; }"
    check 3 "target \"b\": $WORK/again is the same folder as that of target \"a\""
}

@test "what a new user may write and not mean is warned of" {
    ln -s source "$WORK/link"
    job() { write_config 1 "source = { type = \"files\"; $1 };"; }
    job "paths = [ \"$WORK/link\" ];"
    check 3 "source $WORK/link is a symbolic link, and it alone is kept" "name what it leads to"
    job "paths = [ \"$WORK/link\", \"$WORK/source\" ];"
    check 0
    job "paths = [ \"$WORK/*\" ];"
    check 3 "source $WORK/*: No such file" "paths are no patterns"
    job "paths = [ \"$WORK/source\" ]; exclude = [ \"a\", \"**\" ];"
    check 3 "exclude leaves out all of source $WORK/source"
    job "paths = [ \"$WORK/source\" ]; exclude = [ \"*\", \"!*.conf\" ];"
    check 0
    write_config 1 "source = { type = \"tar\"; archive = \"$WORK/source\"; };"
    check 3 "archive $WORK/source is a folder"
    write_config 1 'source = { type = "command"; command = [ "echo one | cat" ]; };'
    check 3 "command: cannot run echo one | cat" 'write each word on its own, or [ "sh", "-c", "..." ]'
}

@test "classes that are taken and not limited, or kept and never taken, are warned of" {
    local source="source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };"
    write_config 1 "$source schedule = { daily = \"02:30\"; weekly = \"sun 03:00\"; }; keep = { daily = 7; monthly = 12; };"
    check 3 'schedule has weekly, and keep has not: weekly snapshots never expire' \
        'keep has monthly, and schedule has not: no monthly snapshot is taken'
    [ "$(grep -c '^hint: .' <<<"$output")" -eq 2 ]
    write_config 1 "$source schedule = { daily = \"02:30\"; }; keep = { within = \"30d\"; };"
    check 3 'schedule has daily, and keep has not: daily snapshots never expire'
    for good in 'schedule = { daily = "02:30"; }; keep = { daily = 7; within = "30d"; };' 'schedule = { daily = "02:30"; };' \
        'keep = { weekly = 3; };'; do
        write_config 1 "$source $good"
        check 0
        [[ $output != *warning* ]]
    done
}

@test "before init nothing that init makes is missing, afterwards it is" {
    write_config
    check 0
    [[ $output != *warning* ]]
    if [ -z "${HOLDFAST_STORE:-}" ]; then
        run holdfast check-config --online
        [ "$status" -eq 0 ]
        [[ $output == *"note"*"$WORK/repo1 is not there yet: init makes it"* ]]
    fi
    holdfast -q init
    check 0
    mv "$WORK/host.key" "$WORK/elsewhere"
    check 3 "key_file: $WORK/host.key: No such file"
    mv "$WORK/elsewhere" "$WORK/host.key"
    mv "$WORK/repo1" "$WORK/unmounted"
    run holdfast check-config --online
    [ "$status" -eq 1 ]
    [[ $output == *"is the disk mounted?"* ]]
}

@test "two configurations of a folder that share a place are warned of" {
    mkdir "$WORK/all"
    for name in a b; do
        cat >"$WORK/all/$name.conf" <<C
repository = { name = "$name"; key_file = "$WORK/$name.key"; state_dir = "$WORK/state"; };
targets = ( { name = "disk"; type = "local"; path = "$WORK/repo-$name"; } );
jobs = ( { name = "files"; source = { type = "files"; paths = [ "$WORK/source" ]; }; } );
C
    done
    run "$HOLDFAST_BIN" -c "$WORK/all" check-config
    [ "$status" -eq 3 ]
    [[ $output == *"b.conf: state_dir is $WORK/state, as in $WORK/all/a.conf"* ]]
    sed -i 's|/state"|/state-b"|' "$WORK/all/b.conf"
    "$HOLDFAST_BIN" -c "$WORK/all" check-config
}
