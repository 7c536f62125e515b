/*
 * Parts of the chain of credentials.c: files, programs, JSON, the instance's metadata. Each gives keys, or
 * says why not; values never go into messages. Only credentials*.c and their test use it.
 */
#ifndef STORAGE_CREDENTIALS_INTERNAL_H
#define STORAGE_CREDENTIALS_INTERNAL_H

#include "base/bytes.h"
#include "storage/credentials.h"

#include <stdbool.h>

/* ---- credentials_file.c ---- */

#define CREDENTIALS_FILE_MAX (1u << 20)

struct credentials_profile {
    bool found;    /* the file has it, maybe with nothing of use in it */
    bool has_keys; /* id and secret are there */
    struct credentials keys;
    struct buffer process; /* credential_process, or empty */
    const char *refused;   /* a setting that leads to keys in a way that is not supported, or NULL */
};

/* Reads profile `name` from a file as AWS's tools write them; with `config`, sections are called "profile
 * NAME". A file that is not there has no profile; DENIED if keys or a program to run stand in a file that
 * others may access. Free with credentials_profile_free. */
int credentials_read_profile(const char *path, const char *name, bool config,
                             struct credentials_profile *profile, struct error *err);
void credentials_profile_free(struct credentials_profile *profile);

/* Copies a value of at most size - 1 bytes that may stand in a header: visible ASCII. */
bool credentials_copy(char *to, size_t size, const char *value, size_t length);

/* ---- credentials_json.c ---- */

#define CREDENTIALS_JSON_MAX (64u << 10)

enum credentials_form { CREDENTIALS_PROCESS, CREDENTIALS_IMDS };
/* What a credential_process prints (Version 1), or what the metadata service says of a role. DENIED. */
int credentials_parse_json(struct bytes text, enum credentials_form form, struct credentials *out,
                           struct error *err);
/* RFC 3339 with Z or an offset, as both forms have it; false if it is none. */
bool credentials_parse_time(const char *text, int64_t *seconds);
/* jansson overwrites from now on what it frees. Before there are threads. */
void credentials_prepare_json(void);

/* ---- credentials_process.c ---- */

/* Splits a line into arguments: blanks separate, quotes of both kinds and backslashes keep together; nothing
 * is expanded. False if a quote is not closed or there is nothing. *argv (ended by NULL) points into *room,
 * both to be freed. */
bool credentials_split(const char *line, char ***argv, char **room);
/* Runs a credential_process without a shell. DENIED with what it said. */
int credentials_run_process(const char *line, unsigned timeout, struct credentials *out, struct error *err);

/* ---- credentials_imds.c ---- */

#define CREDENTIALS_ROLE_MAX 65

/* IMDSv2: a token, the role's name, its keys. NOT_FOUND where there is no such service or no role. */
int credentials_ask_imds(const char *endpoint, char role[CREDENTIALS_ROLE_MAX], struct credentials *out,
                         struct error *err);

#endif
