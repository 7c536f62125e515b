/*
 * From a configuration and options to an open repository: the one place that turns settings into the
 * parameters of the modules below. For the commands.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include "cli/options.h"
#include "config/config.h"
#include "repo/lock.h"
#include "repo/repository.h"

/* Whose secrets a command needs. */
enum wire_key {
    WIRE_HOST,  /* the host key file does */
    WIRE_PERSON /* file contents are read: a passphrase or person key as well */
};

struct wire {
    struct config *config; /* NULL with --target */
    bool owns_config;
    struct repository *repository;
    struct person_key person;
    bool has_person;
    struct wire_cut *cut; /* what a signal cuts off */
};

/* Opens what options name: the repository of the configuration file, or the one at --target URL. Does not
 * sync. On failure everything is closed. */
int wire_open(const struct options *options, const char *config_file, enum repository_mode mode,
              enum wire_key key, struct wire *wire, struct error *err);
/* The same for a configuration that targets_load has read. The caller keeps it, and frees it after
 * wire_close; likewise the lock of its state folder, if that is taken already (else NULL). */
int wire_open_config(const struct options *options, struct config *config, struct lock *lock,
                     enum repository_mode mode, enum wire_key key, struct wire *wire, struct error *err);
/* What is remembered of the repository, see repository_open_offline(); the lock as above. */
int wire_open_offline(struct config *config, struct lock *lock, struct wire *wire, int64_t *known,
                      struct error *err);
void wire_close(struct wire *wire);
/* The parameters alone (init). `create`: folders are made if they are missing; `writing`: a bucket must be
 * where residency allows it. */
int wire_parameters(const struct config *config, bool create, bool writing,
                    struct repository_parameters *parameters, struct error *err);

typedef int wire_command(const struct options *options, const char *config_file);
/* Runs `command` for the configuration file that -c names, or for each of a folder, announced; the worst exit
 * status. A signal ends it. */
int wire_each_config(const struct options *options, wire_command *command);
/* The same unannounced, for what gathers in the context. */
int wire_each_file(const struct options *options,
                   int (*command)(const struct options *options, const char *file, void *context),
                   void *context);

#endif
