#include "keys/text_form.h"

#include "base/id.h"
#include "base/text.h"
#include "crypto/random.h"

static void fail(struct text_form *form, const char *why)
{
    if (form->code == 0) {
        error_set(form->err, ERROR_USAGE, "line %u: %s", form->line, why);
        error_hint(form->err, "the file is not a %s, or it was damaged", form->title);
        form->code = ERROR_USAGE;
    }
}

static struct bytes next_line(struct text_form *form)
{
    struct reader *r = &form->reader;
    const uint8_t *start = r->data + r->at;
    const uint8_t *end = r->at < r->size ? memchr(start, '\n', r->size - r->at) : NULL;
    form->line++;
    if (r->at == r->size) {
        fail(form, "a line is missing");
        return (struct bytes){0};
    }
    struct bytes line = reader_take(r, end ? (size_t)(end - start) : r->size - r->at);
    if (end)
        reader_u8(r);
    if (line.size && line.data[line.size - 1] == '\r')
        line.size--;
    return line;
}

void text_form_write_hex(struct buffer *out, const char *name, const void *data, size_t size)
{
    char hex[129];
    hex_encode(data, size, hex);
    buffer_append_format(out, "%s = %s\n", name, hex);
    cleanse(hex, sizeof hex);
}

struct text_form text_form_open(struct bytes text, const char *title, struct error *err)
{
    struct text_form form = {.reader = reader_of(text_without_mark(text)), .title = title, .err = err};
    if (!bytes_equal(next_line(&form), bytes_of_string(title)))
        fail(&form, "it does not begin as it should");
    return form;
}

struct bytes text_form_value(struct text_form *form, const char *name)
{
    struct bytes line = form->code == 0 ? next_line(form) : (struct bytes){0};
    size_t length = strlen(name);
    if (form->code != 0)
        return line;
    if (line.size <= length + 3 || memcmp(line.data, name, length) != 0 ||
        memcmp(line.data + length, " = ", 3) != 0) {
        fail(form, "another setting belongs here");
        return (struct bytes){0};
    }
    return bytes_of(line.data + length + 3, line.size - length - 3);
}

void text_form_hex(struct text_form *form, const char *name, void *data, size_t size)
{
    struct bytes value = text_form_value(form, name);
    if (form->code == 0 && !hex_decode((const char *)value.data, value.size, data, size))
        fail(form, "its value is not hexadecimal of the right length");
}

int text_form_close(struct text_form *form)
{
    struct reader *r = &form->reader;
    while (r->at < r->size && (r->data[r->at] == '\r' || r->data[r->at] == '\n'))
        r->at++;
    if (form->code == 0 && !reader_finished(r)) {
        form->line++;
        fail(form, "nothing belongs behind the last setting");
    }
    return form->code;
}
