/* Messages: they are those of the vectors, what is written comes back, and nothing else is accepted. Sealing:
 * a changed bit is refused. */
#include "base/arena.h"
#include "crypto/random.h"
#include "format/seal.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err;
static struct secrets secrets;

static struct id id_of(uint8_t first)
{
    struct id id;
    for (size_t i = 0; i < sizeof id.b; i++)
        id.b[i] = (uint8_t)(first + i);
    return id;
}

static struct id16 id16_of(uint8_t first)
{
    struct id16 id;
    memset(id.b, first, sizeof id.b);
    return id;
}

static void begin(void)
{
    memset(&secrets, 0, sizeof secrets);
    secrets.repository = id16_of(7);
    secrets.metadata_generation = secrets.id_generation = 1;
    secrets.bundle.metadata.count = secrets.bundle.ids.count = 1;
    secrets.bundle.metadata.list[0].number = secrets.bundle.ids.list[0].number = 1;
    memset(secrets.bundle.metadata.list[0].secret, 0x11, 32);
    memset(secrets.bundle.ids.list[0].secret, 0x22, 32);
}

/* One message of each kind, with each field set, as in tests/vectors/make.py: made, decoded, encoded again.
 */
struct kind {
    const char *name;
    void (*make)(struct buffer *out);
    int (*again)(struct bytes data, struct buffer *out);
};

static void make_config(struct buffer *out)
{
    struct repository_config c = {.repository = id16_of(1),
                                  .chunk_min = 256 << 10,
                                  .chunk_average = 1 << 20,
                                  .chunk_max = 4 << 20,
                                  .frame_group = 128 << 10,
                                  .pack_size = 16 << 20,
                                  .created = 2};
    config_encode(&c, out);
}

static int again_config(struct bytes data, struct buffer *out)
{
    struct repository_config c;
    int code = config_decode(data, &c, &err);
    if (code == 0)
        config_encode(&c, out);
    return code;
}

static void make_signed(struct buffer *out)
{
    struct signature signatures[2] = {{.signer = id16_of(1)}, {.signer = id16_of(2)}};
    memset(signatures[0].signature, 3, 64);
    memset(signatures[1].signature, 4, 64);
    struct signed_message s = {bytes_of_string("body"), signatures, 2};
    signed_encode(&s, out);
}

static int again_signed(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct signed_message s;
    int code = signed_decode(data, &arena, &s, &err);
    if (code == 0)
        signed_encode(&s, out);
    arena_free(&arena);
    return code;
}

static void make_keyring(struct buffer *out)
{
    const struct id key = id_of(9), other = id_of(10);
    struct bytes public_key = bytes_of(key.b, 32), enc = bytes_of(other.b, 32);
    struct epoch epochs[] = {{3, 0x20, 1, 2, public_key, 4}, {5, 0x20, 1, 2, enc, 6}};
    struct person persons[] = {
        {id16_of(11), "person", ROLE_READER, public_key, enc, bytes_of_string("secrets"), 12}};
    struct host hosts[] = {{.id = id16_of(13),
                            .name = "host",
                            .role = ROLE_WRITE,
                            .public_key = public_key,
                            .dedup_group = "group",
                            .enc = enc,
                            .bundle = bytes_of_string("more"),
                            .added = 14,
                            .removed = true,
                            .last_sequence = 15,
                            .last_manifest = id_of(16)}};
    struct id admin = id_of(17), signing = id_of(18);
    struct keyring k = {.version = 2,
                        .has_previous = true,
                        .previous = id_of(19),
                        .repository = id16_of(20),
                        .config_sha256 = id_of(21),
                        .epochs = epochs,
                        .epoch_count = 2,
                        .metadata_generation = 22,
                        .id_generation = 23,
                        .persons = persons,
                        .person_count = 1,
                        .hosts = hosts,
                        .host_count = 1,
                        .created = 24};
    memcpy(hosts[0].signing_key, signing.b, 32);
    memcpy(k.admin_key, admin.b, 32);
    keyring_encode(&k, out);
}

static int again_keyring(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct keyring k;
    int code = keyring_decode(data, &arena, &k, &err);
    if (code == 0)
        keyring_encode(&k, out);
    arena_free(&arena);
    return code;
}

