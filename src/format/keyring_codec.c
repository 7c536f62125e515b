/* config, the signed envelope, keyrings and bundles. */
#include "common.pb-c.h"
#include "format/codec.h"
#include "keyring.pb-c.h"

#include <string.h>

#define KEYS_MAX 4096 /* persons, hosts, epochs each */
#define WRAPPED_MAX (64u << 10)

void config_encode(const struct repository_config *config, struct buffer *out)
{
    Holdfast__Config message = HOLDFAST__CONFIG__INIT;
    message.version = config->version;
    message.repository_id = CODEC_BINARY(config->repository.b);
    message.chunk_min = config->chunk_min;
    message.chunk_average = config->chunk_average;
    message.chunk_max = config->chunk_max;
    message.frame_group = config->frame_group;
    message.pack_size = config->pack_size;
    message.created = config->created;
    codec_pack(&message.base, out);
}

int config_decode(struct bytes data, struct repository_config *config, struct error *err)
{
    struct arena arena = {0};
    Holdfast__Config *m = codec_unpack(&holdfast__config__descriptor, data, FORMAT_CONFIG_MAX, &arena, err);
    int code = m ? 0 : ERROR_INTEGRITY;
    if (!m) {
        code = err ? err->code : ERROR_INTEGRITY;
    } else if (m->version > FORMAT_VERSION) {
        error_set(err, ERROR_UNSUPPORTED, "the repository has format version %u, this holdfast knows %u",
                  m->version, FORMAT_VERSION);
        error_hint(err, "use a newer version of holdfast");
        code = ERROR_UNSUPPORTED;
    } else {
        *config = (struct repository_config){.version = m->version,
                                             .chunk_min = m->chunk_min,
                                             .chunk_average = m->chunk_average,
                                             .chunk_max = m->chunk_max,
                                             .frame_group = m->frame_group,
                                             .pack_size = m->pack_size,
                                             .created = m->created};
        if (!codec_fixed(m->repository_id, config->repository.b, 16))
            code = codec_malformed(err, "config", "its repository id has not 16 bytes");
        else if (m->frame_group < 4096 || m->frame_group > 16u << 20 || m->pack_size < PACK_SIZE_MIN ||
                 m->pack_size > PACK_SIZE_MAX)
            code = codec_malformed(err, "config", "a size is out of range");
    }
    arena_free(&arena);
    return code;
}

void signed_encode(const struct signed_message *message, struct buffer *out)
{
    Holdfast__Signed m = HOLDFAST__SIGNED__INIT;
    Holdfast__Signature list[2];
    Holdfast__Signature *pointers[2] = {&list[0], &list[1]};
    m.body = codec_binary(message->body);
    m.n_signatures = message->signature_count;
    m.signatures = pointers;
    for (size_t i = 0; i < message->signature_count && i < 2; i++) {
        holdfast__signature__init(&list[i]);
        list[i].signer = CODEC_BINARY(message->signatures[i].signer.b);
        list[i].signature = CODEC_BINARY(message->signatures[i].signature);
    }
    codec_pack(&m.base, out);
}

