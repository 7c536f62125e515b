# Residency where a store answers: what it says of its bucket counts, and nothing is sent elsewhere.
load ../lib/common.bash
load ../lib/s3.bash
setup() {
    make_work
    make_small_tree
    s3_start
    s3_bucket place
    s3_proxy store
    write_targets_config "$(s3_target store "$BUCKET" "$PROXY" 'jurisdiction = "DE";')" '' \
        'retry_budget = 0; residency = [ "DE", "FI" ];'
}
teardown() { s3_stop; drop_work; }

location() { # ANSWER: what the store says of its bucket from now on
    s3_faults store "{\"rules\": [{\"method\": \"GET\", \"query\": \"location\", \"fault\": \"error\", \"status\": 200,
        \"body\": \"<LocationConstraint>$1</LocationConstraint>\"}]}"
}
nothing_written() { [ "$(s3_count store '.method == "PUT" or .method == "POST" or .method == "DELETE"')" -eq 0 ]; }

@test "a store that does not say where the bucket is leaves it to the address, and all works" {
    holdfast -q init
    holdfast -q backup
    restore_and_compare latest
    for answer in us-east-1 "" default; do
        location "$answer"
        holdfast -q backup
    done
    # The oldest buckets of eu-west-1 are in "EU".
    location EU
    run holdfast backup
    [ "$status" -eq 2 ]
    [[ $output == *"says that it is in eu-west-1, not in us-east-1, and residency is set"* ]]
    sed -i 's/"us-east-1"/"eu-west-1"/' "$WORK/holdfast.conf"
    holdfast -q backup
}

@test "a bucket that says it is in another region is refused with status 2 before anything is written" {
    holdfast -q init
    holdfast -q backup
    for command in init backup prune heal 'forget latest'; do
        location us-west-2
        : >"$WORK/store.log"
        run holdfast $command
        [ "$status" -eq 2 ]
        [[ $output == *"says that it is in us-west-2, not in us-east-1, and residency is set"* ]]
        [[ $output == *hint:* ]]
        nothing_written
    done
    # To read is allowed; and without the rule the answer does not matter.
    restore_and_compare latest
    sed -i 's/residency = [^;]*;//' "$WORK/holdfast.conf"
    holdfast -q backup
}

@test "a store that does not answer gets nothing, and a redirect to another region is not followed" {
    holdfast -q init
    s3_faults store '{"rules": [{"query": "location", "fault": "unavailable"}]}'
    : >"$WORK/store.log"
    run holdfast backup
    [ "$status" -eq 1 ]
    nothing_written
    s3_faults store '{"rules": [{"fault": "redirect", "region": "us-west-2"}]}'
    : >"$WORK/store.log"
    run holdfast backup
    [ "$status" -ne 0 ]
    [[ $output == *us-west-2* ]]
    nothing_written
    [ "$(s3_count store '.region == "us-west-2"')" -eq 0 ]
}
