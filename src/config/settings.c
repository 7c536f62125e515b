#include "config/settings.h"

#include "config/config.h"
#include "http/url.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (366 * (int64_t)DAY)
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define TIB ((int64_t)1 << 40)
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define NAME UPPER LOWER DIGITS "._-"
#define VISIBLE NAME "!#$%&'()*+,/:;<=>?@[]^`{|}~"
#define MAIL NAME "!#$%&'*+/=?^`{|}~@"
#define SECTION(label, table)                                                                                \
    {                                                                                                        \
        label, table, sizeof(table) / sizeof *(table)                                                        \
    }

#define AT(member) .offset = offsetof(struct config_repository, member)
static const struct setting repository_settings[] = {
    {"name", SETTING_STRING, AT(name), .min = 1, .max = 64, .characters = NAME},
    {"key_file", SETTING_PATH, AT(key_file), .required = true},
    {"state_dir", SETTING_PATH, AT(state_dir)},
    {"residency", SETTING_STRINGS, AT(residency), .min = 1, .max = 64, .characters = UPPER},
    {"min_targets", SETTING_INTEGER, AT(min_targets), .min = 1, .max = TARGETS_MAX, .fallback = "1"},
    {"compression", SETTING_INTEGER, AT(compression), .min = 1, .max = 19},
    {"upload_limit", SETTING_SIZE, AT(upload_limit), .min = KIB, .max = TIB},
    {"download_limit", SETTING_SIZE, AT(download_limit), .min = KIB, .max = TIB},
    {"workers", SETTING_INTEGER, AT(workers), .min = 1, .max = WORKERS_MAX},
    {"meta_cache", SETTING_SIZE, AT(meta_cache), .min = 0, .max = TIB, .fallback = "512M"},
    {"chunk_average", SETTING_SIZE, AT(chunk_average), .min = 16 * KIB, .max = 16 * MIB, .fallback = "1M"},
    {"pack_size", SETTING_SIZE, AT(pack_size), .min = PACK_SIZE_MIN, .max = PACK_SIZE_MAX, .fallback = "16M"},
    {"checkpoint_interval", SETTING_DURATION, AT(checkpoint_interval), .min = 1, .max = DAY,
     .fallback = "10m"},
    {"lease_refresh", SETTING_DURATION, AT(lease_refresh), .min = 1, .max = DAY, .fallback = "1h"},
    {"lease_recheck", SETTING_DURATION, AT(lease_recheck), .min = 1, .max = 30 * DAY, .fallback = "12h"},
    {"lease_live", SETTING_DURATION, AT(lease_live), .min = 1, .max = 60 * DAY, .fallback = "24h"},
    {"condemn_grace", SETTING_DURATION, AT(condemn_grace), .min = 0, .max = YEAR, .fallback = "0"},
    {"clock_tolerance", SETTING_DURATION, AT(clock_tolerance), .min = 1, .max = YEAR, .fallback = "1d"},
    {"target_lag", SETTING_DURATION, AT(target_lag), .min = 1, .max = DAY, .fallback = "2m"},
    {"retry_budget", SETTING_DURATION, AT(retry_budget), .min = 0, .max = DAY, .fallback = "15m"},
    {"stall_timeout", SETTING_DURATION, AT(stall_timeout), .min = 1, .max = DAY, .fallback = "1m"},
};
static const struct section repository_section = SECTION("repository", repository_settings);
#undef AT

static const char *const lock_modes[] = {"governance", "compliance", NULL};
#define AT(member) .offset = offsetof(struct config_object_lock, member)
static const struct setting lock_settings[] = {
    {"mode", SETTING_CHOICE, AT(mode), .required = true, .min = CONFIG_LOCK_GOVERNANCE,
     .choices = lock_modes},
    {"retain", SETTING_DURATION, AT(retain), .required = true, .min = 1, .max = 100 * YEAR},
};
static const struct section lock_section = SECTION("object_lock", lock_settings);
#undef AT

