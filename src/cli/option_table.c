#include "cli/options.h"

#define BIT(command) ((uint64_t)1 << COMMAND_##command)
#define AT(member) offsetof(struct options, member)
/* These open contents, so they need a person's key; init makes the first and host add writes a keyring. */
#define NEEDS_PERSON (BIT(INIT) | BIT(CAT) | BIT(RESTORE) | BIT(EXPORT) | BIT(VERIFY) | BIT(HOST_ADD))
/* These work on a bare machine with --target and a person's key. */
#define BARE                                                                                                 \
    (BIT(SNAPSHOTS) | BIT(LS) | BIT(FIND) | BIT(DIFF) | BIT(CAT) | BIT(RESTORE) | BIT(EXPORT) | BIT(VERIFY))

static const char *const classes[] = {"daily", "weekly", "monthly", "yearly", "manual", NULL};
static const char *const overwrites[] = {"never", "changed", "always", NULL};
static const char *const owners[] = {"auto", "names", "numbers", NULL};
static const char *const formats[] = {"pax", "zip", NULL};
static const char *const roles[] = {"write", "prune", NULL};

static const struct option_entry option_table[] = {
    {"config", 'c', OPTION_TEXT, AT(config), "FILE|DIR", .help = "the configuration, or a folder of them"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print errors and warnings only"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), .help = "say more about the work"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as one JSON document"},
    {"help", 'h', OPTION_FLAG, AT(help), .help = "print help and exit"},
    {"version", 'V', OPTION_FLAG, AT(version), .help = "print the version and exit"},
    {"passphrase-file", 0, OPTION_TEXT, AT(passphrase_file), "FILE", .commands = NEEDS_PERSON | BARE,
     .help = "read the person's passphrase from FILE"},
    {"person-key", 0, OPTION_TEXT, AT(person_key), "FILE", .commands = NEEDS_PERSON | BARE,
     .help = "use the person key kept in FILE; init makes it there"},
    {"person", 0, OPTION_TEXT, AT(person), "NAME", .commands = BIT(INIT),
     .help = "name of the first person (default: admin)"},
    {"class", 0, OPTION_CHOICE, AT(class), "CLASS", classes, .commands = BIT(BACKUP),
     .help = "class of the snapshot (default: manual)"},
    {"to", 0, OPTION_TEXT, AT(to), "DIR", .commands = BIT(RESTORE), .required = BIT(RESTORE),
     .help = "folder below which the source paths are made again"},
    {"overwrite", 0, OPTION_CHOICE, AT(overwrite), "WHEN", overwrites, .commands = BIT(RESTORE),
     .help = "what to do with files that are there (default: never)"},
    {"owners", 0, OPTION_CHOICE, AT(owners), "HOW", owners, .commands = BIT(RESTORE),
     .help = "who gets the files: names or numbers (default: auto, names but for systems)"},
    {"from", 0, OPTION_TEXT, AT(from), "TARGET", .commands = BIT(RESTORE),
     .help = "read from this configured target only"},
    {"target", 0, OPTION_TEXT, AT(target), "URL", .commands = BARE,
     .help = "read from this address, without a configuration"},
    {"new-target", 0, OPTION_TEXT, AT(new_target), "NAME", .commands = BIT(HEAL),
     .help = "fill this target, also if it held the repository before"},
    {"format", 0, OPTION_CHOICE, AT(format), "FORMAT", formats, .commands = BIT(EXPORT),
     .help = "format of the archive (default: pax)"},
    {"dry-run", 'n', OPTION_FLAG, AT(dry_run), .commands = BIT(RUN) | BIT(RESTORE) | BIT(PRUNE),
     .help = "say what would be done and why; write nothing"},
    {"force", 0, OPTION_FLAG, AT(force), .commands = BIT(PRUNE),
     .help = "remove more than prune.max_removal; look for dead data in any case"},
    {"sample", 0, OPTION_PERCENT, AT(sample), "PERCENT", .commands = BIT(VERIFY),
     .help = "read and hash this share of the objects"},
    {"all", 0, OPTION_FLAG, AT(all), .commands = BIT(VERIFY) | BIT(RESTORE),
     .help = "verify: read and hash every object; restore: the snapshots of all jobs that SNAPSHOT fits"},
    {"content", 0, OPTION_FLAG, AT(content), .commands = BIT(VERIFY),
     .help = "also open the frames and check every blob (needs a person's key)"},
    {"online", 0, OPTION_FLAG, AT(online), .commands = BIT(CHECK_CONFIG),
     .help = "try each target for real: reach, write, read, remove, lock"},
    {"acknowledge", 0, OPTION_FLAG, AT(acknowledge), .commands = BIT(STATUS),
     .help = "put the problems aside that are facts of the past"},
    {"out", 0, OPTION_TEXT, AT(out), "FILE", .commands = BIT(HOST_ADD), .required = BIT(HOST_ADD),
     .help = "write the new host's key file here"},
    {"group", 0, OPTION_TEXT, AT(group), "NAME", .commands = BIT(HOST_ADD),
     .help = "dedup group of the host (default: itself alone)"},
    {"role", 0, OPTION_CHOICE, AT(role), "ROLE", roles, .commands = BIT(HOST_ADD),
     .help = "what the host may do (default: write)"},
    {"root", 0, OPTION_TEXT, AT(root), "DIR", .commands = BIT(SCHEDULE_INSTALL) | BIT(SCHEDULE_UNINSTALL),
     .help = "below this folder instead of /"},
    {"table", 0, OPTION_FLAG, AT(table), .commands = BIT(HELP), .hidden = true,
     .help = "print the tables of commands, options and settings"},
};

