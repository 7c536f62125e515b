# What scenarios do to a target behind the program's back, whatever kind it is: HOLDFAST_STORE is "local" (the default),
# a folder $WORK/repoN, or "s3", a bucket of the real gateway behind a proxy of its own.
# shellcheck shell=bash

STORE=${HOLDFAST_STORE:-local}
STORE_SETTINGS='retry_budget = "2s";' # one that is away is given up soon

store_is_s3() { [ "$STORE" = s3 ]; }

if store_is_s3; then
    # shellcheck source=s3.bash
    source "$(dirname "${BASH_SOURCE[0]}")/s3.bash"
fi

# store_targets N: makes the targets disk1 to diskN where there is something to be made; STORE_TARGETS are their settings.
store_targets() {
    local i one
    STORE_TARGETS=
    for i in $(seq "$1"); do
        if store_is_s3; then
            [ -n "${STORE_BUCKET[$i]:-}" ] || store_bucket "$i"
            one=$(s3_target "disk$i" "${STORE_BUCKET[$i]}" "${STORE_URL[$i]}")
        else
            one="{ name = \"disk$i\"; type = \"local\"; path = \"$WORK/repo$i\"; }"
        fi
        STORE_TARGETS="$STORE_TARGETS${STORE_TARGETS:+, }$one"
    done
}

store_bucket() {
    s3_bucket "disk$1"
    STORE_BUCKET[$1]=$BUCKET
    s3_proxy "disk$1"
    STORE_URL[$1]=$PROXY STORE_PID[$1]=$PROXY_PID
}

# The address that --target takes.
store_url() {
    if store_is_s3; then
        echo "s3+${STORE_URL[$1]}/${STORE_BUCKET[$1]}/?region=us-east-1"
    else
        echo "$WORK/repo$1"
    fi
}

# store_away N, store_back N: nobody reaches it meanwhile.
store_away() {
    if store_is_s3; then
        kill "${STORE_PID[$1]}"
        wait "${STORE_PID[$1]}" 2>/dev/null || true
    else
        mv "$WORK/repo$1" "$WORK/away$1"
    fi
}

store_back() {
    if store_is_s3; then
        s3_proxy "disk$1" "" http "${STORE_URL[$1]##*:}"
        STORE_PID[$1]=$PROXY_PID
    else
        mv "$WORK/away$1" "$WORK/repo$1"
    fi
}

# Its objects, as lines "SIZE NAME".
store_list() {
    if store_is_s3; then
        s3_list list "${STORE_BUCKET[$1]}"
    else
        (cd "$WORK/repo$1" && find . -type f -printf '%s %P\n')
    fi | sort
}

# store_bytes N FOLDER: what the objects in it take.
store_bytes() {
    store_list "$1" | awk -v folder="$2/" 'index($2, folder) == 1 { sum += $1 } END { print sum + 0 }'
}

# store_get N NAME, store_put N NAME FILE, store_remove N NAME
store_get() {
    if store_is_s3; then s3_request GET "/${STORE_BUCKET[$1]}/$2"; else cat "$WORK/repo$1/$2"; fi
}

store_put() {
    if store_is_s3; then s3_request -f "$3" PUT "/${STORE_BUCKET[$1]}/$2"; else cat "$3" >"$WORK/repo$1/$2"; fi
}

store_remove() {
    if store_is_s3; then s3_request DELETE "/${STORE_BUCKET[$1]}/$2"; else rm "$WORK/repo$1/$2"; fi
}

# store_damage N NAME: four bytes in its midst change, its size does not.
store_damage() {
    store_get "$1" "$2" >"$WORK/damaged"
    printf XXXX | dd of="$WORK/damaged" bs=1 seek=$(($(stat -c %s "$WORK/damaged") / 2)) conv=notrunc 2>/dev/null
    store_put "$1" "$2" "$WORK/damaged"
    rm "$WORK/damaged"
}

# Everything in it goes.
store_wipe() {
    if store_is_s3; then
        s3_aws s3 rm --quiet --recursive "s3://${STORE_BUCKET[$1]}"
    else
        rm -rf "$WORK/repo$1"
    fi
}
