#include "cli/node_print.h"

#include "base/log.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/status.h"

#include <stdio.h>
#include <stdlib.h>

int node_complete(struct tree_links *links, const char *path, const struct node *node, struct node *shown,
                  int *status, struct error *err)
{
    struct error why;
    *shown = *node;
    int code = tree_links_resolve(links, shown, &why);
    if (code == ERROR_NOT_FOUND) {
        log_warning("%s: %s", path, why.message);
        *status = status_worse(*status, STATUS_INTEGRITY);
        code = 0;
    } else if (code != 0 && err) {
        *err = why;
    }
    return code;
}

const char *node_type_name(enum node_type type)
{
    static const char *const names[] = {"unknown",          "file",         "directory", "symlink", "fifo",
                                        "character_device", "block_device", "socket"};
    return names[type];
}

static void mode_text(const struct node *node, char text[11])
{
    static const char types[] = "?-dlpcbs";
    static const char bits[] = "rwxrwxrwx";
    text[0] = types[node->type];
    for (int i = 0; i < 9; i++)
        text[i + 1] = node->mode >> (8 - i) & 1 ? bits[i] : '-';
    if (node->mode & 04000)
        text[3] = text[3] == 'x' ? 's' : 'S';
    if (node->mode & 02000)
        text[6] = text[6] == 'x' ? 's' : 'S';
    if (node->mode & 01000)
        text[9] = text[9] == 'x' ? 't' : 'T';
    text[10] = '\0';
}

static void print_owner(struct bytes name, uint32_t id)
{
    char *visible = name.size ? text_visible_bytes(name.data, name.size) : NULL;
    if (visible)
        printf(" %-8s", visible);
    else
        printf(" %-8u", id);
    free(visible);
}

void node_print_line(const char *path, const struct node *node)
{
    char mode[11], time[TEXT_TIME_SIZE];
    char *visible = text_visible(path);
    mode_text(node, mode);
    fputs(mode, stdout);
    print_owner(node->user, node->uid);
    print_owner(node->group, node->gid);
    printf(" %12llu %s %s", (unsigned long long)node->size, text_format_time(node->mtime_seconds, time),
           visible);
    if (node->type == NODE_SYMLINK) {
        char *target = text_visible_bytes(node->link_target.data, node->link_target.size);
        printf(" -> %s", target);
        free(target);
    }
    putchar('\n');
    free(visible);
}

json_t *node_json(const char *path, const struct node *node)
{
    json_t *o = json_object();
    char mode[8];
    output_json_bytes(o, "path", bytes_of_string(path));
    json_object_set_new(o, "type", json_string(node_type_name(node->type)));
    snprintf(mode, sizeof mode, "%04o", node->mode);
    json_object_set_new(o, "mode", json_string(mode));
    output_json_number(o, "uid", node->uid);
    output_json_number(o, "gid", node->gid);
    output_json_bytes(o, "user", node->user);
    output_json_bytes(o, "group", node->group);
    output_json_number(o, "size", node->size);
    output_json_time(o, "mtime", node->mtime_seconds);
    output_json_number(o, "mtime_nanoseconds", node->mtime_nanoseconds);
    if (node->type == NODE_SYMLINK)
        output_json_bytes(o, "link_target", node->link_target);
    if (node->hard_link.size)
        output_json_bytes(o, "hard_link", node->hard_link);
    return o;
}
