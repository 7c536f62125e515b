/* What is read from a source is what is on the disk. */
#include "base/command.h"
#include "source/directory.h"
#include "source/file.h"
#include "source/metadata.h"
#include "tree_on_disk.h"

#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>

static struct arena arena;
static struct error err;
static struct metadata_reader *metadata;
static char warnings[4096];

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
    metadata = metadata_reader_new(take_warning, NULL);
}

static void teardown(void)
{
    metadata_reader_free(metadata);
    arena_free(&arena);
    remove_folder();
}

#define OK(call)                                                                                             \
    do {                                                                                                     \
        int code_ = (call);                                                                                  \
        ck_assert_msg(code_ == 0, #call ": %d %s", code_, err.message);                                      \
    } while (0)

static struct node read_node(const char *name)
{
    struct source_stat st;
    struct node node;
    read_metadata(metadata, folder_fd, name, &st, &arena, &node);
    return node;
}

static bool text_is(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of_string(text));
}

START_TEST(names_are_listed_in_byte_order_whatever_their_bytes)
{
    char longest[256] = {0}, all[256] = {0};
    memset(longest, 'n', 255);
    for (int i = 1, n = 0; i < 256; i++)
        if (i != '/' && n < 254)
            all[n++] = (char)i;
    const char *const made[] = {longest, all, "\xff\xfe", "a", "B", ".hidden", "...", "a b\n", "\x01"};
    for (size_t i = 0; i < 9; i++)
        write_text(made[i], "");
    struct bytes *names;
    struct buffer scratch = {0};
    size_t count;
    int fd;
    OK(source_open_directory(AT_FDCWD, folder, &fd, &err));
    OK(source_list_directory(fd, NULL, &scratch, &arena, &names, &count, &err));
    close(fd);
    buffer_free(&scratch);
    ck_assert_uint_eq(count, 9);
    for (size_t i = 0; i < count; i++) {
        ck_assert(i == 0 || bytes_compare(names[i - 1], names[i]) < 0);
        ck_assert_uint_eq(names[i].data[names[i].size], 0);
        size_t found = 0;
        for (size_t j = 0; j < 9; j++)
            found += text_is(names[i], made[j]);
        ck_assert_uint_eq(found, 1);
    }
}
END_TEST

START_TEST(a_directory_that_changes_while_it_is_listed_is_listed_again)
{
    struct buffer scratch = {0};
    struct bytes *names;
    size_t count;
    int fd;
    shell("for i in $(seq 9); do : >f$i; done");
    OK(source_open_directory(AT_FDCWD, folder, &fd, &err));
    struct source_stat before;
    OK(source_stat(fd, "", &before, &err));
    before.ctime_seconds--;
    /* Where a listing ends, the next begins: it misses all, as one may miss what is renamed meanwhile. */
    OK(source_list_directory(fd, NULL, &scratch, &arena, &names, &count, &err));
    ck_assert_uint_eq(count, 9);
    OK(source_list_directory(fd, NULL, &scratch, &arena, &names, &count, &err));
    ck_assert_uint_eq(count, 0);
    OK(source_list_directory(fd, &before, &scratch, &arena, &names, &count, &err));
    ck_assert_uint_eq(count, 9);
    close(fd);
    buffer_free(&scratch);
}
END_TEST

START_TEST(a_directory_of_100000_entries_is_listed_whole)
{
    char name[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "entry-%06d", 99999 - i);
        ck_assert_int_eq(mknodat(folder_fd, name, S_IFREG | 0600, 0), 0);
    }
    struct bytes *names;
    struct buffer scratch = {0};
    size_t count;
    int fd;
    OK(source_open_directory(AT_FDCWD, folder, &fd, &err));
    OK(source_list_directory(fd, NULL, &scratch, &arena, &names, &count, &err));
    close(fd);
    buffer_free(&scratch);
    ck_assert_uint_eq(count, 100000);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "entry-%06zu", i);
        ck_assert(text_is(names[i], name));
    }
}
END_TEST

START_TEST(a_symbolic_link_is_no_directory)
{
    int fd;
    shell("mkdir d; ln -s d l");
    ck_assert_int_eq(source_open_directory(folder_fd, "l", &fd, &err), ERROR_NOT_FOUND);
    ck_assert_int_eq(source_open_directory(folder_fd, "gone", &fd, &err), ERROR_NOT_FOUND);
}
END_TEST

