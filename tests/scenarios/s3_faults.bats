# What goes over the line on bad days and on good ones: seen in the log of the proxy before the real gateway. That nothing
# is lost whatever happens is shown by tests/model/s3_faults.py.
load ../lib/common.bash
load ../lib/s3.bash
setup() { make_work; make_small_tree; s3_start; s3_bucket line; s3_proxy front; }
teardown() { s3_stop; drop_work; }

# use_front [SETTINGS OF THE TARGET] [SETTINGS OF THE REPOSITORY]
use_front() {
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" "${1:-}")" "" "${2:-retry_budget = 2;} stall_timeout = 3;"
}

# fails STATUS TEXT COMMAND...: and does so soon
fails() {
    local begin=$SECONDS
    : >"$WORK/front.log"
    run holdfast "${@:3}"
    [ "$status" -eq "$1" ] && [[ $output == *"$2"* ]] && [[ $output == *hint:* ]] || { echo "$status: $output"; return 1; }
    [ $((SECONDS - begin)) -lt 40 ]
}

# most_alike FILTER: how often the request was sent that was sent most often.
most_alike() {
    jq -s "map(select($1) | [.method, .path, .query]) | group_by(.) | map(length) | max // 0" "$WORK/front.log"
}

@test "what would be refused again is not sent again" {
    use_front
    holdfast -q init
    AWS_SECRET_ACCESS_KEY=wrong fails 1 SignatureDoesNotMatch backup
    [ "$(s3_count front)" -eq 1 ]
    AWS_ACCESS_KEY_ID=nobody fails 1 InvalidAccessKeyId backup
    [ "$(s3_count front)" -eq 1 ]
    s3_user stranger
    s3_as "$USER_FILE" fails 1 AccessDenied backup
    [ "$(most_alike true)" -eq 1 ]
    sed "s/$BUCKET/no-such-bucket-$$/" "$WORK/holdfast.conf" >"$WORK/other.conf"
    mv "$WORK/holdfast.conf" "$WORK/good.conf"
    mv "$WORK/other.conf" "$WORK/holdfast.conf"
    fails 1 NoSuchBucket backup
    [ "$(most_alike true)" -eq 1 ]
    mv "$WORK/good.conf" "$WORK/holdfast.conf"
    s3_faults front '{"rules": [{"method": "PUT", "path": "/packs/", "fault": "access_denied"}]}'
    fails 1 AccessDenied backup
    [ "$(most_alike '.fault != null')" -eq 1 ]
    s3_faults front
    holdfast -q backup
    # What somebody's rule has moved to an archive class is not damaged: that is said, with what to do.
    s3_faults front '{"rules": [{"method": "GET", "path": "/packs/", "fault": "error", "status": 403, "code": "InvalidObjectState"}]}'
    for command in "restore latest --to $WORK/out" "verify --all" "cat latest $WORK/source/a/hello"; do
        fails 1 InvalidObjectState $command
        [[ $output == *"hint: "*"the object was moved to an archive class: restore it there first"* ]] || { echo "$output"; false; }
    done
    holdfast -q backup
    s3_faults front
    restore_and_compare latest
}

@test "a store that asks for patience gets it" {
    use_front "" 'retry_budget = "20s";'
    holdfast -q init
    s3_faults front '{"rules": [{"method": "PUT", "path": "/leases/", "nth": [1], "fault": "slow_down", "retry_after": 3}]}'
    holdfast -q backup
    waited=$(jq -s '[.[] | select(.method == "PUT" and (.path | contains("/leases/")))] | .[1].time - .[0].time' "$WORK/front.log")
    jq -en "$waited >= 3 and $waited < 20"
    # More patience than there is: it is not waited for at all.
    use_front
    s3_faults front '{"rules": [{"method": "PUT", "path": "/leases/", "fault": "too_many", "retry_after": 600}]}'
    fails 1 TooManyRequests backup
    [ "$(most_alike '.fault != null')" -eq 1 ]
}

