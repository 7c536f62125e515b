/*
 * A repository: its keys, its targets, its index and its records, opened together. Used by ops only (and, for
 * opening, by cli's wire.c). Everything that is written goes to all active targets in commit order.
 */
#ifndef REPO_REPOSITORY_H
#define REPO_REPOSITORY_H

#include "base/limits.h"
#include "catalog/catalog.h"
#include "chunker/chunker.h"
#include "format/messages.h"
#include "format/seal.h"
#include "keys/host.h"
#include "keys/keyring.h"
#include "keys/person.h"
#include "replicas/replicas.h"

struct repository_parameters {
    struct storage
        *targets[TARGETS_MAX]; /* taken over, also on failure; NULL for a target that could not be opened */
    struct error target_errors[TARGETS_MAX]; /* why, for those that are NULL */
    const char *target_labels[TARGETS_MAX];
    int64_t retain[TARGETS_MAX]; /* seconds for which a target locks what it gets; 0: it does not */
    size_t target_count;
    unsigned min_targets;            /* at least 1 */
    const char *state_folder;        /* NULL: a temporary one that is removed at close */
    const char *command;             /* whom the lock names as its holder */
    struct lock *lock;               /* of the state folder, if the caller has it; NULL: it is taken */
    const char *host_key_file;       /* NULL on a machine that has none */
    const struct person_key *person; /* NULL: the host's secrets only */
    int compression;                 /* zstd level */
    int64_t lease_refresh, lease_recheck, lease_live, condemn_grace, checkpoint, stall; /* seconds */
    uint64_t meta_cache_bytes;
    size_t objects_max;       /* of which a target may consist; 0: as many as holdfast-s3(7) says */
    const volatile int *stop; /* not 0: work on the repository ends with CANCELLED soon; may be NULL */
    bool fill_empty;          /* heal: a target without a good config takes part and gets it */
    const char *new_target;   /* its name: it is filled also if it held the repository before; NULL: none */
};

enum repository_mode {
    REPOSITORY_READ, /* listings and restores: while another process holds the lock a private catalog is used
                      */
    REPOSITORY_WRITE /* exclusive on this machine: BUSY with the holder's name if another process works */
};

struct repository;

/* Reads config and keyrings of every target, verifies the chain from the root fingerprint, unlocks, opens the
 * catalog. Targets that fail are demoted with a warning; fails when fewer than one is left (READ) or
 * min_targets (WRITE). Then call repository_sync. */
int repository_open(const struct repository_parameters *parameters, enum repository_mode mode,
                    struct repository **repository, struct error *err);
/* Ends the lease if there is one, waits for writes, frees everything. */
void repository_close(struct repository *repository);

/* What the state folder remembers, where no target can be asked: snapshots_load and runs_load work, nothing
 * else does. *known gets when it was last brought up to date, Unix seconds, or 0. NOT_FOUND if it remembers
 * nothing; BUSY while another process works. The parameters name no targets. */
int repository_open_offline(const struct repository_parameters *parameters, struct repository **repository,
                            int64_t *known, struct error *err);

/* Finds the sealed person key that the passphrase opens, on any of the targets. DENIED if it opens none,
 * NOT_FOUND if there is none. */
int repository_open_person(struct storage *const *targets, size_t count, struct bytes passphrase,
                           struct person_key *person, struct error *err);

struct repository_init {
    const char *host_name, *person_name;
    const char
        *passphrase; /* NULL: the person's key goes to the new file person_key_file, not to the targets */
    const char *person_key_file;
    struct chunker_parameters chunker; /* zeros for the defaults */
    uint32_t pack_size;                /* zero for the default */
};

/* Creates the repository on every target (all must be reachable and hold no config), and the host key file
 * last. */
int repository_create(const struct repository_parameters *parameters, const struct repository_init *init,
                      struct error *err);

/* Adds a host: one new keyring version on every target; writes its key file. Needs a person with the role
 * admin. */
int repository_add_host(struct repository *repository, const char *name, enum role role,
                        const char *dedup_group, const char *key_file, struct error *err);

/* Lists all targets; brings the catalog up to date: segments, manifests, events, leases. Writers put their
 * lease before (lease.h). */
