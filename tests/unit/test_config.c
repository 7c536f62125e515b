#include "base/file.h"
#include "base/memory.h"
#include "config/config.h"
#include "config/settings.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPOSITORY "repository = { key_file = \"/k/key\"; };\n"
#define TARGETS "targets = ( { name = \"disk\"; type = \"local\"; path = \"/srv/b\"; } );\n"
#define SOURCE "source = { type = \"files\"; paths = [ \"/etc\" ]; };"
#define JOBS "jobs = ( { name = \"files\"; " SOURCE " } );\n"

static struct error err;

/* libconfig 1.5 itself loses the string it was reading when the text ends within it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static struct config *parse_good(const char *text)
{
    struct config *config = NULL;
    int code = config_parse("/etc/holdfast/web1.conf", bytes_of_string(text), &config, &err);
    ck_assert_msg(code == 0, "%s", err.message);
    return config;
}

/* The text must be refused with `message` after the file's name, and `hint` in the hint. */
static void expect_refused(const char *text, const char *message, const char *hint)
{
    struct config *config = NULL;
    err = (struct error){0};
    int code = config_parse("x.conf", bytes_of_string(text), &config, &err);
    ck_assert_msg(code == ERROR_USAGE, "accepted, or code %d: %s", code, text);
    ck_assert_ptr_null(config);
    ck_assert_msg(strncmp(err.message, "x.conf:", 7) == 0, "%s", err.message);
    ck_assert_msg(strstr(err.message + 7, message) != NULL, "\"%s\" lacks \"%s\"", err.message, message);
    ck_assert_msg(!hint || strstr(err.hint, hint) != NULL, "\"%s\" lacks \"%s\"", err.hint, hint);
}

START_TEST(shortest_file_gets_every_default)
{
    struct config *c = parse_good(REPOSITORY TARGETS JOBS);
    ck_assert_str_eq(c->repository.name, "web1");
    ck_assert_str_eq(c->repository.state_dir, "/var/lib/holdfast/web1");
    ck_assert_int_eq(c->repository.min_targets, 1);
    ck_assert_int_eq(c->repository.compression, 0);
    ck_assert_int_eq(c->repository.pack_size, 16 << 20);
    ck_assert_int_eq(c->repository.lease_refresh, 3600);
    ck_assert_int_eq(c->repository.lease_live, 86400);
    ck_assert_int_eq(c->repository.checkpoint_interval, 600);
    ck_assert_uint_eq(c->target_count, 1);
    ck_assert_int_eq(c->targets[0].type, CONFIG_TARGET_LOCAL);
    ck_assert_uint_eq(c->job_count, 1);
    const struct config_job *job = config_find_job(c, "files");
    ck_assert_ptr_nonnull(job);
    ck_assert(job->source.exclude_caches && !job->source.one_file_system);
    ck_assert_str_eq(job->source.paths.list[0], "/etc");
    ck_assert_int_eq(job->keep.daily, 0);
    ck_assert_int_eq(job->keep.manual, -1);
    ck_assert_int_eq(job->keep.min, 1);
    ck_assert(!job->schedule.daily.set);
    ck_assert_ptr_null(config_find_job(c, "nothing"));
    ck_assert_ptr_null(config_find_target(c, "nothing"));
    config_free(c);
}
END_TEST

