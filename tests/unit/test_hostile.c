/* Whoever can write to a repository, or holds a key, may forge listings: a restore stays below its
 * destination. A store may list what it likes: it fills no memory. */
#include "crypto/digest.h"
#include "format/messages.h"
#include "ops/restore.h"
#include "repo/blob_writer.h"
#include "repo/snapshot_writer.h"
#include "repository_on_disk.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char victim[96], secret[112];

static void hostile_setup(void)
{
    setup();
    snprintf(victim, sizeof victim, "%s/victim", folder);
    snprintf(secret, sizeof secret, "%s/secret", victim);
    ck_assert_int_eq(mkdir(victim, 0755), 0);
    MUST(file_write_atomic(secret, bytes_of_string("untouched"), 0600, &err));
}

/* A data blob "planted". */
static struct extent store_content(struct repository *r, struct blob_writer *writer)
{
    struct blob_hasher *hasher = blob_hasher_new(repository_secrets(r));
    struct blob_group *group = blob_group_new(writer, BLOB_DATA);
    struct bytes plain = bytes_of_string("planted");
    struct extent extent = {.length = plain.size};
    bool store;
    blob_hasher_run(hasher, BLOB_DATA, plain, &extent.blob);
    MUST(blob_writer_claim(writer, &extent.blob, &store, &err));
    if (store)
        MUST(blob_group_add(group, 0, &extent.blob, plain, &err));
    MUST(blob_group_flush(group, &err));
    blob_group_free(group);
    blob_hasher_free(hasher);
    return extent;
}

/* A listing exactly as it is: tree_store would sort and check it. */
static struct extent store_listing(struct blob_writer *writer, const struct node *nodes, size_t count)
{
    struct buffer listing = {0};
    struct extent extent = {0};
    tree_encode(nodes, count, &listing);
    extent.length = listing.size;
    MUST(blob_writer_store_tree(writer, buffer_bytes(&listing), &extent.blob, &err));
    buffer_free(&listing);
    return extent;
}

static struct node make_node(const char *name, enum node_type type)
{
    return (struct node){
        .name = bytes_of_string(name), .type = type, .mode = type == NODE_DIRECTORY ? 0755 : 0666};
}

static struct node make_file(const char *name, struct extent *content)
{
    struct node node = make_node(name, NODE_FILE);
    node.size = content->length;
    node.content = (struct extents){content, 1};
    return node;
}

static struct node make_link(const char *name, const char *to)
{
    struct node node = make_node(name, NODE_SYMLINK);
    node.link_target = bytes_of_string(to);
    return node;
}

static struct node make_hard_link(const char *name, const char *first)
{
    struct node node = make_node(name, NODE_FILE);
    node.hard_link = bytes_of_string(first);
    return node;
}

static struct node make_directory(const char *name, struct extent *listing)
{
    struct node node = make_node(name, NODE_DIRECTORY);
    node.subtree = (struct extents){listing, 1};
    return node;
}

#define VARIANTS 13

