load ../lib/common.bash
setup() {
    make_work
    make_repo 2 "$(job_settings)"
    echo one >"$WORK/source/one"
}
teardown() { drop_work; }

# Hours ago, or in the future, as a schedule says it; the day does not matter.
job_settings() {
    echo "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };
          schedule = { daily = \"12:00\"; timezone = \"UTC\"; };"
}

# document: the JSON is as holdfast(1) has it.
document() { holdfast --json status | python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" "$BATS_TEST_DIRNAME/../../man/holdfast.1" status; }

# facts FILTER: what jq finds in the JSON document of status, whatever its exit status.
facts() { holdfast status --json | jq -r ".repositories[0] | $1"; }

# faketime is preloaded before the sanitizer, which minds.
later() { ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0" faketime -f "$1" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "${@:2}"; }

@test "a job that never ran is a warning, one that ran is well" {
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $output == *"job files has no snapshot"*"-> holdfast run files"* ]]
    holdfast -q backup --class daily
    run holdfast status
    [ "$status" -eq 0 ]
    [[ $output == *"test: all is well"* && $output == *"files  ok"* ]]
    [[ $output == *"disk1   ok     all"* && $output == *"last drill   never"* ]]
    run holdfast status -q
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$(facts '.jobs[0] | [.health, .snapshots, .files] | @csv')" = '"ok",1,1' ]
    [ "$(facts '[.targets[] | .answers and .missing_snapshots == [] and .bytes > 1000] | all')" = true ]
}

@test "what is late is overdue, with a command; no line is wider than a terminal" {
    holdfast -q backup --class daily
    run later +3d status
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED    job files is overdue: daily (since "*"-> holdfast run files"* ]]
    [[ $output == *"files  overdue "*" 3 d ago"*"due now"* ]]
    [ "$(awk 'length > 79' <<<"$output")" = "" ]
    [ "$(wc -l <<<"$output")" -lt 24 ]
}

@test "a target that is down is a finding, and one that lacks snapshots is behind" {
    holdfast -q backup --class daily
    store_away 2
    run holdfast status
    [ "$status" -eq 6 ]
    [[ $output == *"BEHIND    target disk2 cannot be used: "* && $output == *"files  ok"* ]]
    holdfast -q backup || [ $? -eq 6 ]
    store_back 2
    run holdfast status
    [ "$status" -eq 6 ]
    [[ $output == *"BEHIND    target disk2 lacks 1 snapshot: files (since "* && $output == *"disk2   behind  1 missing"* ]]
    [ "$(facts '.targets[1].missing_snapshots[]')" = "$(holdfast --json snapshots | jq -r '.snapshots[1].id')" ]
    holdfast -q heal
    holdfast status
}

@test "where no target answers, what was known last is shown" {
    holdfast -q backup --class daily
    store_away 1
    store_away 2
    SECONDS=0
    run holdfast status
    [ "$status" -eq 1 ]
    [ "$SECONDS" -lt 60 ]
    [[ $output == *"No target answered. What follows was known "* ]]
    [[ $output == *"FAILED    no target can be used: "* && $output == *"files  ok"* ]]
    [ "$(facts '.known' | wc -c)" -gt 10 ]
    document
    [ "$(facts '.jobs[0].snapshots')" = 1 ]
    # And while another process works, too, though nothing is known then.
    exec 8>>"$WORK/state/lock"
    flock 8
    run holdfast status 8>&-
    exec 8>&-
    [ "$status" -eq 1 ]
    [[ $output == *"no target can be used"* ]]
}

@test "while another process works, status says so and goes on" {
    holdfast -q backup --class daily
    mkfifo "$WORK/pipe"
    sed -i "s|jobs = (|jobs = ( { name = \"slow\"; source = { type = \"command\"; command = [ \"cat\", \"$WORK/pipe\" ]; }; },|" \
        "$WORK/holdfast.conf"
    holdfast -q backup slow &
    exec 7>"$WORK/pipe" # opens when the job reads
    run holdfast status 7>&-
    [ "$(facts .at_work.command 7>&-)" = backup ]
    echo done >&7
    exec 7>&-
    wait $!
    [ "$status" -eq 3 ]
    [[ $output == *"holdfast backup is at work since "*""* && $output == *"files  ok"* ]]
    [ "$(facts .at_work)" = null ]
}

@test "a run that was killed is known at once, before the next one stores its record" {
    write_config 2 "$(job_settings) }, { name = \"slow\"; schedule = { daily = \"12:00\"; timezone = \"UTC\"; };
        source = { type = \"command\"; command = [ \"sh\", \"-c\", \"echo \$\$ >$WORK/reached; exec sleep 60\" ]; }; },
        { name = \"last\"; $(job_settings)"
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" -q run &
    until [ -s "$WORK/reached" ]; do sleep 0.05; done
    [ "$(facts .at_work.command)" = run ]
    document
    kill -9 $!
    wait $! || true
    kill -9 "$(cat "$WORK/reached")" # it is in a process group of its own
    run holdfast status
    [ "$status" -eq 1 ]
    [[ $output == *"FAILED    the last run failed: the run did not end: it was killed"* ]]
    [[ $(tr -s ' ' <<<"$output") == *"slow failing never due now"*"last never run never due now"*"files ok "* ]]
    ! grep "job last failed" <<<"$output" || return 1 # it was never begun
    document
}

@test "snapshots of a job that is not configured are shown until they are pinned or forgotten" {
    holdfast -q backup --class daily
    sed -i 's/name = "files"/name = "other"/' "$WORK/holdfast.conf"
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $output == *"1 snapshot of job files, which is not configured any more"*"holdfast snapshots files"* ]]
    [[ $output == *"files  not configured"* ]]
    document
    holdfast -q backup --class daily
    holdfast -q pin files:latest
    holdfast status
    [ "$(facts '.unconfigured_jobs[0] | [.job, .snapshots, .pinned] | @csv')" = '"files",1,1' ]
}

@test "damage that verify found stays until everything is good again" {
    holdfast -q backup --class daily
    store_damage 1 "$(store_list 1 | awk '$2 ~ /^packs/ { print $2; exit }')"
    run holdfast -q verify --all
    [ "$status" -eq 5 ]
    run holdfast status
    [ "$status" -eq 5 ]
    [[ $output == *"DAMAGE    verify found 1 damaged object (since "*"-> holdfast heal"* ]]
    holdfast -q verify # finds everything in its place, but reads nothing
    run holdfast -q status
    [ "$status" -eq 5 ]
    document
    holdfast -q heal
    holdfast status
    [ "$(facts '.last_verify | [.all, .damaged] | @csv')" = 'true,0' ]
    # Records and a config that cannot be read count, too.
    store_damage 1 "$(store_list 1 | awk '$2 ~ /^config/ { print $2; exit }')"
    run holdfast status
    [ "$status" -eq 5 ]
    [[ $output == *"DAMAGE    target disk1 is damaged"* ]]
}

@test "a clock that was ahead is a warning" {
    later +3d -q backup --class daily
    holdfast -q backup --class daily
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"this machine's clock says "*", but a snapshot is of "* ]]
}

