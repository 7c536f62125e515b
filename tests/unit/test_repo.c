/* A repository on two local targets, without the ops: what is written is known, found, copied and guarded. */
#include "repo/blob_writer.h"
#include "repo/internal.h"
#include "repo/runs.h"
#include "repo/snapshot_name.h"
#include "repo/snapshot_writer.h"
#include "repository_on_disk.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A tree in 5000 bytes, of one node, which carries most of the random bytes that are there. */
static void make_tree(uint8_t blob[5000])
{
    struct buffer tree = {0};
    struct xattr xattr = {.name = bytes_of_string("user.x"), .value = bytes_of(blob, 4900)};
    struct node node = {
        .name = bytes_of_string("fifo"), .type = NODE_FIFO, .xattrs = &xattr, .xattr_count = 1};
    tree_encode(&node, 1, &tree);
    ck_assert_uint_lt(tree.size, 5000);
    xattr.value.size += 5000 - tree.size;
    tree.size = 0;
    tree_encode(&node, 1, &tree);
    ck_assert_uint_eq(tree.size, 5000);
    memcpy(blob, tree.data, 5000);
    buffer_free(&tree);
}

/* A blob of 5000 bytes of a seed; its id in *id. */
static void make_blob(struct repository *r, enum blob_kind kind, uint64_t seed, uint8_t blob[5000],
                      struct id *id)
{
    struct blob_hasher *hasher = blob_hasher_new(repository_secrets(r));
    repeatable_bytes(blob, 5000, seed);
    if (kind == BLOB_META)
        make_tree(blob);
    blob_hasher_run(hasher, kind, bytes_of(blob, 5000), id);
    blob_hasher_free(hasher);
}

/* Stores data blob 1 and meta blob 2 and commits. */
static void store_blobs(struct repository *r, struct id *data, struct id *meta)
{
    uint8_t blob[5000];
    struct blob_writer *writer;
    bool store, known;
    uint64_t fresh, stored;
    MUST(blob_writer_new(r, &writer, &err));
    struct blob_group *group = blob_group_new(writer, BLOB_DATA);
    make_blob(r, BLOB_DATA, 1, blob, data);
    MUST(blob_writer_knows(writer, data, &known, &err));
    ck_assert(!known);
    MUST(blob_writer_claim(writer, data, &store, &err));
    ck_assert(store);
    MUST(blob_writer_claim(writer, data, &store, &err));
    ck_assert_msg(!store, "a blob was claimed twice");
    MUST(blob_group_add(group, 0, data, bytes_of(blob, sizeof blob), &err));
    MUST(blob_group_flush(group, &err));
    make_blob(r, BLOB_META, 2, blob, meta);
    MUST(blob_writer_store_tree(writer, bytes_of(blob, sizeof blob), meta, &err));
    MUST(blob_writer_commit(writer, &err));
    MUST(blob_writer_claim(writer, data, &store, &err));
    ck_assert(!store);
    blob_writer_totals(writer, &fresh, &stored);
    ck_assert_uint_eq(fresh, 5000);
    ck_assert_uint_ge(stored, 10000);
    blob_group_free(group);
    blob_writer_free(writer);
}

/* A snapshot with the meta blob as its tree. */
static void write_snapshot(struct repository *r, const struct id *meta, struct id *id)
{
    struct extent root = {.blob = *meta, .length = 5000};
    struct manifest m = {.job = "files",
                         .classes = CLASS_DAILY,
                         .started = 1795000000,
                         .ended = 1795000000,
                         .root = {&root, 1},
                         .source_type = "files"};
    MUST(snapshot_write(r, &m, id, &err));
}