static const char full[] =
    "repository = { name = \"web1\";  key_file = \"/etc/holdfast/web1.key\";  state_dir = "
    "\"/var/lib/x/web1\";\n"
    "  residency = [ \"EU\", \"CH\" ];  min_targets = 2;  compression = 3;  upload_limit = \"20M\";\n"
    "  download_limit = \"50M\";  stall_timeout = 20; };\n"
    "targets = (\n"
    "  { name = \"disk\";    type = \"local\"; path = \"/srv/backup/web1\"; },\n"
    "  { name = \"hetzner\"; type = \"s3\"; provider = \"hetzner\"; region = \"fsn1\"; bucket = "
    "\"acme-web1\"; prefix = \"\";\n"
    "    credentials_file = \"/etc/holdfast/hetzner.credentials\"; profile = \"default\";\n"
    "    object_lock = { mode = \"governance\"; retain = \"30d\"; }; },\n"
    "  { name = \"minio\";   type = \"s3\"; provider = \"other\"; endpoint = "
    "\"https://s3.example.net:9000\";\n"
    "    bucket = \"web1\"; jurisdiction = \"DE\"; },\n"
    "  { name = \"cloud\";   type = \"s3\"; provider = \"aws\"; region = \"eu-west-1\"; bucket = "
    "\"acme.web1\";\n"
    "    addressing = \"path\"; sse = \"AES256\"; storage_class = \"STANDARD_IA\"; connections = 8;\n"
    "    ca_file = \"/etc/ssl/acme.pem\"; allow_insecure_http = true; } );\n"
    "jobs = (\n"
    "  { name = \"files\";\n"
    "    source   = { type = \"files\"; paths = [ \"/etc\", \"/srv\" ]; exclude = [ \"*.tmp\", "
    "\"/srv/cache\" ];\n"
    "                 one_file_system = true; exclude_caches = false; };\n"
    "    schedule = { daily = \"02:30\"; weekly = \"sun 03:00\"; monthly = \"1 04:00\"; timezone = \"UTC\"; "
    "};\n"
    "    keep     = { daily = 7; weekly = 5; monthly = 12; within = \"2w\"; manual = 0; min = 3; }; },\n"
    "  { name = \"database\";\n"
    "    source   = { type = \"command\"; command = [ \"pg_dumpall\", \"-U\", \"postgres\" ]; filename = "
    "\"all.sql\"; };\n"
    "    schedule = { daily = \"01:30\"; };  keep = { daily = 14; }; },\n"
    "  { name = \"stream\"; source = { type = \"tar\"; archive = \"/srv/x.tar\"; }; } );\n";

START_TEST(paths_are_read_in_their_normal_form)
{
    struct config *c = parse_good(
        "repository = { name = \"a\"; key_file = \"//k/./key\"; state_dir = \"/var//s/\"; };\n"
        "targets = ( { name = \"disk\"; type = \"local\"; path = \"/srv/b/.\"; } );\n"
        "jobs = ( { name = \"f\"; source = { type = \"files\"; paths = [ \"/x/./src/\", \"/\" ]; }; } );\n");
    ck_assert_str_eq(c->repository.key_file, "/k/key");
    ck_assert_str_eq(c->repository.state_dir, "/var/s");
    ck_assert_str_eq(c->targets[0].path, "/srv/b");
    ck_assert_str_eq(c->jobs[0].source.paths.list[0], "/x/src");
    ck_assert_str_eq(c->jobs[0].source.paths.list[1], "/");
    config_free(c);
}
END_TEST

START_TEST(every_setting_of_the_design_is_read)
{
    struct config *c = parse_good(full);
    ck_assert_str_eq(c->repository.residency.list[1], "CH");
    ck_assert_int_eq(c->repository.upload_limit, 20 << 20);
    ck_assert_int_eq(c->repository.compression, 3);
    ck_assert_int_eq(c->repository.download_limit, 50 << 20);
    ck_assert_int_eq(c->repository.stall_timeout, 20);
    ck_assert_uint_eq(c->target_count, 4);
    const struct config_target *t = config_find_target(c, "hetzner");
    ck_assert_int_eq(t->type, CONFIG_TARGET_S3);
    ck_assert_int_eq(t->provider, CONFIG_PROVIDER_HETZNER);
    ck_assert_int_eq(t->object_lock.mode, CONFIG_LOCK_GOVERNANCE);
    ck_assert_int_eq(t->object_lock.retain, 30 * 86400);
    ck_assert_str_eq(t->prefix, "");
    t = config_find_target(c, "minio");
    ck_assert_int_eq(t->provider, CONFIG_PROVIDER_OTHER);
    ck_assert_str_eq(t->jurisdiction, "DE");
    ck_assert_ptr_null(t->profile);
    ck_assert_int_eq(t->object_lock.mode, CONFIG_LOCK_NONE);
    ck_assert(t->addressing == CONFIG_ADDRESSING_AUTO && t->sse == CONFIG_SSE_NONE && t->connections == 4);
    ck_assert(!t->allow_insecure_http && !t->ca_file && !t->storage_class);
    ck_assert_str_eq(t->region, "us-east-1");
    t = config_find_target(c, "cloud");
    ck_assert(t->addressing == CONFIG_ADDRESSING_PATH && t->sse == CONFIG_SSE_AES256 && t->connections == 8);
    ck_assert_str_eq(t->storage_class, "STANDARD_IA");
    ck_assert_str_eq(t->ca_file, "/etc/ssl/acme.pem");
    ck_assert(t->allow_insecure_http);
    const struct config_job *job = config_find_job(c, "files");
    ck_assert(job->source.one_file_system && !job->source.exclude_caches);
    ck_assert_str_eq(job->source.exclude.list[1], "/srv/cache");
    ck_assert_int_eq(job->schedule.weekly.weekday, 0);
    ck_assert_int_eq(job->schedule.monthly.day, 1);
    ck_assert_int_eq(job->schedule.daily.minute, 30);
    ck_assert_str_eq(job->schedule.timezone, "UTC");
    ck_assert_int_eq(job->keep.within, 14 * 86400);
    ck_assert_int_eq(job->keep.manual, 0);
    ck_assert_int_eq(job->keep.min, 3);
    job = config_find_job(c, "database");
    ck_assert_uint_eq(job->source.command.count, 3);
    ck_assert_str_eq(job->source.filename, "all.sql");
    ck_assert_str_eq(config_find_job(c, "stream")->source.archive, "/srv/x.tar");
    ck_assert_uint_eq(c->text.size, strlen(full));
    ck_assert(memcmp(c->text.data, full, c->text.size) == 0);
    config_free(c);
}
END_TEST

