# holdfast-databases(7): the commands of its example against Debian's PostgreSQL and MariaDB, and dumps that die half-way.
# shellcheck disable=SC2086 # $KEY is two words
load ../lib/common.bash

# Both servers in a folder of their own, on sockets only. They end by themselves in any case.
setup_file() {
    SERVERS=$(mktemp -d /var/tmp/holdfast-databases-XXXXXX)
    export SERVERS PGHOST="$SERVERS/postgres" HOME="$SERVERS"
    printf '[client]\nsocket = %s/mysql/socket\n' "$SERVERS" >"$HOME/.my.cnf"
    chmod 755 "$SERVERS"
    install -d -o postgres "$SERVERS/postgres"
    install -d -o mysql "$SERVERS/mysql"
    local data="$SERVERS/postgres/data" bin initdb
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
    as postgres "$bin/initdb" -N -A peer -D "$data" >"$SERVERS/initdb.log" 2>&1 3>&- &
    initdb=$!
    mariadb-install-db --no-defaults --user=mysql --datadir="$SERVERS/mysql/data" --skip-test-db >"$SERVERS/install.log" 2>&1
    start mysql mariadbd --no-defaults --datadir="$SERVERS/mysql/data" --socket="$SERVERS/mysql/socket" --skip-networking \
        --innodb-flush-method=nosync --innodb-flush-log-at-trx-commit=0
    wait "$initdb"
    printf 'local all backup scram-sha-256\nlocal all all peer\n' >"$data/pg_hba.conf"
    start postgres "$bin/postgres" -D "$data" -F -c listen_addresses= -c unix_socket_directories="$PGHOST"
    wait_for postgres_do 'SELECT 1'
    wait_for mariadb_do 'SELECT 1'
    make_data
}

teardown_file() {
    stop postgres INT
    stop mysql TERM
    rm -rf "$SERVERS"
}

as() { # USER COMMAND...
    setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"
}

# start USER COMMAND...: in the background, its process id in a file.
start() {
    setpriv --reuid "$1" --regid "$1" --init-groups timeout -k 10 300 "${@:2}" >"$SERVERS/$1.log" 2>&1 3>&- &
    echo $! >"$SERVERS/$1.pid"
}

stop() { # USER SIGNAL: one that does not wait for clients
    local pid
    pid=$(cat "$SERVERS/$1.pid")
    kill "-$2" "$pid" && tail --pid="$pid" -s 0.1 -f /dev/null
}

