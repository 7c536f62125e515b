# Where access keys come from, with the real program, a real store and a stand-in of the metadata service.
load ../lib/common.bash
load ../lib/s3.bash
setup() {
    make_work
    make_small_tree
    s3_start
    s3_bucket keys
    s3_proxy store
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY")" '' 'retry_budget = 0;'
}
teardown() { s3_stop; drop_work; }

# fails TEXT COMMAND...: status 1, a hint, and no secret in sight.
fails() {
    run holdfast -v "${@:2}"
    [ "$status" -eq 1 ] && [[ $output == *"$1"* ]] && [[ $output == *hint:* ]] || { echo "$status: $output"; return 1; }
    ! grep -qF "$SECRET" <<<"$output" || false
}
asked() { # METHOD PATH
    jq -s --arg method "$1" --arg path "$2" 'map(select(.method == $method and .path == $path)) | length' "$WORK/imds.log"
}
KEYS=/latest/meta-data/iam/security-credentials/

@test "an instance's role: IMDSv2, past any proxy, once per run, and again when the store refuses the keys" {
    s3_session "$WORK/session"
    SECRET=$(sed -n 's/^aws_secret_access_key = //p' "$WORK/session")
    s3_imds "{\"credentials\": \"$WORK/session\", \"role\": \"web1-backup\"}"
    export http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1 no_proxy=
    holdfast -q init
    : >"$WORK/imds.log"
    [[ $(holdfast check-config --online) == *"access keys "*"from role web1-backup of this instance (IMDSv2)"* ]]
    # A token was put, and what came after carried it.
    [ "$(jq -s 'map([.method, .path, .token, .status]) == [["PUT", "/latest/api/token", false, 200],
        ["GET", "'$KEYS'", true, 200], ["GET", "'$KEYS'web1-backup", true, 200]]' "$WORK/imds.log")" = true ]
    [ "$(jq -s '.[0].ttl | tonumber | . >= 1 and . <= 21600' "$WORK/imds.log")" = true ]
    # Every request to the store was signed with the session's keys.
    [ "$(s3_count store '.headers["x-amz-security-token"] == null')" -eq 0 ]
    holdfast -q backup
    [ "$(asked GET "${KEYS}web1-backup")" -eq 2 ]
    # The role's keys change after the run has asked for them, and the store takes the old ones no longer.
    AWS_ACCESS_KEY_ID=$S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET_KEY s3_session "$WORK/session.new"
    (while [ "$(asked GET "${KEYS}web1-backup")" -lt 3 ]; do sleep 0.02; done; mv "$WORK/session.new" "$WORK/session") 3>&- &
    s3_faults store '{"latency_ms": 300, "rules": [{"method": "PUT", "nth": [1], "fault": "expired_token"}]}'
    echo more >"$WORK/source/more"
    holdfast -q backup
    s3_faults store
    [ "$(asked GET "${KEYS}web1-backup")" -eq 4 ]
    [ "$(s3_count store '.fault == "expired_token"')" -eq 1 ]
    restore_and_compare latest
    # Where there are no others, the refusal is the end.
    s3_faults store '{"rules": [{"method": "PUT", "fault": "expired_token"}]}'
    fails ExpiredToken backup
}

@test "an instance without a role, a service that fails, and no service: the message says what was tried" {
    SECRET=$AWS_SECRET_ACCESS_KEY
    (umask 077 && printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
        "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$WORK/file")
    export HOME=$WORK
    s3_imds "{\"credentials\": \"$WORK/file\"}"
    holdfast -q init
    for case in '"statuses": {"role": 404}|security-credentials/ is answered with status 404' \
        '"statuses": {"token": 403}|/latest/api/token is answered with status 403' \
        '"statuses": {"keys": 500}|security-credentials/backup is answered with status 500' \
        '"role": ""|this instance has no role' '"role": "../../x"|this instance has no role' \
        '"code": "Failed"|its Code is not Success' '"raw": "<html>"|it is not a JSON object' \
        '"expires": -10|its access keys expired at' '"stall": 10|nobody answers at http://127.0.0.1'; do
        s3_faults imds "{\"credentials\": \"$WORK/file\", ${case%%|*}}"
        fails "${case##*|}" backup
    done
    s3_faults imds "{\"credentials\": \"$WORK/file\"}"
    AWS_EC2_METADATA_DISABLED=true fails 'AWS_EC2_METADATA_DISABLED is set' backup
    AWS_EC2_METADATA_DISABLED=true fails "the environment has no AWS_ACCESS_KEY_ID; there is no profile default in $WORK/.aws" backup
    holdfast -q backup
}

@test "a program gives keys; what it says when it fails is in the message" {
    s3_session "$WORK/session"
    SECRET=$(sed -n 's/^aws_secret_access_key = //p' "$WORK/session")
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    cat >"$WORK/program" <<'P'
#!/bin/sh
[ ! -e "$2.broken" ] || { echo "the vault is sealed" >&2; exit 9; }
value() { sed -n "s/^$1 = //p" "$2"; }
printf '{"Version": 1, "AccessKeyId": "%s", "SecretAccessKey": "%s", "SessionToken": "%s", "Expiration": "%s"}' \
    "$(value aws_access_key_id "$2")" "$(value aws_secret_access_key "$2")" "$(value aws_session_token "$2")" \
    "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)"
P
    chmod 700 "$WORK/program"
    (umask 077 && printf '[web1]\ncredential_process = "%s/program" --from "%s/session"\n' "$WORK" "$WORK" >"$WORK/file")
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" "credentials_file = \"$WORK/file\"; profile = \"web1\";")" \
        '' 'retry_budget = 0;'
    holdfast -q init
    holdfast -q backup
    restore_and_compare latest
    [[ $(holdfast check-config --online) == *"from the credential_process of profile web1 of $WORK/file"* ]]
    touch "$WORK/session.broken"
    fails "credential_process of profile web1 of $WORK/file: command $WORK/program" backup
    [[ $output == *"status 9: the vault is sealed"* ]]
}

@test "files and profiles; a file that others may read is refused; wrong keys are named" {
    s3_user stranger
    SECRET=$AWS_SECRET_ACCESS_KEY
    mkdir -m 700 "$WORK/.aws"
    (umask 077 && printf '[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n[good]\naws_access_key_id = %s\naws_secret_access_key = %s\n' \
        "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$WORK/.aws/credentials")
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    export HOME=$WORK
    fails InvalidAccessKeyId init
    AWS_PROFILE=good holdfast -q init
    AWS_PROFILE=better fails 'there is no profile better' backup
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" 'profile = "good";')" '' 'retry_budget = 0;'
    AWS_ACCESS_KEY_ID=nobody AWS_SECRET_ACCESS_KEY=nothing holdfast -q backup
    chmod 640 "$WORK/.aws/credentials"
    fails 'group or others may access it' backup
    [[ $output == *"chmod 600 $WORK/.aws/credentials"* ]]
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" "credentials_file = \"$USER_FILE\";")" '' 'retry_budget = 0;'
    fails AccessDenied backup
    sed -i 's/^aws_secret_access_key = ./&x/' "$USER_FILE"
    fails SignatureDoesNotMatch backup
}
