# Buckets as targets: the real program against a real store.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
load ../lib/s3.bash
setup() { make_work passphrase; make_small_tree; s3_start; }
teardown() { s3_stop; drop_work; }

# use_bucket [SETTINGS] [ENDPOINT] [REPOSITORY SETTINGS]: a configuration with $BUCKET as its only target.
use_bucket() {
    write_targets_config "$(s3_target store "$BUCKET" "${2:-}" "${1:-}")" "" "${3:-}"
}

keys_in() { s3_list list "$1" | cut -d' ' -f2; }

# What a listing of versions says, a line each: KEY VERSION-ID KIND.
versions_in() { s3_list versions "$1"; }

# fails STATUS TEXT COMMAND...
fails() {
    run holdfast "${@:3}"
    [ "$status" -eq "$1" ] && [[ $output == *"$2"* ]] && [[ $output == *hint:* ]] || { echo "$status: $output"; return 1; }
}

@test "init, backup, restore, verify, prune over https with a prefix; other clients read what is there" {
    s3_bucket plain
    use_bucket 'prefix = "some/where";'
    holdfast -q init
    holdfast -q backup
    restore_and_compare latest
    echo more >"$WORK/source/more"
    rm "$WORK/source/random"
    backup_of_less
    restore_and_compare latest
    holdfast -q verify --all
    [ "$(holdfast snapshots --json | jq '.snapshots | length')" -eq 2 ]
    holdfast -q forget "$(holdfast snapshots --json | jq -r '.snapshots[0].id')"
    before=$(keys_in "$BUCKET" | wc -l)
    holdfast -q prune
    [ "$(keys_in "$BUCKET" | wc -l)" -lt "$before" ]
    holdfast -q verify --all
    restore_and_compare latest
    # Every key is below the prefix and ends in the hash of what boto3 reads there.
    /usr/bin/python3 - "$S3_HTTPS" "$BUCKET" <<'P'
import boto3, hashlib, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
keys = [o["Key"] for o in s3.list_objects_v2(Bucket=sys.argv[2])["Contents"]]
assert len(keys) > 5, keys
for key in keys:
    body = s3.get_object(Bucket=sys.argv[2], Key=key)["Body"].read()
    assert key == "some/where/config" or key.startswith("some/where/") and key.endswith(hashlib.sha256(body).hexdigest()), key
P
    # And the reverse: a copy of the bucket that awscli makes is a repository.
    s3_aws s3 cp --quiet --recursive "s3://$BUCKET/some/where" "$WORK/copy"
    out=$(mktemp -d "$WORK/out-XXXXXX")
    "$HOLDFAST_BIN" -q restore latest --target "$WORK/copy" --to "$out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$out$WORK/source"
}

@test "a bare machine restores from the bucket's address; a second host backs up beside the first" {
    s3_bucket bare
    use_bucket 'prefix = "p/";'
    holdfast -q init
    holdfast -q backup
    url="s3+$S3_HTTPS/$BUCKET/p?region=us-east-1&ca_file=$S3_CA"
    out=$(mktemp -d "$WORK/out-XXXXXX")
    "$HOLDFAST_BIN" -q restore latest --target "$url" --to "$out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$out$WORK/source"
    run "$HOLDFAST_BIN" snapshots --target "${url/region=/regoin=}"
    [ "$status" -eq 2 ]
    [[ $output == *'did you mean "region"?'* ]]

    holdfast -q host add second --role write --out "$WORK/second.key"
    sed "s#host.key#second.key#; s#/state\"#/state2\"#" "$WORK/holdfast.conf" >"$WORK/second.conf"
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" backup
    [ "$(holdfast snapshots --json | jq -r '[.snapshots[].host] | unique | length')" -eq 2 ]
    out=$(mktemp -d "$WORK/out-XXXXXX")
    "$HOLDFAST_BIN" -q -c "$WORK/second.conf" restore second/latest --to "$out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$out$WORK/source"
}

