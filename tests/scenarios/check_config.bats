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
