#include "cli/output.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

struct output_table {
    char **cells; /* the headings are the first row */
    size_t count, capacity;
    size_t columns;
    bool *right;
    size_t *widths;
};

char *output_short_id(const struct id *id, char text[OUTPUT_SHORT_ID_SIZE])
{
    hex_encode(id->b, (OUTPUT_SHORT_ID_SIZE - 1) / 2, text);
    return text;
}

/* Characters of well-formed UTF-8. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Takes the text over. */
static void add_cell(struct output_table *table, char *text)
{
    size_t column = table->count % table->columns;
    size_t width = text_width(text);
    if (width > table->widths[column])
        table->widths[column] = width;
    memory_reserve_one(table->cells, table->count, table->capacity);
    table->cells[table->count++] = text;
}

struct output_table *output_table_new(const char *const *headings)
{
    struct output_table *table = memory_new(struct output_table);
    while (headings[table->columns])
        table->columns++;
    table->right = memory_alloc_array(table->columns, sizeof *table->right);
    table->widths = memory_alloc_array(table->columns, sizeof *table->widths);
    for (size_t i = 0; i < table->columns; i++) {
        table->right[i] = headings[i][0] == '>';
        add_cell(table, memory_copy_string(headings[i] + table->right[i]));
    }
    return table;
}

void output_table_cell(struct output_table *table, const char *text)
{
    add_cell(table, text_visible(text));
}

void output_table_cell_bytes(struct output_table *table, struct bytes bytes)
{
    add_cell(table, text_visible_bytes(bytes.data, bytes.size));
}

void output_table_print(const struct output_table *table)
{
    if (table->count <= table->columns)
        return;
    size_t blanks = 0; /* written where something follows */
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        size_t padding = table->widths[column] - text_width(table->cells[i]);
        blanks += table->right[column] ? padding : 0;
        if (*table->cells[i]) {
            printf("%*s%s", (int)blanks, "", table->cells[i]);
            blanks = 0;
        }
        blanks += table->right[column] ? 0 : padding;
        blanks += strlen("  ");
        if (column + 1 == table->columns) {
            putchar('\n');
            blanks = 0;
        }
    }
}

void output_table_free(struct output_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table->right);
    free(table->widths);
    free(table);
}

/* ---- JSON ---- */

void output_json_time(json_t *object, const char *key, int64_t seconds)
{
    char text[TEXT_TIME_SIZE];
    json_object_set_new(object, key, json_string(text_format_time(seconds, text)));
}

void output_json_id(json_t *object, const char *key, const struct id *id)
{
    char text[ID_HEX_SIZE];
    id_to_hex(id, text);
    json_object_set_new(object, key, json_string(text));
}

void output_json_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

/* The caller frees it. */
static char *base64(struct bytes bytes)
{
    char *text = memory_alloc(4 * ((bytes.size + 2) / 3) + 1);
    base64_encode(bytes.data, bytes.size, text);
    return text;
}

void output_json_bytes(json_t *object, const char *key, struct bytes bytes)
{
    if (text_is_utf8(bytes.data, bytes.size)) {
        json_object_set_new(object, key, json_stringn((const char *)bytes.data, bytes.size));
        return;
    }
    char *shown = text_visible_bytes(bytes.data, bytes.size);
    char *exact = base64(bytes);
    char *exact_key = memory_format("%s_base64", key);
    json_object_set_new(object, key, json_string(shown));
    json_object_set_new(object, exact_key, json_string(exact));
    free(exact_key);
    free(exact);
    free(shown);
}

void output_json_append(json_t *list, struct bytes text)
{
    if (text_is_utf8(text.data, text.size)) {
        json_array_append_new(list, json_stringn((const char *)text.data, text.size));
        return;
    }
    char *shown = text_visible_bytes(text.data, text.size);
    json_array_append_new(list, json_string(shown));
    free(shown);
}

void output_json_bytes_list(json_t *object, const char *key, const struct bytes *list, size_t count)
{
    json_t *shown = json_array(), *exact = json_array();
    bool odd = false;
    for (size_t i = 0; i < count; i++) {
        char *coded = base64(list[i]);
        json_array_append_new(exact, json_string(coded));
        free(coded);
        output_json_append(shown, list[i]);
        odd |= !text_is_utf8(list[i].data, list[i].size);
    }
    json_object_set_new(object, key, shown);
    if (odd) {
        char *exact_key = memory_format("%s_base64", key);
        json_object_set(object, exact_key, exact);
        free(exact_key);
    }
    json_decref(exact);
}

void output_json_print(json_t *document)
{
    json_dumpf(document, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(document);
}

void output_list_begin(struct output_list *list, const char *name)
{
    list->some = false;
    printf("{\"%s\":[", name);
}

void output_list_item(struct output_list *list, json_t *item)
{
    fputs(list->some ? ",\n" : "\n", stdout);
    list->some = true;
    json_dumpf(item, stdout, JSON_COMPACT);
    json_decref(item);
}

void output_list_end(struct output_list *list)
{
    fputs(list->some ? "\n]}\n" : "]}\n", stdout);
}
