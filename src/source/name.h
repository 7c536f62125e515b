/*
 * Checking a name that came from a tree. For this module only.
 */
#ifndef SOURCE_NAME_H
#define SOURCE_NAME_H

#include "source/writer.h"

/* name as a string; USAGE if it is not one component. */
int writer_name(struct bytes name, char text[WRITER_NAME_SIZE], struct error *err);

#endif
