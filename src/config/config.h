/*
 * The configuration file, one per repository: read, checked and turned into plain structs. Only `cli` reads
 * it (wire.c turns these structs into the parameters of the other modules). Its settings are listed in one
 * table, config/settings.c, and described in holdfast.conf(5).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "config/schedule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEFAULT_PATH "/etc/holdfast/holdfast.conf"
#define CONFIG_TEXT_MAX (1u << 20) /* bytes of a file */
#define CONFIG_NOTIFY_MAX 32

struct config_strings {
    const char **list;
    size_t count;
};

/* Sizes are in bytes, durations in seconds. */
struct config_repository {
    const char *name;                /* default: from the file's name */
    const char *key_file;            /* absolute */
    const char *state_dir;           /* absolute; default: /var/lib/holdfast/NAME */
    struct config_strings residency; /* "EU", "DE"; none: everywhere */
    int64_t min_targets;
    int64_t compression;  /* zstd level; 0: not set */
    int64_t upload_limit; /* bytes a second, of all targets together; 0: none */
    int64_t download_limit;
    int64_t workers;                  /* 0: as many as there are processors */
    int64_t meta_cache;               /* bytes of meta packs kept in state_dir */
    int64_t chunk_average, pack_size; /* read by init only: fixed from then on */
    int64_t checkpoint_interval;
    int64_t lease_refresh, lease_recheck, lease_live;
    int64_t condemn_grace;   /* a condemned pack is deleted no earlier than this after its event */
    int64_t clock_tolerance; /* a manifest that disagrees more with its arrival is uncounted */
    int64_t target_lag;      /* a target that holds up the others for longer is left to catch up later */
    int64_t retry_budget;    /* how long a failing operation on a target is tried again */
    int64_t stall_timeout;   /* a connection without progress for so long is given up */
};

enum config_target_type { CONFIG_TARGET_LOCAL, CONFIG_TARGET_S3 };
enum config_provider {
    CONFIG_PROVIDER_AWS,
    CONFIG_PROVIDER_DIGITALOCEAN,
    CONFIG_PROVIDER_HETZNER,
    CONFIG_PROVIDER_OTHER
};
enum config_addressing { CONFIG_ADDRESSING_AUTO, CONFIG_ADDRESSING_PATH, CONFIG_ADDRESSING_VIRTUAL };
enum config_sse { CONFIG_SSE_NONE, CONFIG_SSE_AES256, CONFIG_SSE_CUSTOMER };
enum config_lock_mode { CONFIG_LOCK_NONE, CONFIG_LOCK_GOVERNANCE, CONFIG_LOCK_COMPLIANCE };

struct config_object_lock {
    enum config_lock_mode mode; /* NONE: the setting is absent */
    int64_t retain;
};

struct config_target {
    const char *name;
    enum config_target_type type;
    const char *path;         /* local: absolute */
    const char *jurisdiction; /* two capital letters, or NULL */
    /* s3; what is not set is NULL unless noted */
    enum config_provider provider;
    const char *region; /* "us-east-1" by default for the provider other, else never NULL */
    const char *bucket, *endpoint;
    const char *prefix; /* "" by default; never begins with a slash */
    const char *credentials_file, *profile;
    const char *ca_file; /* absolute */
    const char *storage_class;
    enum config_addressing addressing;
    enum config_sse sse;
    bool allow_insecure_http;
    int64_t connections;
    struct config_object_lock object_lock;
    unsigned line; /* where it stands in the file */
};

enum config_source_type { CONFIG_SOURCE_FILES, CONFIG_SOURCE_COMMAND, CONFIG_SOURCE_TAR };

struct config_source {
    enum config_source_type type;
    struct config_strings paths;   /* files: absolute, at least one */
    struct config_strings exclude; /* files, tar: patterns as in .gitignore */
    bool one_file_system;          /* files */
    bool exclude_caches;           /* files: skip what CACHEDIR.TAG marks */
    struct config_strings command; /* command; tar, unless archive is set */
    const char *archive;           /* tar: absolute path of the archive, or NULL */
    const char *filename;          /* command: the file's name in the snapshot; default: the job's name */
};

struct config_schedule {
    struct schedule_time daily, weekly, monthly, yearly; /* .set is false for a class that is not taken */
    const char *timezone;                                /* "Europe/Berlin", or NULL: the machine's own */
};