static void make_bundle(struct buffer *out)
{
    static struct bundle b;
    struct secret_list *lists[] = {&b.metadata, &b.ids, &b.recovery};
    for (uint8_t i = 0; i < 3; i++) {
        lists[i]->count = 2;
        for (uint8_t k = 0; k < 2; k++) {
            struct id secret = id_of((uint8_t)(10 * i + k));
            lists[i]->list[k].number = i + k + 1u;
            memcpy(lists[i]->list[k].secret, secret.b, 32);
        }
    }
    b.has_admin_seed = true;
    memset(b.admin_seed, 5, 32);
    bundle_encode(&b, out);
}

static int again_bundle(struct bytes data, struct buffer *out)
{
    static struct bundle b;
    int code = bundle_decode(data, &b, &err);
    if (code == 0)
        bundle_encode(&b, out);
    return code;
}

static void make_manifest(struct buffer *out)
{
    struct extent root[] = {{.blob = id_of(1), .length = 100}, {.blob = id_of(30), .length = 101}};
    struct bytes sources[] = {bytes_of_string("/srv"), bytes_of_string("/etc")};
    struct id segments[] = {id_of(2), id_of(3)};
    struct seen seen[] = {{id16_of(4), 9}};
    struct manifest m = {.host = id16_of(1),
                         .host_name = "host",
                         .job = "job",
                         .classes = CLASS_DAILY | CLASS_MANUAL,
                         .started = 5,
                         .ended = 6,
                         .root = {root, 2},
                         .statistics = {1, 2, 3, 4, 5, 6, 7, 8, 9},
                         .sources = sources,
                         .source_count = 2,
                         .source_type = "files",
                         .keep = {.daily = 7,
                                  .weekly = 8,
                                  .monthly = 9,
                                  .yearly = 10,
                                  .manual = 11,
                                  .minimum = 12,
                                  .manual_set = true,
                                  .within = 13},
                         .configuration = bytes_of_string("text"),
                         .has_parent = true,
                         .parent = id_of(8),
                         .software = "holdfast 0",
                         .sequence = 2,
                         .has_previous_manifest = true,
                         .previous_manifest = id_of(9),
                         .has_previous_run = true,
                         .previous_run = id_of(11),
                         .keyring_version = 1,
                         .keyring_sha256 = id_of(10),
                         .segments = {segments, 2},
                         .seen = seen,
                         .seen_count = 1};
    manifest_encode(&m, out);
}

static int again_manifest(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct manifest m;
    int code = manifest_decode(data, &arena, &m, &err);
    if (code == 0)
        manifest_encode(&m, out);
    arena_free(&arena);
    return code;
}

static void make_event(struct buffer *out)
{
    struct id ids[] = {id_of(1), id_of(2)}, snapshots[] = {id_of(6)}, events[] = {id_of(7)},
              runs[] = {id_of(8)};
    int64_t checks[] = {9, 1, 10};
    struct frame_ref frames[] = {{id_of(3), 4}};
    struct event e = {.host = id16_of(1),
                      .type = EVENT_CONDEMN,
                      .created = 5,
                      .snapshots = {snapshots, 1},
                      .reason = "expired",
                      .packs = {ids, 2},
                      .events = {events, 1},
                      .runs = {runs, 1},
                      .checks = checks,
                      .check_count = 3,
                      .frames = frames,
                      .frame_count = 1};
    event_encode(&e, out);
}

static int again_event(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct event e;
    int code = event_decode(data, &arena, &e, &err);
    if (code == 0)
        event_encode(&e, out);
    arena_free(&arena);
    return code;
}

static void make_lease(struct buffer *out)
{
    struct lease l = {id16_of(1), id16_of(2), 3, 4, "backup"};
    lease_encode(&l, out);
}

static int again_lease(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct lease l;
    int code = lease_decode(data, &arena, &l, &err);
    if (code == 0)
        lease_encode(&l, out);
    arena_free(&arena);
    return code;
}

