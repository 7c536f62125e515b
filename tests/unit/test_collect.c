/* Several hosts on one repository: what one prunes must not be what another needs. */
#include "format/messages.h"
#include "ops/prune.h"
#include "repo/blob_writer.h"
#include "repo/internal.h"
#include "repo/snapshot_writer.h"
#include "repository_on_disk.h"

#include <check.h>
#include <time.h>

/* ---- clocks ---- */

/* By so many seconds this machine's clock is ahead. The targets have the right time. */
static int64_t ahead;

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += ahead;
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

#define HOUR 3600
#define BLOB 5000 /* bytes of a file */

/* What was written last came to the targets so many seconds ago. */
static void came_before(int seconds)
{
    shell("find target1 target2 -type f -mmin -30 -exec touch -d @%lld {} +",
          (long long)time(NULL) - ahead - seconds);
}

/* Of what is backed up from now on. */
static struct keep_record keep;

/* ---- the hosts: "web" may prune, the others write ---- */

static void become(const char *host)
{
    snprintf(state, sizeof state, "%s/state-%s", folder, host);
    snprintf(host_key_file, sizeof host_key_file, "%s/%s.key", folder, host);
}

static void add_host(const char *name)
{
    struct repository *r;
    struct person_key person;
    char key[96];
    snprintf(key, sizeof key, "%s/%s.key", folder, name);
    read_person(&person);
    MUST(try_open(REPOSITORY_WRITE, &person, &r));
    MUST(repository_add_host(r, name, ROLE_WRITE, "", key, &err));
    repository_close(r);
    person_key_cleanse(&person);
}

static void some_hosts(void)
{
    ahead = 0;
    keep = (struct keep_record){0};
    setup();
    shell("mv host.key web.key");
    become("web");
    add_host("db");
    add_host("thief");
}

static struct repository *open_as(const char *host)
{
    become(host);
    return open_synced(REPOSITORY_WRITE);
}

/* ---- what they write ---- */

static void hash(struct repository *r, enum blob_kind kind, struct bytes plain, struct id *id)
{
    struct blob_hasher *hasher = blob_hasher_new(repository_secrets(r));
    blob_hasher_run(hasher, kind, plain, id);
    blob_hasher_free(hasher);
}

static void blob_of(struct repository *r, uint64_t seed, uint8_t blob[BLOB], struct id *id)
{
    repeatable_bytes(blob, BLOB, seed);
    hash(r, BLOB_DATA, bytes_of(blob, BLOB), id);
}

static void tree_of(const struct id *data, struct buffer *tree)
{
    struct extent extent = {.blob = *data, .length = BLOB};
    struct node node = {
        .name = bytes_of_string("file"), .type = NODE_FILE, .size = BLOB, .content = {&extent, 1}};
    tree_encode(&node, 1, tree);
}

static struct id write_snapshot(struct repository *r, const struct id *meta, size_t size, int64_t when)
{
    struct id snapshot;
    struct extent root = {.blob = *meta, .length = (uint32_t)size};
    struct manifest m = {.job = "files",
                         .classes = CLASS_MANUAL,
                         .started = when,
                         .ended = when,
                         .root = {&root, 1},
                         .keep = keep,
                         .source_type = "files"};
    MUST(snapshot_write(r, &m, &snapshot, &err));
    return snapshot;
}

/* A snapshot of one file with the bytes of a seed. */
static struct id back_up(struct repository *r, uint64_t seed)
{
    struct blob_writer *writer;
    struct buffer tree = {0};
    struct id data, meta, snapshot;
    uint8_t blob[BLOB];
    bool store;
    blob_of(r, seed, blob, &data);
    MUST(blob_writer_new(r, &writer, &err));
    struct blob_group *group = blob_group_new(writer, BLOB_DATA);
    MUST(blob_writer_claim(writer, &data, &store, &err));
    if (store)
        MUST(blob_group_add(group, 0, &data, bytes_of(blob, BLOB), &err));
    MUST(blob_group_flush(group, &err));
    tree_of(&data, &tree);
    MUST(blob_writer_store_tree(writer, buffer_bytes(&tree), &meta, &err));
    MUST(blob_writer_commit(writer, &err));
    snapshot = write_snapshot(r, &meta, tree.size, (int64_t)time(NULL));
    blob_group_free(group);
    blob_writer_free(writer);
    buffer_free(&tree);
    return snapshot;
}

static struct id back_up_as(const char *host, uint64_t seed)
{
    struct repository *r = open_as(host);
    struct id snapshot = back_up(r, seed);
    repository_close(r);
    return snapshot;
}

static void forget(struct id snapshot)
{
    struct repository *r = open_as("web");
    MUST(snapshots_forget(r, &snapshot, 1, "test", &err));
    repository_close(r);
}

