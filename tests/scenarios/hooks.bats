# Hooks: what runs when, what it is told, and what becomes of the backup.
load ../lib/common.bash
setup() {
    make_work
    unset HOLDFAST_PASSPHRASE_FILE
    KEY="--person-key $WORK/person.key"
    echo hello >"$WORK/source/file"
    # Writes down that it was called and what it was told; then runs its arguments.
    cat >"$WORK/hook" <<H
#!/bin/sh
cat >"$WORK/stdin.\$HOLDFAST_EVENT.\$HOLDFAST_JOB"
env | grep '^HOLDFAST_' | sort >"$WORK/env.\$HOLDFAST_EVENT.\$HOLDFAST_JOB"
env | grep -v '^HOLDFAST_' >"$WORK/env"
echo "\$HOLDFAST_EVENT:\$HOLDFAST_JOB:\$HOLDFAST_STATUS" >>"$WORK/log"
exec "\$@"
H
    chmod +x "$WORK/hook"
}
teardown() {
    ! mountpoint -q "$WORK/target" || umount "$WORK/target"
    drop_work
}

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

H() { # WORDS...: the hook as the configuration has it
    printf '[ "%s/hook"' "$WORK"
    printf ', "%s"' "${@:-true}"
    printf ' ]'
}

# configure JOB-SETTINGS [JOBS [SETTINGS]]: job files (of $SOURCE) with these settings, then other jobs and groups.
configure() {
    local files="type = \"files\"; paths = [ \"$WORK/source\" ]"
    mkdir -p "$WORK/target"
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; };
targets = ( { name = "disk"; type = "local"; path = "$WORK/target"; } );
jobs = ( { name = "files"; schedule = { daily = "00:00"; timezone = "UTC"; };
           source = { ${SOURCE:-$files}; }; $1 } ${2:-} );
${3:-}
C
    [ -e "$WORK/host.key" ] || holdfast -q init $KEY
    rm -f "$WORK/log"
}

# ends STATUS COMMAND...: output to $WORK/out and $WORK/err.
ends() {
    local wanted=$1 got=0
    shift
    holdfast "$@" >"$WORK/out" 2>"$WORK/err" || got=$?
    [ "$got" -eq "$wanted" ] || fail "$*: status $got instead of $wanted: $(cat "$WORK/err")"
}

log() { paste -sd ' ' "$WORK/log"; }
snapshots() { holdfast --json snapshots | jq '.snapshots | length'; }
fact() { sed -n "s/^HOLDFAST_$2=//p" "$WORK/env.$1"; }
is_documented() { # FILE: what a hook was told
    { jq -c 'del(.job, .run)' "$1"; } | python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" \
        "$BATS_TEST_DIRNAME/../../man/holdfast-notify.7" hook
}

ALL() { echo "before = $(H); after = $(H); on_success = $(H); on_warning = $(H); on_failure = $(H);"; }

@test "around a good backup, by hand and in a run; facts in the environment and as JSON, and no secrets" {
    configure "hooks = { $(ALL) };" "" "hooks = { $(ALL) };"
    AWS_SECRET_ACCESS_KEY=sesame http_proxy=http://u:sesame@proxy ends 0 backup --class weekly
    [ "$(log)" = "before:: before:files: after:files:success on_success:files:success after::success on_success::success" ]
    ! grep -r sesame "$WORK"/env* || false
    grep -q '^PATH=' "$WORK/env"
    [ "$(fact before.files CLASSES)" = weekly ]
    [ "$(fact before.files REPOSITORY)" = test ]
    [ "$(fact before.files CONFIG)" = "$WORK/holdfast.conf" ]
    ID=$(holdfast --json snapshots | jq -r '.snapshots[0].id')
    [ "$(fact after.files SNAPSHOT)" = "$ID" ]
    [ "$(fact after.files EXIT_STATUS)" = 0 ]
    [ "$(jq -c '[.event, .repository, .job.job, .job.classes]' "$WORK/stdin.before.files")" = '["before","test","files",["weekly"]]' ]
    [ "$(jq -r '"\(.status) \(.job.id) \(.job.files)"' "$WORK/stdin.after.files")" = "success $ID 1" ]
    [ "$(jq -r '.run.command' "$WORK/stdin.after.")" = backup ]
    for f in "$WORK"/stdin.*; do is_documented "$f"; done
    # Every variable is documented, and no other is.
    diff <(sed 's/=.*//' "$WORK/env.after.files" | sort) \
        <(sed -n 's/^\.It Ev //p' "$BATS_TEST_DIRNAME/../../man/holdfast-notify.7" | sort)
    rm "$WORK/log"
    ends 0 run
    [ "$(log)" = "before:: before:files: after:files:success on_success:files:success after::success on_success::success" ]
    [ "$(fact after.files CLASSES)" = daily ]
    rm "$WORK/log"
    ends 0 run
    [ ! -e "$WORK/log" ] # nothing is due
}

