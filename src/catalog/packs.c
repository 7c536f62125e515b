#include "base/memory.h"
#include "catalog/database.h"

#include <stdlib.h>

struct blob_row {
    int64_t prefix;
    int64_t number;
};

static int compare_rows(const void *a, const void *b)
{
    const struct blob_row *x = a, *y = b;
    if (x->prefix != y->prefix)
        return (x->prefix > y->prefix) - (x->prefix < y->prefix);
    return (x->number > y->number) - (x->number < y->number);
}

static int read_pack(struct catalog *catalog, sqlite3_stmt *statement, struct catalog_pack *pack,
                     struct error *err)
{
    pack->number = (uint64_t)sqlite3_column_int64(statement, 0);
    pack->kind = (uint8_t)sqlite3_column_int(statement, 2);
    pack->size = (uint64_t)sqlite3_column_int64(statement, 3);
    pack->first_blob = (uint64_t)sqlite3_column_int64(statement, 5);
    pack->blob_count = (uint32_t)sqlite3_column_int64(statement, 6);
    pack->pending = sqlite3_column_int(statement, 7) != 0;
    if (!database_copy_column(statement, 1, pack->sha256.b, sizeof pack->sha256.b) ||
        !database_copy_column(statement, 4, pack->author.b, sizeof pack->author.b))
        return database_error(catalog, SQLITE_CORRUPT, err);
    /* Callers size bitmaps by the limits. */
    if (pack->number > catalog->pack_limit || pack->first_blob > catalog->blob_limit + 1 ||
        pack->blob_count > catalog->blob_limit + 1 - pack->first_blob)
        return database_error(catalog, SQLITE_CORRUPT, err);
    return 0;
}

/* Runs a statement that gives at most one pack. NOT_FOUND comes without a message. */
static int one_pack(struct catalog *catalog, sqlite3_stmt *statement, struct catalog_pack *pack,
                    struct error *err)
{
    int code = database_row(catalog, statement, err);
    if (code == 0)
        code = read_pack(catalog, statement, pack, err);
    sqlite3_reset(statement);
    return code;
}

static int find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                     struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, PACK_FIND);
    database_bind_id(statement, 1, sha256);
    return one_pack(catalog, statement, pack, err);
}

static int run_on_pack(struct catalog *catalog, enum statement which, uint64_t number, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, which);
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    return database_change(catalog, statement, err);
}

/* Inserts or deletes. Sorted, so that neighbours in the tree are touched together. */
static int change_blobs(struct catalog *catalog, enum statement which, struct blob_row *rows, size_t count,
                        struct error *err)
{
    qsort(rows, count, sizeof *rows, compare_rows);
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++) {
        sqlite3_stmt *statement = database_statement(catalog, which);
        sqlite3_bind_int64(statement, 1, rows[i].prefix);
        sqlite3_bind_int64(statement, 2, rows[i].number);
        code = database_change(catalog, statement, err);
    }
    return code;
}

static int insert_pack(struct catalog *catalog, const struct catalog_pack *pack, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, PACK_ADD);
    sqlite3_bind_int64(statement, 1, (int64_t)pack->number);
    database_bind_id(statement, 2, &pack->sha256);
    sqlite3_bind_int(statement, 3, pack->kind);
    sqlite3_bind_int64(statement, 4, (int64_t)pack->size);
    database_bind_bytes(statement, 5, pack->author.b, sizeof pack->author.b);
    sqlite3_bind_int64(statement, 6, (int64_t)pack->first_blob);
    sqlite3_bind_int64(statement, 7, pack->blob_count);
    sqlite3_bind_int(statement, 8, pack->pending);
    return database_change(catalog, statement, err);
}

