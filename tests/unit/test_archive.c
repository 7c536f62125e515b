/* Archives are read and written with all that their entries have, and hostile ones lead nowhere. */
#include "base/command.h"
#include "source/archive_reader.h"
#include "source/archive_writer.h"
#include "source/metadata_writer.h"
#include "source/writer.h"
#include "tree_on_disk.h"

static struct arena arena;
static struct error err;
static struct metadata_reader *reader;
static char warnings[8192];

static void take_warning(void *context, const char *message)
{
    (void)context;
    strncat(warnings, message, sizeof warnings - strlen(warnings) - 1);
    strncat(warnings, "\n", sizeof warnings - strlen(warnings) - 1);
}

static void setup(void)
{
    make_folder();
    warnings[0] = '\0';
    reader = metadata_reader_new(take_warning, NULL);
}

static void teardown(void)
{
    metadata_reader_free(reader);
    arena_free(&arena);
    remove_folder();
}

#define OK(call)                                                                                             \
    do {                                                                                                     \
        int code_ = (call);                                                                                  \
        ck_assert_msg(code_ == 0, #call ": %d %s", code_, err.message);                                      \
    } while (0)

/* A folder "from" with everything that an archive can hold. */
static void make_tree(void)
{
    shell(
        "mkdir -p from/dir/sub; cd from; head -c 300000 /dev/urandom >plain; : >empty; ln plain linked; ln "
        "-s "
        "/nowhere/$(printf 'x%%.0s' $(seq 150)) link; mkfifo fifo; mknod char c 1 3; mknod block b 8 70000; "
        "printf data >dir/sub/f; touch \"$(printf 'not\\377utf8')\" \"$(printf "
        "'u\\314\\210nfd-\\303\\274')\" $(printf "
        "'n%%.0s' $(seq 255)); touch acl names; setfacl -m u:9:rwx,g:8:-,m:r acl; setfacl -d -m u:4321:rx "
        "dir; "
        "setfattr -n user.k -v $(printf 'v%%.0s' $(seq 500)) plain; setfattr -n user.e names; chown "
        "12345:54321 dir; "
        "chown daemon:games names; chmod 6711 names; chmod 3775 dir; truncate -s 3M sparse; printf middle | "
        "dd of=sparse "
        "bs=1 seek=1048576 conv=notrunc 2>/dev/null; truncate -s 1M hole; touch -d 1969-12-31T23:59:59Z "
        "empty; "
        "touch -d '2222-02-02 02:02:02.222222222' dir/sub/f; chattr +d names");
}

static int open_below(const char *name)
{
    int fd;
    OK(source_open_directory(folder_fd, name, &fd, &err));
    return fd;
}

static int knows_nothing(void *context, struct bytes path, bool *known, struct error *error)
{
    (void)context;
    (void)path;
    (void)error;
    *known = false;
    return 0;
}

/* Makes the archive's tree in the folder `to`, as a restore would. */
static void extract(archive_fetch *fetch, void *context, const char *to)
{
    struct archive_reader *archive;
    struct archive_member member;
    struct writer *writer;
    struct metadata_writer *setter = metadata_writer_new(NULL, take_warning, NULL);
    struct source_run run;
    char path[200], *data = malloc(100000);
    struct archive_member directories[16];
    size_t directory_count = 0;
    bool more;
    snprintf(path, sizeof path, "%s/%s", folder, to);
    OK(writer_open(path, true, &writer, &err));
    OK(archive_reader_new(fetch, context, take_warning, NULL, &archive, &err));
    for (;;) {
        OK(archive_reader_next(archive, &arena, &member, &more, &err));
        if (!more)
            break;
        if (member.path.size == 0)
            continue;
        const uint8_t *slash = memrchr(member.path.data, '/', member.path.size);
        size_t split = slash ? (size_t)(slash - member.path.data) + 1 : 0;
        struct bytes name = bytes_of(member.path.data + split, member.path.size - split);
        int parent, fd;
        struct writer_above above = {.knows = knows_nothing, .make = true};
        char *place;
        OK(writer_go_above(writer, bytes_of(member.path.data, split), &above, &parent, &place, &err));
        free(place);
        if (member.node.hard_link.size) {
            OK(writer_make_hard_link(writer, parent, name, member.node.hard_link, false, &err));
        } else if (member.node.type == NODE_FILE) {
            struct writer_file file;
            uint64_t at = 0;
            OK(writer_file_create(parent, name, 0, false, &file, &err));
            do {
                OK(archive_reader_data(archive, data, 100000, &run, &err));
                if (!run.hole && run.length)
                    OK(writer_file_write(&file, data, run.length, at, &err));
                at += run.length;
            } while (run.length);
            ck_assert(!member.size_known || at == member.node.size);
            OK(writer_file_truncate(&file, at, &err));
            OK(metadata_write(setter, parent, name, file.fd, &member.node, &err));
            OK(writer_file_commit(&file, &err));
        } else if (member.node.type == NODE_DIRECTORY) {
            bool made;
            OK(writer_make_directory(parent, name, false, &fd, &made, &err));
            close(fd);
            ck_assert_uint_lt(directory_count, 16);
            directories[directory_count++] = member;
        } else {
            OK(writer_make_special(parent, name, &member.node, false, &err));
            OK(metadata_write(setter, parent, name, -1, &member.node, &err));
        }
        close(parent);
    }
    while (directory_count--) {
        struct archive_member *m = &directories[directory_count];
        const uint8_t *slash = memrchr(m->path.data, '/', m->path.size);
        size_t split = slash ? (size_t)(slash - m->path.data) + 1 : 0;
        int parent;
        OK(writer_open_path(writer, bytes_of(m->path.data, split), &parent, &err));
        OK(metadata_write(setter, parent, bytes_of(m->path.data + split, m->path.size - split), -1, &m->node,
                          &err));
        close(parent);
    }
    archive_reader_free(archive);
    metadata_writer_free(setter);
    writer_close(writer);
    free(data);
}

/* Which parts of metadata an archive format cannot hold. */
#define NO_NANOSECONDS 1
#define NO_FLAGS 2
#define NO_XATTRS 4

static void compare(int a, int b, unsigned without)
{
    struct bytes *names, *others;
    size_t count, other_count;
    struct buffer scratch = {0};
    OK(source_list_directory(a, NULL, &scratch, &arena, &names, &count, &err));
    OK(source_list_directory(b, NULL, &scratch, &arena, &others, &other_count, &err));
    buffer_free(&scratch);
    ck_assert_uint_eq(count, other_count);
    for (size_t i = 0; i < count; i++) {
        struct source_stat x, y;
        struct node n, m;
        const char *name = (const char *)names[i].data;
        ck_assert_msg(bytes_equal(names[i], others[i]), "%s is missing", name);
        OK(source_stat(a, name, &x, &err));
        OK(source_stat(b, name, &y, &err));
        read_metadata(reader, a, name, &x, &arena, &n);
        read_metadata(reader, b, name, &y, &arena, &m);
        ck_assert_msg(n.type == m.type && n.mode == m.mode && n.uid == m.uid && n.gid == m.gid &&
                          n.size == m.size && x.link_count == y.link_count &&
                          n.device_major == m.device_major && n.device_minor == m.device_minor &&
                          bytes_equal(n.link_target, m.link_target),
                      "%s differs: %d %o %u, %d %o %u", name, n.type, n.mode, n.uid, m.type, m.mode, m.uid);
        ck_assert_msg(n.mtime_seconds == m.mtime_seconds, "%s: %lld %lld", name, (long long)n.mtime_seconds,
                      (long long)m.mtime_seconds);
        if (!(without & NO_NANOSECONDS))
            ck_assert_msg(n.mtime_nanoseconds == m.mtime_nanoseconds, "%s: %u ns, %u ns", name,
                          n.mtime_nanoseconds, m.mtime_nanoseconds);
        if (!(without & NO_FLAGS))
            ck_assert_msg(n.flags == m.flags, "%s: flags %x %x", name, n.flags, m.flags);
        if (!(without & NO_XATTRS)) {
            ck_assert_msg(n.xattr_count == m.xattr_count, "%s: %zu %zu xattrs", name, n.xattr_count,
                          m.xattr_count);
            for (size_t j = 0; j < n.xattr_count; j++)
                ck_assert_msg(bytes_equal(n.xattrs[j].name, m.xattrs[j].name) &&
                                  bytes_equal(n.xattrs[j].value, m.xattrs[j].value),
                              "%s: %s", name, (const char *)n.xattrs[j].name.data);
        }
        if (n.type == NODE_DIRECTORY) {
            int c, d;
            OK(source_open_directory(a, name, &c, &err));
            OK(source_open_directory(b, name, &d, &err));
            compare(c, d, without);
            close(c);
            close(d);
        }
    }
}

static void compare_trees(const char *from, const char *to, unsigned without)
{
    int a = open_below(from), b = open_below(to);
    compare(a, b, without);
    close(a);
    close(b);
    shell("cd %s; find . -type f -print0 | xargs -0 -I{} cmp {} ../%s/{}", from, to);
}

static void extract_file(const char *name, const char *to)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    extract(archive_fetch_descriptor, &fd, to);
    close(fd);
}

