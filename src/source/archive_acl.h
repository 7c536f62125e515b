/*
 * POSIX ACLs between libarchive's list and the layout of posix_acl.h. For this module only.
 */
#ifndef SOURCE_ARCHIVE_ACL_H
#define SOURCE_ARCHIVE_ACL_H

#include "base/arena.h"
#include "base/node.h"
#include "source/owners.h"
#include "source/posix_acl.h"

#include <stdbool.h>

struct archive_entry;

/* The value of the attribute for the entry's ACL of a type (ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT); empty
 * if it has none. With an access ACL, *mode gets the group bits that stat(2) would tell: the mask. False if
 * the ACL could not be translated (a name that is unknown here, no POSIX ACL). */
bool archive_acl_read(struct archive_entry *entry, int type, struct owners *owners, struct arena *arena,
                      struct bytes *value, uint32_t *mode);
/* Adds an attribute's value to the entry. False if it is malformed. */
bool archive_acl_write(struct archive_entry *entry, int type, struct owners *owners, struct bytes value);

#endif
