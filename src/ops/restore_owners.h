/*
 * Whether the owners of what is restored go by name or by number, where nobody said so. For the command
 * restore.
 */
#ifndef OPS_RESTORE_OWNERS_H
#define OPS_RESTORE_OWNERS_H

#include "ops/restore.h"

/* NULL: by name, for that is who is meant on this machine. Else why by number: the destination is a system
 * that has users of its own, whose numbers are those of the snapshot. */
const char *restore_owners_reason(struct repository *repository, const struct restore_parameters *parameters);

#endif
