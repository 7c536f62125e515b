# The S3 store of the tests itself, seen by clients that are not ours. What Ceph's gateway 16.2 of Debian 12 does:
#
# If-None-Match: *            412 PreconditionFailed in a bucket without versions. IGNORED (200, a new version) in a
#                             bucket with versions, thus in every bucket with object lock.
# Content-MD5                 wrong: BadDigest; no MD5: InvalidDigest. Not asked for with object lock nor multi-delete.
# wrong secret, unknown key   SignatureDoesNotMatch, InvalidAccessKeyId. Clock: RequestTimeTooSkewed from 15 minutes on.
# region of the signature     any. GetBucketLocation: "default".
# signature of a query        a slash in a value must be signed and sent as %2F.
# SSE-C                       over http 400 InvalidRequest; over https works; read without the key: 400 InvalidArgument.
# SSE-S3 (AES256)             over http 400 InvalidRequest; over https accepted, and no answer ever says so.
# storage class               other than STANDARD: 400 InvalidArgument (none is set up).
# session tokens              GetSessionToken is real; a token that is none: InvalidArgument or AccessDenied.
# object lock                 only for buckets created with it (later: 409 InvalidBucketState), versioning is then on and
#                             stays on. A retention put elsewhere: 400 InvalidRequest. A bucket's default retention applies
#                             to puts without one.
#   delete a locked version   403 AccessDenied "forbidden by object lock", in a multi-delete as the key's error. Compliance:
#                             nobody. Governance: whoever may delete versions and sends
#                             x-amz-bypass-governance-retention, UNLESS a policy denies them s3:BypassGovernanceRetention
#                             expressly: not to allow it is not enough. The owner too.
#   retention                 may be extended; shortened only by bypass (governance), which here must be allowed; compliance
#                             cannot become governance.
#                             Without a version id it is 404 behind a delete marker.
#   the right to lock         retention headers of a PUT need s3:PutObject alone; PUT ?retention needs
#                             s3:PutObjectRetention.
# versions                    DELETE adds a marker; what was there before versioning has version "null"; ListObjectVersions
#                             gives versions and markers of a key newest first.
# multi-delete                needs s3:DeleteObject on the bucket's own ARN, then on each key.
# bucket policies             users as arn:aws:iam:::user/NAME; prefixes in Resource, NotResource, explicit Deny, Deny for
#                             the owner. Other users may do nothing without a policy. Unknown actions: InvalidArgument.
#   conditions                work: aws:SecureTransport, aws:SourceIp, s3:prefix. Accepted, but never true:
#                             s3:object-lock-mode, s3:object-lock-remaining-retention-days.
#   reading what is not there 404 with s3:ListBucket, else 403.
# names                       of another user's bucket: BucketAlreadyExists; creating one's own again: 200; 3 characters
#                             at least: InvalidBucketName.
# quota                       of a bucket (radosgw-admin quota): 403 QuotaExceeded; the way to test a store that is full.
# newer clients               boto3 1.43 with its default checksum trailers cannot put at all (MissingContentLength).
load ../lib/common.bash
load ../lib/s3.bash
setup() { make_work; s3_start; }
teardown() { s3_stop; drop_work; }

# says EXPECTED ARGUMENTS OF s3_request: what it is answered: the code of its error, else its status.
says() {
    local answer code
    answer=$(s3_request -i "${@:2}") || true
    code=$(sed -n 's/.*<Code>\([A-Za-z]*\)<.*/\1/p' <<<"$answer" | head -n 1)
    [ "${code:-${answer%%$'\n'*}}" = "$1" ] && return
    printf 'expected %s: %s\n' "$1" "$answer"
    return 1
}

@test "an object comes back over http and https, by path and by virtual host" {
    s3_bucket plain
    s3_request -d contents PUT "/$BUCKET/a/b"
    [ "$(s3_request GET "/$BUCKET/a/b")" = contents ]
    [ "$(S3_URL=$S3_HTTPS s3_request GET "/$BUCKET/a/b")" = contents ]
    [ "$(S3_URL=http://$BUCKET.s3.localhost:$S3_HTTP_PORT s3_request GET /a/b)" = contents ]
    [ "$(S3_URL=https://$BUCKET.s3.localhost:$S3_HTTPS_PORT s3_request GET /a/b)" = contents ]
    s3_request GET "/$BUCKET?list-type=2" | grep -q '<Key>a/b</Key>'
    s3_request DELETE "/$BUCKET/a/b"
    run s3_request GET "/$BUCKET/a/b"
    [ "$status" -eq 1 ]
    [[ $output = *NoSuchKey* ]]
}