/* The names below a folder of a target; the last one in `name`. */
static size_t count_objects(int target, const char *below, char name[256])
{
    char path[200];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", paths[target], below);
    DIR *list = opendir(path);
    for (const struct dirent *e; list && (e = readdir(list)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        count++;
        if (name)
            snprintf(name, 256, "%s", e->d_name);
    }
    if (list)
        closedir(list);
    return count;
}

static void damage(int target, const char *object)
{
    shell("chmod u+w target%d/%s && printf XX | dd of=target%d/%s bs=1 seek=70 conv=notrunc 2>/dev/null",
          target + 1, object, target + 1, object);
}

START_TEST(a_repository_is_made_on_every_target_and_once_only)
{
    struct stat st;
    shell("cmp target1/config target2/config; test $(ls target1/keys) = $(ls target2/keys)");
    ck_assert_int_eq(stat(host_key_file, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    REFUSES(ERROR_EXISTS, create());
    ck_assert(err.hint[0]);
    struct repository *r = open_synced(REPOSITORY_READ);
    ck_assert_str_eq(repository_host(r)->name, "web");
    ck_assert(repository_may_prune(r) && !repository_can_read_contents(r));
    ck_assert_uint_eq(repository_active_mask(r), 3);
    ck_assert_uint_eq(repository_damage(r), 0);
    repository_close(r);
}
END_TEST

START_TEST(blobs_are_stored_once_and_known_on_every_target)
{
    struct id data, meta;
    struct buffer out = {0};
    uint8_t blob[5000];
    struct person_key person;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    repository_close(r);
    for (int again = 0; again < 2; again++) { /* then without what this machine remembers */
        struct index_copies copies = {0};
        struct blob_location locations[BLOB_COPIES_MAX];
        size_t count;
        bool known;
        r = open_synced(REPOSITORY_READ);
        for (uint32_t mask = 1; mask <= 3; mask++) {
            MUST(index_knows(r, &data, mask, &known, &err));
            ck_assert_msg(known, "not on targets %u", mask);
        }
        MUST(index_copies(r, &data, &copies, &err));
        ck_assert_uint_eq(copies.count, 1);
        free(copies.list);
        MUST(blobs_locate(r, &meta, locations, &count, &err));
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(locations[0].length, 5000);
        buffer_clear(&out);
        MUST(blobs_read(r, BLOB_META, &meta, &out, &err));
        struct id same;
        make_blob(r, BLOB_META, 2, blob, &same);
        ck_assert(id_equal(&same, &meta));
        ck_assert(bytes_equal(buffer_bytes(&out), bytes_of(blob, sizeof blob)));
        REFUSES(ERROR_DENIED, blobs_read(r, BLOB_DATA, &data, &out, &err));
        struct id nobody = some_id(9);
        MUST(index_knows(r, &nobody, 1, &known, &err));
        ck_assert(!known);
        REFUSES(ERROR_INTEGRITY, blobs_read(r, BLOB_META, &nobody, &out, &err));
        repository_close(r);
        shell("rm -r state");
    }
    read_person(&person);
    MUST(try_open(REPOSITORY_READ, &person, &r));
    MUST(repository_sync(r, &err));
    ck_assert(repository_can_read_contents(r));
    buffer_clear(&out);
    MUST(blobs_read(r, BLOB_DATA, &data, &out, &err));
    repeatable_bytes(blob, sizeof blob, 1);
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of(blob, sizeof blob)));
    repository_close(r);
    buffer_free(&out);
}
END_TEST

/* The id of what a name means; NULL: nothing. */
static const struct id *chosen(const struct snapshot_list *list, const struct repository *r, const char *text)
{
    struct snapshot_name name;
    const struct snapshot **choices;
    MUST(snapshot_name_parse(text, &name, &err));
    size_t count = snapshots_choose(list, r, &name, &choices);
    ck_assert_uint_le(count, 1);
    const struct id *id = count ? &choices[0]->sha256 : NULL;
    free(choices);
    snapshot_name_free(&name);
    return id;
}

START_TEST(manifests_are_chained_and_make_snapshots)
{
    struct id data, meta, first, second;
    struct snapshot_list list;
    const struct snapshot *found;
    char hex[ID_HEX_SIZE];
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    write_snapshot(r, &meta, &first);
    write_snapshot(r, &meta, &second);
    repository_close(r);
    r = open_synced(REPOSITORY_READ);
    MUST(snapshots_load(r, &list, &err));
    ck_assert_uint_eq(list.count, 2);
    const struct manifest *m = &list.list[1].manifest;
    ck_assert(id_equal(&list.list[0].sha256, &first) && id_equal(&list.list[1].sha256, &second));
    ck_assert_uint_eq(list.list[0].manifest.sequence, 1);
    ck_assert(!list.list[0].manifest.has_previous_manifest);
    ck_assert_uint_eq(m->sequence, 2);
    ck_assert(m->has_previous_manifest && id_equal(&m->previous_manifest, &first));
    ck_assert_uint_eq(m->segments.count, 2);
    ck_assert_uint_eq(m->seen_count, 1);
    ck_assert_uint_eq(m->seen[0].sequence, 1);
    ck_assert_str_eq(m->host_name, "web");
    ck_assert_uint_eq(list.list[1].targets, 3);
    ck_assert(id_equal(chosen(&list, r, "web/files:daily"), &second));
    id_to_hex(&first, hex);
    hex[12] = '\0';
    MUST(snapshots_find_id(&list, hex, &found, &err));
    ck_assert(id_equal(&found->sha256, &first));
    MUST(snapshots_find_id(&list, "latest", &found, &err));
    ck_assert_ptr_null(found);
    ck_assert_ptr_null(chosen(&list, r, "files:weekly"));
    ck_assert_ptr_null(chosen(&list, r, "db/files:daily"));
    ck_assert(id_equal(chosen(&list, r, ":daily"), &second));
    list.list[0].manifest.sequence = 3; /* taken last, by a clock that was ahead before */
    ck_assert(id_equal(chosen(&list, r, "latest"), &first));
    ck_assert(id_equal(chosen(&list, r, "files@9999-01-01"), &second));
    ck_assert(id_equal(chosen(&list, r, "web/@9999-01-01"), &second));
    snapshots_free(&list);
    repository_close(r);
}
END_TEST

static void check_snapshots(size_t count, bool pinned)
{
    struct snapshot_list list;
    struct repository *r = open_synced(REPOSITORY_READ);
    MUST(snapshots_load(r, &list, &err));
    ck_assert_uint_eq(list.count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(list.list[i].pinned, pinned);
    snapshots_free(&list);
    repository_close(r);
}

START_TEST(events_pin_and_forget)
{
    struct id data, meta, id;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    write_snapshot(r, &meta, &id);
    repository_close(r);
    static const struct {
        int what; /* 1 pins, 0 unpins, -1 forgets */
        size_t count;
        bool pinned;
    } steps[] = {{1, 1, true}, {0, 1, false}, {1, 1, true}, {-1, 0, false}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        r = open_synced(REPOSITORY_WRITE);
        if (steps[i].what < 0)
            MUST(snapshots_forget(r, &id, 1, "test", &err));
        else
            MUST(snapshots_pin(r, &id, 1, steps[i].what, &err));
        repository_close(r);
        check_snapshots(steps[i].count, steps[i].pinned);
        ck_assert_uint_eq(count_objects(0, "events", NULL), i + 1);
        ck_assert_uint_eq(count_objects(1, "events", NULL), i + 1);
    }
}
END_TEST

/* Lists a pack of the most blobs a pack may have, ids from `seed` on, in the catalog alone. */
static uint64_t list_large_pack(struct repository *r, uint64_t seed)
{
    static struct id ids[PACK_BLOBS_MAX];
    static struct blob_entry blobs[PACK_BLOBS_MAX];
    struct buffer entry = {0};
    uint64_t number;
    for (uint32_t i = 0; i < PACK_BLOBS_MAX; i++) {
        ids[i] = some_id(seed + i);
        blobs[i] = (struct blob_entry){.id = ids[i], .offset = i, .length = 1};
    }
    struct frame_entry frame = {.offset = 1000,
                                .stored_length = PACK_BLOBS_MAX + 16,
                                .raw_length = PACK_BLOBS_MAX,
                                .codec = CODEC_RAW,
                                .blob_count = PACK_BLOBS_MAX};
    struct pack_entry e = {.sha256 = some_id(seed),
                           .size = 4u << 20,
                           .author = r->host_key.host,
                           .contents = {1, &frame, 1, blobs, PACK_BLOBS_MAX}};
    struct catalog_pack pack = {.sha256 = e.sha256,
                                .kind = BLOB_DATA,
                                .size = e.size,
                                .author = e.author,
                                .blob_count = PACK_BLOBS_MAX};
    pack_entry_encode(&e, &entry);
    MUST(catalog_add_pack(r->catalog, &pack, buffer_bytes(&entry), ids, &number, &err));
    buffer_free(&entry);
    return number;
}

START_TEST(packs_of_many_blobs_take_several_segments_that_are_read_back)
{
    uint64_t packs[3];
    struct index_copies copies = {0};
    struct repository *r = open_synced(REPOSITORY_WRITE);
    for (size_t i = 0; i < 3; i++)
        packs[i] = list_large_pack(r, 1000000 * (i + 1));
    MUST(segments_queue(r, BLOB_DATA, packs, 3, NULL, &err));
    MUST(segments_settle(r, &err));
    for (int replaced = 0; replaced < 2; replaced++) {
        struct id old[8];
        struct id_list supersedes = {old, 0};
        size_t written = count_objects(0, "index", NULL);
        ck_assert_uint_ge(written, replaced ? 4 : 2);
        repository_close(r);
        shell("rm -r state"); /* what this machine remembers */
        r = open_synced(REPOSITORY_WRITE);
        ck_assert_uint_eq(repository_damage(r), 0);
        ck_assert_uint_eq(r->segment_count, written);
        for (size_t i = 0; i < 3; i++) {
            struct id last = some_id(1000000 * (i + 1) + PACK_BLOBS_MAX - 1);
            MUST(index_copies(r, &last, &copies, &err));
            ck_assert_uint_eq(copies.count, 1);
            packs[i] = copies.list[0].pack;
        }
        for (size_t i = 0; i < r->segment_count; i++) {
            ck_assert_int_eq(r->segments[i].obsolete, replaced && r->segments[i].supersedes.count == 0);
            if (!replaced)
                old[supersedes.count++] = r->segments[i].sha256;
        }
        if (!replaced) {
            MUST(segments_queue(r, BLOB_DATA, packs, 3, &supersedes, &err));
            MUST(segments_settle(r, &err));
        }
    }
    free(copies.list);
    repository_close(r);
}
END_TEST

START_TEST(a_condemned_pack_counts_as_absent)
{
    struct id data, meta;
    struct index_copies copies = {0};
    bool known;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    MUST(index_copies(r, &data, &copies, &err));
    struct catalog_pack pack;
    MUST(catalog_pack_by_number(repository_catalog(r), copies.list[0].pack, &pack, &err));
    struct event event = {.type = EVENT_CONDEMN, .reason = "test", .packs = {&pack.sha256, 1}};
    MUST(event_write(r, &event, &err));
    MUST(repository_sync(r, &err));
    MUST(index_knows(r, &data, 3, &known, &err));
    ck_assert(!known);
    MUST(index_knows(r, &meta, 3, &known, &err));
    ck_assert(known);
    free(copies.list);
    repository_close(r);
}
END_TEST

START_TEST(records_that_nobody_could_read_are_not_written)
{
    static char name[300], reason[100000];
    struct id data, meta, id;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    memset(name, 'n', sizeof name - 1);
    struct extent root = {.blob = meta, .length = 5000};
    struct manifest m = {.job = name,
                         .classes = CLASS_DAILY,
                         .started = 1795000000,
                         .ended = 1795000000,
                         .root = {&root, 1},
                         .source_type = "files"};
    REFUSES(ERROR_FAILED, snapshot_write(r, &m, &id, &err));
    m.job = "files";
    m.root.count = 0;
    REFUSES(ERROR_FAILED, snapshot_write(r, &m, &id, &err));
    memset(reason, 'r', sizeof reason - 1);
    struct event event = {.type = EVENT_FORGET, .reason = reason};
    REFUSES(ERROR_FAILED, event_write(r, &event, &err));
    ck_assert_uint_eq(count_objects(0, "snapshots", NULL) + count_objects(0, "events", NULL), 0);
    write_snapshot(r, &meta, &id);
    ck_assert_uint_eq(count_objects(0, "snapshots", NULL), 1);
    repository_close(r);
}
END_TEST

START_TEST(a_lease_is_shown_refreshed_and_taken_back)
{
    char first[256], second[256];
    struct repository *r = open_synced(REPOSITORY_WRITE);
    for (int t = 0; t < 2; t++)
        ck_assert_uint_eq(count_objects(t, "leases", first), 1);
    MUST(lease_keep(r, &err));
    ck_assert_uint_eq(count_objects(0, "leases", second), 1);
    ck_assert_str_eq(first, second);
    ck_assert(!lease_lapsed(r));
    r->lease_refreshed -= 43201; /* the machine was suspended */
    MUST(lease_keep(r, &err));
    ck_assert_uint_eq(count_objects(1, "leases", second), 1);
    ck_assert_str_ne(first, second);
    ck_assert(lease_lapsed(r));
    ck_assert(!lease_lapsed(r));
    /* A target that was behind gets one before what it holds is looked at. */
    struct error lag = {.code = ERROR_FAILED};
    replicas_leave_behind(r->replicas, 1, &lag);
    r->lease_refreshed -= 3601;
    MUST(lease_keep(r, &err));
    ck_assert_uint_eq(count_objects(1, "leases", NULL), 0);
    MUST(repository_recover(r, &err));
    ck_assert_uint_eq(count_objects(1, "leases", second), 1);
    repository_close(r);
    for (int t = 0; t < 2; t++)
        ck_assert_uint_eq(count_objects(t, "leases", NULL), 0);
}
END_TEST

START_TEST(a_target_gets_back_what_it_lost)
{
    struct id data, meta, id;
    uint64_t copied;
    bool known;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    write_snapshot(r, &meta, &id);
    repository_close(r);
    shell("cp -r target2 before; rm -r target2/packs target2/snapshots");
    r = open_synced(REPOSITORY_WRITE);
    MUST(index_knows(r, &data, 1, &known, &err));
    ck_assert(known);
    MUST(index_knows(r, &data, 2, &known, &err));
    ck_assert(!known);
    MUST(repository_catch_up(r, true, 0, &copied, &err));
    ck_assert_uint_ge(copied, 10000);
    ck_assert_uint_eq(count_objects(1, "snapshots", NULL), 0);
    MUST(repository_catch_up(r, false, 0, &copied, &err));
    ck_assert_uint_ge(copied, 10000);
    MUST(index_knows(r, &data, 3, &known, &err));
    ck_assert(known);
    MUST(repository_catch_up(r, false, 0, &copied, &err));
    ck_assert_uint_eq(copied, 0);
    repository_close(r);
    shell("diff -r before target2");
    /* Cut short counts as lost, on that target. */
    shell("chmod u+w target2/packs/*/*; truncate -s -1 target2/packs/*/*");
    r = open_synced(REPOSITORY_WRITE);
    MUST(index_knows(r, &data, 1, &known, &err));
    ck_assert(known);
    MUST(index_knows(r, &data, 2, &known, &err));
    ck_assert(!known);
    MUST(repository_catch_up(r, false, 0, &copied, &err));
    MUST(index_knows(r, &data, 3, &known, &err));
    ck_assert(known);
    repository_close(r);
    shell("diff -r before target2");
}
END_TEST

START_TEST(damage_is_counted_where_no_copy_is_good)
{
    struct id data, meta, id;
    char name[256], object[300];
    struct snapshot_list list;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    write_snapshot(r, &meta, &id);
    MUST(snapshots_pin(r, &id, 1, true, &err));
    repository_close(r);
    ck_assert_uint_eq(count_objects(0, "snapshots", name), 1);
    snprintf(object, sizeof object, "snapshots/%s", name);
    for (int t = 0; t < 2; t++) {
        damage(t, object);
        shell("rm -rf state");
        r = open_synced(REPOSITORY_READ);
        MUST(snapshots_load(r, &list, &err));
        ck_assert_uint_eq(list.count, t == 0); /* the other target has a good one */
        ck_assert_uint_eq(repository_damage(r), (unsigned)t);
        snapshots_free(&list);
        repository_close(r);
    }
    ck_assert_uint_eq(count_objects(0, "index", name), 2);
    snprintf(object, sizeof object, "index/%s", name);
    damage(0, object);
    damage(1, object);
    shell("rm -rf state");
    r = open_synced(REPOSITORY_READ);
    MUST(snapshots_load(r, &list, &err));
    ck_assert_uint_eq(repository_damage(r), 2);
    snapshots_free(&list);
    repository_close(r);
}
END_TEST

START_TEST(a_target_with_another_config_is_left_out)
{
    shell("chmod u+w target2/config; printf x >>target2/config");
    struct repository *r = open_synced(REPOSITORY_READ);
    ck_assert_uint_eq(repository_damaged_targets(r), 1);
    ck_assert_uint_eq(repository_active_mask(r), 1);
    repository_close(r);
    struct repository_parameters p;
    parameters(&p);
    p.min_targets = 2;
    REFUSES(ERROR_FAILED, repository_open(&p, REPOSITORY_WRITE, &r, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "min_targets"));
}
END_TEST

static struct run_record run_of(int64_t started, const char *message)
{
    return (struct run_record){
        .command = "run", .started = started, .ended = started + 5, .exit_status = 1, .message = message};
}

/* What `runs_load` tells: each as "sequence message", "-" for one that waits. */
static void check_runs(struct repository *r, const char *expected)
{
    struct run_list list;
    char text[256] = "";
    MUST(runs_load(r, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const struct run_record *run = &list.list[i].record;
        ck_assert(id16_equal(&run->host, &repository_host(r)->host));
        ck_assert(list.list[i].waits || i == 0 ||
                  (run->has_previous && id_equal(&run->previous, &list.list[i - 1].sha256)));
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%llu %s;", list.list[i].waits ? "-" : "",
                 (unsigned long long)run->sequence, run->message);
    }
    ck_assert_str_eq(text, expected);
    runs_free(&list);
}

START_TEST(runs_are_chained_whatever_happens_to_the_state_folder)
{
    struct id data, meta, id;
    struct snapshot_list snapshots;
    struct run_record first = run_of(100, "a"), second = run_of(200, "b\n\xff"), third = run_of(50, "c");
    second.ended = 1; /* a clock that was set back */
    struct repository *r = open_synced(REPOSITORY_WRITE);
    store_blobs(r, &data, &meta);
    write_snapshot(r, &meta, &id);
    MUST(runs_append(r, &first, NULL, &err));
    MUST(runs_append(r, &second, NULL, &err));
    write_snapshot(r, &meta, &id);
    check_runs(r, "1 a;2 b\\x0a\\xff;");
    repository_close(r);
    ck_assert_uint_eq(count_objects(0, "runs", NULL), 2);
    ck_assert_uint_eq(count_objects(1, "runs", NULL), 2);
    shell("rm -r state");
    r = open_synced(REPOSITORY_WRITE);
    check_runs(r, "1 a;2 b\\x0a\\xff;");
    MUST(snapshots_load(r, &snapshots, &err));
    ck_assert(!snapshots.list[0].manifest.has_previous_run);
    ck_assert(snapshots.list[1].manifest.has_previous_run);
    struct run_list list;
    MUST(runs_load(r, &list, &err));
    ck_assert(id_equal(&snapshots.list[1].manifest.previous_run, &list.list[1].sha256));
    runs_free(&list);
    snapshots_free(&snapshots);
    MUST(runs_append(r, &third, NULL, &err));
    check_runs(r, "1 a;2 b\\x0a\\xff;3 c;"); /* in the order of the chain, whatever the clock said */
    repository_close(r);
    /* The catalog remembers where the chain ends, should the targets not show it. */
    shell("mv target1/runs target1/elsewhere; mv target2/runs target2/elsewhere");
    r = open_synced(REPOSITORY_WRITE);
    third.started = 300;
    third.ended = 400;
    MUST(runs_append(r, &third, NULL, &err));
    check_runs(r, "4 c;");
    repository_close(r);
}
END_TEST

START_TEST(a_run_that_no_target_took_waits_for_one)
{
    struct run_list list;
    struct run_record first = run_of(100, "a"), second = run_of(100, "b"), third = run_of(90, "c");
    MUST(runs_load_waiting(state, &list, &err));
    ck_assert_uint_eq(list.count, 0);
    MUST(runs_keep_waiting(state, &first, NULL, &err));
    MUST(runs_keep_waiting(state, &second, NULL, &err));
    shell("test $(stat -c %%a state/runs) = 700 && cd state/runs && set -- * && test $# = 2 &&"
          "test $(stat -c %%a $1) = 600 && cp $1 bad.run && chmod 644 bad.run");
    MUST(runs_load_waiting(state, &list, &err));
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.list[1].record.message, "b");
    runs_free(&list);
    struct repository *r = open_synced(REPOSITORY_READ);
    check_runs(r, "-0 a;-0 b;");
    repository_close(r);
    r = open_synced(REPOSITORY_WRITE);
    MUST(runs_append_waiting(r, &err));
    check_runs(r, "1 a;2 b;");
    repository_close(r);
    /* One whose writer was killed before it removed the file is not appended twice. */
    shell("test $(ls state/runs) = bad.run");
    r = open_synced(REPOSITORY_WRITE);
    MUST(runs_load(r, &list, &err));
    for (size_t i = 0; i < list.count; i++)
        MUST(runs_keep_waiting(state, &list.list[i].record, NULL, &err));
    runs_free(&list);
    MUST(runs_append(r, &third, NULL, &err));
    repository_close(r);
    shell("test $(ls state/runs) = bad.run");
    r = open_synced(REPOSITORY_READ);
    ck_assert_uint_eq(count_objects(0, "runs", NULL), 3);
    MUST(runs_load(r, &list, &err));
    ck_assert_uint_eq(list.count, 3);
    runs_free(&list);
    repository_close(r);
}
END_TEST

/* A target that is another one's folder, and takes its time: when the other has a record, the process dies.
 */
static int dying_put(void *inner, const char *name, struct bytes data, struct error *e)
{
    while (strncmp(name, "runs/", 5) == 0) {
        if (count_objects(0, "runs", NULL) == 1)
            _exit(9);
        usleep(1000);
    }
    return storage_put(inner, name, data, e);
}

static int inner_get(void *inner, const char *name, uint64_t offset, size_t size, bool whole,
                     struct buffer *out, struct error *e)
{
    return whole ? storage_get(inner, name, size, out, e)
                 : storage_get_range(inner, name, offset, size, out, e);
}

static int inner_head(void *inner, const char *name, uint64_t *size, int64_t *time, struct error *e)
{
    return storage_head(inner, name, size, time, e);
}

static int inner_list(void *inner, const char *prefix, storage_list_callback *callback, void *context,
                      struct error *e)
{
    return storage_list(inner, prefix, callback, context, e);
}

static int inner_remove(void *inner, const char *name, struct error *e)
{
    return storage_remove(inner, name, e);
}

static void inner_free(void *inner)
{
    storage_free(inner);
}

static void append_and_die(void)
{
    static const struct storage_driver dying = {.type = "dying",
                                                .put = dying_put,
                                                .get = inner_get,
                                                .head = inner_head,
                                                .list = inner_list,
                                                .remove = inner_remove,
                                                .free = inner_free};
    struct run_record killed = run_of(100, "killed");
    struct repository_parameters p;
    struct repository *r;
    char *draft = NULL;
    parameters(&p);
    p.targets[1] = storage_new(&dying, p.targets[1], "two", paths[1]);
    MUST(repository_open(&p, REPOSITORY_WRITE, &r, &err));
    MUST(repository_sync(r, &err));
    MUST(runs_draft(state, &killed, &draft, &err));
    runs_append(r, &killed, draft, &err);
    _exit(1);
}

START_TEST(a_run_that_was_killed_between_two_targets_is_recorded_once)
{
    struct run_record earlier = run_of(50, "earlier"), next = run_of(200, "next");
    int status;
    pid_t child = fork();
    if (child == 0)
        append_and_die();
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 9);
    ck_assert_uint_eq(count_objects(1, "runs", NULL), 0);
    /* The target that has it is away, and the clock was ahead when it was written. */
    MUST(runs_keep_waiting(state, &earlier, NULL, &err));
    shell("mv target1 elsewhere");
    struct repository *r = open_synced(REPOSITORY_WRITE);
    MUST(runs_append(r, &next, NULL, &err));
    check_runs(r, "1 killed;2 earlier;3 next;");
    repository_close(r);
    shell("rm -rf target1; mv elsewhere target1");
    r = open_synced(REPOSITORY_WRITE);
    check_runs(r, "1 killed;2 earlier;3 next;");
    repository_close(r);
}
END_TEST

