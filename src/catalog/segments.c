#include "base/memory.h"
#include "catalog/database.h"

#include <stdlib.h>

/* NOT_FOUND comes without a message. */
static int find_segment(struct catalog *catalog, const struct id *sha256, int64_t *number, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, SEGMENT_FIND);
    database_bind_id(statement, 1, sha256);
    int code = database_row(catalog, statement, err);
    if (code == 0)
        *number = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return code;
}

static int insert_segment(struct catalog *catalog, const struct id *sha256, struct bytes body,
                          const uint64_t *packs, size_t pack_count, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, SEGMENT_ADD);
    database_bind_id(statement, 1, sha256);
    database_bind_bytes(statement, 2, body.data, body.size);
    int code = database_change(catalog, statement, err);
    int64_t number = sqlite3_last_insert_rowid(catalog->db);
    for (size_t i = 0; code == 0 && i < pack_count; i++) {
        statement = database_statement(catalog, SEGMENT_PACK_ADD);
        sqlite3_bind_int64(statement, 1, number);
        sqlite3_bind_int64(statement, 2, (int64_t)packs[i]);
        code = database_change(catalog, statement, err);
    }
    return code;
}

int catalog_add_segment(struct catalog *catalog, const struct id *sha256, struct bytes body,
                        const uint64_t *packs, size_t pack_count, struct error *err)
{
    int64_t number;
    database_lock(catalog);
    int code = database_begin(catalog, err);
    if (code == 0)
        code = find_segment(catalog, sha256, &number, err);
    if (code == ERROR_NOT_FOUND) {
        code = insert_segment(catalog, sha256, body, packs, pack_count, err);
        if (code == 0)
            code = database_changed(catalog, pack_count + 1, err);
    }
    return database_unlock(catalog, code);
}

/* The packs of a segment. NOT_FOUND comes without a message. */
static int read_packs(struct catalog *catalog, const struct id *sha256, int64_t *number, uint64_t **packs,
                      size_t *count, struct error *err)
{
    size_t capacity = 0;
    *packs = NULL;
    *count = 0;
    int code = find_segment(catalog, sha256, number, err);
    if (code != 0)
        return code;
    sqlite3_stmt *statement = database_statement(catalog, SEGMENT_PACK_EACH);
    sqlite3_bind_int64(statement, 1, *number);
    while ((code = database_row(catalog, statement, err)) == 0) {
        memory_reserve_one(*packs, *count, capacity);
        (*packs)[(*count)++] = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    return code == ERROR_NOT_FOUND ? 0 : code;
}

static int remove_if_unlisted(struct catalog *catalog, uint64_t pack, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, PACK_IS_LISTED);
    sqlite3_bind_int64(statement, 1, (int64_t)pack);
    int code = database_row(catalog, statement, err);
    sqlite3_reset(statement);
    return code == ERROR_NOT_FOUND ? packs_remove(catalog, pack, err) : code;
}

static int remove_rows(struct catalog *catalog, enum statement which, int64_t segment, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, which);
    sqlite3_bind_int64(statement, 1, segment);
    return database_change(catalog, statement, err);
}

int catalog_remove_segment(struct catalog *catalog, const struct id *sha256, struct error *err)
{
    int64_t number;
    uint64_t *packs = NULL;
    size_t count = 0;
    database_lock(catalog);
    int code = database_begin(catalog, err);
    if (code == 0)
        code = read_packs(catalog, sha256, &number, &packs, &count, err);
    if (code == 0)
        code = remove_rows(catalog, SEGMENT_PACK_REMOVE_SEGMENT, number, err);
    if (code == 0)
        code = remove_rows(catalog, SEGMENT_REMOVE, number, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = remove_if_unlisted(catalog, packs[i], err);
    if (code == 0)
        code = database_changed(catalog, count + 1, err);
    free(packs);
    return database_unlock(catalog, code == ERROR_NOT_FOUND ? 0 : code);
}

bool catalog_has_segment(struct catalog *catalog, const struct id *sha256)
{
    int64_t number;
    database_lock(catalog);
    return database_unlock(catalog, find_segment(catalog, sha256, &number, NULL)) == 0;
}

int catalog_segment_packs(struct catalog *catalog, const struct id *sha256, uint64_t **packs, size_t *count,
                          struct error *err)
{
    int64_t number;
    database_lock(catalog);
    int code = read_packs(catalog, sha256, &number, packs, count, err);
    if (code == ERROR_NOT_FOUND) {
        char hex[ID_HEX_SIZE];
        id_to_hex(sha256, hex);
        error_set(err, code, "the catalog knows no index segment %s", hex);
    }
    return database_unlock(catalog, code);
}
