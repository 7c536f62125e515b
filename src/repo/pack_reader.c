/* One pack opened for reading its frames, from whichever target has a good copy; meta packs from the state
 * folder. */
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "pack/pack.h"
#include "repo/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct pack_reader {
    struct repository *r;
    struct arena arena;
    struct pack_entry entry;
    enum blob_kind kind;
    uint32_t present;
    char name[OBJECT_NAME_MAX];
    struct bytes *slots;
    uint32_t slots_tried; /* where slots were taken from: a copy may be another pack, well made */
    struct frame_opener **openers;
    struct buffer loaded; /* stored bytes from loaded_from on */
    uint64_t loaded_from;
    struct buffer whole; /* the pack, once it was found among older versions */
};

/* ---- the cache of meta packs ---- */

static char *meta_path(struct repository *r, const struct id *id)
{
    char hex[ID_HEX_SIZE];
    id_to_hex(id, hex);
    return memory_format("%s/meta/%s", r->state_folder, hex);
}

struct cached_file {
    char name[ID_HEX_SIZE];
    struct timespec used;
    off_t size;
};

static int compare_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct cached_file *)a)->used,
                          *y = &((const struct cached_file *)b)->used;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Removes the packs that were used longest ago until the rest fits. */
static void trim_meta_cache(struct repository *r)
{
    char *path = file_join(r->state_folder, "meta");
    DIR *folder = opendir(path);
    free(path);
    if (!folder)
        return;
    struct cached_file *files = NULL;
    size_t count = 0, capacity = 0;
    uint64_t total = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat st;
        if (strlen(entry->d_name) != ID_HEX_SIZE - 1 ||
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        memory_reserve_one(files, count, capacity);
        files[count].used = st.st_atim.tv_sec > st.st_mtim.tv_sec ? st.st_atim : st.st_mtim;
        files[count].size = st.st_size;
        memcpy(files[count++].name, entry->d_name, ID_HEX_SIZE);
        total += (uint64_t)st.st_size;
    }
    if (count)
        qsort(files, count, sizeof *files, compare_use);
    for (size_t i = 0; i < count && total > r->parameters.meta_cache_bytes; i++) {
        if (unlinkat(dirfd(folder), files[i].name, 0) == 0)
            total -= (uint64_t)files[i].size;
    }
    free(files);
    closedir(folder);
}

void meta_cache_put(struct repository *r, const struct id *id, struct bytes pack)
{
    char *path = meta_path(r, id);
    struct error why;
    if (file_write_atomic(path, pack, 0600, &why) != 0)
        log_verbose("%s", why.message);
    free(path);
    trim_meta_cache(r);
}

/* Appends a range of a cached meta pack; false if it is not there. */
static bool meta_cache_get(struct repository *r, const struct id *id, uint64_t offset, size_t size,
                           struct buffer *out)
{
    char *path = meta_path(r, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    free(path);
    if (fd < 0)
        return false;
    bool got = pread(fd, buffer_extend(out, size), size, (off_t)offset) == (ssize_t)size;
    if (!got)
        out->size -= size;
    close(fd);
    return got;
}

bool meta_cache_read(struct repository *r, const struct id *id, struct buffer *out)
{
    char *path = meta_path(r, id);
    size_t start = out->size;
    struct id own;
    bool good = file_read(path, FORMAT_PACK_MAX, out, NULL) == 0;
    free(path);
    if (good) {
        sha256_of(bytes_of(out->data + start, out->size - start), &own);
        good = id_equal(&own, id);
    }
    if (!good)
        out->size = start;
    return good;
}

static void meta_cache_drop(struct repository *r, const struct id *id)
{
    char *path = meta_path(r, id);
    unlink(path);
    free(path);
}

/* Fetches a whole meta pack from any target, checks its hash and keeps it. */
static int meta_cache_fill(struct pack_reader *p, struct error *err)
{
    struct repository *r = p->r;
    struct buffer pack = {0};
    struct object_seen object = {.folder = FOLDER_PACKS, .sha256 = p->entry.sha256, .mask = p->present};
    int code = object_fetch(r, &object, FORMAT_PACK_MAX, &pack, err);
    if (code == 0)
        meta_cache_put(r, &p->entry.sha256, buffer_bytes(&pack));
    buffer_free(&pack);
    return code;
}

/* ---- ranges ---- */

/* Appends a range from the first target not yet tried; marks it in *tried. */
static int read_range(struct pack_reader *p, uint64_t offset, size_t size, struct buffer *out,
                      uint32_t *tried, struct error *err)
{
    struct repository *r = p->r;
    if (offset + size > p->entry.size)
        return error_set(err, ERROR_INTEGRITY, "%s: the index names bytes behind its end", p->name);
    int code = 0;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (!(p->present >> t & 1) || (*tried >> t & 1) || !replicas_is_active(r->replicas, t))
            continue;
        *tried |= 1u << t;
        size_t start = out->size;
        struct error why;
        code = storage_get_range(replicas_storage(r->replicas, t), p->name, offset, size, out, &why);
        if (code == 0)
            return 0;
        out->size = start;
        log_verbose("%s", why.message);
        if (err)
            *err = why;
    }
    if (code != 0)
        return code;
    char *where = repository_where(r);
    error_set(err, ERROR_INTEGRITY, "%s is damaged or missing on %s", p->name, where);
    free(where);
    return ERROR_INTEGRITY;
}

