# Sources whose entries are replaced while they are read: each exists at every moment, so each is in every snapshot.
load ../lib/common.bash

setup() { make_work; }
teardown() {
    [ -z "${WRITER:-}" ] || kill "$WRITER"
    wait
    drop_work
}

@test "what is replaced by renaming all the time is never left out" {
    mkdir "$WORK/source/busy"
    # So many that time goes by between the listing and the reading.
    (cd "$WORK/source/busy" && seq 3000 | split -l 1 -a 3 - a)
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; exclude = [ \"*.new\" ]; };"
    mkfifo "$WORK/begun"
    python3 "$BATS_TEST_DIRNAME/../lib/replace_all_the_time.py" "$WORK/source/busy" >"$WORK/begun" 3>&- &
    WRITER=$!
    read -r _ <"$WORK/begun"
    local names
    names=$(printf '%s\n' blue current either green other pipe state{0..19} twin | sort)
    for _ in 1 2 3 4; do
        run holdfast -q backup
        echo "$output"
        [[ $output != *vanished* ]]
        [ "$(holdfast --json ls latest "$WORK/source/busy" | jq -r '.entries[].path | split("/")[-1]' | grep -v '^a...$' | sort)" = "$names" ]
        for folder in blue green; do
            [[ $(holdfast cat latest "$WORK/source/busy/$folder/file") == @(blue|green) ]]
        done
        [ "$(holdfast cat latest "$WORK/source/busy/state0" | uniq | wc -l)" -eq 1 ]
    done
}
