# People are told: webhooks, pings, mail and the system's log, with receivers that are slow, broken and well.
load ../lib/common.bash
setup() {
    make_work
    unset HOLDFAST_PASSPHRASE_FILE
    KEY="--person-key $WORK/person.key"
    echo hello >"$WORK/source/file"
}
teardown() {
    [ ! -L /dev/log ] || [ "$(readlink /dev/log)" != "$WORK/log" ] || rm -f /dev/log
    drop_work
}

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

# configure CHANNELS [JOB SETTINGS]: one target, one job that is due every day.
configure() {
    mkdir -p "$WORK/target"
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; };
targets = ( { name = "disk"; type = "local"; path = "$WORK/target"; } );
jobs = ( { name = "files"; schedule = { daily = "00:00"; timezone = "UTC"; }; ${2:-}
           source = { type = "files"; paths = [ "$WORK/source" ]; }; } );
notify = ( $1 );
C
}

# start_receiver NAME ANSWERS [CERTIFICATE]: $WORK/NAME is its folder; URL its address.
start_receiver() {
    mkdir "$WORK/$1"
    echo "$2" >"$WORK/$1/answers"
    python3 "$BATS_TEST_DIRNAME/../lib/receiver.py" "$WORK/$1" $$ ${3:+"$3"} 3>&- &
    until [ -e "$WORK/$1/port" ]; do sleep 0.02; done
    URL="http${3:+s}://127.0.0.1:$(cat "$WORK/$1/port")"
}

requests() { # NAME FILTER
    jq -rs "$2" "$WORK/$1/requests"
}

# Whatever a command printed: nothing of an address but where it leads.
is_redacted() {
    ! grep -r sesame "$WORK"/out "$WORK"/err || fail "a secret is shown"
}

# tell STATUS: the channels are tried; output in $WORK/out and $WORK/err.
tell() {
    local wanted=$1 got=0
    shift
    holdfast "$@" notify-test >"$WORK/out" 2>"$WORK/err" || got=$?
    [ "$got" -eq "$wanted" ] || fail "status $got: $(cat "$WORK/err")"
    is_redacted
}

@test "a webhook gets a document, is tried again when it is weak, and its address is never shown" {
    start_receiver hook '500 close 200'
    configure "{ type = \"webhook\"; url = \"$URL/a/sesame?token=sesame\"; }"
    tell 0
    [ "$(requests hook 'length')" -eq 3 ]
    [ "$(requests hook '.[2].path')" = '/a/sesame?token=sesame' ]
    [ "$(requests hook '.[2].method + " " + .[2].headers["Content-Type"]')" = 'POST application/json' ]
    [ "$(requests hook '.[2].body | fromjson | "\(.version) \(.level) \(.repository) \(.run)"')" = '1 test test null' ]
    grep -q "^test .*webhook $URL/... .*delivered" "$WORK/out"
    holdfast check-config >"$WORK/out"
    grep -qF "  tells webhook $URL/..." "$WORK/out"
    is_redacted
    tell 0 --json
    [ "$(jq -r '.channels[0] | "\(.repository) \(.channel) \(.delivered)"' "$WORK/out")" = "test webhook $URL/... true" ]
}