START_TEST(a_tar_of_gnu_tar_with_acls_and_xattrs_comes_out_as_it_went_in)
{
    need_root();
    make_tree();
    shell("tar --format=posix --acls --xattrs -S -cf a.tar -C from .");
    extract_file("a.tar", "to");
    compare_trees("from", "to", NO_FLAGS);
    shell("test $(stat -c %%b to/hole) = 0; test $(stat -c %%b to/sparse) -le 16");
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(a_tar_of_bsdtar_keeps_flags_too)
{
    need_root();
    make_tree();
    shell("bsdtar --format=pax --acls --xattrs --fflags -cf a.tar -C from .");
    extract_file("a.tar", "to");
    compare_trees("from", "to", 0);
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(compressed_and_older_archives_are_recognised)
{
    need_root();
    static const char *const made[] = {"tar --format=gnu -czf a -C from .",
                                       "tar --format=gnu -S -cf - -C from . | xz -0 >a",
                                       "tar --format=gnu -cf - -C from . | zstd -q >a"};
    make_tree();
    for (size_t i = 0; i < 3; i++) {
        char to[10];
        snprintf(to, sizeof to, "to%zu", i);
        shell("%s", made[i]);
        extract_file("a", to);
        compare_trees("from", to, NO_XATTRS | NO_FLAGS | NO_NANOSECONDS);
    }
}
END_TEST

START_TEST(the_output_of_a_command_is_an_archive_and_read_to_its_end)
{
    need_root();
    make_tree();
    struct command *command;
    const char *const argv[] = {"sh", "-c", "tar --format=posix --acls --xattrs -S -b 2000 -cf - -C from .",
                                NULL};
    OK(command_start(argv, NULL, folder, &command, &err));
    extract(archive_fetch_command, command, "to");
    OK(command_finish(command, &err));
    command_free(command);
    compare_trees("from", "to", NO_FLAGS);
}
END_TEST

/* Writes the tree below fd, hard links by inode of one pair only: plain is linked's first name. */
static void export_tree(struct archive_writer *archive, int fd, const char *path, bool links)
{
    struct bytes *names;
    size_t count;
    struct buffer scratch = {0};
    char data[10000];
    OK(source_list_directory(fd, NULL, &scratch, &arena, &names, &count, &err));
    buffer_free(&scratch);
    for (size_t i = 0; i < count; i++) {
        struct source_stat st;
        struct node node;
        struct extent list[16];
        char *below = NULL;
        const char *name = (const char *)names[i].data;
        ck_assert_int_gt(asprintf(&below, "%s/%s", path, name), 0);
        read_metadata(reader, fd, name, &st, &arena, &node);
        if (links && strcmp(name, "plain") == 0)
            node.hard_link = bytes_of_string("/linked");
        if (node.type == NODE_FILE) {
            struct source_file file;
            struct source_run run;
            node.content.list = list;
            open_source_file(fd, name, &file);
            for (;;) {
                OK(source_file_next(&file, data, sizeof data, &run, &err));
                if (run.length == 0 || node.content.count == 16)
                    break;
                list[node.content.count++] = (struct extent){.length = run.length, .hole = run.hole};
            }
            close(file.fd);
            if (st.blocks * 512 >= st.size)
                node.content.count = 0;
        }
        int code = archive_writer_entry(archive, bytes_of_string(below), &node, &err);
        if (!links && node.type > NODE_SYMLINK)
            ck_assert_int_eq(code, ERROR_UNSUPPORTED);
        else
            OK(code);
        if (node.type == NODE_FILE && !node.hard_link.size) {
            struct source_file file;
            struct source_run run;
            open_source_file(fd, name, &file);
            do {
                OK(source_file_next(&file, data, sizeof data, &run, &err));
                if (run.hole)
                    OK(archive_writer_hole(archive, run.length, &err));
                else
                    OK(archive_writer_data(archive, data, run.length, &err));
            } while (run.length);
            close(file.fd);
        }
        if (node.type == NODE_DIRECTORY) {
            int child;
            OK(source_open_directory(fd, name, &child, &err));
            export_tree(archive, child, below, links);
            close(child);
        }
        free(below);
    }
}

static void export_to(const char *name, enum archive_writer_format format)
{
    struct archive_writer *archive;
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), from = open_below("from");
    OK(archive_writer_new(fd, format, take_warning, NULL, &archive, &err));
    export_tree(archive, from, "", format == ARCHIVE_WRITER_PAX);
    OK(archive_writer_finish(archive, &err));
    archive_writer_free(archive);
    close(fd);
    close(from);
}

START_TEST(an_exported_tar_is_read_by_us_by_bsdtar_and_by_gnu_tar)
{
    need_root();
    make_tree();
    export_to("a.tar", ARCHIVE_WRITER_PAX);
    ck_assert_str_eq(warnings, "");
    extract_file("a.tar", "ours");
    compare_trees("from", "ours", 0);
    shell("mkdir bsd gnu; LC_ALL=C bsdtar --acls --xattrs --fflags --numeric-owner -xpf a.tar -C bsd "
          "2>messages || true");
    compare_trees("from", "bsd", 0);
    shell("tar --xattrs --xattrs-include='*' --numeric-owner -xpf a.tar -C gnu 2>messages");
    compare_trees("from", "gnu", NO_FLAGS | NO_XATTRS);
    shell("getfattr -n user.k gnu/plain >/dev/null; test $(stat -c %%b ours/hole) = 0; test $(stat -c %%b "
          "ours/sparse) "
          "-le 16; test $(stat -c %%s a.tar) -lt 700000");
}
END_TEST

START_TEST(an_exported_zip_is_read_by_others)
{
    need_root();
    make_tree();
    export_to("a.zip", ARCHIVE_WRITER_ZIP);
    shell("mkdir to; python3 -m zipfile -e a.zip to; cd from; find . -type f ! -name 'not*' -print0 | xargs "
          "-0 -I{} "
          "cmp {} ../to/{}");
    ck_assert_ptr_nonnull(strstr(warnings, "not UTF-8"));
}
END_TEST

/* Beyond what 32 bits hold; the first values on both sides do. */
START_TEST(times_beyond_those_of_a_zip_become_the_nearest)
{
    static const int64_t times[] = {(int64_t)INT32_MIN - 1, INT32_MIN, 0, UINT32_MAX,
                                    (int64_t)UINT32_MAX + 1};
    struct archive_writer *archive;
    int fd = openat(folder_fd, "a.zip", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    OK(archive_writer_new(fd, ARCHIVE_WRITER_ZIP, take_warning, NULL, &archive, &err));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct node node = {.type = NODE_FILE, .mode = 0600, .mtime_seconds = times[i]};
        char name[] = {(char)('a' + i), '\0'};
        OK(archive_writer_entry(archive, bytes_of_string(name), &node, &err));
        bool fits = times[i] >= INT32_MIN && times[i] <= UINT32_MAX;
        ck_assert_int_eq(strstr(warnings, "its time") == NULL, fits);
        warnings[0] = '\0';
    }
    OK(archive_writer_finish(archive, &err));
    archive_writer_free(archive);
    close(fd);
    shell("test $(python3 -m zipfile -l a.zip | wc -l) = 6");
}
END_TEST

START_TEST(members_that_lie_elsewhere_are_left_out)
{
    shell("mkdir d; echo x >d/f; ln d/f d/g; "
          "tar -P --format=posix -cf a.tar --transform 's,^d/f,../../evil,' d/f; "
          "tar -P --format=posix -rf a.tar --transform 's,^d/f,/abs/olute,' d/f; "
          "tar -P --format=posix -rf a.tar --transform 's,^d/f,a/../b,' d/f; "
          "tar -P --format=posix -rf a.tar --transform 's,^d/f,.//deep/./er//name,' d/f; "
          "tar -P --format=posix -rf a.tar --transform 's,^d/f,../out,RSh;s,^d/g,in,' d/f d/g");
    int fd = openat(folder_fd, "a.tar", O_RDONLY | O_CLOEXEC);
    struct archive_reader *archive;
    struct archive_member member;
    bool more;
    char seen[200] = "";
    OK(archive_reader_new(archive_fetch_descriptor, &fd, take_warning, NULL, &archive, &err));
    for (;;) {
        OK(archive_reader_next(archive, &arena, &member, &more, &err));
        if (!more)
            break;
        strncat(seen, (const char *)member.path.data, 50);
        strcat(seen, " ");
        ck_assert_ptr_null(strstr((const char *)member.path.data, ".."));
    }
    archive_reader_free(archive);
    close(fd);
    ck_assert_msg(strncmp(seen, "abs/olute deep/er/name ", 23) == 0, "%s", seen);
    ck_assert_ptr_nonnull(strstr(warnings, "../../evil: left out"));
    ck_assert_ptr_nonnull(strstr(warnings, "a/../b: left out"));
}
END_TEST

/* A listing that a restore refuses would make the whole snapshot worthless. */
START_TEST(names_too_long_for_a_listing_are_left_out)
{
    shell("python3 - <<'P'\n"
          "import io, tarfile\n"
          "with tarfile.open('long.tar', 'w', format=tarfile.PAX_FORMAT) as t:\n"
          "    for name, owner, key in (('owner', 'o' * 257, 'k'), ('attribute', 'o' * 256, 'k' * 251),\n"
          "                             ('p/' + 'n' * 1025, '', 'k'), ('n' * 1024, '', 'k')):\n"
          "        m = tarfile.TarInfo(name)\n"
          "        m.uname = m.gname = owner\n"
          "        m.pax_headers = {'SCHILY.xattr.user.' + key: 'v'}\n"
          "        t.addfile(m)\n"
          "P");
    int fd = openat(folder_fd, "long.tar", O_RDONLY | O_CLOEXEC);
    struct archive_reader *archive;
    struct archive_member member;
    bool more;
    static const size_t owners[] = {0, 256, 0}, attributes[] = {1, 0, 1};
    OK(archive_reader_new(archive_fetch_descriptor, &fd, take_warning, NULL, &archive, &err));
    for (size_t i = 0; i < 3; i++) {
        OK(archive_reader_next(archive, &arena, &member, &more, &err));
        ck_assert(more);
        ck_assert_uint_eq(member.node.user.size, owners[i]);
        ck_assert_uint_eq(member.node.group.size, owners[i]);
        ck_assert_uint_eq(member.node.xattr_count, attributes[i]);
    }
    OK(archive_reader_next(archive, &arena, &member, &more, &err));
    ck_assert(!more);
    archive_reader_free(archive);
    close(fd);
    ck_assert_ptr_nonnull(strstr(warnings, "owner: an owner's name is too long"));
    ck_assert_ptr_nonnull(strstr(warnings, "attribute: an extended attribute is too large"));
    ck_assert_ptr_nonnull(strstr(warnings, "nnn: left out"));
}
END_TEST

static char seen[200]; /* the names of the members, in order */

static int read_all(const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC), code;
    struct archive_reader *archive;
    struct archive_member member;
    struct source_run run;
    char data[5000];
    bool more = true;
    seen[0] = '\0';
    code = archive_reader_new(archive_fetch_descriptor, &fd, take_warning, NULL, &archive, &err);
    if (code == 0) {
        while (code == 0 && more) {
            code = archive_reader_next(archive, &arena, &member, &more, &err);
            if (code == 0 && more)
                strncat(seen, (const char *)member.path.data, 10);
            run.length = 1;
            while (code == 0 && more && run.length)
                code = archive_reader_data(archive, data, sizeof data, &run, &err);
        }
        archive_reader_free(archive);
    }
    close(fd);
    return code;
}

