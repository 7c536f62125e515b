/* The chain of keyrings, from the root fingerprint to the newest. */
#include "crypto/digest.h"
#include "keys/keyring.h"

#include <stdlib.h>
#include <string.h>

struct link {
    struct arena arena;
    struct signed_message message;
    struct keyring keyring;
    struct id sha256;
    char name[OBJECT_NAME_MAX];
    bool readable;
    bool used;
};

static void read_link(struct link *link, const struct keyring_candidate *candidate,
                      const struct id16 *repository, struct keyring_chain *chain)
{
    struct error why;
    sha256(candidate->object, &link->sha256);
    object_name_keyring(candidate->version, &link->sha256, link->name);
    int code = signed_decode(candidate->object, &link->arena, &link->message, &why);
    if (code == 0)
        code = keyring_decode(link->message.body, &link->arena, &link->keyring, &why);
    if (code == 0 && link->keyring.version != candidate->version)
        code = error_set(&why, ERROR_INTEGRITY, "it says that it is version %u", link->keyring.version);
    if (code == 0 && !id16_equal(&link->keyring.repository, repository))
        code = error_set(&why, ERROR_INTEGRITY, "it belongs to another repository");
    link->readable = code == 0;
    if (code != 0 && chain->ignored++ == 0) {
        error_prefix(&why, "%s", link->name);
        chain->warning = why;
    }
}

static bool signed_by(const struct link *link, const uint8_t admin_key[32])
{
    struct id16 signer;
    admin_signer(admin_key, &signer);
    for (size_t i = 0; i < link->message.signature_count; i++) {
        const struct signature *s = &link->message.signatures[i];
        if (id16_equal(&s->signer, &signer) &&
            verify_body(&link->keyring.repository, OBJECT_KEYRING, s, admin_key, link->message.body))
            return true;
    }
    return false;
}

/* True if link is what may come behind previous (NULL: what may be first). */
static bool follows(const struct link *link, const struct link *previous, const struct id *root)
{
    if (!link->readable || !signed_by(link, link->keyring.admin_key))
        return false;
    if (!previous) {
        struct id own;
        root_fingerprint(&link->keyring.repository, link->keyring.admin_key, &own);
        return link->keyring.version == 1 && id_equal(&own, root);
    }
    return link->keyring.version == previous->keyring.version + 1 && link->keyring.has_previous &&
           id_equal(&link->keyring.previous, &previous->sha256) &&
           signed_by(link, previous->keyring.admin_key);
}

/* Every link that may follow; more than one is a fork. */
static int find_next(struct link *links, size_t count, const struct link *previous, const struct id *root,
                     struct link **next, struct error *err)
{
    *next = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!follows(&links[i], previous, root))
            continue;
        if (*next && !id_equal(&(*next)->sha256, &links[i].sha256)) {
            error_set(err, ERROR_INTEGRITY, "the keyring forks: %s and %s are both signed", (*next)->name,
                      links[i].name);
            return error_hint(
                err, "somebody showed different targets different keyrings: do not write to this repository "
                     "before it is known who");
        }
        *next = &links[i];
    }
    return 0;
}

/* A keyring that an admin of this chain signed, but that the walk did not reach, means that one between is
 * missing. */
static int check_left_over(struct link *links, size_t count, const struct link *newest,
                           struct keyring_chain *chain, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct link *link = &links[i];
        if (!link->readable || link->used)
            continue;
        if (link->keyring.version > newest->keyring.version + 1 &&
            signed_by(link, newest->keyring.admin_key)) {
            error_set(err, ERROR_INTEGRITY, "%s is there, but version %u before it is missing", link->name,
                      newest->keyring.version + 1);
            return error_hint(err, "restore the object from another target: holdfast heal");
        }
        if (chain->ignored++ == 0)
            error_set(&chain->warning, ERROR_INTEGRITY, "%s: nobody who may has signed it", link->name);
    }
    return 0;
}

static int check_pin(const struct link *link, const struct keyring_pin *pin, struct error *err)
{
    if (!pin || link->keyring.version != pin->version || id_equal(&link->sha256, &pin->sha256))
        return 0;
    error_set(err, ERROR_INTEGRITY, "%s is not the keyring of version %u that this host has seen before",
              link->name, pin->version);
    return error_hint(
        err, "the keyring was forked: do not write to this repository before it is known who did that");
}

static void note_members(const struct link *links, size_t count, struct keyring_chain *chain)
{
    struct id_list *members = &chain->members;
    members->list = arena_alloc_array(&chain->arena, count, sizeof *members->list);
    for (size_t i = 0; i < count; i++) {
        if (links[i].used)
            members->list[members->count++] = links[i].sha256;
    }
}

static int walk(struct link *links, size_t count, const struct id *root, const struct keyring_pin *pin,
                struct keyring_chain *chain, struct error *err)
{
    struct link *newest = NULL, *next;
    int code;
    while ((code = find_next(links, count, newest, root, &next, err)) == 0 && next) {
        for (size_t i = 0; i < count; i++)
            links[i].used |= id_equal(&links[i].sha256, &next->sha256);
        newest = next;
        code = check_pin(newest, pin, err);
        if (code != 0)
            return code;
    }
    if (code != 0)
        return code;
    if (!newest) {
        error_set(err, ERROR_INTEGRITY, "no keyring under keys/ begins the chain that this key trusts");
        return error_hint(err,
                          "the keys belong to another repository, or keys/1-... was removed or replaced");
    }
    if (pin && newest->keyring.version < pin->version) {
        error_set(err, ERROR_INTEGRITY, "the newest keyring is version %u, but this host has seen version %u",
                  newest->keyring.version, pin->version);
        return error_hint(
            err, "the target shows an older state: it was rolled back, or restored from an old copy");
    }
    code = check_left_over(links, count, newest, chain, err);
    if (code == 0) {
        chain->keyring = newest->keyring;
        chain->sha256 = newest->sha256;
        chain->root = *root;
        chain->arena = newest->arena;
        newest->arena = (struct arena){0};
        note_members(links, count, chain);
    }
    return code;
}

bool keyring_chain_has(const struct keyring_chain *chain, const struct id *object)
{
    for (size_t i = 0; i < chain->members.count; i++) {
        if (id_equal(&chain->members.list[i], object))
            return true;
    }
    return false;
}

int keyring_chain_verify(const struct keyring_candidate *candidates, size_t count,
                         const struct id16 *repository, const struct id *root, const struct keyring_pin *pin,
                         struct keyring_chain *chain, struct error *err)
{
    memset(chain, 0, sizeof *chain);
    if (count == 0) {
        error_set(err, ERROR_NOT_FOUND, "no keyring under keys/");
        return error_hint(err, "check the target's address; holdfast init makes a new repository");
    }
    struct link *links = calloc(count, sizeof *links);
    if (!links)
        return error_set(err, ERROR_FAILED, "out of memory");
    for (size_t i = 0; i < count; i++)
        read_link(&links[i], &candidates[i], repository, chain);
    int code = walk(links, count, root, pin, chain, err);
    for (size_t i = 0; i < count; i++)
        arena_free(&links[i].arena);
    free(links);
    return code;
}

void keyring_chain_free(struct keyring_chain *chain)
{
    arena_free(&chain->arena);
    memset(chain, 0, sizeof *chain);
}