@test "a before that fails fails its job, with what it said; after runs all the same, and so do other jobs" {
    configure "hooks = { before = ( $(H sh -c 'echo to be seen; echo no space left >&2; exit 7'), $(H touch "$WORK/never") );
        after = $(H); on_failure = $(H); on_success = $(H); };" \
        ", { name = \"other\"; source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };
             hooks = { before = [ \"sh\", \"-c\", \"exit 0\" ]; }; }"
    ends 1 --json backup
    [ "$(log)" = "before:files: after:files:failure on_failure:files:failure" ]
    [ ! -e "$WORK/never" ]
    [ "$(holdfast --json snapshots | jq -r '[.snapshots[].job] | join(" ")')" = other ]
    jq -r '.jobs[0].error' "$WORK/out" | grep -q 'job files: hook before: .* ended with status 7: no space left (before that: to be seen)'
    grep -q '^before of job files: to be seen$' "$WORK/err"
    fact after.files ERROR | grep -q 'no space left'
    [ -z "$(fact after.files SNAPSHOT)" ]
    ends 1 run
    [ "$(log)" = "before:files: after:files:failure on_failure:files:failure before:files: after:files:failure on_failure:files:failure" ]
    # Who cannot be started, too.
    configure "hooks = { before = [ \"/nonexistent\" ]; after = $(H); };"
    ends 1 backup
    [ "$(log)" = "after:files:failure" ]
    grep -q 'job files: hook before: cannot start command /nonexistent' "$WORK/err"
}

@test "a backup that fails, one with warnings, and hooks that fail afterwards" {
    configure "hooks = { $(ALL) };" ", { name = \"dump\"; hooks = { $(ALL) };
        source = { type = \"command\"; command = [ \"sh\", \"-c\", \"echo half; exit 3\" ]; }; }"
    ends 1 backup dump
    [ "$(log)" = "before:dump: after:dump:failure on_failure:dump:failure" ]
    fact on_failure.dump ERROR | grep -q 'ended with status 3'
    configure "hooks = { after = $(H false); on_success = $(H); on_warning = $(H); };"
    ends 3 backup
    [ "$(log)" = "after:files:success on_success:files:success" ]
    [ "$(snapshots)" -eq 1 ]
    grep -q '^warning: hook after of job files: .* ended with status 1' "$WORK/err"
    ends 3 --json run
    [ "$(jq -r '.jobs[0] | "\(.exit_status) \(.message)"' "$WORK/out" | cut -c 1-28)" = "3 hook after of job files: c" ]
    SOURCE="type = \"files\"; paths = [ \"$WORK/source\", \"$WORK/missing\" ]" configure "hooks = { $(ALL) };"
    ends 3 backup
    [ "$(log)" = "before:files: after:files:warning on_warning:files:warning" ]
    [ "$(fact on_warning.files WARNINGS)" = 1 ]
}

@test "a before of the run that fails leaves no job a chance, but its after" {
    configure "hooks = { $(ALL) };" "" "hooks = { before = $(H sh -c 'echo not mounted; exit 1'); after = $(H); on_failure = $(H); };"
    ends 1 run
    [ "$(log)" = "before:: on_failure:files:failure after::failure on_failure::failure" ]
    [ "$(snapshots)" -eq 0 ]
    [ "$(jq -r '.run.jobs[0].message' "$WORK/stdin.on_failure.")" != null ]
    grep -q 'hook before of the run: .*: not mounted' "$WORK/err"
}

# The target lies elsewhere but while hooks of the run have it in its place: really mounted where that is allowed, so that
# after shows that nothing keeps it busy.
make_mounted_target() {
    local from="$WORK/elsewhere" to="$WORK/target"
    configure ""
    mkdir "$from"
    mv "$to"/* "$from"
    APPEAR="mv $from/* $to" VANISH="mv $to/* $from"
    ! mount --bind "$from" "$to" 2>/dev/null || { umount "$to"; APPEAR="mount --bind $from $to" VANISH="umount $to"; }
    configure_mounted "$APPEAR"
}
configure_mounted() { # WORDS: of before
    configure "hooks = { before = $(H); after = $(H); };" "" \
        "hooks = { before = $(H sh -c "$1"); after = $(H sh -c "$VANISH"); on_failure = $(H); };"
}

@test "a before of the run makes the target reachable, and its after takes it away when nothing needs it any more" {
    make_mounted_target
    ends 0 backup
    [ "$(log)" = "before:: before:files: after:files:success after::success" ]
    [ ! -e "$WORK/target/config" ]
    ends 0 run
    [ "$(ls "$WORK/elsewhere/snapshots" | wc -l) $(ls "$WORK/elsewhere/runs" | wc -l)" = "2 1" ]
    [ -z "$(find "$WORK/elsewhere/leases" "$WORK/target" -mindepth 1)" ]
    rm "$WORK/log"
    ends 0 run
    [ ! -e "$WORK/log" ] # nothing is due
    # What a lost state folder knew must be asked of the targets: then nothing is due after all, and there is no record.
    rm -r "$WORK/state"
    ends 0 --json run
    [ "$(log)" = "before:: after::success" ]
    [ "$(jq -c .jobs "$WORK/out")" = "[]" ]
    [ -z "$(ls "$WORK/state/runs")" ]
}

@test "where the target is not reachable after all, no job begins, the after of the run runs, and the run is recorded" {
    make_mounted_target
    VANISH=true
    configure_mounted true
    ends 1 --json backup
    [ "$(log)" = "before:: after::failure on_failure::failure" ]
    [ "$(jq -c '[.exit_status, .jobs[0].exit_status, (.jobs[0].error | length > 0)]' "$WORK/out")" = "[1,1,true]" ]
    rm "$WORK/log"
    ends 1 run
    [ "$(log)" = "before:: after::failure on_failure::failure" ]
    fact on_failure. ERROR | grep -q "no repository at $WORK/target"
    [ "$(ls "$WORK/state/runs" | wc -l)" -eq 2 ] # the backup by hand that failed is recorded, too
}

@test "a hook that takes too long is ended, with all it has started" {
    configure "hooks = { before = [ \"sh\", \"-c\", \"sleep 99 & echo \$! >$WORK/pid; wait\" ]; after = $(H); timeout = \"1s\"; };"
    SECONDS=0
    ends 1 backup
    [ "$SECONDS" -lt 60 ]
    grep -q 'job files: hook before: command sh .* took longer than 1 seconds' "$WORK/err"
    ! kill -0 "$(cat "$WORK/pid")" 2>/dev/null || grep -q '^State:.Z' "/proc/$(cat "$WORK/pid")/status"
    [ "$(log)" = "after:files:failure" ]
}

@test "after has its time when a signal stops the backup, or the hook before it" {
    SOURCE="type = \"command\"; command = [ \"sh\", \"-c\", \"touch $WORK/begun; exec sleep 99\" ]" \
        configure "hooks = { before = $(H); after = $(H sh -c "sleep 3; echo restored >$WORK/restored"); on_failure = $(H); };"
    stop_when() { # FILE COMMAND SIGNAL
        "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$2" 2>"$WORK/err" 3>&- &
        local pid=$! got=0
        until [ -e "$1" ]; do sleep 0.02; done
        kill -"$3" "$pid"
        SECONDS=0
        wait "$pid" || got=$?
        [ "$got" -eq $((128 + $(kill -l "$3"))) ] || fail "status $got: $(cat "$WORK/err")"
    }
    stop_when "$WORK/begun" run TERM
    [ "$SECONDS" -ge 3 ]
    [ "$SECONDS" -lt 60 ]
    [ -e "$WORK/restored" ]
    [ "$(log)" = "before:files: after:files:failure on_failure:files:failure" ]
    [ "$(jq -r .job.exit_status "$WORK/stdin.after.files")" = 130 ]
    sed -i "s|before = [^]]*]|before = [ \"sh\", \"-c\", \"touch $WORK/waits; exec sleep 99\" ]|" "$WORK/holdfast.conf"
    rm "$WORK/restored"
    stop_when "$WORK/waits" backup HUP # as where a connection breaks off
    [ -e "$WORK/restored" ]
    grep -q 'job files: hook before: command sh .* was cancelled' "$WORK/err"
}
