/*
 * The messages of the repository as plain structs, encoded to and decoded from Protocol Buffers
 * (format/proto, holdfast-format(5)). Used by everything of rank 2 and above. What a decoded message points
 * to lies in the arena given. Decoding checks every bound: sizes of ids and keys, counts, ranges, sorted
 * and unique names, lengths that add up; an unknown version, role, type or kind is refused.
 */
#ifndef FORMAT_MESSAGES_H
#define FORMAT_MESSAGES_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/node.h"

#define FORMAT_VERSION 0

/* The largest objects accepted, in bytes. */
#define FORMAT_CONFIG_MAX (64u << 10)
#define FORMAT_KEYRING_MAX (16u << 20)
#define FORMAT_SEGMENT_MAX (8u << 20)
#define FORMAT_RECORD_MAX (64u << 20) /* manifests, runs, events, leases */
#define FORMAT_PACK_MAX (512u << 20)

/* The first byte of sealed and signed types; also which kind of object it is. */
enum object_type {
    OBJECT_CONTENTS = 1, /* table of contents of a pack */
    OBJECT_INDEX = 2,
    OBJECT_MANIFEST = 3,
    OBJECT_RUN = 4,
    OBJECT_EVENT = 5,
    OBJECT_LEASE = 6,
    OBJECT_KEYRING = 16,
    OBJECT_CERTIFICATE = 18
};

enum blob_kind { BLOB_DATA = 1, BLOB_META = 2 };

struct id_list {
    struct id *list;
    size_t count;
};

/* ---- config ---- */

struct repository_config {
    uint32_t version;
    struct id16 repository;
    uint32_t chunk_min, chunk_average, chunk_max; /* bytes */
    uint32_t frame_group;                         /* bytes of plaintext of a group of small blobs */
    uint32_t pack_size;                           /* bytes; a pack that reaches it is closed */
    int64_t created;                              /* Unix seconds */
};

void config_encode(const struct repository_config *config, struct buffer *out);
int config_decode(struct bytes data, struct repository_config *config, struct error *err);

/* ---- signed envelope ---- */

struct signature {
    struct id16 signer;
    uint8_t signature[64];
};

struct signed_message {
    struct bytes body;
    struct signature *signatures;
    size_t signature_count; /* 1 or 2 */
};

void signed_encode(const struct signed_message *message, struct buffer *out);
int signed_decode(struct bytes data, struct arena *arena, struct signed_message *message, struct error *err);

/* ---- keyring ---- */

enum role { ROLE_NONE, ROLE_READER, ROLE_ADMIN, ROLE_WRITE, ROLE_PRUNE };

struct epoch {
    uint32_t number;
    uint16_t kem, kdf, aead;
    struct bytes public_key;
    int64_t created;
};

struct person {
    struct id16 id;
    const char *name;
    enum role role; /* reader or admin */
    struct bytes public_key;
    struct bytes enc, bundle;
    int64_t added;
};

struct host {
    struct id16 id;
    const char *name;
    enum role role; /* write or prune */
    struct bytes public_key;
    uint8_t signing_key[32];
    const char *dedup_group; /* "" for none */
    struct bytes enc, bundle;
    int64_t added;
    bool removed;
    uint64_t last_sequence;
    struct id last_manifest;
};

struct keyring {
    uint32_t version;
    bool has_previous;
    struct id previous;
    struct id16 repository;
    struct id config_sha256;
    uint8_t admin_key[32];
    struct epoch *epochs;
    size_t epoch_count; /* at least 1; ascending numbers */
    uint32_t metadata_generation, id_generation;
    struct person *persons;
    size_t person_count;
    struct host *hosts;
    size_t host_count;
    int64_t created;
};

void keyring_encode(const struct keyring *keyring, struct buffer *out);
int keyring_decode(struct bytes body, struct arena *arena, struct keyring *keyring, struct error *err);

struct numbered_secret {
    uint32_t number;
    uint8_t secret[32];
};

/* At most this many generations or epochs. */
#define SECRETS_MAX 256

struct secret_list {
    struct numbered_secret list[SECRETS_MAX];
    size_t count;
};

struct bundle {
    struct secret_list metadata, ids, recovery;
    bool has_admin_seed;
    uint8_t admin_seed[32];
};

void bundle_encode(const struct bundle *bundle, struct buffer *out);
int bundle_decode(struct bytes data, struct bundle *bundle, struct error *err);

/* ---- index ---- */

#define CODEC_RAW 0
#define CODEC_ZSTD 1

struct frame_entry {
    uint16_t slot;
    uint64_t counter;
    uint32_t offset, stored_length, raw_length; /* bytes; stored includes the tag of 16 bytes */
    uint8_t codec;
    uint32_t first_blob, blob_count; /* first_blob: its place in the pack's blobs, computed */
};

struct blob_entry {
    struct id id;
    uint32_t offset, length; /* in the raw frame */
};

struct contents {
    uint32_t slot_count;
    struct frame_entry *frames;
    size_t frame_count;
    struct blob_entry *blobs;
    size_t blob_count;
};

void contents_encode(const struct contents *contents, struct buffer *out);
int contents_decode(struct bytes data, struct arena *arena, struct contents *contents, struct error *err);

struct pack_entry {
    struct id sha256;
    uint64_t size;
    struct id16 author;
    uint32_t slots_length, contents_length;
    struct contents contents;
};

/* One serialised PackEntry (as the catalog keeps it). */
void pack_entry_encode(const struct pack_entry *entry, struct buffer *out);
int pack_entry_decode(struct bytes data, struct arena *arena, struct pack_entry *entry, struct error *err);