struct config_keep {
    int64_t daily, weekly, monthly, yearly; /* 0: not set, kept until they are forgotten */
    int64_t manual;                         /* -1: not set, likewise */
    int64_t within;                         /* 0: not set */
    int64_t min;
};

/* Commands to run: each a list of words. */
struct config_commands {
    struct config_strings *list;
    size_t count;
};

struct config_hooks {
    struct config_commands before, after, on_success, on_warning, on_failure;
    int64_t timeout; /* of each command */
};

enum config_notify_type {
    CONFIG_NOTIFY_WEBHOOK,
    CONFIG_NOTIFY_PING,
    CONFIG_NOTIFY_MAIL,
    CONFIG_NOTIFY_SYSLOG
};
/* Bits of config_notify.on. */
enum { CONFIG_ON_FAILURE = 1, CONFIG_ON_WARNING = 2, CONFIG_ON_RECOVERED = 4, CONFIG_ON_SUCCESS = 8 };

struct config_notify {
    enum config_notify_type type;
    unsigned on;
    int64_t timeout;
    /* webhook, ping: either url or url_file */
    const char *url, *url_file; /* url_file: absolute */
    const char *ca_file;        /* absolute, or NULL */
    bool allow_insecure_http;
    const char *start, *success, *warning, *failure; /* ping: what goes behind the address */
    struct config_strings to;                        /* mail */
    const char *from;                                /* mail; NULL: not set */
    struct config_strings command;                   /* mail; none: sendmail */
    int facility;                                    /* syslog: 0 daemon, 1 user, then local0 to local7 */
    unsigned line;
};

struct config_prune {
    int64_t max_removal; /* per cent of a job's snapshots; more expire at once only when forced */
};

struct config_job {
    const char *name;
    struct config_source source;
    struct config_schedule schedule;
    struct config_keep keep;
    struct config_hooks hooks;
    unsigned line;
};

enum config_ionice { CONFIG_IONICE_NONE, CONFIG_IONICE_BEST_EFFORT, CONFIG_IONICE_IDLE };

struct config_run {
    int64_t jitter;      /* at most so long a delay before a run that has something to do */
    int64_t max_runtime; /* for so long a run that is at work is well */
    int64_t lock_wait;   /* for so long a run waits for another command */
    int64_t nice;
    enum config_ionice ionice;
};

struct config_verify {
    int64_t sample; /* per cent of the packs that a run reads; 0: none */
    int64_t every;
};

struct config_metrics {
    const char *textfile; /* absolute, or NULL: none is written */
};

struct config {
    const char *path;
    struct bytes text; /* the whole file, as manifests carry it */
    struct config_repository repository;
    struct config_target *targets;
    size_t target_count; /* at least 1 */
    struct config_job *jobs;
    size_t job_count;          /* at least 1 */
    struct config_hooks hooks; /* of a run as a whole */
    struct config_notify *notify;
    size_t notify_count;
    struct config_run run;
    struct config_verify verify;
    struct config_metrics metrics;
    struct config_prune prune;
    struct arena arena;
};

/* Reads and checks a file. The caller frees *config with config_free. Errors: USAGE,
 * with "FILE:LINE: ..." in the message where it is about the text; DENIED where it may not be read. Nothing
 * the file names is touched, apart from the zone of a schedule being looked up. (libconfig has taken the name
 * config_read.) */
int config_load(const char *path, struct config **config, struct error *err);
/* Like config_load for text already at hand (a manifest's configuration); path serves messages and the
 * default name. */
int config_parse(const char *path, struct bytes text, struct config **config, struct error *err);
void config_free(struct config *config);

/* What -c names: path itself, or each *.conf of the folder path, sorted by name; at least one. The caller
 * frees the list with config_free_list. */
int config_list_directory(const char *path, char ***files, size_t *count, struct error *err);
void config_free_list(char **files, size_t count);

/* NULL if there is none of this name. */
const struct config_job *config_find_job(const struct config *config, const char *name);
const struct config_target *config_find_target(const struct config *config, const char *name);

/* The words of a command as a list that ends with NULL; the caller frees it. */
const char **config_argv(const struct config_strings *words);

#endif
