# The proxy of the tests that injects faults, seen by a raw client that hides nothing.
load ../lib/common.bash
load ../lib/s3.bash
setup() {
    make_work
    s3_start
    s3_bucket faults
    s3_request -d 0123456789 PUT "/$BUCKET/object"
    s3_proxy proxy
    S3_URL=$PROXY
}
teardown() { s3_stop; drop_work; }

rule() { # a rule for GET and what happens
    s3_faults proxy "{ \"rules\": [ { \"method\": \"GET\", $1 } ] }"
}
get() { # STATUS OUTPUT: what the client of the object sees
    run s3_request -t 2 GET "/$BUCKET/object"
    [ "$status" -eq "$1" ] && [[ $output = $2 ]]
}
logged() { # FILTER: of the last line
    [ "$(tail -n 1 "$WORK/proxy.log" | jq "$1")" = true ]
}
elapsed() { # MILLISECONDS COMMAND: takes at least so long
    local begin
    begin=$(date +%s%3N)
    "${@:2}"
    [ $(($(date +%s%3N) - begin)) -ge "$1" ]
}

@test "without faults requests pass unchanged, over http and https, and are logged" {
    get 0 0123456789
    logged '.method == "GET" and .path == "/'"$BUCKET"'/object" and .status == 200 and .answer_length == 10 and .fault == null'
    logged '.region == "us-east-1" and (.headers | has("authorization") | not)'
    s3_request -H x-amz-meta-a:b -d 'a space' PUT "/$BUCKET/a%20b?x=%2F&y"
    logged '.path == "/'"$BUCKET"'/a b" and .query == "x=%2F&y" and .length == 7 and .headers["x-amz-meta-a"] == "b"'
    s3_request GET "/$BUCKET?list-type=2" | grep -q '<Key>a b</Key>'
    s3_request -i HEAD "/$BUCKET/object" | grep -qi '^content-length: 10'
    [ "$(s3_count proxy)" -eq 4 ]
    [ "$(s3_count proxy '.method == "GET"')" -eq 2 ]
    [ "$(s3_count proxy '.headers | has("x-amz-server-side-encryption")')" -eq 0 ]
    s3_proxy secure '' https
    S3_URL=$PROXY get 0 0123456789
    head -c 3000000 /dev/urandom >"$WORK/file"
    S3_URL=$PROXY s3_aws s3 cp --no-progress "$WORK/file" "s3://$BUCKET/file" # with Expect: 100-continue
    s3_request GET "/$BUCKET/file" | cmp - "$WORK/file"
    s3_aws s3 cp --no-progress "$WORK/file" "s3://$BUCKET/file"
    S3_URL=$PROXY s3_request GET "/$BUCKET/file" | cmp - "$WORK/file"
}

@test "connections are reset or closed before and after the request is processed" {
    rule '"fault": "reset_before"'
    get 3 ''
    logged '.status == null and .fault == "reset_before"'
    rule '"fault": "close_before"'
    get 3 ''
    s3_faults proxy '{ "rules": [ { "method": "PUT", "nth": [1], "fault": "reset_before" }, { "method": "PUT", "nth": [1], "fault": "reset_after" } ] }'
    run s3_request -d new PUT "/$BUCKET/object"
    [ "$status" -eq 3 ]
    get 0 0123456789
    run s3_request -d new PUT "/$BUCKET/object"
    [ "$status" -eq 3 ]
    get 0 new
    rule '"fault": "close_after"'
    get 3 ''
}

@test "errors look like a store's" {
    rule '"fault": "internal_error"'
    get 1 '*<Code>InternalError</Code>*'
    logged '.status == 500'
    rule '"fault": "unavailable"'
    get 1 '*<Code>ServiceUnavailable</Code>*'
    rule '"fault": "slow_down", "retry_after": 7'
    get 1 '*<Code>SlowDown</Code>*'
    run s3_request -i GET "/$BUCKET/object"
    [ "${lines[0]}" = 503 ]
    [[ $output = *"Retry-After: 7"* ]]
    rule '"fault": "too_many"'
    get 1 '*<Code>TooManyRequests</Code>*'
    logged '.status == 429'
    rule '"fault": "access_denied"'
    get 1 '*<Code>AccessDenied</Code>*'
    rule '"fault": "expired_token"'
    get 1 '*<Code>ExpiredToken</Code>*'
    logged '.status == 400'
    rule '"fault": "error_in_200"'
    get 0 '*<Error><Code>InternalError</Code>*'
    rule '"fault": "error", "status": 418, "body": "<anything/>", "headers": { "x-amz-a": "b" }'
    get 1 '<anything/>'
    s3_faults proxy '{ "rules": [ { "method": "PUT", "fault": "internal_error", "processed": true } ] }'
    run s3_request -d new PUT "/$BUCKET/object"
    [[ $output = *InternalError* ]]
    get 0 new
}

