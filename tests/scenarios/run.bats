# `holdfast run`: what cron starts. A real cron daemon works beside the other tests; the last one looks at what it did.
load ../lib/common.bash

READER="$BATS_TEST_DIRNAME/../reader/holdfast_reader.py"

setup() { make_work passphrase; }
teardown() {
    [ -z "${SLOW_PID:-}" ] || kill "$SLOW_PID" 2>/dev/null || true
    drop_work
}

# ---- cron ----

# A job that is due at once, as it never ran, and again one minute after cron first starts it.
setup_file() {
    local due
    [ "$(id -u)" -eq 0 ] && command -v cron >/dev/null || return 0
    make_work passphrase
    export CRON_WORK=$WORK CRON_ENTRY=/etc/cron.d/holdfast-scenario-$$
    make_repo
    make_small_tree
    while [ "$(date +%-S)" -ge 40 ]; do sleep 1; done
    due=$(($(date +%s) / 60 * 60 + 120))
    write_config 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 1; weekly = 1; monthly = 1; };
        schedule = { timezone = \"UTC\"; daily = \"$(date -u -d @$due +%H:%M)\";
            weekly = \"$(LC_ALL=C date -u -d @$due +%a | tr A-Z a-z) $(date -u -d @$due +%H:%M)\";
            monthly = \"$(date -u -d @$due +%-d) $(date -u -d @$due +%H:%M)\"; };"
    printf '* * * * * root %s -q -c %s run >>%s 2>&1\n' "$HOLDFAST_BIN" "$WORK/holdfast.conf" "$WORK/log" >"$CRON_ENTRY"
    # There is one at a time. One that runs already reads the entry as well; should it end, this one takes its place.
    (
        trap 'kill $!; exit' TERM
        while :; do
            cron -f &
            wait $! || true
            sleep 1
        done
    ) 3>&- >/dev/null 2>&1 &
    export CRON_PID=$!
}

teardown_file() {
    [ -n "${CRON_WORK:-}" ] || return 0
    rm -f "$CRON_ENTRY"
    kill "$CRON_PID" 2>/dev/null || true
    WORK=$CRON_WORK drop_work
}

# ---- helpers ----

FILES='source = { type = "files"; paths = [ "SOURCE" ]; };'

