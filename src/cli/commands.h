/*
 * The commands: one file cmd_*.c each. Each does its work, prints its result to standard output and its
 * errors by status_report(), and returns the exit status (cli/status.h). Only main.c calls them.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

int cmd_init(const struct options *options);
int cmd_check_config(const struct options *options);
int cmd_notify_test(const struct options *options);
int cmd_backup(const struct options *options);
int cmd_run(const struct options *options);
int cmd_snapshots(const struct options *options);
int cmd_ls(const struct options *options);
int cmd_find(const struct options *options);
int cmd_cat(const struct options *options);
int cmd_diff(const struct options *options);
int cmd_restore(const struct options *options);
int cmd_export(const struct options *options);
int cmd_forget(const struct options *options);
int cmd_pin(const struct options *options);
int cmd_unpin(const struct options *options);
int cmd_prune(const struct options *options);
int cmd_verify(const struct options *options);
int cmd_heal(const struct options *options);
int cmd_host_add(const struct options *options);
int cmd_host_list(const struct options *options);
int cmd_schedule(const struct options *options);
int cmd_schedule_install(const struct options *options);
int cmd_schedule_uninstall(const struct options *options);
int cmd_status(const struct options *options);
int cmd_help(const struct options *options);

#endif
