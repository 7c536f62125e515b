/* Names of objects: written, and read back strictly. */
#include "base/text.h"
#include "format/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void object_name_pack(const struct id *id, char name[OBJECT_NAME_MAX])
{
    char hex[ID_HEX_SIZE];
    id_to_hex(id, hex);
    snprintf(name, OBJECT_NAME_MAX, "packs/%.2s/%s", hex, hex);
}

void object_name_index(const struct id *id, char name[OBJECT_NAME_MAX])
{
    char hex[ID_HEX_SIZE];
    id_to_hex(id, hex);
    snprintf(name, OBJECT_NAME_MAX, "index/%s", hex);
}

void object_name_timed(const char *prefix, int64_t time, const struct id *id, char name[OBJECT_NAME_MAX])
{
    char hex[ID_HEX_SIZE], time_text[TEXT_TIME_SIZE];
    id_to_hex(id, hex);
    snprintf(name, OBJECT_NAME_MAX, "%s/%s-%s", prefix, text_format_compact_time(time, time_text), hex);
}

void object_name_keyring(uint32_t version, const struct id *id, char name[OBJECT_NAME_MAX])
{
    char hex[ID_HEX_SIZE];
    id_to_hex(id, hex);
    snprintf(name, OBJECT_NAME_MAX, "keys/%" PRIu32 "-%s", version, hex);
}

void object_name_person(const struct id16 *person, const struct id *id, char name[OBJECT_NAME_MAX])
{
    char hex[ID_HEX_SIZE], person_hex[ID16_HEX_SIZE];
    id_to_hex(id, hex);
    id16_to_hex(person, person_hex);
    snprintf(name, OBJECT_NAME_MAX, "keys/p-%s-%s", person_hex, hex);
}

static bool parse_key(const char *rest, size_t length, struct object_name *out)
{
    if (rest[0] == 'p') {
        out->folder = FOLDER_PERSON;
        return length == 2 + 32 + 1 + 64 && rest[1] == '-' && rest[34] == '-' &&
               hex_decode(rest + 2, 32, out->person.b, 16) && hex_decode(rest + 35, 64, out->sha256.b, 32);
    }
    out->folder = FOLDER_KEYRING;
    uint64_t version = 0;
    size_t i = 0;
    for (; i < length && i < 10 && rest[i] >= '0' && rest[i] <= '9'; i++)
        version = version * 10 + (uint64_t)(rest[i] - '0');
    if (i == 0 || rest[0] == '0' || version > UINT32_MAX || i >= length || rest[i] != '-')
        return false;
    out->version = (uint32_t)version;
    return hex_decode(rest + i + 1, length - i - 1, out->sha256.b, 32);
}

static bool parse_timed(const char *rest, size_t length, struct object_name *out)
{
    return length == 16 + 1 + 64 && rest[16] == '-' && text_parse_compact_time(rest, 16, &out->time) &&
           hex_decode(rest + 17, 64, out->sha256.b, 32);
}

bool object_name_parse(const char *name, struct object_name *out)
{
    static const struct {
        const char *prefix;
        enum object_folder folder;
    } folders[] = {{"snapshots/", FOLDER_SNAPSHOTS},
                   {"runs/", FOLDER_RUNS},
                   {"events/", FOLDER_EVENTS},
                   {"leases/", FOLDER_LEASES}};
    size_t length = strnlen(name, OBJECT_NAME_MAX);
    *out = (struct object_name){0};
    if (length == OBJECT_NAME_MAX)
        return false;
    if (strcmp(name, "config") == 0) {
        out->folder = FOLDER_CONFIG;
        return true;
    }
    if (strncmp(name, "packs/", 6) == 0) {
        out->folder = FOLDER_PACKS;
        return length == 6 + 3 + 64 && name[8] == '/' && strncmp(name + 6, name + 9, 2) == 0 &&
               hex_decode(name + 9, 64, out->sha256.b, 32);
    }
    if (strncmp(name, "index/", 6) == 0) {
        out->folder = FOLDER_INDEX;
        return hex_decode(name + 6, length - 6, out->sha256.b, 32);
    }
    if (strncmp(name, "keys/", 5) == 0)
        return parse_key(name + 5, length - 5, out);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t n = strlen(folders[i].prefix);
        if (strncmp(name, folders[i].prefix, n) == 0) {
            out->folder = folders[i].folder;
            return parse_timed(name + n, length - n, out);
        }
    }
    return false;
}
