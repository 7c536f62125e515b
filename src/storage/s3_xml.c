#include "storage/s3_xml.h"

#include "base/id.h"
#include "base/memory.h"
#include "base/text.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16
#define NAME_MAX_BYTES 48
#define TEXT_MAX ((size_t)8192) /* of one element: names of 1,024 bytes, each encoded as three */
#define VERSION_MAX 1024        /* bytes, as S3 promises */

/* A walk over a document: `leaf` for each element that holds text only, `close` for each that holds others.
 */
struct walk {
    XML_Parser parser;
    char names[DEPTH_MAX][NAME_MAX_BYTES];
    unsigned depth;
    bool has_children;
    bool failed;
    struct buffer text;
    void (*leaf)(struct walk *walk, const char *parent, const char *name, const char *text);
    void (*close)(struct walk *walk, const char *name);
    void *context;
};

static void stop(struct walk *walk)
{
    walk->failed = true;
    XML_StopParser(walk->parser, XML_FALSE);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct walk *walk = context;
    (void)attributes;
    if (walk->depth == DEPTH_MAX || strlen(name) >= NAME_MAX_BYTES) {
        stop(walk);
        return;
    }
    strcpy(walk->names[walk->depth++], name);
    walk->has_children = false;
    buffer_clear(&walk->text);
}

static void on_end(void *context, const XML_Char *name)
{
    struct walk *walk = context;
    walk->depth--;
    const char *parent = walk->depth ? walk->names[walk->depth - 1] : "";
    if (!walk->has_children)
        walk->leaf(walk, parent, name, buffer_string(&walk->text));
    else if (walk->close)
        walk->close(walk, name);
    walk->has_children = true;
    buffer_clear(&walk->text);
}

static void on_text(void *context, const XML_Char *text, int length)
{
    struct walk *walk = context;
    if ((size_t)length > TEXT_MAX - walk->text.size)
        stop(walk);
    else
        buffer_append(&walk->text, text, (size_t)length);
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(context);
}

static bool walk_document(struct walk *walk, struct bytes xml)
{
    if (xml.size == 0 || xml.size > S3_LISTING_MAX)
        return false;
    walk->parser = XML_ParserCreate(NULL);
    if (!walk->parser)
        abort(); /* as for memory: nothing can be reported better */
    XML_SetUserData(walk->parser, walk);
    XML_SetElementHandler(walk->parser, on_start, on_end);
    XML_SetCharacterDataHandler(walk->parser, on_text);
    XML_SetStartDoctypeDeclHandler(walk->parser, on_doctype);
    bool good = XML_Parse(walk->parser, (const char *)xml.data, (int)xml.size, 1) == XML_STATUS_OK;
    XML_ParserFree(walk->parser);
    buffer_free(&walk->text);
    return good && !walk->failed;
}

/* ---- single values ---- */

struct wanted {
    const char *element;
    char *text;
    size_t size;
    bool found;
};

static void take_text(struct walk *walk, const char *parent, const char *name, const char *text)
{
    struct wanted *wanted = walk->context;
    (void)parent;
    if (wanted->found || strcmp(name, wanted->element) != 0)
        return;
    wanted->found = true;
    size_t n = strlen(text) < wanted->size ? strlen(text) : wanted->size - 1;
    memcpy(wanted->text, text, n);
    wanted->text[n] = '\0';
}

bool s3_xml_text(struct bytes xml, const char *element, char *text, size_t size)
{
    struct wanted wanted = {element, text, size, false};
    struct walk walk = {.leaf = take_text, .context = &wanted};
    text[0] = '\0';
    if (walk_document(&walk, xml) && wanted.found)
        return true;
    text[0] = '\0';
    return false;
}

struct root {
    const char *wanted;
    bool same;
};

static void check_root(struct walk *walk, const char *name)
{
    struct root *root = walk->context;
    if (walk->depth == 0)
        root->same = strcmp(name, root->wanted) == 0;
}

static void check_root_leaf(struct walk *walk, const char *parent, const char *name, const char *text)
{
    (void)parent, (void)text;
    check_root(walk, name);
}

bool s3_xml_is(struct bytes xml, const char *name)
{
    struct root root = {name, false};
    struct walk walk = {.leaf = check_root_leaf, .close = check_root, .context = &root};
    return walk_document(&walk, xml) && root.same;
}

int64_t s3_parse_time(const char *text)
{
    int64_t seconds;
    char plain[32];
    size_t n = strcspn(text, ".Z");
    if (n >= sizeof plain - 1)
        return -1;
    memcpy(plain, text, n);
    strcpy(plain + n, "Z");
    return text_parse_time(plain, &seconds) ? seconds : -1;
}

/* ---- listings ---- */

struct listing {
    struct s3_page *page;
    struct s3_entry entry; /* being read */
    bool is_listing, is_encoded, bad;
};

static bool parse_number(const char *text, uint64_t *number)
{
    *number = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || *number > (UINT64_MAX - 9) / 10)
            return false;
        *number = *number * 10 + (uint64_t)(*p - '0');
    }
    return *text;
}