START_TEST(unknown_settings_name_line_and_nearest)
{
    expect_refused("repository = { key_file = \"/k\";\n  min_target = 1; };\n" TARGETS JOBS,
                   "2: unknown setting \"min_target\"", "\"min_targets\"");
    expect_refused(REPOSITORY TARGETS "job = ();\n", "3: unknown setting \"job\"", "\"jobs\"");
    expect_refused(REPOSITORY TARGETS "jobs = ( { name = \"f\"; keep = { dayly = 1; }; } );\n",
                   "3: unknown setting \"dayly\"", "\"daily\"");
    expect_refused(REPOSITORY TARGETS JOBS "\n\nzzzzzzzzzz = 1;\n", "6: unknown setting",
                   "takes: repository");
}
END_TEST

#define REPOSITORY_WITH(setting) "repository = { key_file = \"/k/key\"; " setting " };\n" TARGETS JOBS
#define TARGET_WITH(settings) REPOSITORY "targets = ( { name = \"a\"; " settings " } );\n" JOBS
#define AWS_WITH(settings)                                                                                   \
    TARGET_WITH("type = \"s3\"; provider = \"aws\"; region = \"eu-west-1\"; bucket = \"abc\"; " settings)
#define HETZNER_WITH(settings)                                                                               \
    TARGET_WITH("type = \"s3\"; provider = \"hetzner\"; region = \"fsn1\"; bucket = \"abc\"; " settings)
#define JOB_WITH(settings) REPOSITORY TARGETS "jobs = ( { name = \"a\"; " settings " } );\n"

