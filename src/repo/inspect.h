/*
 * Looking at single objects of a synced repository, for verify and heal.
 */
#ifndef REPO_INSPECT_H
#define REPO_INSPECT_H

#include "repo/repository.h"

struct inspect_object {
    const char *name;
    struct id sha256;
    uint32_t targets; /* that list it and are active */
    uint32_t hidden;  /* of them: only as an older version */
    uint64_t size;
    bool is_pack;
    uint64_t pack; /* number in the catalog; 0: no segment lists it */
    enum blob_kind kind;
};

typedef int inspect_callback(const struct inspect_object *object, void *context, struct error *err);
/* Every object but leases, on several threads. */
int inspect_each(struct repository *repository, inspect_callback *callback, void *context, struct error *err);
/* How many bytes that is on all targets, packs counted with `percent`. */
uint64_t inspect_bytes(struct repository *repository, double percent);

struct inspect_finding {
    bool older;    /* an older version on the target is good: only what covers it is wrong */
    bool repaired; /* a bad copy was replaced by a good one */
    uint64_t read; /* bytes */
};

/* Reads the object on one target: its hash, and for packs that its own table of contents says what the index
 * says. With repair, a bad copy is replaced by a good one, of another target or an older version; the code
 * still tells what was wrong. */
int inspect_check(struct repository *repository, const struct inspect_object *object, size_t target,
                  bool repair, struct inspect_finding *finding, struct error *err);

/* How many objects, leases apart, are hidden on an active target. */
size_t inspect_hidden(struct repository *repository);

/* Writers treat what these packs hold as absent from now on, so that the next backup stores anew what the
 * files still hold: for packs of which no good copy is left. Needs the role prune. */
int inspect_distrust(struct repository *repository, const uint64_t *packs, size_t count, struct error *err);

struct inspect_locks {
    int64_t ends; /* when the first lock of these ends, or that one of them is not locked now: Unix seconds by
                     the store's clock; 0: none is known */
    size_t asked; /* of how many the store was asked; of the others it is what this host noted */
    size_t unknown;
};
/* The locks of manifests on a target that answers. Those of which less than a quarter is left, by what is
 * known here, are asked about, a few at most. */
void inspect_locks(struct repository *repository, size_t target, const struct id *manifests, size_t count,
                   struct inspect_locks *locks);

/* Targets that hold a pack. */
uint32_t inspect_present(struct repository *repository, uint64_t pack);
/* Those on which a segment lists it: only where both are do others find it. By the number of the pack, for
 * each that blobs_locate names; allocated, the caller frees it. */
int inspect_listed(struct repository *repository, uint32_t **listed, struct error *err);

/* Which pack should hold a blob that `target` lacks; *pack is 0 if the index knows none. *unlisted: it is
 * there, and no segment there lists it. listed: see above. */
int inspect_blame(struct repository *repository, const uint32_t *listed, const struct id *blob, size_t target,
                  uint64_t *pack, bool *unlisted, struct error *err);
/* The name of a pack's object. *cut: the targets that list it in a size that it cannot have. */
int inspect_pack_name(struct repository *repository, uint64_t pack, char name[OBJECT_NAME_MAX], uint32_t *cut,
                      struct error *err);
/* Calls back with each segment in force that is not on a target where it would list a pack: unlisted, by its
 * number, targets where nothing lists it. Those that a segment explains are cleared from it. */
int inspect_unlisted(struct repository *repository, uint32_t *unlisted,
                     void (*callback)(void *context, const char *name, uint32_t targets), void *context,
                     struct error *err);

#endif