START_TEST(what_is_no_archive_or_cut_off_is_an_error)
{
    shell("head -c 100000 /dev/urandom >noise; : >empty; echo 'just text' >text; echo '#mtree' >mtree; echo "
          "'./x "
          "type=file contents=/etc/passwd' >>mtree; mkdir d; cp noise d/; tar -cf whole d; gzip -k whole; "
          "head -c 50000 whole "
          ">cut; head -c 50000 whole.gz >cut.gz");
    static const char *const bad[] = {"noise", "empty", "text", "mtree", "cut", "cut.gz"};
    OK(read_all("whole"));
    OK(read_all("whole.gz"));
    for (size_t i = 0; i < 6; i++)
        ck_assert_msg(read_all(bad[i]) == ERROR_INTEGRITY, "%s was taken", bad[i]);
}
END_TEST

/* Two files a and b, each in archives of its own. */
static void make_pairs(void)
{
    shell("seq 1000 >a; seq 2000 >b; for x in a b; do tar --format=gnu -cf $x.tar $x; tar --format=pax -b 1 "
          "-cf $x.pax $x; "
          "for f in gzip bzip2 xz zstd lz4 lzma compress; do bsdtar --$f -cf $x.$f $x; done; "
          "for f in newc odc; do bsdtar --format=$f -cf $x.$f $x; done; done");
}

