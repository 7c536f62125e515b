/*
 * Byte strings: a view (struct bytes), a growable buffer, and a bounded reader for binary layouts.
 * All integers on the wire are big-endian. LV(x) is a u32 length followed by x.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view: owns nothing. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){(const uint8_t *)data, size};
}
struct bytes bytes_of_string(const char *text);
bool bytes_equal(struct bytes a, struct bytes b);
/* memcmp order; a prefix sorts first. */
int bytes_compare(struct bytes a, struct bytes b);

/* Owns data; zero-initialised is empty and valid. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

void buffer_free(struct buffer *b);
/* For secrets: overwrites before it frees. */
void buffer_free_secret(struct buffer *b);
void buffer_clear(struct buffer *b);
/* Makes room for `more` bytes behind the contents. */
void buffer_reserve(struct buffer *b, size_t more);
/* The same for an empty buffer of megabytes, which then begins at a page: a disk can take it from there. */
void buffer_reserve_pages(struct buffer *b, size_t size);
/* Appends `size` uninitialised bytes and returns where they begin (valid until the next change). */
uint8_t *buffer_extend(struct buffer *b, size_t size);
void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_append_bytes(struct buffer *b, struct bytes bytes);
void buffer_append_string(struct buffer *b, const char *text);
void buffer_append_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_u8(struct buffer *b, uint8_t value);
void buffer_u16(struct buffer *b, uint16_t value);
void buffer_u32(struct buffer *b, uint32_t value);
void buffer_u64(struct buffer *b, uint64_t value);
void buffer_lv(struct buffer *b, struct bytes bytes);
static inline struct bytes buffer_bytes(const struct buffer *b)
{
    return (struct bytes){b->data, b->size};
}
/* The contents as a NUL-terminated string (the NUL is not counted in size); never NULL. */
const char *buffer_string(struct buffer *b);

void bytes_store_u16(uint8_t *p, uint16_t value);
void bytes_store_u32(uint8_t *p, uint32_t value);
void bytes_store_u64(uint8_t *p, uint64_t value);
uint16_t bytes_load_u16(const uint8_t *p);
uint32_t bytes_load_u32(const uint8_t *p);
uint64_t bytes_load_u64(const uint8_t *p);

/* Reads forward through a view. After the first read past the end `failed` is true and every read gives
 * zeros or an empty view: check once, at the end. */
struct reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

static inline struct reader reader_of(struct bytes bytes)
{
    return (struct reader){bytes.data, bytes.size, 0, false};
}
struct bytes reader_take(struct reader *r, size_t size);
/* Copies size bytes to `to` (zeros when failed). */
void reader_copy(struct reader *r, void *to, size_t size);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
/* LV(x) with x at most max bytes. */
struct bytes reader_lv(struct reader *r, size_t max);
/* True if nothing failed and everything was read. */
bool reader_finished(const struct reader *r);

#endif