static const struct {
    const char *text, *message, *hint;
} mistakes[] = {
    {TARGETS JOBS, "\"repository\" is missing", NULL},
    {REPOSITORY JOBS, "\"targets\" is missing", NULL},
    {REPOSITORY TARGETS, "\"jobs\" is missing", NULL},
    {"repository = { };\n" TARGETS JOBS, "1: \"key_file\" is missing in repository", NULL},
    {REPOSITORY "targets = ();\n" JOBS, "2: \"targets\" has 0 entries", NULL},
    {REPOSITORY TARGETS "jobs = ( 1 );\n", "3: \"jobs\" has a value of the wrong type", "parentheses"},
    {"repository = 1;\n" TARGETS JOBS, "1: \"repository\" has a value of the wrong type", "braces"},
    {"repository = { key_file = \"/a\"; key_file = \"/b\"; };\n" TARGETS JOBS, "1: duplicate", NULL},
    {"repository = { key_file = \"/a\" \n" TARGETS JOBS, "syntax error", "semicolon"},
    {"@include \"/etc/passwd\"\n" REPOSITORY TARGETS JOBS, "1: @include", "-c DIR"},
    {REPOSITORY TARGETS "  \t@INCLUDE \"x\"\n" JOBS, "3: @include", NULL},
    {REPOSITORY_WITH("name = \"a/b\";"), "not allowed", "abc"},
    {REPOSITORY_WITH("name = \"..\";"), "begins with a dot", NULL},
    {REPOSITORY_WITH("name = \"\";"), "0 characters", NULL},
    {REPOSITORY_WITH("state_dir = \"var\";"), "not an absolute path", NULL},
    {REPOSITORY_WITH("state_dir = \"/var/../x\";"), "not an absolute path", NULL},
    {REPOSITORY_WITH("state_dir = \"/srv/b/state\";"), "shares its folder", NULL},
    {"repository = { key_file = \"/srv/b/key\"; };\n" TARGETS JOBS, "shares its folder", NULL},
    {REPOSITORY_WITH("min_targets = 2;"), "there are 1 targets", NULL},
    {REPOSITORY_WITH("min_targets = \"1\";"), "wrong type", "whole number"},
    {REPOSITORY_WITH("min_targets = 1.5;"), "wrong type", NULL},
    {REPOSITORY_WITH("compression = 20;"), "takes 1 to 19", NULL},
    {REPOSITORY_WITH("compression = -1;"), "takes 1 to 19", NULL},
    {REPOSITORY_WITH("upload_limit = \"20 M\";"), "not a size", "20M"},
    {REPOSITORY_WITH("upload_limit = \"9999999999999T\";"), "not a size", NULL},
    {REPOSITORY_WITH("upload_limit = 1;"), "1.0 KiB", NULL},
    {REPOSITORY_WITH("lease_live = \"soon\";"), "not a duration", "30d"},
    {REPOSITORY_WITH("lease_live = \"30m\";"), "does not hold", NULL},
    {REPOSITORY_WITH("lease_refresh = true;"), "wrong type", NULL},
    {REPOSITORY_WITH("chunk_average = 1000000;"), "power of two", NULL},
    {REPOSITORY_WITH("pack_size = \"64K\";"), "smaller than chunk_average", NULL},
    {REPOSITORY_WITH("residency = [ \"EU\", \"Germany\" ];"), "\"Germany\"", NULL},
    {REPOSITORY_WITH("residency = \"EU\";"), "wrong type", "brackets"},
    {TARGET_WITH("type = \"tape\";"), "cannot be \"tape\"", "\"local\", \"s3\""},
    {TARGET_WITH("path = \"/x\";"), "\"type\" is missing", NULL},
    {TARGET_WITH("type = \"local\";"), "\"path\" is missing in targets", NULL},
    {TARGET_WITH("type = \"local\"; path = \"x\";"), "not an absolute path", NULL},
    {TARGET_WITH("type = \"local\"; path = \"/x\"; bucket = \"abc\";"), "does not go with", "s3"},
    {TARGET_WITH("type = \"s3\"; provider = \"aws\"; region = \"eu-1\"; bucket = \"A_B\";"), "not allowed",
     NULL},
    {TARGET_WITH("type = \"s3\"; provider = \"aws\"; bucket = \"abc\";"),
     "2: target \"a\": \"region\" is missing", "console"},
    {AWS_WITH("connections = 0;"), "takes 1 to 64", NULL},
    {AWS_WITH("connections = 65;"), "takes 1 to 64", NULL},
    {AWS_WITH("addressing = \"dns\";"), "cannot be \"dns\"", "\"auto\", \"path\", \"virtual\""},
    {AWS_WITH("sse = \"aes256\";"), "cannot be \"aes256\"", "\"AES256\""},
    {AWS_WITH("ca_file = \"ca.pem\";"), "not an absolute path", NULL},
    {AWS_WITH("allow_insecure_http = \"yes\";"), "wrong type", "true or false"},
    {AWS_WITH("storage_class = \"standard\";"), "not allowed", NULL},
    {AWS_WITH("storage_class = \"DEEP_ARCHIVE\";"), "cannot be read at once", "GLACIER_IR"},
    {AWS_WITH("prefix = \"a//b\";"), "empty part", NULL},
    {AWS_WITH("object_lock = { mode = \"governance\"; retain = \"1h\"; };"), "protects nothing", "30d"},
    {AWS_WITH("object_lock = { mode = \"compliance\"; retain = \"5000d\"; };"), "over 10 years", "extended"},
    {HETZNER_WITH("sse = \"AES256\";"), "2: target \"a\": provider hetzner takes", "leave sse out"},
    {HETZNER_WITH("storage_class = \"STANDARD_IA\";"), "hetzner has no storage class",
     "leave storage_class out"},
    {REPOSITORY_WITH("download_limit = 1;"), "1.0 KiB", NULL},
    {REPOSITORY_WITH("stall_timeout = 0;"), "takes 1 s", NULL},
    {TARGET_WITH("type = \"s3\"; provider = \"other\"; region = \"r\"; bucket = \"abc\";"),
     "needs an endpoint", NULL},
    {TARGET_WITH("type = \"s3\"; provider = \"aws\"; region = \"r\"; bucket = \"abc\"; object_lock = { };"),
     "\"mode\" is missing in object_lock", NULL},
    {TARGET_WITH("type = \"local\"; path = \"/x\"; }, { name = \"a\"; type = \"local\"; path = \"/y\";"),
     "\"a\" is there already", NULL},
    {TARGET_WITH("type = \"local\"; path = \"/x\"; }, { name = \"b\"; type = \"local\"; path = \"/x//\";"),
     "same place", "one copy"},
    {TARGET_WITH("type = \"local\"; path = \"/x\"; }, { name = \"b\"; type = \"local\"; path = \"/x/y\";"),
     "same place", NULL},
    {AWS_WITH("prefix = \"p\"; }, { name = \"b\"; type = \"s3\"; provider = \"aws\"; region = \"eu-west-1\"; "
              "bucket "
              "= \"abc\"; prefix = \"p/\";"),
     "same place", NULL},
    {JOB_WITH(""), "\"source\" is missing", NULL},
    {JOB_WITH("source = { type = \"files\"; };"), "\"paths\" is missing", NULL},
    {JOB_WITH("source = { type = \"files\"; paths = [ ]; };"), "has 0 entries", NULL},
    {JOB_WITH("source = { type = \"files\"; paths = [ \"etc\" ]; };"), "not an absolute path", NULL},
    {JOB_WITH("source = { type = \"files\"; paths = [ 1 ]; };"), "wrong type", NULL},
    {JOB_WITH("source = { type = \"command\"; };"), "\"command\" is missing", NULL},
    {JOB_WITH("source = { type = \"command\"; command = [ \"\" ]; };"), "empty", NULL},
    {JOB_WITH("source = { type = \"command\"; command = [ \"x\" ]; filename = \"a/b\"; };"), "filename",
     NULL},
    {JOB_WITH("source = { type = \"tar\"; };"), "either command or archive", NULL},
    {JOB_WITH(SOURCE " keep = { daily = 0; };"), "takes 1 to", NULL},
    {JOB_WITH(SOURCE " keep = { manual = -1; };"), "takes 0 to", NULL},
    {JOB_WITH(SOURCE " schedule = { daily = \"24:00\"; };"), "not a time", "HH:MM"},
    {JOB_WITH(SOURCE " schedule = { weekly = \"03:00\"; };"), "not a time", "sun"},
    {JOB_WITH(SOURCE " schedule = { timezone = \"Mars/Base\"; };"), "no time zone", NULL},
    {JOB_WITH(SOURCE " hooks = { before = ( \"a\" ); };"), "wrong type", "parentheses"},
    {JOB_WITH(SOURCE " hooks = { after = [ ]; };"), "has 0 entries", NULL},
    {JOB_WITH(SOURCE " hooks = { after = ( ); };"), "has 0 commands", NULL},
    {JOB_WITH(SOURCE " hooks = { after = \"a b\"; };"), "wrong type", "brackets"},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"mail\"; } );", "4: \"to\" is missing", NULL},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"mail\"; to = [ \"a b@c\" ]; } );", "not allowed", NULL},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"syslog\"; on = [ \"never\" ]; } );",
     "cannot have \"never\"", "\"failure\", \"warning\", \"recovered\", \"success\""},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"syslog\"; on = [ ]; } );", "is empty", NULL},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"ping\"; } );", "either url or url_file", NULL},
    {REPOSITORY TARGETS JOBS "notify = ( { type = \"ping\"; on = [ \"failure\" ]; url = \"https://x\"; } );",
     "does not go with", "webhook"},
    {JOB_WITH(SOURCE " }, { name = \"a\"; " SOURCE), "job \"a\" is there already", NULL},
};

