#include "config/schedule.h"

#include <ctype.h>
#include <string.h>

static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                     "jul", "aug", "sep", "oct", "nov", "dec"};

/* Cuts the next word off *at; false at the end. */
static bool next_word(const char **at, char *word, size_t size)
{
    const char *p = *at + strspn(*at, " ");
    size_t n = strcspn(p, " ");
    if (n == 0 || n >= size)
        return false;
    for (size_t i = 0; i < n; i++)
        word[i] = (char)tolower((unsigned char)p[i]);
    word[n] = '\0';
    *at = p + n;
    return true;
}

static int find_word(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, list[i]) == 0)
            return (int)i;
    }
    return -1;
}

static bool all_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

static bool parse_day(const char *word, int longest, int *day)
{
    size_t n = strlen(word);
    if (strcmp(word, "last") == 0) {
        *day = SCHEDULE_LAST_DAY;
        return true;
    }
    if (n < 1 || n > 2 || !all_digits(word, n))
        return false;
    *day = n == 1 ? word[0] - '0' : (word[0] - '0') * 10 + word[1] - '0';
    return *day >= 1 && *day <= longest;
}

static bool parse_clock(const char *word, struct schedule_time *time)
{
    if (strlen(word) != 5 || word[2] != ':' || !all_digits(word, 2) || !all_digits(word + 3, 2))
        return false;
    time->hour = (word[0] - '0') * 10 + word[1] - '0';
    time->minute = (word[3] - '0') * 10 + word[4] - '0';
    return time->hour < 24 && time->minute < 60;
}

bool schedule_parse(enum schedule_class class, const char *text, struct schedule_time *time)
{
    static const int longest[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct schedule_time parsed = {.set = true, .month = 1, .day = 1};
    char word[8];
    if (class == SCHEDULE_WEEKLY) {
        if (!next_word(&text, word, sizeof word))
            return false;
        parsed.weekday = find_word(word, weekdays, 7);
        if (parsed.weekday < 0)
            return false;
    }
    if (class == SCHEDULE_YEARLY) {
        if (!next_word(&text, word, sizeof word))
            return false;
        parsed.month = find_word(word, months, 12) + 1;
        if (parsed.month < 1)
            return false;
    }
    if ((class == SCHEDULE_MONTHLY || class == SCHEDULE_YEARLY) &&
        (!next_word(&text, word, sizeof word) ||
         !parse_day(word, class == SCHEDULE_YEARLY ? longest[parsed.month - 1] : 31, &parsed.day)))
        return false;
    if (!next_word(&text, word, sizeof word) || !parse_clock(word, &parsed) ||
        text[strspn(text, " ")] != '\0')
        return false;
    *time = parsed;
    return true;
}

const char *schedule_form(enum schedule_class class)
{
    static const char *const forms[] = {
        "\"HH:MM\", such as \"02:30\"",
        "\"DAY HH:MM\" with DAY one of sun mon tue wed thu fri sat, such as \"sun 03:00\"",
        "\"DAY HH:MM\" with DAY from 1 to 31 or last, such as \"1 04:00\"",
        "\"MONTH DAY HH:MM\" with DAY a day of that month or last, such as \"jan 1 05:00\"",
    };
    return forms[class];
}
