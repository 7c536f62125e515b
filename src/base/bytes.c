#include "base/bytes.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes bytes_of_string(const char *text)
{
    return bytes_of(text, strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    if (c)
        return c;
    return (a.size > b.size) - (a.size < b.size);
}

void buffer_free(struct buffer *b)
{
    if (!b)
        return;
    free(b->data);
    *b = (struct buffer){0};
}

void buffer_free_secret(struct buffer *b)
{
    if (!b)
        return;
    if (b->data)
        explicit_bzero(b->data, b->capacity);
    buffer_free(b);
}

void buffer_clear(struct buffer *b)
{
    b->size = 0;
}

void buffer_reserve(struct buffer *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->size, more, &need))
        need = SIZE_MAX;
    if (need <= b->capacity)
        return;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity < need && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    if (capacity < need)
        capacity = need;
    b->data = memory_resize_array(b->data, capacity, 1);
    b->capacity = capacity;
}

void buffer_reserve_pages(struct buffer *b, size_t size)
{
    if (size <= b->capacity)
        return;
    free(b->data);
    *b = (struct buffer){.data = memory_alloc_pages(size), .capacity = size};
}

uint8_t *buffer_extend(struct buffer *b, size_t size)
{
    /* Nothing at the end of an empty buffer is a place, too: NULL is none that others take. */
    buffer_reserve(b, size ? size : !b->data);
    uint8_t *p = b->data + b->size;
    b->size += size;
    return p;
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (size)
        memcpy(buffer_extend(b, size), data, size);
}

void buffer_append_bytes(struct buffer *b, struct bytes bytes)
{
    buffer_append(b, bytes.data, bytes.size);
}

void buffer_append_string(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_format(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n > 0)
        buffer_append(b, text, (size_t)n);
    free(text);
}

void bytes_store_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

void bytes_store_u32(uint8_t *p, uint32_t value)
{
    bytes_store_u16(p, (uint16_t)(value >> 16));
    bytes_store_u16(p + 2, (uint16_t)value);
}

void bytes_store_u64(uint8_t *p, uint64_t value)
{
    bytes_store_u32(p, (uint32_t)(value >> 32));
    bytes_store_u32(p + 4, (uint32_t)value);
}

uint16_t bytes_load_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

uint32_t bytes_load_u32(const uint8_t *p)
{
    return (uint32_t)bytes_load_u16(p) << 16 | bytes_load_u16(p + 2);
}

uint64_t bytes_load_u64(const uint8_t *p)
{
    return (uint64_t)bytes_load_u32(p) << 32 | bytes_load_u32(p + 4);
}

void buffer_u8(struct buffer *b, uint8_t value)
{
    buffer_append(b, &value, 1);
}

void buffer_u16(struct buffer *b, uint16_t value)
{
    bytes_store_u16(buffer_extend(b, 2), value);
}

void buffer_u32(struct buffer *b, uint32_t value)
{
    bytes_store_u32(buffer_extend(b, 4), value);
}

void buffer_u64(struct buffer *b, uint64_t value)
{
    bytes_store_u64(buffer_extend(b, 8), value);
}

void buffer_lv(struct buffer *b, struct bytes bytes)
{
    buffer_u32(b, (uint32_t)bytes.size);
    buffer_append_bytes(b, bytes);
}

const char *buffer_string(struct buffer *b)
{
    buffer_reserve(b, 1);
    b->data[b->size] = '\0';
    return (const char *)b->data;
}

struct bytes reader_take(struct reader *r, size_t size)
{
    if (r->failed || size > r->size - r->at) {
        r->failed = true;
        return (struct bytes){0};
    }
    struct bytes taken = bytes_of(r->data + r->at, size);
    r->at += size;
    return taken;
}

void reader_copy(struct reader *r, void *to, size_t size)
{
    struct bytes b = reader_take(r, size);
    if (r->failed)
        memset(to, 0, size);
    else if (size)
        memcpy(to, b.data, size);
}

uint8_t reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    return r->failed ? 0 : b.data[0];
}

uint16_t reader_u16(struct reader *r)
{
    struct bytes b = reader_take(r, 2);
    return r->failed ? 0 : bytes_load_u16(b.data);
}

uint32_t reader_u32(struct reader *r)
{
    struct bytes b = reader_take(r, 4);
    return r->failed ? 0 : bytes_load_u32(b.data);
}

uint64_t reader_u64(struct reader *r)
{
    struct bytes b = reader_take(r, 8);
    return r->failed ? 0 : bytes_load_u64(b.data);
}

struct bytes reader_lv(struct reader *r, size_t max)
{
    uint32_t size = reader_u32(r);
    if (size > max)
        r->failed = true;
    return reader_take(r, size);
}

bool reader_finished(const struct reader *r)
{
    return !r->failed && r->at == r->size;
}