# make_jobs JOBS [SETTINGS] [REPOSITORY SETTINGS]: a repository of one target; SOURCE stands for the folder.
make_jobs() {
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; ${3:-} };
targets = ( { name = "one"; type = "local"; path = "$WORK/repo1"; } );
jobs = ( ${1//SOURCE/$WORK/source} );
${2:-}
C
    holdfast -q init
}

# Always due until it is taken.
daily() { echo "schedule = { daily = \"00:00\"; timezone = \"UTC\"; };"; }

at() { TZ=UTC NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "@$1" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "${@:2}"; }
# The calendar needs a library that is loaded before any other, as do the sanitizers.
needs_faketime() { [ -n "${WITHOUT_PRELOAD:-}" ] && skip "not with sanitizers" || true; }

records() { find "$WORK/repo1/runs" -type f 2>/dev/null | wc -l; }
waiting() { find "$WORK/state/runs" -name '*.run' 2>/dev/null | wc -l; }
snapshots() { holdfast --json snapshots "$@" | jq -c ".snapshots | length"; }
# Each run as the independent reader tells it, which also checks the chain.
history() { /usr/bin/python3 "$READER" "$WORK/repo1" --passphrase-file "$WORK/passphrase" runs; }

# ends STATUS COMMAND ...: its output is left in $output.
ends() {
    local wanted=$1
    shift
    run "$@"
    [ "$status" -eq "$wanted" ] || { echo "status $status, not $wanted: $output"; return 1; }
}

# on_terminal WORDS: of a command, on a terminal of its own.
on_terminal() { script -qec "$HOLDFAST_BIN -c $WORK/holdfast.conf $*" /dev/null </dev/null; }

# slow_run [COMMAND]: one whose job takes long, in the background; returns when the job has begun.
slow_run() {
    "$HOLDFAST_BIN" -q -c "$WORK/holdfast.conf" "${1:-run}" >"$WORK/slow.log" 2>&1 3>&- &
    SLOW_PID=$!
    for _ in $(seq 1200); do
        [ -e "$WORK/begun" ] && return 0
        sleep 0.05
    done
    cat "$WORK/slow.log"
    return 1
}
slow_job() { echo "{ name = \"slow\"; source = { type = \"command\"; command = [ \"sh\", \"-c\", \"touch $WORK/begun; exec sleep 120\" ]; }; $(daily) }"; }

# ---- what is due ----

@test "each job gets one snapshot for all its classes, a record is left, and nothing is due after" {
    make_jobs "{ name = \"files\"; $FILES schedule = { daily = \"00:00\"; weekly = \"sun 00:00\"; yearly = \"jan 1 00:00\"; }; },
               { name = \"more\"; $FILES schedule = { monthly = \"1 00:00\"; }; }, { name = \"never\"; $FILES }"
    make_small_tree
    holdfast --json run >"$WORK/run.json"
    jq -e '.exit_status == 0 and .repository == "test" and .command == "run" and .interrupted == false' "$WORK/run.json"
    jq -e '[.jobs[] | [.job, .exit_status, (.classes | join(" "))]] ==
           [["files", 0, "daily weekly yearly"], ["more", 0, "monthly"]]' "$WORK/run.json"
    jq -e '.prune.expired == 0 and .verify.damaged == 0 and .targets[0].behind == false and .targets[0].bytes_stored > 3000000' \
        "$WORK/run.json"
    [ "$(holdfast --json snapshots | jq -r '[.snapshots[] | .job + ":" + (.classes | join("+"))] | sort | join(" ")')" = \
        "files:daily+weekly+yearly more:monthly" ]
    [ "$(jq -r .jobs[0].id "$WORK/run.json")" = "$(holdfast --json snapshots files | jq -r .snapshots[0].id)" ]
    [ "$(records)" -eq 1 ]
    [ "$(history)" = "1 0 files=0 more=0" ]
    ends 0 holdfast run
    [ -z "$output" ]
    on_terminal run | grep "nothing is due"
    [ "$(records)" -eq 1 ]
    restore_and_compare files:latest
}

@test "where nothing is due no target is asked; a state folder that was lost asks them first" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }"
    holdfast -q run
    mv "$WORK/repo1" "$WORK/elsewhere"
    ends 0 holdfast run
    [ -z "$output" ]
    mv "$WORK/elsewhere" "$WORK/repo1"
    rm -r "$WORK/state"
    ends 0 holdfast --json run
    jq -e '.exit_status == 0 and .jobs == []' <<<"$output"
    [ "$(records) $(waiting) $(snapshots)" = "1 0 1" ]
    [ -z "$(ls "$WORK/repo1/leases")" ]
}

@test "jobs can be named, and a name that is none is refused" {
    make_jobs "{ name = \"a\"; $FILES $(daily) }, { name = \"b\"; $FILES $(daily) }"
    holdfast -q run b
    [ "$(snapshots a) $(snapshots b)" = "0 1" ]
    ends 2 holdfast run c
    holdfast -q run
    [ "$(snapshots a) $(snapshots b)" = "1 1" ]
}

@test "a job that fails does not stop the next, is recorded, and stays due" {
    make_jobs "{ name = \"bad\"; source = { type = \"command\"; command = [ \"sh\", \"-c\", \"test -e $WORK/well && echo all\" ]; };
                 $(daily) }, { name = \"files\"; $FILES $(daily) }"
    ends 1 holdfast -q run
    [[ $output == *"job bad: "* ]]
    [ "$(snapshots bad) $(snapshots files)" = "0 1" ]
    ends 1 holdfast -q run
    touch "$WORK/well"
    ends 0 holdfast -q run
    [ "$(history | tr '\n' ' ')" = "1 1 bad=1 files=0 2 1 bad=1 3 0 bad=0 " ]
    holdfast --json snapshots bad | jq -e '.snapshots | length == 1'
}

