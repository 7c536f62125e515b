/* Directory listings as blobs: order, long ones, hostile ones, comparison. */
#include "base/id_map.h"
#include "base/memory.h"
#include "crypto/digest.h"
#include "format/messages.h"
#include "tree/tree.h"

#include "helpers.h"

#include <stdio.h>

static const struct chunker_parameters small = {4096, 16384, 65536};

/* Blobs in memory, under their hash. */
struct blobs {
    struct id_map *places;
    struct buffer list[4096];
    size_t count, fetched;
};

static struct blobs *blobs_new(void)
{
    struct blobs *b = calloc(1, sizeof *b);
    b->places = id_map_new();
    return b;
}

static void blobs_free(struct blobs *b)
{
    for (size_t i = 0; i < b->count; i++)
        buffer_free(&b->list[i]);
    id_map_free(b->places);
    free(b);
}

static int store(void *context, struct bytes blob, struct id *id, struct error *err)
{
    (void)err;
    struct blobs *b = context;
    sha256(blob, id);
    if (!id_map_has(b->places, id) && id_map_put(b->places, id, b->count))
        buffer_append_bytes(&b->list[b->count++], blob);
    return 0;
}

static int fetch(void *context, const struct id *id, struct buffer *out, struct error *err)
{
    struct blobs *b = context;
    uint64_t at;
    b->fetched++;
    if (!id_map_get(b->places, id, &at))
        return error_set(err, ERROR_NOT_FOUND, "no such blob");
    buffer_append_bytes(out, buffer_bytes(&b->list[at]));
    return 0;
}

static struct node file_node(const char *name, uint64_t seed, struct extent *content)
{
    *content = (struct extent){.blob = some_id(seed), .length = 10};
    return (struct node){
        .name = bytes_of_string(name), .type = NODE_FILE, .mode = 0644, .size = 10, .content = {content, 1}};
}

static struct extents store_all(struct blobs *b, struct node *nodes, size_t count, struct arena *arena)
{
    uint8_t table[2048];
    struct error err;
    struct extents out;
    repeatable_bytes(table, sizeof table, 1);
    struct chunker *chunker = chunker_new(&small, table);
    MUST(tree_store(nodes, count, chunker, &small, store, b, arena, &out, &err));
    chunker_free(chunker);
    return out;
}

START_TEST(entries_are_sorted_by_their_bytes)
{
    static const char *const names[] = {"b", "\xff", "a", "a.b", "B", "ab"}, *const sorted[] = {
                                                                                 "B",  "a", "a.b",
                                                                                 "ab", "b", "\xff"};
    struct blobs *b = blobs_new();
    struct arena arena = {0};
    struct node nodes[6];
    struct extent content[6];
    struct tree tree;
    struct error err;
    for (size_t i = 0; i < 6; i++)
        nodes[i] = file_node(names[i], i, &content[i]);
    struct extents pieces = store_all(b, nodes, 6, &arena);
    ck_assert_uint_eq(pieces.count, 1);
    MUST(tree_fetch(&pieces, false, fetch, b, &tree, &err));
    ck_assert_uint_eq(tree.count, 6);
    for (size_t i = 0; i < 6; i++) {
        ck_assert(bytes_equal(tree.nodes[i].name, bytes_of_string(sorted[i])));
        ck_assert_ptr_eq(tree_node_by_name(&tree, bytes_of_string(sorted[i])), &tree.nodes[i]);
    }
    ck_assert_ptr_null(tree_node_by_name(&tree, bytes_of_string("abc")));
    tree_free(&tree);
    nodes[1].name = nodes[0].name;
    struct extents out;
    REFUSES(ERROR_FAILED, tree_store(nodes, 6, NULL, &small, store, b, &arena, &out, &err));
    arena_free(&arena);
    blobs_free(b);
}
END_TEST

static struct extents long_listing(struct blobs *b, size_t count, bool extra, struct arena *arena)
{
    struct node *nodes = memory_alloc_array(count + 1, sizeof *nodes);
    struct extent *content = memory_alloc_array(count + 1, sizeof *content);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%06zu", i);
        nodes[i] = file_node(arena_copy_string(arena, name), i, &content[i]);
    }
    nodes[count] = file_node("aaa", 1, &content[count]);
    struct extents out = store_all(b, nodes, count + extra, arena);
    free(nodes);
    free(content);
    return out;
}

