/* Key files: the text form of hosts' and persons' keys, the header of a person key under a passphrase. */
#include "fuzz.h"
#include "keys/host.h"
#include "keys/person.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    struct buffer text = {0};
    struct host_key host;
    struct person_key person;
    struct person_key_header header;
    struct bytes data = bytes_of(input, size);
    if (worked(host_key_parse_text(data, &host, &err), &err)) {
        struct host_key again;
        host_key_write_text(&host, &text);
        must(host_key_parse_text(buffer_bytes(&text), &again, &err) == 0 &&
             id16_equal(&again.host, &host.host));
    }
    buffer_clear(&text);
    if (worked(person_key_parse_text(data, &person, &err), &err)) {
        struct person_key again;
        person_key_write_text(&person, &text);
        must(person_key_parse_text(buffer_bytes(&text), &again, &err) == 0 &&
             id_equal(&again.root, &person.root));
    }
    if (worked(person_key_read_header(data, &header, &err), &err))
        must(header.log2n >= 15 && header.log2n <= 20 && header.r == 8 && header.p == 1);
    buffer_free(&text);
    return 0;
}