START_TEST(mistakes_are_refused_with_file_and_line)
{
    expect_refused(mistakes[_i].text, mistakes[_i].message, mistakes[_i].hint);
}
END_TEST

START_TEST(broken_text_never_passes_or_crashes)
{
    /* Every prefix that ends before the last list is closed is incomplete. */
    for (size_t n = 0; n < sizeof full - 8; n++) {
        struct config *config = NULL;
        int code = config_parse("x.conf", bytes_of(full, n), &config, &err);
        ck_assert_int_eq(code, ERROR_USAGE);
    }
    /* Every byte replaced: whatever comes of it, no crash and a message. */
    char *text = memory_copy_string(full);
    for (size_t n = 0; n < sizeof full - 1; n++) {
        static const char wrong[] = {'"', '}', '\\', '\x80', '0', '\0'};
        for (size_t i = 0; i < sizeof wrong; i++) {
            struct config *config = NULL;
            text[n] = wrong[i];
            err.message[0] = '\0';
            int code = config_parse("x.conf", bytes_of(text, sizeof full - 1), &config, &err);
            ck_assert(code == 0 || (code == ERROR_USAGE && strncmp(err.message, "x.conf", 6) == 0));
            config_free(config);
        }
        text[n] = full[n];
    }
    free(text);
}
END_TEST