@test "awscli and boto3 agree with each other over https" {
    s3_bucket clients
    head -c 1000000 /dev/urandom >"$WORK/file"
    S3_URL=$S3_HTTPS s3_aws s3 cp --no-progress "$WORK/file" "s3://$BUCKET/file"
    $S3_PYTHON - "$S3_HTTPS" "$BUCKET" "$WORK/file" <<'P'
import boto3, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
assert s3.get_object(Bucket=sys.argv[2], Key="file")["Body"].read() == open(sys.argv[3], "rb").read()
assert [o["Key"] for o in s3.list_objects_v2(Bucket=sys.argv[2])["Contents"]] == ["file"]
P
}

@test "conditions, checksums, signatures and names" {
    s3_bucket plain
    says 200 -H 'If-None-Match: *' -d a PUT "/$BUCKET/x"
    says PreconditionFailed -H 'If-None-Match: *' -d b PUT "/$BUCKET/x"
    [ "$(s3_request GET "/$BUCKET/x")" = a ]
    says BadDigest -H 'Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==' -d a PUT "/$BUCKET/y"
    says InvalidDigest -H 'Content-MD5: xyz' -d a PUT "/$BUCKET/y"
    says NoSuchKey GET "/$BUCKET/y"
    says 204 DELETE "/$BUCKET/y"
    says 206 -H 'Range: bytes=0-0' GET "/$BUCKET/x"
    says InvalidRange -H 'Range: bytes=1-1' GET "/$BUCKET/x"
    AWS_SECRET_ACCESS_KEY=wrong says SignatureDoesNotMatch GET "/$BUCKET"
    AWS_ACCESS_KEY_ID=nobody says InvalidAccessKeyId GET "/$BUCKET"
    AWS_DEFAULT_REGION=eu-central-1 says 200 GET "/$BUCKET"
    s3_request GET "/$BUCKET?location" | grep -q '>default</LocationConstraint>'
    says NoSuchBucket GET /holdfast-no-such-bucket/x
    says InvalidBucketName PUT /ab
    says InvalidArgument -H 'x-amz-storage-class: STANDARD_IA' -d a PUT "/$BUCKET/y"
    s3_user other
    s3_as "$USER_FILE" says BucketAlreadyExists PUT "/$BUCKET"
}

@test "encryption by the store: with the customer's key over https alone; AES256 is taken and not told" {
    s3_bucket sse
    local customer=(-H x-amz-server-side-encryption-customer-algorithm:AES256
        -H "x-amz-server-side-encryption-customer-key:$(head -c 32 /dev/zero | base64)"
        -H "x-amz-server-side-encryption-customer-key-md5:$(head -c 32 /dev/zero | openssl md5 -binary | base64)")
    says InvalidRequest "${customer[@]}" -d a PUT "/$BUCKET/c"
    says InvalidRequest -H x-amz-server-side-encryption:AES256 -d a PUT "/$BUCKET/s"
    s3_proxy proxy '' https
    for S3_URL in "$S3_HTTPS" "$PROXY"; do
        says 200 "${customer[@]}" -d a PUT "/$BUCKET/c"
        [ "$(s3_request "${customer[@]}" GET "/$BUCKET/c")" = a ]
        says InvalidArgument GET "/$BUCKET/c"
        says 200 -H x-amz-server-side-encryption:AES256 -d a PUT "/$BUCKET/s"
        ! s3_request -i HEAD "/$BUCKET/s" | grep -qi server-side || false
    done
}