@test "a store that is down: the record waits, the next run takes what was missed and stores both" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }"
    mv "$WORK/repo1" "$WORK/elsewhere"
    ends 1 holdfast --json run
    jq -e '.exit_status == 1 and .jobs[0].exit_status == 1 and (.jobs[0].message | length > 0)' <<<"$(tail -n 1 <<<"$output")" ||
        jq -e '.exit_status == 1' <<<"$(grep '^{' <<<"$output")"
    ends 1 holdfast -q run
    [ "$(waiting)" -eq 2 ]
    [ "$(stat -c %a "$WORK/state/runs" "$WORK/state/runs/"*.run | sort -u | tr '\n' ' ')" = "600 700 " ]
    mv "$WORK/elsewhere" "$WORK/repo1"
    # What is no record is warned of once, and goes.
    (umask 077 && echo nonsense >"$WORK/state/runs/0.run")
    ends 0 holdfast -q run
    [ "$(grep -c "cannot be used: $WORK/state/runs/0.run" <<<"$output")" -eq 1 ]
    [ "$(waiting) $(records) $(snapshots)" = "0 3 1" ]
    [ "$(history | tr '\n' ' ')" = "1 1 files=1 2 1 files=1 3 0 files=0 " ]
}

@test "a record that waits is stored by the next run that reaches a target, though nothing is due" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }"
    mv "$WORK/repo1" "$WORK/elsewhere"
    ends 1 holdfast -q run
    mv "$WORK/elsewhere" "$WORK/repo1"
    holdfast -q backup --class daily
    [ "$(waiting) $(records)" = "1 0" ]
    ends 0 holdfast run
    [ -z "$output" ]
    [ "$(waiting) $(records) $(snapshots)" = "0 1 1" ]
    [ "$(history)" = "1 1 files=1" ]
}

@test "a target that is behind is in the record, and in the exit status" {
    write_config 2 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; $(daily)"
    holdfast -q init
    mv "$WORK/repo2" "$WORK/elsewhere"
    ends 6 holdfast --json run
    grep '^{' <<<"$output" | jq -e '.exit_status == 6 and .jobs[0].exit_status == 0 and
        ([.targets[] | .behind] == [false, true]) and (.targets[1].message | length > 0)'
    mv "$WORK/elsewhere" "$WORK/repo2"
    holdfast -q backup
    [ "$(ls "$WORK/repo1/runs")" = "$(ls "$WORK/repo2/runs")" ]
}

@test "a dry run says what would be taken, since when, and what prune would remove, and writes nothing" {
    make_jobs "{ name = \"files\"; $FILES schedule = { daily = \"00:00\"; weekly = \"sun 00:00\"; timezone = \"UTC\"; };
                 keep = { daily = 1; manual = 1; }; }, { name = \"other\"; $FILES $(daily) }"
    holdfast -q run other
    holdfast -q backup files
    sleep 1.1
    holdfast -q backup files
    before=$(find "$WORK/repo1" "$WORK/state/runs" 2>/dev/null | sort)
    # On the clock of who reads it, as schedule says it.
    day() { LC_ALL=C date -u -d "$1" '+%d %b'; }
    TZ=Asia/Kathmandu ends 0 holdfast run --dry-run
    [[ $output == *"files"*"daily"*"take"*"never"*"$(day today)"*" 05:45"*"other"*"daily"*"wait"*"$(day tomorrow)"*" 05:45"* ]]
    [[ $output != *UTC* && $output != *00Z* ]]
    [[ $output == *"1 of 2 jobs"* ]]
    [[ $output == *"prune would remove snapshot"*"files"* ]]
    ends 0 holdfast --json run -n
    jq -e '.dry_run and (.remove | length == 1) and .jobs[0].due and (.jobs[1].due | not) and
           ([.jobs[0].classes[] | .class] == ["daily", "weekly"]) and (.jobs[1].classes[0].last_success | length == 20)' <<<"$output"
    [ "$(find "$WORK/repo1" "$WORK/state/runs" 2>/dev/null | sort)" = "$before" ]
}