@test "what cannot be delivered is said, within its time" {
    start_receiver refuses 404
    REFUSES=$URL
    start_receiver hangs hang
    HANGS=$URL
    start_receiver leads redirect
    LEADS=$URL
    start_receiver broken 503
    configure "{ type = \"webhook\"; url = \"$REFUSES/sesame\"; timeout = \"5s\"; },
        { type = \"webhook\"; url = \"$HANGS/sesame\"; timeout = \"5s\"; },
        { type = \"webhook\"; url = \"$LEADS/sesame\"; timeout = \"5s\"; },
        { type = \"ping\"; url = \"$URL/sesame\"; timeout = \"5s\"; },
        { type = \"webhook\"; url = \"http://127.0.0.1:1/sesame\"; timeout = \"5s\"; },
        { type = \"mail\"; to = [ \"root\" ]; command = [ \"sleep\", \"100\" ]; timeout = \"5s\"; }"
    SECONDS=0
    tell 1
    [ "$SECONDS" -lt 18 ] # all at the same time: four take five seconds each
    [ "$(grep -c 'not delivered: ' "$WORK/err")" -eq 6 ]
    grep -q "not delivered: webhook $REFUSES/...: $REFUSES/... answers with status 404" "$WORK/err"
    [ "$(requests refuses 'length')" -eq 1 ] # it would be the same again
    grep -q "not delivered: webhook $HANGS/...: .*no complete answer from $HANGS: " "$WORK/err"
    grep -q "not delivered: webhook $LEADS/...: $LEADS/... answers with status 302" "$WORK/err"
    grep -q "^hint: redirects are not followed: this one leads to $LEADS;" "$WORK/err"
    [ "$(requests leads 'map(.path) | join(" ")')" = /sesame ]
    grep -q "not delivered: ping $URL/...: after [2-9] tries: $URL/... answers with status 503" "$WORK/err"
    grep -q 'not delivered: mail to root: command sleep 100 took longer than 5 seconds' "$WORK/err"
    tell 1 --json
    [ "$(jq -r '[.channels[] | select(.delivered == false) | .error] | length' "$WORK/out")" -eq 6 ]
}

@test "an address may be in a file of its own; plain http and unknown authorities are refused" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$WORK/key" -out "$WORK/cert" 2>/dev/null
    cat "$WORK/key" "$WORK/cert" >"$WORK/both"
    start_receiver tls 200 "$WORK/both"
    (umask 077 && echo "$URL/sesame" >"$WORK/url")
    configure "{ type = \"webhook\"; url_file = \"$WORK/url\"; ca_file = \"$WORK/cert\"; }"
    tell 0
    grep -q "webhook of $WORK/url" "$WORK/out"
    [ "$(requests tls '.[0].path')" = /sesame ]
    configure "{ type = \"webhook\"; url_file = \"$WORK/url\"; timeout = \"60s\"; }"
    SECONDS=0
    tell 1
    [ "$SECONDS" -lt 50 ] # an unknown certificate stays unknown
    grep -q 'certificate' "$WORK/err"
    chmod 644 "$WORK/url"
    tell 1
    grep -q "not delivered: webhook of $WORK/url: url_file: $WORK/url holds a secret" "$WORK/err"
    configure '{ type = "webhook"; url = "http://user:sesame@192.0.2.1/sesame"; }'
    tell 2
    grep -q 'plain http' "$WORK/err"
    configure ""
    tell 2
}

# A sendmail that keeps what it gets.
fake_sendmail() {
    cat >"$WORK/sendmail" <<S
#!/bin/sh
printf '%s\n' "\$@" >"$WORK/mail.arguments"
env >"$WORK/mail.environment"
exec cat >"$WORK/mail"
S
    chmod +x "$WORK/sendmail"
}

@test "mail is well-formed, and its command sees no secrets" {
    fake_sendmail
    configure "{ type = \"mail\"; to = [ \"root\", \"admin@example.org\" ]; command = [ \"$WORK/sendmail\", \"-i\", \"-t\" ]; }"
    AWS_SECRET_ACCESS_KEY=sesame tell 0
    [ "$(cat "$WORK/mail.arguments")" = $'-i\n-t' ]
    ! grep sesame "$WORK/mail.environment" || false
    python3 - "$WORK/mail" <<'P'
import email, email.policy, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert not m.defects, m.defects
assert m["to"] == "root, admin@example.org", m["to"]
assert m["subject"].startswith("Holdfast: test on ") and m["subject"].endswith(": this is a test"), m["subject"]
assert m["date"].datetime and m["from"].addresses and m["message-id"] and m["auto-submitted"] == "auto-generated"
assert "notify-test sent this" in m.get_content()
P
}

@test "the system's log gets lines" {
    exec 8>/var/tmp/holdfast-scenario-log.lock
    flock 8 # of the other suites that are run at the same time
    [ ! -e /dev/log ] || skip "a daemon listens at /dev/log"
    configure '{ type = "syslog"; facility = "local2"; timeout = "2s"; }'
    tell 1
    grep -q 'not delivered: syslog: nobody listens at /dev/log' "$WORK/err"
    ln -s "$WORK/log" /dev/log
    python3 - "$WORK/log" "$WORK/lines" $$ 3>&- <<'P' &
import os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s, open(sys.argv[2], "wb") as out:
    s.bind(sys.argv[1])
    s.settimeout(1)
    while os.path.exists(f"/proc/{sys.argv[3]}"):
        try:
            out.write(s.recv(4096) + b"\n")
            out.flush()
        except TimeoutError:
            pass
P
    until [ -S "$WORK/log" ]; do sleep 0.02; done
    tell 0
    for _ in $(seq 3000); do [ "$(wc -l <"$WORK/lines")" -lt 2 ] || break; sleep 0.02; done
    grep -Eq '^<149>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} holdfast\[[0-9]+\]: Holdfast: test on .*: this is a test$' "$WORK/lines"
}

levels() { # NAME: of the messages that came
    requests "$1" 'map(.body | fromjson | .level) | join(" ")'
}

# run_at DAY STATUS [OPTION]: a run on that day in the future, when the job is due again.
run_at() {
    local got=0 at=()
    [ "$1" -eq 0 ] || at=(faketime -f "+$1d")
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0" FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 \
        "${at[@]}" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" ${3:-} run >"$WORK/out" 2>"$WORK/err" || got=$?
    [ "$got" -eq "$2" ] || fail "status $got: $(cat "$WORK/err")"
    is_redacted
}

@test "a run tells of a failure, of the recovery, and of success who wants to know" {
    fake_sendmail
    start_receiver bad 200
    BAD=$URL
    start_receiver all 200
    ALL=$URL
    start_receiver ping 200
    JOB="source = { type = \"command\"; command = [ \"sh\", \"-c\", \"cat $WORK/source/dump\" ]; };"
    configure "{ type = \"webhook\"; url = \"$BAD/sesame\"; },
        { type = \"webhook\"; url = \"$ALL/sesame\"; on = [ \"success\", \"failure\" ]; },
        { type = \"ping\"; url = \"$URL/sesame?key=sesame\"; failure = \"?status=down\"; },
        { type = \"mail\"; to = [ \"root\" ]; command = [ \"$WORK/sendmail\" ]; }"
    sed -i "s|source = .*|$JOB } );|" "$WORK/holdfast.conf"
    holdfast -q init $KEY
    run_at 0 1
    [ "$(levels bad)" = failure ]
    requests bad '.[0].body | fromjson | .run.jobs[0].message' | grep -q '^command sh .*dump'
    requests bad '.[0].body | fromjson | .text' | grep -q '^job files: no snapshot: command sh .*dump'
    requests bad '.[0].body | fromjson | del(.run)' | python3 "$BATS_TEST_DIRNAME/../lib/check_json.py" \
        "$BATS_TEST_DIRNAME/../../man/holdfast-notify.7" webhook
    [ "$(requests ping 'map(.path) | join(" ")')" = '/sesame/start?key=sesame /sesame?key=sesame&status=down' ]
    grep -q '^Subject: Holdfast: test on .*: FAILED: job files' "$WORK/mail"
    seq 1000 >"$WORK/source/dump"
    rm "$WORK/mail"
    run_at 0 0
    [ "$(levels bad)" = 'failure recovered' ]
    [ "$(levels all)" = 'failure recovered' ]
    [ "$(requests ping '.[3].path')" = '/sesame?key=sesame' ]
    grep -q '^Subject: .*good again' "$WORK/mail"
    run_at 0 0 # nothing is due
    run_at 2 0
    [ "$(levels bad)" = 'failure recovered' ]
    [ "$(levels all)" = 'failure recovered success' ]
    [ "$(requests ping 'length')" -eq 6 ]
}

@test "no channel holds up a run for long or makes it fail; who is weak gets it in the end" {
    start_receiver hangs hang
    HANGS=$URL
    start_receiver slow 'slow close 500 slow'
    configure "{ type = \"webhook\"; url = \"$HANGS/sesame\"; on = [ \"success\" ]; timeout = \"2s\"; },
        { type = \"ping\"; url = \"http://127.0.0.1:1/sesame\"; timeout = \"1s\"; },
        { type = \"webhook\"; url = \"$URL/sesame\"; on = [ \"success\" ]; timeout = \"10s\"; }"
    holdfast -q init $KEY
    SECONDS=0
    run_at 0 0
    [ "$SECONDS" -lt 60 ]
    [ "$(grep -c 'warning: not delivered: ' "$WORK/err")" -eq 3 ] # the ping twice
    [ "$(requests slow 'length')" -eq 1 ]
    run_at 2 0 --json
    [ "$(requests slow 'length')" -eq 4 ]
    [ "$(jq '.undelivered' "$WORK/out")" -eq 3 ]
    # A store that is not there is a failure, and told, too.
    sed -i 's/"success"/"failure"/' "$WORK/holdfast.conf"
    mv "$WORK/target" "$WORK/away"
    run_at 4 1
    [ "$(levels slow)" = 'success success success success failure' ]
    requests slow '.[4].body | fromjson | .run.jobs[0].message' | grep -q "$WORK/target"
}

@test "a run that hangs is told by those that it keeps away" {
    start_receiver hook 200
    configure "{ type = \"webhook\"; url = \"$URL/sesame\"; }"
    sed -i "s|source = .*|source = { type = \"command\"; command = [ \"sh\", \"-c\", \"touch $WORK/begun; exec sleep 99\" ]; }; } );|" "$WORK/holdfast.conf"
    holdfast -q init $KEY
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" run 2>/dev/null 3>&- &
    pid=$!
    until [ -e "$WORK/begun" ]; do sleep 0.02; done
    run_at 0 0
    echo 'run = { max_runtime = "1s"; };' >>"$WORK/holdfast.conf"
    sleep 1.1
    run_at 0 4
    [ "$(levels hook)" = failure ]
    requests hook '.[0].body | fromjson | .text' | grep -q 'longer than max_runtime'
    kill -TERM "$pid"
    wait "$pid" || true
}

@test "a run that a signal stops tells of it, in a few seconds" {
    start_receiver hangs hang
    HANGS=$URL
    start_receiver hook 200
    configure "{ type = \"webhook\"; url = \"$HANGS/sesame\"; }, { type = \"webhook\"; url = \"$URL/sesame\"; }"
    sed -i "s|source = .*|source = { type = \"command\"; command = [ \"sh\", \"-c\", \"touch $WORK/begun; exec sleep 99\" ]; }; } );|" "$WORK/holdfast.conf"
    holdfast -q init $KEY
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" run >"$WORK/out" 2>"$WORK/err" 3>&- &
    pid=$! got=0
    until [ -e "$WORK/begun" ]; do sleep 0.02; done
    SECONDS=0
    kill -TERM "$pid"
    wait "$pid" || got=$?
    [ "$got" -eq 143 ]
    [ "$SECONDS" -lt 25 ] # without the signal, the channel's half a minute
    [ "$(requests hook '.[0].body | fromjson | "\(.level) \(.run.interrupted)"')" = 'failure true' ]
    is_redacted
}