/* The pack's row, entry and blobs; numbers are in pack. */
static int insert_all(struct catalog *catalog, const struct catalog_pack *pack, struct bytes entry,
                      const struct id *ids, struct error *err)
{
    struct blob_row *rows = memory_alloc_array(pack->blob_count, sizeof *rows);
    struct buffer prefixes = {0};
    for (uint32_t i = 0; i < pack->blob_count; i++) {
        rows[i] = (struct blob_row){database_prefix(&ids[i]), (int64_t)(pack->first_blob + i)};
        buffer_append(&prefixes, ids[i].b, sizeof(uint64_t));
    }
    int code = insert_pack(catalog, pack, err);
    if (code == 0) {
        sqlite3_stmt *statement = database_statement(catalog, ENTRY_ADD);
        sqlite3_bind_int64(statement, 1, (int64_t)pack->number);
        database_bind_bytes(statement, 2, prefixes.data, prefixes.size);
        database_bind_bytes(statement, 3, entry.data, entry.size);
        code = database_change(catalog, statement, err);
    }
    if (code == 0)
        code = change_blobs(catalog, BLOB_ADD, rows, pack->blob_count, err);
    buffer_free(&prefixes);
    free(rows);
    return code;
}

static int compare_entry(struct catalog *catalog, uint64_t number, struct bytes entry, struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, ENTRY_GET);
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    int code = database_row(catalog, statement, err);
    if (code == 0 && !bytes_equal(database_column(statement, 0), entry))
        code = ERROR_EXISTS;
    sqlite3_reset(statement);
    return code == ERROR_NOT_FOUND ? database_error(catalog, SQLITE_CORRUPT, err) : code;
}

int catalog_add_pack(struct catalog *catalog, const struct catalog_pack *pack, struct bytes entry,
                     const struct id *ids, uint64_t *number, struct error *err)
{
    database_lock(catalog);
    struct catalog_pack known;
    int code = database_begin(catalog, err);
    if (code == 0)
        code = find_pack(catalog, &pack->sha256, &known, err);
    if (code == 0) {
        *number = known.number;
        if (entry.size)
            code = compare_entry(catalog, known.number, entry, err);
        if (code == 0 && known.pending && !pack->pending)
            code = run_on_pack(catalog, PACK_SETTLE, known.number, err);
    } else if (code == ERROR_NOT_FOUND) {
        struct catalog_pack new_pack = *pack;
        *number = new_pack.number = ++catalog->pack_limit;
        new_pack.first_blob = catalog->blob_limit + 1;
        catalog->blob_limit += pack->blob_count;
        code = insert_all(catalog, &new_pack, entry, ids, err);
    }
    if (code == 0)
        code = database_changed(catalog, pack->blob_count + 2, err);
    return database_unlock(catalog, code);
}

/* The blob rows of a pack, from what its entry repeats of them. */
static int read_blob_rows(struct catalog *catalog, const struct catalog_pack *pack, struct blob_row **rows,
                          struct error *err)
{
    sqlite3_stmt *statement = database_statement(catalog, ENTRY_GET);
    sqlite3_bind_int64(statement, 1, (int64_t)pack->number);
    int code = database_row(catalog, statement, err);
    if (code == ERROR_NOT_FOUND)
        return database_error(catalog, SQLITE_CORRUPT, err);
    if (code != 0)
        return code;
    struct bytes prefixes = database_column(statement, 1);
    if (prefixes.size == (size_t)pack->blob_count * sizeof(uint64_t)) {
        *rows = memory_alloc_array(pack->blob_count, sizeof **rows);
        for (uint32_t i = 0; i < pack->blob_count; i++)
            (*rows)[i] = (struct blob_row){(int64_t)bytes_load_u64(prefixes.data + i * sizeof(uint64_t)),
                                           (int64_t)(pack->first_blob + i)};
    } else {
        code = database_error(catalog, SQLITE_CORRUPT, err);
    }
    sqlite3_reset(statement);
    return code;
}

int packs_remove(struct catalog *catalog, uint64_t number, struct error *err)
{
    struct catalog_pack pack;
    struct blob_row *rows = NULL;
    sqlite3_stmt *statement = database_statement(catalog, PACK_BY_NUMBER);
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    int code = one_pack(catalog, statement, &pack, err);
    if (code != 0)
        return code == ERROR_NOT_FOUND ? 0 : code;
    code = read_blob_rows(catalog, &pack, &rows, err);
    if (code == 0)
        code = change_blobs(catalog, BLOB_REMOVE, rows, pack.blob_count, err);
    if (code == 0)
        code = run_on_pack(catalog, SEGMENT_PACK_REMOVE_PACK, number, err);
    if (code == 0)
        code = run_on_pack(catalog, ENTRY_REMOVE, number, err);
    if (code == 0)
        code = run_on_pack(catalog, PACK_REMOVE, number, err);
    catalog->rows_waiting += pack.blob_count;
    free(rows);
    return code;
}

