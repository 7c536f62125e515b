#include "catalog/catalog.h"

#include "base/log.h"
#include "base/memory.h"
#include "catalog/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define APPLICATION_ID 0x48464354 /* HFCT */
#define SCHEMA_VERSION 1
#define LENGTH_MAX (256 << 20) /* bytes of one row */
#define STRING_OF(x) #x
#define NUMBER_TEXT(x) STRING_OF(x)

/* The caller's lock keeps other processes out: exclusive mode spares the locks of each read. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = NORMAL;"
                               "PRAGMA cache_size = -8192;"
                               "PRAGMA mmap_size = 0;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;";

/* `prefixes` repeats the first 64 bits of the blobs' ids: it finds the blob rows again when a pack goes. */
static const char schema[] =
    "BEGIN;"
    "CREATE TABLE identity (repository BLOB NOT NULL, packs INTEGER NOT NULL, blobs INTEGER NOT NULL);"
    "CREATE TABLE pack (number INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " size INTEGER NOT NULL, author BLOB NOT NULL, first_blob INTEGER NOT NULL, blob_count INTEGER NOT NULL,"
    " pending INTEGER NOT NULL);"
    "CREATE INDEX pack_first_blob ON pack (first_blob) WHERE blob_count > 0;"
    "CREATE TABLE entry (pack INTEGER PRIMARY KEY, prefixes BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE TABLE blob (prefix INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (prefix, number))"
    " WITHOUT ROWID;"
    "CREATE TABLE segment (number INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, body BLOB NOT NULL);"
    "CREATE TABLE segment_pack (segment INTEGER NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (segment, pack))"
    " WITHOUT ROWID;"
    "CREATE INDEX segment_pack_pack ON segment_pack (pack);"
    "CREATE TABLE record (number INTEGER PRIMARY KEY, type INTEGER NOT NULL, sha256 BLOB NOT NULL,"
    " body BLOB NOT NULL, UNIQUE (type, sha256));"
    "CREATE TABLE directory (hash INTEGER PRIMARY KEY, key BLOB NOT NULL, job TEXT NOT NULL,"
    " row BLOB NOT NULL);"
    "CREATE TABLE value (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = " NUMBER_TEXT(APPLICATION_ID) ";"
                                                           "PRAGMA user_version = " NUMBER_TEXT(
                                                               SCHEMA_VERSION) ";"
                                                                               "COMMIT;";

static int prepare_all(struct catalog *catalog)
{
    static const char *const texts[STATEMENT_COUNT] = {
#define PACK_COLUMNS "number, sha256, kind, size, author, first_blob, blob_count, pending"
        [STATEMENT_BEGIN] = "BEGIN",
        [STATEMENT_COMMIT] = "COMMIT",
        [STATEMENT_ROLLBACK] = "ROLLBACK",
        [PACK_ADD] = "INSERT INTO pack (" PACK_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [PACK_FIND] = "SELECT " PACK_COLUMNS " FROM pack WHERE sha256 = ?",
        [PACK_BY_NUMBER] = "SELECT " PACK_COLUMNS " FROM pack WHERE number = ?",
        [PACK_OF_BLOB] = "SELECT " PACK_COLUMNS " FROM pack WHERE first_blob <= ? AND blob_count > 0"
                         " ORDER BY first_blob DESC LIMIT 1",
        [PACK_SETTLE] = "UPDATE pack SET pending = 0 WHERE number = ? AND pending",
        [PACK_REMOVE] = "DELETE FROM pack WHERE number = ?",
        [ENTRY_ADD] = "INSERT INTO entry (pack, prefixes, body) VALUES (?, ?, ?)",
        [ENTRY_GET] = "SELECT body, prefixes FROM entry WHERE pack = ?",
        [ENTRY_REMOVE] = "DELETE FROM entry WHERE pack = ?",
        [BLOB_ADD] = "INSERT INTO blob (prefix, number) VALUES (?, ?)",
        [BLOB_FIND] = "SELECT number FROM blob WHERE prefix = ? ORDER BY number LIMIT ?",
        [BLOB_REMOVE] = "DELETE FROM blob WHERE prefix = ? AND number = ?",
        [SEGMENT_ADD] = "INSERT INTO segment (sha256, body) VALUES (?, ?)",
        [SEGMENT_FIND] = "SELECT number FROM segment WHERE sha256 = ?",
        [SEGMENT_REMOVE] = "DELETE FROM segment WHERE number = ?",
        [SEGMENT_PACK_ADD] = "INSERT OR IGNORE INTO segment_pack (segment, pack)"
                             " SELECT ?1, number FROM pack WHERE number = ?2",
        [SEGMENT_PACK_EACH] = "SELECT pack FROM segment_pack WHERE segment = ? ORDER BY pack",
        [SEGMENT_PACK_REMOVE_SEGMENT] = "DELETE FROM segment_pack WHERE segment = ?",
        [SEGMENT_PACK_REMOVE_PACK] = "DELETE FROM segment_pack WHERE pack = ?",
        [PACK_IS_LISTED] = "SELECT 1 FROM pack WHERE number = ?1 AND (pending OR EXISTS"
                           " (SELECT 1 FROM segment_pack WHERE pack = ?1))",
        [RECORD_PUT] = "INSERT INTO record (type, sha256, body) VALUES (?1, ?2, ?3)"
                       " ON CONFLICT (type, sha256) DO UPDATE SET body = ?3",
        [RECORD_GET] = "SELECT body FROM record WHERE type = ? AND sha256 = ?",
        [RECORD_REMOVE] = "DELETE FROM record WHERE type = ? AND sha256 = ?",
        [DIRECTORY_GET] = "SELECT key, row FROM directory WHERE hash = ?",
        [DIRECTORY_PUT] = "INSERT OR REPLACE INTO directory (hash, key, job, row) VALUES (?, ?, ?, ?)",
        [DIRECTORY_CLEAR] = "DELETE FROM directory WHERE job = ?",
        [VALUE_GET] = "SELECT value FROM value WHERE key = ?",
        [VALUE_PUT] = "INSERT OR REPLACE INTO value (key, value) VALUES (?, ?)",
        [VALUE_REMOVE] = "DELETE FROM value WHERE key = ?",
    };
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int result = sqlite3_prepare_v3(catalog->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &catalog->statements[i], NULL);
        if (result != SQLITE_OK)
            return result;
    }
    return SQLITE_OK;
}