static const char snapshot_note[] =
    "SNAPSHOT is the beginning of an id, latest, JOB:latest, JOB:CLASS, JOB@DATE or JOB@DATETHH:MM\n"
    "(the latest at or before), each with HOST/ before it for another host. Without JOB (latest, :CLASS, "
    "@DATE)\n"
    "it must be clear which job is meant: where there are several, they are listed.";

#define ANY ((size_t)-1)
static const struct command_entry command_table[] = {
    {COMMAND_INIT, "init", "", 0, 0,
     "create the repository on every target, the first person and this host's key",
     "Shows a passphrase of seven random words unless one is given. Keep it off this machine: without it\n"
     "nothing can be restored."},
    {COMMAND_CHECK_CONFIG, "check-config", "", 0, 0, "check the configuration and say what it means",
     "With --online each target is tried for real, with a small object that is removed again."},
    {COMMAND_NOTIFY_TEST, "notify-test", "", 0, 0, "send a test message through every channel of notify",
     NULL},
    {COMMAND_BACKUP, "backup", "[JOB...]", 0, ANY, "take a snapshot of each job now",
     "Without JOB, of every job."},
    {COMMAND_RUN, "run", "[JOB...]", 0, ANY,
     "take every snapshot that is due, then prune and verify: for cron",
     "Where nothing is due it ends at once, without asking any target. Without JOB, for every job."},
    {COMMAND_SNAPSHOTS, "snapshots", "[JOB]", 0, 1, "list the snapshots, newest last", NULL},
    {COMMAND_LS, "ls", "SNAPSHOT [PATH]", 1, 2, "list a folder of a snapshot", snapshot_note},
    {COMMAND_FIND, "find", "PATTERN", 1, 1, "find names in all snapshots",
     "PATTERN is matched against the last part of each path; with a slash in it, against the whole path."},
    {COMMAND_CAT, "cat", "SNAPSHOT PATH", 2, 2, "write one file to standard output", snapshot_note},
    {COMMAND_DIFF, "diff", "SNAPSHOT SNAPSHOT", 2, 2, "list what differs between two snapshots",
     snapshot_note},
    {COMMAND_RESTORE, "restore", "SNAPSHOT [PATH...]", 1, ANY,
     "write a snapshot, or parts of it, to a folder", snapshot_note},
    {COMMAND_EXPORT, "export", "SNAPSHOT [PATH...]", 1, ANY, "write an archive to standard output",
     snapshot_note},
    {COMMAND_FORGET, "forget", "SNAPSHOT", 1, 1, "give a snapshot up; prune then frees its space",
     snapshot_note},
    {COMMAND_PIN, "pin", "SNAPSHOT", 1, 1, "keep a snapshot whatever the rotation says", snapshot_note},
    {COMMAND_UNPIN, "unpin", "SNAPSHOT", 1, 1, "leave a pinned snapshot to the rotation again",
     snapshot_note},
    {COMMAND_PRUNE, "prune", "[JOB]", 0, 1, "expire snapshots by the rotation and remove dead data", NULL},
    {COMMAND_VERIFY, "verify", "", 0, 0, "check what the targets hold",
     "Without --sample or --all: that every object the snapshots need is there, and its size."},
    {COMMAND_HEAL, "heal", "", 0, 0, "make every target hold all snapshots, from the others",
     "A target that held the repository before and is empty now is not filled: its disk may not be mounted.\n"
     "With --new-target NAME it is."},
    {COMMAND_HOST_ADD, "host add", "NAME", 1, 1, "let another host use the repository", NULL},
    {COMMAND_HOST_LIST, "host list", "", 0, 0, "list the hosts of the repository", NULL},
    {COMMAND_SCHEDULE, "schedule", "", 0, 0, "list when each class of each job was taken, and is next", NULL},
    {COMMAND_SCHEDULE_INSTALL, "schedule install", "cron|systemd", 1, 1, "let cron or systemd start runs",
     "Writes a file for cron, or a timer and a service for systemd, and shows them."},
    {COMMAND_SCHEDULE_UNINSTALL, "schedule uninstall", "[cron|systemd]", 0, 1,
     "remove what schedule install wrote", NULL},
    {COMMAND_STATUS, "status", "", 0, 0, "say how each job and each target is, and what is to be done",
     "Exit status 0: all is well; 3: warnings; 6: a target is behind or down; 1: a job failed or is "
     "overdue;\n"
     "5: damage. With several configurations the worst of all.\n"
     "What is acknowledged (a run that failed, damage that was found, files that could not be read) counts "
     "no\n"
     "more until it happens again; what still holds cannot be."},
    {COMMAND_HELP, "help", "[COMMAND]", 0, 2, "explain a command", NULL},
};

const struct option_entry *options_table(size_t *count)
{
    *count = sizeof option_table / sizeof *option_table;
    return option_table;
}

const struct command_entry *options_commands(size_t *count)
{
    *count = sizeof command_table / sizeof *command_table;
    return command_table;
}