wait_for() {
    local i
    for i in $(seq 300); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    cat "$SERVERS"/*.log >&2
    return 1
}

postgres_do() { # SQL [DATABASE]
    as postgres psql -X -q -A -t -v ON_ERROR_STOP=1 -d "${2:-postgres}" -c "$1"
}
mariadb_do() { # SQL [DATABASE]
    mariadb --skip-column-names -e "$1" "${2:-mysql}"
}

# Two tables that are dumped one after the other, the second a large one; and what quoting can break.
make_data() {
    local text="E'\\u00df\\t\\\\ \\n''\"; DROP'" rows=150000
    postgres_do "CREATE ROLE backup LOGIN BYPASSRLS PASSWORD 'a secret of PostgreSQL' IN ROLE pg_read_all_data"
    postgres_do 'CREATE DATABASE app'
    postgres_do "CREATE TABLE first (id int PRIMARY KEY, name text, raw bytea, at timestamptz);
        INSERT INTO first VALUES (1, $text, '\\x00ff', '2024-02-29 12:00:00.000001Z'), (2, NULL, '', 'infinity');
        CREATE TABLE second AS SELECT i AS id, md5(i::text) AS a, md5((-i)::text) AS b FROM generate_series(1, $rows) AS i" app
    mariadb_do "CREATE DATABASE shop; USE shop;
        CREATE TABLE first (id int PRIMARY KEY, name varchar(100) CHARACTER SET utf8mb4, raw blob, at datetime(6));
        INSERT INTO first VALUES (1, '\\t\\\\ \\n''\"; DROP', x'00ff', '2024-02-29 12:00:00.000001'), (2, NULL, '', NULL);
        CREATE TABLE second (id int PRIMARY KEY, a char(32), b char(32))
            SELECT seq AS id, md5(seq) AS a, md5(-seq) AS b FROM seq_1_to_$rows;
        CREATE PROCEDURE count_first() SELECT count(*) FROM first;
        CREATE USER backup@localhost IDENTIFIED BY 'a secret of MariaDB';
        GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON shop.* TO backup@localhost;
        GRANT SELECT ON mysql.proc TO backup@localhost"
}

postgres_rows() { # DATABASE
    postgres_do 'SELECT * FROM first ORDER BY id; SELECT * FROM second ORDER BY id' "$1"
}
mariadb_rows() { # DATABASE
    mariadb_do 'SELECT id, name, hex(raw), at FROM first ORDER BY id; SELECT * FROM second ORDER BY id; CALL count_first()' "$1"
}
postgres_empty() { # DATABASE
    postgres_do "DROP DATABASE IF EXISTS $1"
    postgres_do "CREATE DATABASE $1"
}
mariadb_empty() { # DATABASE
    mariadb_do "CREATE OR REPLACE DATABASE $1"
}

# The example, with its files in this test's folder.
setup() {
    make_work
    # A key in a file is opened in no time, which a passphrase is not.
    unset HOLDFAST_PASSPHRASE_FILE
    KEY="--person-key $WORK/person.key"
    chmod 711 "$WORK"
    sed "s|/etc/holdfast|$WORK|; s|/srv/backup|$WORK/target|; s|name = \"databases\";|& state_dir = \"$WORK/state\";|" \
        "$BATS_TEST_DIRNAME/../../etc/examples/databases.conf" >"$WORK/holdfast.conf"
    umask 077
    echo '*:*:*:backup:a secret of PostgreSQL' >"$WORK/pgpass"
    printf '[client]\nuser = backup\npassword = "a secret of MariaDB"\n' >"$WORK/mariadb.cnf"
    umask 022
    holdfast check-config
    holdfast -q init $KEY
}
teardown() { drop_work; }

# fails_without_snapshot JOB TEXT: and standard error has the text.
fails_without_snapshot() {
    local status=0
    holdfast -q backup "$1" 2>"$WORK/err" || status=$?
    [ "$status" -eq 1 ]
    cat "$WORK/err"
    grep -q -- "$2" "$WORK/err"
    [ "$(holdfast --json snapshots | jq '.snapshots | length')" -eq 0 ]
}

@test "PostgreSQL: one database comes back, from a file and through a pipe; a broken pipe loads nothing" {
    local pack status=0
    postgres_rows app >"$WORK/rows"
    [ "$(wc -l <"$WORK/rows")" -eq 150003 ]
    holdfast -q backup app

    postgres_empty copy
    holdfast -q restore $KEY app:latest --to "$WORK/out"
    install -m 644 "$WORK/out/app.dump" "$WORK/app.dump"
    as postgres pg_restore --exit-on-error --jobs=2 -d copy "$WORK/app.dump"
    postgres_rows copy | cmp - "$WORK/rows"

    postgres_empty copy
    holdfast cat $KEY app:latest app.dump | as postgres pg_restore --single-transaction -d copy
    postgres_rows copy | cmp - "$WORK/rows"

    postgres_empty copy
    pack=$(find "$WORK/target" -path '*packs*' -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
    printf damage | dd of="$pack" bs=1 seek=$(($(stat -c %s "$pack") / 2)) conv=notrunc status=none
    holdfast cat $KEY app:latest app.dump 2>"$WORK/err" | as postgres pg_restore --single-transaction -d copy 2>"$WORK/said" || status=$?
    [ "$status" -ne 0 ]
    grep -q '^holdfast: ' "$WORK/err"
    grep -q 'end of file' "$WORK/said"
    [ "$(postgres_do "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'" copy)" -eq 0 ]
}

@test "PostgreSQL: all databases and roles come back as SQL" {
    postgres_rows app >"$WORK/rows"
    holdfast -q backup postgresql
    postgres_do 'DROP DATABASE IF EXISTS copy'
    postgres_do 'DROP DATABASE app'
    postgres_do 'DROP ROLE backup'
    holdfast cat $KEY postgresql:latest all.sql | as postgres psql -X -q -d postgres >"$WORK/said" 2>&1
    # The one thing that is there already.
    cat "$WORK/said"
    [ "$(grep -c ERROR "$WORK/said")" -eq 1 ]
    grep -q 'role "postgres" already exists' "$WORK/said"
    postgres_rows app | cmp - "$WORK/rows"
    # With its password.
    holdfast -q backup app
}

@test "MariaDB: one database comes back, from a file and through a pipe" {
    mariadb_rows shop >"$WORK/rows"
    [ "$(wc -l <"$WORK/rows")" -eq 150003 ]
    holdfast -q backup shop

    mariadb_empty copy
    holdfast -q restore $KEY shop:latest --to "$WORK/out"
    mariadb copy <"$WORK/out/shop.sql"
    mariadb_rows copy | cmp - "$WORK/rows"

    mariadb_empty copy
    holdfast cat $KEY shop:latest shop.sql | mariadb copy
    mariadb_rows copy | cmp - "$WORK/rows"
}

@test "MariaDB: all databases and accounts come back as SQL" {
    mariadb_rows shop >"$WORK/rows"
    holdfast -q backup mariadb
    mariadb_do 'DROP DATABASE shop; DROP USER backup@localhost'
    holdfast cat $KEY mariadb:latest all.sql | mariadb
    mariadb_rows shop | cmp - "$WORK/rows"
    # With its password.
    holdfast -q backup shop
}

# Look every few milliseconds for the dump that reads the second table, and end its connection.
end_postgres_dump() {
    postgres_do "DO \$\$ BEGIN LOOP
            PERFORM pg_stat_clear_snapshot();
            EXIT WHEN (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'COPY public.second%') > 0;
            PERFORM pg_sleep(0.002);
        END LOOP; END \$\$"
}
end_mariadb_dump() {
    mariadb --delimiter=// mysql -e "BEGIN NOT ATOMIC
        DECLARE dump BIGINT DEFAULT NULL;
        WHILE dump IS NULL DO
            DO sleep(0.002);
            SET dump = (SELECT max(id) FROM information_schema.processlist WHERE info LIKE '%FROM \`second\`');
        END WHILE;
        KILL dump;
    END"
}

@test "a dump whose server ends it in the midst of a table is no snapshot" {
    end_postgres_dump &
    fails_without_snapshot app 'COPY public.second'
    wait "$!"
    end_mariadb_dump &
    fails_without_snapshot shop 'dumping table .second'
    wait "$!"
}

@test "in a pipe, a dump that dies is no snapshot if the shell is told to look, and one if it is not" {
    local dump="pg_dump -w -d 'dbname=app user=backup passfile=$WORK/pgpass' | gzip"
    pipe() { # ARGUMENTS of the shell
        write_targets_config "{ name = \"disk\"; type = \"local\"; path = \"$WORK/pipe\"; }" \
            "source = { type = \"command\"; command = [ $1, \"-c\", \"$dump\" ]; };"
    }
    pipe '"bash", "-o", "pipefail"'
    rm "$WORK/person.key"
    holdfast -q init $KEY
    end_postgres_dump &
    fails_without_snapshot files 'COPY public.second'
    wait "$!"
    # Which is why the page warns.
    pipe '"sh"'
    end_postgres_dump &
    holdfast -q backup
    wait "$!"
    ! holdfast cat $KEY latest files | zcat | grep -q 'database dump complete' || false
}