START_TEST(archives_of_tar_may_follow_one_another)
{
    static const char *const good[] = {
        "cat a.tar b.tar",
        "cat a.pax b.tar",
        "cat a.tar b.pax",
        "cp a.tar c; tar -A -f c b.tar; cat c",
        "cat a.tar; head -c 1048576 /dev/zero; cat b.tar; head -c 5000000 /dev/zero",
        "head -c 10240 /dev/zero; cat a.tar b.tar",
        "cat a.tar b.tar | gzip",
        "gzip -c a.tar; gzip -c b.tar",
        "gzip -c a.tar; gzip -c b.tar; head -c 3000 /dev/zero",
        "bzip2 -c a.tar; bzip2 -c b.tar",
        "xz -c a.tar; xz -c b.tar",
        "xz -c a.tar; head -c 512 /dev/zero; xz -c b.tar",
        "zstd -qc a.tar; zstd -qc b.tar",
        "cat a.tar b.pax; head -c 700 /dev/zero",
    };
    make_pairs();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        shell("{ %s; } >x", good[i]);
        ck_assert_msg(read_all("x") == 0, "%s: %s", good[i], err.message);
        ck_assert_msg(strncmp(seen, "ab", 2) == 0, "%s: %s", good[i], seen);
    }
    ck_assert_str_eq(warnings, "");
}
END_TEST

