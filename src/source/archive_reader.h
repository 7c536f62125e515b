/*
 * An archive (tar in all its dialects, or cpio; compressed or not) as a stream of nodes with contents. Used
 * by the backup op for sources of type archive. With archive_writer.h the only place that knows libarchive.
 * What the archive says is hostile: paths are cleaned, members that would lie elsewhere are left out.
 */
#ifndef SOURCE_ARCHIVE_READER_H
#define SOURCE_ARCHIVE_READER_H

#include "source/file.h"
#include "source/metadata.h"

/* Longer paths and link targets are left out, with a warning. */
#define ARCHIVE_READER_PATH_MAX (64u * 1024)

struct archive_reader;

/* Gives up to size bytes of the archive; *done 0 at its end. */
typedef int archive_fetch(void *context, void *to, size_t size, size_t *done, struct error *err);
/* An archive_fetch of a descriptor; context is an int *. */
int archive_fetch_descriptor(void *descriptor, void *to, size_t size, size_t *done, struct error *err);
/* An archive_fetch of a command's output; context is a struct command *. */
int archive_fetch_command(void *command, void *to, size_t size, size_t *done, struct error *err);

/* Reads the beginning; INTEGRITY if it is no archive that is known (an empty stream is none). Warnings name
 * the member. */
int archive_reader_new(archive_fetch *fetch, void *context, source_warning *warning, void *warning_context,
                       struct archive_reader **reader, struct error *err);
void archive_reader_free(struct archive_reader *reader);

struct archive_member {
    struct bytes path; /* "a/b": no slash in front, no ".", no ".."; empty for the archive's root folder */
    struct node node;  /* without name, content and subtree; hard_link is a path like the one above */
    bool size_known;   /* node.size is; else it is the sum of the runs */
};

/* The next member, in the order of the archive, in arena. *more is false at the end; then the rest of the
 * stream has been read too, so that the command that writes it ends well. Contents that were not read are
 * passed over. INTEGRITY where the archive is damaged or cut off. */
int archive_reader_next(struct archive_reader *reader, struct arena *arena, struct archive_member *member,
                        bool *more, struct error *err);
/* The member's contents, as source_file_next() gives those of a file. */
int archive_reader_data(struct archive_reader *reader, void *data, size_t size, struct source_run *run,
                        struct error *err);

#endif