static void make_run(struct buffer *out)
{
    const char *warnings[] = {"one", "two"};
    struct run_job jobs[] = {{.job = "files",
                              .classes = CLASS_DAILY | CLASS_MONTHLY,
                              .started = 4,
                              .ended = 6,
                              .exit_status = 3,
                              .message = "",
                              .has_snapshot = true,
                              .snapshot = id_of(7),
                              .statistics = {8, 9, 10, 11, 12, 13, 14, 2, 15},
                              .warnings = warnings,
                              .warning_count = 2},
                             {.job = "database",
                              .classes = CLASS_DAILY,
                              .started = 6,
                              .ended = 6,
                              .exit_status = 1,
                              .message = "the command failed"}};
    struct run_prune prune = {6, 7, 1, "prune", 9, 10, 11, 12, 13, 14};
    struct run_verify verify = {7, 8, 5, "verify", 11, 12, 13, 0xffffffff, 1ull << 32};
    struct run_drill drill = {8, 8, 6, "drill", "files", true, id_of(8), 12, 13};
    struct run_target targets[] = {{"disk", false, "", 13, 14, 15}, {"s3", true, "unreachable", 0, 0, 0}};
    struct run_record r = {.host = id16_of(1),
                           .sequence = 2,
                           .has_previous = true,
                           .interrupted = true,
                           .previous = id_of(3),
                           .command = "run",
                           .message = "job database failed",
                           .software = "holdfast 0",
                           .started = 4,
                           .ended = 8,
                           .exit_status = 1,
                           .jobs = jobs,
                           .job_count = 2,
                           .prune = &prune,
                           .verify = &verify,
                           .drill = &drill,
                           .targets = targets,
                           .target_count = 2};
    run_encode(&r, out);
}

static int again_run(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct run_record r;
    int code = run_decode(data, &arena, &r, &err);
    if (code == 0)
        run_encode(&r, out);
    arena_free(&arena);
    return code;
}

/* A table of contents, or the entry of its pack. */
static void make_index(struct buffer *out, bool entry)
{
    struct blob_entry blobs[] = {{id_of(1), 0, 10}, {id_of(2), 10, 20}, {id_of(3), 0, 50}};
    struct frame_entry frames[] = {
        {.counter = 0, .offset = 100, .stored_length = 46, .raw_length = 30, .blob_count = 2},
        {.slot = 1,
         .counter = 3,
         .offset = 146,
         .stored_length = 40,
         .raw_length = 50,
         .codec = CODEC_ZSTD,
         .first_blob = 2,
         .blob_count = 1}};
    struct contents c = {2, frames, 2, blobs, 3};
    if (entry) {
        struct pack_entry e = {id_of(4), 1000, id16_of(5), 93, 200, c};
        pack_entry_encode(&e, out);
    } else {
        contents_encode(&c, out);
    }
}

static void make_contents(struct buffer *out)
{
    make_index(out, false);
}

static void make_entry(struct buffer *out)
{
    make_index(out, true);
}

static int again_entry(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct pack_entry e;
    int code = pack_entry_decode(data, &arena, &e, &err);
    if (code == 0)
        pack_entry_encode(&e, out);
    arena_free(&arena);
    return code;
}

static int again_contents(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct contents c;
    int code = contents_decode(data, &arena, &c, &err);
    if (code == 0)
        contents_encode(&c, out);
    arena_free(&arena);
    return code;
}

static void make_segment(struct buffer *out)
{
    struct id old[] = {id_of(1)};
    struct bytes packs[] = {bytes_of_string("entry"), bytes_of_string("other")};
    struct segment s = {.host = id16_of(1),
                        .created = 2,
                        .kind = BLOB_META,
                        .supersedes = {old, 1},
                        .part = 1,
                        .parts = 2,
                        .replacement = id16_of(3),
                        .packs = packs,
                        .pack_count = 2};
    segment_encode(&s, out);
}

static int again_segment(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct segment s;
    int code = segment_decode(data, &arena, &s, &err);
    if (code == 0)
        segment_encode(&s, out);
    arena_free(&arena);
    return code;
}

