# The policies of etc/s3-policies, applied as they are: what each user can do with holdfast, and cannot do at all.
load ../lib/common.bash
load ../lib/s3.bash

ROLES="init backup prune restore"

setup() {
    make_work
    make_small_tree
    s3_start
}
teardown() { s3_stop; drop_work; }

# roles PREFIX SETTINGS: a user and a configuration file for each role, and their policies on the bucket.
roles() {
    local role
    for role in $ROLES; do
        s3_user "$role"
        sed -e "s,BUCKET,$BUCKET," -e "s,PRINCIPAL,arn:aws:iam:::user/$USER_NAME," -e "s,PREFIX,$1," \
            "$BATS_TEST_DIRNAME/../../etc/s3-policies/$role.json"
        cat >"$WORK/$role.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state-$role"; retry_budget = 0; };
targets = ( $(s3_target s3 "$BUCKET" "$S3_HTTP" "prefix = \"$1\"; credentials_file = \"$USER_FILE\"; $2") );
jobs = ( { name = "files"; source = { type = "files"; paths = [ "$WORK/source" ]; }; keep = { manual = 1; }; } );
C
    done | tee "$WORK/policies" >/dev/null
    jq -s '{Version: .[0].Version, Statement: map(.Statement[])}' "$WORK/policies" >"$WORK/policy"
    s3_policy "$BUCKET" "$WORK/policy"
    cp "$WORK/restore.conf" "$WORK/holdfast.conf" # for restore_and_compare
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
}

# as ROLE COMMAND...
as() { command "$HOLDFAST_BIN" -c "$WORK/$1.conf" -q "${@:2}"; }

# denied ROLE COMMAND...: status 1, and the message says what and where to look.
denied() {
    run as "$@"
    [ "$status" -eq 1 ] || { echo "status $status of $*: $output"; return 1; }
    [[ $output = *AccessDenied*holdfast-s3\(7\)* ]] || { echo "$output"; return 1; }
}

@test "init, backup, prune and restore each work with their own policy, and not with another's" {
    s3_bucket privilege
    roles web1/ ''
    for role in backup prune restore; do
        denied $role init
    done
    as init init
    denied restore backup
    denied init backup
    as backup backup
    echo more >"$WORK/source/more"
    as backup backup
    as backup check-config --online
    # A host that only writes takes nothing away, neither by removing nor by saying that it is to be removed.
    denied backup prune
    denied backup forget latest
    denied restore prune
    restore_and_compare latest
    [ "$(as backup snapshots --json | jq '.snapshots | length')" -eq 2 ]
    as prune prune
    [ "$(as restore snapshots --json | jq '.snapshots | length')" -eq 1 ]
    restore_and_compare latest
    as restore verify --all
    as backup heal
    # Keys change with the policy of init only.
    denied prune host add other --out "$WORK/refused.key"
    as init host add other --out "$WORK/other.key"
    as backup host list | grep -q other
}

@test "what each policy allows, request by request" {
    s3_bucket privilege
    roles '' ''
    /usr/bin/python3 - "$S3_HTTP" "$BUCKET" "$WORK" <<'P'
import boto3, botocore, botocore.handlers, configparser, sys
endpoint, bucket, work = sys.argv[1:]
def client(role):
    keys = configparser.ConfigParser()
    keys.read(f"{work}/{role}.credentials")
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                      aws_access_key_id=keys["default"]["aws_access_key_id"],
                      aws_secret_access_key=keys["default"]["aws_secret_access_key"])
    # After a refusal without "100 Continue" the gateway waits for the body, and boto3 for an answer: a minute each.
    s3.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)
    return s3
def allowed(call, **arguments):
    try:
        call(Bucket=bucket, **arguments)
        return True
    except botocore.exceptions.ClientError as e:
        if e.response["Error"]["Code"] in ("AccessDenied", "403", "Forbidden"):
            return False
        return e.response["Error"]["Code"]
names = ["config", "keys/x", "packs/00/x", "index/x", "snapshots/x", "runs/x", "events/x", "leases/x", "elsewhere"]
data = {"packs/00/x", "index/x", "snapshots/x", "runs/x", "events/x", "leases/x"}
may_put = {"init": {"config", "keys/x", "leases/x"}, "backup": data - {"events/x"}, "prune": data, "restore": set()}
may_delete = {"init": {"leases/x"}, "backup": {"leases/x"}, "prune": data, "restore": set()}
wrong = []
def expect(what, is_, wanted):
    if is_ is not wanted:
        wrong.append(f"{what}: {is_}, not {wanted}")