/* However much went wrong, in however many jobs. */
START_TEST(the_largest_run_fits_into_a_record)
{
    static char text[2 * RUN_TEXT_MAX];
    static const char *warnings[2 * RUN_WARNINGS_MAX];
    static struct run_job jobs[RUN_JOBS_MAX];
    struct run_list list;
    size_t count = 0;
    for (size_t i = 0; i + 3 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 3); /* two bytes each: none is cut in two */
    for (size_t i = 0; i < 2 * RUN_WARNINGS_MAX; i++)
        warnings[i] = text + 1;
    for (size_t i = 0; i < RUN_JOBS_MAX; i++)
        jobs[i] = (struct run_job){.job = "j",
                                   .classes = CLASS_DAILY,
                                   .message = text,
                                   .warnings = warnings,
                                   .warning_count = 2 * RUN_WARNINGS_MAX};
    struct run_record run = run_of(100, text);
    run.jobs = jobs;
    run.job_count = RUN_JOBS_MAX;
    struct repository *r = open_synced(REPOSITORY_WRITE);
    MUST(runs_append(r, &run, NULL, &err));
    MUST(runs_load(r, &list, &err));
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(strlen(list.list[0].record.message), RUN_TEXT_MAX);
    ck_assert_uint_eq(list.list[0].record.jobs[0].warning_count, RUN_WARNINGS_MAX);
    for (size_t i = 0; i < RUN_JOBS_MAX; i++)
        count += list.list[0].record.jobs[i].warning_count;
    ck_assert_uint_eq(count, 1000);
    runs_free(&list);
    repository_close(r);
}
END_TEST