START_TEST(a_long_listing_is_cut_so_that_a_change_moves_little)
{
    struct blobs *b = blobs_new();
    struct arena arena = {0};
    struct tree tree;
    struct error err;
    struct extents one = long_listing(b, 10000, false, &arena);
    ck_assert_uint_gt(one.count, 10);
    for (size_t i = 0; i < one.count; i++)
        ck_assert_uint_le(one.list[i].length, small.max);
    size_t before = b->count;
    struct extents other = long_listing(b, 10000, true, &arena); /* one entry more, at the front */
    ck_assert_uint_le(b->count - before, 3);
    MUST(tree_fetch(&other, false, fetch, b, &tree, &err));
    ck_assert_uint_eq(tree.count, 10001);
    tree_free(&tree);
    /* A piece left out or swapped is noticed. */
    other.count--;
    ck_assert_int_ne(tree_fetch(&other, false, fetch, b, &tree, &err), 0);
    other.list[0].length++;
    REFUSES(ERROR_INTEGRITY, tree_fetch(&other, false, fetch, b, &tree, &err));
    ck_assert_ptr_null(tree.nodes);
    arena_free(&arena);
    blobs_free(b);
}
END_TEST

START_TEST(a_listing_of_the_smallest_entries_is_read_back)
{
    enum { MANY = 100000 };
    struct blobs *b = blobs_new();
    struct arena arena = {0};
    struct node *nodes = memory_alloc_array(MANY, sizeof *nodes);
    struct tree tree;
    struct error err;
    for (unsigned i = 0; i < MANY; i++) {
        uint8_t name[3] = {(uint8_t)(48 + i % 64), (uint8_t)(48 + i / 64 % 64), (uint8_t)(48 + i / 4096)};
        nodes[i] = (struct node){.name = arena_copy(&arena, bytes_of(name, 3)), .type = NODE_FILE};
    }
    struct extents pieces = store_all(b, nodes, MANY, &arena);
    MUST(tree_fetch(&pieces, false, fetch, b, &tree, &err));
    ck_assert_uint_eq(tree.count, MANY);
    tree_free(&tree);
    free(nodes);
    arena_free(&arena);
    blobs_free(b);
}
END_TEST

START_TEST(an_empty_listing_is_no_piece)
{
    struct blobs *b = blobs_new();
    struct arena arena = {0};
    struct tree tree;
    struct error err;
    struct extents none = store_all(b, NULL, 0, &arena);
    ck_assert_uint_eq(none.count, 0);
    ck_assert_uint_eq(b->count, 0);
    MUST(tree_fetch(&none, false, fetch, b, &tree, &err));
    ck_assert_uint_eq(tree.count, 0);
    tree_free(&tree);
    blobs_free(b);
}
END_TEST

static int decode(const struct node *nodes, size_t count, bool root_names, struct error *err)
{
    struct buffer listing = {0};
    struct arena arena = {0};
    struct node *out;
    size_t n;
    tree_encode(nodes, count, &listing);
    int code = tree_decode(buffer_bytes(&listing), root_names, &arena, &out, &n, err);
    arena_free(&arena);
    buffer_free(&listing);
    return code;
}

START_TEST(hostile_names_are_refused)
{
    static const struct {
        const char *name;
        size_t size;
    } bad[] = {{"", 0},     {".", 1},    {"..", 2},   {"a/b", 3}, {"/", 1},
               {"/etc", 4}, {"../x", 4}, {"a\0b", 3}, {"x/..", 4}},
      good[] = {{"...", 3}, {".x", 2}, {"..x", 3}, {"\xff\xfe", 2}, {"a\nb", 3}, {" ", 1}, {"\\", 1}},
      bad_root[] = {{"", 0},        {".", 1},      {"..", 2},  {"/srv/../etc", 11},
                    {"/srv/..", 7}, {"../etc", 6}, {"a\0b", 3}},
      good_root[] = {{"/", 1}, {"/srv/www", 8}, {"dump.sql", 8}, {"/srv/..x/.y", 11}};
    struct error err;
    char longest[NODE_NAME_MAX + 1];
    memset(longest, 'x', sizeof longest);
    struct node node = {.type = NODE_FIFO};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        node.name = bytes_of(bad[i].name, bad[i].size);
        ck_assert_msg(decode(&node, 1, false, &err) == ERROR_INTEGRITY, "%s", bad[i].name);
    }
    for (size_t i = 0; i < sizeof bad_root / sizeof *bad_root; i++) {
        node.name = bytes_of(bad_root[i].name, bad_root[i].size);
        ck_assert_msg(decode(&node, 1, true, &err) == ERROR_INTEGRITY, "root %s", bad_root[i].name);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        node.name = bytes_of(good[i].name, good[i].size);
        MUST(decode(&node, 1, false, &err));
    }
    for (size_t i = 0; i < sizeof good_root / sizeof *good_root; i++) {
        node.name = bytes_of(good_root[i].name, good_root[i].size);
        MUST(decode(&node, 1, true, &err));
    }
    node.name = bytes_of(longest, NODE_NAME_MAX);
    MUST(decode(&node, 1, false, &err));
    node.name = bytes_of(longest, NODE_NAME_MAX + 1);
    REFUSES(ERROR_INTEGRITY, decode(&node, 1, false, &err));
}
END_TEST

