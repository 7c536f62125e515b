/*
 * The XML that S3 answers with, over expat (the only place that includes it). Everything is bounded; document
 * types and entities of their own are refused. For the S3 driver.
 */
#ifndef STORAGE_S3_XML_H
#define STORAGE_S3_XML_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>

#define S3_LISTING_MAX ((size_t)8 << 20) /* bytes of one page */
#define S3_ANSWER_MAX ((size_t)64 << 10) /* bytes of any other answer */

#define S3_DAMAGED 0x7f /* stands in token and markers for what XML cannot hold */

struct s3_entry {
    const char *key;
    const char *version; /* "" if the answer has none */
    uint64_t size;
    int64_t time;
    bool newest;
    bool marker;
};

/* One page of ListObjectsV2 or of ListObjectVersions. */
struct s3_page {
    struct s3_entry *entries;
    size_t count, capacity;
    bool truncated;
    /* Where the next page begins, as the answer has it; "" if it does not say. */
    const char *token, *key_marker, *version_marker;
    struct arena arena;
};

/* FAILED if it is no such answer. The caller frees the page, also after an error. */
int s3_xml_page(struct bytes xml, struct s3_page *page, struct error *err);
void s3_page_free(struct s3_page *page);

/* The text of the first element of this name (of the root itself if it has that name), cut to size - 1 bytes.
 * False, with "", if there is none or it is no XML. */
bool s3_xml_text(struct bytes xml, const char *element, char *text, size_t size);
/* True if the root element has this name. */
bool s3_xml_is(struct bytes xml, const char *root);
/* "2026-11-24T03:00:00.000Z" in Unix seconds; -1 if it is none. */
int64_t s3_parse_time(const char *text);

#endif