@test "virtual hosts, more than a page of objects, and names that are not ours" {
    s3_bucket hosts
    # *.s3.localhost is this machine, and the certificate is good for it.
    use_bucket 'addressing = "virtual";' "https://s3.localhost:$S3_HTTPS_PORT"
    # They sort before ours: a listing that ends with its first page finds none of ours.
    /usr/bin/python3 - "$S3_HTTP" "$BUCKET" <<'P'
import boto3, concurrent.futures, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
names = [f"packs/! {i} + % & \x01" for i in range(1100)] + ["packs//", "packs/../x"]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda name: s3.put_object(Bucket=sys.argv[2], Key=name, Body=b"x"), names))
P
    holdfast -q init
    holdfast -q backup
    rm -r "$WORK/state"
    [ "$(holdfast backup --json | jq .jobs[0].bytes_stored)" -eq 0 ]
    holdfast -q verify --all
    s3_versioned "$BUCKET"
    holdfast -q verify --all
    restore_and_compare latest
}

@test "sse = customer: the store itself cannot read, a bare machine can; without it the objects stay readable" {
    s3_bucket customer
    use_bucket 'sse = "customer"; prefix = "p";'
    holdfast -q init
    holdfast -q backup
    pack=$(keys_in "$BUCKET" | grep packs/ | head -n 1)
    run env S3_URL="$S3_HTTPS" bash -c "source '$BATS_TEST_DIRNAME/../lib/s3.bash'; s3_request GET '/$BUCKET/$pack'"
    [ "$status" -ne 0 ]
    S3_URL=$S3_HTTPS s3_request GET "/$BUCKET/p/config" >"$WORK/config"
    rm -r "$WORK/state"
    holdfast -q backup
    holdfast -q verify --all
    use_bucket 'prefix = "p";'
    holdfast -q backup
    holdfast -q verify --all
    use_bucket 'sse = "customer"; prefix = "p";'
    holdfast -q verify --all
    out=$(mktemp -d "$WORK/out-XXXXXX")
    "$HOLDFAST_BIN" -q restore latest --target "s3+$S3_HTTPS/$BUCKET/p?ca_file=$S3_CA" --to "$out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "$WORK/source" "$out$WORK/source"
    holdfast -q check-config --online
    # A second target is filled from it; what is gone or overwritten comes back encrypted; prune copies and removes.
    local first
    first=$(s3_target store "$BUCKET" "$S3_HTTPS" 'sse = "customer"; prefix = "p";')
    write_targets_config "$first, { name = \"disk\"; type = \"local\"; path = \"$WORK/disk\"; }"
    holdfast -q heal
    export S3_URL=$S3_HTTPS
    keys_in "$BUCKET" | grep -E '^p/(packs|index|snapshots)/' >"$WORK/keys"
    awk -v b="$BUCKET" '{ print (NR % 2 ? "DELETE" : "-d garbage PUT") " /" b "/" $1 }' "$WORK/keys" | s3_batch >"$WORK/answers"
    [ "$(grep -c '^20[04]' "$WORK/answers")" -eq "$(wc -l <"$WORK/keys")" ]
    run holdfast verify --all
    [ "$status" -eq 5 ]
    restore_and_compare latest
    holdfast -q heal
    head -c 1000000 /dev/urandom >"$WORK/source/random"
    mv "$WORK/disk" "$WORK/away"
    run holdfast backup
    [ "$status" -eq 6 ]
    mv "$WORK/away" "$WORK/disk"
    for i in 1 2 3; do holdfast -q forget "$(holdfast snapshots --json | jq -r '.snapshots[0].id')"; done
    holdfast -q prune --force
    holdfast -q verify --all
    sed "s,^,GET /$BUCKET/," <(keys_in "$BUCKET" | grep -E '^p/(packs|index|snapshots)/') | s3_batch >"$WORK/answers"
    [ "$(wc -l <"$WORK/answers")" -ge 3 ]
    [ "$(grep -cv '^400' "$WORK/answers")" -eq 0 ]
    write_targets_config "$first" # which has all of it
    restore_and_compare latest
}