static const char *const target_types[] = {"local", "s3", NULL};
static const char *const providers[] = {"aws", "digitalocean", "hetzner", "other", NULL};
static const char *const addressings[] = {"auto", "path", "virtual", NULL};
static const char *const sses[] = {"none", "AES256", "customer", NULL};
#define AT(member) .offset = offsetof(struct config_target, member)
static const struct setting target_settings[] = {
    {"name", SETTING_STRING, AT(name), .required = true, .min = 1, .max = 64, .characters = NAME},
    {"type", SETTING_CHOICE, AT(type), .required = true, .choices = target_types},
    {"jurisdiction", SETTING_STRING, AT(jurisdiction), .min = 2, .max = 2, .characters = UPPER},
    {"path", SETTING_PATH, AT(path), .required = true, .only = " local "},
    {"provider", SETTING_CHOICE, AT(provider), .required = true, .only = " s3 ", .choices = providers},
    {"region", SETTING_STRING, AT(region), .only = " s3 ", .min = 1, .max = 64,
     .characters = LOWER DIGITS "-"},
    {"bucket", SETTING_STRING, AT(bucket), .required = true, .only = " s3 ", .min = 3, .max = 63,
     .characters = LOWER DIGITS ".-"},
    {"endpoint", SETTING_STRING, AT(endpoint), .only = " s3 ", .min = 8, .max = 512, .characters = VISIBLE},
    {"prefix", SETTING_STRING, AT(prefix), .only = " s3 ", .max = 512, .fallback = "",
     .characters = NAME "/"},
    {"credentials_file", SETTING_PATH, AT(credentials_file), .only = " s3 "},
    {"profile", SETTING_STRING, AT(profile), .only = " s3 ", .min = 1, .max = 64, .characters = NAME},
    {"ca_file", SETTING_PATH, AT(ca_file), .only = " s3 "},
    {"allow_insecure_http", SETTING_BOOLEAN, AT(allow_insecure_http), .only = " s3 ", .fallback = "false"},
    {"addressing", SETTING_CHOICE, AT(addressing), .only = " s3 ", .choices = addressings,
     .fallback = "auto"},
    {"sse", SETTING_CHOICE, AT(sse), .only = " s3 ", .choices = sses, .fallback = "none"},
    {"storage_class", SETTING_STRING, AT(storage_class), .only = " s3 ", .min = 1, .max = 32,
     .characters = UPPER DIGITS "_"},
    {"connections", SETTING_INTEGER, AT(connections), .only = " s3 ", .min = 1, .max = 64, .fallback = "4"},
    {"object_lock", SETTING_GROUP, AT(object_lock), .only = " s3 ", .section = &lock_section},
};
static const struct section target_section = SECTION("targets", target_settings);
#undef AT

