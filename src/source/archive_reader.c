#include "source/archive_reader.h"

#include "base/command.h"
#include "base/memory.h"
#include "base/text.h"
#include "source/archive_acl.h"
#include "source/archive_path.h"
#include "source/archive_stream.h"
#include "source/flags.h"
#include "source/owners.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define HOLE_MIN 4096u
#define NOBODY 65534u
#define TAR_BLOCK 512u
#define HELD_MAX (16u << 20) /* of the archive, at a time: headers are held whole */

struct archive_reader {
    struct archive *archive;
    struct archive_entry *entry;
    struct archive_stream *stream;
    source_warning *warning;
    void *warning_context;
    struct owners *owners;
    locale_t locale;
    bool in_member; /* its contents may not have been read */
    /* The block of contents that libarchive gave last, and how far the contents were read. */
    const uint8_t *block;
    size_t block_size;
    uint64_t block_offset, at, size;
    uint64_t given; /* bytes of the archive that libarchive got */
    bool size_known, ended;
};

/* The locale decides what libarchive makes of names: with "C" they stay the bytes they are. */
static locale_t enter(const struct archive_reader *reader)
{
    return uselocale(reader->locale);
}

int archive_fetch_descriptor(void *descriptor, void *to, size_t size, size_t *done, struct error *err)
{
    ssize_t n;
    do
        n = read(*(int *)descriptor, to, size);
    while (n < 0 && errno == EINTR);
    *done = n < 0 ? 0 : (size_t)n;
    return n < 0 ? error_set_errno(err, errno, "cannot read the archive") : 0;
}

int archive_fetch_command(void *command, void *to, size_t size, size_t *done, struct error *err)
{
    return command_read(command, to, size, done, err);
}

/* A header says itself how long its name is, and libarchive holds up to 4 GiB for it. */
static la_ssize_t on_read(struct archive *archive, void *context, const void **data)
{
    struct archive_reader *reader = context;
    ssize_t n = -1;
    la_int64_t taken = archive_filter_bytes(archive, -1);
    if (taken >= 0 && reader->given > (uint64_t)taken && reader->given - (uint64_t)taken > HELD_MAX)
        archive_set_error(archive, EINVAL, "a header has more than %u MiB", HELD_MAX >> 20);
    else if ((n = archive_stream_read(reader->stream, data)) < 0)
        archive_set_error(archive, EIO, "the source failed");
    else
        reader->given += (uint64_t)n;
    return n;
}

static int fail(const struct archive_reader *reader, const char *what, struct error *err)
{
    int code = archive_stream_failed(reader->stream, err);
    if (code != 0)
        return code;
    const char *reason = archive_error_string(reader->archive);
    char *visible = text_visible(reason ? reason : "it is damaged");
    code = error_set(err, ERROR_INTEGRITY, "%s: %s", what, visible);
    free(visible);
    return code;
}

static int hint_formats(struct error *err)
{
    return error_hint(err,
                      "tar and cpio are read, plain or compressed by gzip, bzip2, xz, lzma, zstd, lz4 or "
                      "compress");
}

/* What an archive may be. Left out: mtree (it opens files that it names), raw and empty (anything is one of
 * those), and what tells types and modes at its end only (zip). Archives of tar may follow one another. */
static int open_archive(struct archive_reader *reader, struct error *err)
{
    struct archive *archive = reader->archive;
    archive_read_support_format_tar(archive);
    archive_read_support_format_gnutar(archive);
    archive_read_support_format_cpio(archive);
    if (archive_read_set_format_option(archive, "tar", "read_concatenated_archives", "1") != ARCHIVE_OK)
        return fail(reader, "cannot set up libarchive", err);
    if (archive_read_open(archive, reader, NULL, on_read, NULL) == ARCHIVE_OK)
        return 0;
    int code = fail(reader, "cannot open the archive", err);
    return archive_stream_failed(reader->stream, NULL) ? code : hint_formats(err);
}

