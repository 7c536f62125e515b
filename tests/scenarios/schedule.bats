# `holdfast schedule`: what is due when, and what lets cron or systemd start runs.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
setup() { make_work passphrase; }
teardown() { drop_work; }

PAGE="$BATS_TEST_DIRNAME/../../man/holdfast.1"
is_documented() { python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" "$PAGE" "$1"; }
# Preloaded before the sanitizer, which minds.
at() { ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0" faketime -f "$1" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "${@:2}"; }

# make_scheduled_repo: daily at noon three hours ago, weekly, monthly; UTC.
make_scheduled_repo() {
    make_repo 1 "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };
        schedule = { daily = \"02:30\"; weekly = \"sun 03:00\"; monthly = \"31 04:00\"; timezone = \"UTC\"; };"
    echo one >"$WORK/source/one"
}

@test "each class of each job has its last success, its next time, and since when it is due" {
    make_scheduled_repo
    run --separate-stderr holdfast schedule
    [ "$status" -eq 0 ]
    [[ $output == *"files"*"daily"*"never"*"due: the next run takes the first"* ]]
    holdfast -q run
    holdfast --json schedule >"$WORK/now"
    is_documented schedule <"$WORK/now"
    [ "$(jq -c '[.schedules[] | [.class, .due, .overdue, (.last_success | length > 0)]]' "$WORK/now")" = \
        '[["daily",false,false,true],["weekly",false,false,true],["monthly",false,false,true]]' ]
    jq -e --arg now "$(date -u +%FT%TZ)" '.schedules | all(.next > $now and .last_success <= $now)' "$WORK/now"
    [ "$(jq -r '.schedules[0].next[11:]' "$WORK/now")" = 02:30:00Z ]
    # Two days on, daily is overdue; each next time lies ahead.
    at +2d --json schedule >"$WORK/later"
    [ "$(jq -c '.schedules[0] | [.due, .overdue, .due_since == $n[0].schedules[0].next]' --slurpfile n "$WORK/now" "$WORK/later")" = '[true,true,true]' ]
    run --separate-stderr at +2d schedule
    [[ $output == *"daily"*"OVERDUE since"* ]]
    # Nobody asks a target for that, and a state folder that is lost is made up for.
    store_away 1
    holdfast --json schedule | jq -e '.schedules | all(.due | not)'
    store_back 1
    rm -r "$WORK/state"
    holdfast --json schedule | jq -e '.schedules | all(.due | not)'
}

@test "cron's entry has a mode, a name, a path and a command that cron takes; uninstall removes it alone" {
    make_scheduled_repo
    local root="$WORK/root" entry="$WORK/root/etc/cron.d/holdfast"
    mkdir -p "$root/etc/cron.d"
    echo other >"$root/etc/cron.d/other"
    holdfast schedule install cron --root "$root" >"$WORK/shown"
    [ "$(stat -c %a "$entry")" = 644 ]
    grep -qF "$(tail -1 "$entry")" "$WORK/shown"
    grep -q '^PATH=.*/usr/sbin' "$entry"
    ! grep -q MAILTO "$entry" || false
    [ "$(tail -1 "$entry")" = "0,30 * * * * root $(realpath "$HOLDFAST_BIN") -q -c $WORK/holdfast.conf run" ]
    # Again. The command does what it says.
    holdfast -q schedule install cron --root "$root"
    sh -c "$(tail -1 "$entry" | cut -d ' ' -f 7-)"
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 1 ]
    run holdfast -c "$WORK/other.conf" run
    [ "$status" -eq 2 ]
    [[ $output == *"--config is given twice"*"hint: "*"-c DIR"* ]]
    # Another configuration, or none, does not take its place unawares.
    run "$HOLDFAST_BIN" schedule install cron --root "$root"
    [ "$status" -eq 1 ]
    [[ $output == *"$entry starts runs of another configuration already"*"hint: "*"-c DIR"* ]]
    [[ "$(tail -1 "$entry")" == *" -c $WORK/holdfast.conf run" ]]
    holdfast -q schedule uninstall --root "$root"
    "$HOLDFAST_BIN" -q schedule install cron --root "$root"
    [[ "$(tail -1 "$entry")" == *" -q run" ]]
    run holdfast schedule install cron --root "$root"
    [ "$status" -eq 1 ]
    holdfast -q schedule uninstall --root "$root"
    # What is odd in a name is quoted, and % is not the end of the line.
    mkdir "$WORK/it's 100%"
    cp "$WORK/holdfast.conf" "$WORK/it's 100%/a.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/it's 100%" schedule install cron --root "$root"
    [[ "$(tail -1 "$entry")" == *"-c '$WORK/it'\\''s 100\\%' run" ]]
    sh -c "$(tail -1 "$entry" | cut -d ' ' -f 7- | sed 's/\\%/%/g')"
    holdfast --json schedule uninstall --root "$root" | tee "$WORK/removed" | is_documented "schedule uninstall"
    [ "$(jq -c .removed "$WORK/removed")" = "[\"$entry\"]" ]
    [ ! -e "$entry" ]
    [ -e "$root/etc/cron.d/other" ]
    run holdfast schedule uninstall --root "$root"
    [ "$status" -eq 0 ]
    [[ $output == "nothing is installed" ]]
}

@test "systemd's units are sound, the timer is enabled, and uninstall leaves nothing behind" {
    make_scheduled_repo
    local units="$WORK/root/etc/systemd/system"
    mkdir "$WORK/a \$HOME 5%"
    cp "$WORK/holdfast.conf" "$WORK/a \$HOME 5%/a.conf"
    "$HOLDFAST_BIN" -c "$WORK/a \$HOME 5%" schedule install systemd --root "$WORK/root" >"$WORK/shown"
    grep -q "^OnCalendar=" "$units/holdfast.timer"
    grep -q "^Persistent=yes" "$WORK/shown"
    grep -qF "ExecStart=$(realpath "$HOLDFAST_BIN") -q -c \"$WORK/a \$\$HOME 5%%\" run" "$units/holdfast.service"
    [ "$(readlink "$units/timers.target.wants/holdfast.timer")" = /etc/systemd/system/holdfast.timer ]
    [ "$(stat -c %a "$units/holdfast.service")" = 644 ]
    [ "$(stat -c %a "$WORK/root/etc")" = 755 ]
    if command -v systemd-analyze >/dev/null; then
        systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$units/holdfast.timer")"
        systemd-analyze --man=no verify "$units/holdfast.timer" "$units/holdfast.service" 2>"$WORK/verified"
        ! grep holdfast "$WORK/verified" || false
    fi
    run "$HOLDFAST_BIN" schedule install cron --root "$WORK/root"
    [[ $output == *"both start runs"*"hint: "*"uninstall systemd"* ]]
    holdfast -q schedule uninstall systemd --root "$WORK/root"
    [ -z "$(find "$units" ! -type d)" ]
    [ -e "$WORK/root/etc/cron.d/holdfast" ]
}

@test "what somebody else wrote is neither replaced nor removed" {
    make_scheduled_repo
    local entry="$WORK/root/etc/cron.d/holdfast"
    mkdir -p "$(dirname "$entry")"
    echo "0 3 * * * root holdfast run" >"$entry"
    for command in "install cron" uninstall; do
        # shellcheck disable=SC2086  # words
        run holdfast schedule $command --root "$WORK/root"
        [ "$status" -eq 1 ]
        [[ $output == *"was not written by"*"hint: "* ]]
    done
    [ "$(cat "$entry")" = "0 3 * * * root holdfast run" ]
    run holdfast schedule install launchd --root "$WORK/root"
    [ "$status" -eq 2 ]
    [[ $output == *"hint: "* ]]
    run "$HOLDFAST_BIN" -c "$WORK/none" schedule install systemd --root "$WORK/root"
    [ "$status" -ne 0 ]
    [ ! -e "$WORK/root/etc/systemd" ]
}