static const char *const source_types[] = {"files", "command", "tar", NULL};
#define AT(member) .offset = offsetof(struct config_source, member)
static const struct setting source_settings[] = {
    {"type", SETTING_CHOICE, AT(type), .required = true, .choices = source_types},
    {"paths", SETTING_PATHS, AT(paths), .required = true, .only = " files ", .min = 1, .max = 10000},
    {"exclude", SETTING_STRINGS, AT(exclude), .only = " files tar ", .min = 0, .max = 10000},
    {"one_file_system", SETTING_BOOLEAN, AT(one_file_system), .only = " files ", .fallback = "false"},
    {"exclude_caches", SETTING_BOOLEAN, AT(exclude_caches), .only = " files ", .fallback = "true"},
    {"command", SETTING_STRINGS, AT(command), .only = " command tar ", .min = 1, .max = 1000},
    {"archive", SETTING_PATH, AT(archive), .only = " tar "},
    {"filename", SETTING_STRING, AT(filename), .only = " command ", .min = 1, .max = 255},
};
static const struct section source_section = SECTION("source", source_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_schedule, member)
static const struct setting schedule_settings[] = {
    {"daily", SETTING_TIME, AT(daily), .min = SCHEDULE_DAILY},
    {"weekly", SETTING_TIME, AT(weekly), .min = SCHEDULE_WEEKLY},
    {"monthly", SETTING_TIME, AT(monthly), .min = SCHEDULE_MONTHLY},
    {"yearly", SETTING_TIME, AT(yearly), .min = SCHEDULE_YEARLY},
    {"timezone", SETTING_ZONE, AT(timezone)},
};
static const struct section schedule_section = SECTION("schedule", schedule_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_keep, member)
static const struct setting keep_settings[] = {
    {"daily", SETTING_INTEGER, AT(daily), .min = 1, .max = 100000},
    {"weekly", SETTING_INTEGER, AT(weekly), .min = 1, .max = 100000},
    {"monthly", SETTING_INTEGER, AT(monthly), .min = 1, .max = 100000},
    {"yearly", SETTING_INTEGER, AT(yearly), .min = 1, .max = 100000},
    {"manual", SETTING_INTEGER, AT(manual), .min = 0, .max = 100000},
    {"within", SETTING_DURATION, AT(within), .min = 1, .max = 1000 * YEAR},
    {"min", SETTING_INTEGER, AT(min), .min = 0, .max = 100000, .fallback = "1"},
};
static const struct section keep_section = SECTION("keep", keep_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_hooks, member)
static const struct setting hooks_settings[] = {
    {"before", SETTING_COMMANDS, AT(before), .min = 1, .max = 1000},
    {"after", SETTING_COMMANDS, AT(after), .min = 1, .max = 1000},
    {"on_success", SETTING_COMMANDS, AT(on_success), .min = 1, .max = 1000},
    {"on_warning", SETTING_COMMANDS, AT(on_warning), .min = 1, .max = 1000},
    {"on_failure", SETTING_COMMANDS, AT(on_failure), .min = 1, .max = 1000},
    {"timeout", SETTING_DURATION, AT(timeout), .min = 1, .max = 7 * DAY, .fallback = "1h"},
};
static const struct section hooks_section = SECTION("hooks", hooks_settings);
#undef AT

/* In the order of the CONFIG_ON_ bits. */
static const char *const notify_on[] = {"failure", "warning", "recovered", "success", NULL};
static const char *const notify_types[] = {"webhook", "ping", "mail", "syslog", NULL};
static const char *const facilities[] = {"daemon", "user",   "local0", "local1", "local2", "local3",
                                         "local4", "local5", "local6", "local7", NULL};
#define AT(member) .offset = offsetof(struct config_notify, member)
static const struct setting notify_settings[] = {
    {"type", SETTING_CHOICE, AT(type), .required = true, .choices = notify_types},
    {"on", SETTING_CHOICES, AT(on), .only = " webhook mail syslog ", .choices = notify_on,
     .fallback = "failure warning recovered"},
    {"timeout", SETTING_DURATION, AT(timeout), .min = 1, .max = 10 * MINUTE, .fallback = "30s"},
    {"url", SETTING_STRING, AT(url), .only = " webhook ping ", .min = 8,
     .max = HTTP_URL_MAX}, /* checked by config.c */
    {"url_file", SETTING_PATH, AT(url_file), .only = " webhook ping "},
    {"ca_file", SETTING_PATH, AT(ca_file), .only = " webhook ping "},
    {"allow_insecure_http", SETTING_BOOLEAN, AT(allow_insecure_http), .only = " webhook ping ",
     .fallback = "false"},
    {"start", SETTING_STRING, AT(start), .only = " ping ", .max = 256, .fallback = "/start",
     .characters = VISIBLE},
    {"success", SETTING_STRING, AT(success), .only = " ping ", .max = 256, .fallback = "",
     .characters = VISIBLE},
    {"warning", SETTING_STRING, AT(warning), .only = " ping ", .max = 256, .fallback = "",
     .characters = VISIBLE},
    {"failure", SETTING_STRING, AT(failure), .only = " ping ", .max = 256, .fallback = "/fail",
     .characters = VISIBLE},
    {"to", SETTING_STRINGS, AT(to), .required = true, .only = " mail ", .min = 1, .max = 100,
     .characters = MAIL},
    {"from", SETTING_STRING, AT(from), .only = " mail ", .min = 1, .max = 254, .characters = MAIL},
    {"command", SETTING_STRINGS, AT(command), .only = " mail ", .min = 1, .max = 1000},
    {"facility", SETTING_CHOICE, AT(facility), .only = " syslog ", .choices = facilities,
     .fallback = "daemon"},
};
static const struct section notify_section = SECTION("notify", notify_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_job, member)
static const struct setting job_settings[] = {
    {"name", SETTING_STRING, AT(name), .required = true, .min = 1, .max = 64, .characters = NAME},
    {"source", SETTING_GROUP, AT(source), .required = true, .section = &source_section},
    {"schedule", SETTING_GROUP, AT(schedule), .section = &schedule_section},
    {"keep", SETTING_GROUP, AT(keep), .section = &keep_section},
    {"hooks", SETTING_GROUP, AT(hooks), .section = &hooks_section},
};
static const struct section job_section = SECTION("jobs", job_settings);
#undef AT