int catalog_remove_pack(struct catalog *catalog, uint64_t number, struct error *err)
{
    database_lock(catalog);
    int code = database_begin(catalog, err);
    if (code == 0)
        code = packs_remove(catalog, number, err);
    if (code == 0)
        code = database_changed(catalog, 1, err);
    return database_unlock(catalog, code);
}

int catalog_find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                      struct error *err)
{
    database_lock(catalog);
    int code = find_pack(catalog, sha256, pack, err);
    if (code == ERROR_NOT_FOUND) {
        char hex[ID_HEX_SIZE];
        id_to_hex(sha256, hex);
        error_set(err, code, "the catalog knows no pack %s", hex);
    }
    return database_unlock(catalog, code);
}

int catalog_pack_of_blob(struct catalog *catalog, uint64_t blob_number, struct catalog_pack *pack,
                         struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, PACK_OF_BLOB);
    sqlite3_bind_int64(statement, 1, (int64_t)blob_number);
    int code = one_pack(catalog, statement, pack, err);
    if (code == 0 && blob_number - pack->first_blob >= pack->blob_count)
        code = ERROR_NOT_FOUND;
    if (code == ERROR_NOT_FOUND)
        error_set(err, code, "the catalog knows no blob number %llu", (unsigned long long)blob_number);
    return database_unlock(catalog, code);
}

int catalog_pack_by_number(struct catalog *catalog, uint64_t number, struct catalog_pack *pack,
                           struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, PACK_BY_NUMBER);
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    int code = one_pack(catalog, statement, pack, err);
    if (code == ERROR_NOT_FOUND)
        error_set(err, code, "the catalog knows no pack number %llu", (unsigned long long)number);
    return database_unlock(catalog, code);
}

int catalog_pack_entry(struct catalog *catalog, uint64_t number, struct buffer *out, struct error *err)
{
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, ENTRY_GET);
    sqlite3_bind_int64(statement, 1, (int64_t)number);
    int code = database_row(catalog, statement, err);
    if (code == 0)
        buffer_append_bytes(out, database_column(statement, 0));
    else if (code == ERROR_NOT_FOUND)
        error_set(err, code, "the catalog knows no pack number %llu", (unsigned long long)number);
    sqlite3_reset(statement);
    return database_unlock(catalog, code);
}

int catalog_each_pack(struct catalog *catalog,
                      int (*callback)(const struct catalog_pack *pack, void *context), void *context,
                      struct error *err)
{
    sqlite3_stmt *statement;
    struct catalog_pack pack;
    database_lock(catalog);
    int code = database_prepare(catalog,
                                "SELECT number, sha256, kind, size, author, first_blob, blob_count, pending"
                                " FROM pack ORDER BY number",
                                &statement, err);
    bool called = false;
    while (code == 0 && (code = database_row(catalog, statement, err)) == 0) {
        code = read_pack(catalog, statement, &pack, err);
        if (code != 0)
            break;
        code = callback(&pack, context);
        called = code != 0;
    }
    sqlite3_finalize(statement);
    return database_unlock(catalog, code == ERROR_NOT_FOUND && !called ? 0 : code);
}

uint64_t catalog_pack_limit(struct catalog *catalog)
{
    database_lock(catalog);
    uint64_t limit = catalog->pack_limit;
    database_unlock(catalog, 0);
    return limit;
}

uint64_t catalog_blob_limit(struct catalog *catalog)
{
    database_lock(catalog);
    uint64_t limit = catalog->blob_limit;
    database_unlock(catalog, 0);
    return limit;
}

int catalog_find_blobs(struct catalog *catalog, const struct id *id, uint64_t *numbers, size_t max,
                       size_t *count, struct error *err)
{
    *count = 0;
    database_lock(catalog);
    sqlite3_stmt *statement = database_statement(catalog, BLOB_FIND);
    sqlite3_bind_int64(statement, 1, database_prefix(id));
    sqlite3_bind_int64(statement, 2, (int64_t)max);
    int code;
    while ((code = database_row(catalog, statement, err)) == 0 && *count < max)
        numbers[(*count)++] = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return database_unlock(catalog, code == ERROR_NOT_FOUND ? 0 : code);
}