/* All that is not in the snapshot is an error: what stands behind the end, and what is missing there. */
START_TEST(what_stands_behind_the_end_of_an_archive_is_no_secret)
{
    static const char *const bad[] = {
        "cat a.tar; echo garbage",
        "cat a.tar; head -c 600 /dev/urandom",
        "cat a.tar; head -c 20000 /dev/zero; echo garbage",
        "cat a.tar a.newc",
        "cat a.tar; gzip -c b.tar",
        "cat a.tar; head -c 700 b.tar",
        "cat a.tar; head -c 200 b.tar",
        "cat a.tar; head -c 9728 b.tar",
        "cat a.newc b.newc",
        "cat a.odc; echo garbage",
        "cat a.newc b.newc | gzip",
        "cat a.newc; head -c 300000 /dev/zero; cat b.newc",
        "cat a.newc b.tar",
        "gzip -c a.tar; echo garbage",
        "gzip -c a.tar; cat b.tar",
        "gzip -c a.tar; xz -c b.tar",
        "gzip -c a.tar; gzip -c b.tar | head -c 100",
        "gzip -c a.tar; head -c 400000 /dev/zero; gzip -c b.tar",
        "bzip2 -c a.tar; echo garbage",
        "xz -c a.tar; echo garbage",
        "zstd -qc a.tar; echo garbage",
        "cat a.lz4; cat b.gzip",
        "cat a.lzma b.lzma",
        "cat a.compress b.compress",
        "head -c 4608 a.tar | gzip",
    };
    make_pairs();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        shell("{ %s; } >x", bad[i]);
        ck_assert_msg(read_all("x") == ERROR_INTEGRITY, "%s was taken: %s", bad[i], seen);
    }
}
END_TEST

