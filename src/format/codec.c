#include "format/codec.h"

#include "base/text.h"
#include "tree.pb-c.h"

#include <string.h>

struct bounded_arena {
    struct arena *arena;
    size_t left;
};

static void *bounded_alloc(void *data, size_t size)
{
    struct bounded_arena *b = data;
    if (size > b->left)
        return NULL;
    b->left -= size;
    return arena_alloc(b->arena, size);
}

static void bounded_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer; /* freed with the arena */
}

void codec_pack(const ProtobufCMessage *message, struct buffer *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    protobuf_c_message_pack(message, buffer_extend(out, size));
}

int codec_malformed(struct error *err, const char *what, const char *why)
{
    return error_set(err, ERROR_INTEGRITY, "%s is malformed: %s", what, why);
}

/* Fields that the version does not know, in the message or in any that it holds. Depth is that of the types.
 */
static bool has_unknown_fields(const ProtobufCMessage *message)
{
    if (message->n_unknown_fields)
        return true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *member = (const char *)message + field->offset;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        bool many = field->label == PROTOBUF_C_LABEL_REPEATED;
        ProtobufCMessage *const *list =
            many ? *(ProtobufCMessage *const *const *)member : (ProtobufCMessage *const *)member;
        size_t count =
            many ? *(const size_t *)((const char *)message + field->quantifier_offset) : *list != NULL;
        for (size_t k = 0; k < count; k++) {
            if (has_unknown_fields(list[k]))
                return true;
        }
    }
    return false;
}

void *codec_unpack(const ProtobufCMessageDescriptor *descriptor, struct bytes data, size_t max,
                   struct arena *arena, struct error *err)
{
    if (data.size > max) {
        codec_malformed(err, descriptor->short_name, "it is too large");
        return NULL;
    }
    /* The smallest useful parts of a message take some 30 bytes on the wire and under a thousand in memory.
     */
    struct bounded_arena bounded = {arena, 64 * 1024 + 40 * data.size};
    ProtobufCAllocator allocator = {bounded_alloc, bounded_free, &bounded};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, data.size, data.data);
    if (!message)
        codec_malformed(err, descriptor->short_name, "it does not parse");
    else if (has_unknown_fields(message)) {
        error_set(err, ERROR_UNSUPPORTED, "%s has fields that this version does not know",
                  descriptor->short_name);
        error_hint(err, "a newer version of holdfast wrote it: use that one");
        return NULL;
    }
    return message;
}

bool codec_fixed(ProtobufCBinaryData data, void *to, size_t size)
{
    if (data.len != size)
        return false;
    memcpy(to, data.data, size);
    return true;
}

bool codec_text(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);
    if (size > max || !text_is_utf8(text, size))
        return false;
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return true;
}

bool codec_ids(size_t count, const ProtobufCBinaryData *data, struct arena *arena, struct id_list *out)
{
    out->list = arena_alloc_array(arena, count, sizeof *out->list);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!codec_fixed(data[i], out->list[i].b, sizeof out->list[i].b))
            return false;
    }
    return true;
}

ProtobufCBinaryData *codec_id_list(const struct id_list *ids, struct arena *arena)
{
    ProtobufCBinaryData *list = arena_alloc_array(arena, ids->count, sizeof *list);
    for (size_t i = 0; i < ids->count; i++)
        list[i] = CODEC_BINARY(ids->list[i].b);
    return list;
}

bool codec_extents(size_t count, Holdfast__Extent **list, struct arena *arena, struct extents *out)
{
    uint64_t total = 0;
    out->list = count ? arena_alloc_array(arena, count, sizeof *out->list) : NULL;
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        struct extent *e = &out->list[i];
        e->length = list[i]->length;
        e->hole = list[i]->blob.len == 0;
        if (e->length == 0 || e->length > INT64_MAX || __builtin_add_overflow(total, e->length, &total) ||
            total > INT64_MAX || (!e->hole && !codec_fixed(list[i]->blob, e->blob.b, sizeof e->blob.b)))
            return false;
    }
    return true;
}

Holdfast__Extent **codec_extent_list(const struct extents *extents, struct arena *arena)
{
    Holdfast__Extent **pointers = arena_alloc_array(arena, extents->count, sizeof *pointers);
    Holdfast__Extent *list = arena_alloc_array(arena, extents->count, sizeof *list);
    for (size_t i = 0; i < extents->count; i++) {
        holdfast__extent__init(&list[i]);
        if (!extents->list[i].hole)
            list[i].blob = CODEC_BINARY(extents->list[i].blob.b);
        list[i].length = extents->list[i].length;
        pointers[i] = &list[i];
    }
    return pointers;
}