@test "a store that cannot encrypt says so; packs go up over four connections" {
    s3_bucket sent
    # Each pack takes long enough for the next ones to be ready, however slow this machine is.
    s3_proxy front '{"rules": [{"method": "PUT", "path": ".*/packs/.*", "fault": "latency", "ms": 1500}]}'
    head -c 9000000 /dev/urandom >"$WORK/source/data"
    # This gateway takes no encryption over plain http, which is what the proxy speaks to it.
    use_bucket 'sse = "AES256";' "$PROXY"
    fails 1 "InvalidRequest" init
    use_bucket 'sse = "AES256"; prefix = "encrypted";'
    holdfast -q check-config --online
    use_bucket '' "$PROXY" 'pack_size = "1M"; chunk_average = "128K";'
    holdfast -q init
    holdfast -q backup
    local packs='.method == "PUT" and .status == 200 and (.path | contains("/packs/"))'
    [ "$(s3_count front "$packs")" -ge 9 ]
    [ "$(jq -s "map(select($packs) | .connection) | unique | length" "$WORK/front.log")" -eq 4 ]
}

@test "where versions are kept nothing is stored twice, and what is removed is gone with all its versions" {
    s3_bucket versions
    s3_versioned "$BUCKET"
    use_bucket
    holdfast -q init
    holdfast -q backup
    [ "$(versions_in "$BUCKET" | wc -l)" -eq "$(keys_in "$BUCKET" | wc -l)" ]
    # Somebody hides a pack behind a marker, and puts garbage over another.
    set -- $(keys_in "$BUCKET" | grep packs/)
    s3_request DELETE "/$BUCKET/$1"
    s3_request -d garbage PUT "/$BUCKET/$2"
    restore_and_compare latest
    holdfast -q heal
    holdfast -q verify --all
    : >"$WORK/source/random"
    backup_of_less
    holdfast -q forget "$(holdfast snapshots --json | jq -r '.snapshots[0].id')"
    holdfast -q prune
    holdfast -q verify --all
    restore_and_compare latest
    # No marker is left of what prune removed, and no version.
    [ "$(versions_in "$BUCKET" | cut -d' ' -f1 | sort -u)" = "$(keys_in "$BUCKET" | sort)" ]
    # What was pruned does not come back: heal repairs from an older version what is hidden or overwritten, no more.
    keys_in "$BUCKET" | grep -Ev '^leases/' | sort >"$WORK/kept"
    for key in $(grep -E '^(packs|index|snapshots)/' "$WORK/kept"); do
        s3_request -d garbage PUT "/$BUCKET/$key"
        s3_request DELETE "/$BUCKET/$key"
    done
    run --separate-stderr holdfast -v --json heal
    [ "$status" -eq 0 ]
    [ "$(jq .repaired <<<"$output")" -eq "$(grep -cE '^(packs|index|snapshots)/' "$WORK/kept")" ]
    [ "$(grep -c '^target store: packs/.* is visible again$' <<<"$stderr")" -eq "$(grep -c ^packs/ "$WORK/kept")" ]
    [ "$(grep -c 'target store: .*target store: ' <<<"$stderr")" -eq 0 ]
    keys_in "$BUCKET" | sort | cmp - "$WORK/kept"
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 1 ]
    holdfast -q verify --all
    restore_and_compare latest
}

@test "what is wrong on this side is said with a hint, and nothing hangs" {
    s3_bucket wrong
    use_bucket
    holdfast -q init
    AWS_SECRET_ACCESS_KEY=wrong fails 1 SignatureDoesNotMatch snapshots
    AWS_ACCESS_KEY_ID=nobody fails 1 InvalidAccessKeyId snapshots
    s3_user stranger
    s3_as "$USER_FILE" fails 1 AccessDenied snapshots
    sed -i "s/ca_file = [^;]*;//" "$WORK/holdfast.conf"
    fails 1 "certificate" snapshots
    BUCKET=no-such-bucket use_bucket
    fails 1 NoSuchBucket snapshots
    use_bucket "" "https://127.0.0.1:1" 'retry_budget = 3;'
    fails 1 "Failed to connect" snapshots
    use_bucket "" "https://no-such-host.invalid" 'retry_budget = 3;'
    fails 1 "resolve host" snapshots
    use_bucket "" "http://192.0.2.1"
    fails 2 "plain http" snapshots
    use_bucket
    sed -i 's/us-east-1/nowhere-9/' "$WORK/holdfast.conf"
    holdfast -q backup # the gateway has one region, whatever it is called
    # A bucket that is not there is not an empty one.
    rm -r "$WORK/state" "$WORK/host.key"
    BUCKET=no-such-bucket use_bucket
    fails 1 NoSuchBucket init
    [ ! -e "$WORK/host.key" ]
}

