/* host add and host list. */
#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status.h"
#include "cli/wire.h"

#include <stdio.h>
#include <string.h>

static int open_for(const struct options *options, enum repository_mode mode, enum wire_key key,
                    struct wire *wire)
{
    struct error err = {0};
    int code = wire_open(options, options->config, mode, key, wire, &err);
    return code == 0 ? STATUS_DONE : status_report(&err);
}

int cmd_host_add(const struct options *options)
{
    struct wire wire;
    struct error err = {0};
    int status = open_for(options, REPOSITORY_WRITE, WIRE_PERSON, &wire);
    if (status != STATUS_DONE)
        return status;
    const char *name = options->operands[0];
    enum role role = options->role == OPTION_ROLE_PRUNE ? ROLE_PRUNE : ROLE_WRITE;
    int code = repository_add_host(wire.repository, name, role, options->group ? options->group : "",
                                   options->out, &err);
    if (code != 0)
        status = status_report(&err);
    else if (options->json) {
        json_t *o = json_pack("{s:s, s:s}", "host", name, "role", role == ROLE_PRUNE ? "prune" : "write");
        output_json_bytes(o, "key_file", bytes_of_string(options->out));
        output_json_print(o);
    } else if (!options->quiet)
        printf("host %s may now write%s; move %s to that machine and name it in its key_file\n", name,
               role == ROLE_PRUNE ? " and prune" : "", options->out);
    status = status_worse(status, session_behind(wire.repository));
    wire_close(&wire);
    return status;
}

static void add_host(struct output_table *table, json_t *list, const struct host *h)
{
    const char *role = h->role == ROLE_PRUNE ? "prune" : "write";
    char added[TEXT_TIME_SIZE], id[ID16_HEX_SIZE];
    text_format_time(h->added, added);
    id16_to_hex(&h->id, id);
    output_table_cell(table, h->name);
    output_table_cell(table, h->removed ? "removed" : role);
    output_table_cell(table, *h->dedup_group ? h->dedup_group : "-");
    output_table_cell(table, added);
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "name", h->name, "id", id, "role", role,
                                    "group", h->dedup_group, "added", added, "removed", h->removed));
}

int cmd_host_list(const struct options *options)
{
    static const char *const headings[] = {"NAME", "ROLE", "GROUP", "ADDED", NULL};
    struct wire wire;
    int status = open_for(options, REPOSITORY_READ, WIRE_HOST, &wire);
    if (status != STATUS_DONE)
        return status;
    const struct keyring *keyring = repository_keyring(wire.repository);
    struct output_table *table = output_table_new(headings);
    json_t *list = json_array();
    for (size_t i = 0; i < keyring->host_count; i++)
        add_host(table, list, &keyring->hosts[i]);
    if (options->json) {
        output_json_print(json_pack("{s:o}", "hosts", list));
    } else {
        output_table_print(table);
        json_decref(list);
    }
    output_table_free(table);
    wire_close(&wire);
    return status;
}