@test "several configurations: one block each, and the worst exit status" {
    holdfast -q backup --class daily
    mkdir "$WORK/conf.d"
    cp "$WORK/holdfast.conf" "$WORK/conf.d/a.conf"
    sed "s/\"test\"/\"second\"/; s|$WORK/state|$WORK/state2|; s|\"files\"|\"more\"|" "$WORK/holdfast.conf" >"$WORK/conf.d/b.conf"
    echo nonsense >"$WORK/conf.d/c.conf"
    run "$HOLDFAST_BIN" -c "$WORK/conf.d" status
    [ "$status" -eq 2 ]
    [[ $output == *"test: all is well"*"second: warning"* ]]
    rm "$WORK/conf.d/c.conf"
    run "$HOLDFAST_BIN" -c "$WORK/conf.d" --json status
    [ "$status" -eq 3 ]
    [ "$(jq -r '[.exit_status, (.repositories[] | .exit_status)] | @csv' <<<"$output")" = 3,0,3 ]
}

# fragile_jobs [SETTINGS]: "files", and "dump", which fails as long as $WORK/broken is there.
fragile_jobs() {
    write_config 2 "$(job_settings) }, { name = \"dump\"; schedule = { daily = \"12:00\"; timezone = \"UTC\"; };
        source = { type = \"command\"; command = [ \"sh\", \"-c\", \"test ! -e $WORK/broken || { echo no database >&2; exit 1; }; echo rows\" ]; };"
    echo "$1" >>"$WORK/holdfast.conf"
}

@test "a job that fails is failing until it succeeds; what the last run and verify did is shown" {
    fragile_jobs
    touch "$WORK/broken"
    run holdfast run
    [ "$status" -eq 1 ]
    run holdfast status
    [ "$status" -eq 1 ]
    [[ $output == *"test: failed "*"FAILED    job dump failed: command sh -c"*"no database"*"-> remove the cause, then: holdfast run dump"* ]]
    [[ $output == *"dump   failing  never"*"due now"*"files  ok"* ]]
    document
    [[ $output == *"last run     "*": failed, took "* && $output == *"last verify  "*" read, no damage"* ]]
    rm "$WORK/broken"
    holdfast -q run dump
    run holdfast status
    [ "$status" -eq 0 ]
    [[ $output == *"last run     "*": done, took "* ]]
    [ "$(facts '.last_run.exit_status, .jobs[1].last_run.exit_status' | tr '\n' ' ')" = "0 0 " ]
}

@test "a run that reaches no target is one problem, not one for each job, and its record waits" {
    fragile_jobs
    holdfast -q snapshots # from now on something is known here
    store_away 1
    store_away 2
    run holdfast run
    [ "$status" -eq 1 ]
    run holdfast status
    [[ $output == *"FAILED    no target can be used: "*"FAILED    the last run failed for the same reason (since "* ]]
    store_back 1
    store_back 2
    run holdfast status
    [ "$status" -eq 1 ]
    [ "$(grep -c ^FAILED <<<"$output")" -eq 1 ]
    [[ $output == *"FAILED    the last run failed: "* && $output == *"BEHIND    1 record of runs waits"* ]]
    holdfast -q run
    holdfast status
}

@test "metrics: every run with work writes them, whole and readable for all; rules and dashboard know them" {
    fragile_jobs "metrics = { textfile = \"$WORK/test.prom\"; };"
    holdfast -q run
    [ "$(stat -c %a "$WORK/test.prom")" = 644 ]
    promtool check metrics <"$WORK/test.prom"
    python3 "$BATS_TEST_DIRNAME/../check_metrics.py" "$WORK/test.prom" "$BATS_TEST_DIRNAME/../.."
    grep -qx 'holdfast_job_health{repository="test",backup_job="dump"} 0' "$WORK/test.prom"
    grep -qx 'holdfast_job_snapshots{repository="test",backup_job="files"} 1' "$WORK/test.prom"
    # Nothing due: it stays as it is, but for its time.
    until [ "$(date +%s)" -gt "$(stat -c %Z "$WORK/holdfast.conf")" ]; do sleep 0.1; done
    touch "$WORK/test.prom" "$WORK/before"
    before=$(stat -c %i "$WORK/test.prom")
    holdfast -q run
    [ "$(stat -c %i "$WORK/test.prom")" = "$before" ]
    [ "$WORK/test.prom" -nt "$WORK/before" ]
    # Missing, or of another configuration: it is written anew, also if no target answers.
    rm "$WORK/test.prom"
    holdfast -q run
    grep -qx 'holdfast_target_up{repository="test",target="disk2"} 1' "$WORK/test.prom"
    sed -i 's/jobs = ( { name = "files"/jobs = ( { name = "byhand"; source = { type = "files"; paths = [ "\/etc" ]; }; }, { name = "files"/' \
        "$WORK/holdfast.conf"
    store_away 1
    store_away 2
    run holdfast -q run
    [ "$status" -eq 0 ]
    [[ $output == *"warning: "*"hint: "* ]]
    grep -qx 'holdfast_job_health{repository="test",backup_job="byhand"} 1' "$WORK/test.prom"
    grep -qx 'holdfast_target_up{repository="test",target="disk2"} 0' "$WORK/test.prom"
    store_back 1
    store_back 2
    [ "$(facts .waiting_records)" = 0 ]
    [ "$(store_list 1 | grep -c ' runs/')" -eq 1 ]
}

@test "metrics of a run that fails, and of one that reaches no target" {
    fragile_jobs "metrics = { textfile = \"$WORK/test.prom\"; };"
    touch "$WORK/broken"
    run holdfast run
    [ "$status" -eq 1 ]
    grep -qx 'holdfast_job_health{repository="test",backup_job="dump"} 4' "$WORK/test.prom"
    grep -qx 'holdfast_problems{repository="test",severity="failed"} 1' "$WORK/test.prom"
    rm "$WORK/broken"
    store_away 1
    store_away 2
    run holdfast run
    [ "$status" -eq 1 ]
    promtool check metrics <"$WORK/test.prom"
    grep -qx 'holdfast_target_up{repository="test",target="disk1"} 0' "$WORK/test.prom"
    grep -qx 'holdfast_waiting_records{repository="test"} 1' "$WORK/test.prom"
    store_back 1
    store_back 2
    # A folder that is not there is no failure of the run.
    sed -i "s|$WORK/test.prom|$WORK/missing/test.prom|" "$WORK/holdfast.conf"
    run holdfast run
    [ "$status" -eq 0 ]
    [[ $output == *"warning: metrics: cannot create $WORK/missing/test.prom"* ]]
}

# of_level LEVEL [COMMAND]: how many problems are as bad.
of_level() { "${2:-holdfast}" --json status | jq "[.repositories[0].problems[] | select(.severity == \"$1\")] | length"; }

@test "what is past is put aside once it is acknowledged, until it happens again; what still holds is not" {
    fragile_jobs "metrics = { textfile = \"$WORK/test.prom\"; };"
    touch "$WORK/broken"
    run holdfast -q run
    [ "$status" -eq 1 ]
    run holdfast status
    [[ $output == *"FAILED    job dump failed: "*"put aside with: holdfast status --acknowledge"* ]]
    run holdfast status --acknowledge
    [ "$status" -eq 3 ]
    [[ $output == "acknowledged: job dump failed: "*"no database"*"warning   job dump has no snapshot"* ]]
    [[ $output != *FAILED* && $output != *"--acknowledge"* ]]
    [ "$(store_list 1 | grep -c ' events/') $(store_list 2 | grep -c ' events/')" = "1 1" ]
    grep -qx 'holdfast_job_health{repository="test",backup_job="dump"} 1' "$WORK/test.prom"
    grep -qx 'holdfast_problems{repository="test",severity="failed"} 0' "$WORK/test.prom"
    # It stays so without the state folder, too.
    mv "$WORK/state" "$WORK/elsewhere"
    [ "$(of_level failed) $(of_level warning)" = "0 1" ]
    rm -r "$WORK/state"
    mv "$WORK/elsewhere" "$WORK/state"
    run holdfast -q run
    [ "$status" -eq 1 ]
    [ "$(of_level failed)" -eq 1 ]
    # Of a run that no target could take the record is stored first.
    store_away 1
    store_away 2
    run holdfast -q run
    run holdfast status --acknowledge
    [ "$status" -eq 1 ]
    [[ $output == *"hint: "* && $output != *acknowledged* ]]
    store_back 1
    store_back 2
    [ "$(facts .waiting_records)" -eq 1 ]
    holdfast --json status --acknowledge >"$WORK/document" || [ $? -eq 3 ]
    python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" "$BATS_TEST_DIRNAME/../../man/holdfast.1" status <"$WORK/document"
    [ "$(jq -c '.repositories[0] | [.exit_status, .waiting_records, ([.acknowledged[].severity] | unique), (.problems | map(.past))]' \
        "$WORK/document")" = '[3,0,["failed"],[false]]' ]
    # A job that is late is late still.
    run later +3d status --acknowledge
    [ "$status" -eq 1 ]
    [[ $output == "nothing to acknowledge"*"FAILED    job files is overdue"* ]]
}

@test "warnings of a snapshot and damage are acknowledged on one host, or by one that prunes for all; prune keeps that" {
    # By itself a job that warns: one of its paths is not there.
    write_config 2 "source = { type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/gone\" ]; };"
    echo 'verify = { sample = 100; every = "1s"; };' >>"$WORK/holdfast.conf"
    for name in other third; do
        holdfast -q host add $name --out "$WORK/$name.key"
        sed -e "s|host.key|$name.key|; s|/state\"|/$name\"|" "$WORK/holdfast.conf" >"$WORK/$name.conf"
    done
    other() { "$HOLDFAST_BIN" -c "$WORK/other.conf" "$@"; }
    third() { "$HOLDFAST_BIN" -c "$WORK/third.conf" "$@"; }
    holdfast -q backup || [ $? -eq 3 ]
    run holdfast status
    [ "$status" -eq 3 ]
    holdfast -q status --acknowledge
    holdfast status
    holdfast -q backup || [ $? -eq 3 ]
    run holdfast status
    [ "$status" -eq 3 ]
    holdfast -q status --acknowledge
    # What a verify by hand found is known here alone; what a run found, everywhere.
    store_damage 1 "$(store_list 1 | awk '$2 ~ /^packs/ { print $2; exit }')"
    run holdfast -q verify --all
    [ "$status" -eq 5 ]
    [ "$(of_level damage holdfast) $(of_level damage other)" = "1 0" ]
    holdfast -q status --acknowledge
    [ "$(of_level damage holdfast)" -eq 0 ]
    sed -i 's|name = "files";|name = "files"; schedule = { daily = "00:00"; };|' "$WORK/holdfast.conf"
    run holdfast -q run
    [ "$status" -eq 5 ]
    [ "$(of_level damage holdfast) $(of_level damage other)" = "1 1" ]
    other -q status --acknowledge || [ $? -eq 3 ]
    [ "$(of_level damage holdfast) $(of_level damage other) $(of_level damage third)" = "1 0 1" ]
    holdfast -q status --acknowledge
    [ "$(of_level damage holdfast) $(of_level damage other) $(of_level damage third)" = "0 0 0" ]
    # A prune that has something to do, and could tidy up.
    holdfast -q heal
    holdfast -q forget latest
    sleep 1.1
    holdfast -q prune --force
    [ "$(of_level damage holdfast) $(of_level damage other) $(of_level damage third)" = "0 0 0" ]
    # Where it is found again it is known again.
    store_damage 1 "$(store_list 1 | awk '$2 ~ /^packs/ { print $2; exit }')"
    run holdfast -q verify --all
    [ "$(of_level damage holdfast)" -eq 1 ]
}

@test "a store that takes connections and says nothing holds the answer up for seconds, not minutes" {
    store_is_s3 && skip "the store is a silent one"
    write_config 1
    holdfast -q backup
    python3 -c 'import os, socket, sys, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while os.path.exists("/proc/" + sys.argv[1]): time.sleep(0.5)' $$ >"$WORK/port" 3>&- &
    until [ -s "$WORK/port" ]; do sleep 0.05; done
    write_targets_config "$STORE_TARGETS, { name = \"silent\"; type = \"s3\"; provider = \"other\"; bucket = \"web1\";
        endpoint = \"http://127.0.0.1:$(cat "$WORK/port")\"; allow_insecure_http = true; }"
    SECONDS=0
    AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret run holdfast status
    kill $!
    [ "$SECONDS" -lt 30 ]
    [ "$status" -eq 6 ]
    [[ $output == *"BEHIND    target silent cannot be used: "* && $output == *"files  ok"* ]]
}

@test "a backup by hand that failed is told of until one succeeds or somebody has seen it" {
    holdfast -q run
    sleep 1.1
    mv "$WORK/source" "$WORK/away"
    run holdfast backup
    [ "$status" -eq 1 ]
    run holdfast status
    [ "$status" -eq 1 ]
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"job files failed: nothing could be read"* ]]
    [[ $output == *"last run"*": done"* ]] # that was another
    mv "$WORK/away" "$WORK/source"
    holdfast -q backup --class daily
    run holdfast status
    [ "$status" -eq 0 ]
    sleep 1.1
    mv "$WORK/source" "$WORK/away"
    holdfast -q backup || true
    run holdfast status --acknowledge
    [ "$status" -eq 0 ]
    [[ $output == *"acknowledged: job files failed"* ]]
}

@test "a job whose snapshots were all forgotten is not well" {
    holdfast -q run
    holdfast -q forget "$(holdfast --json snapshots | jq -r '.snapshots[0].id')"
    run holdfast status
    [ "$status" -eq 3 ]
    [[ $output == *"job files has no snapshot"* ]]
}
