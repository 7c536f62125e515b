/* Whether what is taken is kept as somebody meant, and what is kept is taken. */
#include "cli/check_findings.h"

#define DAY ((int64_t)86400)

static bool keeps_some(const struct config_keep *k)
{
    return k->daily || k->weekly || k->monthly || k->yearly || k->within || k->manual >= 0;
}

/* Without any limit, all is kept until it is forgotten: who sets none means that. */
static void check_classes(const struct config_job *job, struct findings *f)
{
    const struct config_schedule *s = &job->schedule;
    const struct config_keep *k = &job->keep;
    const struct {
        const char *name;
        bool taken;
        int64_t kept;
    } classes[] = {{"daily", s->daily.set, k->daily},
                   {"weekly", s->weekly.set, k->weekly},
                   {"monthly", s->monthly.set, k->monthly},
                   {"yearly", s->yearly.set, k->yearly}};
    bool scheduled = false;
    for (size_t i = 0; i < 4; i++)
        scheduled |= classes[i].taken;
    for (size_t i = 0; i < 4; i++) {
        const char *name = classes[i].name;
        if (classes[i].taken && !classes[i].kept && keeps_some(k))
            finding(f, job->line, "say in keep how many are to be kept",
                    "job \"%s\": schedule has %s, and keep has not: %s snapshots never expire", job->name,
                    name, name);
        if (classes[i].kept && !classes[i].taken && scheduled)
            finding(f, job->line,
                    "a snapshot counts for the classes of the schedule that took it, and for no other",
                    "job \"%s\": keep has %s, and schedule has not: no %s snapshot is taken", job->name, name,
                    name);
    }
}

/* How long the snapshots of a class are kept at least, in days; 0: until they are forgotten. */
static int64_t shortest_keep(const struct config_keep *k)
{
    const int64_t days[] = {k->daily, 7 * k->weekly, 30 * k->monthly, 365 * k->yearly};
    int64_t shortest = 0;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        if (days[i] > 0 && (!shortest || days[i] < shortest))
            shortest = days[i];
    }
    int64_t within = k->within / DAY; /* which keeps whatever the numbers would let go */
    return shortest && within > shortest ? within : shortest;
}

/* What has expired is paid for until its lock ends. */
static void check_lock(const struct config *config, const struct config_target *target, struct findings *f)
{
    const struct config_object_lock *lock = &target->object_lock;
    for (size_t i = 0; i < config->job_count && lock->mode != CONFIG_LOCK_NONE; i++) {
        int64_t days = shortest_keep(&config->jobs[i].keep);
        if (!days || lock->retain <= days * DAY)
            continue;
        finding(f, target->line,
                "what has expired stays, and is paid for, until its lock ends: lower retain or raise keep",
                "target %s locks objects for %lld days, and job %s keeps some snapshots for %lld",
                target->name, (long long)(lock->retain / DAY), config->jobs[i].name, (long long)days);
        break;
    }
}

void check_rotation(const struct config *config, struct findings *f)
{
    for (size_t i = 0; i < config->job_count; i++)
        check_classes(&config->jobs[i], f);
    check_locks(config, f);
}

void check_locks(const struct config *config, struct findings *f)
{
    for (size_t i = 0; i < config->target_count; i++)
        check_lock(config, &config->targets[i], f);
}