@test "a dead store is given up in the time that is set, by all connections together" {
    use_front "connections = 8;" 'retry_budget = 2; pack_size = "64K"; chunk_average = "16K";'
    holdfast -q init
    s3_faults front '{"rules": [{"method": "PUT", "path": "/packs/", "fault": "unavailable"}]}'
    fails 1 "ServiceUnavailable" backup
    [ "$(s3_count front '.fault != null')" -ge 8 ]
    s3_faults front '{"rules": [{"method": "PUT", "path": "/packs/", "fault": "stall", "where": "request", "seconds": 20}]}'
    fails 1 "Operation too slow" backup
    s3_faults front '{"rules": [{"fault": "reset_before"}]}'
    fails 1 "no complete answer" backup
    kill "$PROXY_PID"
    fails 1 "Failed to connect" backup
    fails 1 "Failed to connect" restore latest --to "$WORK/out"
    s3_proxy front "" http "${PROXY##*:}"
    holdfast -q backup
    restore_and_compare latest
}

@test "encryption by the store is asked for where the configuration asks for it, and only there" {
    use_front
    holdfast -q init
    holdfast -q backup
    holdfast -q verify --all
    holdfast -q prune --force
    [ "$(s3_count front '.headers | keys | any(startswith("x-amz-server-side-encryption"))')" -eq 0 ]
    s3_proxy secure "" https # this store takes it over https only
    use_front 'sse = "AES256";'
    head -c 100000 /dev/urandom >"$WORK/source/more"
    holdfast -q backup
    holdfast -q verify --all
    [ "$(s3_count secure '.method == "PUT"')" -ge 4 ]
    [ "$(s3_count secure '(.method == "PUT") != (.headers["x-amz-server-side-encryption"] == "AES256")')" -eq 0 ]
}

@test "a customer's key goes with all that is encrypted, over https, and the storage class with packs" {
    s3_proxy secure "" https
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" 'sse = "customer"; storage_class = "STANDARD"; prefix = "p";')" "" "retry_budget = 2;"
    holdfast -q init
    holdfast -q backup
    restore_and_compare latest
    has='(.headers | has("x-amz-server-side-encryption-customer-key"))'
    object='(.path | test("/p/(packs|index|snapshots|leases|events)/")) and (.method | test("GET|PUT|HEAD"))'
    [ "$(s3_count secure ".tls and ($object) and $has")" -ge 6 ]
    [ "$(s3_count secure "($object) != $has")" -eq 0 ]
    [ "$(s3_count secure '.headers["x-amz-storage-class"] == "STANDARD"')" -ge 1 ]
    [ "$(s3_count secure '(.headers | has("x-amz-storage-class")) != (.method == "PUT" and (.path | contains("/packs/")))')" -eq 0 ]
    pack=$(jq -r 'select(.method == "PUT" and (.path | contains("/packs/"))) | .path' "$WORK/secure.log" | head -n 1)
    run env S3_URL="$S3_HTTPS" bash -c "source '$BATS_TEST_DIRNAME/../lib/s3.bash'; s3_request GET '$pack'"
    [ "$status" -eq 1 ]
    [[ $output == *"<Error>"* ]] || { echo "$output"; false; }
}

@test "the limits hold for all connections of all targets together" {
    rm "$WORK/source/random"
    head -c 1500000 /dev/urandom >"$WORK/source/random"
    one=$(s3_target one "$BUCKET" "$PROXY")
    s3_bucket second
    s3_proxy second
    write_targets_config "$one, $(s3_target two "$BUCKET" "$PROXY")" "" 'upload_limit = "1M"; download_limit = "1M"; pack_size = "256K"; chunk_average = "64K";'
    holdfast -q init
    begin=$(date +%s%3N)
    holdfast -q backup
    [ $(($(date +%s%3N) - begin)) -ge 2600 ] # 3.0 MB
    begin=$(date +%s%3N)
    holdfast -q verify --all
    took=$(($(date +%s%3N) - begin))
    [ "$took" -ge 2600 ] && [ "$took" -lt 60000 ]
}