START_TEST(paths_beyond_path_max_are_read)
{
    char name[251] = {0};
    memset(name, 'd', 250);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(mkdirat(fd, name, 0755), 0);
        OK(source_open_directory(fd, name, &next, &err));
        close(fd);
        fd = next;
    }
    ck_assert_int_eq(symlinkat("target", fd, "link"), 0);
    ck_assert_int_eq(mkfifoat(fd, "fifo", 0600), 0);
    struct source_stat st;
    struct node node;
    read_metadata(metadata, fd, "link", &st, &arena, &node);
    ck_assert(text_is(node.link_target, "target"));
    read_metadata(metadata, fd, "fifo", &st, &arena, &node);
    ck_assert_int_eq(node.type, NODE_FIFO);
    ck_assert_str_eq(warnings, "");
    close(fd);
}
END_TEST

START_TEST(every_type_of_entry_is_told)
{
    need_root();
    shell("touch file; mkdir dir; ln -s /nowhere/at/all link; mkfifo -m 640 fifo; mknod char c 1 3; mknod "
          "block b "
          "300 70000; chown 12345:54321 file; chmod 6755 file; chmod 1777 dir; ln file second");
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    ck_assert_int_eq(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    close(s);

    struct node node = read_node("file");
    ck_assert_int_eq(node.type, NODE_FILE);
    ck_assert_uint_eq(node.mode, 06755);
    ck_assert_uint_eq(node.uid, 12345);
    ck_assert_uint_eq(node.gid, 54321);
    ck_assert_uint_eq(node.user.size, 0);
    struct source_stat st;
    OK(source_stat(folder_fd, "file", &st, &err));
    ck_assert_uint_eq(st.link_count, 2);
    node = read_node("dir");
    ck_assert_int_eq(node.type, NODE_DIRECTORY);
    ck_assert_uint_eq(node.mode, 01777);
    ck_assert(text_is(node.user, "root") && text_is(node.group, "root"));
    node = read_node("link");
    ck_assert_int_eq(node.type, NODE_SYMLINK);
    ck_assert(text_is(node.link_target, "/nowhere/at/all"));
    node = read_node("fifo");
    ck_assert(node.type == NODE_FIFO && node.mode == 0640);
    node = read_node("char");
    ck_assert(node.type == NODE_CHARACTER_DEVICE && node.device_major == 1 && node.device_minor == 3);
    node = read_node("block");
    ck_assert(node.type == NODE_BLOCK_DEVICE && node.device_major == 300 && node.device_minor == 70000);
    node = read_node("socket");
    ck_assert_int_eq(node.type, NODE_SOCKET);
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(a_symbolic_link_may_be_long)
{
    char target[4096] = {0};
    memset(target, 't', 4095);
    ck_assert_int_eq(symlinkat(target, folder_fd, "l"), 0);
    struct node node = read_node("l");
    ck_assert(text_is(node.link_target, target));
}
END_TEST

START_TEST(times_before_1970_and_after_2106_are_kept)
{
    write_text("f", "");
    const time_t seconds[] = {-1, -1000000000, 0, 4999999999, 8000000000};
    for (size_t i = 0; i < 5; i++) {
        struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {seconds[i], 123456789}};
        ck_assert_int_eq(utimensat(folder_fd, "f", times, 0), 0);
        struct node node = read_node("f");
        ck_assert_int_eq(node.mtime_seconds, seconds[i]);
        ck_assert_uint_eq(node.mtime_nanoseconds, 123456789);
    }
}
END_TEST

static const struct xattr *find_xattr(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->xattr_count; i++)
        if (text_is(node->xattrs[i].name, name))
            return &node->xattrs[i];
    return NULL;
}

START_TEST(attributes_acls_and_capabilities_are_read_sorted)
{
    need_root();
    shell(
        "cp /bin/true f; setcap cap_net_raw+ep f; setfacl -m u:1234:rx f; setfattr -n user.z -v 1 f; "
        "setfattr -n "
        "user.a f; setfattr -n trusted.t -v x f; mkdir d; setfacl -d -m g:99:r d; ln -s x l; setfattr -h -n "
        "trusted.l -v link l; mkfifo p; setfacl -m u:7:r p");
    struct node node = read_node("f");
    ck_assert_uint_eq(node.xattr_count, 5);
    for (size_t i = 1; i < 5; i++)
        ck_assert(bytes_compare(node.xattrs[i - 1].name, node.xattrs[i].name) < 0);
    ck_assert_ptr_nonnull(find_xattr(&node, "security.capability"));
    ck_assert_uint_eq(find_xattr(&node, "system.posix_acl_access")->value.size, 4 + 8 * 5);
    ck_assert(text_is(find_xattr(&node, "user.z")->value, "1"));
    ck_assert_uint_eq(find_xattr(&node, "user.a")->value.size, 0);
    node = read_node("d");
    ck_assert_ptr_nonnull(find_xattr(&node, "system.posix_acl_default"));
    node = read_node("l");
    ck_assert(text_is(find_xattr(&node, "trusted.l")->value, "link"));
    node = read_node("p");
    ck_assert_ptr_nonnull(find_xattr(&node, "system.posix_acl_access"));
    ck_assert_str_eq(warnings, "");
}
END_TEST

