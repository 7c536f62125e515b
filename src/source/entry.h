/*
 * Entries of directories, held open. A name may lead to something else at each look, for files are replaced
 * by renaming others; so an entry is opened first, and what was opened is looked at: it stays what it is,
 * whatever becomes of its name. Used by the backup op and the rest of this module. Messages do not name the
 * entry.
 */
#ifndef SOURCE_ENTRY_H
#define SOURCE_ENTRY_H

#include "source/directory.h"

struct source_entry {
    int fd;
    int refused; /* errno of opening a file or directory for reading; then, and for all others, fd is only a
                    path */
    struct source_stat stat;
};

/* Opens what name leads to: files and directories for reading, if that is permitted. likely: what it was when
 * it was looked at before, or UNKNOWN; where that is wrong it costs another look, nothing else. NOT_FOUND
 * only where nothing was there at several looks. */
int source_entry_open(int directory, const char *name, enum node_type likely, struct source_entry *entry,
                      struct error *err);
/* True if the descriptor is open for reading. */
bool source_entry_readable(const struct source_entry *entry);
/* Takes an entry that was never opened, if its memory is zero or its fd is -1. */
void source_entry_close(struct source_entry *entry);

#endif