START_TEST(a_run_that_was_killed_leaves_its_draft)
{
    struct run_record killed = run_of(100, "killed"), next = run_of(200, "next"), own = run_of(200, "own");
    char *draft = NULL, *first = NULL;
    MUST(runs_draft(state, &next, &first, &err));
    MUST(runs_draft(state, &killed, &first, &err)); /* takes the place of the other */
    MUST(runs_draft(state, &own, &draft, &err));
    struct repository *r = open_synced(REPOSITORY_WRITE);
    check_runs(r, ""); /* it may be at work */
    shell("test $(ls state/runs | wc -l) -eq 2");
    MUST(runs_append(r, &next, draft, &err));
    check_runs(r, "1 killed;2 next;");
    shell("test -z \"$(ls state/runs)\"");
    free(draft);
    draft = NULL;
    MUST(runs_draft(state, &own, &draft, &err));
    MUST(runs_keep_waiting(state, &next, draft, &err));
    check_runs(r, "1 killed;2 next;-0 next;");
    repository_close(r);
    free(first);
    free(draft);
}
END_TEST

START_TEST(a_run_of_which_no_copy_is_good_is_counted)
{
    char name[256];
    struct run_list list;
    struct run_record run = run_of(100, "a");
    struct repository *r = open_synced(REPOSITORY_WRITE);
    MUST(runs_append(r, &run, NULL, &err));
    repository_close(r);
    count_objects(0, "runs", name);
    for (int t = 0; t < 2; t++) {
        char object[300];
        snprintf(object, sizeof object, "runs/%s", name);
        damage(t, object);
    }
    shell("rm -r state");
    r = open_synced(REPOSITORY_READ);
    MUST(runs_load(r, &list, &err));
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(repository_damage(r), 1);
    runs_free(&list);
    repository_close(r);
}
END_TEST