int archive_reader_new(archive_fetch *fetch, void *context, source_warning *warning, void *warning_context,
                       struct archive_reader **out, struct error *err)
{
    struct archive_reader *reader = memory_new(struct archive_reader);
    int code = 0;
    reader->warning = warning;
    reader->warning_context = warning_context;
    reader->owners = owners_new();
    reader->ended = true;
    reader->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    reader->archive = archive_read_new();
    if (!reader->archive || !reader->locale) {
        code = error_set(err, ERROR_FAILED, "cannot set up libarchive");
        goto out;
    }
    locale_t old = enter(reader);
    code = archive_stream_new(fetch, context, &reader->stream, err);
    if (code == ERROR_INTEGRITY)
        hint_formats(err);
    if (code == 0)
        code = open_archive(reader, err);
    uselocale(old);
out:
    if (code == 0)
        *out = reader;
    else
        archive_reader_free(reader);
    return code;
}

void archive_reader_free(struct archive_reader *reader)
{
    if (!reader)
        return;
    if (reader->archive)
        archive_read_free(reader->archive);
    archive_stream_free(reader->stream);
    if (reader->locale)
        freelocale(reader->locale);
    owners_free(reader->owners);
    free(reader);
}

static void warn(struct archive_reader *reader, const char *path, const char *what)
{
    char *visible = text_visible(path ? path : "(no name)");
    char *text = memory_format("%s: %s", visible, what);
    if (reader->warning)
        reader->warning(reader->warning_context, text);
    free(text);
    free(visible);
}

static uint32_t owner_of(struct archive_reader *reader, const char *path, int64_t id)
{
    if (id >= 0 && id < UINT32_MAX)
        return (uint32_t)id;
    warn(reader, path, "an owner's number is out of range; 65534 is taken");
    return NOBODY;
}

static struct bytes copy_text(struct arena *arena, const char *text)
{
    return text ? arena_copy(arena, bytes_of_string(text)) : (struct bytes){0};
}

/* Adds an attribute unless a bound is exceeded. */
static void add_xattr(struct archive_reader *reader, struct node *node, size_t *room, struct bytes name,
                      struct bytes value)
{
    if (name.size > NODE_XATTR_NAME_MAX || value.size > NODE_XATTR_VALUE_MAX ||
        name.size + value.size > *room) {
        warn(reader, archive_entry_pathname(reader->entry),
             "an extended attribute is too large and left out");
        return;
    }
    *room -= name.size + value.size;
    node->xattrs[node->xattr_count++] = (struct xattr){name, value};
}

static struct bytes owner_name(struct archive_reader *reader, struct arena *arena, const char *name)
{
    if (!name || strlen(name) <= NODE_OWNER_NAME_MAX)
        return copy_text(arena, name);
    warn(reader, archive_entry_pathname(reader->entry), "an owner's name is too long and left out");
    return (struct bytes){0};
}

