# Helpers of the scenarios that need an S3 store: the shared gateway, buckets, users, proxies.
# shellcheck shell=bash disable=SC2086
S3_LIB=$(dirname "${BASH_SOURCE[0]}")
# Debian's, whatever else is in the path: it has boto3, and starts at once.
S3_PYTHON="/usr/bin/python3 -IB"
S3_FOLDER=${HOLDFAST_GATEWAY:-${TMPDIR:-/tmp}/holdfast-gateway-$(id -u)}

# Joins the gateway, or starts it. S3_HTTP and S3_HTTPS are its addresses, S3_CA is the certificate to trust; the
# environment carries the keys of its user "holdfast", and nothing else that AWS's tools would look at.
s3_start() {
    local exports
    exports=$($S3_PYTHON "$S3_LIB/gateway.py" join "$S3_FOLDER" --pid $$) || return 1
    eval "$exports"
    unset AWS_SESSION_TOKEN AWS_PROFILE AWS_SHARED_CREDENTIALS_FILE
    export AWS_ACCESS_KEY_ID=$S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET_KEY AWS_DEFAULT_REGION=us-east-1
    export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_CA_BUNDLE=$S3_CA
    export no_proxy=127.0.0.1,localhost
    S3_BUCKETS=() S3_SERVERS=()
}

# To be called in teardown: what the test has stored leaves the gateway's memory, locked or not.
s3_stop() {
    local bucket pid
    for pid in "${S3_SERVERS[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for bucket in "${S3_BUCKETS[@]}"; do
        s3_admin bucket rm --bucket="$bucket" --purge-objects --bypass-gc >/dev/null 2>&1 || true
    done
}

# Raw signed request, see sigv4.py: s3_request [-i] [-H HEADER:VALUE]... [-d TEXT] METHOD /BUCKET/KEY?QUERY
# S3_URL is where it goes, by default the gateway over http.
s3_request() {
    local arguments=("${@:1:$#-1}")
    $S3_PYTHON "$S3_LIB/sigv4.py" "${arguments[@]}" "${S3_URL:-$S3_HTTP}${!#}"
}

# Many of them in one go: a line of arguments each, as for s3_request; prints a line for each, STATUS and the body.
s3_batch() {
    $S3_PYTHON "$S3_LIB/sigv4.py" batch "${S3_URL:-$S3_HTTP}"
}

# s3_list list|versions BUCKET: "SIZE KEY" of each object, "KEY VERSION KIND" of each version; awscli takes ten times as long.
s3_list() {
    $S3_PYTHON "$S3_LIB/sigv4.py" "$1" "${S3_URL:-$S3_HTTP}/$2"
}

s3_admin() {
    $S3_PYTHON "$S3_LIB/gateway.py" admin "$S3_FOLDER" "$@"
}

# Debian's awscli, not another one in the path.
s3_aws() {
    /usr/bin/aws --endpoint-url "${S3_URL:-$S3_HTTP}" "$@"
}

# s3_bucket NAME [lock]: makes a bucket for this test; BUCKET is its name on the gateway.
s3_bucket() {
    BUCKET="$1-$$-$RANDOM$RANDOM"
    local lock=()
    [ "${2:-}" != lock ] || lock=(-H x-amz-bucket-object-lock-enabled:true)
    s3_request "${lock[@]}" PUT "/$BUCKET" && S3_BUCKETS+=("$BUCKET")
}

# s3_version ARGUMENTS OF s3_request: prints the version id that the answer names.
s3_version() {
    s3_request -i "$@" | sed -n 's/^x-amz-version-id: //p'
}

s3_versioned() { # BUCKET
    s3_request -d '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>' PUT "/$1?versioning"
}

s3_policy() { # BUCKET FILE
    s3_request -f "$2" PUT "/$1?policy"
}