static void make_tree(struct buffer *out)
{
    struct extent content[] = {{.blob = id_of(1), .length = 5}, {.length = 4096, .hole = true}};
    struct extent subtree[] = {{.blob = id_of(2), .length = 7}};
    struct xattr xattrs[] = {{bytes_of_string("user.a"), bytes_of_string("b")},
                             {bytes_of_string("user.b"), bytes_of_string("c")}};
    struct node nodes[] = {
        {.name = bytes_of_string("a"),
         .type = NODE_FILE,
         .mode = 0644,
         .uid = 1000,
         .gid = 1001,
         .user = bytes_of_string("user"),
         .group = bytes_of_string("group"),
         .mtime_seconds = -5,
         .mtime_nanoseconds = 999999999,
         .size = 4101,
         .xattrs = xattrs,
         .xattr_count = 2,
         .flags = 0x10,
         .content = {content, 2}},
        {.name = bytes_of_string("b"), .type = NODE_DIRECTORY, .mode = 0755, .subtree = {subtree, 1}},
        {.name = bytes_of_string("c"), .type = NODE_SYMLINK, .link_target = bytes_of_string("a")},
        {.name = bytes_of_string("d"), .type = NODE_BLOCK_DEVICE, .device_major = 7, .device_minor = 250},
        {.name = bytes_of_string("e"), .type = NODE_FILE, .hard_link = bytes_of_string("a/b")}};
    tree_encode(nodes, 5, out);
}

static int again_tree(struct bytes data, struct buffer *out)
{
    struct arena arena = {0};
    struct node *nodes;
    size_t count;
    int code = tree_decode(data, false, &arena, &nodes, &count, &err);
    if (code == 0)
        tree_encode(nodes, count, out);
    arena_free(&arena);
    return code;
}

static const struct kind kinds[] = {{"config", make_config, again_config},
                                    {"signed", make_signed, again_signed},
                                    {"keyring", make_keyring, again_keyring},
                                    {"bundle", make_bundle, again_bundle},
                                    {"entry", make_entry, again_entry},
                                    {"manifest", make_manifest, again_manifest},
                                    {"event", make_event, again_event},
                                    {"lease", make_lease, again_lease},
                                    {"run", make_run, again_run},
                                    {"contents", make_contents, again_contents},
                                    {"segment", make_segment, again_segment},
                                    {"tree", make_tree, again_tree}};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

START_TEST(what_is_written_comes_back)
{
    const struct kind *k = &kinds[_i];
    struct buffer data = {0}, copy = {0};
    k->make(&data);
    ck_assert_msg(k->again(buffer_bytes(&data), &copy) == 0, "%s: %s", k->name, err.message);
    ck_assert_msg(bytes_equal(buffer_bytes(&data), buffer_bytes(&copy)), "%s is another one", k->name);
    buffer_free(&data);
    buffer_free(&copy);
}
END_TEST

/* Those of the vectors, which another program wrote: each field has its number and its type. */
START_TEST(messages_are_those_of_the_vectors)
{
    const struct kind *k = &kinds[_i];
    char path[4096];
    snprintf(path, sizeof path, "%s/format.json", getenv("TEST_VECTORS"));
    json_t *vectors = json_load_file(path, 0, NULL);
    const char *wanted = json_string_value(json_object_get(json_object_get(vectors, "messages"), k->name));
    ck_assert_msg(wanted != NULL, "%s has no vector", k->name);
    struct buffer data = {0};
    k->make(&data);
    char *found = calloc(1, 2 * data.size + 1);
    hex_encode(data.data, data.size, found);
    ck_assert_str_eq(found, wanted);
    free(found);
    buffer_free(&data);
    json_decref(vectors);
}
END_TEST

/* Cut anywhere or changed anywhere, a message is refused or is some other valid one; never read beyond its
 * end. */