START_TEST(order_and_repetition_are_refused)
{
    struct error err;
    struct node nodes[] = {{.name = bytes_of("a", 1), .type = NODE_FIFO},
                           {.name = bytes_of("b", 1), .type = NODE_FIFO}};
    MUST(decode(nodes, 2, false, &err));
    nodes[1].name = nodes[0].name;
    REFUSES(ERROR_INTEGRITY, decode(nodes, 2, false, &err));
    nodes[0].name = bytes_of("b", 1);
    REFUSES(ERROR_INTEGRITY, decode(nodes, 2, false, &err));
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_refused)
{
    struct error err;
    struct extent content, hole = {.length = 5, .hole = true}, nothing = {.hole = true};
    struct extent endless[] = {{.length = INT64_MAX, .hole = true}, {.length = INT64_MAX, .hole = true}};
    struct xattr unsorted[] = {{bytes_of("user.b", 6), {0}}, {bytes_of("user.a", 6), {0}}},
                 nameless[] = {{{0}, bytes_of("x", 1)}};
    const struct node good = file_node("f", 1, &content);
    const struct bytes name = good.name, x = bytes_of("x", 1), target = bytes_of("a\0b", 3);
    struct node bad[] = {
        {.name = name},
        {.name = name, .type = (enum node_type)8},
        {.name = name, .type = NODE_FIFO, .mode = 010000},
        {.name = name, .type = NODE_FIFO, .mtime_nanoseconds = 1000000000},
        {.name = name, .type = NODE_FILE, .size = 11, .content = good.content},
        {.name = name, .type = NODE_FILE, .size = 10},
        {.name = name, .type = NODE_FILE, .content = {&nothing, 1}},
        {.name = name, .type = NODE_FILE, .size = (uint64_t)-2, .content = {endless, 2}},
        {.name = name, .type = NODE_FIFO, .size = 1},
        {.name = name, .type = NODE_DIRECTORY, .content = good.content},
        {.name = name, .type = NODE_FILE, .subtree = good.content},
        {.name = name, .type = NODE_DIRECTORY, .subtree = {&hole, 1}},
        {.name = name, .type = NODE_SYMLINK},
        {.name = name, .type = NODE_FIFO, .link_target = x},
        {.name = name, .type = NODE_SYMLINK, .link_target = target},
        {.name = name, .type = NODE_DIRECTORY, .hard_link = x},
        {.name = name, .type = NODE_FILE, .size = 10, .hard_link = x, .content = good.content},
        {.name = name, .type = NODE_FIFO, .xattrs = unsorted, .xattr_count = 2},
        {.name = name, .type = NODE_FIFO, .xattrs = nameless, .xattr_count = 1},
    };
    MUST(decode(&good, 1, false, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(decode(&bad[i], 1, false, &err) == ERROR_INTEGRITY, "shape %zu", i);
}
END_TEST

/* ---- comparing and walking ---- */

struct trees {
    struct blobs *blobs;
    struct arena arena;
    struct extents before, after;
};

/* /s/{big/, changed, mode, removed, same, type} and what becomes of it. */
static struct trees *trees_new(void)
{
    struct trees *t = calloc(1, sizeof *t);
    struct extent c[8];
    t->blobs = blobs_new();
    struct node big[] = {file_node("x", 1, &c[0]), file_node("y", 2, &c[1])};
    struct extents below = store_all(t->blobs, big, 2, &t->arena);
    for (int after = 0; after < 2; after++) {
        struct node list[] = {
            {.name = bytes_of_string("big"), .type = NODE_DIRECTORY, .subtree = below},
            file_node("changed", after ? 4 : 3, &c[2]),
            file_node("mode", 5, &c[3]),
            file_node(after ? "added" : "removed", 6, &c[4]),
            file_node("same", 7, &c[5]),
            {.name = bytes_of_string("type"), .type = after ? NODE_FIFO : NODE_DIRECTORY},
        };
        if (!after)
            list[5].subtree = below;
        list[2].mode = after ? 0600 : 0644;
        struct extents listing = store_all(t->blobs, list, 6, &t->arena);
        struct node root = {.name = bytes_of_string("/s"), .type = NODE_DIRECTORY, .subtree = listing};
        *(after ? &t->after : &t->before) = store_all(t->blobs, &root, 1, &t->arena);
    }
    return t;
}

static void trees_free(struct trees *t)
{
    blobs_free(t->blobs);
    arena_free(&t->arena);
    free(t);
}

static int note_change(void *context, enum tree_change change, const char *path, const struct node *before,
                       const struct node *after, struct error *err)
{
    (void)err;
    ck_assert(before || after);
    buffer_append_format(context, "%c%s ", "+-cmt"[change], path);
    return 0;
}

START_TEST(a_comparison_reports_each_change_and_reads_no_equal_folder)
{
    struct trees *t = trees_new();
    struct buffer text = {0};
    struct error err;
    MUST(tree_compare(&t->before, &t->after, fetch, t->blobs, note_change, &text, &err));
    ck_assert_str_eq(buffer_string(&text),
                     "+/s/added c/s/changed m/s/mode -/s/removed t/s/type -/s/type/x -/s/type/y ");
    buffer_clear(&text);
    t->blobs->fetched = 0;
    MUST(tree_compare(&t->before, &t->before, fetch, t->blobs, note_change, &text, &err));
    ck_assert_uint_eq(t->blobs->fetched, 0);
    ck_assert_uint_eq(text.size, 0);
    buffer_free(&text);
    trees_free(t);
}
END_TEST

static int note_visit(void *context, const char *path, const struct node *node, struct error *err)
{
    (void)err;
    buffer_append_format(context, "%s ", path);
    return bytes_equal(node->name, bytes_of_string("big")) ? TREE_SKIP : 0;
}

START_TEST(a_walk_goes_in_order_and_skips_what_it_is_told)
{
    struct trees *t = trees_new();
    struct buffer text = {0};
    struct error err;
    MUST(tree_walk(&t->before, fetch, t->blobs, note_visit, &text, &err));
    ck_assert_str_eq(buffer_string(&text),
                     "/s /s/big /s/changed /s/mode /s/removed /s/same /s/type /s/type/x /s/type/y ");
    buffer_free(&text);
    trees_free(t);
}
END_TEST

START_TEST(a_path_is_found_below_its_source)
{
    struct trees *t = trees_new();
    struct node node;
    struct error err;
    const struct id second = some_id(2);
    MUST(tree_find(&t->before, "/s/big/y", fetch, t->blobs, &t->arena, &node, &err));
    ck_assert(bytes_equal(node.name, bytes_of_string("y")));
    ck_assert(id_equal(&node.content.list[0].blob, &second));
    MUST(tree_find(&t->before, "/s", fetch, t->blobs, &t->arena, &node, &err));
    static const char *const absent[] = {"", "/", "/s/bi", "/s/big/z", "/s/changed/x", "/sx", "s"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert_msg(tree_find(&t->before, absent[i], fetch, t->blobs, &t->arena, &node, &err) ==
                          ERROR_NOT_FOUND,
                      "%s", absent[i]);
    trees_free(t);
}
END_TEST

RUN_TESTS("tree", entries_are_sorted_by_their_bytes, a_long_listing_is_cut_so_that_a_change_moves_little,
          a_listing_of_the_smallest_entries_is_read_back, an_empty_listing_is_no_piece,
          hostile_names_are_refused, order_and_repetition_are_refused, shapes_that_do_not_fit_are_refused,
          a_comparison_reports_each_change_and_reads_no_equal_folder,
          a_walk_goes_in_order_and_skips_what_it_is_told, a_path_is_found_below_its_source)
