/*
 * What a store, the metadata service, a credential_process and AWS's files say: XML, JSON, profiles, lines.
 * The first byte chooses; before a profile's file stands its name and a line's end.
 */
#include "fuzz.h"
#include "storage/credentials_internal.h"
#include "storage/s3.h"
#include "storage/s3_xml.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_xml(struct bytes data)
{
    struct error err = {0};
    struct s3_page page = {0};
    char text[32];
    if (worked(s3_xml_page(data, &page, &err), &err)) {
        for (size_t i = 0; i < page.count; i++)
            must(page.entries[i].key && page.entries[i].version && page.entries[i].size <= INT64_MAX);
        must(page.token && page.key_marker && page.version_marker);
    }
    s3_page_free(&page);
    must(s3_xml_text(data, "Code", text, sizeof text) || text[0] == '\0');
    must(strlen(text) < sizeof text);
    s3_xml_is(data, "Error");
}

static void check_keys(const struct credentials *keys)
{
    must(keys->id[0] && keys->secret[0] && strlen(keys->token) < CREDENTIALS_TOKEN_MAX);
    for (const char *c = keys->id; *c; c++)
        must(*c > 0x20 && *c < 0x7f);
    for (const char *c = keys->token; *c; c++)
        must(*c > 0x20 && *c < 0x7f);
}

static void check_profile(const char *text, size_t size)
{
    struct error err = {0};
    struct credentials_profile profile = {0};
    char path[64], name[64] = "default";
    const char *end = memchr(text, '\n', size);
    size_t length = end ? (size_t)(end - text) : 0;
    int fd = memfd_create("profiles", MFD_CLOEXEC);
    must(fd >= 0 && fchmod(fd, 0600) == 0);
    if (length > 0 && length < sizeof name) {
        memcpy(name, text, length);
        name[length] = '\0';
    }
    size_t start = end ? length + 1 : 0;
    must(write(fd, text + start, size - start) == (ssize_t)(size - start));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (worked(credentials_read_profile(path, name, size & 1, &profile, &err), &err) && profile.has_keys)
        check_keys(&profile.keys);
    credentials_profile_free(&profile);
    close(fd);
}

static void check_line(const char *text)
{
    char **argv, *room;
    bool good = credentials_split(text, &argv, &room);
    must(!good || argv[0] != NULL);
    for (size_t i = 0; argv[i]; i++)
        must(strlen(argv[i]) <= strlen(text));
    free(argv);
    free(room);
}

static void check_url(const char *text)
{
    struct error err = {0};
    struct storage *storage;
    struct buffer url = {0};
    buffer_append_string(&url, "s3://");
    buffer_append_string(&url, text);
    if (worked(storage_open_s3_url(buffer_string(&url), &storage, &err), &err))
        storage_free(storage);
    buffer_free(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static struct credentials keys;
    struct error err = {0};
    int64_t seconds;
    if (size == 0)
        return 0;
    struct bytes data = behind_first(input, size);
    char *text = malloc(size);
    must(text != NULL);
    memcpy(text, data.data, data.size);
    text[data.size] = '\0';
    switch (input[0] % 6) {
    case 0:
        check_xml(data);
        break;
    case 1:
    case 2: {
        enum credentials_form form = input[0] % 6 == 1 ? CREDENTIALS_PROCESS : CREDENTIALS_IMDS;
        if (worked(credentials_parse_json(data, form, &keys, &err), &err))
            check_keys(&keys);
        break;
    }
    case 3:
        check_profile(text, data.size);
        break;
    case 4:
        check_line(text);
        credentials_parse_time(text, &seconds);
        s3_parse_time(text);
        break;
    default:
        check_url(text);
    }
    free(text);
    return 0;
}