/* Variant i of a tree that would lead out of the destination; the root in *root. */
static void plant(struct repository *r, int variant, struct extent *root)
{
    struct blob_writer *writer;
    char up[160], absolute[160];
    MUST(blob_writer_new(r, &writer, &err));
    struct extent content = store_content(r, writer), below;
    struct node nodes[2], inner[2];
    size_t count = 1, inner_count = 1;
    snprintf(up, sizeof up, "/../victim/secret");
    snprintf(absolute, sizeof absolute, "%s/secret", victim);
    inner[0] = make_file("f", &content);
    switch (variant) {
    case 0: /* names of the root */
        nodes[0] = make_file(up, &content);
        break;
    case 1:
        nodes[0] = make_file("/x/../../victim/secret", &content);
        break;
    case 2:
        nodes[0] = make_file("../victim/secret", &content);
        break;
    case 3: /* names within */
        inner[0] = make_file("..", &content);
        break;
    case 4:
        inner[0] = make_file("../../victim/secret", &content);
        break;
    case 5:
        inner[0] = make_file(absolute, &content);
        break;
    case 6:
        inner[0] = make_file(".", &content);
        break;
    case 7: /* through a symbolic link, twice the same name */
        inner[0] = make_link("a", victim);
        inner[1] = make_file("secret", &content);
        below = store_listing(writer, &inner[1], 1);
        inner[1] = make_directory("a", &below);
        inner_count = 2;
        break;
    case 8: /* a root below a root that is a link */
        nodes[0] = make_link("/a", victim);
        nodes[1] = make_file("/a/secret", &content);
        count = 2;
        break;
    case 9: /* hard links to what was not restored */
        inner[0] = make_hard_link("f", absolute);
        break;
    case 10:
        inner[0] = make_hard_link("f", "/d/../../victim/secret");
        break;
    case 11: /* out of order */
        inner[0] = make_file("b", &content);
        inner[1] = make_file("a", &content);
        inner_count = 2;
        break;
    default: /* a hard link through a symbolic link */
        inner[0] = make_link("a", victim);
        inner[1] = make_hard_link("g", "/d/a/secret");
        inner_count = 2;
    }
    if (variant >= 3 && variant != 8) {
        below = store_listing(writer, inner, inner_count);
        nodes[0] = make_directory("/d", &below);
    }
    *root = store_listing(writer, nodes, count);
    MUST(blob_writer_commit(writer, &err));
    blob_writer_free(writer);
}

/* Opens the repository, for writing, with a person's key. */
static struct repository *open_to_write(struct person_key *person)
{
    struct repository *r;
    read_person(person);
    MUST(try_open(REPOSITORY_WRITE, person, &r));
    MUST(lease_begin(r, "test", &err));
    MUST(repository_sync(r, &err));
    return r;
}

static void write_snapshot(struct repository *r, struct extent *root, struct id *id)
{
    struct manifest m = {.job = "files",
                         .classes = CLASS_DAILY,
                         .started = 1795000000,
                         .ended = 1795000000,
                         .root = {root, 1},
                         .source_type = "files"};
    MUST(snapshot_write(r, &m, id, &err));
    MUST(repository_sync(r, &err));
}