static const char *const ionices[] = {"none", "best-effort", "idle", NULL};
#define AT(member) .offset = offsetof(struct config_run, member)
static const struct setting run_settings[] = {
    {"jitter", SETTING_DURATION, AT(jitter), .min = 0, .max = DAY, .fallback = "0"},
    {"max_runtime", SETTING_DURATION, AT(max_runtime), .min = 1, .max = YEAR, .fallback = "1d"},
    {"lock_wait", SETTING_DURATION, AT(lock_wait), .min = 0, .max = DAY, .fallback = "1m"},
    {"nice", SETTING_INTEGER, AT(nice), .min = 0, .max = 19, .fallback = "0"},
    {"ionice", SETTING_CHOICE, AT(ionice), .choices = ionices, .fallback = "none"},
};
static const struct section run_section = SECTION("run", run_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_verify, member)
static const struct setting verify_settings[] = {
    {"sample", SETTING_INTEGER, AT(sample), .min = 0, .max = 100, .fallback = "1"},
    {"every", SETTING_DURATION, AT(every), .min = 1, .max = YEAR, .fallback = "7d"},
};
static const struct section verify_section = SECTION("verify", verify_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_metrics, member)
static const struct setting metrics_settings[] = {
    {"textfile", SETTING_PATH, AT(textfile)},
};
static const struct section metrics_section = SECTION("metrics", metrics_settings);
#undef AT

#define AT(member) .offset = offsetof(struct config_prune, member)
static const struct setting prune_settings[] = {
    {"max_removal", SETTING_INTEGER, AT(max_removal), .min = 1, .max = 100, .fallback = "50"},
};
static const struct section prune_section = SECTION("prune", prune_settings);
#undef AT

static const struct setting root_settings[] = {
    {"repository", SETTING_GROUP, .offset = offsetof(struct config, repository), .required = true,
     .section = &repository_section},
    {"targets", SETTING_LIST, .offset = offsetof(struct config, targets), .required = true, .min = 1,
     .max = TARGETS_MAX, .section = &target_section},
    {"jobs", SETTING_LIST, .offset = offsetof(struct config, jobs), .required = true, .min = 1,
     .max = JOBS_MAX, .section = &job_section},
    {"hooks", SETTING_GROUP, .offset = offsetof(struct config, hooks), .section = &hooks_section},
    {"notify", SETTING_LIST, .offset = offsetof(struct config, notify), .max = CONFIG_NOTIFY_MAX,
     .section = &notify_section},
    {"run", SETTING_GROUP, .offset = offsetof(struct config, run), .section = &run_section},
    {"verify", SETTING_GROUP, .offset = offsetof(struct config, verify), .section = &verify_section},
    {"metrics", SETTING_GROUP, .offset = offsetof(struct config, metrics), .section = &metrics_section},
    {"prune", SETTING_GROUP, .offset = offsetof(struct config, prune), .section = &prune_section},
};
static const struct section root_section = SECTION("", root_settings);

const struct section *settings_root(void)
{
    return &root_section;
}

const char *settings_type_name(enum setting_type type)
{
    static const char *const names[] = {"string",   "path",     "strings", "paths",  "integer",
                                        "size",     "duration", "boolean", "choice", "choices",
                                        "commands", "schedule", "zone",    "group",  "list"};
    return names[type];
}
