#include "source/archive_writer.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "source/archive_acl.h"
#include "source/archive_path.h"
#include "source/flags.h"
#include "source/owners.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_SIZE (64 * 1024)
#define TAR_RECORD_SIZE (10 * 1024)
#define ZIP_PATH_MAX (65535 / 4) /* of the 16 bits for its length; a byte that is not UTF-8 becomes four */

struct archive_writer {
    struct archive *archive;
    struct archive_entry *entry;
    enum archive_writer_format format;
    int fd;
    source_warning *warning;
    void *context;
    struct owners *owners;
    struct arena arena;   /* of the entry */
    const char *path;     /* of the entry, for messages; NULL: none */
    struct error failure; /* of writing, which libarchive cannot carry */
    bool failed, finished;
    uint64_t left; /* contents of the entry still to come */
};

/* Libarchive asks the locale which charset names are in. They are UTF-8, or mere bytes where they are not;
 * but a chroot or a rescue system may have no locale that says so. So while libarchive writes, what it asks
 * is answered here, in the place of the C library: the program itself never leaves the locale "C". */
static _Thread_local bool names_are_utf8;

char *nl_langinfo(nl_item item)
{
    static char utf8[] = "UTF-8";
    return item == CODESET && names_are_utf8 ? utf8
                                             : nl_langinfo_l(item, newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static void enter(void)
{
    names_are_utf8 = true;
}

static void leave(void)
{
    names_are_utf8 = false;
}

static la_ssize_t on_write(struct archive *archive, void *context, const void *data, size_t size)
{
    struct archive_writer *writer = context;
    if (file_write_all(writer->fd, bytes_of(data, size), "the archive", &writer->failure) == 0)
        return (la_ssize_t)size;
    writer->failed = true;
    archive_set_error(archive, EIO, "cannot write");
    return -1;
}

static int prefix_path(const struct archive_writer *writer, struct error *err)
{
    char *visible = text_visible(writer->path ? writer->path : "");
    int code = *visible ? error_prefix(err, "%s", visible) : err ? err->code : ERROR_FAILED;
    free(visible);
    return code;
}

static int fail(const struct archive_writer *writer, struct error *err)
{
    if (writer->failed) {
        if (err)
            *err = writer->failure;
        return writer->failure.code;
    }
    const char *reason = archive_error_string(writer->archive);
    char *visible = text_visible(reason ? reason : "unknown reason");
    error_set(err, ERROR_FAILED, "cannot write the archive: %s", visible);
    free(visible);
    return prefix_path(writer, err);
}

static int set_up(struct archive_writer *writer)
{
    struct archive *archive = writer->archive;
    if (writer->format == ARCHIVE_WRITER_PAX) {
        /* The restricted variant would leave out nanoseconds. */
        archive_write_set_format_pax(archive);
        archive_write_set_format_option(archive, "pax", "xattrheader", "SCHILY"); /* as GNU tar reads them */
    } else {
        archive_write_set_format_zip(archive);
    }
    archive_write_add_filter_none(archive);
    archive_write_set_bytes_per_block(archive, BLOCK_SIZE);
    archive_write_set_bytes_in_last_block(archive,
                                          writer->format == ARCHIVE_WRITER_PAX ? TAR_RECORD_SIZE : 1);
    return archive_write_open(archive, writer, NULL, on_write, NULL);
}

int archive_writer_new(int fd, enum archive_writer_format format, source_warning *warning, void *context,
                       struct archive_writer **out, struct error *err)
{
    struct archive_writer *writer = memory_new(struct archive_writer);
    writer->fd = fd;
    writer->format = format;
    writer->warning = warning;
    writer->context = context;
    writer->owners = owners_new();
    writer->archive = archive_write_new();
    writer->entry = archive_entry_new();
    int code = 0;
    if (!writer->archive || !writer->entry) {
        code = error_set(err, ERROR_FAILED, "cannot set up libarchive");
        goto out;
    }
    enter();
    if (set_up(writer) != ARCHIVE_OK)
        code = fail(writer, err);
    leave();
out:
    if (code == 0)
        *out = writer;
    else
        archive_writer_free(writer);
    return code;
}

void archive_writer_free(struct archive_writer *writer)
{
    if (!writer)
        return;
    if (writer->archive && !writer->finished)
        archive_write_fail(writer->archive);
    if (writer->archive)
        archive_write_free(writer->archive);
    if (writer->entry)
        archive_entry_free(writer->entry);
    owners_free(writer->owners);
    arena_free(&writer->arena);
    free(writer);
}

static mode_t type_of_node(const struct node *node)
{
    static const mode_t types[] = {
        [NODE_FILE] = S_IFREG, [NODE_DIRECTORY] = S_IFDIR,        [NODE_SYMLINK] = S_IFLNK,
        [NODE_FIFO] = S_IFIFO, [NODE_CHARACTER_DEVICE] = S_IFCHR, [NODE_BLOCK_DEVICE] = S_IFBLK};
    return node->type < sizeof types / sizeof *types ? types[node->type] : 0;
}

static void warn(struct archive_writer *writer, const char *what)
{
    char *path = text_visible(writer->path), *visible = text_visible(what);
    char *text = memory_format("%s: %s", path, visible);
    if (writer->warning)
        writer->warning(writer->context, text);
    free(text);
    free(visible);
    free(path);
}

static void set_xattrs(struct archive_writer *writer, const struct node *node, struct arena *arena)
{
    for (size_t i = 0; i < node->xattr_count; i++) {
        const struct xattr *xattr = &node->xattrs[i];
        bool access = bytes_equal(xattr->name, bytes_of_string(ACL_ACCESS_NAME));
        if (access || bytes_equal(xattr->name, bytes_of_string(ACL_DEFAULT_NAME))) {
            if (!archive_acl_write(writer->entry,
                                   access ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT,
                                   writer->owners, xattr->value))
                warn(writer, "its ACL is malformed and left out in part");
        } else if (xattr->name.size == 0 || memchr(xattr->name.data, '\0', xattr->name.size)) {
            warn(writer, "an extended attribute has no proper name and is left out");
        } else {
            archive_entry_xattr_add_entry(writer->entry, (const char *)arena_copy(arena, xattr->name).data,
                                          xattr->value.data, xattr->value.size);
        }
    }
}

static void set_holes(struct archive_writer *writer, const struct node *node)
{
    const struct extents *content = &node->content;
    bool any = false;
    for (size_t i = 0; i < content->count; i++)
        any |= content->list[i].hole;
    uint64_t offset = 0, start = 0;
    for (size_t i = 0; any && i < content->count; i++) {
        uint64_t end = offset + content->list[i].length;
        if (content->list[i].hole) {
            if (offset > start)
                archive_entry_sparse_add_entry(writer->entry, (la_int64_t)start,
                                               (la_int64_t)(offset - start));
            start = end;
        }
        offset = end;
    }
    /* Also where the file ends in a hole: an empty run of data tells so. */
    if (any)
        archive_entry_sparse_add_entry(writer->entry, (la_int64_t)start, (la_int64_t)(offset - start));
}

static const char *text_of(struct arena *arena, struct bytes bytes)
{
    return bytes.size ? (const char *)arena_copy(arena, bytes).data : NULL;
}

/* A zip keeps 32 bits of a time. Beyond those, libarchive 3.6.2 can end the process while it makes a date of
 * a time, so it is never given one. */
static int64_t time_of(struct archive_writer *writer, const struct node *node)
{
    int64_t time = node->mtime_seconds;
    if (writer->format != ARCHIVE_WRITER_ZIP || (time >= INT32_MIN && time <= UINT32_MAX))
        return time;
    warn(writer, "its time is none that the archive format can hold: the nearest is written");
    return time < 0 ? INT32_MIN : UINT32_MAX;
}

static void fill_entry(struct archive_writer *writer, const struct node *node, struct arena *arena)
{
    struct archive_entry *entry = writer->entry;
    archive_entry_set_filetype(entry, type_of_node(node));
    archive_entry_set_perm(entry, node->mode & 07777u);
    archive_entry_set_uid(entry, node->uid);
    archive_entry_set_gid(entry, node->gid);
    archive_entry_copy_uname(entry, text_of(arena, node->user));
    archive_entry_copy_gname(entry, text_of(arena, node->group));
    archive_entry_set_mtime(entry, time_of(writer, node), (long)node->mtime_nanoseconds);
    if (node->type == NODE_SYMLINK)
        archive_entry_copy_symlink(entry, text_of(arena, node->link_target));
    if (node->type == NODE_CHARACTER_DEVICE || node->type == NODE_BLOCK_DEVICE) {
        archive_entry_set_rdevmajor(entry, node->device_major);
        archive_entry_set_rdevminor(entry, node->device_minor);
    }
    archive_entry_set_size(entry, (la_int64_t)writer->left);
    if (writer->format == ARCHIVE_WRITER_ZIP)
        return;
    archive_entry_set_fflags(entry, node->flags & flags_kept, 0);
    set_xattrs(writer, node, arena);
    if (writer->left)
        set_holes(writer, node);
}

static int fail_short(const struct archive_writer *writer, struct error *err)
{
    error_set(err, ERROR_FAILED, "%llu bytes of its contents are missing", (unsigned long long)writer->left);
    return prefix_path(writer, err);
}

/* Checks what cannot be written before anything is. */
static int check_entry(const struct archive_writer *writer, struct bytes path, const struct node *node,
                       struct error *err)
{
    bool zip = writer->format == ARCHIVE_WRITER_ZIP;
    if (type_of_node(node) == 0 || (zip && node->type > NODE_SYMLINK))
        return error_set(err, ERROR_UNSUPPORTED, "the archive format has no such type of entry");
    if (zip && path.size > ZIP_PATH_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "its path is longer than the archive format can hold");
    if (node->size > INT64_MAX)
        return error_set(err, ERROR_INTEGRITY, "the file is larger than files can be");
    return 0;
}

/* In zip, names are UTF-8 or some programs refuse the whole archive. */
static const char *name_of(struct archive_writer *writer, struct bytes path, struct arena *arena)
{
    if (path.size == 0)
        return ".";
    if (writer->format != ARCHIVE_WRITER_ZIP || text_is_utf8(path.data, path.size))
        return (const char *)path.data;
    warn(writer, "its name is not UTF-8: bytes that are not are written as %xHH");
    char *visible = text_visible_bytes(path.data, path.size);
    for (char *p = strchr(visible, '\\'); p; p = strchr(p, '\\'))
        *p = '%'; /* some readers take a backslash for a slash */
    const char *name = arena_copy_string(arena, visible);
    free(visible);
    return name;
}

static int write_header(struct archive_writer *writer, struct bytes path, struct bytes link,
                        const struct node *node, struct arena *arena, struct error *err)
{
    int code = 0;
    enter();
    archive_entry_clear(writer->entry);
    archive_entry_copy_pathname(writer->entry, name_of(writer, path, arena));
    fill_entry(writer, node, arena);
    if (link.size)
        archive_entry_copy_hardlink(writer->entry, (const char *)link.data);
    int result = archive_write_header(writer->archive, writer->entry);
    if (result == ARCHIVE_WARN && !writer->failed) {
        const char *reason = archive_error_string(writer->archive);
        /* Names that are not UTF-8 give this warning and are written as they are. */
        if (reason && !strstr(reason, "to UTF-8"))
            warn(writer, reason);
    } else if (result != ARCHIVE_OK) {
        code = fail(writer, err);
    }
    leave();
    return code;
}

int archive_writer_entry(struct archive_writer *writer, struct bytes path, const struct node *node,
                         struct error *err)
{
    struct bytes clean, link = {0};
    bool linked = node->hard_link.size && writer->format == ARCHIVE_WRITER_PAX;
    if (writer->left)
        return fail_short(writer, err);
    int code = check_entry(writer, path, node, err);
    arena_free(&writer->arena);
    writer->path = path.size ? (const char *)arena_copy(&writer->arena, path).data : ".";
    if (code == 0 &&
        (!archive_path_clean(path, &writer->arena, &clean) || memchr(path.data, '\0', path.size) ||
         (linked && !archive_path_clean(node->hard_link, &writer->arena, &link))))
        code = error_set(err, ERROR_USAGE, "its path has \"..\" or is too long");
    if (code != 0)
        return prefix_path(writer, err);
    writer->left = node->type == NODE_FILE && !linked ? node->size : 0;
    return write_header(writer, clean, link, node, &writer->arena, err);
}

int archive_writer_data(struct archive_writer *writer, const void *data, size_t size, struct error *err)
{
    const uint8_t *from = data;
    int code = 0;
    if (size > writer->left) {
        error_set(err, ERROR_FAILED, "the file has more contents than its size says");
        return prefix_path(writer, err);
    }
    enter();
    while (code == 0 && size) {
        la_ssize_t n = archive_write_data(writer->archive, from, size);
        if (n <= 0) {
            code = fail(writer, err);
        } else {
            from += n;
            size -= (size_t)n;
            writer->left -= (uint64_t)n;
        }
    }
    leave();
    return code;
}

int archive_writer_hole(struct archive_writer *writer, uint64_t length, struct error *err)
{
    static const uint8_t zeros[64 * 1024];
    int code = 0;
    while (code == 0 && length) {
        size_t size = length < sizeof zeros ? (size_t)length : sizeof zeros;
        code = archive_writer_data(writer, zeros, size, err);
        length -= size;
    }
    return code;
}

int archive_writer_finish(struct archive_writer *writer, struct error *err)
{
    if (writer->left)
        return fail_short(writer, err);
    writer->path = NULL;
    enter();
    int code = archive_write_close(writer->archive) == ARCHIVE_OK ? 0 : fail(writer, err);
    writer->finished = code == 0;
    leave();
    return code;
}
