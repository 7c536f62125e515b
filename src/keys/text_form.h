/*
 * The text form of key files: a title line, then `name = value` lines in a fixed order. Only for keys.
 * People keep and type such files: line ends of other systems, a byte-order mark, a last line without an end
 * and empty lines behind it are taken.
 */
#ifndef KEYS_TEXT_FORM_H
#define KEYS_TEXT_FORM_H

#include "base/bytes.h"
#include "base/error.h"

struct text_form {
    struct reader reader;
    unsigned line;
    const char *title;
    struct error *err;
    int code;
};

void text_form_write_hex(struct buffer *out, const char *name, const void *data, size_t size);
struct text_form text_form_open(struct bytes text, const char *title, struct error *err);
/* The value of the next line, which must have this name. Empty on failure (code is set). */
struct bytes text_form_value(struct text_form *form, const char *name);
void text_form_hex(struct text_form *form, const char *name, void *data, size_t size);
/* 0 if everything was read and nothing else is there. */
int text_form_close(struct text_form *form);

#endif