struct segment {
    struct id16 host;
    int64_t created;
    enum blob_kind kind;
    struct id_list supersedes;
    uint32_t part, parts;    /* 0 of 0 or 0 of 1 unless a replacement is cut into several */
    struct id16 replacement; /* zero if nothing is superseded */
    struct bytes *packs;     /* serialised PackEntry each: decode with pack_entry_decode */
    size_t pack_count;
};

void segment_encode(const struct segment *segment, struct buffer *out);
int segment_decode(struct bytes body, struct arena *arena, struct segment *segment, struct error *err);

/* ---- tree ---- */

/* Nodes must be sorted by name; encodes them all. */
void tree_encode(const struct node *nodes, size_t count, struct buffer *out);
/* Checks names (no '/', NUL, ".", "..", empty; sorted; unique), types, lengths. With root_names, names are
 * source paths and may hold '/'. At most max_nodes entries. */
int tree_decode(struct bytes data, bool root_names, struct arena *arena, struct node **nodes, size_t *count,
                struct error *err);
/* Why every reader refuses this node, wherever it stands; NULL if none does. */
const char *tree_node_refused(const struct node *node, bool root_names);

/* ---- records ---- */

struct keep_record {
    uint32_t daily, weekly, monthly, yearly, manual, minimum;
    bool manual_set;
    int64_t within; /* seconds */
};

struct statistics {
    uint64_t files, directories, others, bytes, files_new, bytes_new, bytes_stored, warnings, bytes_read;
    uint64_t sources_lost; /* that held something before, and are empty or gone */
};

struct seen {
    struct id16 host;
    uint64_t sequence;
};

#define CLASS_DAILY 1u
#define CLASS_WEEKLY 2u
#define CLASS_MONTHLY 4u
#define CLASS_YEARLY 8u
#define CLASS_MANUAL 16u

struct manifest {
    struct id16 host;
    const char *host_name, *job;
    uint32_t classes; /* CLASS_ bits; stored as names */
    int64_t started, ended;
    struct extents root;
    struct statistics statistics;
    struct bytes *sources;
    size_t source_count;
    const char *source_type;
    struct keep_record keep;
    struct bytes configuration;
    bool has_parent, has_previous_manifest, has_previous_run;
    struct id parent, previous_manifest, previous_run;
    const char *software;
    uint64_t sequence;
    uint32_t keyring_version;
    struct id keyring_sha256;
    struct id_list segments;
    struct seen *seen;
    size_t seen_count;
};

void manifest_encode(const struct manifest *manifest, struct buffer *out);
int manifest_decode(struct bytes body, struct arena *arena, struct manifest *manifest, struct error *err);

/* At most so many of each in a run; of targets TARGETS_MAX and some to spare. */
#define RUN_JOBS_MAX JOBS_MAX
#define RUN_WARNINGS_MAX 100
#define RUN_TARGETS_MAX (4 * TARGETS_MAX)
/* Bytes of a message or warning. */
#define RUN_TEXT_MAX 4096

struct run_job {
    const char *job;
    uint32_t classes;       /* CLASS_ bits */
    int64_t started, ended; /* 0: the run ended before it came to this job */
    uint32_t exit_status;
    const char *message; /* why it failed */
    bool has_snapshot;
    struct id snapshot;
    struct statistics statistics;
    const char **warnings;
    size_t warning_count;
};

struct run_prune {
    int64_t started, ended;
    uint32_t exit_status;
    const char *message;
    uint64_t expired, held, deleted_packs, deleted_bytes, delayed_packs, locked_objects;
};

struct run_verify {
    int64_t started, ended;
    uint32_t exit_status;
    const char *message;
    uint64_t objects, bytes, damaged;
    uint32_t first; /* which packs were read: by the first 32 bits of their SHA-256 */
    uint64_t span;
};

struct run_drill {
    int64_t started, ended;
    uint32_t exit_status;
    const char *message, *job;
    bool has_snapshot;
    struct id snapshot;
    uint64_t files, bytes;
};

struct run_target {
    const char *name;
    bool behind;
    const char *message;     /* why it is behind */
    uint64_t stored_bytes;   /* by this run */
    uint64_t objects, bytes; /* that it holds now */
};

struct run_record {
    struct id16 host;
    uint64_t sequence; /* 0 while it waits for a target that takes it */
    bool has_previous, interrupted;
    struct id previous;
    const char *command, *message, *software;
    int64_t started, ended;
    uint32_t exit_status;
    struct run_job *jobs;
    size_t job_count;
    struct run_prune *prune; /* NULL where none was due, like those that follow */
    struct run_verify *verify;
    struct run_drill *drill;
    struct run_target *targets;
    size_t target_count;
};

void run_encode(const struct run_record *run, struct buffer *out);
int run_decode(struct bytes body, struct arena *arena, struct run_record *run, struct error *err);

enum event_type {
    EVENT_NONE,
    EVENT_FORGET,
    EVENT_PIN,
    EVENT_UNPIN,
    EVENT_CONDEMN,
    EVENT_ACKNOWLEDGE,
    EVENT_BAD_FRAMES
};

struct frame_ref {
    struct id pack;
    uint32_t frame;
};

struct event {
    struct id16 host;
    enum event_type type;
    int64_t created;
    struct id_list snapshots, packs, events, runs;
    int64_t *checks; /* Unix seconds */
    size_t check_count;
    const char *reason;
    struct frame_ref *frames;
    size_t frame_count;
};

void event_encode(const struct event *event, struct buffer *out);
int event_decode(struct bytes body, struct arena *arena, struct event *event, struct error *err);

struct lease {
    struct id16 host, writer;
    int64_t started, refreshed;
    const char *purpose;
};

void lease_encode(const struct lease *lease, struct buffer *out);
int lease_decode(struct bytes body, struct arena *arena, struct lease *lease, struct error *err);

#endif
