/*
 * Limits that several modules share: what a configuration may ask for is what a repository can take. The
 * reader of the configuration refuses more.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define TARGETS_MAX 16 /* of one repository */
#define JOBS_MAX 1000  /* of one configuration */
#define WORKERS_MAX 64 /* threads of one operation */
/* Bytes of the packs that a writer makes. */
#define PACK_SIZE_MIN (64u << 10)
#define PACK_SIZE_MAX (128u << 20)

#endif
