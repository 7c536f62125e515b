#include "cli/overview_print.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/local_time.h"
#include "policy/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 79
#define INDENT 10
/* Of more jobs those that are well are counted, not listed. */
#define JOBS_SHOWN 10

/* ---- problems ---- */

/* In lines of at most WIDTH characters, the further ones indented as far as the first begins. */
static void print_wrapped(const char *text, int column)
{
    char *shown = text_printable(text);
    int used = column;
    for (char *save, *word = strtok_r(shown, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        int length = (int)strlen(word);
        if (used > column && used + 1 + length > WIDTH) {
            printf("\n%*s", column, "");
            used = column;
        }
        used += printf("%s%s", used > column ? " " : "", word);
    }
    putchar('\n');
    free(shown);
}

static void print_problem(const struct overview *o, const struct overview_problem *problem)
{
    static const char *const labels[] = {[OVERVIEW_WARNING] = "warning",
                                         [OVERVIEW_BEHIND] = "BEHIND",
                                         [OVERVIEW_FAILED] = "FAILED",
                                         [OVERVIEW_DAMAGE] = "DAMAGE"};
    char since[LOCAL_TIME_SIZE];
    char *what = problem->since ? memory_format("%s (since %s)", problem->what,
                                                local_time_both(problem->since, o->now, since))
                                : memory_copy_string(problem->what);
    printf("%-*s", INDENT, labels[problem->level]);
    print_wrapped(what, INDENT);
    printf("%*s-> ", INDENT, "");
    print_wrapped(problem->todo, INDENT + 3);
    free(what);
}

void overview_print_acknowledged(const struct overview *o)
{
    bool some = false;
    for (size_t i = 0; i < o->problem_count; i++) {
        if (!o->problems[i].past)
            continue;
        print_wrapped(o->problems[i].what, printf("acknowledged: "));
        some = true;
    }
    puts(some ? "" : "nothing to acknowledge: no problem is a fact of the past\n");
}

static void print_head(const struct overview *o, const char *repository)
{
    char now[LOCAL_TIME_SIZE], since[LOCAL_TIME_SIZE];
    const char *worst = o->problem_count ? overview_level_name(o->problems[0].level) : "all is well";
    char *state = o->problem_count > 1
                      ? memory_format("%s: %s, %zu problems", repository, worst, o->problem_count)
                      : memory_format("%s: %s", repository, worst);
    local_time_full(o->now, now);
    printf("%s%*s\n", state,
           (int)(strlen(state) + strlen(now) < WIDTH ? WIDTH - strlen(state) : strlen(now) + 2), now);
    free(state);
    if (o->known)
        printf("No target answered. What follows was known %s.\n", local_time_both(o->known, o->now, since));
    if (o->holder)
        printf("holdfast %s is at work since %s (process %ld).\n", o->holder->command,
               local_time_both(o->holder->since, o->now, since), o->holder->process);
}

/* ---- jobs ---- */

static char *next_text(const struct overview *o, const struct overview_job *job, char text[LOCAL_TIME_SIZE])
{
    if (!job->next)
        return strcpy(text, "no schedule");
    return job->next <= o->now ? strcpy(text, "due now") : local_time_both(job->next, o->now, text);
}

static void print_jobs(const struct overview *o, bool all)
{
    static const char *const headings[] = {"JOB", "HEALTH", "LAST SUCCESS", "NEXT", NULL};
    struct output_table *table = output_table_new(headings);
    size_t hidden = 0;
    for (int health = VERDICT_FAILING; health >= VERDICT_OK; health--) {
        for (size_t i = 0; i < o->job_count; i++) {
            const struct overview_job *job = &o->jobs[i];
            char text[LOCAL_TIME_SIZE];
            if ((int)job->health != health)
                continue;
            if (health == VERDICT_OK && o->job_count > JOBS_SHOWN && !all) {
                hidden++;
                continue;
            }
            output_table_cell(table, job->name);
            output_table_cell(table, health == VERDICT_NEVER ? "never run" : verdict_name(job->health));
            output_table_cell(
                table, job->newest ? local_time_both(job->newest->manifest.started, o->now, text) : "never");
            output_table_cell(table, next_text(o, job, text));
        }
    }
    for (size_t i = 0; i < o->orphan_count; i++) {
        char text[LOCAL_TIME_SIZE];
        output_table_cell(table, o->orphans[i].name);
        output_table_cell(table, "not configured");
        output_table_cell(table, local_time_both(o->orphans[i].newest, o->now, text));
        output_table_cell(table, "never");
    }
    putchar('\n');
    output_table_print(table);
    output_table_free(table);
    if (hidden)
        printf("%zu more jobs are ok; --verbose lists them\n", hidden);
}

/* ---- targets ---- */

static void print_targets(const struct overview *o)
{
    static const char *const headings[] = {"TARGET", "STATE", "SNAPSHOTS", "NEWEST", ">USED", NULL};
    struct output_table *table = output_table_new(headings);
    for (size_t t = 0; t < o->target_count; t++) {
        const struct overview_target *target = &o->targets[t];
        char missing[48], newest[LOCAL_TIME_SIZE], used[32];
        snprintf(missing, sizeof missing, "%zu missing", target->missing_count);
        output_table_cell(table, target->name);
        output_table_cell(table, target->answers ? target->missing_count ? "behind" : "ok"
                                 : target->why   ? "not usable"
                                                 : "not asked");
        output_table_cell(table, !target->answers        ? "?"
                                 : target->missing_count ? missing
                                 : target->newest        ? "all"
                                                         : "none");
        output_table_cell(table, target->newest    ? local_time_both(target->newest, o->now, newest)
                                 : target->answers ? "-"
                                                   : "?");
        output_table_cell(table, target->used_known ? text_format_size(target->used, used) : "?");
    }
    putchar('\n');
    output_table_print(table);
    output_table_free(table);
}

/* What is said of them is as good as who says it. */
static void print_locks(const struct overview *o)
{
    for (size_t t = 0; t < o->target_count; t++) {
        const struct inspect_locks *locks = &o->targets[t].locks;
        char ends[LOCAL_TIME_SIZE];
        if (!locks->ends && !locks->unknown)
            continue;
        printf("%-13s%s: ", "locks", o->targets[t].name);
        if (locks->ends)
            printf("the first ends %s (%s)", local_time_both(locks->ends, o->now, ends),
                   locks->asked ? "the store was asked" : "noted when it was put or moved on");
        if (locks->unknown)
            printf("%s%zu not known here", locks->ends ? ", " : "", locks->unknown);
        putchar('\n');
    }
}

/* ---- the rest ---- */

static const char *outcome(uint32_t exit_status)
{
    static const char *const words[] = {"done",
                                        "failed",
                                        "failed",
                                        "done, with warnings",
                                        "another worked",
                                        "damage",
                                        "done, a target is behind"};
    if (exit_status == STATUS_STOPPED)
        return "stopped by a signal";
    return exit_status < sizeof words / sizeof *words ? words[exit_status] : "failed";
}

static void print_history(const struct overview *o)
{
    char text[LOCAL_TIME_SIZE], duration[32], bytes[32];
    const struct run_record *run = o->last_run, *drill = o->drill;
    printf("\nlast run     ");
    if (run)
        printf("%s: %s, took %s\n", local_time_both(run->ended, o->now, text), outcome(run->exit_status),
               text_format_duration((double)(run->ended - run->started), duration));
    else
        printf("never\n");
    printf("last verify  ");
    if (o->verify.time)
        printf("%s: %s read, %s\n", local_time_both(o->verify.time, o->now, text),
               o->verify.all ? "everything" : text_format_size(o->verify_bytes, bytes),
               o->verify.damaged ? "DAMAGE" : "no damage");
    else
        printf("never\n");
    printf("last drill   ");
    if (drill)
        printf("%s: %s\n", local_time_both(drill->drill->ended, o->now, text),
               outcome(drill->drill->exit_status));
    else
        printf("never\n");
}

void overview_print(const struct overview *o, const char *repository, bool quiet, bool all)
{
    if (quiet && !o->problem_count)
        return;
    print_head(o, repository);
    if (o->problem_count)
        putchar('\n');
    for (size_t i = 0; i < o->problem_count; i++)
        print_problem(o, &o->problems[i]);
    if (quiet)
        return;
    if (o->past.runs.count || o->past.snapshots.count || o->past.check_count || o->past_brakes)
        puts("\nWhat is past, and known, is put aside with: holdfast status --acknowledge");
    print_jobs(o, all);
    print_targets(o);
    print_history(o);
    print_locks(o);
}