# ---- verify ----

@test "a run reads the packs that follow those of the last one, and tells of damage" {
    needs_faketime
    make_jobs "{ name = \"files\"; $FILES $(daily) }" 'verify = { sample = 50; every = "1d"; };' 'pack_size = "64K"; chunk_average = "16K";'
    head -c 1000000 /dev/urandom >"$WORK/source/data"
    first=$(at "2041-03-01 05:00:00" --json run | jq .verify.objects)
    packs=$(find "$WORK/repo1/packs" -type f | wc -l)
    second=$(at "2041-03-02 05:00:00" --json run | jq .verify.objects)
    [ "$(find "$WORK/repo1/packs" -type f | wc -l)" -eq "$packs" ]
    [ "$first" -gt 0 ]
    [ "$second" -gt 0 ]
    [ $((first + second)) -eq "$packs" ]
    # Within the day none is due.
    [ "$(at "2041-03-03 00:00:01" --json run | jq .verify)" = null ]
    for pack in "$WORK/repo1/packs/"*/*; do
        chmod u+w "$pack"
        printf XX | dd of="$pack" bs=1 seek=300 conv=notrunc 2>/dev/null
    done
    ends 5 at "2041-03-04 05:00:00" --json run
    grep '^{' <<<"$output" | jq -e '.exit_status == 5 and .jobs[0].exit_status == 0 and .verify.exit_status == 5 and .verify.damaged > 0'
}

# ---- runs do not trip over one another ----

@test "behind a healthy run a run ends 0 in silence; behind one that takes too long, or another command, 4 with its name" {
    make_jobs "$(slow_job)" 'run = { max_runtime = "1h"; lock_wait = "1s"; };'
    slow_run
    ends 0 holdfast run
    [ -z "$output" ]
    on_terminal run | grep "a run is at work (process $SLOW_PID since .*): nothing to do"
    ends 4 holdfast backup
    [[ $output == *"run, process $SLOW_PID since "* ]]
    sed -i 's/"1h"/"1s"/' "$WORK/holdfast.conf"
    sleep 1.1
    ends 4 holdfast run
    [[ $output == *"since $(date -u +%F)"*"longer than max_runtime (1.0 s): process $SLOW_PID"*"hint: "* ]]
    kill -9 "$SLOW_PID"
    wait "$SLOW_PID" || true
    rm "$WORK/begun"
    slow_run backup
    on_terminal run | grep "works on this repository (backup, process $SLOW_PID .*waiting for its end, for 1.0 s at most"
    ends 4 holdfast run
    [[ $output == *"backup, process $SLOW_PID since "* ]]
    sed -i 's/lock_wait = "1s"/lock_wait = "1m"/' "$WORK/holdfast.conf"
    (sleep 1.5; kill -9 "$SLOW_PID") 3>&- &
    sed -i 's/exec sleep 120/echo/' "$WORK/holdfast.conf"
    ends 0 holdfast -q run
    # The first was killed.
    [ "$(history | tr '\n' ' ')" = "1 1 interrupted slow=1 2 0 slow=0 " ]
}

@test "a signal ends a run within seconds: what was taken is kept, the rest stays due, the record tells" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }, $(slow_job), { name = \"last\"; $FILES $(daily) }"
    slow_run
    start=$(date +%s)
    kill -TERM "$SLOW_PID"
    code=0
    wait "$SLOW_PID" || code=$?
    [ "$code" -eq 143 ]
    [ $(($(date +%s) - start)) -lt 60 ]
    [ "$(waiting)" -eq 1 ]
    [ "$(snapshots files) $(snapshots slow) $(snapshots last)" = "1 0 0" ]
    [ "$(holdfast --json status | jq -r '[.repositories[0].jobs[].health] | join(" ")')" = "ok never never" ]
    sed -i 's/exec sleep 120/echo/' "$WORK/holdfast.conf"
    holdfast -q run
    [ "$(history | tr '\n' ' ')" = "1 130 interrupted files=0 slow=130 last=130 2 0 slow=0 last=0 " ]
}

@test "a run that is killed leaves a record of what it had done" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }, $(slow_job)"
    slow_run
    kill -9 "$SLOW_PID"
    wait "$SLOW_PID" || true
    [ "$(records)" -eq 0 ]
    sed -i 's/exec sleep 120/echo/' "$WORK/holdfast.conf"
    holdfast -q run
    [ "$(history | tr '\n' ' ')" = "1 1 interrupted files=0 slow=1 2 0 slow=0 " ]
    [ -z "$(ls "$WORK/state/runs")" ]
}

@test "a signal ends the wait of jitter, and nothing was begun" {
    make_jobs "{ name = \"files\"; $FILES $(daily) }" 'run = { jitter = "1d"; };'
    "$HOLDFAST_BIN" -v -c "$WORK/holdfast.conf" run >"$WORK/slow.log" 2>&1 3>&- &
    SLOW_PID=$!
    for _ in $(seq 1200); do
        grep -q jitter "$WORK/slow.log" && break
        sleep 0.05
    done
    kill -TERM "$SLOW_PID"
    code=0
    wait "$SLOW_PID" || code=$?
    [ "$code" -eq 143 ]
    grep -q 'stopped by a signal: nothing was begun' "$WORK/slow.log"
    [ "$(waiting) $(records) $(snapshots)" = "0 0 0" ]
}

@test "nice and ionice hold for what a run starts" {
    make_jobs "{ name = \"c\"; $(daily) source = { type = \"command\"; command = [ \"sh\", \"-c\",
        \"nice >$WORK/nice; ionice -p \$\$ >>$WORK/nice; echo x\" ]; }; }" 'run = { nice = 7; ionice = "best-effort"; };'
    holdfast -q run
    [ "$(tr '\n' ' ' <"$WORK/nice")" = "7 best-effort: prio 7 " ]
}

@test "a folder of configurations: one that fails does not stop the next" {
    for name in a b c; do
        make_jobs "{ name = \"files\"; $FILES $(daily) }"
        mkdir -p "$WORK/conf" "$WORK/$name"
        mv "$WORK/repo1" "$WORK/host.key" "$WORK/$name"
        sed "s#$WORK/\(repo1\|state\|host.key\)#$WORK/$name/\1#g" "$WORK/holdfast.conf" >"$WORK/conf/$name.conf"
    done
    mv "$WORK/b/host.key" "$WORK/b/elsewhere"
    ends 1 "$HOLDFAST_BIN" -c "$WORK/conf" run
    [[ $output == *"$WORK/b/host.key"* ]]
    [ "$(find "$WORK"/?/repo1/snapshots -type f | cut -d/ -f5 | tr '\n' ' ')" = "a c " ]
    [ "$(find "$WORK"/?/state/runs -name '*.run' | wc -l)" -eq 1 ]
    # Nor does one that cannot be read.
    mv "$WORK/b/elsewhere" "$WORK/b/host.key"
    echo nonsense >"$WORK/conf/aa.conf"
    ends 2 "$HOLDFAST_BIN" -q -c "$WORK/conf" run
    [[ $output == *"$WORK/conf/aa.conf:"*"hint: "* ]]
    [ "$(find "$WORK"/?/repo1/snapshots -type f | cut -d/ -f5 | tr '\n' ' ')" = "a b c " ]
}

# ---- the calendar ----

# What must be there, by a model of its own: days on which the store was down, days on which the machine was off.
expected() {
    python3 - "$@" <<'P'
import datetime, sys
start = datetime.datetime(2041, 1, 1, 5)
down, off = ({int(d) for d in a.split()} for a in sys.argv[1:3])
last, taken = {}, []
for day in range(int(sys.argv[3])):
    now = start + datetime.timedelta(days=day)
    if day in down | off:
        continue
    today = now.replace(hour=0)
    latest = {"daily": today + datetime.timedelta(hours=2.5),
              "weekly": today - datetime.timedelta(days=(now.weekday() + 1) % 7) + datetime.timedelta(hours=3),
              "monthly": today.replace(day=1) + datetime.timedelta(hours=4)}
    due = [c for c in latest if c not in last or last[c] < latest[c]]
    last.update((c, now) for c in due)
    taken.append((now, due))
kept = set()
for c, count in (("daily", 7), ("weekly", 5), ("monthly", 12)):
    kept.update(t for t, due in [x for x in taken if c in x[1]][-count:])
for t, due in taken:
    if t in kept:
        print(t.strftime("%F"), " ".join(due))
P
}

@test "three months of daily, weekly and monthly snapshots, rotated; outages are caught up once" {
    needs_faketime
    local days=100 down="20 21" off="55 56 57 58 59 60 61 62 63 64 65" failed=0
    make_jobs "{ name = \"files\"; $FILES keep = { daily = 7; weekly = 5; monthly = 12; };
        schedule = { daily = \"02:30\"; weekly = \"sun 03:00\"; monthly = \"1 04:00\"; timezone = \"UTC\"; }; }"
    for day in $(seq 0 $((days - 1))); do
        date=$(date -u -d "2041-01-01 +$day days" +%F)
        [[ " $off " == *" $day "* ]] && continue
        echo "$date" >"$WORK/source/today"
        if [[ " $down " == *" $day "* ]]; then
            mv "$WORK/repo1" "$WORK/elsewhere"
            ! at "$date 05:00:00" -q run 2>/dev/null || return 1
            mv "$WORK/elsewhere" "$WORK/repo1"
            failed=$((failed + 1))
            continue
        fi
        at "$date 05:00:00" -q run
        # Later on the same day there is nothing to do.
        [ $((day % 10)) -ne 0 ] || [ -z "$(at "$date 17:00:00" run 2>&1)" ]
    done
    expected "$down" "$off" $days >"$WORK/expected"
    holdfast --json snapshots | jq -r '.snapshots[] | .started[:10] + " " + (.classes | join(" "))' >"$WORK/got"
    diff "$WORK/expected" "$WORK/got"
    grep -q "^2041-03-08 daily weekly monthly$" "$WORK/got"
    [ "$(records)" -eq $((days - 11)) ]
    [ "$(history | grep -c ' 1 files=1$')" -eq "$failed" ]
    at "2041-05-01 00:00:00" -q verify --all
}

# ---- cron ----

@test "a real cron daemon takes daily, weekly and monthly snapshots, and old ones go" {
    [ -n "${CRON_WORK:-}" ] || skip "needs cron, and root"
    drop_work
    WORK=$CRON_WORK
    export HOLDFAST_PASSPHRASE_FILE="$WORK/passphrase"
    for _ in $(seq 240); do
        [ "$(records)" -ge 2 ] && [ -z "$(ls "$WORK/repo1/leases")" ] && break
        sleep 1
    done
    cat "$WORK/log"
    [ "$(records)" -eq 2 ]
    [ ! -s "$WORK/log" ]
    [ "$(history | tr '\n' ' ')" = "1 0 files=0 2 0 files=0 " ]
    holdfast --json snapshots | jq -e '[.snapshots[] | .classes] == [["daily", "weekly", "monthly"]]'
    restore_and_compare latest
    WORK=$(mktemp -d /var/tmp/holdfast-scenario-XXXXXX)
}