static void prune_synced(struct repository *r, struct collect_result *result)
{
    struct snapshot_list list;
    struct prune_result pruned = {0};
    struct prune_parameters p = {.clock_tolerance = 86400, .max_removal = 50, .force = true};
    MUST(snapshots_load(r, &list, &err));
    MUST(prune_run(r, &list, &p, &pruned, &err));
    if (result)
        *result = pruned.collect;
    prune_result_free(&pruned);
    snapshots_free(&list);
}

static void prune(struct collect_result *result)
{
    struct repository *r = open_as("web");
    prune_synced(r, result);
    repository_close(r);
}

/* Every target has, of this host's own, the blob of a seed, and may be relied on for it. */
static bool has(const char *host, uint64_t seed)
{
    uint8_t blob[BLOB];
    struct id id;
    bool found;
    struct repository *r = open_as(host);
    blob_of(r, seed, blob, &id);
    MUST(index_knows(r, &id, repository_active_mask(r), &found, &err));
    repository_close(r);
    return found;
}

START_TEST(what_is_dead_goes)
{
    struct collect_result result;
    struct id old = back_up_as("db", 1);
    back_up_as("db", 2);
    forget(old);
    prune(&result);
    ck_assert_uint_eq(result.dead_packs, 2);
    ck_assert_uint_eq(result.deleted_packs, 2);
    ck_assert(!has("db", 1) && has("db", 2));
}
END_TEST

/* Its writer began before the packs were condemned, and has ended before the leases are looked at. */
START_TEST(a_snapshot_that_comes_while_prune_works_stays_whole)
{
    struct collect_result result;
    forget(back_up_as("db", 1));
    struct repository *r = open_as("web");
    back_up_as("db", 1);
    become("web");
    prune_synced(r, &result);
    repository_close(r);
    ck_assert_uint_eq(result.deleted_packs, 0);
    prune(NULL);
    ck_assert(has("db", 1));
}
END_TEST

/* Each time its lease is refreshed it must not seem younger. */
START_TEST(a_writer_whose_clock_is_ahead_is_waited_for)
{
    struct collect_result result;
    forget(back_up_as("db", 1));
    came_before(9 * HOUR);
    ahead = -3 * HOUR + 2 * HOUR;
    struct repository *r = open_as("db");
    came_before(3 * HOUR);
    ahead = -5 * HOUR / 2;
    prune(&result);
    came_before(5 * HOUR / 2);
    ck_assert_uint_eq(result.delayed_packs, 2);
    ahead = 2 * HOUR;
    MUST(lease_keep(r, &err));
    ahead = 0;
    prune(&result);
    ck_assert_uint_eq(result.deleted_packs, 0);
    back_up(r, 1);
    repository_close(r);
    prune(NULL);
    ck_assert(has("db", 1));
}
END_TEST

START_TEST(a_prune_whose_clock_is_behind_waits_for_writers)
{
    struct collect_result result;
    forget(back_up_as("db", 1));
    came_before(9 * HOUR);
    struct repository *r = open_as("db");
    ahead = -2 * HOUR;
    prune(&result);
    ck_assert_uint_eq(result.delayed_packs, 2);
    prune(&result);
    ck_assert_uint_eq(result.deleted_packs, 0);
    ahead = 0;
    back_up(r, 1);
    repository_close(r);
    prune(NULL);
    ck_assert(has("db", 1));
}
END_TEST

/* Packs with garbage that is said to be a blob, many times over. */
static void claim(struct repository *r, enum blob_kind kind, const struct id *id)
{
    uint8_t garbage[100];
    for (uint64_t pack = 0; pack < 8; pack++) {
        struct blob_writer *writer;
        MUST(blob_writer_new(r, &writer, &err));
        struct blob_group *group = blob_group_new(writer, kind);
        repeatable_bytes(garbage, sizeof garbage, 1000 + pack);
        for (int i = 0; i < 10; i++)
            MUST(blob_group_add(group, 0, id, bytes_of(garbage, sizeof garbage), &err));
        MUST(blob_group_flush(group, &err));
        MUST(blob_writer_commit(writer, &err));
        MUST(segments_settle(r, &err));
        blob_group_free(group);
        blob_writer_free(writer);
    }
}

