/*
 * What the files of repo share. Nobody outside this folder includes it.
 */
#ifndef REPO_INTERNAL_H
#define REPO_INTERNAL_H

#include "base/id_map.h"
#include "crypto/digest.h"
#include "repo/blobs.h"
#include "repo/repository.h"

#include <pthread.h>

/* One object name, wherever it lies. */
struct object_seen {
    struct id sha256;
    uint8_t folder;     /* enum object_folder */
    bool damaged;       /* could not be read or verified on any target */
    uint32_t mask;      /* targets that list it */
    uint32_t hidden;    /* of them: only as an older version */
    int64_t time;       /* in its name */
    int64_t store_time; /* the latest at which a target took it */
    int64_t arrival;    /* the earliest at a target with independent time; 0 if there is none */
    uint64_t size;      /* as listed; 0 if targets disagree */
    uint32_t version;   /* keyrings */
    struct id16 person; /* person keys */
};

/* So that the entry of a pack always fits an index segment, and takes little memory while it is made. */
#define PACK_BLOBS_MAX 20000u

#define PACK_CURRENT 1u   /* listed by a segment that is not obsolete, or pending */
#define PACK_CONDEMNED 2u /* about to be deleted: its blobs count as absent */
#define PACK_FOREIGN 4u   /* its author is not in our dedup group */

struct pack_state {
    uint64_t first_blob;
    uint32_t blob_count;
    uint32_t present; /* bit per target */
    uint32_t hidden;  /* of them: only as an older version, which readers find and rules may remove */
    uint16_t author;  /* who wrote it: a place in the keyring's hosts, or their number for somebody else */
    uint8_t kind;
    uint8_t flags;
    bool known; /* the number is in use */
};

struct segment_state {
    struct id sha256;
    struct id16 host, replacement;
    uint8_t kind;
    uint32_t part, parts;
    int64_t created;
    struct id_list supersedes; /* in the repository's segment arena */
    uint32_t mask;             /* targets that list it */
    bool obsolete;             /* a complete replacement exists */
    uint32_t replaced_on;      /* targets that hold the complete replacement */
};

#define SLOTS_KEPT 32
struct kept_slots {
    struct id pack;
    struct buffer area; /* empty: free */
};

struct entry_cache;
struct segment_write;
struct frame_cache;

struct repository {
    struct repository_parameters parameters;
    enum repository_mode mode;
    char *state_folder;
    bool temporary_state;
    struct lock *lock; /* its own; NULL if the caller has it, or nobody */
    bool held;         /* another process has the lock: this reader works beside it */
    bool offline;      /* nothing but the catalog's records */

    struct host_key host_key;
    bool has_host;
    struct secrets secrets;
    struct repository_config config;
    struct buffer config_bytes;
    uint32_t lacks_config;    /* targets that catching up gives it */
    uint32_t empty_targets;   /* of those: they have not the newest keyring either */
    unsigned damaged_targets; /* left out because their config is not the one that the keyring signs */
    struct keyring_chain chain;
    struct replicas *replicas;
    struct catalog *catalog;
    struct chunker *chunker;

    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;

    struct object_seen *objects; /* sorted by folder and sha256 */
    size_t object_count;
    unsigned damage;   /* objects that could not be read */
    unsigned outages;  /* of them: because no target gave them out */
    unsigned uncopied; /* of the damage: objects that catching up could not copy */
    size_t revealed;   /* objects that were hidden, by this session */

    pthread_mutex_t index_lock; /* the fields below */
    struct pack_state *packs;   /* by number */
    size_t pack_capacity;
    uint64_t *pack_order; /* numbers in the order of first_blob */
    size_t pack_order_count, pack_order_capacity;
    uint64_t *sparse; /* condemned frames: pack number << 32 | frame, sorted */
    size_t sparse_count;
    struct entry_cache *entries;
    struct frame_cache *frames;
    struct kept_slots slots[SLOTS_KEPT]; /* of the packs opened last */
    size_t slots_next;

    struct arena segment_arena;
    struct segment_state *segments;
    size_t segment_count;
    struct segment_write *segment_writes;
    size_t segment_write_count;

    pthread_mutex_t lease_lock;       /* lease_keep */
    char lease_name[OBJECT_NAME_MAX]; /* empty: none */
    struct id16 writer;
    int64_t lease_started, lease_refreshed;
    bool lease_lapsed;
    char lease_purpose[16];
};

/* For functions in which `sha256` names a value. */
static inline void sha256_of(struct bytes data, struct id *out)
{
    sha256(data, out);
}

/* CANCELLED once the work is to stop. Cheap. */
int repository_stopped(const struct repository *r, struct error *err);

void repository_show_progress(const struct repository *r, uint64_t done, uint64_t total);

/* For the rest of the session, with a warning that says why. */
void target_leave_out(struct repository *r, size_t target, const struct error *why);

/* When the targets were last listed with success, Unix seconds; 0: not known. */
int64_t sync_time(struct repository *r);

