#include "cli/owners_print.h"

#include "base/log.h"
#include "base/text.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>

#define SHOWN_MAX 10

static const char *kind_name(enum owner_kind kind)
{
    return kind == OWNER_USER ? "user" : "group";
}

static bool is_wrong(const struct owner_map *owners, const struct owner_difference *d)
{
    return owner_map_is_by_name(owners) && !d->known && d->here.size;
}

static void describe(const struct owner_difference *d, struct buffer *out)
{
    char *name = text_visible_bytes(d->name.data, d->name.size);
    char *here = text_visible_bytes(d->here.data, d->here.size);
    buffer_append_format(out, "%s %s: %llu entries with number %u", kind_name(d->kind), name,
                         (unsigned long long)d->entries, d->given);
    if (d->given != d->recorded)
        buffer_append_format(out, ", which was %u", d->recorded);
    else if (d->known)
        buffer_append_format(out, ", though the name has number %u here", d->number);
    else
        buffer_append_string(out, ", for the name is unknown here");
    if (d->here.size)
        buffer_append_format(out, "; here that is %s", here);
    free(here);
    free(name);
}

uint64_t owners_print(const struct options *options, const struct owner_map *owners)
{
    size_t count, shown = 0;
    uint64_t warnings = 0, numbers = owner_map_acl_numbers(owners);
    const struct owner_difference *list = owner_map_differences(owners, &count);
    for (size_t i = 0; i < count; i++) {
        struct buffer text = {0};
        bool wrong = is_wrong(owners, &list[i]);
        describe(&list[i], &text);
        warnings += wrong;
        if (wrong && warnings <= SHOWN_MAX)
            log_warning("%s", buffer_string(&text));
        else if (!wrong && !options->json && !options->quiet && shown++ < SHOWN_MAX)
            puts(buffer_string(&text));
        buffer_free(&text);
    }
    uint64_t more = owner_map_more(owners) + (warnings > SHOWN_MAX ? warnings - SHOWN_MAX : 0) +
                    (shown > SHOWN_MAX ? shown - SHOWN_MAX : 0);
    if (more)
        log_info("and %llu users and groups more: --json lists them", (unsigned long long)more);
    if (count && numbers && owner_map_is_by_name(owners)) {
        log_warning("%llu users and groups in ACLs were set by number: a snapshot has no names of them, and "
                    "numbers are others here",
                    (unsigned long long)numbers);
        warnings++;
    }
    return warnings;
}

static json_t *difference_json(const struct owner_difference *d)
{
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string(kind_name(d->kind)));
    output_json_bytes(o, "name", d->name);
    output_json_number(o, "recorded", d->recorded);
    output_json_number(o, "restored", d->given);
    if (d->known)
        output_json_number(o, "number", d->number);
    if (d->here.size)
        output_json_bytes(o, "belongs_to", d->here);
    output_json_number(o, "entries", d->entries);
    return o;
}

void owners_add_json(json_t *o, const struct owner_map *owners)
{
    size_t count;
    const struct owner_difference *list = owner_map_differences(owners, &count);
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(items, difference_json(&list[i]));
    json_object_set_new(o, "owners", json_string(owner_map_is_by_name(owners) ? "names" : "numbers"));
    json_object_set_new(o, "owner_differences", items);
    output_json_number(o, "owner_differences_more", owner_map_more(owners));
    output_json_number(o, "acl_numbers", owner_map_acl_numbers(owners));
}