# s3_user NAME: a user who may do nothing with this test's buckets until a policy allows it. USER_NAME is the
# gateway's name (arn:aws:iam:::user/$USER_NAME), USER_FILE a credentials file.
s3_user() {
    local keys
    USER_NAME="$1-$$-$RANDOM"
    USER_FILE="$WORK/$1.credentials"
    keys=$($S3_PYTHON "$S3_LIB/gateway.py" user "$S3_FOLDER" "$USER_NAME") || return 1
    (umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' $keys >"$USER_FILE")
}

# s3_session FILE [USER CREDENTIALS]: temporary keys with a session token, for 15 minutes, into a credentials file: of
# the gateway's first user, or of that one.
s3_session() {
    local policy form=(-H content-type:application/x-www-form-urlencoded) keys
    policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetSessionToken","Resource":"*"}]}'
    policy=$(jq -rn --arg policy "$policy" '$policy | @uri')
    s3_request "${form[@]}" -d "Action=PutUserPolicy&PolicyName=sts&UserName=${2:-holdfast}&PolicyDocument=$policy" \
        POST / >/dev/null || return 1
    keys=$(${3:+s3_as "$3"} s3_request "${form[@]}" -d "Action=GetSessionToken&DurationSeconds=900" POST /) || return 1
    (
        umask 077
        echo '[default]'
        sed -n 's/.*<AccessKeyId>\(.*\)<\/AccessKeyId>.*/aws_access_key_id = \1/p' <<<"$keys"
        sed -n 's/.*<SecretAccessKey>\(.*\)<\/SecretAccessKey>.*/aws_secret_access_key = \1/p' <<<"$keys"
        sed -n 's/.*<SessionToken>\(.*\)<\/SessionToken>.*/aws_session_token = \1/p' <<<"$keys"
    ) >"$1"
}

# s3_as FILE COMMAND...: with the keys of that credentials file in the environment.
s3_as() {
    local AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
    AWS_ACCESS_KEY_ID=$(sed -n 's/^aws_access_key_id = //p' "$1")
    AWS_SECRET_ACCESS_KEY=$(sed -n 's/^aws_secret_access_key = //p' "$1")
    AWS_SESSION_TOKEN=$(sed -n 's/^aws_session_token = //p' "$1")
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    [ -z "$AWS_SESSION_TOKEN" ] || export AWS_SESSION_TOKEN
    "${@:2}"
}

# s3_proxy NAME [SCRIPT] [http|https] [PORT]: a proxy before the gateway, see fault_proxy.py. PROXY is its URL, PROXY_PID
# its process; $WORK/NAME.log gets a line per request. It begins with SCRIPT (JSON), by default without faults.
s3_proxy() {
    local options=(--upstream "$S3_HTTP_PORT" --script "$WORK/$1.json" --log "$WORK/$1.log" --port "${4:-0}" --pid $$)
    [ "${3:-http}" = http ] || options+=(--certificate "$S3_CERTIFICATE")
    s3_faults "$1" "${2:-}"
    s3_server "$1" $S3_PYTHON "$S3_LIB/fault_proxy.py" "${options[@]}" || return 1
    PROXY=${3:-http}://127.0.0.1:$SERVER_PORT PROXY_PID=$SERVER_PID
}

# s3_server NAME COMMAND...: a server that prints its port as its first line; SERVER_PORT, SERVER_PID. Ended by s3_stop.
s3_server() {
    : >"$WORK/$1.port"
    "${@:2}" >"$WORK/$1.port" 2>"$WORK/$1.errors" 3>&- &
    SERVER_PID=$!
    S3_SERVERS+=("$SERVER_PID")
    until read -r SERVER_PORT <"$WORK/$1.port"; do
        kill -0 "$SERVER_PID" || { cat "$WORK/$1.errors"; return 1; }
        sleep 0.02
    done
}

# s3_faults NAME [SCRIPT]: what the proxy NAME does from now on.
s3_faults() {
    printf '%s\n' "${2:-{\}}" >"$WORK/$1.json.new"
    mv "$WORK/$1.json.new" "$WORK/$1.json"
}

# s3_count NAME [FILTER]: how many requests of the proxy's log match a filter of jq: '.method == "PUT"'.
s3_count() {
    jq -s "map(select(${2:-true})) | length" "$WORK/$1.log"
}

# s3_imds [SCRIPT]: a metadata service that hands out keys, see imds.py. AWS_EC2_METADATA_SERVICE_ENDPOINT names it
# from then on, and there are no other keys in the environment; $WORK/imds.log gets a line per request.
s3_imds() {
    s3_faults imds "$1"
    s3_server imds $S3_PYTHON "$S3_LIB/imds.py" --script "$WORK/imds.json" --log "$WORK/imds.log" --pid $$ || return 1
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_EC2_METADATA_DISABLED
    export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$SERVER_PORT
}

# s3_old_tls: a server that speaks TLS 1.1 and nothing newer, with the gateway's certificate. OLD_TLS is its URL.
s3_old_tls() {
    local port
    port=$($S3_PYTHON -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    openssl s_server -accept "127.0.0.1:$port" -cert "$S3_CERTIFICATE" -key "$S3_CERTIFICATE" -tls1_1 \
        -cipher DEFAULT@SECLEVEL=0 -www -quiet >"$WORK/old_tls.log" 2>&1 3>&- </dev/null &
    S3_SERVERS+=($!)
    OLD_TLS=https://127.0.0.1:$port
    until (exec 9<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        kill -0 $! || return 1
        sleep 0.02
    done
}

# s3_target NAME BUCKET [ENDPOINT] [SETTINGS]: a target of the configuration, see write_targets_config. The
# endpoint is the gateway over https if none is given.
s3_target() {
    local endpoint=${3:-$S3_HTTPS}
    printf '{ name = "%s"; type = "s3"; provider = "other"; region = "us-east-1"; bucket = "%s"; endpoint = "%s"; %s %s }' \
        "$1" "$2" "$endpoint" "$([[ $endpoint = http:* ]] || echo "ca_file = \"$S3_CA\";")" "${4:-}"
}