START_TEST(damage_never_reads_too_far)
{
    const struct kind *k = &kinds[_i];
    struct buffer data = {0}, copy = {0};
    k->make(&data);
    for (size_t n = 0; n < data.size; n++) {
        uint8_t *cut = malloc(n + 1); /* so that the sanitizer sees a byte too many */
        memcpy(cut, data.data, n);
        buffer_clear(&copy);
        k->again(bytes_of(cut, n), &copy);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * data.size; bit++) {
        data.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        buffer_clear(&copy);
        k->again(buffer_bytes(&data), &copy);
        data.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_u8(&data, 0xf8); /* field 31, a number: nobody knows it */
    buffer_u8(&data, 0x01);
    buffer_u8(&data, 0x01);
    ck_assert_msg(k->again(buffer_bytes(&data), &copy) != 0, "%s takes an unknown field", k->name);
    buffer_free(&data);
    buffer_free(&copy);
}
END_TEST

/* A listing of one node without and with field 31, of a file whose hole has it. */
START_TEST(unknown_fields_in_parts_of_messages_are_refused)
{
    static const uint8_t known[] = {0x0a, 7, 0x0a, 1, 'a', 0x10, 4, 0x18, 1};
    static const uint8_t node[] = {0x0a, 10, 0x0a, 1, 'a', 0x10, 4, 0x18, 1, 0xf8, 1, 1};
    static const uint8_t hole[] = {0x0a, 15, 0x0a, 1,    'a', 0x10, 1,    0x50, 2,
                                   0x8a, 1,  5,    0x10, 2,   0xf8, 0x01, 1};
    struct arena arena = {0};
    struct node *nodes;
    size_t count;
    ck_assert_int_eq(tree_decode(bytes_of(known, sizeof known), false, &arena, &nodes, &count, &err), 0);
    ck_assert_int_eq(tree_decode(bytes_of(node, sizeof node), false, &arena, &nodes, &count, &err),
                     ERROR_UNSUPPORTED);
    ck_assert_int_eq(tree_decode(bytes_of(hole, sizeof hole), false, &arena, &nodes, &count, &err),
                     ERROR_UNSUPPORTED);
    arena_free(&arena);
}
END_TEST

/* As large backups once wrote them: the number says nothing where nothing is replaced. */
START_TEST(a_segment_that_replaces_none_may_have_a_number)
{
    struct segment s = {.host = id16_of(1), .kind = BLOB_DATA, .part = 3};
    struct buffer data = {0}, copy = {0};
    segment_encode(&s, &data);
    ck_assert_int_eq(again_segment(buffer_bytes(&data), &copy), 0);
    ck_assert_mem_eq(copy.data, data.data, data.size);
    buffer_clear(&data);
    s.parts = 4;
    segment_encode(&s, &data);
    ck_assert_int_eq(again_segment(buffer_bytes(&data), &copy), ERROR_INTEGRITY);
    buffer_free(&data);
    buffer_free(&copy);
}
END_TEST

START_TEST(hostile_listings_are_refused)
{
    static const char *const names[] = {"", ".", "..", "a/b", "/"};
    struct buffer data = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct node node = {.name = bytes_of_string(names[i]), .type = NODE_FIFO};
        buffer_clear(&data);
        tree_encode(&node, 1, &data);
        ck_assert_int_eq(again_tree(buffer_bytes(&data), &data), ERROR_INTEGRITY);
        ck_assert_ptr_nonnull(tree_node_refused(&node, false));
    }
    /* Writers ask what readers will say. */
    char longest[NODE_NAME_MAX + 1];
    memset(longest, 'n', sizeof longest);
    for (size_t more = 0; more < 2; more++) {
        struct node node = {.name = bytes_of(longest, NODE_NAME_MAX + more), .type = NODE_FIFO};
        buffer_clear(&data);
        tree_encode(&node, 1, &data);
        ck_assert_int_eq(again_tree(buffer_bytes(&data), &data), more ? ERROR_INTEGRITY : 0);
        ck_assert_int_eq(tree_node_refused(&node, false) != NULL, more);
    }
    struct node unsorted[] = {{.name = bytes_of_string("b"), .type = NODE_FIFO},
                              {.name = bytes_of_string("a"), .type = NODE_FIFO}};
    buffer_clear(&data);
    tree_encode(unsorted, 2, &data);
    ck_assert_int_eq(again_tree(buffer_bytes(&data), &data), ERROR_INTEGRITY);
    struct node twice[] = {{.name = bytes_of_string("a"), .type = NODE_FIFO},
                           {.name = bytes_of_string("a"), .type = NODE_FIFO}};
    buffer_clear(&data);
    tree_encode(twice, 2, &data);
    ck_assert_int_eq(again_tree(buffer_bytes(&data), &data), ERROR_INTEGRITY);
    buffer_free(&data);
}
END_TEST

static int reread_run(const struct run_record *run)
{
    struct buffer data = {0}, again = {0};
    run_encode(run, &data);
    int code = again_run(buffer_bytes(&data), &again);
    buffer_free(&data);
    buffer_free(&again);
    return code;
}

