# A target outside the allowed jurisdiction is refused before anything is sent.
# The store is a port that counts connections: none may come.

load ../lib/common.bash

setup() {
    make_work
    make_small_tree
    mkdir "$WORK/listener"
    python3 "$BATS_TEST_DIRNAME/../lib/listener.py" "$WORK/listener" $$ 3>&- &
    LISTENER=$!
    while [ ! -e "$WORK/listener/port" ]; do sleep 0.05; done
    ENDPOINT="http://127.0.0.1:$(cat "$WORK/listener/port")"
    export AWS_ACCESS_KEY_ID=nobody AWS_SECRET_ACCESS_KEY=nothing
    # Whatever would go to a provider's own address comes here, too.
    export https_proxy="$ENDPOINT" http_proxy="$ENDPOINT"
}

teardown() {
    kill "$LISTENER" 2>/dev/null || true
    drop_work
}

# write_targets RESIDENCY TARGET...: settings of each target besides its name; the file's line 3 is the second's.
write_targets() {
    local residency=$1 target list="" number=0
    shift
    for target in "$@"; do
        number=$((number + 1))
        list="$list${list:+,$'\n'}{ name = \"t$number\"; $target }"
    done
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; retry_budget = 0; $residency };
targets = ( $list );
jobs = ( { name = "files"; source = { type = "files"; paths = [ "$WORK/source" ]; }; } );
C
}

disk() { echo "type = \"local\"; path = \"$WORK/repo\"; $1"; }
bucket() { echo "type = \"s3\"; bucket = \"acme-web1\"; $1"; }

# refuses MESSAGE COMMAND...: status 2, the message with file and line, a hint, and no connection.
refuses() {
    local message=$1
    shift
    run holdfast "$@"
    [ "$status" -eq 2 ] || { echo "status $status: $*: $output"; return 1; }
    [[ "$output" == *"$WORK/holdfast.conf:"[0-9]*": target \""*"$message"* ]] || { echo "$output"; return 1; }
    [[ "$output" == *hint:* ]]
    [ ! -s "$WORK/listener/connections" ] || { echo "connected by: $*"; return 1; }
}

@test "every command that writes refuses a target outside, with status 2, and connects to nothing" {
    write_targets '' "$(disk)"
    holdfast -q init
    holdfast -q backup
    before=$(find "$WORK/repo" -type f | sort | sha256sum)
    while read -r target message; do
        write_targets 'residency = [ "EU" ];' "$(disk)" "$(bucket "$target")"
        for command in init backup 'backup files' run prune heal 'forget latest' 'pin latest' 'unpin latest' "host add x --out $WORK/x" check-config; do
            # shellcheck disable=SC2086
            refuses "${message//_/ }" $command </dev/null
        done
    done <<T
provider="aws";region="us-east-1"; us-east-1_of_provider_aws_is_in_US,_and_residency_allows_EU
provider="digitalocean";region="lon1"; lon1_of_provider_digitalocean_is_in_GB,_and_residency_allows_EU
provider="aws";region="us-east-1";jurisdiction="DE"; jurisdiction_is_DE,_but_us-east-1_of_provider_aws_is_in_US
provider="other";endpoint="$ENDPOINT"; nothing_says_which_country
provider="other";endpoint="$ENDPOINT";jurisdiction="US"; jurisdiction_is_US,_and_residency_allows_EU
provider="hetzner";region="fsn1";endpoint="$ENDPOINT"; nothing_says_which_country
T
    [ "$before" = "$(find "$WORK/repo" -type f | sort | sha256sum)" ]
    # The port does see who is let through.
    write_targets 'residency = [ "EU" ];' "$(disk)" "$(bucket "provider=\"other\";endpoint=\"$ENDPOINT\";jurisdiction=\"DE\";")"
    run holdfast backup
    [ "$status" -eq 6 ]
    [ -s "$WORK/listener/connections" ]
}

@test "countries are as good as the union, and a neighbour is not inside" {
    write_targets 'residency = [ "FI", "DE" ];' "$(disk)" "$(bucket 'provider="hetzner";region="hel1";')"
    holdfast -q check-config
    write_targets 'residency = [ "FI", "DE" ];' "$(disk)" "$(bucket 'provider="aws";region="eu-west-1";')"
    refuses 'eu-west-1 of provider aws is in IE, and residency allows FI, DE' backup
    write_targets 'residency = [ "EU" ];' "$(disk)" "$(bucket 'provider="aws";region="eu-central-2";')"
    refuses 'eu-central-2 of provider aws is in CH' backup
}

@test "a folder is where the data is, unless it says otherwise" {
    write_targets 'residency = [ "EU" ];' "$(disk)"
    holdfast -q init
    holdfast -q backup
    write_targets 'residency = [ "EU" ];' "$(disk 'jurisdiction = "US";')"
    refuses 'jurisdiction is US, and residency allows EU' backup
}

@test "reading from a target outside is a warning: it moves nothing there" {
    write_targets '' "$(disk)"
    holdfast -q init
    holdfast -q backup
    write_targets 'residency = [ "EU" ];' "$(disk 'jurisdiction = "US";')"
    run holdfast snapshots
    [ "$status" -eq 0 ]
    [[ "$output" == *"jurisdiction is US, and residency allows EU"* ]]
    restore_and_compare latest
}

@test "addresses are checked before anything else is done" {
    write_targets '' "$(disk)" "$(bucket 'provider = "hetzner"; region = "fns1";')"
    refuses 'provider hetzner has no region "fns1"' check-config
    [[ "$output" == *'it has fsn1, hel1, nbg1'* ]]
    write_targets '' "$(disk)" "$(bucket 'provider = "other"; endpoint = "http://s3.example.net";')"
    refuses 'is plain http' check-config
    [[ "$output" == *'allow_insecure_http'* ]]
    [[ "$output" == *"holdfast.conf:3:"* ]]
    write_targets '' "$(disk)" "$(bucket 'provider = "aws"; region = "eu-west-1"; ')"
    sed -i 's/acme-web1/a..b/' "$WORK/holdfast.conf"
    refuses "cannot be a bucket's name" check-config
}
