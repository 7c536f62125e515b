#include "policy/verdict.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {[VERDICT_OK] = "ok",
                                        [VERDICT_NEVER] = "never",
                                        [VERDICT_WARNING] = "warning",
                                        [VERDICT_OVERDUE] = "overdue",
                                        [VERDICT_FAILING] = "failing"};
    return names[verdict];
}

static bool is_overdue(const struct verdict_job *facts)
{
    for (size_t i = 0; i < DUE_CLASS_COUNT; i++) {
        const struct due_decision *d = &facts->decisions[i];
        if (d->set && d->overdue && (!facts->working || facts->working < d->since))
            return true;
    }
    return false;
}

enum verdict verdict_of_job(const struct verdict_job *facts)
{
    if (facts->last_run_failed && facts->last_run > facts->last_success)
        return VERDICT_FAILING;
    if (is_overdue(facts))
        return VERDICT_OVERDUE;
    if (!facts->last_success)
        return VERDICT_NEVER;
    return facts->last_warnings ? VERDICT_WARNING : VERDICT_OK;
}

int64_t verdict_overdue_at(const struct due_decision *d)
{
    if (!d->set || !d->last_success)
        return 0;
    return (d->due ? d->since : d->next) + DUE_OVERDUE_SECONDS;
}

const struct verdict_check *verdict_damage(const struct verdict_check *checks, size_t count)
{
    const struct verdict_check *damage = NULL;
    for (size_t i = 0; i < count; i++) {
        if (checks[i].damaged && !checks[i].acknowledged)
            damage = &checks[i];
        else if (checks[i].all && !checks[i].damaged)
            damage = NULL;
    }
    return damage;
}

int64_t verdict_verify_overdue_at(int64_t last, int64_t first_snapshot, int64_t every)
{
    int64_t since = last ? last : first_snapshot;
    int64_t patience = 2 * every > VERDICT_VERIFY_SECONDS ? 2 * every : VERDICT_VERIFY_SECONDS;
    return since ? since + patience : 0;
}