/* ---- listing (listing.c) ---- */

int listing_load(struct repository *r, struct error *err);
/* The records that the catalog remembers, as if they were listed, on no target. */
int listing_of_catalog(struct repository *r, struct error *err);
void listing_free(struct repository *r);
struct object_seen *listing_find(struct repository *r, enum object_folder folder, const struct id *sha256);
/* How many objects a target has, leases apart, that are hidden. */
size_t listing_hidden(const struct repository *r, size_t target);
/* First and one past the last object of a folder. */
void listing_range(struct repository *r, enum object_folder folder, size_t *first, size_t *end);
/* Notes that an object was put on (or removed from, with mask cleared) targets during this session. */
void listing_add(struct repository *r, const char *name, uint32_t mask, uint64_t size);
void object_seen_name(const struct object_seen *object, char name[OBJECT_NAME_MAX]);

/* False, with a warning, for what somebody put on a target: it must not spread. Segments were checked when
 * they were read, and packs are named by them. */
bool object_belongs(struct repository *r, struct object_seen *object);

/* ---- hidden objects (reveal.c) ---- */

/* Makes visible what is hidden on the active targets: takes the removals away where that does and these keys
 * may, else stores it again. What stays hidden at the deadline (CLOCK_MONOTONIC; 0: none), or may not be
 * stored, is warned of. For who has a lease. CANCELLED. */
int reveal_hidden(struct repository *r, time_t deadline, struct error *err);

/* ---- targets that were filled before (filled.c) ---- */

/* Notes in the catalog that the active targets hold the repository. */
int filled_note(struct repository *r, struct error *err);
/* Leaves out the empty targets that held the repository before, or may have, for all that is known here,
 * unless one is said to be new. Before anything is written. */
int filled_check(struct repository *r, struct error *err);

/* ---- a new target (create.c) ---- */

/* USAGE unless locks are possible where they are asked for, and objects free to go where nothing is asked:
 * keys, leases and events are replaced and removed. */
int target_check_lock(struct storage *storage, int64_t retain, struct error *err);

/* ---- records (record.c) ---- */

/* Signs with the host key and seals: the object, appended. FAILED for what readers would refuse. */
int record_seal(struct repository *r, enum object_type type, struct bytes body, struct id *sha256,
                struct buffer *object, struct error *err);
/* Puts it on the active targets and waits until it is durable; takes the bytes of *object. */
int record_put(struct repository *r, const char *name, struct buffer *object, struct error *err);
/* Seals it and queues it for the active targets behind what is queued there already.
 */
int record_queue(struct repository *r, enum object_type type, const char *prefix, int64_t time,
                 struct bytes body, struct id *sha256, size_t *size, struct error *err);
/* The same, and waits until it is durable. */
int record_write(struct repository *r, enum object_type type, const char *prefix, int64_t time,
                 struct bytes body, struct id *sha256, struct error *err);
/* Reads an object from the first target whose copy has the hash in its name. */
int object_fetch(struct repository *r, const struct object_seen *object, size_t max, struct buffer *out,
                 struct error *err);
/* object_fetch, unseals, verifies a host's signature. body is appended. */
int record_fetch(struct repository *r, enum object_type type, const struct object_seen *object,
                 struct buffer *body, struct id16 *signer, struct error *err);
/* The record's body from the catalog, else fetched, checked by `check` and kept. */
int record_load(struct repository *r, enum object_type type, struct object_seen *object, struct buffer *body,
                struct error *err);

/* Fetches records of some folders (bit per enum object_folder) that the catalog lacks, several at a time
 * where that is worth while. */
void records_prefetch(struct repository *r, unsigned folders);
/* This host's newest run; false if there is none. */
bool run_newest(struct repository *r, struct id *sha256);

/* When this state folder first saw a manifest, Unix seconds; 0 if that is not known. */
int64_t manifest_first_seen(struct repository *r, const struct id *sha256);
/* Notes that it is now; the first time counts. */
int manifest_note_seen(struct repository *r, const struct id *sha256, struct error *err);
void manifest_forget_seen(struct repository *r, const struct id *sha256);

/* Where this state folder left one of this host's chains, by its key in the catalog, should that be further
 * on than the end that was found. */
void chain_end(struct repository *r, const char *key, uint64_t *sequence, struct id *sha256);
int chain_note_end(struct repository *r, const char *key, uint64_t sequence, const struct id *sha256,
                   struct error *err);

/* Warns that `what` cannot be used, with the error's hint. */
void record_warn(const char *what, const struct error *why);
/* Counts an object that could not be read. */
void record_damage(struct repository *r, int code);
/* An object under keys/ must be one of the chain's keyrings, or the key of a person that the newest lists. */
int key_object_check(struct repository *r, const struct object_seen *object, struct error *err);

/* ---- index (index.c) ---- */