int signed_decode(struct bytes data, struct arena *arena, struct signed_message *message, struct error *err)
{
    Holdfast__Signed *m = codec_unpack(&holdfast__signed__descriptor, data, FORMAT_RECORD_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    if (m->n_signatures < 1 || m->n_signatures > 2)
        return codec_malformed(err, "a signed object", "it has no signature, or more than two");
    message->body = codec_bytes(m->body);
    message->signature_count = m->n_signatures;
    message->signatures = arena_alloc_array(arena, m->n_signatures, sizeof *message->signatures);
    for (size_t i = 0; i < m->n_signatures; i++) {
        if (!codec_fixed(m->signatures[i]->signer, message->signatures[i].signer.b, 16) ||
            !codec_fixed(m->signatures[i]->signature, message->signatures[i].signature, 64))
            return codec_malformed(err, "a signed object", "a signature has not the right size");
    }
    return 0;
}

/* ---- keyring ---- */

static Holdfast__Epoch **epoch_list(const struct keyring *k, struct arena *arena)
{
    Holdfast__Epoch **list = arena_alloc_array(arena, k->epoch_count, sizeof *list);
    for (size_t i = 0; i < k->epoch_count; i++) {
        const struct epoch *from = &k->epochs[i];
        Holdfast__Epoch *to = list[i] = arena_new(arena, Holdfast__Epoch);
        holdfast__epoch__init(to);
        to->number = from->number;
        to->kem = from->kem;
        to->kdf = from->kdf;
        to->aead = from->aead;
        to->public_key = codec_binary(from->public_key);
        to->created = from->created;
    }
    return list;
}

static Holdfast__Person **person_list(const struct keyring *k, struct arena *arena)
{
    Holdfast__Person **list = arena_alloc_array(arena, k->person_count, sizeof *list);
    for (size_t i = 0; i < k->person_count; i++) {
        const struct person *from = &k->persons[i];
        Holdfast__Person *to = list[i] = arena_new(arena, Holdfast__Person);
        holdfast__person__init(to);
        to->id = CODEC_BINARY(from->id.b);
        to->name = (char *)(uintptr_t)from->name;
        to->role = (Holdfast__Role)from->role;
        to->public_key = codec_binary(from->public_key);
        to->enc = codec_binary(from->enc);
        to->bundle = codec_binary(from->bundle);
        to->added = from->added;
    }
    return list;
}

static Holdfast__Host **host_list(const struct keyring *k, struct arena *arena)
{
    Holdfast__Host **list = arena_alloc_array(arena, k->host_count, sizeof *list);
    for (size_t i = 0; i < k->host_count; i++) {
        const struct host *from = &k->hosts[i];
        Holdfast__Host *to = list[i] = arena_new(arena, Holdfast__Host);
        holdfast__host__init(to);
        to->id = CODEC_BINARY(from->id.b);
        to->name = (char *)(uintptr_t)from->name;
        to->role = (Holdfast__Role)from->role;
        to->public_key = codec_binary(from->public_key);
        to->signing_key = CODEC_BINARY(from->signing_key);
        to->dedup_group = (char *)(uintptr_t)from->dedup_group;
        to->enc = codec_binary(from->enc);
        to->bundle = codec_binary(from->bundle);
        to->added = from->added;
        to->removed = from->removed;
        to->last_sequence = from->last_sequence;
        if (from->last_sequence)
            to->last_manifest = CODEC_BINARY(from->last_manifest.b);
    }
    return list;
}

void keyring_encode(const struct keyring *k, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Keyring m = HOLDFAST__KEYRING__INIT;
    m.version = k->version;
    if (k->has_previous)
        m.previous = CODEC_BINARY(k->previous.b);
    m.repository_id = CODEC_BINARY(k->repository.b);
    m.config_sha256 = CODEC_BINARY(k->config_sha256.b);
    m.admin_key = CODEC_BINARY(k->admin_key);
    m.n_epochs = k->epoch_count;
    m.epochs = epoch_list(k, &arena);
    m.metadata_generation = k->metadata_generation;
    m.id_generation = k->id_generation;
    m.n_persons = k->person_count;
    m.persons = person_list(k, &arena);
    m.n_hosts = k->host_count;
    m.hosts = host_list(k, &arena);
    m.created = k->created;
    codec_pack(&m.base, out);
    arena_free(&arena);
}

static bool wrapped_is_valid(struct bytes public_key, struct bytes enc, struct bytes bundle)
{
    return public_key.size == 32 && enc.size <= 4096 && bundle.size <= WRAPPED_MAX;
}

static const char *read_epochs(const Holdfast__Keyring *m, struct arena *arena, struct keyring *k)
{
    if (m->n_epochs < 1 || m->n_epochs > SECRETS_MAX)
        return "it has no epoch, or too many";
    k->epoch_count = m->n_epochs;
    k->epochs = arena_alloc_array(arena, m->n_epochs, sizeof *k->epochs);
    for (size_t i = 0; i < m->n_epochs; i++) {
        const Holdfast__Epoch *from = m->epochs[i];
        if (from->kem > 65535 || from->kdf > 65535 || from->aead > 65535 || from->public_key.len > 4096)
            return "an epoch's suite or key is out of range";
        k->epochs[i] = (struct epoch){.number = from->number,
                                      .kem = (uint16_t)from->kem,
                                      .kdf = (uint16_t)from->kdf,
                                      .aead = (uint16_t)from->aead,
                                      .public_key = codec_bytes(from->public_key),
                                      .created = from->created};
        if (i ? k->epochs[i].number <= k->epochs[i - 1].number : k->epochs[i].number == 0)
            return "epochs are not in ascending order";
    }
    return NULL;
}

static const char *read_persons(const Holdfast__Keyring *m, struct arena *arena, struct keyring *k)
{
    if (m->n_persons > KEYS_MAX)
        return "it has too many persons";
    k->person_count = m->n_persons;
    k->persons = arena_alloc_array(arena, m->n_persons, sizeof *k->persons);
    for (size_t i = 0; i < m->n_persons; i++) {
        const Holdfast__Person *from = m->persons[i];
        struct person *to = &k->persons[i];
        *to = (struct person){.name = from->name,
                              .role = (enum role)from->role,
                              .public_key = codec_bytes(from->public_key),
                              .enc = codec_bytes(from->enc),
                              .bundle = codec_bytes(from->bundle),
                              .added = from->added};
        if (!codec_fixed(from->id, to->id.b, 16) || !codec_text(from->name, CODEC_NAME_MAX) ||
            !wrapped_is_valid(to->public_key, to->enc, to->bundle))
            return "a person's entry is out of bounds";
        if (to->role != ROLE_READER && to->role != ROLE_ADMIN)
            return "a person has no role that persons have";
        for (size_t j = 0; j < i; j++) {
            if (id16_equal(&k->persons[j].id, &to->id))
                return "a person is listed twice";
        }
    }
    return NULL;
}

static const char *read_hosts(const Holdfast__Keyring *m, struct arena *arena, struct keyring *k)
{
    if (m->n_hosts > KEYS_MAX)
        return "it has too many hosts";
    k->host_count = m->n_hosts;
    k->hosts = arena_alloc_array(arena, m->n_hosts, sizeof *k->hosts);
    for (size_t i = 0; i < m->n_hosts; i++) {
        const Holdfast__Host *from = m->hosts[i];
        struct host *to = &k->hosts[i];
        *to = (struct host){.name = from->name,
                            .role = (enum role)from->role,
                            .dedup_group = from->dedup_group,
                            .public_key = codec_bytes(from->public_key),
                            .enc = codec_bytes(from->enc),
                            .bundle = codec_bytes(from->bundle),
                            .added = from->added,
                            .removed = from->removed,
                            .last_sequence = from->last_sequence};
        if (!codec_fixed(from->id, to->id.b, 16) || !codec_fixed(from->signing_key, to->signing_key, 32) ||
            !codec_text(from->name, CODEC_NAME_MAX) || !codec_text(from->dedup_group, CODEC_NAME_MAX) ||
            !wrapped_is_valid(to->public_key, to->enc, to->bundle))
            return "a host's entry is out of bounds";
        if (to->last_sequence ? !codec_fixed(from->last_manifest, to->last_manifest.b, 32)
                              : from->last_manifest.len)
            return "a removed host's last manifest is malformed";
        if (to->role != ROLE_WRITE && to->role != ROLE_PRUNE)
            return "a host has no role that hosts have";
        for (size_t j = 0; j < i; j++) {
            if (id16_equal(&k->hosts[j].id, &to->id))
                return "a host is listed twice";
        }
    }
    return NULL;
}

int keyring_decode(struct bytes body, struct arena *arena, struct keyring *k, struct error *err)
{
    Holdfast__Keyring *m = codec_unpack(&holdfast__keyring__descriptor, body, FORMAT_KEYRING_MAX, arena, err);
    if (!m)
        return err ? err->code : ERROR_INTEGRITY;
    *k = (struct keyring){.version = m->version,
                          .metadata_generation = m->metadata_generation,
                          .id_generation = m->id_generation,
                          .created = m->created};
    k->has_previous = m->previous.len > 0;
    const char *why = NULL;
    if (m->version == 0 || k->has_previous == (m->version == 1) ||
        (k->has_previous && !codec_fixed(m->previous, k->previous.b, 32)))
        why = "its version and predecessor do not fit";
    else if (!codec_fixed(m->repository_id, k->repository.b, 16) ||
             !codec_fixed(m->config_sha256, k->config_sha256.b, 32) ||
             !codec_fixed(m->admin_key, k->admin_key, 32))
        why = "a field is missing or of the wrong size";
    else if (m->metadata_generation == 0 || m->id_generation == 0)
        why = "a generation is missing";
    if (!why)
        why = read_epochs(m, arena, k);
    if (!why)
        why = read_persons(m, arena, k);
    if (!why)
        why = read_hosts(m, arena, k);
    return why ? codec_malformed(err, "a keyring", why) : 0;
}

/* ---- bundles ---- */

static Holdfast__NumberedSecret **secret_pointers(const struct secret_list *secrets, struct arena *arena)
{
    Holdfast__NumberedSecret **list = arena_alloc_array(arena, secrets->count, sizeof *list);
    for (size_t i = 0; i < secrets->count; i++) {
        list[i] = arena_new(arena, Holdfast__NumberedSecret);
        holdfast__numbered_secret__init(list[i]);
        list[i]->number = secrets->list[i].number;
        list[i]->secret = CODEC_BINARY(secrets->list[i].secret);
    }
    return list;
}

void bundle_encode(const struct bundle *bundle, struct buffer *out)
{
    struct arena arena = {0};
    Holdfast__Bundle m = HOLDFAST__BUNDLE__INIT;
    m.n_metadata_secrets = bundle->metadata.count;
    m.metadata_secrets = secret_pointers(&bundle->metadata, &arena);
    m.n_id_secrets = bundle->ids.count;
    m.id_secrets = secret_pointers(&bundle->ids, &arena);
    m.n_recovery_keys = bundle->recovery.count;
    m.recovery_keys = secret_pointers(&bundle->recovery, &arena);
    if (bundle->has_admin_seed)
        m.admin_seed = CODEC_BINARY(bundle->admin_seed);
    codec_pack(&m.base, out);
    arena_free(&arena);
}

static bool read_secrets(size_t count, Holdfast__NumberedSecret **from, struct secret_list *to)
{
    if (count > SECRETS_MAX)
        return false;
    to->count = count;
    for (size_t i = 0; i < count; i++) {
        to->list[i].number = from[i]->number;
        if (!codec_fixed(from[i]->secret, to->list[i].secret, 32) || from[i]->number == 0 ||
            (i && from[i]->number <= from[i - 1]->number))
            return false;
    }
    return true;
}

int bundle_decode(struct bytes data, struct bundle *bundle, struct error *err)
{
    struct arena arena = {0};
    Holdfast__Bundle *m = codec_unpack(&holdfast__bundle__descriptor, data, WRAPPED_MAX, &arena, err);
    memset(bundle, 0, sizeof *bundle);
    int code = 0;
    if (!m) {
        code = err ? err->code : ERROR_INTEGRITY;
    } else {
        bundle->has_admin_seed = m->admin_seed.len > 0;
        if (!read_secrets(m->n_metadata_secrets, m->metadata_secrets, &bundle->metadata) ||
            !read_secrets(m->n_id_secrets, m->id_secrets, &bundle->ids) ||
            !read_secrets(m->n_recovery_keys, m->recovery_keys, &bundle->recovery) ||
            (bundle->has_admin_seed && !codec_fixed(m->admin_seed, bundle->admin_seed, 32)))
            code = codec_malformed(err, "a bundle of secrets", "a secret is out of bounds or out of order");
    }
    arena_cleanse(&arena);
    return code;
}