START_TEST(a_damaged_header_is_an_error_and_no_member_less)
{
    make_pairs();
    shell("tar -cf x a b; printf X | dd of=x bs=1 seek=4610 conv=notrunc 2>/dev/null");
    ck_assert_int_eq(read_all("x"), ERROR_INTEGRITY);
}
END_TEST

/* A header of cpio says how long its name is. */
START_TEST(a_header_that_is_too_long_to_hold_ends_the_reading)
{
    shell("head_of() { printf '0707010000000100008180%%072d%%08x00000000' 0 \"$1\"; }; "
          "{ head_of 33554432; head -c 33554432 /dev/zero | tr '\\0' n; } >long; "
          "{ head_of 2; printf 'n\\0'; head_of 11; printf 'TRAILER!!!\\0'; head -c 400 /dev/zero; } >short");
    OK(read_all("short"));
    ck_assert_str_eq(seen, "n");
    ck_assert_int_eq(read_all("long"), ERROR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.message, "a header has more than 16 MiB"));
}
END_TEST

START_TEST(an_archive_that_was_not_finished_cannot_be_taken_for_whole)
{
    struct archive_writer *archive;
    struct node node = {.type = NODE_FILE, .size = 10};
    int fd = openat(folder_fd, "a.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    OK(archive_writer_new(fd, ARCHIVE_WRITER_PAX, take_warning, NULL, &archive, &err));
    ck_assert_int_eq(archive_writer_entry(archive, bytes_of_string("../x"), &node, &err), ERROR_USAGE);
    OK(archive_writer_entry(archive, bytes_of_string("x"), &node, &err));
    OK(archive_writer_data(archive, "01234", 5, &err));
    ck_assert_int_eq(archive_writer_data(archive, "0123456789", 10, &err), ERROR_FAILED);
    ck_assert_int_eq(archive_writer_finish(archive, &err), ERROR_FAILED);
    archive_writer_free(archive);
    close(fd);
    shell("! tar -tf a.tar >/dev/null 2>&1");
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    OK(archive_writer_new(fd, ARCHIVE_WRITER_PAX, take_warning, NULL, &archive, &err));
    node.size = 0;
    OK(archive_writer_entry(archive, bytes_of_string("x"), &node, &err));
    ck_assert_int_eq(archive_writer_finish(archive, &err), ERROR_NO_SPACE);
    archive_writer_free(archive);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = tcase_create("archive");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_tar_of_gnu_tar_with_acls_and_xattrs_comes_out_as_it_went_in);
    tcase_add_test(tests, a_tar_of_bsdtar_keeps_flags_too);
    tcase_add_test(tests, compressed_and_older_archives_are_recognised);
    tcase_add_test(tests, the_output_of_a_command_is_an_archive_and_read_to_its_end);
    tcase_add_test(tests, an_exported_tar_is_read_by_us_by_bsdtar_and_by_gnu_tar);
    tcase_add_test(tests, an_exported_zip_is_read_by_others);
    tcase_add_test(tests, times_beyond_those_of_a_zip_become_the_nearest);
    tcase_add_test(tests, members_that_lie_elsewhere_are_left_out);
    tcase_add_test(tests, names_too_long_for_a_listing_are_left_out);
    tcase_add_test(tests, what_is_no_archive_or_cut_off_is_an_error);
    tcase_add_test(tests, archives_of_tar_may_follow_one_another);
    tcase_add_test(tests, what_stands_behind_the_end_of_an_archive_is_no_secret);
    tcase_add_test(tests, a_damaged_header_is_an_error_and_no_member_less);
    tcase_add_test(tests, a_header_that_is_too_long_to_hold_ends_the_reading);
    tcase_add_test(tests, an_archive_that_was_not_finished_cannot_be_taken_for_whole);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
