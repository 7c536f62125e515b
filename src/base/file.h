/*
 * Whole files, written so that a crash leaves the old file or the new one, and read with a bound.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Reads a regular file of at most max bytes into out (appended). NOT_FOUND, DENIED, or USAGE if larger. */
int file_read(const char *path, size_t max, struct buffer *out, struct error *err);
/* Like file_read; DENIED if the file is readable or writable by group or others, or owned by another user
 * than root and the caller. */
int file_read_secret(const char *path, size_t max, struct buffer *out, struct error *err);
/* Writes temporary, fsync, rename, fsync of the folder. An existing file is replaced. */
int file_write_atomic(const char *path, struct bytes contents, mode_t mode, struct error *err);
/* Removes from a folder what processes that were killed while they wrote left there over a day ago. */
void file_remove_leftovers(const char *folder);
/* Like file_write_atomic, but never replaces: EXISTS if the name is taken (link instead of rename). */
int file_create_atomic(const char *path, struct bytes contents, mode_t mode, struct error *err);
/* Writes all bytes to a descriptor; `path` is for the message. */
int file_write_all(int fd, struct bytes contents, const char *path, struct error *err);
/* Reads up to size bytes, less only at the end of the file. Returns the count, or -1 with errno. */
ssize_t file_read_full(int fd, void *to, size_t size);
/* mkdir -p; folders that exist are left as they are. New names are made durable. */
int file_make_directories(const char *path, mode_t mode, struct error *err);
/* fsync of the folder that holds path. */
int file_sync_parent(const char *path, struct error *err);
/* a + "/" + b, without a double slash. The caller frees it. */
char *file_join(const char *a, const char *b);
/* Takes out of a path what makes no difference: slashes too many, "." as a component, a slash at the end.
 * ".." stays: behind a symbolic link it leads elsewhere. Writes in place and returns the new size, which is
 * never 0 unless size is. */
size_t file_normalise(char *path, size_t size);
/* Likewise for a path that somebody typed: USAGE if a component of it is "..". The caller frees *clean. */
int file_clean_path(const char *typed, char **clean, struct error *err);
/* True if path is `above`, or lies below it; both without a slash too many. */
bool file_lies_in(struct bytes path, const char *above);
/* The folder part of path ("." or "/" where there is none). The caller frees it. */
char *file_parent(const char *path);

#endif
