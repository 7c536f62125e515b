/* What is restored is what was read, and nothing is ever written outside the destination. */
#include "source/directory.h"
#include "source/metadata.h"
#include "source/metadata_writer.h"
#include "source/writer.h"
#include "tree_on_disk.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

static struct arena arena;
static struct error err;
static struct writer *writer;
static struct metadata_reader *reader;
static struct metadata_writer *setter;
static int root;
static char warnings[4096];
static bool made;

static void take_warning(void *context, const char *message)
{
    (void)context;
    strncat(warnings, message, sizeof warnings - strlen(warnings) - 1);
}

#define OK(call)                                                                                             \
    do {                                                                                                     \
        int code_ = (call);                                                                                  \
        ck_assert_msg(code_ == 0, #call ": %d %s", code_, err.message);                                      \
    } while (0)

/* The folder holds: out (what must not be touched, with a file), to (the destination). */
static void setup(void)
{
    char path[100];
    make_folder();
    warnings[0] = '\0';
    shell("mkdir out; echo precious >out/file");
    snprintf(path, sizeof path, "%s/to", folder);
    OK(writer_open(path, true, &writer, &err));
    root = writer_root(writer);
    reader = metadata_reader_new(take_warning, NULL);
    setter = metadata_writer_new(NULL, take_warning, NULL);
}

static void teardown(void)
{
    shell("test \"$(cat out/file)\" = precious && test $(ls -A out | wc -l) = 1");
    metadata_reader_free(reader);
    metadata_writer_free(setter);
    writer_close(writer);
    arena_free(&arena);
    remove_folder();
}

#define NAME(text) bytes_of_string(text)

static void make_file(int directory, const char *name, const char *text)
{
    struct writer_file file;
    OK(writer_file_create(directory, NAME(name), 0, true, &file, &err));
    OK(writer_file_write(&file, text, strlen(text), 0, &err));
    OK(writer_file_commit(&file, &err));
}

/* Of the folders above what is restored, the snapshot has that of this path. */
static const char *known_path;
static char made_places[200];

static int knows(void *context, struct bytes path, bool *known, struct error *error)
{
    (void)context;
    (void)error;
    *known = known_path && bytes_equal(path, bytes_of_string(known_path));
    return 0;
}

static void take_made(void *context, const char *place)
{
    (void)context;
    strncat(made_places, place, sizeof made_places - strlen(made_places) - 1);
}

/* 0 and the place, or the error's code. */
static int go_above(const char *path, int *fd, char **place)
{
    struct writer_above above = {knows, take_made, NULL, true};
    return writer_go_above(writer, NAME(path), &above, fd, place, &err);
}

static void expect_place(const char *path, const char *expected)
{
    int fd;
    char *place;
    ck_assert_msg(go_above(path, &fd, &place) == 0, "%s: %s", path, err.message);
    ck_assert_str_eq(place, expected);
    free(place);
    close(fd);
}

static void expect_refusal(const char *path, const char *why)
{
    int fd;
    char *place;
    ck_assert_int_eq(go_above(path, &fd, &place), ERROR_EXISTS);
    ck_assert_msg(strstr(err.message, why), "%s: %s", path, err.message);
    ck_assert(*err.hint);
}

START_TEST(links_above_are_followed_below_the_destination_and_nowhere_else)
{
    char absolute[100];
    snprintf(absolute, sizeof absolute, "%s/to/usr/lib", folder);
    shell("cd to; mkdir -p usr/lib data/home; ln -s usr/lib lib; ln -s /data/home home; ln -s %s seen; ln -s "
          ".. "
          "usr/up; ln -s ../../out out; ln -s .. above; ln -s nothing dangling; ln -s loop loop; ln -s "
          "./lib/.// twice; "
          "touch file; ln -s file tofile; ln -s usr/../../to/usr around",
          absolute);
    expect_place("/lib/modules", "/usr/lib/modules");
    expect_place("home/a", "/data/home/a");
    expect_place("seen/x", "/usr/lib/x");
    expect_place("/usr/up/lib", "/usr/lib");
    expect_place("twice", "/usr/lib");
    expect_place("", "");
    expect_refusal("out/x", "leads out of the destination");
    expect_refusal("above", "leads out of the destination");
    expect_refusal("around", "leads out of the destination");
    expect_refusal("dangling/x", "leads to nothing");
    expect_refusal("loop", "in a loop");
    expect_refusal("file/x", "file is no folder");
    expect_refusal("tofile/x", "file is no folder");
    known_path = "/lib";
    expect_refusal("/lib/modules", "lib is no folder");
    known_path = NULL;
    shell("cd to; test -L lib; test -L home; test -L out; test -f file; test -d usr/lib/modules; test ! -e "
          "nothing");
}
END_TEST

START_TEST(links_above_of_others_are_not_followed)
{
    need_root();
    shell("cd to; mkdir precious; ln -s precious link; chown -h 4444 link");
    expect_refusal("link/x", "belongs neither to root nor to you");
    shell("test -z \"$(ls -A to/precious)\"");
}
END_TEST

START_TEST(folders_above_are_made_for_all_or_as_the_snapshot_knows_them)
{
    mode_t old = umask(077);
    made_places[0] = '\0';
    known_path = "/a/b";
    expect_place("/a/b/c", "/a/b/c");
    known_path = NULL;
    umask(old);
    shell(
        "cd to; test $(stat -c %%a a) = 755; test $(stat -c %%a a/b) = 700; test $(stat -c %%a a/b/c) = 755");
    ck_assert_str_eq(made_places, "/a/b");
    struct writer_above above = {knows, take_made, NULL, false};
    int fd;
    char *place;
    OK(writer_go_above(writer, NAME("a/none/x"), &above, &fd, &place, &err));
    ck_assert_int_eq(fd, -1);
    free(place);
    shell("test ! -e to/a/none");
}
END_TEST

START_TEST(names_that_are_no_single_component_are_refused)
{
    static const struct bytes bad[] = {{0},
                                       {(const uint8_t *)".", 1},
                                       {(const uint8_t *)"..", 2},
                                       {(const uint8_t *)"a/b", 3},
                                       {(const uint8_t *)"/", 1},
                                       {(const uint8_t *)"a\0b", 3},
                                       {(const uint8_t *)"\0", 1}};
    char longer[WRITER_NAME_SIZE];
    memset(longer, 'x', sizeof longer);
    struct node node = {.type = NODE_FIFO};
    for (size_t i = 0; i < 8; i++) {
        struct bytes name = i < 7 ? bad[i] : bytes_of(longer, sizeof longer);
        struct writer_file file;
        int fd;
        ck_assert_int_eq(writer_make_directory(root, name, true, &fd, &made, &err), ERROR_USAGE);
        ck_assert_int_eq(writer_make_special(root, name, &node, true, &err), ERROR_USAGE);
        ck_assert_int_eq(writer_file_create(root, name, 0, true, &file, &err), ERROR_USAGE);
        ck_assert_int_eq(writer_file_update(root, name, &file, &err), ERROR_USAGE);
        ck_assert_int_eq(writer_make_hard_link(writer, root, name, NAME("a"), true, &err), ERROR_USAGE);
        ck_assert_int_eq(writer_remove(root, name, &err), ERROR_USAGE);
        ck_assert_int_eq(metadata_write(setter, root, name, -1, &node, &err), ERROR_USAGE);
    }
    int fd;
    ck_assert_int_eq(writer_open_path(writer, NAME("../out"), &fd, &err), ERROR_USAGE);
    ck_assert_int_eq(go_above("/a/../../out", &fd, NULL), ERROR_USAGE);
    ck_assert_int_eq(writer_make_hard_link(writer, root, NAME("x"), NAME("../out/file"), true, &err),
                     ERROR_USAGE);
}
END_TEST

START_TEST(symbolic_links_in_the_way_are_never_followed)
{
    int fd;
    struct writer_file file;
    shell("cd to; ln -s ../out dir; ln -s ../out/file file; ln -s ../out/new dangling");
    ck_assert_int_eq(writer_make_directory(root, NAME("dir"), false, &fd, &made, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_open_path(writer, NAME("dir"), &fd, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(writer_file_create(root, NAME("file"), 0, false, &file, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_file_create(root, NAME("dangling"), 0, false, &file, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_file_update(root, NAME("file"), &file, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_make_hard_link(writer, root, NAME("x"), NAME("dir/file"), true, &err),
                     ERROR_NOT_FOUND);
    OK(writer_make_directory(root, NAME("dir"), true, &fd, &made, &err));
    make_file(fd, "inside", "x");
    close(fd);
    make_file(root, "file", "new");
    make_file(root, "dangling", "new");
    shell("test ! -L to/dir; test \"$(cat to/file)\" = new; test ! -e out/new; test -f to/dir/inside");
}
END_TEST

START_TEST(a_file_with_a_name_outside_is_not_changed_in_place)
{
    struct writer_file file;
    shell("ln out/file to/file");
    ck_assert_int_eq(writer_file_update(root, NAME("file"), &file, &err), ERROR_EXISTS);
    make_file(root, "file", "new");
    shell("test \"$(cat to/file)\" = new");
}
END_TEST

START_TEST(what_is_in_the_way_stays_unless_it_may_be_replaced)
{
    struct writer_file file;
    struct node link = {.type = NODE_SYMLINK, .link_target = NAME("target")};
    int fd;
    shell("cd to; echo old >f; mkdir -p d/e; touch d/e/f");
    ck_assert_int_eq(writer_file_create(root, NAME("f"), 0, false, &file, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_make_directory(root, NAME("f"), false, &fd, &made, &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_make_special(root, NAME("d"), &link, false, &err), ERROR_EXISTS);
    shell("test \"$(cat to/f)\" = old; test -f to/d/e/f");
    ck_assert_int_eq(writer_make_special(root, NAME("d"), &link, true, &err), ERROR_EXISTS);
    shell("rm to/d/e/f; rmdir to/d/e");
    OK(writer_make_special(root, NAME("d"), &link, true, &err));
    OK(writer_make_directory(root, NAME("f"), true, &fd, &made, &err));
    close(fd);
    make_file(root, "f", "file for a directory");
    shell("test \"$(readlink to/d)\" = target; test -f to/f; test $(ls -A to | wc -l) = 2");
}
END_TEST

START_TEST(a_file_that_was_not_committed_leaves_the_old_one)
{
    struct writer_file file;
    shell("echo old >to/f");
    OK(writer_file_create(root, NAME("f"), 0, true, &file, &err));
    OK(writer_file_write(&file, "new", 3, 0, &err));
    shell("test \"$(cat to/f)\" = old");
    writer_file_abort(&file);
    OK(writer_file_create(root, NAME("g"), 0, true, &file, &err));
    writer_file_abort(&file);
    shell("test \"$(cat to/f)\" = old; test $(ls -A to | wc -l) = 1");
}
END_TEST

START_TEST(holes_are_made_and_files_changed_in_place)
{
    struct writer_file file;
    char data[8192];
    memset(data, 'd', sizeof data);
    OK(writer_file_create(root, NAME("f"), 0, false, &file, &err));
    OK(writer_file_write(&file, "end", 3, 1 << 20, &err));
    OK(writer_file_truncate(&file, 10 << 20, &err));
    OK(writer_file_commit(&file, &err));
    shell("cd to; sync f; test $(stat -c %%s f) = 10485760; test $(stat -c %%b f) -le 16");
    OK(writer_file_update(root, NAME("f"), &file, &err));
    OK(writer_file_write(&file, data, sizeof data, 4096, &err));
    OK(writer_file_hole(&file, 1 << 20, 4096, &err));
    OK(writer_file_truncate(&file, 2 << 20, &err));
    OK(writer_file_commit(&file, &err));
    shell("cd to; sync f; test $(stat -c %%s f) = 2097152; test $(stat -c %%b f) -le 24; test $(tr -d '\\0' "
          "<f | wc "
          "-c) = 8192");
    OK(writer_file_update(root, NAME("f"), &file, &err));
    ck_assert_int_eq(writer_file_write(&file, data, 2, INT64_MAX, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(writer_file_truncate(&file, UINT64_MAX, &err), ERROR_INTEGRITY);
    ck_assert_int_eq(writer_file_hole(&file, 1, UINT64_MAX, &err), ERROR_INTEGRITY);
    writer_file_abort(&file);
    shell("test -f to/f");
}
END_TEST

START_TEST(hard_links_are_made_by_path)
{
    int fd;
    char *place;
    OK(go_above("/a/b/c", &fd, &place));
    make_file(fd, "first", "x");
    close(fd);
    free(place);
    OK(writer_make_hard_link(writer, root, NAME("second"), NAME("a/b/c/first"), false, &err));
    OK(writer_make_hard_link(writer, root, NAME("second"), NAME("a/b/c/first"), true, &err));
    shell("test to/second -ef to/a/b/c/first");
    ck_assert_int_eq(writer_make_hard_link(writer, root, NAME("x"), NAME("a/gone"), true, &err),
                     ERROR_NOT_FOUND);
    ck_assert_int_eq(writer_make_hard_link(writer, root, NAME("x"), (struct bytes){0}, true, &err),
                     ERROR_USAGE);
}
END_TEST

START_TEST(what_a_folder_holds_is_never_removed)
{
    need_root();
    struct writer_file file;
    struct node link = {.type = NODE_SYMLINK, .link_target = NAME("target")};
    shell("cd to; mkdir empty; mkdir -p full/.hidden mounted; touch locked; chattr +i locked; mount -t tmpfs "
          "x mounted");
    OK(writer_check_replaceable(root, NAME("empty"), &err));
    OK(writer_check_replaceable(root, NAME("locked"), &err));
    ck_assert_int_eq(writer_check_replaceable(root, NAME("full"), &err), ERROR_EXISTS);
    ck_assert_int_eq(writer_remove(root, NAME("full"), &err), ERROR_EXISTS);
    ck_assert(*err.hint);
    ck_assert_int_eq(writer_make_special(root, NAME("full"), &link, true, &err), ERROR_EXISTS);
    OK(writer_file_create(root, NAME("full"), 0, true, &file, &err));
    ck_assert_int_eq(writer_file_commit(&file, &err), ERROR_EXISTS);
    int code = writer_remove(root, NAME("mounted"), &err);
    shell("umount to/mounted");
    ck_assert_int_lt(code, 0);
    OK(writer_remove(root, NAME("empty"), &err));
    OK(writer_remove(root, NAME("locked"), &err));
    OK(writer_remove(root, NAME("none"), &err)); /* gone is done */
    shell("test \"$(ls -A to | sort | tr '\\n' ' ')\" = 'full mounted '; test -d to/full/.hidden");
}
END_TEST

struct swap {
    atomic_bool stop;
};

/* Swaps a directory and a link that leads outside, as fast as it can. */
static void *swap_links(void *context)
{
    struct swap *swap = context;
    while (!atomic_load(&swap->stop))
        renameat2(root, "victim", root, "link", RENAME_EXCHANGE);
    return NULL;
}

START_TEST(swapping_directories_and_links_meanwhile_leads_nowhere_else)
{
    struct swap swap = {false};
    pthread_t thread;
    struct node directory = {.type = NODE_DIRECTORY, .mode = 0777, .uid = geteuid(), .gid = getegid()};
    shell("cd to; mkdir victim; ln -s ../out link; chmod 700 ../out");
    ck_assert_int_eq(pthread_create(&thread, NULL, swap_links, &swap), 0);
    for (int i = 0; i < 5000; i++) {
        int fd;
        struct writer_file file;
        char *place;
        if (go_above("victim/sub", &fd, &place) == 0) {
            make_file(fd, "file", "evil");
            free(place);
            close(fd);
        }
        if (writer_make_directory(root, NAME("victim"), false, &fd, &made, NULL) == 0) {
            if (writer_file_create(fd, NAME("new"), 0, true, &file, NULL) == 0)
                writer_file_commit(&file, NULL);
            writer_remove(fd, NAME("file"), NULL);
            writer_make_hard_link(writer, fd, NAME("hard"), NAME("victim/file"), true, NULL);
            close(fd);
        }
        metadata_write(setter, root, NAME("victim"), -1, &directory, NULL);
    }
    atomic_store(&swap.stop, true);
    pthread_join(thread, NULL);
    shell(
        "test $(stat -c %%a out) = 700; test $(stat -c %%h out/file) = 1; test -z \"$(find to -name hard)\"");
}
END_TEST

/* Reads the entry's metadata in the source folder and writes it to a fresh entry of the destination. */
static void copy_entry(int from, int to, const char *name)
{
    struct source_stat st;
    struct node node;
    int fd;
    read_metadata(reader, from, name, &st, &arena, &node);
    if (node.type == NODE_FILE) {
        make_file(to, name, "");
    } else if (node.type == NODE_DIRECTORY) {
        OK(writer_make_directory(to, NAME(name), false, &fd, &made, &err));
        close(fd);
    } else {
        OK(writer_make_special(to, NAME(name), &node, false, &err));
    }
    OK(metadata_write(setter, to, NAME(name), -1, &node, &err));
    struct node again;
    read_metadata(reader, to, name, &st, &arena, &again);
    ck_assert_msg(node.type == again.type && node.mode == again.mode && node.uid == again.uid &&
                      node.gid == again.gid && node.mtime_seconds == again.mtime_seconds &&
                      node.mtime_nanoseconds == again.mtime_nanoseconds && node.flags == again.flags &&
                      bytes_equal(node.link_target, again.link_target) &&
                      node.device_major == again.device_major && node.device_minor == again.device_minor,
                  "%s differs: mode %o %o, flags %x %x, time %lld %lld", name, node.mode, again.mode,
                  node.flags, again.flags, (long long)node.mtime_seconds, (long long)again.mtime_seconds);
    ck_assert_msg(node.xattr_count == again.xattr_count, "%s: %zu xattrs, had %zu", name, again.xattr_count,
                  node.xattr_count);
    for (size_t i = 0; i < node.xattr_count; i++)
        ck_assert(bytes_equal(node.xattrs[i].name, again.xattrs[i].name) &&
                  bytes_equal(node.xattrs[i].value, again.xattrs[i].value));
}

START_TEST(all_metadata_comes_back_whatever_the_umask_and_inherited_acls)
{
    need_root();
    /* Each name stands for what it has; utf is not UTF-8. */
    shell("mkdir from; cd from; touch plain setuid acl capable flagged appending early late locked; mkdir "
          "dir dflt; "
          "ln -s /nowhere link; mkfifo -m 604 fifo; mknod -m 660 chr c 1 3; mknod -m 600 blk b 300 70000; "
          "chown 12345:54321 setuid dir; chown -h 77:88 link; chmod 6711 setuid; chmod 3775 dir; chmod 0 "
          "locked; "
          "setfacl -m u:9:rwx,g:8:-,m:r acl; setfacl -m u:9:r fifo; setfacl -d -m u:9:rwx dflt; setcap "
          "cap_net_raw+ep capable; chown 5:5 acl; setfattr -n user.k -v v plain; setfattr -n trusted.t -v w "
          "dir; "
          "setfattr -h -n trusted.l -v x link; touch -d '1931-05-06 07:08:09.123456789' early link -h; touch "
          "-d "
          "'2222-02-02 02:02:02.222222222' late; touch -d 1969-12-31T23:59:59.5Z dir; touch \"$(printf "
          "'utf\\377')\"; "
          "chattr +iAd flagged; chattr +a appending; chattr +DT dflt");
    /* Everything made in the destination inherits an ACL and an attribute that it must not keep. */
    shell("setfacl -d -m u:4321:rwx,o::rwx to");
    int from = openat(folder_fd, "from", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct bytes *names;
    size_t count;
    struct buffer scratch = {0};
    OK(source_list_directory(from, NULL, &scratch, &arena, &names, &count, &err));
    ck_assert_uint_eq(count, 16);
    mode_t old = umask(0777);
    for (size_t i = 0; i < count; i++)
        copy_entry(from, root, (const char *)names[i].data);
    umask(old);
    ck_assert_str_eq(warnings, "");
    close(from);
    buffer_free(&scratch);
}
END_TEST

START_TEST(metadata_replaces_what_an_existing_entry_has)
{
    need_root();
    shell("cd to; touch f; setfattr -n user.old -v x f; setfacl -m u:1:r f; setcap cap_net_raw+ep f; chattr "
          "+i f; "
          "mkdir d; chattr +a d");
    struct xattr xattrs[] = {{NAME("user.new"), NAME("y")}};
    struct node node = {.type = NODE_FILE, .mode = 0640, .uid = 3, .xattrs = xattrs, .xattr_count = 1};
    OK(metadata_write(setter, root, NAME("f"), -1, &node, &err));
    shell("cd to; test \"$(getfattr -d -m - f 2>/dev/null | grep -c =)\" = 1; getfattr -n user.new f "
          ">/dev/null; test "
          "$(stat -c %%a:%%u f) = 640:3; lsattr f | grep -vq i--");
    int fd;
    OK(writer_make_directory(root, NAME("d"), false, &fd, &made, &err));
    make_file(fd, "x", "y");
    OK(writer_remove(fd, NAME("x"), &err)); /* not possible if it were append-only still */
    close(fd);
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(metadata_that_is_as_it_should_be_is_not_touched)
{
    need_root();
    shell("cd to; touch plain; touch locked; mkdir dir; ln -s x link; mkfifo fifo; setfacl -m u:9:rwx plain; "
          "setfattr -n "
          "user.k -v v plain; setcap cap_net_raw+ep plain; chown 5:6 plain dir; chmod 4711 plain; chmod 3755 "
          "dir; setfacl "
          "-d -m u:7:r dir; setfattr -n trusted.t -v w dir; touch -d @7.5 -h link; chattr +i locked");
    static const char *const names[] = {"plain", "locked", "dir", "link", "fifo"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct source_stat before, after;
        struct node node;
        read_metadata(reader, root, names[i], &before, &arena, &node);
        OK(metadata_write(setter, root, NAME(names[i]), -1, &node, &err));
        ck_assert_msg(!metadata_writer_changed(setter), "%s", names[i]);
        OK(source_stat(root, names[i], &after, &err));
        ck_assert_msg(before.ctime_seconds == after.ctime_seconds &&
                          before.ctime_nanoseconds == after.ctime_nanoseconds,
                      "%s was touched", names[i]);
    }
    struct metadata_writer *pretender = metadata_writer_new(NULL, take_warning, NULL);
    struct node node = {.type = NODE_FIFO, .mode = 0604};
    metadata_writer_pretend(pretender);
    OK(metadata_write(pretender, root, NAME("fifo"), -1, &node, &err));
    ck_assert(metadata_writer_changed(pretender));
    shell("test $(stat -c %%a to/fifo) = 644");
    metadata_writer_free(pretender);
    ck_assert_str_eq(warnings, "");
    shell("chattr -i to/locked");
}
END_TEST

START_TEST(an_immutable_file_is_replaced_linked_and_named)
{
    need_root();
    struct writer_file file;
    struct node node = {.type = NODE_FILE, .mode = 0600, .flags = FS_IMMUTABLE_FL};
    for (int i = 0; i < 2; i++) {
        OK(writer_file_create(root, NAME("f"), 0, true, &file, &err));
        OK(writer_file_write(&file, "text", 4, 0, &err));
        OK(metadata_write(setter, root, NAME("f"), file.fd, &node, &err));
        OK(writer_file_commit(&file, &err));
        shell("lsattr to/f | cut -d' ' -f1 | grep -q i; test \"$(cat to/f)\" = text");
    }
    OK(writer_make_hard_link(writer, root, NAME("g"), NAME("f"), false, &err));
    shell("test to/f -ef to/g; lsattr to/f | cut -d' ' -f1 | grep -q i; test $(ls -A to | wc -l) = 2");
    OK(writer_file_update(root, NAME("f"), &file, NULL) == ERROR_EXISTS ? 0 : -1); /* two names */
    OK(writer_remove(root, NAME("g"), &err));
}
END_TEST

START_TEST(hostile_metadata_is_a_warning)
{
    struct xattr xattrs[] = {{bytes_of("user.a\0b", 8), NAME("x")}, {{0}, {0}}};
    struct node node = {.type = NODE_FILE,
                        .mode = 0xffffffff,
                        .uid = geteuid(),
                        .gid = getegid(),
                        .mtime_nanoseconds = UTIME_NOW,
                        .xattrs = xattrs,
                        .xattr_count = 2,
                        .flags = FS_VERITY_FL | FS_EXTENT_FL};
    make_file(root, "f", "");
    OK(metadata_write(setter, root, NAME("f"), -1, &node, &err));
    ck_assert_ptr_nonnull(strstr(warnings, "cannot set the extended attribute user.a\\x00b"));
    ck_assert_ptr_nonnull(strstr(warnings, "cannot set the time"));
    node.type = NODE_DIRECTORY;
    ck_assert_int_lt(metadata_write(setter, root, NAME("f"), -1, &node, &err), 0);
    struct node odd = {.type = NODE_SYMLINK, .link_target = bytes_of("a\0b", 3)};
    ck_assert_int_eq(writer_make_special(root, NAME("l"), &odd, true, &err), ERROR_USAGE);
    odd.type = NODE_SOCKET;
    ck_assert_int_eq(writer_make_special(root, NAME("l"), &odd, true, &err), ERROR_UNSUPPORTED);
}
END_TEST

START_TEST(without_root_owners_are_counted_and_set_id_bits_left_out)
{
    need_root();
    struct node node = {.type = NODE_FILE, .mode = 06755, .uid = 1, .gid = 2};
    shell("chown 4444:4444 to; chmod 755 .");
    ck_assert_int_eq(setegid(4444), 0);
    ck_assert_int_eq(seteuid(4444), 0);
    make_file(root, "f", "x");
    int code = metadata_write(setter, root, NAME("f"), -1, &node, &err);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(0), 0);
    OK(code);
    ck_assert_uint_eq(metadata_writer_owner_failures(setter), 1);
    ck_assert_str_eq(warnings, "");
    shell("test $(stat -c %%a:%%u to/f) = 755:4444");
}
END_TEST

START_TEST(owners_are_mapped_by_name_on_request)
{
    need_root();
    struct owner_map *owners = owner_map_new(true);
    struct metadata_writer *by_name = metadata_writer_new(owners, take_warning, NULL);
    struct node node = {
        .type = NODE_FILE, .uid = 12345, .gid = 54321, .user = NAME("daemon"), .group = NAME("?")};
    make_file(root, "f", "x");
    OK(metadata_write(by_name, root, NAME("f"), -1, &node, &err));
    OK(metadata_write(by_name, root, NAME("f"), -1, &node, &err));
    shell("test $(stat -c %%U:%%g to/f) = daemon:54321");
    size_t count;
    const struct owner_difference *d = owner_map_differences(owners, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert(d[0].kind == OWNER_USER && d[0].known && d[0].recorded == 12345 && d[0].given == d[0].number);
    ck_assert(d[1].kind == OWNER_GROUP && !d[1].known && d[1].given == 54321 && d[1].here.size == 0);
    ck_assert(d[0].entries == 2 && d[1].entries == 2 && owner_map_more(owners) == 0);
    metadata_writer_free(by_name);
    owner_map_free(owners);
}
END_TEST

/* A thousand that differ are told of one by one; however many there are, they are only counted. */
START_TEST(owners_that_differ_are_bounded)
{
    struct owner_map *owners = owner_map_new(false);
    for (unsigned i = 0; i < OWNER_DIFFERENCES_MAX + 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "no such user %u", i);
        ck_assert_uint_eq(owner_map_id(owners, OWNER_USER, bytes_of_string(name), 70000 + i), 70000 + i);
    }
    size_t count;
    owner_map_differences(owners, &count);
    ck_assert_uint_eq(count, OWNER_DIFFERENCES_MAX);
    ck_assert_uint_eq(owner_map_more(owners), 5);
    owner_map_free(owners);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("writer");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, names_that_are_no_single_component_are_refused);
    tcase_add_test(tests, links_above_are_followed_below_the_destination_and_nowhere_else);
    tcase_add_test(tests, links_above_of_others_are_not_followed);
    tcase_add_test(tests, folders_above_are_made_for_all_or_as_the_snapshot_knows_them);
    tcase_add_test(tests, symbolic_links_in_the_way_are_never_followed);
    tcase_add_test(tests, a_file_with_a_name_outside_is_not_changed_in_place);
    tcase_add_test(tests, what_is_in_the_way_stays_unless_it_may_be_replaced);
    tcase_add_test(tests, a_file_that_was_not_committed_leaves_the_old_one);
    tcase_add_test(tests, holes_are_made_and_files_changed_in_place);
    tcase_add_test(tests, hard_links_are_made_by_path);
    tcase_add_test(tests, what_a_folder_holds_is_never_removed);
    tcase_add_test(tests, swapping_directories_and_links_meanwhile_leads_nowhere_else);
    tcase_add_test(tests, all_metadata_comes_back_whatever_the_umask_and_inherited_acls);
    tcase_add_test(tests, metadata_replaces_what_an_existing_entry_has);
    tcase_add_test(tests, metadata_that_is_as_it_should_be_is_not_touched);
    tcase_add_test(tests, an_immutable_file_is_replaced_linked_and_named);
    tcase_add_test(tests, hostile_metadata_is_a_warning);
    tcase_add_test(tests, without_root_owners_are_counted_and_set_id_bits_left_out);
    tcase_add_test(tests, owners_are_mapped_by_name_on_request);
    tcase_add_test(tests, owners_that_differ_are_bounded);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
