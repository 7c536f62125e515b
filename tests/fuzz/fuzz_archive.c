/*
 * Archives as sources. The first byte says in what portions the archive comes. What the reader gives is what
 * the backup op stores: a listing of it must be one that a restore accepts.
 */
#include "fuzz.h"
#include "source/archive_reader.h"

#define MEMBERS_MAX 64
#define CONTENT_MAX (1u << 20)

struct input {
    struct reader reader;
    size_t portion;
};

static int fetch(void *context, void *to, size_t size, size_t *done, struct error *err)
{
    (void)err;
    struct input *input = context;
    size_t left = input->reader.size - input->reader.at;
    *done = size < left ? size : left;
    if (*done > input->portion)
        *done = input->portion;
    reader_copy(&input->reader, to, *done);
    return 0;
}

static void on_warning(void *context, const char *message)
{
    (void)context;
    must(message[0] != '\0');
}

static void read_content(struct archive_reader *reader)
{
    static uint8_t data[64 * 1024];
    struct error err = {0};
    struct source_run run;
    uint64_t total = 0;
    do {
        if (!worked(archive_reader_data(reader, data, sizeof data, &run, &err), &err))
            return;
        must(run.hole || run.length <= sizeof data);
        total += run.length;
        must(total <= INT64_MAX);
    } while (run.length && total < CONTENT_MAX);
}

/* Each component of a path could be an entry, the last one with all that the member has. */
static void check_member(struct arena *arena, struct archive_member *member)
{
    struct error err = {0};
    struct buffer listing = {0};
    struct node *nodes, node = member->node;
    struct extent hole = {.length = node.size, .hole = true};
    size_t count, start = member->path.size;
    if (node.type == NODE_FILE && node.hard_link.size == 0 && node.size > 0)
        node.content = (struct extents){&hole, 1};
    else
        node.size = 0;
    for (size_t i = 0; i < member->path.size; i++)
        if (member->path.data[i] == '/')
            must(i > 0 && member->path.data[i - 1] != '/');
    while (start > 0 && member->path.data[start - 1] != '/')
        start--;
    node.name = bytes_of(member->path.data + start, member->path.size - start);
    if (node.name.size) {
        tree_encode(&node, 1, &listing);
        must(tree_decode(buffer_bytes(&listing), false, arena, &nodes, &count, &err) == 0);
    }
    buffer_free(&listing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct archive_reader *reader;
    struct archive_member member;
    if (size == 0)
        return 0;
    struct input input = {reader_of(behind_first(data, size)), data[0] ? data[0] * (size_t)64 : 1};
    if (!worked(archive_reader_new(fetch, &input, on_warning, NULL, &reader, &err), &err))
        return 0;
    bool more = true;
    for (int i = 0; i < MEMBERS_MAX && more; i++) {
        struct arena arena = {0};
        if (!worked(archive_reader_next(reader, &arena, &member, &more, &err), &err))
            more = false;
        if (more) {
            check_member(&arena, &member);
            if (member.node.type == NODE_FILE && i % 4 != 3)
                read_content(reader);
        }
        arena_free(&arena);
    }
    archive_reader_free(reader);
    return 0;
}