/* With a stolen key: of several copies prune keeps the lowest-named, and nobody who prunes can open it. */
START_TEST(what_another_host_claims_to_hold_displaces_nothing)
{
    struct collect_result result;
    struct buffer tree = {0}, read = {0};
    struct id data, meta;
    uint8_t blob[BLOB];
    struct repository *r = open_as("thief");
    blob_of(r, 1, blob, &data);
    tree_of(&data, &tree);
    hash(r, BLOB_META, buffer_bytes(&tree), &meta);
    claim(r, BLOB_DATA, &data);
    claim(r, BLOB_META, &meta);
    write_snapshot(r, &meta, tree.size, (int64_t)time(NULL) - 1000); /* that comes first */
    repository_close(r);
    back_up_as("db", 1);
    ck_assert(has("db", 1));
    r = open_as("web");
    MUST(blobs_fetch_tree(r, &meta, &read, &err));
    ck_assert(bytes_equal(buffer_bytes(&read), buffer_bytes(&tree)));
    repository_close(r);
    prune(&result);
    ck_assert_uint_eq(result.dead_packs, 14);
    ck_assert(has("db", 1));
    buffer_free(&tree);
    buffer_free(&read);
}
END_TEST

static void list_pack(struct repository *r, enum blob_kind kind, const struct pack_entry *entry)
{
    struct buffer serialised = {0}, body = {0};
    struct id id;
    size_t size;
    pack_entry_encode(entry, &serialised);
    struct bytes pack = buffer_bytes(&serialised);
    struct segment s = {
        .host = repository_host(r)->host, .created = 1, .kind = kind, .packs = &pack, .pack_count = 1};
    segment_encode(&s, &body);
    MUST(record_queue(r, OBJECT_INDEX, NULL, 0, buffer_bytes(&body), &id, &size, &err));
    MUST(replicas_flush(repository_replicas(r), &err));
    buffer_free(&serialised);
    buffer_free(&body);
}

/* The thief lists db's pack as its own: without the blob, or as one of the other kind. */
static void lie_about(const struct id *data, bool of_kind)
{
    struct index_copies copies = {0};
    struct buffer serialised = {0};
    struct arena arena = {0};
    struct pack_entry entry;
    struct repository *r = open_as("thief");
    MUST(index_copies(r, data, &copies, &err));
    ck_assert_uint_eq(copies.count, 1);
    MUST(catalog_pack_entry(repository_catalog(r), copies.list[0].pack, &serialised, &err));
    MUST(pack_entry_decode(buffer_bytes(&serialised), &arena, &entry, &err));
    entry.author = repository_host(r)->host;
    if (!of_kind)
        entry.contents.blobs[0].id = some_id(7);
    list_pack(r, of_kind ? BLOB_META : BLOB_DATA, &entry);
    repository_close(r);
    free(copies.list);
    buffer_free(&serialised);
    arena_free(&arena);
}

static bool finds(const char *host, const struct id *blob)
{
    struct blob_location copies[BLOB_COPIES_MAX];
    size_t count;
    struct repository *r = open_as(host);
    ck_assert_uint_eq(repository_damage(r), 0);
    MUST(blobs_locate(r, blob, copies, &count, &err));
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(r->packs[copies[i].pack].kind, BLOB_DATA);
    repository_close(r);
    return count > 0;
}

START_TEST(what_another_host_says_of_a_pack_is_not_believed)
{
    struct collect_result result;
    struct id data;
    uint8_t blob[BLOB];
    back_up_as("db", 1);
    struct repository *r = open_as("db");
    blob_of(r, 1, blob, &data);
    repository_close(r);
    shell("cp -r target1/index true");
    lie_about(&data, false);
    /* After the truth, before it, and together with it. */
    ck_assert(finds("thief", &data));
    shell("for f in true/*; do rm target?/index/${f#*/}; done");
    ck_assert(!finds("web", &data));
    shell("for t in target1 target2; do cp true/* $t/index; done");
    ck_assert(finds("web", &data));
    lie_about(&data, true);
    shell("rm -r state-web");
    ck_assert(finds("web", &data));
    prune(&result);
    ck_assert_uint_eq(result.dead_packs, 0);
    ck_assert(has("db", 1));
}
END_TEST

static bool is_pinned(const struct id *snapshot)
{
    struct snapshot_list list;
    bool pinned = false;
    struct repository *r = open_as("web");
    MUST(snapshots_load(r, &list, &err));
    for (size_t i = 0; i < list.count; i++)
        pinned |= id_equal(&list.list[i].sha256, snapshot) && list.list[i].pinned;
    snapshots_free(&list);
    repository_close(r);
    return pinned;
}

START_TEST(a_host_that_may_not_prune_unpins_its_own_only)
{
    struct id id = back_up_as("db", 1);
    struct event unpin = {
        .type = EVENT_UNPIN, .reason = "", .created = (int64_t)time(NULL) + 10, .snapshots = {&id, 1}};
    struct repository *r = open_as("db");
    MUST(snapshots_pin(r, &id, 1, true, &err));
    repository_close(r);
    r = open_as("thief");
    REFUSES(ERROR_DENIED, snapshots_pin(r, &id, 1, false, &err));
    MUST(event_write(r, &unpin, &err));
    repository_close(r);
    ck_assert(is_pinned(&id));
    for (int host = 0; host < 2; host++) {
        r = open_as(host ? "web" : "db");
        MUST(snapshots_pin(r, &id, 1, false, &err));
        repository_close(r);
        ck_assert(!is_pinned(&id));
        r = open_as("thief");
        MUST(snapshots_pin(r, &id, 1, true, &err));
        repository_close(r);
        ck_assert(is_pinned(&id));
    }
}
END_TEST

