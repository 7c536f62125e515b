/* Tables of contents, pack entries and index segments. */
#include "format/codec.h"
#include "index.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_SIZE 26
#define BLOB_SIZE 40
#define RAW_LENGTH_MAX (64u << 20)
#define TAG_SIZE 16

static void fill_contents(const struct contents *contents, Holdfast__Contents *to, struct buffer *frames,
                          struct buffer *blobs)
{
    holdfast__contents__init(to);
    for (size_t i = 0; i < contents->frame_count; i++) {
        const struct frame_entry *f = &contents->frames[i];
        buffer_u16(frames, f->slot);
        buffer_u64(frames, f->counter);
        buffer_u32(frames, f->offset);
        buffer_u32(frames, f->stored_length);
        buffer_u32(frames, f->raw_length);
        buffer_u32(frames, (uint32_t)f->codec << 24 | f->blob_count);
    }
    for (size_t i = 0; i < contents->blob_count; i++) {
        buffer_append(blobs, contents->blobs[i].id.b, 32);
        buffer_u32(blobs, contents->blobs[i].offset);
        buffer_u32(blobs, contents->blobs[i].length);
    }
    to->slot_count = contents->slot_count;
    to->frames = codec_binary(buffer_bytes(frames));
    to->blobs = codec_binary(buffer_bytes(blobs));
}

void contents_encode(const struct contents *contents, struct buffer *out)
{
    struct buffer frames = {0}, blobs = {0};
    Holdfast__Contents message;
    fill_contents(contents, &message, &frames, &blobs);
    codec_pack(&message.base, out);
    buffer_free(&frames);
    buffer_free(&blobs);
}

static void read_frame(struct reader *reader, struct frame_entry *f)
{
    f->slot = reader_u16(reader);
    f->counter = reader_u64(reader);
    f->offset = reader_u32(reader);
    f->stored_length = reader_u32(reader);
    f->raw_length = reader_u32(reader);
    uint32_t codec_and_count = reader_u32(reader);
    f->codec = (uint8_t)(codec_and_count >> 24);
    f->blob_count = codec_and_count & 0xffffff;
}

static const char *check_frame(const struct contents *c, size_t i)
{
    const struct frame_entry *f = &c->frames[i];
    if (f->slot >= c->slot_count)
        return "a frame names a slot that is not there";
    if (f->raw_length == 0 || f->raw_length > RAW_LENGTH_MAX || f->stored_length <= TAG_SIZE)
        return "a frame's length is out of range";
    if (f->codec == CODEC_RAW ? f->stored_length != f->raw_length + TAG_SIZE
                              : f->codec != CODEC_ZSTD || f->stored_length >= f->raw_length + TAG_SIZE)
        return "a frame's codec and lengths do not fit";
    if (f->offset > FORMAT_PACK_MAX || f->stored_length > FORMAT_PACK_MAX - f->offset)
        return "a frame lies outside the pack";
    if (i && f->offset < c->frames[i - 1].offset + c->frames[i - 1].stored_length)
        return "frames overlap or are out of order";
    if (f->blob_count == 0 || f->blob_count > c->blob_count - f->first_blob)
        return "a frame has no blobs, or more than there are";
    uint32_t end = 0;
    for (uint32_t k = 0; k < f->blob_count; k++) {
        const struct blob_entry *b = &c->blobs[f->first_blob + k];
        if (b->offset < end || b->offset > f->raw_length || b->length > f->raw_length - b->offset)
            return "a blob lies outside its frame";
        end = b->offset + b->length;
    }
    return NULL;
}

static int compare_counters(const void *a, const void *b)
{
    const struct frame_entry *x = *(const struct frame_entry *const *)a,
                             *y = *(const struct frame_entry *const *)b;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return (x->counter > y->counter) - (x->counter < y->counter);
}

static bool counters_are_unique(const struct contents *c)
{
    bool ascending = true;
    for (size_t i = 1; i < c->frame_count && ascending; i++)
        ascending =
            c->frames[i].slot == c->frames[i - 1].slot && c->frames[i].counter > c->frames[i - 1].counter;
    if (ascending)
        return true;
    const struct frame_entry **sorted = malloc(c->frame_count * sizeof(void *));
    if (!sorted)
        return false;
    for (size_t i = 0; i < c->frame_count; i++)
        sorted[i] = &c->frames[i];
    qsort(sorted, c->frame_count, sizeof(void *), compare_counters);
    bool unique = true;
    for (size_t i = 1; i < c->frame_count && unique; i++)
        unique = compare_counters(&sorted[i - 1], &sorted[i]) != 0;
    free(sorted);
    return unique;
}

