#include "catalog/database.h"

#include <string.h>
#include <time.h>

/* When waiting changes are committed without being asked. */
#define COMMIT_ROWS 50000
#define COMMIT_SECONDS 5

void database_lock(struct catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
}

int database_unlock(struct catalog *catalog, int code)
{
    pthread_mutex_unlock(&catalog->lock);
    return code;
}

int database_error(struct catalog *catalog, int result, struct error *err)
{
    const char *why = sqlite3_errstr(result);
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        catalog->damaged = true;
        error_set(err, ERROR_FAILED, "the catalog %s is damaged: %s", catalog->path, why);
        error_hint(err, "run the command again: the catalog is set aside and made anew from the targets "
                        "(or delete that file)");
        return ERROR_FAILED;
    case SQLITE_FULL:
        error_set(err, ERROR_NO_SPACE, "cannot write the catalog %s: the disk is full", catalog->path);
        error_hint(err, "free some space there and run the command again; nothing committed is lost");
        return ERROR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_BUSY, "the catalog %s is in use by another process", catalog->path);
    default:
        break;
    }
    int errnum = catalog->db ? sqlite3_system_errno(catalog->db) : 0;
    if (errnum != 0 && (result & 0xff) != SQLITE_ERROR)
        return error_set_errno(err, errnum, "cannot use the catalog %s: %s", catalog->path, why);
    return error_set(err, ERROR_FAILED, "cannot use the catalog %s: %s", catalog->path, why);
}

sqlite3_stmt *database_statement(struct catalog *catalog, enum statement which)
{
    sqlite3_reset(catalog->statements[which]);
    return catalog->statements[which];
}

int database_prepare(struct catalog *catalog, const char *sql, sqlite3_stmt **statement, struct error *err)
{
    int result = sqlite3_prepare_v2(catalog->db, sql, -1, statement, NULL);
    return result == SQLITE_OK ? 0 : database_error(catalog, result, err);
}

int database_row(struct catalog *catalog, sqlite3_stmt *statement, struct error *err)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return 0;
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? ERROR_NOT_FOUND : database_error(catalog, result, err);
}

static int64_t monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

/* What the transaction did is undone; a catalog that is behind is only slower. */
static int roll_back(struct catalog *catalog, int result, struct error *err)
{
    int code = database_error(catalog, result, err);
    if (!sqlite3_get_autocommit(catalog->db)) {
        sqlite3_stmt *statement = database_statement(catalog, STATEMENT_ROLLBACK);
        sqlite3_step(statement);
        sqlite3_reset(statement);
    }
    catalog->in_transaction = false;
    catalog->rows_waiting = 0;
    return code;
}

static int step_once(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result;
}

int database_begin(struct catalog *catalog, struct error *err)
{
    if (catalog->in_transaction)
        return 0;
    int result = step_once(database_statement(catalog, STATEMENT_BEGIN));
    if (result != SQLITE_DONE)
        return database_error(catalog, result, err);
    catalog->in_transaction = true;
    catalog->waiting_since = monotonic_seconds();
    return 0;
}

int database_change(struct catalog *catalog, sqlite3_stmt *statement, struct error *err)
{
    int result = step_once(statement);
    return result == SQLITE_DONE ? 0 : roll_back(catalog, result, err);
}

int database_changed(struct catalog *catalog, uint64_t rows, struct error *err)
{
    catalog->rows_waiting += rows;
    if (catalog->rows_waiting < COMMIT_ROWS && monotonic_seconds() - catalog->waiting_since < COMMIT_SECONDS)
        return 0;
    return database_commit(catalog, err);
}

/* Numbers that were given are never given again, even if their packs are gone. */
static int save_limits(struct catalog *catalog, struct error *err)
{
    if (catalog->saved_packs == catalog->pack_limit && catalog->saved_blobs == catalog->blob_limit)
        return 0;
    sqlite3_stmt *statement;
    int code = database_prepare(catalog, "UPDATE identity SET packs = ?, blobs = ?", &statement, err);
    if (code != 0)
        return code;
    sqlite3_bind_int64(statement, 1, (int64_t)catalog->pack_limit);
    sqlite3_bind_int64(statement, 2, (int64_t)catalog->blob_limit);
    code = database_change(catalog, statement, err);
    sqlite3_finalize(statement);
    return code;
}

int database_commit(struct catalog *catalog, struct error *err)
{
    if (!catalog->in_transaction)
        return 0;
    int code = save_limits(catalog, err);
    if (code != 0)
        return code;
    int result = step_once(database_statement(catalog, STATEMENT_COMMIT));
    if (result != SQLITE_DONE)
        return roll_back(catalog, result, err);
    catalog->saved_packs = catalog->pack_limit;
    catalog->saved_blobs = catalog->blob_limit;
    catalog->in_transaction = false;
    catalog->rows_waiting = 0;
    return 0;
}

void database_bind_bytes(sqlite3_stmt *statement, int parameter, const void *data, size_t size)
{
    /* NULL would become an SQL NULL. */
    sqlite3_bind_blob64(statement, parameter, size ? data : "", size, SQLITE_STATIC);
}

void database_bind_id(sqlite3_stmt *statement, int parameter, const struct id *id)
{
    database_bind_bytes(statement, parameter, id->b, sizeof id->b);
}

struct bytes database_column(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return bytes_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

bool database_copy_column(sqlite3_stmt *statement, int column, void *to, size_t size)
{
    struct bytes bytes = database_column(statement, column);
    if (bytes.size != size)
        return false;
    memcpy(to, bytes.data, size);
    return true;
}

int64_t database_prefix(const struct id *id)
{
    return (int64_t)bytes_load_u64(id->b);
}
