/*
 * An open repository with its snapshots: what most commands begin with. For the commands.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/wire.h"
#include "repo/snapshots.h"

struct session {
    struct wire wire;
    struct snapshot_list snapshots;
};

/* Opens, puts a lease for `purpose` (NULL: none), synchronises and loads the snapshots. On failure the error
 * is reported and the exit status returned; else STATUS_DONE. */
int session_open(const struct options *options, const char *config_file, enum repository_mode mode,
                 enum wire_key key, const char *purpose, struct session *session);
void session_close(struct session *session);
/* STATUS_BEHIND if a configured target did not take part to the end, else STATUS_DONE. */
int session_behind(struct repository *repository);
/* STATUS_INTEGRITY, with a warning, if the last synchronisation met objects that cannot be read;
 * STATUS_FAILED if that is only because no target gave them out. */
int session_damage(const struct repository *repository);
/* The snapshot that operand `index` names; reports the error. NULL if there is none; *status gets the exit
 * status. */
const struct snapshot *session_snapshot(const struct session *session, const struct options *options,
                                        size_t index, int *status);
/* For commands on one repository: -c must name a file, not a folder of several. */
int session_run_single(const struct options *options, wire_command *command);

#endif
