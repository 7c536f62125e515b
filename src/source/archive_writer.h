/*
 * Nodes and contents as an archive on a descriptor. Used by the export op. With archive_reader.h the only
 * place that knows libarchive.
 */
#ifndef SOURCE_ARCHIVE_WRITER_H
#define SOURCE_ARCHIVE_WRITER_H

#include "base/error.h"
#include "base/node.h"
#include "source/metadata.h"

enum archive_writer_format {
    ARCHIVE_WRITER_PAX, /* keeps all that a node has */
    ARCHIVE_WRITER_ZIP  /* files, directories and symbolic links; no hard links, owners' names, attributes,
                           holes */
};

struct archive_writer;

/* fd stays the caller's. Warnings tell what of an entry the archive cannot hold; they and the errors below
 * name the entry, but for what writing to fd fails of. */
int archive_writer_new(int fd, enum archive_writer_format format, source_warning *warning, void *context,
                       struct archive_writer **writer, struct error *err);
/* What was not finished lacks the archive's end, so that nobody takes it for whole. */
void archive_writer_free(struct archive_writer *writer);

/* Begins an entry; the one before must have got all of its contents. path is cleaned of slashes in front;
 * USAGE if it has "..". Of a file with hard_link, no contents are wanted in pax; zip has no links, so there
 * the contents follow as for any file. Holes are those of node->content. UNSUPPORTED if the format has no
 * such type, or its path is too long for it: nothing is written, go on with the next. */
int archive_writer_entry(struct archive_writer *writer, struct bytes path, const struct node *node,
                         struct error *err);
/* Contents in order, as many bytes as the node's size says. */
int archive_writer_data(struct archive_writer *writer, const void *data, size_t size, struct error *err);
int archive_writer_hole(struct archive_writer *writer, uint64_t length, struct error *err);
/* Ends the archive. */
int archive_writer_finish(struct archive_writer *writer, struct error *err);

#endif