#define TRIED_CACHE (1u << 31)
#define TRIED_VERSIONS (1u << 30)

/* On a store with versions a good pack may lie below a bad one, or below a removal. */
static bool read_older(struct pack_reader *p, uint64_t offset, size_t size, struct buffer *out,
                       uint32_t *tried)
{
    struct repository *r = p->r;
    struct object_seen object = {.folder = FOLDER_PACKS, .sha256 = p->entry.sha256};
    *tried |= TRIED_VERSIONS;
    for (size_t t = 0; t < replicas_count(r->replicas); t++) {
        if (p->present >> t & 1 && replicas_is_active(r->replicas, t) &&
            storage_features(replicas_storage(r->replicas, t)) & STORAGE_VERSIONS)
            object.mask |= 1u << t;
    }
    if (p->whole.size == 0 && object_fetch(r, &object, FORMAT_PACK_MAX, &p->whole, NULL) != 0)
        return false;
    if (offset + size > p->whole.size)
        return false;
    buffer_append(out, p->whole.data + offset, size);
    return true;
}

static int read_anywhere(struct pack_reader *p, uint64_t offset, size_t size, struct buffer *out,
                         uint32_t *tried, struct error *err)
{
    if (p->kind == BLOB_META && !(*tried & TRIED_CACHE)) {
        *tried |= TRIED_CACHE;
        if (meta_cache_get(p->r, &p->entry.sha256, offset, size, out))
            return 0;
        if (meta_cache_fill(p, err) == 0 && meta_cache_get(p->r, &p->entry.sha256, offset, size, out))
            return 0;
    }
    int code = read_range(p, offset, size, out, tried, err);
    if (code == 0 || code == ERROR_CANCELLED || *tried & TRIED_VERSIONS)
        return code;
    return read_older(p, offset, size, out, tried) ? 0 : code;
}

/* ---- the slots of packs opened lately ---- */

/* A restore opens a pack once for each few MiB of it: that need not be one more request each time. */
#define SLOTS_KEPT_BYTES_MAX ((size_t)4096)

static struct kept_slots *find_slots(struct repository *r, const struct id *pack)
{
    for (size_t i = 0; i < SLOTS_KEPT; i++)
        if (r->slots[i].area.size && id_equal(&r->slots[i].pack, pack))
            return &r->slots[i];
    return NULL;
}

static bool slots_kept(struct pack_reader *p, struct buffer *area)
{
    pthread_mutex_lock(&p->r->index_lock);
    const struct kept_slots *kept = find_slots(p->r, &p->entry.sha256);
    if (kept)
        buffer_append_bytes(area, buffer_bytes(&kept->area));
    pthread_mutex_unlock(&p->r->index_lock);
    return kept && area->size == p->entry.slots_length;
}

static void keep_slots(struct pack_reader *p, struct bytes area)
{
    struct repository *r = p->r;
    if (area.size > SLOTS_KEPT_BYTES_MAX)
        return;
    pthread_mutex_lock(&r->index_lock);
    struct kept_slots *kept = find_slots(r, &p->entry.sha256);
    if (!kept)
        kept = &r->slots[r->slots_next++ % SLOTS_KEPT];
    kept->pack = p->entry.sha256;
    buffer_clear(&kept->area);
    buffer_append_bytes(&kept->area, area);
    pthread_mutex_unlock(&r->index_lock);
}

void slots_forget(struct repository *r)
{
    for (size_t i = 0; i < SLOTS_KEPT; i++)
        buffer_free(&r->slots[i].area);
}

/* ---- opening ---- */

static int split_slots(struct pack_reader *p, struct bytes area, struct error *err)
{
    return pack_split_slots(arena_copy(&p->arena, area), p->kind, p->entry.contents.slot_count, &p->arena,
                            &p->slots, err);
}

/* From the next copy that was not tried. */
static int load_slots(struct pack_reader *p, struct error *err)
{
    struct buffer area = {0};
    int code;
    for (size_t i = 0; i < p->entry.contents.slot_count; i++) {
        frame_opener_free(p->openers[i]);
        p->openers[i] = NULL;
    }
    do {
        buffer_clear(&area);
        code = read_anywhere(p, PACK_SLOTS_OFFSET, p->entry.slots_length, &area, &p->slots_tried, err);
        if (code != 0)
            break;
        code = split_slots(p, buffer_bytes(&area), err);
    } while (code == ERROR_INTEGRITY);
    if (code == 0)
        keep_slots(p, buffer_bytes(&area));
    buffer_free(&area);
    return code;
}

