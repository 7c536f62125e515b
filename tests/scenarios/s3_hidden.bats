# Objects that somebody removes from a bucket which keeps versions: they are hidden, not gone, until a rule of the bucket
# removes what is hidden. Every command sees them, none relies on them, and heal makes them visible again.
bats_require_minimum_version 1.5.0
load ../lib/common.bash
load ../lib/s3.bash
setup() {
    make_work
    s3_start
    echo content >"$WORK/source/file"
    head -c 300000 /dev/urandom >"$WORK/source/random"
    s3_bucket hidden "${LOCK:-}"
    s3_versioned "$BUCKET"
}
teardown() { s3_stop; drop_work; }

fail() { echo "$*" >&2; return 1; }
keys() { s3_list list "$BUCKET" | cut -d' ' -f2; }
versions() { s3_list versions "$BUCKET"; }

# hide PATTERN: a plain removal of each object, as rclone, "aws s3 rm" and consoles do it.
hide() {
    keys | grep -E "$1" >"$WORK/hidden"
    sed "s|^|DELETE /$BUCKET/|" "$WORK/hidden" | s3_batch >"$WORK/answers"
    [ "$(grep -c ^204 "$WORK/answers")" -eq "$(wc -l <"$WORK/hidden")" ]
    HIDDEN=$(wc -l <"$WORK/hidden")
}

# said TEXT...: the last output has each.
said() {
    local text
    for text in "$@"; do [[ $output == *"$text"* ]] || fail "no \"$text\" in: $output"; done
}

policy() { # ROLE CREDENTIALS: of the next configuration
    sed -e "s,BUCKET,$BUCKET," -e "s,PRINCIPAL,arn:aws:iam:::user/$USER_NAME," -e "s,PREFIX,," \
        "$BATS_TEST_DIRNAME/../../etc/s3-policies/$1.json" >"$WORK/policy"
    s3_policy "$BUCKET" "$WORK/policy"
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP" "credentials_file = \"$USER_FILE\";")"
}

@test "a bucket of which everything is hidden: each command says so, restore works, heal takes the removals away" {
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP")"
    holdfast -q init
    holdfast -q backup
    versions | sort >"$WORK/before"
    hide .
    [ -z "$(keys)" ]
    run holdfast verify
    [ "$status" -eq 5 ]
    said "target store: $HIDDEN objects are hidden" "holdfast heal" "$HIDDEN problems"
    run holdfast verify --all
    [ "$status" -eq 5 ]
    said "$HIDDEN objects are hidden" "$HIDDEN problems"
    [[ $output != *"cannot be restored"* ]]
    [ "$(holdfast --json verify --all 2>/dev/null | jq -c '[.problem_count, .hidden, .lost_count]')" = "[$HIDDEN,$HIDDEN,0]" ]
    run holdfast status
    [ "$status" -eq 5 ]
    said "DAMAGE" "target store: $HIDDEN objects are hidden" "-> holdfast heal"
    [ "$(holdfast --json status | jq '.repositories[0].targets[0].hidden_objects')" -eq "$HIDDEN" ]
    mkdir "$WORK/out"
    run holdfast restore latest --to "$WORK/out"
    [ "$status" -eq 0 ]
    said "$HIDDEN objects are hidden"
    cmp "$WORK/source/random" "$WORK/out$WORK/source/random"
    run holdfast heal
    [ "$status" -eq 0 ]
    said "$HIDDEN hidden objects are visible again"
    # Not stored a second time: the same versions, and no removal.
    versions | sort | cmp - "$WORK/before"
    holdfast -q verify --all
    holdfast -q status || [ $? -eq 3 ]
}