START_TEST(a_second_writer_is_told_who_holds_the_lock)
{
    char holder[64];
    struct repository *r = open_synced(REPOSITORY_WRITE), *second;
    snprintf(holder, sizeof holder, "process %ld since", (long)getpid());
    REFUSES(ERROR_BUSY, try_open(REPOSITORY_WRITE, NULL, &second));
    ck_assert_msg(strstr(err.message, holder) != NULL, "%s", err.message);
    ck_assert(err.hint[0]);
    second = open_synced(REPOSITORY_READ); /* has a catalog of its own */
    ck_assert(second->temporary_state);
    repository_close(second);
    repository_close(r);
    r = open_synced(REPOSITORY_WRITE);
    repository_close(r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repo");
    TCase *tests = tcase_create("repo");
    tcase_set_timeout(tests, 0); /* meson's counts */
    tcase_add_checked_fixture(tests, setup, remove_folder);
    tcase_add_test(tests, a_repository_is_made_on_every_target_and_once_only);
    tcase_add_test(tests, blobs_are_stored_once_and_known_on_every_target);
    tcase_add_test(tests, manifests_are_chained_and_make_snapshots);
    tcase_add_test(tests, events_pin_and_forget);
    tcase_add_test(tests, packs_of_many_blobs_take_several_segments_that_are_read_back);
    tcase_add_test(tests, a_condemned_pack_counts_as_absent);
    tcase_add_test(tests, records_that_nobody_could_read_are_not_written);
    tcase_add_test(tests, a_lease_is_shown_refreshed_and_taken_back);
    tcase_add_test(tests, a_target_gets_back_what_it_lost);
    tcase_add_test(tests, damage_is_counted_where_no_copy_is_good);
    tcase_add_test(tests, a_target_with_another_config_is_left_out);
    tcase_add_test(tests, runs_are_chained_whatever_happens_to_the_state_folder);
    tcase_add_test(tests, a_run_that_was_killed_between_two_targets_is_recorded_once);
    tcase_add_test(tests, a_run_that_no_target_took_waits_for_one);
    tcase_add_test(tests, the_largest_run_fits_into_a_record);
    tcase_add_test(tests, a_run_that_was_killed_leaves_its_draft);
    tcase_add_test(tests, a_run_of_which_no_copy_is_good_is_counted);
    tcase_add_test(tests, a_second_writer_is_told_who_holds_the_lock);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
