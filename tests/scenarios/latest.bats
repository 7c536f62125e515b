# Which snapshot is meant, where several jobs or hosts have some; and what a restore says of it.
load ../lib/common.bash

setup_file() {
    make_work
    mkdir "$WORK/other"
    echo files >"$WORK/source/one"
    echo other >"$WORK/other/two"
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; schedule = { daily = \"00:00\"; }; },
        { name = \"other\"; source = { type = \"files\"; paths = [ \"$WORK/other\" ]; }; },
        { name = \"dump\"; source = { type = \"command\"; command = [ \"echo\", \"dumped\" ]; filename = \"all.sql\"; };"
    holdfast -q init
    holdfast -q backup
    HOST=$(holdfast --json host list | jq -r '.hosts[0].name')
    export HOST HOLDFAST_BIN
}
teardown_file() { drop_work; }
setup() { cd "$WORK" || exit; }

# refused COMMAND...: with the list of what could be meant.
refused() {
    run -2 --separate-stderr holdfast "$@"
    local job
    [ -z "$output" ]
    for job in dump files other; do
        grep -q "^hint: $HOST/$job:latest  taken 20..-" <<<"$stderr"
    done
}

bats_require_minimum_version 1.5.0

@test "latest is refused where several jobs have snapshots, by every command that takes one" {
    mkdir -p "$WORK/keep"
    refused ls latest
    refused cat latest /x
    refused export latest
    refused diff latest latest
    refused pin latest
    refused unpin latest
    refused forget latest
    refused restore latest --to "$WORK/to"
    [[ $stderr == *--all* ]]
    refused -q ls "$HOST/latest"
    run -2 holdfast ls :manual
    run -2 holdfast ls @9999-01-01
    [[ $output == *"$HOST/other@9999-01-01  taken"* ]]
    run -1 holdfast ls other@2001-01-01
    [[ $output == *"no snapshot is called"* ]]
    [ ! -e "$WORK/to" ]
    [ "$(holdfast --json snapshots | jq '[.snapshots[] | select(.pinned)] | length')" -eq 0 ]
    # What is listed can be typed.
    [ "$(holdfast cat "$HOST/dump:latest" all.sql)" = dumped ]
    [ "$(holdfast cat "$HOST/other@9999-01-01" "$WORK/other/two")" = other ]
    [ "$(holdfast cat "other" "$WORK/other/two")" = other ]
}

@test "a class that snapshots of one job only have needs no job" {
    holdfast -q backup files --class weekly
    [ "$(holdfast cat :weekly "$WORK/source/one")" = files ]
    [ "$(holdfast --json restore :weekly --to "$WORK/weekly" | jq -r .job)" = files ]
}

@test "every restore says which snapshot it is of, in text and JSON" {
    id=$(holdfast --json snapshots other | jq -r '.snapshots[-1].id')
    time=$(holdfast --json snapshots other | jq -r '.snapshots[-1].time')
    run -0 holdfast restore other:latest --to "$WORK/said"
    [[ ${lines[0]} == "snapshot ${id:0:10} of $HOST/other, taken $time, to $WORK/said" ]]
    run -0 holdfast restore "${id:0:12}" --to "$WORK/said" --dry-run
    [[ ${lines[0]} == "snapshot ${id:0:10} of $HOST/other, taken $time, "* ]]
    holdfast --json restore other:latest --to "$WORK/said" --overwrite changed |
        jq -e --arg id "$id" --arg time "$time" --arg host "$HOST" \
            '.snapshot == $id and .time == $time and .job == "other" and .host == $host'
}

@test "restore --all brings the newest of every job" {
    holdfast restore latest --all --to "$WORK/all" >"$WORK/text"
    [ "$(grep -c "^snapshot .* of $HOST/" "$WORK/text")" -eq 3 ]
    [ "$(cat "$WORK/all$WORK/source/one" "$WORK/all$WORK/other/two" "$WORK/all/all.sql")" = $'files\nother\ndumped' ]
    holdfast --json restore latest --all --to "$WORK/all" |
        jq -e '.exit_status == 0 and [.restores[] | .job] == ["dump", "files", "other"]'
    run -2 holdfast restore latest /x --all --to "$WORK/all2"
}

@test "restore --all with jobs that hold something at one place restores nothing" {
    rm -rf "$WORK/all"
    sed 's/name = "other"/name = "second"/; s/paths = \[ "[^"]*other" \]/paths = [ "\/", "'"${WORK//\//\\/}"'\/source\/one" ]; exclude = [ "\/*" ]/' \
        "$WORK/holdfast.conf" >"$WORK/second.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup second
    run -1 holdfast restore latest --all --to "$WORK/all"
    [[ $output == *"both hold"*"source"* ]]
    [ ! -e "$WORK/all" ]
    holdfast -q forget second:latest
    # What two commands print under one name.
    sed 's/name = "dump"/name = "dump2"/' "$WORK/holdfast.conf" >"$WORK/second.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup dump2
    run -1 holdfast restore latest --all --to "$WORK/all"
    [[ $output == *"/dump2"*"both hold all.sql"* ]] || [[ $output == *"/dump and"*"/dump2 both hold all.sql"* ]]
    [ ! -e "$WORK/all" ]
    holdfast -q forget dump2:latest
}

@test "on a bare machine jobs of several hosts are told apart, and --all gives each host its folder" {
    holdfast -q host add web2 --out "$WORK/web2.key"
    sed 's/host\.key/web2.key/; s/"[^"]*state"/"'"${WORK//\//\\/}"'\/state2"/' "$WORK/holdfast.conf" >"$WORK/web2.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/web2.conf" backup files
    bare() { "$HOLDFAST_BIN" "$@" --target "$(store_url 1)"; }
    run -2 bare restore files:latest --to "$WORK/bare"
    [[ $output == *"$HOST/files:latest  taken"* && $output == *"web2/files:latest  taken"* ]]
    run -2 bare ls latest
    [ ! -e "$WORK/bare" ]
    bare -q restore web2/latest --to "$WORK/bare2"
    [ "$(cat "$WORK/bare2$WORK/source/one")" = files ]
    bare -q restore latest --all --to "$WORK/bare"
    [ "$(cat "$WORK/bare/$HOST/all.sql")" = dumped ]
    cmp "$WORK/bare/web2$WORK/source/one" "$WORK/bare/$HOST$WORK/source/one"
    # A host means its own jobs.
    [ "$("$HOLDFAST_BIN" -c "$WORK/web2.conf" --json restore latest --to "$WORK/own" | jq -r .host)" = web2 ]
}
