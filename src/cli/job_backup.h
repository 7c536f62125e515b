/*
 * Taking the snapshot of one configured job: what `backup` and `run` share.
 */
#ifndef CLI_JOB_BACKUP_H
#define CLI_JOB_BACKUP_H

#include "cli/options.h"
#include "cli/wire.h"
#include "ops/backup.h"

/* USAGE if an operand names no job. */
int job_check_names(const struct options *options, const struct config *config, struct error *err);
/* Named by an operand, or there are none. */
bool job_is_chosen(const struct options *options, const struct config_job *job);

/* backup_run for this job, with a line of progress; classes: CLASS_ bits. */
int job_backup(const struct options *options, const struct wire *wire, const struct config_job *job,
               uint32_t classes, struct backup_result *result, struct error *err);
/* One line on standard output. */
void job_print_result(const char *job, const struct backup_result *result);

#endif
