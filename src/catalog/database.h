/*
 * What the files of the catalog share: the open database, its prepared statements and its transaction. For
 * src/catalog only. Callers hold the lock (database_lock) around everything.
 */
#ifndef CATALOG_DATABASE_H
#define CATALOG_DATABASE_H

#include "catalog/catalog.h"

#include <pthread.h>
#include <sqlite3.h>

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    PACK_ADD,
    PACK_FIND,
    PACK_BY_NUMBER,
    PACK_OF_BLOB,
    PACK_SETTLE,
    PACK_REMOVE,
    ENTRY_ADD,
    ENTRY_GET,
    ENTRY_REMOVE,
    BLOB_ADD,
    BLOB_FIND,
    BLOB_REMOVE,
    SEGMENT_ADD,
    SEGMENT_FIND,
    SEGMENT_REMOVE,
    SEGMENT_PACK_ADD,
    SEGMENT_PACK_EACH,
    SEGMENT_PACK_REMOVE_SEGMENT,
    SEGMENT_PACK_REMOVE_PACK,
    PACK_IS_LISTED,
    RECORD_PUT,
    RECORD_GET,
    RECORD_REMOVE,
    DIRECTORY_GET,
    DIRECTORY_PUT,
    DIRECTORY_CLEAR,
    VALUE_GET,
    VALUE_PUT,
    VALUE_REMOVE,
    STATEMENT_COUNT
};

struct catalog {
    char *path;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    pthread_mutex_t lock; /* recursive: callbacks of listings may read */
    bool in_transaction;
    bool damaged; /* set aside when it is closed */
    uint64_t rows_waiting;
    int64_t waiting_since;             /* monotonic seconds */
    uint64_t pack_limit, blob_limit;   /* highest numbers given */
    uint64_t saved_packs, saved_blobs; /* the same, as the database has them */
};

void database_lock(struct catalog *catalog);
/* Returns code, for the last line of a function. */
int database_unlock(struct catalog *catalog, int code);

/* The error of a result code of SQLite. Notes damage. */
int database_error(struct catalog *catalog, int result, struct error *err);

/* A prepared statement, reset. */
sqlite3_stmt *database_statement(struct catalog *catalog, enum statement which);
/* Prepares a statement of the caller's own, for listings whose callbacks may list themselves. */
int database_prepare(struct catalog *catalog, const char *sql, sqlite3_stmt **statement, struct error *err);
/* Steps: 0 for a row, NOT_FOUND (without a message) where there is none; then the statement is reset. */
int database_row(struct catalog *catalog, sqlite3_stmt *statement, struct error *err);

/* Opens the transaction if there is none. */
int database_begin(struct catalog *catalog, struct error *err);
/* Runs a statement that changes something, inside the transaction. If it fails, what was not committed is
 * gone, so that nothing half-done remains. */
int database_change(struct catalog *catalog, sqlite3_stmt *statement, struct error *err);
/* After a change as a whole: commits if much or old work waits. */
int database_changed(struct catalog *catalog, uint64_t rows, struct error *err);
int database_commit(struct catalog *catalog, struct error *err);
/* Removes a pack with its blobs, within the caller's transaction, so that a change of several packs is
 * committed whole or not at all. One that is not there is a success. */
int packs_remove(struct catalog *catalog, uint64_t number, struct error *err);

/* The bytes must stay until the statement was run. */
void database_bind_bytes(sqlite3_stmt *statement, int parameter, const void *data, size_t size);
void database_bind_id(sqlite3_stmt *statement, int parameter, const struct id *id);
struct bytes database_column(sqlite3_stmt *statement, int column);
/* False if the column has not exactly size bytes. */
bool database_copy_column(sqlite3_stmt *statement, int column, void *to, size_t size);
/* The first 64 bits of an id. */
int64_t database_prefix(const struct id *id);

#endif
