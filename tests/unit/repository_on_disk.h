/*
 * A repository on two local targets in the test's folder, for tests of repo and ops.
 */
#ifndef TESTS_REPOSITORY_ON_DISK_H
#define TESTS_REPOSITORY_ON_DISK_H

#include "base/file.h"
#include "base/log.h"
#include "helpers.h"
#include "repo/lease.h"
#include "repo/repository.h"
#include "tree_on_disk.h"

static struct error err;
static char paths[2][96], state[96], host_key_file[96], person_key_file[96];

static inline void parameters(struct repository_parameters *p)
{
    static const char *const labels[] = {"one", "two"};
    *p = (struct repository_parameters){.target_count = 2,
                                        .min_targets = 1,
                                        .state_folder = state,
                                        .host_key_file = host_key_file,
                                        .compression = 1,
                                        .lease_refresh = 3600,
                                        .lease_recheck = 43200,
                                        .lease_live = 86400,
                                        .checkpoint = 600,
                                        .stall = 60,
                                        .meta_cache_bytes = 1u << 20};
    for (size_t t = 0; t < 2; t++) {
        p->target_labels[t] = labels[t];
        MUST(storage_open_local(labels[t], paths[t], true, &p->targets[t], &err));
    }
}

static inline int create(void)
{
    struct repository_parameters p;
    struct repository_init init = {
        .host_name = "web", .person_name = "admin", .person_key_file = person_key_file};
    parameters(&p);
    int code = repository_create(&p, &init, &err);
    storage_free(p.targets[0]);
    storage_free(p.targets[1]);
    return code;
}

static inline int try_open(enum repository_mode mode, const struct person_key *person, struct repository **r)
{
    struct repository_parameters p;
    parameters(&p);
    p.person = person;
    int code = repository_open(&p, mode, r, &err);
    return code;
}

static inline struct repository *open_synced(enum repository_mode mode)
{
    struct repository *r;
    MUST(try_open(mode, NULL, &r));
    if (mode == REPOSITORY_WRITE)
        MUST(lease_begin(r, "test", &err));
    MUST(repository_sync(r, &err));
    return r;
}

static inline void setup(void)
{
    make_folder();
    log_set_level(LOG_LEVEL_QUIET);
    for (int t = 0; t < 2; t++)
        snprintf(paths[t], sizeof paths[t], "%s/target%d", folder, t + 1);
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(host_key_file, sizeof host_key_file, "%s/host.key", folder);
    snprintf(person_key_file, sizeof person_key_file, "%s/person.key", folder);
    MUST(create());
}

static inline void read_person(struct person_key *person)
{
    struct buffer text = {0};
    MUST(file_read_secret(person_key_file, PERSON_KEY_MAX, &text, &err));
    MUST(person_key_parse_text(buffer_bytes(&text), person, &err));
    buffer_free_secret(&text);
}

#endif