@test "a backup does not rely on what is hidden: it makes it visible, with keys that may not remove, too" {
    s3_user init
    local name=$USER_NAME file=$USER_FILE
    policy init
    holdfast -q init
    s3_user host
    policy backup
    holdfast -q backup
    hide '^(packs|index|snapshots|keys)/'
    run holdfast backup
    [ "$status" -eq 0 ]
    # Keys are out of its reach, and of a thief's.
    said "$HIDDEN objects are hidden" "$((HIDDEN - 1)) hidden objects are visible again" "1 object stays hidden" "PERMISSIONS"
    [ "$(keys | grep -cE '^(packs|index|snapshots)/')" -ge "$((HIDDEN - 1))" ]
    while read -r key; do
        [[ $key == keys/* ]] || [ "$(s3_as "$USER_FILE" s3_request GET "/$BUCKET/$key" | sha256sum | cut -c1-64)" = "${key: -64}" ]
    done <"$WORK/hidden"
    restore_and_compare latest
    # Who may write them heals the rest.
    USER_NAME=$name USER_FILE=$file
    policy init
    run holdfast heal
    said "1 hidden object is visible again"
    keys | grep -q ^keys/
}

@test "what lies under garbage is hidden as well: verify tells it from what is lost" {
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP")"
    holdfast -q init
    holdfast -q backup
    local data
    data=$(s3_list list "$BUCKET" | sort -rn | awk '$2 ~ /^packs/ { print $2; exit }')
    # Of another size: seen without reading.
    s3_request -d garbage PUT "/$BUCKET/$data"
    run holdfast verify
    [ "$status" -eq 5 ]
    said "1 object is hidden"
    # Of the same size: seen by reading, and not taken for lost.
    holdfast -q heal
    holdfast -q verify
    s3_request GET "/$BUCKET/$data" | tr '\000-\377' '\001-\377\000' >"$WORK/garbage"
    s3_request -f "$WORK/garbage" PUT "/$BUCKET/$data"
    holdfast -q verify
    run holdfast verify --all
    [ "$status" -eq 5 ]
    said "$data: it was removed or overwritten; an older version is good" "1 problems"
    [[ $output != *"cannot be restored"* ]]
    restore_and_compare latest
    # Under a removal on top of it, too.
    s3_request DELETE "/$BUCKET/$data"
    run holdfast verify --all
    [ "$status" -eq 5 ]
    said "1 object is hidden"
    holdfast -q backup 2>/dev/null
    holdfast -q verify --all
    restore_and_compare latest
}

@test "what one of two targets hides comes back there, and a prune keeps what it needs" {
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP"), { name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }"
    holdfast -q init
    holdfast -q backup
    rm "$WORK/source/random"
    backup_of_less
    hide '^(packs|snapshots|config)'
    run holdfast verify
    [ "$status" -eq 5 ]
    said "target store: $HIDDEN objects are hidden"
    holdfast -q forget "$(holdfast --json snapshots 2>/dev/null | jq -r '.snapshots[0].id')" 2>/dev/null
    holdfast -q prune --force
    holdfast -q verify --all
    restore_and_compare latest
    # No marker is left, and of what was pruned nothing.
    [ "$(versions | grep -c DeleteMarker)" -eq 0 ]
    [ "$(versions | cut -d' ' -f1 | sort -u)" = "$(keys | sort)" ]
}

@test "where versions are kept no longer a removal of no version is answered by storing the object again" {
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP"), { name = \"disk\"; type = \"local\"; path = \"$WORK/repo1\"; }"
    holdfast -q init
    holdfast -q backup
    s3_request -d '<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>' PUT "/$BUCKET?versioning"
    hide '^(packs|index)/'
    holdfast -q heal
    holdfast -q verify --all
    [ "$(keys | grep -cE '^(packs|index)/')" -eq "$HIDDEN" ]
}

@test "a hidden lease protects a writer as before" {
    write_targets_config "$(s3_target store "$BUCKET" "$S3_HTTP")"
    holdfast -q init
    holdfast -q backup
    s3_version -d lease PUT "/$BUCKET/leases/1-$(printf %064d 0)" >/dev/null
    s3_request DELETE "/$BUCKET/leases/1-$(printf %064d 0)"
    run holdfast verify --all
    [ "$status" -eq 0 ] || fail "$output"
}