static int open_slots(struct pack_reader *p, struct error *err)
{
    struct buffer area = {0};
    bool kept = slots_kept(p, &area) && split_slots(p, buffer_bytes(&area), NULL) == 0;
    buffer_free(&area);
    return kept ? 0 : load_slots(p, err);
}

int pack_reader_open(struct repository *r, uint64_t number, struct pack_reader **reader, struct error *err)
{
    struct pack_reader *p = memory_new(struct pack_reader);
    struct buffer entry = {0};
    p->r = r;
    pthread_mutex_lock(&r->index_lock);
    p->present = number < r->pack_capacity ? r->packs[number].present : 0;
    p->kind = number < r->pack_capacity ? (enum blob_kind)r->packs[number].kind : BLOB_DATA;
    pthread_mutex_unlock(&r->index_lock);
    int code = catalog_pack_entry(r->catalog, number, &entry, err);
    if (code == 0)
        code = pack_entry_decode(buffer_bytes(&entry), &p->arena, &p->entry, err);
    buffer_free(&entry);
    if (code == 0) {
        object_name_pack(&p->entry.sha256, p->name);
        p->openers = memory_alloc_array(p->entry.contents.slot_count, sizeof *p->openers);
        code = open_slots(p, err);
    }
    if (code != 0) {
        pack_reader_free(p);
        return code;
    }
    *reader = p;
    return 0;
}

void pack_reader_free(struct pack_reader *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->openers && i < p->entry.contents.slot_count; i++)
        frame_opener_free(p->openers[i]);
    free(p->openers);
    buffer_free(&p->loaded);
    buffer_free(&p->whole);
    arena_free(&p->arena);
    free(p);
}

const struct pack_entry *pack_reader_entry(const struct pack_reader *p)
{
    return &p->entry;
}

int pack_reader_load(struct pack_reader *p, uint32_t first, uint32_t last, struct error *err)
{
    const struct frame_entry *a = &p->entry.contents.frames[first], *b = &p->entry.contents.frames[last];
    uint32_t tried = 0;
    buffer_clear(&p->loaded);
    p->loaded_from = a->offset;
    return read_anywhere(p, a->offset, b->offset + b->stored_length - a->offset, &p->loaded, &tried, err);
}

static int open_frame(struct pack_reader *p, const struct frame_entry *frame, struct bytes stored,
                      struct buffer *raw, struct error *err)
{
    if (!p->openers[frame->slot]) {
        int code =
            frame_opener_new(&p->r->secrets, p->kind, p->slots[frame->slot], &p->openers[frame->slot], err);
        if (code != 0)
            return code;
    }
    return frame_opener_open(p->openers[frame->slot], frame, stored, raw, err);
}

/* With the slots at hand, from whatever copy. */
static int fetch_frame(struct pack_reader *p, const struct frame_entry *frame, struct buffer *raw,
                       struct error *err)
{
    struct buffer stored = {0};
    uint32_t tried = 0;
    int code;
    do {
        buffer_clear(&stored);
        code = read_anywhere(p, frame->offset, frame->stored_length, &stored, &tried, err);
        if (code != 0)
            break;
        code = open_frame(p, frame, buffer_bytes(&stored), raw, err);
        if (code == ERROR_INTEGRITY && p->kind == BLOB_META)
            meta_cache_drop(p->r, &p->entry.sha256);
    } while (code == ERROR_INTEGRITY);
    buffer_free(&stored);
    return code;
}

int pack_reader_frame(struct pack_reader *p, uint32_t index, struct buffer *raw, struct error *err)
{
    if (index >= p->entry.contents.frame_count)
        return error_set(err, ERROR_INTEGRITY, "%s has no frame %u", p->name, index);
    const struct frame_entry *frame = &p->entry.contents.frames[index];
    int code;
    if (frame->offset >= p->loaded_from &&
        frame->offset + frame->stored_length <= p->loaded_from + p->loaded.size) {
        struct bytes stored =
            bytes_of(p->loaded.data + (frame->offset - p->loaded_from), frame->stored_length);
        code = open_frame(p, frame, stored, raw, err);
        if (code != ERROR_INTEGRITY)
            return code;
    }
    struct error first;
    code = fetch_frame(p, frame, raw, &first);
    while (code == ERROR_INTEGRITY && load_slots(p, NULL) == 0)
        code = fetch_frame(p, frame, raw, &first);
    if (code != 0 && err)
        *err = first;
    return code;
}