/* What stays inside may be restored; the caller sees what became of the victim. */
static void restore(struct repository *r, const struct id *id, const char *to,
                    enum restore_overwrite overwrite, bool may_succeed)
{
    struct snapshot_list list;
    struct restore_result result;
    MUST(snapshots_load(r, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        struct restore_parameters p = {
            .snapshot = &list.list[i], .destination = to, .overwrite = overwrite, .workers = 2};
        if (id_equal(&list.list[i].sha256, id))
            ck_assert_msg(restore_run(r, &p, &result, &err) != 0 || result.failed || may_succeed,
                          "a forged tree was restored whole");
    }
    snapshots_free(&list);
}

START_TEST(a_forged_listing_leads_nowhere)
{
    struct person_key person;
    struct extent root;
    struct id id;
    char to[112];
    struct stat before, after;
    ck_assert_int_eq(stat(secret, &before), 0);
    struct repository *r = open_to_write(&person);
    plant(r, _i, &root);
    write_snapshot(r, &root, &id);
    snprintf(to, sizeof to, "%s/out", folder);
    restore(r, &id, to, RESTORE_NEVER, _i == 8);
    restore(r, &id, to, RESTORE_ALWAYS, _i == 8);
    restore(r, &id, to, RESTORE_CHANGED, _i == 8);
    ck_assert_int_eq(stat(secret, &after), 0);
    struct buffer text = {0};
    MUST(file_read(secret, 100, &text, &err));
    ck_assert(bytes_equal(buffer_bytes(&text), bytes_of_string("untouched")));
    ck_assert(before.st_ino == after.st_ino && before.st_mode == after.st_mode && after.st_nlink == 1);
    buffer_free(&text);
    repository_close(r);
    person_key_cleanse(&person);
}
END_TEST

/* ---- snapshots of other times ---- */

/* Sources spelled "/x/./src", "/x/src/" and, within them, "/x/src/sub": names lead to themselves. */
static void plant_spellings(struct repository *r, struct extent *root)
{
    struct blob_writer *writer;
    MUST(blob_writer_new(r, &writer, &err));
    struct extent content = store_content(r, writer), first, second, sub, inner;
    struct node files[2] = {make_file("f", &content), make_hard_link("g", "/x/./src/sub/f")};
    struct node links[2] = {make_hard_link("f", "/x/./src/sub/f"), make_hard_link("g", "/x/./src/sub/f")};
    sub = store_listing(writer, files, 2);
    struct node directory = make_directory("sub", &sub);
    first = store_listing(writer, &directory, 1);
    inner = store_listing(writer, links, 2);
    directory = make_directory("sub", &inner);
    second = store_listing(writer, &directory, 1);
    struct node roots[3] = {make_directory("/x/./src", &first), make_directory("/x/src/", &second),
                            make_directory("/x/src/sub", &inner)};
    *root = store_listing(writer, roots, 3);
    MUST(blob_writer_commit(writer, &err));
    blob_writer_free(writer);
}

START_TEST(sources_that_were_spelled_in_another_way_come_back)
{
    static const char *const asked[] = {NULL, "/x/src", "/x/src/sub/", "//x/src/./sub/g"};
    struct person_key person;
    struct repository *r = open_to_write(&person);
    struct extent root;
    struct id id;
    struct snapshot_list list;
    plant_spellings(r, &root);
    write_snapshot(r, &root, &id);
    MUST(snapshots_load(r, &list, &err));
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char to[112], file[160];
        struct restore_result result;
        struct buffer text = {0};
        snprintf(to, sizeof to, "%s/out-%zu", folder, i);
        struct restore_parameters p = {.snapshot = &list.list[0],
                                       .destination = to,
                                       .workers = 2,
                                       .paths = &asked[i],
                                       .path_count = i > 0};
        MUST(restore_run(r, &p, &result, &err));
        snprintf(file, sizeof file, "%s/x/src/sub/g", to);
        MUST(file_read(file, 100, &text, &err));
        ck_assert_str_eq(buffer_string(&text), "planted");
        buffer_free(&text);
    }
    snapshots_free(&list);
    repository_close(r);
    person_key_cleanse(&person);
}
END_TEST

/* ---- a store without end ---- */

#define PLANTED_BYTES ((size_t)16 << 20)
#define OBJECTS_MOST 1000

#define PLANTED_KEYRINGS 64u

/* What is in `real`, and behind it, for the names that begin with `planted`, whatever comes to mind. */
struct liar {
    struct storage *real;
    const char *planted; /* "packs/", "keys/" or "runs/" */
    bool versions;       /* many entries of each name */
    bool hides;          /* what is really there */
    unsigned listed, got;
};

static int liar_get(void *driver, const char *name, uint64_t offset, size_t size, bool whole,
                    struct buffer *out, struct error *error)
{
    struct liar *liar = driver;
    unsigned number;
    if (!whole)
        return storage_get_range(liar->real, name, offset, size, out, error);
    if (storage_get(liar->real, name, size, out, error) == 0)
        return 0;
    ck_assert_int_eq(sscanf(name, "keys/%u-", &number), 1);
    memset(buffer_extend(out, PLANTED_BYTES), (int)number, PLANTED_BYTES);
    liar->got++;
    return 0;
}

static int liar_head(void *driver, const char *name, uint64_t *size, int64_t *time, struct error *error)
{
    return storage_head(((struct liar *)driver)->real, name, size, time, error);
}