static const char *read_contents(const Holdfast__Contents *from, struct arena *arena, struct contents *c)
{
    if (from->frames.len % FRAME_SIZE || from->blobs.len % BLOB_SIZE || from->slot_count > 65535)
        return "arrays of odd size";
    c->slot_count = from->slot_count;
    c->frame_count = from->frames.len / FRAME_SIZE;
    c->blob_count = from->blobs.len / BLOB_SIZE;
    c->frames = arena_alloc_array(arena, c->frame_count, sizeof *c->frames);
    c->blobs = arena_alloc_array(arena, c->blob_count, sizeof *c->blobs);
    struct reader reader = reader_of(codec_bytes(from->blobs));
    for (size_t i = 0; i < c->blob_count; i++) {
        reader_copy(&reader, c->blobs[i].id.b, 32);
        c->blobs[i].offset = reader_u32(&reader);
        c->blobs[i].length = reader_u32(&reader);
    }
    reader = reader_of(codec_bytes(from->frames));
    uint32_t blobs = 0;
    for (size_t i = 0; i < c->frame_count; i++) {
        read_frame(&reader, &c->frames[i]);
        c->frames[i].first_blob = blobs;
        const char *why = check_frame(c, i);
        if (why)
            return why;
        blobs += c->frames[i].blob_count;
    }
    if (blobs != c->blob_count)
        return "blobs that no frame has";
    return counters_are_unique(c) ? NULL : "a counter is used twice";
}

int contents_decode(struct bytes data, struct arena *arena, struct contents *contents, struct error *err)
{
    Holdfast__Contents *message =
        codec_unpack(&holdfast__contents__descriptor, data, FORMAT_PACK_MAX, arena, err);
    if (!message)
        return err ? err->code : ERROR_INTEGRITY;
    const char *why = read_contents(message, arena, contents);
    return why ? codec_malformed(err, "a table of contents", why) : 0;
}

void pack_entry_encode(const struct pack_entry *entry, struct buffer *out)
{
    struct buffer frames = {0}, blobs = {0};
    Holdfast__Contents contents;
    Holdfast__PackEntry message = HOLDFAST__PACK_ENTRY__INIT;
    fill_contents(&entry->contents, &contents, &frames, &blobs);
    message.sha256 = CODEC_BINARY(entry->sha256.b);
    message.size = entry->size;
    message.author = CODEC_BINARY(entry->author.b);
    message.slots_length = entry->slots_length;
    message.contents_length = entry->contents_length;
    message.contents = &contents;
    codec_pack(&message.base, out);
    buffer_free(&frames);
    buffer_free(&blobs);
}

int pack_entry_decode(struct bytes data, struct arena *arena, struct pack_entry *entry, struct error *err)
{
    Holdfast__PackEntry *m =
        codec_unpack(&holdfast__pack_entry__descriptor, data, FORMAT_PACK_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *entry = (struct pack_entry){
        .size = m->size, .slots_length = m->slots_length, .contents_length = m->contents_length};
    const char *why = NULL;
    if (!codec_fixed(m->sha256, entry->sha256.b, 32) || !codec_fixed(m->author, entry->author.b, 16) ||
        !m->contents)
        why = "a field is missing or of the wrong size";
    else if (m->size > FORMAT_PACK_MAX || (uint64_t)m->slots_length + m->contents_length > m->size)
        why = "a length is out of range";
    else
        why = read_contents(m->contents, arena, &entry->contents);
    if (!why && entry->contents.frame_count) {
        const struct frame_entry *last = &entry->contents.frames[entry->contents.frame_count - 1];
        if ((uint64_t)last->offset + last->stored_length > entry->size)
            why = "a frame lies outside the pack";
    }
    return why ? codec_malformed(err, "a pack's entry", why) : 0;
}

void segment_encode(const struct segment *segment, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Segment message = HOLDFAST__SEGMENT__INIT;
    message.host = CODEC_BINARY(segment->host.b);
    message.created = segment->created;
    message.kind = segment->kind;
    message.n_supersedes = segment->supersedes.count;
    message.supersedes = codec_id_list(&segment->supersedes, &arena);
    message.n_packs = segment->pack_count;
    message.packs = arena_alloc_array(&arena, segment->pack_count, sizeof *message.packs);
    for (size_t i = 0; i < segment->pack_count; i++)
        message.packs[i] = codec_binary(segment->packs[i]);
    message.part = segment->part;
    message.parts = segment->parts;
    if (segment->supersedes.count)
        message.replacement = CODEC_BINARY(segment->replacement.b);
    codec_pack(&message.base, out);
    arena_free(&arena);
}

int segment_decode(struct bytes body, struct arena *arena, struct segment *segment, struct error *err)
{
    Holdfast__Segment *m = codec_unpack(&holdfast__segment__descriptor, body, FORMAT_SEGMENT_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *segment = (struct segment){
        .created = m->created, .kind = (enum blob_kind)m->kind, .part = m->part, .parts = m->parts};
    const char *why = NULL;
    if (!codec_fixed(m->host, segment->host.b, 16) ||
        !codec_ids(m->n_supersedes, m->supersedes, arena, &segment->supersedes))
        why = "a field is missing or of the wrong size";
    else if (m->kind != BLOB_DATA && m->kind != BLOB_META)
        why = "its kind is unknown";
    else if (m->n_supersedes ? !codec_fixed(m->replacement, segment->replacement.b, 16) || m->part >= m->parts
                             : m->replacement.len || m->parts > 1) /* a number was written there once */
        why = "the parts of its replacement do not fit";
    segment->pack_count = m->n_packs;
    segment->packs = arena_alloc_array(arena, m->n_packs, sizeof *segment->packs);
    for (size_t i = 0; i < m->n_packs; i++)
        segment->packs[i] = codec_bytes(m->packs[i]);
    return why ? codec_malformed(err, "an index segment", why) : 0;
}
