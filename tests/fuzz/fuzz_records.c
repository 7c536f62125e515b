/* Manifests, run records, events and leases. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    struct error err = {0};
    if (size == 0)
        return 0;
    struct bytes data = behind_first(input, size);
    switch (input[0] % 4) {
    case 0:
        ROUND_TRIP(manifest, manifest_decode, manifest_encode);
        break;
    case 1:
        ROUND_TRIP(run_record, run_decode, run_encode);
        break;
    case 2:
        ROUND_TRIP(event, event_decode, event_encode);
        break;
    default:
        ROUND_TRIP(lease, lease_decode, lease_encode);
    }
    return 0;
}
