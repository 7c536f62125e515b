#include "source/owners.h"

#include "base/arena.h"
#include "base/memory.h"
#include "source/metadata.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE_MAX (1024u * 1024) /* of a line of the database */

/* A few owners hold nearly all files: a list, with the last one found in front. */
struct owner {
    enum owner_kind kind;
    bool known; /* the database has it */
    uint32_t id;
    struct bytes name;
};

struct owner_list {
    struct owner *items;
    size_t count, capacity;
};

struct owners {
    struct arena arena;
    struct owner_list by_id, by_name;
};

struct owners *owners_new(void)
{
    return memory_new(struct owners);
}

void owners_free(struct owners *owners)
{
    if (!owners)
        return;
    free(owners->by_id.items);
    free(owners->by_name.items);
    arena_free(&owners->arena);
    free(owners);
}

/* Asks the database by name, or by id where name is NULL. */
static bool ask(struct owners *owners, struct owner *owner, const char *name)
{
    union {
        struct passwd user;
        struct group group;
    } record;
    bool found = false;
    size_t size = 4096;
    char *text = memory_alloc(size);
    int code;
    for (;;) {
        struct passwd *user = NULL;
        struct group *group = NULL;
        if (owner->kind == OWNER_USER)
            code = name ? getpwnam_r(name, &record.user, text, size, &user)
                        : getpwuid_r(owner->id, &record.user, text, size, &user);
        else
            code = name ? getgrnam_r(name, &record.group, text, size, &group)
                        : getgrgid_r(owner->id, &record.group, text, size, &group);
        if (user || group) {
            found = true;
            owner->id = user ? user->pw_uid : group->gr_gid;
            owner->name = arena_copy(&owners->arena, bytes_of_string(user ? user->pw_name : group->gr_name));
        }
        if (code != ERANGE || size >= RECORD_SIZE_MAX)
            break;
        size *= 2;
        text = memory_resize_array(text, size, 1);
    }
    free(text);
    return found;
}

static struct owner *to_front(struct owner_list *list, size_t i)
{
    struct owner found = list->items[i];
    list->items[i] = list->items[0];
    list->items[0] = found;
    return list->items;
}

static struct owner *add(struct owner_list *list, struct owner owner)
{
    memory_reserve_one(list->items, list->count, list->capacity);
    list->items[list->count] = owner;
    return to_front(list, list->count++);
}

struct bytes owners_name(struct owners *owners, enum owner_kind kind, uint32_t id)
{
    struct owner_list *list = &owners->by_id;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].id == id && list->items[i].kind == kind)
            return to_front(list, i)->name;
    struct owner owner = {.kind = kind, .id = id};
    owner.known = ask(owners, &owner, NULL);
    if (owner.name.size > NODE_OWNER_NAME_MAX)
        owner.name = (struct bytes){0};
    owner.id = id;
    return add(list, owner)->name;
}

bool owners_id(struct owners *owners, enum owner_kind kind, struct bytes name, uint32_t *id)
{
    struct owner_list *list = &owners->by_name;
    struct owner *owner = NULL;
    if (name.size == 0 || name.size > 4096 || memchr(name.data, 0, name.size))
        return false;
    for (size_t i = 0; i < list->count && !owner; i++)
        if (bytes_equal(list->items[i].name, name) && list->items[i].kind == kind)
            owner = to_front(list, i);
    if (!owner) {
        struct owner asked = {.kind = kind};
        struct bytes copy = arena_copy(&owners->arena, name);
        asked.known = ask(owners, &asked, (const char *)copy.data);
        asked.name = copy;
        owner = add(list, asked);
    }
    *id = owner->id;
    return owner->known;
}