static int read_number(struct catalog *catalog, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(catalog->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    int end = sqlite3_finalize(statement);
    return result == SQLITE_OK ? end : result;
}

static int create(struct catalog *catalog, const struct id16 *repository)
{
    int result = sqlite3_exec(catalog->db, schema, NULL, NULL, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_stmt *statement = NULL;
    result = sqlite3_prepare_v2(catalog->db, "INSERT INTO identity VALUES (?, 0, 0)", -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    database_bind_bytes(statement, 1, repository->b, sizeof repository->b);
    sqlite3_step(statement);
    return sqlite3_finalize(statement);
}

/* SQLITE_NOTADB where it is for another repository. */
static int read_identity(struct catalog *catalog, const struct id16 *repository)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(catalog->db, "SELECT repository, packs, blobs FROM identity", -1,
                                    &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    struct id16 id;
    bool suits = sqlite3_step(statement) == SQLITE_ROW &&
                 database_copy_column(statement, 0, id.b, sizeof id.b) && id16_equal(&id, repository);
    if (suits) {
        catalog->pack_limit = catalog->saved_packs = (uint64_t)sqlite3_column_int64(statement, 1);
        catalog->blob_limit = catalog->saved_blobs = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    result = sqlite3_finalize(statement);
    return result == SQLITE_OK && !suits ? SQLITE_NOTADB : result;
}

static int open_database(struct catalog *catalog, const struct id16 *repository, bool *fresh)
{
    int64_t tables = 0, application = 0, version = 0;
    int result =
        sqlite3_open_v2(catalog->path, &catalog->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK)
        return result;
    sqlite3_busy_timeout(catalog->db, 2000);
    sqlite3_limit(catalog->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    if ((result = sqlite3_exec(catalog->db, settings, NULL, NULL, NULL)) != SQLITE_OK ||
        (result = read_number(catalog, "SELECT count(*) FROM sqlite_schema", &tables)) != SQLITE_OK ||
        (result = read_number(catalog, "PRAGMA application_id", &application)) != SQLITE_OK ||
        (result = read_number(catalog, "PRAGMA user_version", &version)) != SQLITE_OK)
        return result;
    if (tables == 0 && application == 0) {
        *fresh = true;
        result = create(catalog, repository);
    } else if (application != APPLICATION_ID || version != SCHEMA_VERSION) {
        return SQLITE_NOTADB;
    }
    if (result == SQLITE_OK)
        result = read_identity(catalog, repository);
    if (result == SQLITE_OK)
        result = prepare_all(catalog);
    /* Tables that are not as this schema has them: not our work. */
    return result == SQLITE_ERROR ? SQLITE_NOTADB : result;
}

static void close_database(struct catalog *catalog)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(catalog->statements[i]);
        catalog->statements[i] = NULL;
    }
    sqlite3_close(catalog->db);
    catalog->db = NULL;
}

static int set_aside(struct catalog *catalog, struct error *err)
{
    int code = 0;
    char *aside = memory_format("%s.bad", catalog->path);
    char *wal = memory_format("%s-wal", catalog->path);
    log_warning("the catalog %s is damaged, or of another version or repository: it is made anew",
                catalog->path);
    if (unlink(wal) != 0 && errno != ENOENT)
        code = error_set_errno(err, errno, "cannot remove %s", wal);
    else if (rename(catalog->path, aside) != 0)
        code = error_set_errno(err, errno, "cannot rename %s", catalog->path);
    free(wal);
    free(aside);
    return code;
}

/* SQLite would make it readable by everyone, and it holds names. */
static int make_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open the catalog %s", path);
    close(fd);
    return 0;
}

int catalog_open(const char *path, const struct id16 *repository, struct catalog **out, bool *fresh,
                 struct error *err)
{
    struct catalog *catalog = memory_new(struct catalog);
    catalog->path = memory_copy_string(path);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&catalog->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);

    int code = make_file(path, err);
    bool made = false;
    for (int tries = 0; code == 0; tries++) {
        int result = open_database(catalog, repository, &made);
        if (result == SQLITE_OK)
            break;
        code = database_error(catalog, result, err);
        bool unsuitable = catalog->damaged;
        catalog->damaged = false;
        close_database(catalog);
        if (!unsuitable || tries > 0)
            break;
        code = set_aside(catalog, err);
        if (code == 0)
            code = make_file(path, err);
    }
    if (code != 0) {
        catalog_close(catalog);
        return code;
    }
    if (fresh)
        *fresh = made;
    *out = catalog;
    return 0;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog)
        return;
    if (catalog->db && !catalog->damaged)
        database_commit(catalog, NULL);
    bool damaged = catalog->damaged;
    close_database(catalog);
    if (damaged)
        set_aside(catalog, NULL);
    pthread_mutex_destroy(&catalog->lock);
    free(catalog->path);
    free(catalog);
}

int catalog_commit(struct catalog *catalog, struct error *err)
{
    database_lock(catalog);
    return database_unlock(catalog, database_commit(catalog, err));
}
