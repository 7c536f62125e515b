/*
 * What the codecs share: packing into buffers, unpacking into an arena with a bound, checks of fields. Nobody
 * outside format includes it.
 */
#ifndef FORMAT_CODEC_H
#define FORMAT_CODEC_H

#include "format/messages.h"

#include <protobuf-c/protobuf-c.h>

#define CODEC_NAME_MAX 256
#define CODEC_TEXT_MAX (64u << 10)

void codec_pack(const ProtobufCMessage *message, struct buffer *out);
/* Unpacks into the arena; what it allocates is bounded by the input's size. NULL with err set (INTEGRITY) if
 * it is malformed. Unknown fields are refused: a newer version must say so in its version number. */
void *codec_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes data, size_t max,
                   struct arena *arena, struct error *err);
int codec_malformed(struct error *err, const char *what, const char *why);

static inline struct bytes codec_bytes(ProtobufCBinaryData data)
{
    return bytes_of(data.data, data.len);
}
static inline ProtobufCBinaryData codec_binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size, .data = (uint8_t *)(uintptr_t)bytes.data};
}
#define CODEC_BINARY(array) codec_binary(bytes_of((array), sizeof(array)))

/* Copies a field of exactly size bytes; false otherwise. */
bool codec_fixed(ProtobufCBinaryData data, void *to, size_t size);
/* UTF-8 without control characters, at most max bytes. */
bool codec_text(const char *text, size_t max);
/* Lists of 32-byte ids. */
bool codec_ids(size_t count, const ProtobufCBinaryData *data, struct arena *arena, struct id_list *out);
ProtobufCBinaryData *codec_id_list(const struct id_list *ids, struct arena *arena);

struct Holdfast__Extent;
bool codec_extents(size_t count, struct Holdfast__Extent **list, struct arena *arena, struct extents *out);
struct Holdfast__Extent **codec_extent_list(const struct extents *extents, struct arena *arena);

/* ---- what records share (record_codec.c) ---- */

#define CODEC_CLASS_COUNT 5

/* protobuf-c's own structs take no const. NULL gives "". */
char *codec_mutable_text(const char *text);
/* An id that may be absent: false if it is neither that nor an id. */
bool codec_optional_id(ProtobufCBinaryData data, bool *has, struct id *id);
/* CLASS_ bits as names; returns how many. */
size_t codec_class_list(uint32_t classes, char *list[CODEC_CLASS_COUNT]);
/* False if one is unknown or twice there, or there are none. */
bool codec_read_classes(size_t count, char **list, uint32_t *classes);

struct Holdfast__Statistics;
void codec_fill_statistics(const struct statistics *from, struct Holdfast__Statistics *to);
/* NULL gives zeros. */
struct statistics codec_read_statistics(const struct Holdfast__Statistics *m);

#endif