START_TEST(runs_out_of_bounds_are_refused)
{
    static char longest[RUN_TEXT_MAX + 2];
    static const char *warnings[RUN_WARNINGS_MAX + 1];
    static struct run_job jobs[RUN_JOBS_MAX + 1];
    static struct run_target targets[RUN_TARGETS_MAX + 1];
    memset(longest, 'x', RUN_TEXT_MAX + 1);
    for (size_t i = 0; i <= RUN_WARNINGS_MAX; i++)
        warnings[i] = longest + 1;
    for (size_t i = 0; i <= RUN_JOBS_MAX; i++)
        jobs[i] = (struct run_job){.job = "j", .classes = 1, .warnings = warnings};
    for (size_t i = 0; i <= RUN_TARGETS_MAX; i++)
        targets[i].name = longest + RUN_TEXT_MAX - 255;
    struct run_prune prune = {.message = longest + 1};
    struct run_verify verify = {.span = 1ull << 32};
    struct run_drill drill = {.job = "j"};
    struct run_record run = {.jobs = jobs,
                             .targets = targets,
                             .target_count = RUN_TARGETS_MAX,
                             .prune = &prune,
                             .verify = &verify,
                             .drill = &drill};
    run.job_count = RUN_JOBS_MAX;
    jobs[0].warning_count = RUN_WARNINGS_MAX;
    ck_assert_int_eq(reread_run(&run), 0);
#define REFUSED(field, bad)                                                                                  \
    do {                                                                                                     \
        __typeof__(field) before = (field);                                                                  \
        (field) = (bad);                                                                                     \
        ck_assert_msg(reread_run(&run) == ERROR_INTEGRITY, #field);                                          \
        (field) = before;                                                                                    \
    } while (0)
    REFUSED(run.job_count, RUN_JOBS_MAX + 1);
    REFUSED(run.target_count, RUN_TARGETS_MAX + 1);
    REFUSED(run.ended, -1);
    REFUSED(run.message, longest);
    REFUSED(run.message, "two\nlines");
    REFUSED(jobs[0].warning_count, RUN_WARNINGS_MAX + 1);
    REFUSED(jobs[0].classes, 0);
    REFUSED(jobs[0].job, "");
    REFUSED(jobs[0].started, 1);
    REFUSED(warnings[1], longest);
    REFUSED(targets[0].name, longest);
    REFUSED(prune.message, longest);
    REFUSED(verify.span, (1ull << 32) + 1);
    REFUSED(drill.job, longest);
    ck_assert_int_eq(reread_run(&run), 0);
}
END_TEST

START_TEST(tables_of_contents_that_lie_are_refused)
{
    struct blob_entry blob = {id_of(1), 0, 30};
    const struct frame_entry good = {.offset = 100, .stored_length = 46, .raw_length = 30, .blob_count = 1};
    struct frame_entry bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = good;
    bad[0].slot = 1;
    bad[1].raw_length = 0;
    bad[2].stored_length = 16;
    bad[3].codec = 9;
    bad[4].offset = UINT32_MAX - 10;
    bad[5].blob_count = 2;
    bad[6].stored_length = bad[6].raw_length = 20; /* the blob is longer than that */
    for (size_t i = 0; i < 7; i++) {
        struct contents c = {1, &bad[i], 1, &blob, 1};
        struct buffer data = {0};
        contents_encode(&c, &data);
        ck_assert_msg(again_contents(buffer_bytes(&data), &data) == ERROR_INTEGRITY, "case %zu", i);
        buffer_free(&data);
    }
    struct blob_entry blobs[] = {{id_of(1), 0, 30}, {id_of(2), 0, 30}};
    struct frame_entry twice[] = {good, good};
    twice[1].offset = 146;
    twice[1].first_blob = 1;
    struct contents c = {1, twice, 2, blobs, 2};
    struct buffer data = {0};
    contents_encode(&c, &data);
    ck_assert_int_eq(again_contents(buffer_bytes(&data), &data),
                     ERROR_INTEGRITY); /* one counter, two frames */
    buffer_free(&data);
}
END_TEST

START_TEST(a_sealed_object_with_any_bit_changed_is_refused)
{
    struct buffer sealed = {0}, plain = {0};
    struct bytes text = bytes_of_string("what is sealed");
    ck_assert_int_eq(seal_object(&secrets, OBJECT_EVENT, NULL, text, &sealed, &err), 0);
    ck_assert_int_eq(unseal_object(&secrets, OBJECT_EVENT, NULL, buffer_bytes(&sealed), &plain, &err), 0);
    ck_assert(bytes_equal(buffer_bytes(&plain), text));
    for (size_t bit = 0; bit < 8 * sealed.size; bit++) {
        sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(unseal_object(&secrets, OBJECT_EVENT, NULL, buffer_bytes(&sealed), &plain, &err) != 0,
                      "bit %zu", bit);
        sealed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < sealed.size; n++)
        ck_assert(unseal_object(&secrets, OBJECT_EVENT, NULL, bytes_of(sealed.data, n), &plain, &err) != 0);
    struct id bound = id_of(1);
    ck_assert(unseal_object(&secrets, OBJECT_LEASE, NULL, buffer_bytes(&sealed), &plain, &err) != 0);
    ck_assert(unseal_object(&secrets, OBJECT_EVENT, &bound, buffer_bytes(&sealed), &plain, &err) != 0);
    secrets.repository.b[0] ^= 1;
    ck_assert(unseal_object(&secrets, OBJECT_EVENT, NULL, buffer_bytes(&sealed), &plain, &err) != 0);
    buffer_free(&sealed);
    buffer_free(&plain);
}
END_TEST

START_TEST(a_newer_version_is_named_as_such)
{
    struct buffer sealed = {0}, plain = {0};
    ck_assert_int_eq(seal_object(&secrets, OBJECT_EVENT, NULL, bytes_of_string("x"), &sealed, &err), 0);
    sealed.data[5] = 9;
    ck_assert_int_eq(unseal_object(&secrets, OBJECT_EVENT, NULL, buffer_bytes(&sealed), &plain, &err),
                     ERROR_UNSUPPORTED);
    ck_assert(strstr(err.hint, "newer") != NULL);
    buffer_free(&sealed);
}
END_TEST

START_TEST(salts_differ_even_if_random_numbers_repeat)
{
    uint8_t random[32] = {0};
    struct buffer a = {0}, b = {0};
    ck_assert_int_eq(seal_object_with(&secrets, OBJECT_EVENT, NULL, bytes_of_string("a"), random, &a, &err),
                     0);
    ck_assert_int_eq(seal_object_with(&secrets, OBJECT_EVENT, NULL, bytes_of_string("b"), random, &b, &err),
                     0);
    ck_assert(memcmp(a.data + 28, b.data + 28, 32) != 0);
    buffer_free(&a);
    buffer_free(&b);
}
END_TEST

START_TEST(names_of_objects_are_read_strictly)
{
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const good[] = {"index/%s",
                                       "packs/01/%s",
                                       "keys/1-%s",
                                       "snapshots/20261124T030000Z-%s",
                                       "events/20261124T030000Z-%s",
                                       "keys/p-000102030405060708090a0b0c0d0e0f-%s"};
    static const char *const bad[] = {
        "index/%sa",   "packs/02/%s", "keys/01-%s",         "keys/-%s",
        "index//%s",   "Index/%s",    "keys/4294967296-%s", "snapshots/20261324T030000Z-%s",
        "../index/%s", "events/%s"};
    struct object_name name;
    char text[OBJECT_NAME_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, good[i], hex);
        ck_assert_msg(object_name_parse(text, &name), "%s", text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, bad[i], hex);
        ck_assert_msg(!object_name_parse(text, &name), "%s", text);
    }
    ck_assert(object_name_parse("config", &name) && !object_name_parse("config2", &name) &&
              !object_name_parse("", &name));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *tcase = tcase_create("format");
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_loop_test(tcase, messages_are_those_of_the_vectors, 0, KINDS);
    tcase_add_loop_test(tcase, what_is_written_comes_back, 0, KINDS);
    tcase_add_loop_test(tcase, damage_never_reads_too_far, 0, KINDS);
    tcase_add_test(tcase, unknown_fields_in_parts_of_messages_are_refused);
    tcase_add_test(tcase, a_segment_that_replaces_none_may_have_a_number);
    tcase_add_test(tcase, hostile_listings_are_refused);
    tcase_add_test(tcase, runs_out_of_bounds_are_refused);
    tcase_add_test(tcase, tables_of_contents_that_lie_are_refused);
    tcase_add_test(tcase, a_sealed_object_with_any_bit_changed_is_refused);
    tcase_add_test(tcase, a_newer_version_is_named_as_such);
    tcase_add_test(tcase, salts_differ_even_if_random_numbers_repeat);
    tcase_add_test(tcase, names_of_objects_are_read_strictly);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
