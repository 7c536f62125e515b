/*
 * Where the access keys of an S3 store come from: the chain of S3 clients (files and profiles, environment,
 * credential_process, IMDSv2). Used by the S3 driver, for each request; renewed in time. Threads may share
 * one.
 */
#ifndef STORAGE_CREDENTIALS_H
#define STORAGE_CREDENTIALS_H

#include "base/error.h"

#include <stdint.h>

struct credentials_options {
    const char *file;          /* the configuration's credentials_file, or NULL */
    const char *profile;       /* of that file, or of AWS's own; NULL: AWS_PROFILE there, else "default" */
    const char *imds_endpoint; /* NULL: AWS_EC2_METADATA_SERVICE_ENDPOINT, else http://169.254.169.254 */
    unsigned process_timeout;  /* seconds for a credential_process; 0: 60 */
};

#define CREDENTIALS_ID_MAX 256
#define CREDENTIALS_SECRET_MAX 512
#define CREDENTIALS_TOKEN_MAX 16384

struct credentials {
    char id[CREDENTIALS_ID_MAX];
    char secret[CREDENTIALS_SECRET_MAX];
    char token[CREDENTIALS_TOKEN_MAX]; /* empty: none */
    int64_t expires;                   /* Unix seconds; 0: never */
    uint64_t generation;               /* grows with each renewal: signing keys are kept by it */
};

struct credentials_source;
/* Looks nothing up yet. Copies the options. */
struct credentials_source *credentials_source_new(const struct credentials_options *options);
void credentials_source_free(struct credentials_source *source);

/* The keys in force, renewed when under five minutes are left; as long as the old ones hold, a failure to do
 * so is a warning. With `refused` set to the generation that a store refused as expired, they are looked up
 * anew if they are still of that generation: if *out comes with it again, there are no others. DENIED with
 * what was tried, in order, and a hint, if there are none; DENIED if a file that holds them may be read by
 * others. A file that is given is the only place: only without one are the others tried, each being final
 * where it holds something that does not work. Cleanse *out with credentials_cleanse. */
int credentials_get(struct credentials_source *source, uint64_t refused, struct credentials *out,
                    struct error *err);
void credentials_cleanse(struct credentials *credentials);
/* Where they come from, for check-config: "profile web1 of /etc/...", "environment", "IMDS role x". Valid as
 * long as the source; "" before the first get. */
const char *credentials_source_describe(const struct credentials_source *source);

#endif
