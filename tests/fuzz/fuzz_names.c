/* Names of objects: one that is understood is written again as it was, and may be stored. */
#include "fuzz.h"
#include "storage/storage.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const char *const prefixes[] = {"snapshots", "runs", "events", "leases"};
    struct object_name name;
    char again[OBJECT_NAME_MAX] = "config", *text = malloc(size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, input, size);
    text[size] = '\0';
    bool storable = storage_is_name(text);
    if (object_name_parse(text, &name)) {
        if (name.folder == FOLDER_KEYRING)
            object_name_keyring(name.version, &name.sha256, again);
        else if (name.folder == FOLDER_PERSON)
            object_name_person(&name.person, &name.sha256, again);
        else if (name.folder == FOLDER_PACKS)
            object_name_pack(&name.sha256, again);
        else if (name.folder == FOLDER_INDEX)
            object_name_index(&name.sha256, again);
        else if (name.folder != FOLDER_CONFIG)
            object_name_timed(prefixes[name.folder - FOLDER_SNAPSHOTS], name.time, &name.sha256, again);
        must(strcmp(again, text) == 0 && storable);
    }
    must(!storable ||
         (text[0] != '.' && !strstr(text, "/.") && text[0] != '/' && strlen(text) <= STORAGE_NAME_MAX));
    free(text);
    return 0;
}