START_TEST(a_large_attribute_is_read_whole)
{
    char value[3000];
    memset(value, 'v', sizeof value);
    write_text("f", "");
    char path[128];
    snprintf(path, sizeof path, "%s/f", folder);
    ck_assert_int_eq(setxattr(path, "user.large", value, sizeof value, 0), 0);
    struct node node = read_node("f");
    ck_assert(bytes_equal(find_xattr(&node, "user.large")->value, bytes_of(value, sizeof value)));
}
END_TEST

START_TEST(flags_that_can_be_set_are_read)
{
    need_root();
    shell("touch f g; mkdir d; chattr +dAi f; chattr +a g; chattr +DT d");
    ck_assert_uint_eq(read_node("f").flags, FS_NODUMP_FL | FS_NOATIME_FL | FS_IMMUTABLE_FL);
    ck_assert_uint_eq(read_node("g").flags, FS_APPEND_FL);
    ck_assert_uint_eq(read_node("d").flags, FS_DIRSYNC_FL | FS_TOPDIR_FL);
}
END_TEST

static void check_opened(enum node_type likely, enum node_type type, bool readable)
{
    struct source_entry entry;
    OK(source_entry_open(folder_fd, "f", likely, &entry, &err));
    ck_assert_int_eq(entry.stat.type, type);
    ck_assert_int_eq(source_entry_readable(&entry), readable);
    source_entry_close(&entry);
}

START_TEST(whatever_has_taken_the_place_of_an_entry_is_opened)
{
    static const enum node_type types[] = {NODE_UNKNOWN, NODE_FILE,   NODE_DIRECTORY,
                                           NODE_SYMLINK, NODE_SOCKET, NODE_CHARACTER_DEVICE};
    struct source_entry entry;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        shell("rm -rf f; echo x >f");
        check_opened(types[i], NODE_FILE, true);
        shell("rm f; mkfifo f");
        check_opened(types[i], NODE_FIFO, false);
        shell("rm f; ln -s /etc/passwd f");
        check_opened(types[i], NODE_SYMLINK, false);
        shell("rm f; ln -s /etc f");
        check_opened(types[i], NODE_SYMLINK, false);
        shell("rm f; mkdir f");
        check_opened(types[i], NODE_DIRECTORY, true);
        shell("rm -r f");
        ck_assert_int_eq(source_entry_open(folder_fd, "f", types[i], &entry, &err), ERROR_NOT_FOUND);
        ck_assert_ptr_nonnull(strstr(err.message, "vanished"));
    }
}
END_TEST

static void open_file(const char *name, struct source_file *file)
{
    open_source_file(folder_fd, name, file);
}

/* Reads a file in pieces of `size` bytes and compares each with what pread gives; counts bytes of holes. */
static uint64_t check_contents(const char *name, size_t size, uint64_t *holes)
{
    struct source_file file;
    struct source_run run;
    enum source_change change;
    uint64_t total = 0;
    uint8_t *data = malloc(size), *expected = malloc(size);
    open_file(name, &file);
    *holes = 0;
    for (;;) {
        OK(source_file_next(&file, data, size, &run, &err));
        if (run.length == 0)
            break;
        for (uint64_t done = 0, n; done < run.length; done += n) {
            n = run.length - done < size ? run.length - done : size;
            ck_assert_int_eq(pread(file.fd, expected, n, (off_t)(total + done)), (ssize_t)n);
            if (run.hole)
                memset(data, 0, n);
            ck_assert_int_eq(memcmp(data, expected, n), 0);
        }
        total += run.length;
        if (run.hole)
            *holes += run.length;
    }
    OK(source_file_changed(&file, &change, &err));
    ck_assert_int_eq(change, SOURCE_UNCHANGED);
    close(file.fd);
    free(data);
    free(expected);
    return total;
}