for role in may_put:
    s3 = client(role)
    for name in names:
        expect(f"{role} puts {name}", allowed(s3.put_object, Key=name, Body=b"x"), name in may_put[role])
    for name in ["config", "keys/x", "packs/00/x", "events/x"]: # each is there by now, or not there
        is_ = allowed(s3.get_object, Key=name)
        expect(f"{role} gets {name}", is_ if is_ != "NoSuchKey" else True, True)
    for name in names:
        expect(f"{role} deletes {name}", allowed(s3.delete_object, Key=name), name in may_delete[role])
    expect(f"{role} lists", allowed(s3.list_objects_v2), True)
    expect(f"{role} lists versions", allowed(s3.list_object_versions), True)
    for call, arguments in [
            (s3.put_bucket_policy, {"Policy": "{}"}), (s3.delete_bucket_policy, {}), (s3.delete_bucket, {}),
            (s3.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Suspended"}}),
            (s3.put_bucket_lifecycle_configuration, {"LifecycleConfiguration": {"Rules": [
                {"ID": "x", "Prefix": "", "Status": "Enabled", "Expiration": {"Days": 1}}]}}),
            (s3.put_bucket_acl, {"ACL": "public-read-write"}), (s3.put_object_acl, {"Key": "config", "ACL": "public-read"})]:
        expect(f"{role} {call.__name__}", allowed(call, **arguments), False)
print("\n".join(wrong))
sys.exit(bool(wrong))
P
}

@test "with object lock, no role's keys can destroy what is committed" {
    s3_bucket privilege lock
    roles '' 'object_lock = { mode = "governance"; retain = "1h"; };'
    as init init
    as backup backup
    as prune prune
    as prune pin latest
    # The thief of the host's keys overwrites, deletes and tries to get around the locks.
    /usr/bin/python3 - "$S3_HTTP" "$BUCKET" "$WORK" <<'P'
import boto3, botocore, configparser, datetime, sys
endpoint, bucket, work = sys.argv[1:]
def client(role):
    keys = configparser.ConfigParser()
    keys.read(f"{work}/{role}.credentials")
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                        aws_access_key_id=keys["default"]["aws_access_key_id"],
                        aws_secret_access_key=keys["default"]["aws_secret_access_key"])
roles = {role: client(role) for role in ("prune", "backup", "init", "restore")}
writers = ("prune", "backup")
def refused(call, **arguments):
    try:
        call(Bucket=bucket, **arguments)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "AccessDenied", e
    else:
        sys.exit(f"{call.__name__} {arguments} went through, and was not to")
def delete_several(s3):
    """Some refuse the whole request, some each object in it."""
    def delete(**arguments):
        for error in s3.delete_objects(**arguments).get("Errors", []):
            raise botocore.exceptions.ClientError({"Error": error}, "DeleteObjects")
    return delete
now = datetime.datetime.now(datetime.timezone.utc)
soon, late = now + datetime.timedelta(seconds=60), now + datetime.timedelta(days=2)
locked = kinds = 0
for version in roles["restore"].list_object_versions(Bucket=bucket)["Versions"]:
    name, id = version["Key"], version["VersionId"]
    lockable = name.startswith(("packs/", "index/", "snapshots/", "runs/"))
    removable = name.startswith(("leases/", "events/"))
    locked += lockable
    for role, s3 in roles.items():
        # Nobody shortens a lock, nor locks what must be removable: on this gateway whoever has put an object may, where
        # it is not denied, whatever is allowed.
        for date in (soon, late):
            for mode in ("GOVERNANCE", "COMPLIANCE"):
                for more in ({}, {"BypassGovernanceRetention": True}):
                    if not (lockable and date == late and mode == "GOVERNANCE" and role in writers):
                        refused(s3.put_object_retention, Key=name, VersionId=id,
                                Retention={"Mode": mode, "RetainUntilDate": date}, **more)
        if removable:
            continue
        for more in ({}, {"BypassGovernanceRetention": True}):
            refused(s3.delete_object, Key=name, VersionId=id, **more)
            refused(delete_several(s3), Delete={"Objects": [{"Key": name, "VersionId": id}]}, **more)
        if lockable and role in writers:
            s3.put_object(Bucket=bucket, Key=name, Body=b"garbage of " + role.encode())
        if lockable and role == "prune":
            s3.delete_object(Bucket=bucket, Key=name)
    kinds |= 1 if name == "config" else 2 if name.startswith("keys/") else 4 if name.startswith("events/") else 0
assert kinds == 7, kinds
assert locked >= 4, locked
P
    rm -rf "$WORK"/state-*
    restore_and_compare latest
}