START_TEST(schedules_are_parsed_by_class)
{
    struct schedule_time t;
    ck_assert(schedule_parse(SCHEDULE_DAILY, "02:30", &t) && t.hour == 2 && t.minute == 30 && t.set);
    ck_assert(schedule_parse(SCHEDULE_WEEKLY, "Sat 23:59", &t) && t.weekday == 6);
    ck_assert(schedule_parse(SCHEDULE_MONTHLY, "last 04:00", &t) && t.day == SCHEDULE_LAST_DAY);
    ck_assert(schedule_parse(SCHEDULE_MONTHLY, "28 04:00", &t) && t.day == 28);
    ck_assert(schedule_parse(SCHEDULE_YEARLY, "dec 24 05:00", &t) && t.month == 12 && t.day == 24);
    static const char *const wrong[] = {"",        "2:30",  "02:60", "24:00", "02:30x",
                                        "02:30 x", "ab:cd", "+2:30", "02:3 "};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(!schedule_parse(SCHEDULE_DAILY, wrong[i], &t), "%s", wrong[i]);
    ck_assert(!schedule_parse(SCHEDULE_WEEKLY, "sunday 03:00", &t));
    ck_assert(schedule_parse(SCHEDULE_MONTHLY, "31 04:00", &t) && t.day == 31);
    ck_assert(schedule_parse(SCHEDULE_YEARLY, "feb 29 05:00", &t) && t.month == 2 && t.day == 29);
    ck_assert(!schedule_parse(SCHEDULE_MONTHLY, "32 03:00", &t));
    ck_assert(!schedule_parse(SCHEDULE_YEARLY, "feb 30 03:00", &t));
    ck_assert(!schedule_parse(SCHEDULE_YEARLY, "apr 31 03:00", &t));
    ck_assert(!schedule_parse(SCHEDULE_MONTHLY, "0 03:00", &t));
    ck_assert(!schedule_parse(SCHEDULE_YEARLY, "1 03:00", &t));
}
END_TEST

static char folder[64];