@test "a server that speaks no newer TLS than 1.1 is refused" {
    cat >"$WORK/old.py" <<'P'
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.set_ciphers("ALL:@SECLEVEL=0")
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
context.load_cert_chain(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        connection, _ = server.accept()
        try:
            context.wrap_socket(connection, server_side=True).recv(1)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        connection.close()
P
    s3_server old python3 "$WORK/old.py" "$S3_CERTIFICATE"
    BUCKET=any-bucket use_bucket "" "https://127.0.0.1:$SERVER_PORT" 'retry_budget = 3;'
    fails 1 "TLS 1.2" init
    grep -qi "unsupported protocol" "$WORK/old.errors"
    # It does speak to whoever is content with that.
    curl -s --cacert "$S3_CA" --tls-max 1.1 --ciphers 'ALL:@SECLEVEL=0' "https://127.0.0.1:$SERVER_PORT" || [ $? -eq 52 ]
}

@test "another region, a wrong clock and a lost answer are put right on the way" {
    s3_bucket mended
    s3_versioned "$BUCKET"
    s3_proxy front
    use_bucket "" "$PROXY"
    holdfast -q init
    s3_faults front '{"rules": [{"fault": "redirect", "region": "eu-north-1", "status": 301}]}'
    run holdfast backup
    [ "$status" -eq 0 ]
    [ "$(grep -c 'is in region eu-north-1, not in us-east-1' <<<"$output")" -eq 1 ]
    s3_faults front '{"rules": [{"fault": "redirect", "region": "eu-north-1", "status": 400}]}'
    holdfast -q verify --all

    s3_faults front '{"skew_minutes": 20}'
    echo a >"$WORK/source/a/new"
    run holdfast backup
    [ "$status" -eq 0 ]
    [ "$(grep -Ec "this machine's clock is (20 min [0-9]+ s|19 min [0-9]+ s) behind" <<<"$output")" -eq 1 ]

    # Every second answer to a put is lost: the next attempt finds what that one has stored.
    s3_faults front '{"rules": [{"method": "PUT", "fault": "reset_after", "nth": [1, 3, 5, 7, 9, 11]}]}'
    head -c 100000 /dev/urandom >"$WORK/source/a/b/more"
    holdfast -q backup
    s3_faults front
    holdfast -q verify --all
    restore_and_compare latest
}

@test "a heal that takes long keeps its lease" {
    local disk="{ name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }"
    local settings='pack_size = "1M"; chunk_average = "128K"; lease_refresh = "1s"; lease_recheck = "50s"; lease_live = "100s";'
    s3_bucket long
    s3_proxy front '{"latency_ms": 400}'
    head -c 6000000 /dev/urandom >"$WORK/source/data"
    write_targets_config "$disk" '' "$settings"
    holdfast -q init
    holdfast -q backup
    write_targets_config "$disk, $(s3_target store "$BUCKET" "$PROXY" "connections = 1;")" '' "$settings"
    holdfast -q heal
    [ "$(s3_count front '.method == "PUT" and .status == 200 and (.path | contains("/leases/"))')" -ge 3 ]
    [ -z "$(keys_in "$BUCKET" | grep leases/)" ]
    holdfast -q verify --all
}

@test "a signal ends a backup that waits for the store" {
    s3_bucket cut
    s3_proxy front
    use_bucket "" "$PROXY" 'retry_budget = "10m";'
    holdfast -q init
    s3_faults front '{"rules": [{"method": "PUT", "path": ".*/packs/.*", "fault": "stall", "seconds": 600, "where": "request"}]}'
    "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" backup >"$WORK/said" 2>&1 3>&- &
    pid=$!
    for _ in $(seq 100); do
        [ "$(s3_count front '.method == "PUT" and (.path | contains("/packs/"))')" -eq 0 ] || break
        sleep 0.1
    done
    sleep 0.5
    begin=$SECONDS
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 143 ] || { cat "$WORK/said"; false; }
    [ $((SECONDS - begin)) -lt 8 ]
    s3_faults front
    holdfast -q backup
    restore_and_compare latest
}

@test "nothing expires while this machine's clock is not that of the store" {
    s3_bucket clock
    write_targets_config "$(s3_target store "$BUCKET")" "source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { manual = 2; within = \"2d\"; };"
    holdfast -q init
    for i in 1 2 3; do holdfast -q backup; done
    # Somebody may be at work: also three days ahead this lease is one of today.
    local lease
    lease=leases/20261101T000000Z-$(printf x | sha256sum | cut -c1-64)
    s3_request -d x PUT "/$BUCKET/$lease"
    # Three days ahead the first would be too old.
    run env ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0:detect_leaks=0" faketime -f +3d "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" --json prune --force
    [ "$status" -eq 3 ]
    [[ $output == *'that of target "store"'*"nothing expires"*"hint: "* ]]
    [[ $output == *'"held":1'*'"hold":"clock"'* || $output == *'"hold":"clock"'*'"held":1'* ]]
    s3_list list "$BUCKET" | grep -q "$lease"
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 3 ]
    sed -i 's/; within = "2d"//' "$WORK/holdfast.conf"
    holdfast -q prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 2 ]
}

