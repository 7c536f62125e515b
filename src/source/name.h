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

/* A name for what is not to be seen yet: different in each call. */
void writer_temporary_name(char text[WRITER_NAME_SIZE]);
/* Gives the entry `from` of a folder the name `name`, in the place of what has it. */
int writer_take_name(int directory, const char *from, const char *name, struct error *err);

/* The destination's path as the kernel has it. */
const char *writer_path(const struct writer *writer);

#endif
