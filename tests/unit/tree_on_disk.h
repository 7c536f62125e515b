/* A folder for one test, and what the tests of source and writer have in common. */
#ifndef TESTS_TREE_ON_DISK_H
#define TESTS_TREE_ON_DISK_H

#include "source/file.h"
#include "source/metadata.h"

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static int folder_fd = -1;

/* In /var/tmp: /tmp may be a tmpfs, which has neither flags nor user attributes. */
static inline void make_folder(void)
{
    snprintf(folder, sizeof folder, "/var/tmp/holdfast-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(folder_fd, 0);
}

/* Runs a shell command in the folder; it must succeed. */
static inline void __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
    char text[4096], whole[4300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "export PATH=$PATH:/usr/sbin:/sbin; cd %s && { %s\n}", folder, text);
    ck_assert_msg(system(whole) == 0, "failed: %s", whole);
}

static inline void remove_folder(void)
{
    close(folder_fd);
    shell("chattr -R -i -a . 2>/dev/null; cd / && rm -rf %s", folder);
}

/* Owners, devices, flags and trusted attributes can be tested by root only: a run without them is no pass. */
static inline void need_root(void)
{
    ck_assert_msg(geteuid() == 0, "THIS TEST NEEDS ROOT: run the tests as root (or with sudo)");
}

static inline void write_text(const char *name, const char *text)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* All but contents and name of an entry, with the look at it. */
static inline void read_metadata(struct metadata_reader *reader, int directory, const char *name,
                                 struct source_stat *st, struct arena *to, struct node *node)
{
    struct source_entry entry;
    struct error why = {0};
    int code = source_entry_open(directory, name, NODE_UNKNOWN, &entry, &why);
    if (code == 0)
        code = metadata_read(reader, &entry, to, node, &why);
    ck_assert_msg(code == 0, "%s: %s", name, why.message);
    *st = entry.stat;
    source_entry_close(&entry);
}

/* The caller closes file->fd. */
static inline void open_source_file(int directory, const char *name, struct source_file *file)
{
    struct source_entry entry;
    struct error why = {0};
    int code = source_entry_open(directory, name, NODE_FILE, &entry, &why);
    if (code == 0)
        code = source_file_open(&entry, file, &why);
    ck_assert_msg(code == 0, "%s: %s", name, why.message);
}

#endif
