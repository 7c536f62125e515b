#include "base/file.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/passphrase.h"
#include "cli/status.h"
#include "cli/targets.h"
#include "cli/wire.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The machine's name up to the first dot, as keyrings allow it. */
static void host_name(char name[KEY_NAME_SIZE])
{
    memset(name, 0, KEY_NAME_SIZE);
    if (gethostname(name, KEY_NAME_SIZE - 1) != 0)
        name[0] = '\0';
    name[strcspn(name, ".")] = '\0';
    if (!key_name_is_valid(name))
        strcpy(name, "host");
}

static const char *person_name(const struct options *options)
{
    const struct passwd *user = getpwuid(geteuid());
    if (options->person)
        return options->person;
    return user && key_name_is_valid(user->pw_name) ? user->pw_name : "admin";
}

static int create(const struct options *options, const struct config *config, struct error *err)
{
    struct repository_parameters p;
    struct buffer passphrase = {0};
    char host[KEY_NAME_SIZE];
    int code = wire_parameters(config, true, true, &p, err);
    if (code != 0)
        return code;
    host_name(host);
    struct repository_init init = {.host_name = host,
                                   .person_name = person_name(options),
                                   .pack_size = (uint32_t)config->repository.pack_size};
    uint32_t average = (uint32_t)config->repository.chunk_average;
    init.chunker = (struct chunker_parameters){average / 4, average, average * 4};
    init.person_key_file = options->person_key;
    if (!options->person_key) {
        code = passphrase_choose(options, init.person_name, &passphrase, err);
        init.passphrase = buffer_string(&passphrase);
    }
    if (code == 0)
        code = repository_create(&p, &init, err);
    buffer_free_secret(&passphrase);
    for (size_t i = 0; i < p.target_count; i++)
        storage_free(p.targets[i]);
    if (code != 0)
        return code;
    if (options->json) {
        json_t *targets = json_array();
        for (size_t i = 0; i < config->target_count; i++)
            json_array_append_new(targets, json_string(config->targets[i].name));
        json_t *o = json_pack("{s:s, s:s, s:s, s:o}", "repository", config->repository.name, "host", host,
                              "person", init.person_name, "targets", targets);
        output_json_bytes(o, "key_file", bytes_of_string(config->repository.key_file));
        output_json_print(o);
    } else if (!options->quiet) {
        printf("repository %s created on %zu target%s\n", config->repository.name, config->target_count,
               config->target_count == 1 ? "" : "s");
        printf("host %s may write and prune; its key is in %s\n", host, config->repository.key_file);
        printf("person %s may restore, with %s%s: without it nobody reads this backup again, so keep it "
               "apart from this machine\n",
               init.person_name, options->person_key ? "the key in " : "the passphrase",
               options->person_key ? options->person_key : "");
    }
    return 0;
}

static int run(const struct options *options, const char *file)
{
    struct error err = {0};
    struct config *config;
    int code = targets_load(file, true, &config, &err);
    if (code != 0)
        return status_report(&err);
    code = create(options, config, &err);
    config_free(config);
    return code == 0 ? STATUS_DONE : status_report(&err);
}

int cmd_init(const struct options *options)
{
    return wire_each_config(options, run);
}