@test "temporary keys that expire under way are renewed by the program that gives them" {
    s3_session "$WORK/first"
    s3_session "$WORK/second"
    # Gives others as soon as the store has refused the first ones, unless it is stuck.
    cat >"$WORK/give" <<P
#!/bin/sh
file=$WORK/first
[ -e $WORK/stuck ] || ! grep -q '"fault": "expired_token"' $WORK/front.log || file=$WORK/second
value() { sed -n "s/^\$1 = //p" "\$file"; }
printf '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s", "SessionToken": "%s"}' \
    "\$(value aws_access_key_id)" "\$(value aws_secret_access_key)" "\$(value aws_session_token)"
P
    chmod 700 "$WORK/give"
    (umask 077; printf '[default]\ncredential_process = %s\n' "$WORK/give" >"$WORK/credentials")
    use_front "credentials_file = \"$WORK/credentials\";"
    holdfast -q init
    first=$(sed -n 's/^aws_access_key_id = //p' "$WORK/first")
    second=$(sed -n 's/^aws_access_key_id = //p' "$WORK/second")
    s3_faults front "{\"rules\": [{\"header\": {\"authorization\": \"Credential=$first/\"}, \"after\": 5, \"fault\": \"expired_token\"}]}"
    touch "$WORK/stuck"
    fails 1 ExpiredToken backup
    [ "$(most_alike '.fault != null')" -eq 1 ]
    rm "$WORK/stuck"
    s3_faults front "{\"rules\": [{\"header\": {\"authorization\": \"Credential=$first/\"}, \"after\": 5, \"fault\": \"expired_token\"} ]}"
    : >"$WORK/front.log"
    holdfast -q backup
    [ "$(s3_count front ".access_key == \"$first\" and .fault == null")" -eq 5 ]
    [ "$(most_alike '.fault != null')" -eq 1 ]
    [ "$(s3_count front ".access_key == \"$second\" and .status < 300")" -ge 3 ]
    s3_faults front
    restore_and_compare latest
    holdfast -q verify --all
}