START_TEST(contents_are_read_whole_with_buffers_of_any_size)
{
    static const size_t sizes[] = {1, 4095, 4096, 100000, 1 << 20};
    shell("head -c 100000 /dev/urandom >f; : >empty");
    uint64_t holes;
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(check_contents("f", sizes[i], &holes), 100000);
        ck_assert_uint_eq(holes, 0);
        ck_assert_uint_eq(check_contents("empty", sizes[i], &holes), 0);
    }
}
END_TEST

START_TEST(holes_are_told_from_data)
{
    uint64_t holes;
    shell("truncate -s 10M hole; truncate -s 1M mix; printf x | dd of=mix bs=1 seek=500000 conv=notrunc "
          "2>/dev/null; "
          "printf y | dd of=mix bs=1 seek=1048575 conv=notrunc 2>/dev/null; truncate -s 5000 tiny; truncate "
          "-s 3T "
          "huge; sync");
    ck_assert_uint_eq(check_contents("hole", 65536, &holes), 10 << 20);
    ck_assert_uint_eq(holes, 10 << 20);
    ck_assert_uint_eq(check_contents("mix", 65536, &holes), 1 << 20);
    ck_assert_uint_eq(holes, (1 << 20) - 2 * 4096);
    ck_assert_uint_eq(check_contents("mix", 1000, &holes), 1 << 20);
    ck_assert_uint_eq(holes, (1 << 20) - 2 * 4096);
    ck_assert_uint_eq(check_contents("tiny", 65536, &holes), 5000);
    struct source_file file;
    struct source_run run;
    open_file("huge", &file);
    char data[16];
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert(run.hole && run.length == 3ull << 40);
    close(file.fd);
}
END_TEST

static enum source_change change_after(const char *command)
{
    struct source_file file;
    struct source_run run;
    enum source_change change;
    char data[4096];
    shell("head -c 100000 /dev/zero | tr '\\0' a >f");
    open_file("f", &file);
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    shell("%s", command);
    while (run.length)
        OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert_uint_le(file.offset, 100000);
    OK(source_file_changed(&file, &change, &err));
    close(file.fd);
    return change;
}

START_TEST(a_file_that_changes_while_it_is_read_is_told)
{
    ck_assert_int_eq(change_after("true"), SOURCE_UNCHANGED);
    ck_assert_int_eq(change_after("echo more >>f"), SOURCE_GREW);
    ck_assert_int_eq(change_after("truncate -s 5000 f"), SOURCE_SHRANK);
    ck_assert_int_eq(change_after("printf b | dd of=f bs=1 seek=7 conv=notrunc 2>/dev/null"), SOURCE_CHANGED);
    ck_assert_int_eq(change_after("chmod 600 f"), SOURCE_CHANGED);
    ck_assert_ptr_nonnull(strstr(source_change_text(SOURCE_GREW), "grew"));
}
END_TEST

START_TEST(a_growing_file_is_read_to_its_size_at_opening_only)
{
    struct source_file file;
    struct source_run run;
    char data[100];
    write_text("f", "0123456789");
    open_file("f", &file);
    shell("echo more >>f");
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert_uint_eq(run.length, 10);
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert_uint_eq(run.length, 0);
    close(file.fd);
}
END_TEST

START_TEST(a_file_whose_size_is_not_told_is_read_to_its_end)
{
    uint64_t holes;
    ck_assert_uint_gt(check_contents("/proc/version", 65536, &holes), 0);
    ck_assert_uint_gt(check_contents("/proc/cpuinfo", 1000, &holes), 0);
    ck_assert_uint_gt(check_contents("/sys/devices/system/cpu/online", 5000, &holes), 0);
}
END_TEST

START_TEST(an_empty_file_that_gets_contents_is_read_to_the_size_that_it_then_has)
{
    struct source_file file;
    struct source_run run;
    char data[100];
    write_text("f", "");
    open_file("f", &file);
    shell("echo more >>f");
    OK(source_file_next(&file, data, 3, &run, &err));
    ck_assert_uint_eq(run.length, 3);
    shell("echo more >>f");
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert_uint_eq(run.length, 2);
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    ck_assert_uint_eq(run.length, 0);
    close(file.fd);
}
END_TEST

