# Helpers of the scenarios. HOLDFAST_BIN names the program.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/store.bash"

holdfast() {
    command "$HOLDFAST_BIN" -c "$WORK/holdfast.conf" "$@"
}

# make_work [passphrase]: a folder for one test on a real file system: /tmp may be one without attributes. Who opens a
# repository in it does so with a key in a file, see with_key.sh, or else with the passphrase.
make_work() {
    WORK=$(mktemp -d /var/tmp/holdfast-scenario-XXXXXX)
    export WORK
    if [ "${1:-}" != passphrase ]; then
        export PERSON_KEY=$WORK/person.key HOLDFAST_PROGRAM=$HOLDFAST_BIN
        HOLDFAST_BIN=$BATS_TEST_DIRNAME/../lib/with_key.sh
    fi
    printf 'seven words that nobody would ever guess today\n' >"$WORK/passphrase"
    chmod 600 "$WORK/passphrase"
    export HOLDFAST_PASSPHRASE_FILE="$WORK/passphrase"
    mkdir "$WORK/source"
    STORE_BUCKET=() STORE_URL=() STORE_PID=()
    ! store_is_s3 || s3_start
}

drop_work() {
    [ -n "${WORK:-}" ] || return 0
    ! store_is_s3 || s3_stop
    mountpoint -q "$WORK/mounted" 2>/dev/null && umount "$WORK/mounted"
    mountpoint -q "$WORK/source/mounted" 2>/dev/null && umount "$WORK/source/mounted"
    rm -rf "$WORK" 2>/dev/null && return 0
    chattr -R -i -a "$WORK" 2>/dev/null || true
    rm -rf "$WORK"
}

# write_config [TARGETS] [JOB SETTINGS] [REPOSITORY SETTINGS]: so many targets, see store_targets, write_targets_config.
write_config() {
    store_targets "${1:-1}"
    write_targets_config "$STORE_TARGETS" "${2:-}" "$STORE_SETTINGS ${3:-}"
}

# write_targets_config LIST [JOB SETTINGS] [REPOSITORY SETTINGS]: the targets in libconfig's words; one job "files" over
# $WORK/source unless settings say otherwise.
write_targets_config() {
    local source=${2:-} more=${3:-}
    [ -n "$source" ] || source="source = { type = \"files\"; paths = [ \"$WORK/source\" ]; };"
    cat >"$WORK/holdfast.conf" <<C
repository = { name = "test"; key_file = "$WORK/host.key"; state_dir = "$WORK/state"; $more };
targets = ( $1 );
jobs = ( { name = "files"; $source } );
C
}

make_repo() {
    write_config "$@"
    holdfast -q init
}

# A backup of a source that got much smaller on purpose: done, with a warning.
backup_of_less() {
    run holdfast -q backup "$@"
    [ "$status" -eq 3 ]
    [[ $output == *"has collapsed"* ]]
}

# restore_and_compare SNAPSHOT [EXPECTED]: into a new folder, compared with the source.
restore_and_compare() {
    local out
    out=$(mktemp -d "$WORK/out-XXXXXX")
    holdfast -q restore "$1" --to "$out"
    python3 "$BATS_TEST_DIRNAME/../lib/compare_trees.py" "${2:-$WORK/source}" "$out$WORK/source"
}

# A tree with a little of everything.
make_small_tree() {
    mkdir -p "$WORK/source/a/b" "$WORK/source/empty"
    echo hello >"$WORK/source/a/hello"
    : >"$WORK/source/a/nothing"
    seq 20000 >"$WORK/source/a/b/numbers"
    head -c 3000000 /dev/urandom >"$WORK/source/random"
    ln -s a/hello "$WORK/source/link"
    ln "$WORK/source/a/hello" "$WORK/source/hard"
}