int index_load(struct repository *r, struct error *err);
void index_free(struct repository *r);
/* Makes the state of a pack that was just added to the catalog known. */
void index_add_pack(struct repository *r, const struct catalog_pack *pack, uint32_t present, uint8_t flags);
/* The targets on which a writer may rely on a pack. */
static inline uint32_t pack_relied_on(const struct pack_state *pack)
{
    return pack->present & ~pack->hidden;
}
/* Adds a pack to the catalog by its entry, also as it is serialised; see catalog_add_pack(). */
int index_note_pack(struct repository *r, enum blob_kind kind, const struct pack_entry *entry,
                    struct bytes serialised, bool pending, uint64_t *number, struct error *err);
/* True in *found if a usable copy is on every target of mask. Takes the lock. */
int index_knows(struct repository *r, const struct id *id, uint32_t mask, bool *found, struct error *err);
/* One copy of a blob by its number. */
struct index_copy {
    uint64_t blob, pack;
    uint32_t frame;
};
struct index_copies {
    struct index_copy *list; /* the caller's to free */
    size_t count, capacity;
};
/* Every copy the index knows, present anywhere or not, takes the place of what is in copies. Takes the lock.
 */
int index_copies(struct repository *r, const struct id *id, struct index_copies *copies, struct error *err);
/* The targets, a bit each, that hold a segment which lists a pack, by its number, pack_capacity of them. */
int index_listed(struct repository *r, uint32_t *listed, struct error *err);
/* Likewise those that hold the pack as well. It is there only where both are: another host finds no more. */
int index_held(struct repository *r, uint32_t *held, struct error *err);
/* The pack of a blob number, 0 if none. The lock is held. */
uint64_t index_pack_of_blob(const struct repository *r, uint64_t blob);
uint32_t contents_frame_of_blob(const struct contents *contents, uint32_t blob);
bool index_is_sparse(const struct repository *r, uint64_t pack, uint32_t frame);

/* ---- segments (segments.c) ---- */

/* Fetches those that the catalog lacks. */
int segments_read_new(struct repository *r, struct error *err);
/* From the catalog; forgets those that no target lists. */
int segments_load(struct repository *r, struct error *err);
struct segment_state *segment_find(struct repository *r, const struct id *id);
/* Works out which segments are replaced, after segments or masks changed. */
void segments_find_obsolete(struct repository *r);
/* Calls back with each known pack that each segment lists, segment by segment: of all of them, or only of
 * those that are in force. */
int segments_each_pack(struct repository *r, bool obsolete,
                       void (*callback)(void *context, const struct segment_state *segment, uint64_t pack),
                       void *context, struct error *err);
/* Queues segments for packs (numbers) of one kind, superseding others (may be NULL), behind what is queued
 * already: the packs among it. */
int segments_queue(struct repository *r, enum blob_kind kind, const uint64_t *packs, size_t count,
                   const struct id_list *supersedes, struct error *err);
/* Waits until what was queued is durable, and then lets the catalog know. */
int segments_settle(struct repository *r, struct error *err);
/* Forgets what was queued: the next session reads it from the targets. */
void segments_drop_writes(struct repository *r);

/* ---- events (event.c) ---- */

/* Every event that verifies, in the order of their hashes; those that do not are warned of and counted as
 * damage. */
int events_each(struct repository *r,
                int (*callback)(struct repository *r, const struct object_seen *object,
                                const struct event *event, void *context, struct error *err),
                void *context, struct error *err);
/* Fills in host and time, writes it to the active targets. */
int event_write(struct repository *r, struct event *event, struct error *err);
/* Applies condemn events to the index. */
int events_apply(struct repository *r, struct error *err);

/* ---- closures (closure.c) ---- */

/* One copy, on another target, of a blob that is lacking. */
typedef void closure_lack(void *context, const struct blob_location *copy);
struct closure;
/* To look whether `target` holds snapshots; has: the targets, a bit each, that have a pack, by its number. It
 * and context stay valid as long as the closure. */
struct closure *closure_new(struct repository *r, size_t target, const uint32_t *has, closure_lack *lack,
                            void *context);
void closure_free(struct closure *c);
/* True if the target has every blob that the snapshot needs; false as well if its trees cannot be read.
 * Without `lack`, ends with the first that is lacking; what an earlier call has seen is not looked at again.
 */
bool closure_holds(struct closure *c, struct object_seen *manifest);

/* ---- caches (blobs.c, pack_reader.c) ---- */

struct frame_cache *frame_cache_new(const struct secrets *secrets);
void frame_cache_free(struct frame_cache *cache);
/* Appends a whole meta pack that the state folder keeps; false if it keeps none, or none that is good. */
bool meta_cache_read(struct repository *r, const struct id *sha256, struct buffer *out);
/* Keeps a meta pack in the state folder. Errors are ignored: it is a cache. */
void meta_cache_put(struct repository *r, const struct id *sha256, struct bytes pack);
void slots_forget(struct repository *r);

#endif