static void take_entry_part(struct listing *listing, const char *name, const char *text)
{
    struct s3_entry *entry = &listing->entry;
    if (strcmp(name, "Key") == 0)
        entry->key = arena_copy_string(&listing->page->arena, text);
    else if (strcmp(name, "VersionId") == 0 && strlen(text) <= VERSION_MAX)
        entry->version = arena_copy_string(&listing->page->arena, text);
    else if (strcmp(name, "VersionId") == 0)
        listing->bad = true;
    else if (strcmp(name, "Size") == 0)
        listing->bad |= !parse_number(text, &entry->size);
    else if (strcmp(name, "LastModified") == 0)
        entry->time = s3_parse_time(text);
    else if (strcmp(name, "IsLatest") == 0)
        entry->newest = strcmp(text, "true") == 0;
}

static bool is_entry(const char *name)
{
    return strcmp(name, "Contents") == 0 || strcmp(name, "Version") == 0 || strcmp(name, "DeleteMarker") == 0;
}

static bool is_listing(const char *name)
{
    return strcmp(name, "ListBucketResult") == 0 || strcmp(name, "ListVersionsResult") == 0;
}

static void take_listing_leaf(struct walk *walk, const char *parent, const char *name, const char *text)
{
    struct listing *listing = walk->context;
    struct s3_page *page = listing->page;
    if (walk->depth == 2 && is_entry(parent)) {
        take_entry_part(listing, name, text);
        return;
    }
    if (walk->depth != 1 || !is_listing(parent))
        return;
    if (strcmp(name, "IsTruncated") == 0)
        page->truncated = strcmp(text, "true") == 0;
    else if (strcmp(name, "EncodingType") == 0)
        listing->is_encoded = strcmp(text, "url") == 0;
    else if (strcmp(name, "NextContinuationToken") == 0)
        page->token = arena_copy_string(&page->arena, text);
    else if (strcmp(name, "NextKeyMarker") == 0)
        page->key_marker = arena_copy_string(&page->arena, text);
    else if (strcmp(name, "NextVersionIdMarker") == 0)
        page->version_marker = arena_copy_string(&page->arena, text);
}

static void take_listing_end(struct walk *walk, const char *name)
{
    struct listing *listing = walk->context;
    struct s3_page *page = listing->page;
    if (walk->depth == 0)
        listing->is_listing = is_listing(name);
    if (walk->depth != 1 || !is_entry(name))
        return;
    listing->entry.marker = strcmp(name, "DeleteMarker") == 0;
    if (listing->entry.key) {
        memory_reserve_one(page->entries, page->count, page->capacity);
        if (!listing->entry.version)
            listing->entry.version = "";
        page->entries[page->count++] = listing->entry;
    }
    listing->bad |= !listing->entry.key;
    memset(&listing->entry, 0, sizeof listing->entry);
}

/* Percent-decoding in place; what is no encoding stays as it is. */
static const char *decode(const char *text, struct arena *arena)
{
    char *copy = (char *)arena_copy_string(arena, text), *to = copy;
    for (const char *from = copy; *from; from++) {
        char digits[2] = {0};
        for (int i = 0; i < 2 && from[0] == '%' && from[1] && from[2]; i++)
            digits[i] = (char)(from[1 + i] >= 'A' && from[1 + i] <= 'F' ? from[1 + i] + 32 : from[1 + i]);
        uint8_t byte;
        if (*from == '%' && digits[0] && hex_decode(digits, 2, &byte, 1) && byte) {
            *to++ = (char)byte;
            from += 2;
        } else {
            *to++ = *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
    return copy;
}

static bool is_forbidden(unsigned long character)
{
    return character < 0x20 && character != '\t' && character != '\n' && character != '\r';
}

/* Names of objects that are not ours may hold what XML cannot. Ceph encodes them, but not where the next page
 * begins: there S3_DAMAGED takes the place of each byte, so that such a name does not hide all others. */
static void replace_forbidden(struct buffer *xml)
{
    char *text = (char *)xml->data;
    for (size_t i = 0; i < xml->size; i++) {
        size_t n = is_forbidden((unsigned char)text[i]);
        if (text[i] == '&' && xml->size - i > 10 && text[i + 1] == '#') {
            char *end;
            bool hex = text[i + 2] == 'x';
            unsigned long character = strtoul(text + i + 2 + hex, &end, hex ? 16 : 10);
            if (*end == ';' && end - text - (ptrdiff_t)i < 10 && is_forbidden(character))
                n = (size_t)(end - text) - i + 1;
        }
        memset(text + i, S3_DAMAGED, n);
    }
}

int s3_xml_page(struct bytes xml, struct s3_page *page, struct error *err)
{
    struct listing listing = {.page = page};
    struct walk walk = {.leaf = take_listing_leaf, .close = take_listing_end, .context = &listing};
    memset(page, 0, sizeof *page);
    page->token = page->key_marker = page->version_marker = "";
    struct buffer clean = {0};
    buffer_append_bytes(&clean, xml);
    buffer_string(&clean);
    replace_forbidden(&clean);
    bool good = walk_document(&walk, buffer_bytes(&clean));
    buffer_free(&clean);
    if (!good || !listing.is_listing || listing.bad) {
        error_set(err, ERROR_FAILED, "the answer is not a listing of objects");
        return error_hint(err, "is it an S3 store, and does nothing on the way answer in its place?");
    }
    for (size_t i = 0; listing.is_encoded && i < page->count; i++)
        page->entries[i].key = decode(page->entries[i].key, &page->arena);
    return 0;
}

void s3_page_free(struct s3_page *page)
{
    free(page->entries);
    arena_free(&page->arena);
    memset(page, 0, sizeof *page);
}
