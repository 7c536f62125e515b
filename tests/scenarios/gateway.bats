# The S3 store of the tests itself, seen by clients that are not ours.
load ../lib/common.bash
load ../lib/s3.bash
setup() { make_work; s3_start; }
teardown() { s3_stop; drop_work; }

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
    /usr/bin/python3 - "$S3_HTTPS" "$BUCKET" "$WORK/file" <<'P'
import boto3, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
assert s3.get_object(Bucket=sys.argv[2], Key="file")["Body"].read() == open(sys.argv[3], "rb").read()
assert [o["Key"] for o in s3.list_objects_v2(Bucket=sys.argv[2])["Contents"]] == ["file"]
P
}

@test "the gateway ends when nobody who joined it is alive, and its daemons end with it" {
    sleep 1000 3>&- &
    local user=$! folder="$WORK/gateway" daemons
    HOLDFAST_GATEWAY_IDLE=1 python3 "$S3_LIB/gateway.py" join "$folder" --pid "$user" >/dev/null
    daemons=$(pgrep -f "$folder/ceph.conf")
    [ "$(wc -w <<<"$daemons")" -eq 3 ]
    sleep 3
    kill -0 $daemons
    kill "$user"
    for _ in $(seq 100); do
        pgrep -f "$folder/ceph.conf" || break
        sleep 0.1
    done
    ! pgrep -f "$folder/ceph.conf"
    [ ! -e "$folder/state" ]
}