@test "a client whose clock is wrong by 20 minutes backs up, and is told" {
    use_front
    holdfast -q init
    for off in +20m -20m; do
        echo "$off" >"$WORK/source/a/hello"
        run faketime -f "$off" "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup
        [ "$status" -eq 0 ] || { echo "$output"; false; }
        [ "$(grep -Ec "this machine's clock is (20 min 0 s|19 min 59 s|20 min 1 s) (ahead|behind)" <<<"$output")" -eq 1 ]
        [ "$(s3_count front '.status == 403')" -ge 1 ]
        : >"$WORK/front.log"
    done
    [ "$(holdfast snapshots --json | jq '.snapshots | length')" -eq 2 ]
    holdfast -q verify --all
}

@test "a proxy that the environment names is gone through to other machines, and to them only" {
    cat >"$WORK/connect.py" <<'P'
import base64, os, socket, sys, threading
wanted = b"Proxy-Authorization: Basic " + base64.b64encode(b"web1:open sesame")
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in a, b:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    line = head.split(b"\r\n")[0].decode()
    print(line, file=sys.stderr, flush=True)
    if os.path.exists(sys.argv[1]) and wanted not in head.split(b"\r\n"):
        client.sendall(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
        client.close()
        return
    host, port = line.split()[1].rsplit(":", 1)
    there = socket.create_connection(("127.0.0.1", int(port)))
    client.sendall(b"HTTP/1.1 200 established\r\n\r\n")
    threading.Thread(target=pump, args=(there, client), daemon=True).start()
    pump(client, there)
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
P
    s3_server connect python3 "$WORK/connect.py" "$WORK/closed"
    export https_proxy="http://127.0.0.1:$SERVER_PORT" http_proxy="http://127.0.0.1:$SERVER_PORT" no_proxy=
    # The certificate is good for this name.
    write_targets_config "$(s3_target store "$BUCKET" "https://s3.localhost:$S3_HTTPS_PORT")" "" "retry_budget = 2;"
    holdfast -q init
    holdfast -q backup
    restore_and_compare latest
    [ "$(grep -c "^CONNECT s3.localhost:$S3_HTTPS_PORT " "$WORK/connect.errors")" -ge 3 ]
    # One that wants a password gets it; without it, or with another, nothing is tried again, and none of them is shown.
    : >"$WORK/connect.errors"
    touch "$WORK/closed"
    https_proxy="http://web1:open%20sesame@127.0.0.1:$SERVER_PORT" holdfast -q backup
    for who in '' 'web1:barley@'; do
        : >"$WORK/connect.errors"
        https_proxy="http://${who}127.0.0.1:$SERVER_PORT" run holdfast backup
        [ "$status" -eq 1 ]
        [[ $output == *"response 407"*"hint: the proxy wants a name and a password"* ]] || { echo "$output"; false; }
        [ "$(grep -c barley <<<"$output")" -eq 0 ]
        [ "$(wc -l <"$WORK/connect.errors")" -eq 1 ]
    done
    for address in http://web1:barley@127.0.0.1:99999 ftp://web1:barley@127.0.0.1:9; do
        https_proxy=$address run holdfast backup
        [ "$status" -eq 1 ]
        [[ $output == *"names a proxy in a way that is not understood"*"hint: write http_proxy and https_proxy as"* ]]
        [ "$(grep -c barley <<<"$output")" -eq 0 ]
    done
    rm "$WORK/closed"
    # Plain http stays on this machine.
    : >"$WORK/connect.errors"
    use_front
    holdfast -q backup
    [ ! -s "$WORK/connect.errors" ]
    https_proxy=http://127.0.0.1:1
    write_targets_config "$(s3_target store "$BUCKET" "https://s3.localhost:$S3_HTTPS_PORT")" "" "retry_budget = 2;"
    run holdfast backup
    [ "$status" -eq 1 ]
    [[ $output == *hint:* ]]
    no_proxy=s3.localhost holdfast -q backup
}

@test "what each command asks of the store is what holdfast-s3(7) says of its costs" {
    head -c 4000000 /dev/urandom >"$WORK/source/data"
    use_front "" 'retry_budget = 2; pack_size = "1M"; chunk_average = "128K";'
    # asks COMMAND: runs it; $WORK/asked has a line for each request, of packs and listings apart.
    asks() {
        : >"$WORK/front.log"
        holdfast -q $1
        jq -r 'if .method == "GET" and (.query | test("list-type|versions")) then "LIST" else .method end +
            if (.method | test("GET|PUT")) and (.path | contains("/packs/")) then " pack" else "" end' "$WORK/front.log" | sort >"$WORK/asked"
        packs=$(grep -cx 'PUT pack' "$WORK/asked") || true
    }
    # costs COMMAND PUT LIST GET DELETE: exactly so many requests, packs that are put apart, and no others.
    costs() {
        asks "$1"
        [ "$(grep -cx PUT "$WORK/asked")" -eq "$2" ] && [ "$(grep -cx LIST "$WORK/asked")" -eq "$3" ] &&
            [ "$(grep -cx GET "$WORK/asked")" -eq "$4" ] && [ "$(grep -cx DELETE "$WORK/asked")" -eq "$5" ] &&
            [ "$(grep -cvxE 'PUT|LIST|GET|DELETE|PUT pack' "$WORK/asked")" -eq 0 ] || { echo "$1"; uniq -c "$WORK/asked"; return 1; }
    }
    objects() { s3_list list "$BUCKET" | cut -d' ' -f2 | sort; }
    holdfast -q init
    # N / 1000 is 1 list for so few. 4 MB in packs of 1 MiB, and one of trees: each is put once.
    costs backup 4 3 3 1
    [ "$packs" -ge 5 ]
    [ "$packs" -eq "$(s3_list list "$BUCKET" | grep -c ' packs/')" ]
    costs backup 2 3 3 1
    [ "$packs" -eq 0 ]
    costs prune 1 3 3 1
    [ "$packs" -eq 0 ]
    costs "prune --force" 1 6 3 1
    [ "$packs" -eq 0 ]
    # Most of what the packs hold goes: packs are removed, and those that are dead for the most part copied before.
    for versions in 0 1; do
        holdfast -q backup
        rm "$WORK/source/data"
        backup_of_less
        for i in $(holdfast snapshots --json | jq -r '.snapshots[:-1][].id'); do holdfast -q forget "$i"; done
        objects >"$WORK/before"
        asks prune
        objects >"$WORK/after"
        removed=$(comm -23 "$WORK/before" "$WORK/after" | wc -l)
        uniq -c "$WORK/asked"
        [ "$removed" -ge 6 ]
        [ $((packs + versions)) -ge 1 ]
        [ "$(grep -cx 'GET pack' "$WORK/asked")" -ge "$packs" ]
        [ "$(grep -cx 'GET pack' "$WORK/asked")" -le "$(comm -23 "$WORK/before" "$WORK/after" | grep -c ^packs/)" ]
        [ "$(jq -s '[.[] | select(.method == "GET" and (.path | contains("/packs/"))) | .path] | length == (unique | length)' "$WORK/front.log")" = true ]
        # This gateway refuses the first condition where it keeps versions.
        [ "$(grep -cx PUT "$WORK/asked")" -eq $((3 + versions)) ]
        [ "$(grep -cx GET "$WORK/asked")" -eq 3 ]
        [ "$(grep -cx DELETE "$WORK/asked")" -eq $((1 + removed)) ]
        # With versions each removal is a listing, too.
        [ "$(grep -cx LIST "$WORK/asked")" -eq $((6 + (1 + removed) * versions)) ]
        s3_versioned "$BUCKET"
        head -c 4000000 /dev/urandom >"$WORK/source/data"
    done
    # Nothing is new but that the rule is set: its price, besides the PUT that is refused.
    rm "$WORK/source/data"
    use_front 'jurisdiction = "DE";' 'residency = [ "EU" ]; retry_budget = 2; pack_size = "1M"; chunk_average = "128K";'
    costs backup 3 4 6 1
    s3_bucket plain
    use_front
    asks 'check-config --online'
    [ "$(wc -l <"$WORK/asked")" -eq 11 ]
    # The page has the same numbers.
    page=$(sed -n '/^\.Sh COSTS/,/^\.Sh FILES/p' "$BATS_TEST_DIRNAME/../../man/holdfast-s3.7" | tr '\n' ' ')
    [[ $page == *".It Cm backup PUT: 2 if nothing changed, else 4 +"*"LIST: .Va N No / 1000 , and 2. GET: 3, and"*"DELETE: 1."* ]]
    [[ $page == *"Else LIST: .Va N No / 1000 , and 5. "*"PUT: 3, and those copies. DELETE: 1, and what is removed."*"With versions, deleting is a LIST and a DELETE for each object."* ]]
    [[ $page == *".It Cm check-config --online 11 in all,"*".Ic residency adds 3 GET to each command that writes."* ]]
    [[ $page == *".It Cm prune If there is nothing to do, PUT: 1, LIST: .Va N No / 1000 , and 2, GET: 3, DELETE: 1. "* ]]
}

@test "an init that the store refuses at any put leaves nothing, and the next one works" {
    HOLDFAST_BIN=$HOLDFAST_PROGRAM # a passphrase: then the person's key is an object, too
    use_front
    for nth in 1 2 3; do
        s3_faults front "{\"rules\": [{\"method\": \"PUT\", \"nth\": [$nth], \"fault\": \"access_denied\"}]}"
        run holdfast init
        [ "$status" -eq 1 ]
        [[ $output == *"AccessDenied"*hint:* ]]
        [ -z "$(s3_list list "$BUCKET")" ]
        [ ! -e "$WORK/host.key" ]
    done
    # The keyring, the person's key and the config: that is all. What answers the last is lost on a connection that had
    # served before: the program's library sends it again by itself, and what is there then is no other init's.
    : >"$WORK/front.log"
    s3_faults front '{"rules": [{"method": "PUT", "path": "/config$", "nth": [1], "fault": "close_after"}]}'
    holdfast -q init
    [ "$(s3_count front '.method == "PUT"')" -eq 4 ]
    [ "$(s3_count front '.status == 412')" -eq 1 ]
    # So it is where the bucket encrypts under a key of its owner, and the ETag is no MD5.
    size=$(s3_list list "$BUCKET" | sed -n 's/ config$//p')
    s3_bucket kms
    use_front
    rm "$WORK/host.key"
    s3_faults front "{\"rules\": [{\"method\": \"PUT\", \"path\": \"/config$\", \"nth\": [1], \"fault\": \"close_after\"},
        {\"method\": \"HEAD\", \"path\": \"/config$\", \"fault\": \"error\", \"status\": 200, \"body\": \"$(head -c "$size" /dev/zero | tr '\0' x)\",
         \"headers\": {\"ETag\": \"\\\"0123456789abcdef0123456789abcdef\\\"\", \"x-amz-server-side-encryption\": \"aws:kms\"}}]}"
    holdfast -q init
    s3_faults front
    holdfast -q backup
    restore_and_compare latest
}

@test "a store that gives out nothing is no damage: prune and forget end with 1, not 5" {
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY"), { name = \"disk\"; type = \"local\"; path = \"$WORK/disk\"; }" "" \
        "retry_budget = 2; stall_timeout = 10;"
    holdfast -q init
    mv "$WORK/disk" "$WORK/away"
    run holdfast backup
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/disk"
    # What the disk is to get does not come.
    s3_faults front '{"rules": [{"method": "GET", "path": "/packs/", "fault": "reset_before"}]}'
    run holdfast prune --force
    [ "$status" -eq 1 ] && [[ $output == *"could not be read"*"hint: see that the targets answer"* ]] || { echo "$status: $output"; false; }
    s3_faults front '{"rules": [{"method": "GET", "path": "/snapshots/", "fault": "reset_before"}]}'
    rm -rf "$WORK/state"
    run holdfast forget latest
    [ "$status" -eq 1 ] && [[ $output == *hint:* ]] || { echo "$status: $output"; false; }
    s3_faults front
    holdfast -q prune --force
    restore_and_compare latest
    # One snapshot that only the disk has, and one that only the store has, which falls out under way.
    head -c 300000 /dev/urandom >"$WORK/source/first"
    s3_faults front '{"rules": [{"method": "PUT", "path": "/leases/", "fault": "access_denied"}]}'
    run holdfast backup
    [ "$status" -eq 6 ]
    s3_faults front
    mv "$WORK/disk" "$WORK/away"
    head -c 300000 /dev/urandom >"$WORK/source/second"
    run holdfast backup
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/disk"
    s3_faults front '{"rules": [{"method": "PUT", "path": "/packs/", "fault": "access_denied"}, {"method": "GET", "path": "/packs/", "fault": "reset_before"}]}'
    run holdfast prune --force
    [ "$status" -eq 1 ] && [[ $output == *"holdfast: "*"hint: see that the targets answer"* ]] || { echo "$status: $output"; false; }
    s3_faults front
    holdfast -q prune --force
    holdfast -q verify --all
    restore_and_compare latest
}

@test "an older keyring is not used in place of the newest one that does not come" {
    use_front
    holdfast -q init
    holdfast -q backup
    cp "$WORK/host.key" "$WORK/old.key" # has not seen the newer one
    holdfast -q host add second --out "$WORK/second.key"
    cp "$WORK/old.key" "$WORK/host.key"
    s3_faults front '{"rules": [{"method": "GET", "path": "/keys/2-", "fault": "reset_before"}]}'
    for command in backup prune "host list" snapshots; do
        run holdfast $command
        [ "$status" -eq 1 ] && [[ $output == *keys/2-*hint:* ]] || { echo "$command: $status $output"; false; }
    done
    [ "$(s3_count front '.method == "PUT" and (.path | contains("/snapshots/"))')" -eq 1 ]
    cmp "$WORK/old.key" "$WORK/host.key"
    # Keyrings that are refused are not taken for none.
    s3_faults front '{"rules": [{"method": "GET", "path": "/keys/", "fault": "access_denied"}]}'
    fails 1 "holdfast: target store: cannot read keys/1-" backup
    [ "$(grep -c "holdfast init" <<<"$output")" -eq 0 ]
    # Another target that has it is enough; the one that does not show it is left out.
    s3_faults front
    one=$(s3_target store "$BUCKET" "$PROXY")
    write_targets_config "$one, { name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }" "" "retry_budget = 2;"
    holdfast -q heal
    cp "$WORK/old.key" "$WORK/host.key"
    s3_faults front '{"rules": [{"method": "GET", "path": "/keys/2-", "fault": "reset_before"}]}'
    run holdfast backup
    [ "$status" -eq 6 ]
    [[ $output == *"target store"*"left out"* ]]
    holdfast host list | grep -q second
}

@test "a host that the store refuses leaves no key file, one that it may have taken does" {
    use_front
    holdfast -q init
    s3_faults front '{"rules": [{"method": "PUT", "path": "/keys/", "fault": "access_denied"}]}'
    fails 1 AccessDenied host add second --out "$WORK/second.key"
    [ ! -e "$WORK/second.key" ]
    # The answer is lost: then the keyring may list the host, and its key is kept.
    s3_faults front '{"rules": [{"method": "PUT", "path": "/keys/", "nth": [1], "fault": "reset_after"}, {"method": "PUT", "path": "/keys/", "fault": "reset_before"},
        {"method": "GET|HEAD", "path": "/keys/2", "fault": "reset_before"}]}'
    run holdfast host add second --out "$WORK/second.key"
    [ "$status" -eq 1 ]
    [ -s "$WORK/second.key" ]
    s3_faults front
    holdfast host list | grep -q second
    sed "s#host.key#second.key#; s#/state\"#/state2\"#" "$WORK/holdfast.conf" >"$WORK/second.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup
    holdfast -q host add third --out "$WORK/third.key"
}

@test "a restore asks once for the slots of a pack, and once for every 4 MiB of it" {
    seq 3000000 >"$WORK/source/numbers" # 23 MB, of which 5 are stored, in one pack
    use_front
    holdfast -q init
    holdfast -q backup
    # Nothing in a bucket without versions can be locked: one hash of what is sent is enough.
    [ "$(s3_count front '.headers | has("content-md5")')" -le 1 ] # the first object, put before the bucket was asked
    : >"$WORK/front.log"
    holdfast -q restore latest --to "$WORK/out"
    cmp "$WORK/source/numbers" "$WORK/out$WORK/source/numbers"
    jq -r 'select(.path | contains("/packs/")) | .headers.range // "all"' "$WORK/front.log" >"$WORK/asked"
    cat "$WORK/asked"
    [ "$(grep -c '=7-' "$WORK/asked")" -eq 1 ]
    [ "$(wc -l <"$WORK/asked")" -le 4 ]
}
