#include "catalog/database.h"

/* Segments and records: each row of a statement whose columns are SHA-256 and body. Finalises it. */
static int each_body(struct catalog *catalog, sqlite3_stmt *statement,
                     int (*callback)(const struct id *sha256, struct bytes body, void *context),
                     void *context, struct error *err)
{
    int code;
    bool stopped = false;
    while ((code = database_row(catalog, statement, err)) == 0) {
        struct id sha256;
        if (!database_copy_column(statement, 0, sha256.b, sizeof sha256.b)) {
            code = database_error(catalog, SQLITE_CORRUPT, err);
            break;
        }
        code = callback(&sha256, database_column(statement, 1), context);
        stopped = code != 0;
        if (stopped)
            break;
    }
    sqlite3_finalize(statement);
    return code == ERROR_NOT_FOUND && !stopped ? 0 : code;
}

int catalog_each_segment(struct catalog *catalog,
                         int (*callback)(const struct id *sha256, struct bytes body, void *context),
                         void *context, struct error *err)
{
    sqlite3_stmt *statement;
    database_lock(catalog);
    int code = database_prepare(catalog, "SELECT sha256, body FROM segment ORDER BY number", &statement, err);
    if (code == 0)
        code = each_body(catalog, statement, callback, context, err);
    return database_unlock(catalog, code);
}

int catalog_each_record(struct catalog *catalog, uint8_t type,
                        int (*callback)(const struct id *sha256, struct bytes body, void *context),
                        void *context, struct error *err)
{
    sqlite3_stmt *statement;
    database_lock(catalog);
    int code = database_prepare(catalog, "SELECT sha256, body FROM record WHERE type = ? ORDER BY number",
                                &statement, err);
    if (code == 0) {
        sqlite3_bind_int(statement, 1, type);
        code = each_body(catalog, statement, callback, context, err);
    }
    return database_unlock(catalog, code);
}

/* Runs a bound statement that changes one row, begun before. */
static int change_one(struct catalog *catalog, sqlite3_stmt *statement, struct error *err)
{
    int code = database_begin(catalog, err);
    if (code == 0)
        code = database_change(catalog, statement, err);
    if (code == 0)
        code = database_changed(catalog, 1, err);
    return database_unlock(catalog, code);
}

int catalog_put_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct bytes body,
                       struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, RECORD_PUT);
    sqlite3_bind_int(statement, 1, type);
    database_bind_id(statement, 2, sha256);
    database_bind_bytes(statement, 3, body.data, body.size);
    return change_one(catalog, statement, err);
}

int catalog_get_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct buffer *out,
                       struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, RECORD_GET);
    sqlite3_bind_int(statement, 1, type);
    database_bind_id(statement, 2, sha256);
    int code = database_row(catalog, statement, err);
    if (code == 0)
        buffer_append_bytes(out, database_column(statement, 0));
    sqlite3_reset(statement);
    if (code == ERROR_NOT_FOUND) {
        char hex[ID_HEX_SIZE];
        id_to_hex(sha256, hex);
        error_set(err, code, "the catalog has no record %s", hex);
    }
    return database_unlock(catalog, code);
}

int catalog_remove_record(struct catalog *catalog, uint8_t type, const struct id *sha256, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, RECORD_REMOVE);
    sqlite3_bind_int(statement, 1, type);
    database_bind_id(statement, 2, sha256);
    return change_one(catalog, statement, err);
}

int catalog_get_directory(struct catalog *catalog, const struct id *key, struct buffer *out,
                          struct error *err)
{
    struct id stored;
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, DIRECTORY_GET);
    sqlite3_bind_int64(statement, 1, database_prefix(key));
    int code = database_row(catalog, statement, err);
    /* Two keys with the same first 64 bits share a row: the last one written has it. */
    if (code == 0 && database_copy_column(statement, 0, stored.b, sizeof stored.b) && id_equal(&stored, key))
        buffer_append_bytes(out, database_column(statement, 1));
    else if (code == 0)
        code = ERROR_NOT_FOUND;
    sqlite3_reset(statement);
    if (code == ERROR_NOT_FOUND)
        error_set(err, code, "the catalog has no such directory");
    return database_unlock(catalog, code);
}

int catalog_put_directory(struct catalog *catalog, const char *job, const struct id *key, struct bytes row,
                          struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, DIRECTORY_PUT);
    sqlite3_bind_int64(statement, 1, database_prefix(key));
    database_bind_id(statement, 2, key);
    sqlite3_bind_text(statement, 3, job, -1, SQLITE_STATIC);
    database_bind_bytes(statement, 4, row.data, row.size);
    return change_one(catalog, statement, err);
}

int catalog_clear_directories(struct catalog *catalog, const char *job, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, DIRECTORY_CLEAR);
    sqlite3_bind_text(statement, 1, job, -1, SQLITE_STATIC);
    return change_one(catalog, statement, err);
}

int catalog_get_value(struct catalog *catalog, const char *key, struct buffer *out, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, VALUE_GET);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    int code = database_row(catalog, statement, err);
    if (code == 0)
        buffer_append_bytes(out, database_column(statement, 0));
    sqlite3_reset(statement);
    if (code == ERROR_NOT_FOUND)
        error_set(err, code, "the catalog has no value %s", key);
    return database_unlock(catalog, code);
}

int catalog_put_value(struct catalog *catalog, const char *key, struct bytes value, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, VALUE_PUT);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    database_bind_bytes(statement, 2, value.data, value.size);
    return change_one(catalog, statement, err);
}

int catalog_remove_value(struct catalog *catalog, const char *key, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, VALUE_REMOVE);
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    return change_one(catalog, statement, err);
}

int64_t catalog_get_number(struct catalog *catalog, const char *key)
{
    struct buffer value = {0};
    int64_t number = 0;
    if (catalog_get_value(catalog, key, &value, NULL) == 0 && value.size == sizeof(uint64_t))
        number = (int64_t)bytes_load_u64(value.data);
    buffer_free(&value);
    return number;
}

int catalog_put_number(struct catalog *catalog, const char *key, int64_t number, struct error *err)
{
    uint8_t value[sizeof(uint64_t)];
    bytes_store_u64(value, (uint64_t)number);
    return catalog_put_value(catalog, key, bytes_of(value, sizeof value), err);
}