/* The name's hash is that of the bytes, which takes a while to work out: once. */
static struct id planted_keyring(unsigned number)
{
    static struct id known[PLANTED_KEYRINGS + 2];
    struct buffer bytes = {0};
    if (id_equal(&known[number], &(struct id){0})) {
        memset(buffer_extend(&bytes, PLANTED_BYTES), (int)number, PLANTED_BYTES);
        sha256(buffer_bytes(&bytes), &known[number]);
        buffer_free(&bytes);
    }
    return known[number];
}

static void planted_name(const struct liar *liar, unsigned number, char name[200])
{
    char hex[ID_HEX_SIZE];
    struct id id;
    if (strcmp(liar->planted, "keys/") == 0) /* of which only good ones count */
        id = planted_keyring(number);
    else
        sha256(bytes_of(&number, sizeof number), &id);
    id_to_hex(&id, hex);
    if (strcmp(liar->planted, "keys/") == 0)
        snprintf(name, 200, "keys/%u-%s", number, hex);
    else if (strcmp(liar->planted, "runs/") == 0)
        snprintf(name, 200, "runs/20261101T000000Z-%s", hex);
    else
        snprintf(name, 200, "packs/%.2s/%s", hex, hex);
}

static int liar_list(void *driver, const char *prefix, storage_list_callback *callback, void *context,
                     struct error *error)
{
    struct liar *liar = driver;
    int code = 0;
    if (!liar->hides)
        code = storage_list(liar->real, prefix, callback, context, error);
    bool keys = strcmp(liar->planted, "keys/") == 0;
    unsigned many = keys ? PLANTED_KEYRINGS : liar->versions ? OBJECTS_MOST / 2 : OBJECTS_MOST * 10;
    for (unsigned i = 0; code == 0 && i < many && (!*prefix || strcmp(prefix, liar->planted) == 0); i++) {
        char name[200];
        struct storage_object object = {.name = name, .size = 100, .time = 1795000000};
        planted_name(liar, i + 2, name);
        for (unsigned k = 0; k < (liar->versions ? 100 : 1) && code == 0; k++) {
            liar->listed++;
            code = callback(&object, context);
        }
    }
    return code;
}

static void liar_free(void *driver)
{
    storage_free(((struct liar *)driver)->real);
}

static const struct storage_driver liar_driver = {
    .type = "liar", .get = liar_get, .head = liar_head, .list = liar_list, .free = liar_free};

/* The first target lies. */
static int open_lied_to(struct liar *liar, size_t count, struct repository **r)
{
    struct repository_parameters p;
    parameters(&p);
    liar->real = p.targets[0];
    p.targets[0] = storage_new(&liar_driver, liar, "liar", "nowhere");
    for (size_t t = count; t < p.target_count; t++)
        storage_free(p.targets[t]);
    p.target_count = count;
    p.objects_max = OBJECTS_MOST;
    int code = repository_open(&p, REPOSITORY_READ, r, &err);
    return code ? code : repository_sync_records(*r, &err);
}

START_TEST(a_listing_without_end_is_given_up)
{
    static const char *const planted[] = {"packs/", "runs/"};
    struct liar liar = {.planted = planted[_i]};
    struct repository *r;
    struct repository_target target;
    ck_assert_int_eq(open_lied_to(&liar, 1, &r), ERROR_FAILED);
    ck_assert_msg(strstr(err.message, "target liar lists more than 1000 objects"), "%s", err.message);
    ck_assert(*err.hint);
    ck_assert_uint_le(liar.listed, OBJECTS_MOST + 1);
    repository_close(r);
    /* Another that is good is as good as before. */
    liar = (struct liar){.planted = planted[_i]};
    MUST(open_lied_to(&liar, 2, &r));
    repository_describe_target(r, 0, &target);
    ck_assert(!target.active && strstr(target.why->message, "lists more than"));
    repository_describe_target(r, 1, &target);
    ck_assert(target.active && target.objects > 0);
    repository_close(r);
}
END_TEST

