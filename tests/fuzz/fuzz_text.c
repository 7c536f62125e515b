/* Sizes, durations, times, schedules; text made fit for terminals. */
#include "base/text.h"
#include "config/schedule.h"
#include "fuzz.h"

static void check_numbers(const char *text, size_t size)
{
    uint64_t number;
    int64_t seconds, again;
    char time[TEXT_TIME_SIZE], form[32];
    struct schedule_time when;
    if (text_parse_size(text, &number))
        text_format_size(number, form);
    if (text_parse_duration(text, &seconds)) {
        must(seconds >= 0);
        text_format_duration((double)seconds, form);
    }
    if (text_parse_time(text, &seconds))
        must(text_parse_time(text_format_time(seconds, time), &again) && again == seconds);
    if (text_parse_compact_time(text, size, &seconds))
        must(strcmp(text_format_compact_time(seconds, time), text) == 0);
    for (int class = SCHEDULE_DAILY; class <= SCHEDULE_YEARLY; class ++) {
        if (schedule_parse((enum schedule_class) class, text, &when))
            must(when.set && when.hour >= 0 && when.hour < 24 && when.minute >= 0 && when.minute < 60);
    }
}

static void check_harmless(const char *text)
{
    must(text_is_utf8(text, strlen(text)));
    for (; *text; text++)
        must((unsigned char)*text >= 0x20 && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const char *const names[] = {"repository", "targets", "jobs", "key_file"};
    uint8_t decoded[8];
    char *text = malloc(size + 1);
    must(text != NULL);
    if (size)
        memcpy(text, input, size);
    text[size] = '\0';
    check_numbers(text, strlen(text));
    text_nearest(text, names, 4);
    hex_decode(text, size, decoded, sizeof decoded);
    char *visible = text_visible(text), *all = text_visible_bytes(input, size);
    char *printable = text_printable(text);
    check_harmless(visible);
    check_harmless(all);
    check_harmless(printable);
    free(printable);
    free(all);
    free(visible);
    free(text);
    return 0;
}