@test "versions: a removal is a marker, all are listed and can be removed one by one" {
    s3_bucket versions
    says 200 -d 0 PUT "/$BUCKET/a"
    s3_versioned "$BUCKET"
    local id
    id=$(s3_version -d 1 PUT "/$BUCKET/a")
    says 200 -H 'If-None-Match: *' -d 2 PUT "/$BUCKET/a" # ignored
    says 204 DELETE "/$BUCKET/a"
    says NoSuchKey GET "/$BUCKET/a"
    [ "$(s3_request GET "/$BUCKET/a?versionId=$id")" = 1 ]
    [ "$(s3_request GET "/$BUCKET/a?versionId=null")" = 0 ]
    listed() { s3_request GET "/$BUCKET?versions" | grep -o "<$1>" | wc -l; }
    [ "$(listed Version) $(listed DeleteMarker)" = '3 1' ]
    local body="<Delete><Object><Key>a</Key><VersionId>$id</VersionId></Object><Object><Key>a</Key><VersionId>null</VersionId></Object></Delete>"
    says 200 -d "$body" POST "/$BUCKET?delete"
    [ "$(listed Version) $(listed DeleteMarker)" = '1 1' ]
    says NoSuchKey GET "/$BUCKET/a?versionId=$id"
}

@test "a locked version stays, whoever tries; its retention can be extended" {
    s3_bucket locked lock
    local mode id hour later less
    less=$(date -u -d '+30 min' +%FT%TZ) hour=$(date -u -d '+1 hour' +%FT%TZ) later=$(date -u -d '+2 hours' +%FT%TZ)
    retain() { # MODE UNTIL EXPECTED [ARGUMENT...]
        local body="<Retention><Mode>$1</Mode><RetainUntilDate>$2</RetainUntilDate></Retention>"
        says "$3" "${@:4}" -d "$body" PUT "/$BUCKET/$mode?retention&versionId=$id"
    }
    local bypass=(-H x-amz-bypass-governance-retention:true)
    for mode in GOVERNANCE COMPLIANCE; do
        id=$(s3_version -H x-amz-object-lock-mode:$mode -H "x-amz-object-lock-retain-until-date:$hour" -d good PUT "/$BUCKET/$mode")
        says AccessDenied DELETE "/$BUCKET/$mode?versionId=$id"
        says AccessDenied -d "<Delete><Object><Key>$mode</Key><VersionId>$id</VersionId></Object></Delete>" POST "/$BUCKET?delete"
        retain $mode "$later" 200
        retain $mode "$less" AccessDenied
        says 200 -d garbage PUT "/$BUCKET/$mode"
        says 204 DELETE "/$BUCKET/$mode"
        says NoSuchKey -d "<Retention><Mode>$mode</Mode><RetainUntilDate>$later</RetainUntilDate></Retention>" PUT "/$BUCKET/$mode?retention"
        [ "$(s3_request GET "/$BUCKET/$mode?versionId=$id")" = good ]
        s3_request GET "/$BUCKET/$mode?retention&versionId=$id" | grep -q "<RetainUntilDate>${later%Z}"
        [ $mode = COMPLIANCE ] || says 204 "${bypass[@]}" DELETE "/$BUCKET/$mode?versionId=$id"
    done
    retain COMPLIANCE "$less" AccessDenied "${bypass[@]}"
    retain GOVERNANCE "$later" AccessDenied "${bypass[@]}"
    says AccessDenied "${bypass[@]}" DELETE "/$BUCKET/COMPLIANCE?versionId=$id"
    says InvalidBucketState -d '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>' PUT "/$BUCKET?versioning"
    says BucketNotEmpty DELETE "/$BUCKET"
    says 200 -d "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>" PUT "/$BUCKET?object-lock"
    says 200 -d a PUT "/$BUCKET/default"
    s3_request -i HEAD "/$BUCKET/default" | grep -q '^x-amz-object-lock-mode: GOVERNANCE'
    s3_bucket plain
    says ObjectLockConfigurationNotFoundError GET "/$BUCKET?object-lock"
    says InvalidRequest -H x-amz-object-lock-mode:GOVERNANCE -H "x-amz-object-lock-retain-until-date:$hour" -d a PUT "/$BUCKET/a"
}