static char *write_file(const char *name, const char *text, mode_t mode)
{
    char *path = file_join(folder, name);
    ck_assert_int_eq(file_write_atomic(path, bytes_of_string(text), 0600, &err), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

START_TEST(folder_gives_its_conf_files_sorted)
{
    strcpy(folder, "/tmp/test-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char **files;
    size_t count;
    ck_assert_int_eq(config_list_directory(folder, &files, &count, &err), ERROR_USAGE);
    ck_assert_int_eq(config_list_directory("/nonexistent/x", &files, &count, &err), ERROR_USAGE);
    static const char *const names[] = {"b.conf", "a.conf", ".hidden.conf", "c.conf~", "B.conf"};
    char *paths[5];
    for (size_t i = 0; i < 5; i++)
        paths[i] = write_file(names[i], REPOSITORY TARGETS JOBS, 0644);
    ck_assert_int_eq(config_list_directory(folder, &files, &count, &err), 0);
    ck_assert_uint_eq(count, 3);
    ck_assert(strstr(files[0], "/B.conf") && strstr(files[1], "/a.conf") && strstr(files[2], "/b.conf"));
    struct config *c;
    ck_assert_int_eq(config_load(files[2], &c, &err), 0);
    ck_assert_str_eq(c->repository.name, "b");
    config_free(c);
    chmod(files[2], 0666);
    ck_assert_int_eq(config_load(files[2], &c, &err), ERROR_USAGE);
    ck_assert_int_eq(config_load("/nonexistent.conf", &c, &err), ERROR_USAGE);
    ck_assert(err.hint[0]);
    config_free_list(files, count);
    for (size_t i = 0; i < 5; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
    rmdir(folder);
}
END_TEST

START_TEST(file_of_more_than_a_mebibyte_is_refused)
{
    struct buffer text = {0};
    buffer_append_string(&text, REPOSITORY TARGETS JOBS);
    memset(buffer_extend(&text, CONFIG_TEXT_MAX), '\n', CONFIG_TEXT_MAX);
    struct config *config = NULL;
    ck_assert_int_eq(config_parse("x.conf", buffer_bytes(&text), &config, &err), ERROR_USAGE);
    text.size = CONFIG_TEXT_MAX;
    ck_assert_int_eq(config_parse("x.conf", buffer_bytes(&text), &config, &err), 0);
    config_free(config);
    buffer_free(&text);
}
END_TEST

START_TEST(hooks_and_channels)
{
    struct config *c =
        parse_good(REPOSITORY TARGETS
                   "jobs = ( { name = \"files\"; " SOURCE
                   " hooks = { before = ( [ \"a\", \"b c\" ], [ \"d\" ] ); after = [ \"e\" ]; }; } );\n"
                   "hooks = { on_failure = [ \"f\" ]; timeout = \"10s\"; };\n"
                   "notify = ( { type = \"mail\"; to = [ \"root\", \"a+b@example.org\" ]; },\n"
                   "  { type = \"webhook\"; on = [ \"success\", \"failure\" ]; url = \"https://x/\"; },\n"
                   "  { type = \"ping\"; url_file = \"/etc/url\"; failure = \"?down\"; } );\n");
    const struct config_hooks *hooks = &c->jobs[0].hooks;
    ck_assert_uint_eq(hooks->before.count, 2);
    ck_assert_uint_eq(hooks->before.list[0].count, 2);
    ck_assert_str_eq(hooks->before.list[0].list[1], "b c");
    ck_assert_str_eq(hooks->before.list[1].list[0], "d");
    ck_assert_uint_eq(hooks->after.count, 1);
    ck_assert_uint_eq(hooks->on_failure.count, 0);
    ck_assert_int_eq(hooks->timeout, 3600);
    ck_assert_str_eq(c->hooks.on_failure.list[0].list[0], "f");
    ck_assert_int_eq(c->hooks.timeout, 10);
    ck_assert_uint_eq(c->notify_count, 3);
    ck_assert_int_eq(c->notify[0].type, CONFIG_NOTIFY_MAIL);
    ck_assert_uint_eq(c->notify[0].on, CONFIG_ON_FAILURE | CONFIG_ON_WARNING | CONFIG_ON_RECOVERED);
    ck_assert_uint_eq(c->notify[0].to.count, 2);
    ck_assert_uint_eq(c->notify[0].line, 5);
    ck_assert_uint_eq(c->notify[1].on, CONFIG_ON_FAILURE | CONFIG_ON_SUCCESS);
    ck_assert_int_eq(c->notify[1].timeout, 30);
    ck_assert_str_eq(c->notify[2].start, "/start");
    ck_assert_str_eq(c->notify[2].failure, "?down");
    config_free(c);
}
END_TEST

START_TEST(a_refused_address_is_not_shown)
{
    static const char *const wrong[] = {"http://secret.example.net/secret", "secretsecret",
                                        "https://x/secret secret"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[1000];
        snprintf(text, sizeof text,
                 REPOSITORY TARGETS JOBS "notify = ( { type = \"webhook\"; url = \"%s\"; } );", wrong[i]);
        expect_refused(text, "\"url\"", "https://");
        ck_assert(!strstr(err.message, "secret") && !strstr(err.hint, "secret"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tests = tcase_create("config");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shortest_file_gets_every_default);
    tcase_add_test(tests, paths_are_read_in_their_normal_form);
    tcase_add_test(tests, every_setting_of_the_design_is_read);
    tcase_add_test(tests, unknown_settings_name_line_and_nearest);
    tcase_add_loop_test(tests, mistakes_are_refused_with_file_and_line, 0,
                        sizeof mistakes / sizeof *mistakes);
    tcase_add_test(tests, broken_text_never_passes_or_crashes);
    tcase_add_test(tests, schedules_are_parsed_by_class);
    tcase_add_test(tests, folder_gives_its_conf_files_sorted);
    tcase_add_test(tests, file_of_more_than_a_mebibyte_is_refused);
    tcase_add_test(tests, hooks_and_channels);
    tcase_add_test(tests, a_refused_address_is_not_shown);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
