/* Listings of a bucket: of objects, and of their versions. */
#include "storage/s3_internal.h"

#include "base/memory.h"
#include "storage/s3_xml.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_TRIES 3
#define PAGES_MAX 1000000u /* of 1,000 entries: more than a bucket may hold */

/* Our name in a key, or NULL where it is none of ours. */
static const char *name_of(const struct s3 *s3, const char *key)
{
    size_t n = strlen(s3->p.prefix);
    return strncmp(key, s3->p.prefix, n) == 0 && storage_is_name(key + n) ? key + n : NULL;
}

/* An answer that is cut short without saying so is asked for again. */
static int get_page(struct s3 *s3, const struct s3_call *call, struct s3_page *page, struct error *err)
{
    memset(page, 0, sizeof *page);
    for (unsigned tries = 1;; tries++) {
        struct http_response response = {0};
        int code = s3_send(s3, call, &response, NULL, err);
        if (code != 0) {
            http_response_free(&response);
            return code;
        }
        code = s3_xml_page(buffer_bytes(&response.body), page, err);
        http_response_free(&response);
        if (code == 0)
            return 0;
        s3_page_free(page);
        if (tries == PAGE_TRIES)
            return error_prefix(err, "%s %s", call->what, s3->location);
    }
}

/* Where a listing goes on. */
struct position {
    char *token;         /* or NULL */
    char *key, *version; /* or NULL: after this entry */
};

static void free_position(struct position *p)
{
    free(p->token);
    free(p->key);
    free(p->version);
    memset(p, 0, sizeof *p);
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Some stores encode the markers where names are encoded, some do not: the last entry is the same place. */
static int next_position(const struct s3 *s3, const struct s3_page *page, bool versions, struct position *at,
                         struct error *err)
{
    struct position next = {0};
    const struct s3_entry *last = page->count ? &page->entries[page->count - 1] : NULL;
    if (!versions && *page->token && !strchr(page->token, S3_DAMAGED))
        next.token = memory_copy_string(page->token);
    else if (last || *page->key_marker)
        next.key = memory_copy_string(last ? last->key : page->key_marker);
    if (versions && next.key)
        next.version = memory_copy_string(*page->version_marker ? page->version_marker
                                          : last                ? last->version
                                                                : "");
    bool goes_on =
        (next.token || next.key) &&
        !(is_same(next.token, at->token) && is_same(next.key, at->key) && is_same(next.version, at->version));
    free_position(at);
    *at = next;
    if (goes_on)
        return 0;
    error_set(err, ERROR_FAILED, "cannot list %s: the store says that there is more, but not where",
              s3->location);
    return error_hint(err, "is it an S3 store? holdfast check-config --online tries what it can do");
}

static void go_on(struct s3_call *call, bool versions, const struct position *at)
{
    if (at->token)
        s3_call_query(call, "continuation-token", at->token);
    if (at->key)
        s3_call_query(call, versions ? "key-marker" : "start-after", at->key);
    if (at->version && *at->version)
        s3_call_query(call, "version-id-marker", at->version);
}

typedef int entry_callback(const struct s3_entry *entry, const char *name, void *context);

static int list_entries(struct s3 *s3, const char *prefix, bool versions, entry_callback *callback,
                        void *context, struct error *err)
{
    char *full = memory_format("%s%s", s3->p.prefix, prefix);
    struct position at = {0};
    int code = 0;
    bool more = true;
    for (unsigned pages = 0; more && code == 0 && pages < PAGES_MAX; pages++) {
        struct s3_call call = {.what = "cannot list", .method = "GET", .max = S3_LISTING_MAX};
        s3_call_query(&call, "prefix", full);
        s3_call_query(&call, "max-keys", "1000");
        s3_call_query(&call, "encoding-type", "url");
        if (versions)
            s3_call_query(&call, "versions", "");
        else
            s3_call_query(&call, "list-type", "2");
        go_on(&call, versions, &at);
        struct s3_page page;
        code = get_page(s3, &call, &page, err);
        more = code == 0 && page.truncated;
        if (more)
            code = next_position(s3, &page, versions, &at, err);
        for (size_t i = 0; code == 0 && i < page.count; i++) {
            const char *name = name_of(s3, page.entries[i].key);
            if (name)
                code = callback(&page.entries[i], name, context);
        }
        s3_page_free(&page);
    }
    free_position(&at);
    free(full);
    if (code == 0 && more)
        return error_set(err, ERROR_FAILED, "cannot list %s: it has no end", s3->location);
    return code;
}

struct object_listing {
    storage_list_callback *callback;
    void *context;
    bool versions;
};

static int give_object(const struct s3_entry *entry, const char *name, void *context)
{
    struct object_listing *listing = context;
    struct storage_object object = {name, entry->size, entry->time, listing->versions && !entry->newest};
    return entry->marker ? 0 : listing->callback(&object, listing->context);
}

int s3_list(void *driver, const char *prefix, storage_list_callback *callback, void *context,
            struct error *err)
{
    struct s3 *s3 = driver;
    struct object_listing listing = {callback, context, false};
    unsigned features;
    int code = s3_get_features(s3, &features, err);
    listing.versions = (features & STORAGE_VERSIONS) != 0;
    return code ? code : list_entries(s3, prefix, listing.versions, give_object, &listing, err);
}

struct version_listing {
    storage_versions_callback *callback;
    void *context;
};

static int give_version(const struct s3_entry *entry, const char *name, void *context)
{
    struct version_listing *listing = context;
    struct storage_version version = {.name = name,
                                      .version = *entry->version ? entry->version : "null",
                                      .size = entry->size,
                                      .time = entry->time,
                                      .newest = entry->newest,
                                      .marker = entry->marker};
    return listing->callback(&version, listing->context);
}

int s3_list_versions(void *driver, const char *prefix, storage_versions_callback *callback, void *context,
                     struct error *err)
{
    struct version_listing listing = {callback, context};
    return list_entries(driver, prefix, true, give_version, &listing, err);
}