static int compare_xattrs(const void *a, const void *b)
{
    return bytes_compare(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static void read_xattrs(struct archive_reader *reader, struct arena *arena, struct node *node)
{
    static const struct {
        int type;
        const char *name;
    } acls[] = {{ARCHIVE_ENTRY_ACL_TYPE_ACCESS, ACL_ACCESS_NAME},
                {ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, ACL_DEFAULT_NAME}};
    struct archive_entry *entry = reader->entry;
    size_t room = SOURCE_XATTRS_MAX, kept = 0, size;
    const char *name;
    const void *data;
    int count = archive_entry_xattr_reset(entry);
    node->xattrs = arena_alloc_array(arena, (size_t)(count > 0 ? count : 0) + 2, sizeof *node->xattrs);
    for (int i = 0; i < 2; i++) {
        struct bytes value;
        if (!archive_acl_read(entry, acls[i].type, reader->owners, arena, &value, &node->mode))
            warn(reader, archive_entry_pathname(entry), "its ACL cannot be translated and is left out");
        else if (value.size)
            add_xattr(reader, node, &room, bytes_of_string(acls[i].name), value);
    }
    for (int i = 0; i < count && archive_entry_xattr_next(entry, &name, &data, &size) == ARCHIVE_OK; i++)
        if (name && *name)
            add_xattr(reader, node, &room, copy_text(arena, name), arena_copy(arena, bytes_of(data, size)));
    /* Some archives hold an attribute twice, in two dialects. ACLs stand before attributes of their name; the
     * sort is stable in effect, as equal names keep either value. */
    if (node->xattr_count)
        qsort(node->xattrs, node->xattr_count, sizeof *node->xattrs, compare_xattrs);
    for (size_t i = 0; i < node->xattr_count; i++)
        if (kept == 0 || !bytes_equal(node->xattrs[kept - 1].name, node->xattrs[i].name))
            node->xattrs[kept++] = node->xattrs[i];
    node->xattr_count = kept;
}

static void read_node(struct archive_reader *reader, struct arena *arena, struct node *node)
{
    struct archive_entry *entry = reader->entry;
    const char *path = archive_entry_pathname(entry);
    unsigned long set = 0, clear = 0;
    archive_entry_fflags(entry, &set, &clear);
    *node = (struct node){
        .type = source_type_of_mode(archive_entry_filetype(entry)),
        .mode = archive_entry_perm(entry) & 07777u,
        .uid = owner_of(reader, path, archive_entry_uid(entry)),
        .gid = owner_of(reader, path, archive_entry_gid(entry)),
        .user = owner_name(reader, arena, archive_entry_uname(entry)),
        .group = owner_name(reader, arena, archive_entry_gname(entry)),
        .mtime_seconds = archive_entry_mtime(entry),
        .mtime_nanoseconds = (uint32_t)archive_entry_mtime_nsec(entry),
        .flags = (uint32_t)set & flags_kept,
    };
    if (archive_entry_hardlink(entry) && node->type == NODE_UNKNOWN)
        node->type = NODE_FILE;
    if (node->type == NODE_FILE && archive_entry_size(entry) > 0)
        node->size = (uint64_t)archive_entry_size(entry);
    if (node->type == NODE_SYMLINK)
        node->link_target = copy_text(arena, archive_entry_symlink(entry));
    if (node->type == NODE_CHARACTER_DEVICE || node->type == NODE_BLOCK_DEVICE) {
        node->device_major = (uint32_t)archive_entry_rdevmajor(entry);
        node->device_minor = (uint32_t)archive_entry_rdevminor(entry);
    }
    if (node->mtime_nanoseconds > 999999999)
        node->mtime_nanoseconds = 0;
    read_xattrs(reader, arena, node);
}

/* Fills member from the entry; false (and a warning) if it cannot be taken. */
static bool read_member(struct archive_reader *reader, struct arena *arena, struct archive_member *member)
{
    const char *path = archive_entry_pathname(reader->entry);
    const char *link = archive_entry_hardlink(reader->entry);
    *member = (struct archive_member){0};
    if (!path || !archive_path_clean(bytes_of_string(path), arena, &member->path)) {
        warn(reader, path, "left out: its path has \"..\" or is too long");
        return false;
    }
    read_node(reader, arena, &member->node);
    if (link && (!archive_path_clean(bytes_of_string(link), arena, &member->node.hard_link) ||
                 member->node.hard_link.size == 0)) {
        warn(reader, path, "left out: it is a hard link to a path outside the archive");
        return false;
    }
    if (member->node.type == NODE_UNKNOWN ||
        (member->path.size == 0 && member->node.type != NODE_DIRECTORY)) {
        warn(reader, path, "left out: its type is not one that a file can have");
        return false;
    }
    if (member->node.type == NODE_SYMLINK &&
        (member->node.link_target.size == 0 || member->node.link_target.size > NODE_LINK_TARGET_MAX)) {
        warn(reader, path, "left out: the target of the symbolic link is empty or too long");
        return false;
    }
    return true;
}

static bool is_tar(const struct archive_reader *reader)
{
    return (archive_format(reader->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
}

/* After the last member, which ended at byte `from`, of what was unpacked. Libarchive takes a tar archive
 * that was cut behind a member for one that ends there, and padding that is no whole block for one that was
 * cut. */
static int end_archive(struct archive_reader *reader, int result, uint64_t from, struct error *err)
{
    uint64_t at = (uint64_t)archive_filter_bytes(reader->archive, -1), rest = 0;
    bool tar = is_tar(reader);
    if (result == ARCHIVE_RETRY) /* a block that is no header */
        at -= at > TAR_BLOCK ? TAR_BLOCK : at;
    if (archive_stream_failed(reader->stream, NULL) || (!tar && result != ARCHIVE_EOF) ||
        (result != ARCHIVE_EOF && at <= from))
        return fail(reader, "cannot read the archive", err);
    int code = archive_stream_finish(reader->stream, tar ? from : at, &rest, err);
    if (code == 0 && tar && rest < TAR_BLOCK)
        code = error_set(err, ERROR_INTEGRITY,
                         "the archive lacks the mark of its end: what follows its last member is missing");
    return code;
}

static int next_header(struct archive_reader *reader, bool *more, struct error *err)
{
    int result = reader->in_member ? archive_read_data_skip(reader->archive) : ARCHIVE_OK;
    *more = reader->in_member = false;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return fail(reader, "cannot read the archive", err);
    uint64_t from = (uint64_t)archive_filter_bytes(reader->archive, -1);
    result = archive_read_next_header(reader->archive, &reader->entry);
    *more = reader->in_member = result == ARCHIVE_OK || result == ARCHIVE_WARN;
    if (!*more)
        return end_archive(reader, result, from, err);
    const char *reason = archive_error_string(reader->archive);
    /* In the "C" locale every name beyond ASCII gives this warning, and is kept as it is. */
    if (result == ARCHIVE_WARN && reason && !strstr(reason, "be converted"))
        warn(reader, archive_entry_pathname(reader->entry), reason);
    return 0;
}

int archive_reader_next(struct archive_reader *reader, struct arena *arena, struct archive_member *member,
                        bool *more, struct error *err)
{
    locale_t old = enter(reader);
    bool taken = false;
    int code;
    do {
        code = next_header(reader, more, err);
        if (code == 0 && *more)
            taken = read_member(reader, arena, member);
    } while (code == 0 && *more && !taken);
    reader->block = NULL;
    reader->block_size = 0;
    reader->at = reader->block_offset = 0;
    reader->ended = code != 0 || !*more || member->node.type != NODE_FILE;
    if (taken) {
        member->size_known = archive_entry_size_is_set(reader->entry) != 0;
        reader->size_known = member->size_known;
        reader->size = member->node.size;
    }
    uselocale(old);
    return code;
}

/* Gets the next block of data; at the end one that is empty, where the file ends. */
static int next_block(struct archive_reader *reader, struct error *err)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    uint64_t end = reader->block_offset + reader->block_size;
    int result;
    do
        result = archive_read_data_block(reader->archive, &data, &size, &offset);
    while (result == ARCHIVE_RETRY);
    if (result == ARCHIVE_EOF) {
        reader->ended = true;
        reader->block_offset = reader->size_known && reader->size > end ? reader->size : end;
        reader->block_size = 0;
        return 0;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        return fail(reader, "cannot read the contents", err);
    if (offset < 0 || (uint64_t)offset < end || (uint64_t)offset > INT64_MAX - size)
        return error_set(err, ERROR_INTEGRITY, "cannot read the contents: the archive is damaged");
    reader->block = data;
    reader->block_offset = (uint64_t)offset;
    reader->block_size = size;
    return 0;
}

/* What lies before the block is a hole, or zeros where that is not worth it. */
static size_t fill(struct archive_reader *reader, uint8_t *to, size_t size)
{
    uint64_t zeros = reader->at < reader->block_offset ? reader->block_offset - reader->at : 0;
    if (zeros) {
        size = zeros < size ? (size_t)zeros : size;
        memset(to, 0, size);
    } else {
        size_t skip = (size_t)(reader->at - reader->block_offset), left = reader->block_size - skip;
        size = left < size ? left : size;
        if (size)
            memcpy(to, reader->block + skip, size);
    }
    reader->at += size;
    return size;
}

int archive_reader_data(struct archive_reader *reader, void *data, size_t size, struct source_run *run,
                        struct error *err)
{
    locale_t old = enter(reader);
    size_t done = 0;
    int code = 0;
    *run = (struct source_run){0};
    while (code == 0 && done < size) {
        if (reader->at == reader->block_offset + reader->block_size) {
            if (reader->ended)
                break;
            code = next_block(reader, err);
            continue;
        }
        if (reader->at < reader->block_offset && reader->block_offset - reader->at >= HOLE_MIN) {
            if (done == 0) {
                *run = (struct source_run){reader->block_offset - reader->at, true};
                reader->at = reader->block_offset;
            }
            break;
        }
        done += fill(reader, (uint8_t *)data + done, size - done);
    }
    if (!run->hole)
        run->length = done;
    uselocale(old);
    return code;
}
