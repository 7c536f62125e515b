# check-config --online on real buckets: each thing that is wrong is named, with what to do, and nothing is left there.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
load ../lib/s3.bash
setup() { make_work; s3_start; }
teardown() { s3_stop; drop_work; }

# online STATUS [SETTINGS [ENDPOINT]]: of a target in BUCKET; TABLE has its lines without padding, the messages are in stderr.
online() {
    write_targets_config "$(s3_target store "$BUCKET" "${3:-$S3_HTTP}" "${2:-}")" '' "retry_budget = 0; ${RESIDENCY:-}"
    run --separate-stderr holdfast check-config --online
    TABLE=$(sed -E 's/ {2,}/|/g' <<<"$output")
    [ "$status" -eq "$1" ] || { echo "status $status: $output $stderr"; return 1; }
}
row() { # PATTERN: some line of the table
    grep -qE "^store\|$1" <<<"$TABLE" || { echo "no $1 in: $TABLE"; return 1; }
}
said() { # TEXT: a message, and a hint
    [[ $stderr = *"$1"*"hint: "* ]] || { echo "no $1 in: $stderr"; return 1; }
}

@test "a good bucket: a line for each check, the same in JSON, and nothing stays there" {
    s3_bucket good
    online 0
    row "answer\|ok\|s3://$BUCKET/"
    row 'access keys\|ok\|'
    row 'region\|note\|the store does not say'
    row 'clock\|ok\|'
    row 'write\|ok\|leases/probe-'
    row 'read\|ok\|what was put comes back'
    row 'head\|ok\|'
    row 'conditional put\|ok\|a name that is taken is refused'
    row 'delete\|ok\|gone'
    row 'versioning\|ok\|off'
    row 'object lock\|ok\|off'
    row 'default retention\|ok\|none'
    [ -z "$stderr" ]
    holdfast --json check-config --online >"$WORK/json"
    [ "$(jq -r '.configurations[0].online[0] | .target, (.checks[] | .check + " " + .outcome)' "$WORK/json" | tr '\n' ',')" = \
        "store,answer ok,access keys ok,region note,clock ok,write ok,read ok,head ok,conditional put ok,delete ok,versioning ok,object lock ok,default retention ok," ]
    # Where versions are kept they go, too; and locks cover none of it.
    s3_versioned "$BUCKET"
    online 0
    row 'versioning\|ok\|on'
    row 'conditional put\|note' # this gateway takes no conditions where it keeps versions
    [ -z "$(s3_list versions "$BUCKET")" ]
    s3_bucket locked lock
    online 0 'object_lock = { mode = "governance"; retain = "1d"; };'
    row 'object lock\|ok\|on; objects are locked for 24 h'
    row 'delete\|ok\|gone'
    online 0
    row 'object lock\|ok\|possible, and not asked for'
}

@test "wrong keys, no bucket, no permission, no server, no lock" {
    s3_bucket wrong
    AWS_SECRET_ACCESS_KEY=wrong online 1
    row 'answer\|FAILED\|.*SignatureDoesNotMatch'
    [ "$(wc -l <<<"$(grep '^store|' <<<"$TABLE")")" -eq 1 ]
    said SignatureDoesNotMatch
    AWS_ACCESS_KEY_ID=nobody online 1
    said InvalidAccessKeyId
    s3_user stranger
    s3_as "$USER_FILE" online 1
    said AccessDenied
    s3_policy "$BUCKET" /dev/stdin <<P
{ "Version": "2012-10-17", "Statement": [ { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam:::user/$USER_NAME" },
  "Action": [ "s3:ListBucket", "s3:GetBucketVersioning" ], "Resource": [ "arn:aws:s3:::$BUCKET" ] } ] }
P
    s3_as "$USER_FILE" online 1
    row 'answer\|ok\|'
    row 'write\|FAILED\|.*AccessDenied'
    said AccessDenied
    online 1 'object_lock = { mode = "governance"; retain = "1d"; };'
    row 'object lock\|FAILED\|object_lock is set, and the bucket was made without'
    said "the bucket was made without"
    online 1 '' http://127.0.0.1:1
    said "Failed to connect"
    BUCKET=no-such-bucket online 1
    said NoSuchBucket
}

@test "another region, a wrong clock, a store that spoils, and one without conditions" {
    s3_bucket odd
    s3_proxy front
    location() {
        s3_faults front "{\"rules\": [{\"query\": \"location\", \"fault\": \"error\", \"status\": 200,
            \"body\": \"<LocationConstraint>$1</LocationConstraint>\"}]}"
    }
    location eu-north-1
    online 3 '' "$PROXY"
    row 'region\|warning\|the bucket is in eu-north-1, and the configuration says us-east-1'
    said "the bucket is in eu-north-1"
    location us-east-1
    online 0 '' "$PROXY"
    row 'region\|ok\|us-east-1'
    # With residency nothing at all is written there.
    location eu-north-1
    : >"$WORK/front.log"
    RESIDENCY='residency = [ "DE" ];' online 1 'jurisdiction = "DE";' "$PROXY"
    row 'answer\|FAILED\|.*says that it is in eu-north-1'
    [ "$(s3_count front '.method != "GET"')" -eq 0 ]
    s3_faults front '{"rules": [{"fault": "redirect", "region": "eu-north-1", "status": 301}]}'
    online 0 '' "$PROXY"
    [[ $stderr = *"is in region eu-north-1, not in us-east-1: going on there"* ]]
    s3_faults front '{"skew_minutes": 20}'
    online 1 '' "$PROXY"
    row 'clock\|FAILED\|this machine is 1(200|199|201) s behind the store'
    row 'write\|ok\|'
    said "s behind the store"
    s3_faults front '{"rules": [{"method": "GET", "path": ".*/leases/probe-.*", "fault": "flip", "offset": 3}]}'
    online 1 '' "$PROXY"
    row 'read\|FAILED\|other bytes come back than were put'
    row 'delete\|ok\|'
    s3_faults front '{"rules": [{"method": "PUT", "header": {"if-none-match": "."}, "fault": "error", "status": 501, "code": "NotImplemented"}]}'
    online 0 '' "$PROXY"
    row 'conditional put\|note\|not supported'
    s3_faults front '{"rules": [{"method": "DELETE", "fault": "access_denied"}]}'
    online 1 '' "$PROXY"
    row 'delete\|FAILED\|.*AccessDenied'
}