@test "policies: a user may do what is allowed, under the prefixes named, and nothing more" {
    s3_bucket policy lock
    s3_user writer
    local w=$USER_FILE id until until2
    until=$(date -u -d '+1 hour' +%FT%TZ) until2=$(date -u -d '+2 hours' +%FT%TZ)
    as() { s3_as "$w" says "$@"; }
    as AccessDenied GET "/$BUCKET"
    as AccessDenied -d a PUT "/$BUCKET/packs/1"
    cat >"$WORK/policy" <<J
{ "Version": "2012-10-17", "Statement": [
  { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" }, "Resource": "arn:aws:s3:::$BUCKET",
    "Action": [ "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketObjectLockConfiguration" ] },
  { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" }, "Resource": "arn:aws:s3:::$BUCKET/*",
    "Action": [ "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention" ] },
  { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" },
    "Resource": [ "arn:aws:s3:::$BUCKET/packs/*", "arn:aws:s3:::$BUCKET/leases/*" ],
    "Action": [ "s3:PutObject", "s3:PutObjectRetention" ] },
  { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" }, "Resource": "arn:aws:s3:::$BUCKET/*",
    "Action": [ "s3:DeleteObject", "s3:DeleteObjectVersion" ] },
  { "Effect": "Deny", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" },
    "Resource": [ "arn:aws:s3:::$BUCKET/packs/*", "arn:aws:s3:::$BUCKET/keys/*" ],
    "Action": [ "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention" ] } ] }
J
    says 204 -f "$WORK/policy" PUT "/$BUCKET?policy"
    says 200 -d key PUT "/$BUCKET/keys/1"
    as 200 GET "/$BUCKET?list-type=2"
    as 200 GET "/$BUCKET?versions"
    as 200 GET "/$BUCKET/keys/1"
    as NoSuchKey GET "/$BUCKET/keys/2"
    as AccessDenied -d a PUT "/$BUCKET/keys/1"
    as AccessDenied DELETE "/$BUCKET/keys/1"
    id=$(s3_as "$w" s3_version -H x-amz-object-lock-mode:GOVERNANCE -H "x-amz-object-lock-retain-until-date:$until" -d a PUT "/$BUCKET/packs/1")
    as AccessDenied DELETE "/$BUCKET/packs/1"
    as AccessDenied -H x-amz-bypass-governance-retention:true DELETE "/$BUCKET/packs/1?versionId=$id"
    as 200 -d "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>$until2</RetainUntilDate></Retention>" PUT "/$BUCKET/packs/1?retention&versionId=$id"
    as AccessDenied -d "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>$until2</RetainUntilDate></Retention>" PUT "/$BUCKET/keys/1?retention"
    as AccessDenied -H x-amz-bypass-governance-retention:true -d "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>$until</RetainUntilDate></Retention>" PUT "/$BUCKET/packs/1?retention&versionId=$id"
    id=$(s3_as "$w" s3_version -d a PUT "/$BUCKET/leases/1")
    as 204 DELETE "/$BUCKET/leases/1"
    as 204 DELETE "/$BUCKET/leases/1?versionId=$id"
    as AccessDenied -d '<Delete><Object><Key>leases/1</Key></Object></Delete>' POST "/$BUCKET?delete"
    as AccessDenied -f "$WORK/policy" PUT "/$BUCKET?policy"
    as AccessDenied DELETE "/$BUCKET?policy"
    as AccessDenied DELETE "/$BUCKET"
    sed -i 's/, "s3:BypassGovernanceRetention"//; s/"Deny"/"Allow"/' "$WORK/policy"
    says 204 -f "$WORK/policy" PUT "/$BUCKET?policy"
    id=$(s3_as "$w" s3_version -H x-amz-object-lock-mode:GOVERNANCE -H "x-amz-object-lock-retain-until-date:$until" -d a PUT "/$BUCKET/packs/1")
    as AccessDenied DELETE "/$BUCKET/packs/1?versionId=$id"
    as 204 -H x-amz-bypass-governance-retention:true DELETE "/$BUCKET/packs/1?versionId=$id" # allowed by nobody, but not denied
    sed -i 's/"s3:ListBucket", //' "$WORK/policy"
    says 204 -f "$WORK/policy" PUT "/$BUCKET?policy"
    as AccessDenied GET "/$BUCKET/keys/2"
    sed -i 's/s3:GetObject"/s3:Nonsense"/' "$WORK/policy"
    says InvalidArgument -f "$WORK/policy" PUT "/$BUCKET?policy"
}

@test "conditions of policies: transport and prefix" {
    s3_bucket conditions
    s3_user reader
    allow() { # ACTION RESOURCE CONDITION
        printf '{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/%s" }, "Action": "%s", "Resource": "arn:aws:s3:::%s", "Condition": { %s } } ] }' \
            "$USER_NAME" "$1" "$2" "$3" >"$WORK/policy"
        says 204 -f "$WORK/policy" PUT "/$BUCKET?policy"
    }
    allow s3:ListBucket "$BUCKET" '"StringLike": { "s3:prefix": "packs/*" }'
    s3_as "$USER_FILE" says 200 GET "/$BUCKET?list-type=2&prefix=packs%2F"
    s3_as "$USER_FILE" says AccessDenied GET "/$BUCKET?list-type=2"
    allow s3:PutObject "$BUCKET/*" '"Bool": { "aws:SecureTransport": "true" }'
    s3_as "$USER_FILE" says AccessDenied -d a PUT "/$BUCKET/a"
    S3_URL=$S3_HTTPS s3_as "$USER_FILE" says 200 -d a PUT "/$BUCKET/a"
}

@test "temporary keys are taken with their session token only, and come from the instance's metadata" {
    s3_bucket session
    s3_session "$WORK/session"
    s3_as "$WORK/session" says 200 -d a PUT "/$BUCKET/a"
    sed '/session_token/d' "$WORK/session" >"$WORK/without"
    s3_as "$WORK/without" says InvalidAccessKeyId GET "/$BUCKET/a"
    s3_user other
    s3_session "$WORK/other" "$USER_NAME" "$USER_FILE"
    s3_as "$WORK/other" says AccessDenied GET "/$BUCKET/a"
    s3_imds "{ \"credentials\": \"$WORK/session\", \"role\": \"web\", \"expires\": 1000 }"
    run curl -s -o /dev/null -w '%{http_code}' "$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/iam/security-credentials/"
    [ "$output" = 401 ]
    export AWS_EC2_METADATA_SERVICE_ENDPOINT=$AWS_EC2_METADATA_SERVICE_ENDPOINT/ # else this awscli leaves it out
    s3_aws s3 cp --no-progress "s3://$BUCKET/a" "$WORK/a"
    [ "$(cat "$WORK/a")" = a ]
    [ "$(s3_count imds '.method == "PUT" and .status == 200')" -ge 1 ]
    [ "$(s3_count imds '.path == "/latest/meta-data/iam/security-credentials/web" and .token and .status == 200')" -ge 1 ]
    s3_faults imds '{ "statuses": { "role": 404 } }'
    run s3_aws s3 ls "s3://$BUCKET"
    [ "$status" -ne 0 ]
    [[ $output = *"Unable to locate credentials"* ]]
}

@test "a server of TLS 1.1 and nothing newer" {
    s3_old_tls
    run curl -sS --cacert "$S3_CA" "$OLD_TLS"
    [ "$status" -eq 35 ]
    curl -sS -o /dev/null --tlsv1.0 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 --cacert "$S3_CA" "$OLD_TLS"
}

@test "the gateway ends when nobody who joined it is alive, and its daemons end with it" {
    local folder="$WORK/gateway"
    join() {
        sleep 1000 3>&- &
        user=$!
        HOLDFAST_GATEWAY_IDLE=1 $S3_PYTHON "$S3_LIB/gateway.py" join "$folder" --pid "$user" >/dev/null
        daemons=$(pgrep -f "$folder/ceph.conf")
        [ "$(wc -w <<<"$daemons")" -eq 3 ]
    }
    ended() {
        for _ in $(seq 600); do
            pgrep -f "$folder/ceph.conf" >/dev/null || return 0
            sleep 0.1
        done
        return 1
    }
    join
    sleep 3
    kill -0 $daemons
    kill "$user"
    ended
    [ ! -e "$folder/state" ]
    join
    kill -KILL "$(jq .pid "$folder/state")"
    ended
    join # after that, too
    kill "$user"
}