@test "a snapshot whose time the store and this host do not confirm displaces none and stays" {
    local job="source = { type = \"files\"; paths = [ \"$WORK/source\" ]; }; keep = { daily = 1; };"
    local disk="{ name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }"
    s3_bucket late
    write_targets_config "$disk" "$job" 'clock_tolerance = "8s";'
    holdfast -q init
    for i in 1 2 3; do
        echo "$i" >"$WORK/source/i"
        holdfast -q backup --class daily
    done
    sleep 10
    # The bucket gets them long after; this host has seen them before.
    write_targets_config "$disk, $(s3_target store "$BUCKET")" "$job" 'clock_tolerance = "8s";'
    holdfast -q heal
    cp -a "$WORK/state" "$WORK/state-kept"
    [ "$(holdfast --json prune --dry-run --force | jq .expired)" -eq 2 ]
    # A host that sees them only now cannot tell whether they are what they say.
    rm -r "$WORK/state"
    holdfast prune --dry-run >"$WORK/said"
    [ "$(grep -c "uncounted: its time is in doubt" "$WORK/said")" -eq 3 ]
    holdfast -q prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 3 ]
    # One that was taken now is counted, and displaces none of those.
    holdfast -q backup --class daily
    holdfast -q prune
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 4 ]
    rm -r "$WORK/state"
    mv "$WORK/state-kept" "$WORK/state"
    holdfast -q prune --force
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 1 ]
}

@test "two buckets and a disk get one reading and one sealing: the source runs once, each pack has one name everywhere" {
    s3_bucket one
    one=$(s3_target one "$BUCKET")
    first=$BUCKET
    s3_bucket two
    two=$(s3_target two "$BUCKET")
    head -c 3000000 /dev/urandom >"$WORK/dump"
    printf '#!/bin/sh\necho ran >>%s/runs\nexec cat %s/dump\n' "$WORK" "$WORK" >"$WORK/make"
    chmod 700 "$WORK/make"
    write_targets_config "$one, $two, { name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }" \
        "source = { type = \"command\"; command = [ \"$WORK/make\" ]; filename = \"dump\"; };" 'pack_size = "1M"; chunk_average = "128K";'
    holdfast -q init
    holdfast -q backup
    [ "$(cat "$WORK/runs")" = ran ]
    keys_in "$first" | grep -E '^(packs|index|snapshots)/' | sort >"$WORK/names"
    [ "$(grep -c ^packs/ "$WORK/names")" -ge 3 ]
    # Each is named by the hash of its sealed bytes, with nonces of its own: sealed twice it would have two names.
    keys_in "$BUCKET" | grep -E '^(packs|index|snapshots)/' | sort | cmp - "$WORK/names"
    (cd "$WORK/repo1" && find packs index snapshots -type f | sort) | cmp - "$WORK/names"
    holdfast -q verify --all
}
