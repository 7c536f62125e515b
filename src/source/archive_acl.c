#include "source/archive_acl.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#define NO_ID UINT32_MAX
#define ENTRIES_MAX ((64u * 1024 - POSIX_ACL_HEADER) / POSIX_ACL_ENTRY)

/* In the order the kernel wants. */
static const struct {
    uint16_t tag;
    int theirs;
    bool named;
} tags[] = {{0x01, ARCHIVE_ENTRY_ACL_USER_OBJ, false},  {0x02, ARCHIVE_ENTRY_ACL_USER, true},
            {0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ, false}, {0x08, ARCHIVE_ENTRY_ACL_GROUP, true},
            {0x10, ARCHIVE_ENTRY_ACL_MASK, false},      {0x20, ARCHIVE_ENTRY_ACL_OTHER, false}};

struct acl_entry {
    uint16_t tag, permissions;
    uint32_t id;
};

static int compare_entries(const void *a, const void *b)
{
    const struct acl_entry *x = a, *y = b;
    if (x->tag != y->tag)
        return (x->tag > y->tag) - (x->tag < y->tag);
    return (x->id > y->id) - (x->id < y->id);
}

/* One entry of libarchive's list as ours. */
static bool translate(int tag, int permissions, int id, const char *name, struct owners *owners,
                      struct acl_entry *out)
{
    size_t i = 0;
    while (i < sizeof tags / sizeof *tags && tags[i].theirs != tag)
        i++;
    if (i == sizeof tags / sizeof *tags)
        return false;
    *out = (struct acl_entry){tags[i].tag, (uint16_t)(permissions & 7), NO_ID};
    if (!tags[i].named)
        return true;
    if (id >= 0) {
        out->id = (uint32_t)id;
        return true;
    }
    enum owner_kind kind = tag == ARCHIVE_ENTRY_ACL_USER ? OWNER_USER : OWNER_GROUP;
    return name && owners_id(owners, kind, bytes_of_string(name), &out->id);
}

bool archive_acl_read(struct archive_entry *entry, int type, struct owners *owners, struct arena *arena,
                      struct bytes *value, uint32_t *mode)
{
    *value = (struct bytes){0};
    if (archive_entry_acl_types(entry) & ARCHIVE_ENTRY_ACL_TYPE_NFS4)
        return false;
    int count = archive_entry_acl_reset(entry, type);
    if (count <= 0)
        return true;
    if ((unsigned)count > ENTRIES_MAX)
        return false;
    struct acl_entry *list = arena_alloc_array(arena, (size_t)count, sizeof *list);
    size_t n = 0;
    int entry_type, permissions, tag, id;
    const char *name;
    while (n < (size_t)count &&
           archive_entry_acl_next(entry, type, &entry_type, &permissions, &tag, &id, &name) == ARCHIVE_OK)
        if (!translate(tag, permissions, id, name, owners, &list[n++]))
            return false;
    qsort(list, n, sizeof *list, compare_entries);
    uint8_t *to = arena_alloc(arena, POSIX_ACL_HEADER + n * POSIX_ACL_ENTRY);
    posix_acl_store(to, POSIX_ACL_VERSION, 4);
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = to + POSIX_ACL_HEADER + i * POSIX_ACL_ENTRY;
        posix_acl_store(p, list[i].tag, 2);
        posix_acl_store(p + 2, list[i].permissions, 2);
        posix_acl_store(p + 4, list[i].id, 4);
        if (type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS && list[i].tag == POSIX_ACL_MASK)
            *mode = (*mode & ~070u) | (uint32_t)list[i].permissions << 3;
    }
    *value = bytes_of(to, POSIX_ACL_HEADER + n * POSIX_ACL_ENTRY);
    return true;
}

bool archive_acl_write(struct archive_entry *entry, int type, struct owners *owners, struct bytes value)
{
    if (value.size < POSIX_ACL_HEADER || (value.size - POSIX_ACL_HEADER) % POSIX_ACL_ENTRY ||
        posix_acl_load(value.data, 4) != POSIX_ACL_VERSION)
        return false;
    for (size_t at = POSIX_ACL_HEADER; at < value.size; at += POSIX_ACL_ENTRY) {
        uint32_t tag = posix_acl_load(value.data + at, 2), id = posix_acl_load(value.data + at + 4, 4);
        size_t i = 0;
        while (i < sizeof tags / sizeof *tags && tags[i].tag != tag)
            i++;
        if (i == sizeof tags / sizeof *tags || (tags[i].named && id > INT32_MAX))
            return false;
        const char *name = NULL;
        if (tags[i].named)
            name = (const char *)owners_name(
                       owners, tags[i].theirs == ARCHIVE_ENTRY_ACL_USER ? OWNER_USER : OWNER_GROUP, id)
                       .data;
        int result = archive_entry_acl_add_entry(entry, type, (int)posix_acl_load(value.data + at + 2, 2) & 7,
                                                 tags[i].theirs, tags[i].named ? (int)id : -1, name);
        if (result != ARCHIVE_OK)
            return false;
    }
    return true;
}
