/*
 * Results on standard output: tables with aligned columns, and JSON documents (jansson). For the commands.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/bytes.h"
#include "base/id.h"

#include <jansson.h>

/* ---- tables ---- */

#define OUTPUT_SHORT_ID_SIZE 11

/* The first 10 hex digits of an id, as tables show it. Returns text. */
char *output_short_id(const struct id *id, char text[OUTPUT_SHORT_ID_SIZE]);

struct output_table;

/* headings ends with NULL; a heading that begins with '>' is aligned to the right, without the '>'. */
struct output_table *output_table_new(const char *const *headings);
/* The next cell, from left to right and row by row; what is not printable stands as \xHH. */
void output_table_cell(struct output_table *table, const char *text);
void output_table_cell_bytes(struct output_table *table, struct bytes bytes);
/* Prints headings and rows to standard output; nothing if there are no rows. */
void output_table_print(const struct output_table *table);
void output_table_free(struct output_table *table);

/* ---- JSON ---- */

/* Unix seconds as RFC 3339 in UTC. */
void output_json_time(json_t *object, const char *key, int64_t seconds);
/* An id in full. */
void output_json_id(json_t *object, const char *key, const struct id *id);
/* A count or a size; above 2^63 - 1 it stays there, as JSON readers could not hold it. */
void output_json_number(json_t *object, const char *key, uint64_t value);
/* A name or path. Bytes that are not UTF-8: "key" has the form with \xHH and "key_base64" the bytes. */
void output_json_bytes(json_t *object, const char *key, struct bytes bytes);
/* Names or paths as a list. If one of them is not UTF-8, "key_base64" has the bytes of all. */
void output_json_bytes_list(json_t *object, const char *key, const struct bytes *list, size_t count);
/* Appends a text to a list, what is not UTF-8 in it as \xHH. */
void output_json_append(json_t *list, struct bytes text);
/* Prints the document on one line and frees it. */
void output_json_print(json_t *document);

/* A listing too long to hold: {"name": [item, ...]}, each item printed and freed as it comes. */
struct output_list {
    bool some;
};
void output_list_begin(struct output_list *list, const char *name);
void output_list_item(struct output_list *list, json_t *item);
void output_list_end(struct output_list *list);

#endif
