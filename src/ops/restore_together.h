/*
 * Several snapshots into one folder: whether one would write where another does. For the command restore.
 */
#ifndef OPS_RESTORE_TOGETHER_H
#define OPS_RESTORE_TOGETHER_H

#include "repo/snapshots.h"

/* EXISTS, with both and the path, if two of them hold something at the same place. Folders of which one is
 * empty do not count: what is mounted there is the other's. */
int restore_check_together(struct repository *repository, const struct snapshot *const *snapshots,
                           size_t count, struct error *err);

#endif