START_TEST(access_times_are_left_alone)
{
    struct stat before, after;
    uint64_t holes;
    write_text("f", "contents");
    struct timespec times[] = {{1000, 0}, {2000, 0}}; /* relatime would update this one */
    ck_assert_int_eq(utimensat(folder_fd, "f", times, 0), 0);
    ck_assert_int_eq(fstatat(folder_fd, "f", &before, 0), 0);
    struct source_file file;
    struct source_run run;
    char data[100];
    open_file("f", &file);
    OK(source_file_next(&file, data, sizeof data, &run, &err));
    close(file.fd);
    read_node("f");
    ck_assert_int_eq(fstatat(folder_fd, "f", &after, 0), 0);
    ck_assert_int_eq(before.st_atim.tv_sec, after.st_atim.tv_sec);
    ck_assert_uint_eq(check_contents("f", 3, &holes), 8);
}
END_TEST

START_TEST(only_the_standard_signature_marks_a_cache)
{
    ck_assert(!source_is_cachedir(folder_fd));
    write_text("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# by a test\n");
    ck_assert(source_is_cachedir(folder_fd));
    write_text("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc56");
    ck_assert(!source_is_cachedir(folder_fd));
    write_text("CACHEDIR.TAG", "Signature");
    ck_assert(!source_is_cachedir(folder_fd));
    shell("rm CACHEDIR.TAG; mkfifo CACHEDIR.TAG");
    ck_assert(!source_is_cachedir(folder_fd));
}
END_TEST

START_TEST(a_mount_point_is_told)
{
    struct source_stat here, proc;
    OK(source_stat(AT_FDCWD, "/proc", &proc, &err));
    OK(source_stat(folder_fd, "", &here, &err));
    ck_assert(proc.mount_root && !here.mount_root);
    ck_assert_uint_ne(proc.device, here.device);
}
END_TEST

static int run(const char *script, struct buffer *out)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct command *command;
    size_t n;
    int code = command_start(argv, NULL, NULL, &command, &err);
    if (code != 0)
        return code;
    do {
        buffer_reserve(out, 1000);
        OK(command_read(command, out->data + out->size, 1000, &n, &err));
        out->size += n;
    } while (n);
    code = command_finish(command, &err);
    command_free(command);
    return code;
}

START_TEST(the_output_of_a_command_is_read_whole)
{
    struct buffer out = {0};
    OK(run("head -c 1000000 /dev/zero; echo warning >&2; cat", &out)); /* and standard input is empty */
    ck_assert_uint_eq(out.size, 1000000);
    buffer_free(&out);
}
END_TEST

START_TEST(a_command_that_fails_says_how)
{
    struct buffer out = {0};
    ck_assert_int_eq(run("echo some; echo first >&2; echo 'disk on fire' >&2; exit 3", &out), ERROR_FAILED);
    ck_assert_msg(strstr(err.message, "status 3: disk on fire"), "%s", err.message);
    ck_assert_int_eq(run("kill -9 $$", &out), ERROR_FAILED);
    ck_assert_msg(strstr(err.message, "signal 9"), "%s", err.message);
    ck_assert_int_eq(run("yes error | head -c 10000000 >&2; echo >&2; echo the end >&2; false", &out),
                     ERROR_FAILED);
    ck_assert_msg(strstr(err.message, "status 1: the end"), "%s", err.message);
    buffer_free(&out);
    struct command *command;
    const char *const missing[] = {"holdfast-no-such-command", NULL};
    ck_assert_int_eq(command_start(missing, NULL, NULL, &command, &err), ERROR_NOT_FOUND);
    ck_assert_msg(strstr(err.message, "holdfast-no-such-command"), "%s", err.message);
}
END_TEST