START_TEST(many_versions_of_an_object_are_one_object)
{
    struct liar liar = {.planted = "packs/", .versions = true};
    struct repository *r;
    struct repository_target target;
    MUST(open_lied_to(&liar, 1, &r));
    ck_assert_uint_gt(liar.listed, 10 * OBJECTS_MOST);
    repository_describe_target(r, 0, &target);
    ck_assert_uint_ge(target.objects, OBJECTS_MOST / 2);
    ck_assert_uint_lt(target.objects, OBJECTS_MOST);
    repository_close(r);
}
END_TEST

START_TEST(planted_keyrings_fill_no_memory)
{
    struct liar liar = {.planted = "keys/"};
    struct repository *r;
    MUST(open_lied_to(&liar, 1, &r));
    ck_assert_uint_ge(liar.got, 2);
    ck_assert_uint_le(liar.got, 10); /* of 64 */
    repository_close(r);
    /* Nor do they hide those of another target. */
    liar = (struct liar){.planted = "keys/", .hides = true};
    MUST(open_lied_to(&liar, 2, &r));
    ck_assert_uint_le(liar.got, 10);
    repository_close(r);
}
END_TEST

/* ---- versions without number ---- */

#define GARBAGE_VERSIONS 12000u

/* All but the oldest are garbage. */
static int many_list(void *driver, const char *prefix, storage_versions_callback *callback, void *context,
                     struct error *error)
{
    (void)driver, (void)error;
    int code = 0;
    for (unsigned i = 0; i <= GARBAGE_VERSIONS && code == 0; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", GARBAGE_VERSIONS - i);
        struct storage_version version = {.name = prefix, .version = id, .newest = i == 0};
        code = callback(&version, context);
    }
    return code;
}

static int many_get(void *driver, const char *name, const char *version, size_t max, struct buffer *out,
                    struct error *error)
{
    (void)name, (void)max, (void)error;
    ++*(unsigned *)driver;
    buffer_append_bytes(out, bytes_of_string(strcmp(version, "0") == 0 ? "good" : "garbage"));
    return 0;
}

static void many_free(void *driver)
{
    (void)driver;
}

START_TEST(the_oldest_version_is_found_under_any_number_of_others)
{
    static const struct storage_driver many = {
        .type = "many", .list_versions = many_list, .get_version = many_get, .free = many_free};
    unsigned gets = 0;
    struct storage *storage = storage_new(&many, &gets, "many", "nowhere");
    struct buffer out = {0};
    struct id id;
    char *version;
    sha256(bytes_of_string("good"), &id);
    MUST(storage_find_version(storage, "packs/00/x", &id, 100, &out, &version, &err));
    ck_assert_str_eq(version, "0");
    ck_assert(bytes_equal(buffer_bytes(&out), bytes_of_string("good")));
    ck_assert_uint_eq(gets, 1);
    free(version);
    buffer_clear(&out);
    sha256(bytes_of_string("other"), &id);
    ck_assert_int_eq(storage_find_version(storage, "packs/00/x", &id, 100, &out, &version, &err),
                     ERROR_NOT_FOUND);
    ck_assert_uint_le(gets, GARBAGE_VERSIONS); /* so many are not even looked at */
    buffer_free(&out);
    storage_free(storage);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tests = tcase_create("restore");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, hostile_setup, remove_folder);
    tcase_add_loop_test(tests, a_forged_listing_leads_nowhere, 0, VARIANTS);
    tcase_add_test(tests, sources_that_were_spelled_in_another_way_come_back);
    suite_add_tcase(suite, tests);
    tests = tcase_create("store");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, remove_folder);
    tcase_add_loop_test(tests, a_listing_without_end_is_given_up, 0, 2);
    tcase_add_test(tests, many_versions_of_an_object_are_one_object);
    tcase_add_test(tests, planted_keyrings_fill_no_memory);
    tcase_add_test(tests, the_oldest_version_is_found_under_any_number_of_others);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