@test "bodies are cut, shortened and spoiled" {
    rule '"fault": "truncate"'
    get 4 ''
    rule '"fault": "short", "bytes": 3'
    get 0 012
    rule '"fault": "flip", "offset": 2'
    get 0 0133456789
    rule '"fault": "flip"'
    get 0 '*'
    [ "$(cmp -l <(printf %s "$output") <(printf 0123456789) | wc -l)" -eq 1 ]
    s3_faults proxy '{ "rules": [ { "method": "PUT", "fault": "flip_request" } ] }'
    run s3_request -d new PUT "/$BUCKET/object"
    [[ $output = *XAmzContentSHA256Mismatch* ]]
    rule '"fault": "truncate", "query": "list-type"'
    run s3_request GET "/$BUCKET?list-type=2" # chunked by the gateway
    [ "$status" -eq 4 ]
}

@test "latency, a slow line and stalls" {
    s3_faults proxy '{ "latency_ms": 300 }'
    elapsed 300 get 0 0123456789
    rule '"fault": "latency", "ms": 400'
    elapsed 400 get 0 0123456789
    head -c 300000 /dev/urandom >"$WORK/file"
    s3_faults proxy '{ "bandwidth": 500000 }'
    elapsed 500 s3_request -f "$WORK/file" PUT "/$BUCKET/file"
    elapsed 500 s3_request GET "/$BUCKET/file" | cmp - "$WORK/file"
    rule '"fault": "bandwidth", "rate": 500000'
    elapsed 500 s3_request GET "/$BUCKET/file" | cmp - "$WORK/file"
    rule '"fault": "stall", "seconds": 10'
    elapsed 2000 get 5 ''
    s3_faults proxy '{ "rules": [ { "fault": "stall", "where": "body", "seconds": 1 } ] }'
    elapsed 1000 get 3 ''
    s3_faults proxy '{ "rules": [ { "fault": "stall", "where": "request", "seconds": 1 } ] }'
    run s3_request -d new PUT "/$BUCKET/object"
    [ "$status" -eq 3 ]
    s3_faults proxy
    get 0 0123456789
}

@test "a store whose clock is 20 minutes ahead refuses what is signed by ours" {
    s3_faults proxy '{ "skew_minutes": 20 }'
    run s3_request -i GET "/$BUCKET/object"
    [ "${lines[0]}" = 403 ]
    [[ $output = *'<Code>RequestTimeTooSkewed</Code>'* ]]
    local there
    there=$(date -d "$(sed -n 's/^Date: //p' <<<"$output")" +%s)
    [ $((there - $(date +%s))) -gt 1190 ]
    run faketime -f +20m $S3_PYTHON "$S3_LIB/sigv4.py" GET "$PROXY/$BUCKET/object"
    [ "$output" = 0123456789 ]
    AWS_SECRET_ACCESS_KEY=wrong run faketime -f +20m $S3_PYTHON "$S3_LIB/sigv4.py" GET "$PROXY/$BUCKET/object"
    [[ $output = *SignatureDoesNotMatch* ]]
    # The gateway itself, for a client whose clock is wrong:
    run faketime -f +20m $S3_PYTHON "$S3_LIB/sigv4.py" GET "$S3_HTTP/$BUCKET/object"
    [[ $output = *RequestTimeTooSkewed* ]]
}

@test "a bucket in another region redirects until it is signed for" {
    rule '"fault": "redirect", "region": "eu-central-1"'
    run s3_request -i GET "/$BUCKET/object"
    [ "${lines[0]}" = 301 ]
    [[ $output = *'x-amz-bucket-region: eu-central-1'* ]]
    [[ $output = *'<Code>PermanentRedirect</Code>'* ]]
    AWS_DEFAULT_REGION=eu-central-1 get 0 0123456789
    rule '"fault": "redirect", "region": "eu-central-1", "status": 400'
    get 1 '*<Code>AuthorizationHeaderMalformed</Code>*<Region>eu-central-1</Region>*'
}

@test "rules choose by name, number and chance" {
    s3_faults proxy '{ "rules": [ { "path": "^/[^/]+/packs/", "fault": "access_denied" }, { "query": "versions", "fault": "too_many" } ] }'
    get 0 0123456789
    run s3_request GET "/$BUCKET/packs/1"
    [[ $output = *AccessDenied* ]]
    run s3_request GET "/$BUCKET?versions"
    [[ $output = *TooManyRequests* ]]
    rule '"nth": [2, 3], "fault": "slow_down"'
    get 0 '*'; get 1 '*'; get 1 '*'; get 0 '*'
    rule '"after": 1, "times": 1, "fault": "slow_down"'
    get 0 '*'; get 1 '*'; get 0 '*'
    s3_faults proxy '{ "rules": [ { "header": { "x-amz-meta-a": "^b" }, "fault": "slow_down" } ] }'
    get 0 '*'
    run s3_request -H x-amz-meta-a:bc GET "/$BUCKET/object"
    [[ $output = *SlowDown* ]]
    chances() {
        s3_faults proxy "{ \"seed\": $1, \"rules\": [ { \"probability\": 0.5, \"fault\": \"slow_down\" } ] }"
        curl -s -o /dev/null -w '%{http_code} ' "$PROXY/#[1-12]"
    }
    first=$(chances 1)
    [ "$(chances 1)" = "$first" ]
    [ "$(chances 2)" != "$first" ]
    [[ $first = *503*403* || $first = *403*503* || $first = *503*200* || $first = *200*503* ]]
}
