/*
 * Names on their way to the disk. The input is a list of steps, each one byte for what, one for the length of
 * a name or path, and that; whatever they are, nothing appears beside the destination.
 */
#include "fuzz.h"
#include "source/writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS_MAX 16

static char outside[64], destination[80];

static void make_folders(void)
{
    make_scratch(outside, sizeof outside);
    snprintf(destination, sizeof destination, "%s/to", outside);
    must(mkdir(destination, 0700) == 0);
}

static void remove_folders(void)
{
    if (rmdir(destination) == 0)
        rmdir(outside);
}

/* The folder outside holds the destination and no more. */
static void check_outside(void)
{
    DIR *folder = opendir(outside);
    must(folder != NULL);
    for (const struct dirent *e; (e = readdir(folder)) != NULL;)
        must(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "to") == 0);
    closedir(folder);
}

/* The first entry of the working folder; false if there is none. */
static bool first_entry(char name[NODE_NAME_MAX + 1])
{
    DIR *folder = opendir(".");
    const struct dirent *e;
    must(folder != NULL);
    while ((e = readdir(folder)) != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)) {
    }
    if (e)
        snprintf(name, NODE_NAME_MAX + 1, "%s", e->d_name);
    closedir(folder);
    return e != NULL;
}

/* From within each folder: paths may be longer than the kernel takes. */
static void clear(void)
{
    char name[NODE_NAME_MAX + 1];
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth = 0;
    must(here >= 0 && chdir(destination) == 0);
    while (depth >= 0) {
        if (!first_entry(name))
            must(depth-- == 0 || chdir("..") == 0);
        else if (unlink(name) != 0 && rmdir(name) != 0)
            must(++depth && chdir(name) == 0);
    }
    must(fchdir(here) == 0);
    close(here);
}

/* Of a snapshot that has every folder, or none. */
static int knows(void *context, struct bytes path, bool *known, struct error *err)
{
    (void)path;
    (void)err;
    *known = *(const bool *)context;
    return 0;
}

static void take_made(void *context, const char *place)
{
    must(*(const bool *)context && *place == '/');
}

static int go_above(const struct writer *writer, struct bytes path, bool known, int *fd, struct error *err)
{
    struct writer_above above = {knows, take_made, &known, true};
    char *place;
    int code = writer_go_above(writer, path, &above, fd, &place, err);
    if (code == 0) {
        int again;
        must(writer_open_path(writer, bytes_of_string(place), &again, err) == 0);
        close(again);
        free(place);
    }
    return code;
}

static void write_file(int directory, struct bytes name, bool update, bool replace)
{
    struct error err = {0};
    struct writer_file file;
    int code = update ? writer_file_update(directory, name, &file, &err)
                      : writer_file_create(directory, name, 0, replace, &file, &err);
    if (!worked(code, &err))
        return;
    worked(writer_file_write(&file, "text", 4, name.size, &err), &err);
    worked(writer_file_hole(&file, 1, 2, &err), &err);
    if (replace)
        worked(writer_file_commit(&file, &err), &err);
    else
        writer_file_abort(&file);
}

static void step(const struct writer *writer, uint8_t what, struct bytes name, struct bytes other, int *fd)
{
    struct error err = {0};
    int next = -1, code = 0;
    bool replace = what & 0x80, made;
    struct node link = {.type = NODE_SYMLINK, .link_target = other.size ? other : bytes_of_string("..")};
    struct node fifo = {.type = NODE_FIFO};
    switch (what % 8) {
    case 0:
        code = writer_open_path(writer, name, &next, &err);
        break;
    case 1:
        code = go_above(writer, name, replace, &next, &err);
        break;
    case 2:
        code = writer_make_directory(*fd, name, replace, &next, &made, &err);
        break;
    case 3:
        worked(writer_make_special(*fd, name, &link, replace, &err), &err);
        break;
    case 4:
        worked(writer_make_special(*fd, name, &fifo, replace, &err), &err);
        break;
    case 5:
        worked(writer_make_hard_link(writer, *fd, name, other, replace, &err), &err);
        break;
    case 6:
        worked(writer_remove(*fd, name, &err), &err);
        break;
    default:
        write_file(*fd, name, what & 0x40, replace);
    }
    if (worked(code, &err) && next >= 0) {
        close(*fd);
        *fd = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    struct writer *writer;
    struct bytes name = {0};
    struct reader r = reader_of(bytes_of(input, size));
    if (!destination[0]) {
        make_folders();
        atexit(remove_folders);
    }
    must(writer_open(destination, false, &writer, &err) == 0);
    int fd = dup(writer_root(writer));
    for (int i = 0; i < STEPS_MAX && r.at < r.size && !r.failed; i++) {
        uint8_t what = reader_u8(&r);
        struct bytes before = name;
        name = reader_take(&r, reader_u8(&r));
        if (!r.failed)
            step(writer, what, name, before, &fd);
    }
    close(fd);
    writer_close(writer);
    check_outside();
    clear();
    return 0;
}
