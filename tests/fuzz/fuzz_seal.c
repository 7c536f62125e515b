/* The sealed envelope: as it comes, and one that is right but for the bytes that the input changes. */
#include "fuzz.h"

#define CHANGES_MAX 4

static const struct id bound = {{1, 2, 3}};

/* The input: how many changes, each a place and what is put over it; the rest is the plaintext. */
static void change(enum object_type type, const struct id *bound_to, struct bytes data)
{
    static const uint8_t random[32];
    struct error err = {0};
    struct buffer sealed = {0}, plain = {0};
    struct reader r = reader_of(data);
    uint8_t count = reader_u8(&r) % (CHANGES_MAX + 1), by[CHANGES_MAX];
    uint16_t places[CHANGES_MAX];
    for (uint8_t i = 0; i < count; i++) {
        places[i] = reader_u16(&r);
        by[i] = reader_u8(&r);
    }
    struct bytes text = reader_take(&r, r.size - r.at);
    must(seal_object_with(fuzz_secrets(), type, bound_to, text, random, &sealed, &err) == 0);
    struct buffer changed = {0};
    buffer_append_bytes(&changed, buffer_bytes(&sealed));
    for (uint8_t i = 0; i < count; i++)
        changed.data[places[i] % changed.size] ^= by[i];
    bool same = bytes_equal(buffer_bytes(&sealed), buffer_bytes(&changed));
    must(worked(unseal_object(fuzz_secrets(), type, bound_to, buffer_bytes(&changed), &plain, &err), &err) ==
         same);
    must(same ? bytes_equal(buffer_bytes(&plain), text) : plain.size == 0);
    buffer_free(&changed);
    buffer_free(&sealed);
    buffer_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    struct buffer plain = {0};
    if (size == 0)
        return 0;
    enum object_type type = (enum object_type)(input[0] % 7);
    const struct id *bound_to = type == OBJECT_CONTENTS ? &bound : NULL;
    struct bytes data = behind_first(input, size);
    worked(unseal_object(fuzz_secrets(), type, bound_to, data, &plain, &err), &err);
    buffer_free(&plain);
    change(type, bound_to, data);
    return 0;
}