START_TEST(a_command_gets_its_environment_and_folder)
{
    const char *const argv[] = {"sh", "-c", "echo $COLOUR; pwd", NULL};
    const char *const environment[] = {"COLOUR=blue", NULL};
    struct command *command;
    char text[200] = {0}, expected[200];
    size_t n = 1;
    OK(command_start(argv, environment, folder, &command, &err));
    for (size_t at = 0; n; at += n)
        OK(command_read(command, text + at, sizeof text - 1 - at, &n, &err));
    OK(command_finish(command, &err));
    command_free(command);
    snprintf(expected, sizeof expected, "blue\n%s\n", folder);
    ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(cancelling_ends_the_whole_process_group)
{
    char script[200];
    snprintf(script, sizeof script,
             "sleep 1000 & echo $! >%s/pid; trap '' TERM; echo ready; wait; sleep 1000", folder);
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct command *command;
    char text[100];
    size_t n;
    OK(command_start(argv, NULL, NULL, &command, &err));
    OK(command_read(command, text, sizeof text, &n, &err));
    command_cancel(command);
    ck_assert_int_eq(command_read(command, text, sizeof text, &n, &err), ERROR_CANCELLED);
    ck_assert_int_eq(command_finish(command, &err), ERROR_CANCELLED);
    command_free(command);
    shell(
        "p=$(cat pid); while test -e /proc/$p && ! grep -q '^State:.Z' /proc/$p/status; do sleep 0.1; done");
}
END_TEST

START_TEST(a_command_is_given_up_after_its_time)
{
    static const char *const argv[] = {"sh", "-c", "echo ready; exec sleep 1000", NULL};
    struct command *command;
    char text[100];
    size_t n;
    OK(command_start(argv, NULL, NULL, &command, &err));
    OK(command_read(command, text, sizeof text, &n, &err));
    command_set_timeout(command, 1);
    ck_assert_int_eq(command_read(command, text, sizeof text, &n, &err), ERROR_FAILED);
    ck_assert(strstr(err.message, "took longer than 1 seconds") != NULL);
    ck_assert_int_eq(command_finish(command, &err), ERROR_FAILED);
    command_free(command);
}
END_TEST

START_TEST(a_command_may_read_what_it_is_fed_or_not)
{
    static const char *const reads[] = {"sh", "-c", "wc -c; echo said >&2; cat /dev/stdin | wc -c", NULL};
    static const char *const other[] = {"sh", "-c", "exec <&-; echo closed", NULL};
    struct command *command;
    struct buffer input = {0};
    memset(buffer_extend(&input, 300000), 'x', 300000);
    OK(command_start_fed(reads, NULL, buffer_bytes(&input), &command, &err));
    OK(command_finish(command, &err));
    struct bytes said = command_errors(command);
    ck_assert(bytes_equal(said, bytes_of_string("300000\nsaid\n0\n")) ||
              bytes_equal(said, bytes_of_string("300000\nsaid\n300000\n")));
    command_free(command);
    OK(command_start_fed(other, NULL, buffer_bytes(&input), &command, &err));
    OK(command_finish(command, &err));
    ck_assert(bytes_equal(command_errors(command), bytes_of_string("closed\n")));
    command_free(command);
    buffer_free(&input);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source");
    TCase *tests = tcase_create("source");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, names_are_listed_in_byte_order_whatever_their_bytes);
    tcase_add_test(tests, a_directory_that_changes_while_it_is_listed_is_listed_again);
    tcase_add_test(tests, a_directory_of_100000_entries_is_listed_whole);
    tcase_add_test(tests, a_symbolic_link_is_no_directory);
    tcase_add_test(tests, paths_beyond_path_max_are_read);
    tcase_add_test(tests, every_type_of_entry_is_told);
    tcase_add_test(tests, a_symbolic_link_may_be_long);
    tcase_add_test(tests, times_before_1970_and_after_2106_are_kept);
    tcase_add_test(tests, attributes_acls_and_capabilities_are_read_sorted);
    tcase_add_test(tests, a_large_attribute_is_read_whole);
    tcase_add_test(tests, flags_that_can_be_set_are_read);
    tcase_add_test(tests, whatever_has_taken_the_place_of_an_entry_is_opened);
    tcase_add_test(tests, contents_are_read_whole_with_buffers_of_any_size);
    tcase_add_test(tests, holes_are_told_from_data);
    tcase_add_test(tests, a_file_that_changes_while_it_is_read_is_told);
    tcase_add_test(tests, a_growing_file_is_read_to_its_size_at_opening_only);
    tcase_add_test(tests, a_file_whose_size_is_not_told_is_read_to_its_end);
    tcase_add_test(tests, an_empty_file_that_gets_contents_is_read_to_the_size_that_it_then_has);
    tcase_add_test(tests, access_times_are_left_alone);
    tcase_add_test(tests, only_the_standard_signature_marks_a_cache);
    tcase_add_test(tests, a_mount_point_is_told);
    tcase_add_test(tests, the_output_of_a_command_is_read_whole);
    tcase_add_test(tests, a_command_that_fails_says_how);
    tcase_add_test(tests, a_command_gets_its_environment_and_folder);
    tcase_add_test(tests, cancelling_ends_the_whole_process_group);
    tcase_add_test(tests, a_command_is_given_up_after_its_time);
    tcase_add_test(tests, a_command_may_read_what_it_is_fed_or_not);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