/* Of a virtual machine, or of its state folder: both have the same host key. */
START_TEST(the_clone_of_a_machine_at_work_leaves_it_its_lease)
{
    struct collect_result result;
    forget(back_up_as("db", 1));
    came_before(9 * HOUR);
    struct repository *r = open_as("db");
    shell("cp -a state-db state-clone; cp -a db.key clone.key");
    back_up_as("clone", 2);
    prune(&result);
    ck_assert_uint_eq(result.delayed_packs, 2);
    back_up(r, 1);
    repository_close(r);
    prune(NULL);
    ck_assert(has("db", 1));
    /* Its own that was killed it takes away. */
    r = open_as("clone");
    r->lease_name[0] = 0; /* killed */
    repository_close(r);
    repository_close(open_as("clone"));
    shell("! ls target?/leases | grep -q -");
}
END_TEST

START_TEST(a_snapshot_that_is_pinned_while_prune_works_stays)
{
    struct snapshot_list list;
    struct prune_result pruned;
    struct prune_parameters p = {.clock_tolerance = 86400, .max_removal = 50};
    keep = (struct keep_record){.manual = 1, .manual_set = true};
    ahead = -HOUR;
    struct id old = back_up_as("db", 1);
    ahead = 0;
    back_up_as("db", 2);
    struct repository *r = open_as("web");
    MUST(snapshots_load(r, &list, &err));
    struct repository *pinning = open_as("db");
    MUST(snapshots_pin(pinning, &old, 1, true, &err));
    repository_close(pinning);
    REFUSES(ERROR_FAILED, prune_run(r, &list, &p, &pruned, &err));
    prune_result_free(&pruned);
    snapshots_free(&list);
    repository_close(r);
    r = open_as("web");
    MUST(snapshots_load(r, &list, &err));
    MUST(prune_run(r, &list, &p, &pruned, &err));
    ck_assert_uint_eq(list.count, 2);
    ck_assert_uint_eq(pruned.expired, 0);
    prune_result_free(&pruned);
    snapshots_free(&list);
    repository_close(r);
    ck_assert(has("db", 1));
}
END_TEST

/* What the catalog says when it is asked for a pack, if that is not 0. */
static int find_fails;

int __real_catalog_find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                             struct error *error);
int __wrap_catalog_find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                             struct error *error);

int __wrap_catalog_find_pack(struct catalog *catalog, const struct id *sha256, struct catalog_pack *pack,
                             struct error *error)
{
    return find_fails ? error_set(error, find_fails, "not found")
                      : __real_catalog_find_pack(catalog, sha256, pack, error);
}

START_TEST(a_catalog_that_finds_packs_no_more_condemns_none)
{
    static const int answers[] = {ERROR_FAILED, ERROR_NOT_FOUND};
    struct snapshot_list list;
    struct prune_result pruned;
    struct prune_parameters p = {.clock_tolerance = 86400, .max_removal = 50, .force = true};
    back_up_as("db", 1);
    came_before(9 * HOUR);
    struct repository *r = open_as("web");
    MUST(snapshots_load(r, &list, &err));
    find_fails = answers[_i];
    REFUSES(ERROR_FAILED, prune_run(r, &list, &p, &pruned, &err));
    find_fails = 0;
    prune_result_free(&pruned);
    snapshots_free(&list);
    repository_close(r);
    ck_assert(has("db", 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collect");
    TCase *tests = tcase_create("collect");
    tcase_add_checked_fixture(tests, some_hosts, remove_folder);
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, what_is_dead_goes);
    tcase_add_test(tests, a_snapshot_that_comes_while_prune_works_stays_whole);
    tcase_add_test(tests, a_writer_whose_clock_is_ahead_is_waited_for);
    tcase_add_test(tests, a_prune_whose_clock_is_behind_waits_for_writers);
    tcase_add_test(tests, what_another_host_claims_to_hold_displaces_nothing);
    tcase_add_test(tests, what_another_host_says_of_a_pack_is_not_believed);
    tcase_add_test(tests, the_clone_of_a_machine_at_work_leaves_it_its_lease);
    tcase_add_test(tests, a_host_that_may_not_prune_unpins_its_own_only);
    tcase_add_test(tests, a_snapshot_that_is_pinned_while_prune_works_stays);
    tcase_add_loop_test(tests, a_catalog_that_finds_packs_no_more_condemns_none, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
