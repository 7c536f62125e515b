/*
 * Names and paths that came from a tree. For this module only.
 */
#ifndef SOURCE_NAME_H
#define SOURCE_NAME_H

#include "source/writer.h"

/* name as a string; USAGE if it is not one component. */
int writer_name(struct bytes name, char text[WRITER_NAME_SIZE], struct error *err);

/* Takes the next component off path, and slashes in front of it. False at the end. */
bool writer_next_component(struct bytes *path, struct bytes *name);

/* The destination's path as the kernel has it. */
const char *writer_path(const struct writer *writer);

#endif