int repository_sync(struct repository *repository, struct error *err);
/* The same for the records alone, without the index: enough for snapshots_load and runs_load. */
int repository_sync_records(struct repository *repository, struct error *err);

/* Copies what live snapshots need and a target lacks from another target (ciphertext only), then its index
 * and records; a snapshot only to where all that it needs is. Targets for which that fails are demoted, and
 * those that are not up to date after so many seconds (0: no limit) left behind, as far as min_targets
 * allows. *copied counts bytes; with dry_run nothing is written. */
int repository_catch_up(struct repository *repository, bool dry_run, unsigned seconds, uint64_t *copied,
                        struct error *err);
/* Warns of each target on which locks of packs that are in use end before a quarter of `retain` is left: no
 * prune moves them on. What is known here decides whom to ask about, a few packs at most; only what the store
 * itself says is warned of, since another host may prune. */
void repository_warn_of_locks(struct repository *repository);
/* When the commits are done: takes targets that lagged or failed meanwhile back and tries, for a few hours,
 * to bring them up to date. Those that are still behind then are not active. Syncs if there are any. */
int repository_recover(struct repository *repository, struct error *err);

/* Who is told how many bytes of packs have been copied, of how many, by catching up and by prune, on any
 * thread. NULL for nobody. */
void repository_set_progress(struct repository *repository,
                             void (*progress)(void *context, uint64_t done, uint64_t total), void *context);

/* How many objects could not be read or verified during the last sync, each with a warning. */
unsigned repository_damage(const struct repository *repository);
/* How many of them because no target gave them out: they may be good. */
unsigned repository_outages(const struct repository *repository);
/* How many are damage only because catching up could not copy them: who reads all finds them again. */
unsigned repository_uncopied(const struct repository *repository);
/* How many objects of all targets were hidden by removals or other versions and have been made visible. */
size_t repository_revealed(const struct repository *repository);
/* INTEGRITY, which is what it means that something is nowhere; FAILED while there are outages. */
int repository_missing(const struct repository *repository);
/* The same for what is on no target that can be reached: FAILED also while one cannot be, which may hold it,
 * as long as nothing is known to be damaged. */
int repository_nowhere(const struct repository *repository);

/* The targets that were looked at, for a message: "target usb", "targets usb, nas (store was not asked)". The
 * caller frees it. */
char *repository_where(const struct repository *repository);

/* How many targets were left out because their config is not the one that the keyring signs. */
unsigned repository_damaged_targets(const struct repository *repository);

const struct repository_config *repository_config(const struct repository *repository);
const struct keyring *repository_keyring(const struct repository *repository);
const struct secrets *repository_secrets(const struct repository *repository);
struct replicas *repository_replicas(struct repository *repository);
struct catalog *repository_catalog(struct repository *repository);
const struct repository_parameters *repository_parameters(const struct repository *repository);
/* This host, or NULL without a host key. */
const struct host_key *repository_host(const struct repository *repository);
bool repository_may_prune(const struct repository *repository);
bool repository_can_read_contents(const struct repository *repository);
const struct chunker *repository_chunker(const struct repository *repository);
struct chunker_parameters repository_chunker_parameters(const struct repository *repository);
/* How many requests at the same time are worth while: those of the target that takes most. */
unsigned repository_requests(const struct repository *repository);
/* True if another process worked on it when this reader began, see lock_read_holder(). */
bool repository_is_held(const struct repository *repository);
/* By how many seconds the clock of a target is ahead of this machine's (negative: behind), as far as answers
 * have told: that of the active one that differs most among those that have a clock of their own. *target is
 * its number, or repository_parameters()->target_count if there is none. */
int64_t repository_clock_ahead(struct repository *repository, size_t *target);
/* Bit per target that takes part now. */
uint32_t repository_active_mask(const struct repository *repository);

struct repository_target {
    const char *label;
    bool active;
    const struct error *why; /* it is not; NULL if it is */
    uint64_t stored_bytes;   /* put there since it was opened */
    uint64_t objects, bytes; /* that it holds, by the last listing and what was written since */
    uint64_t hidden;         /* of them: removed or overwritten, and still there as older versions */
};
/* One target of `target_count`. */
void repository_describe_target(struct repository *repository, size_t target, struct repository_target *out);

#endif
