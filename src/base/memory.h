/*
 * Allocation that cannot fail: out of memory ends the process with a message (a backup that cannot
 * allocate cannot report either; every committed snapshot stays as it is).
 * Sizes that come from outside are bounded by their readers before they reach these functions.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* For megabytes at once: begins at a page, and in huge pages where the kernel has them. free() as any other.
 */
void *memory_alloc_pages(size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed; checks the product for overflow. */
void *memory_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Resizes to count * size, checked for overflow. New bytes are not zeroed. */
void *memory_resize_array(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *memory_copy_string(const char *text) __attribute__((malloc, returns_nonnull));
void *memory_copy(const void *data, size_t size) __attribute__((malloc, returns_nonnull));
char *memory_format(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* One zeroed object of a type. */
#define memory_new(type) ((type *)memory_alloc_array(1, sizeof(type)))

/* Makes room for one more element in an array that grows by doubling. */
#define memory_reserve_one(array, count, capacity)                                                           \
    do {                                                                                                     \
        if ((count) == (capacity)) {                                                                         \
            (capacity) = (capacity) ? (capacity)*2 : 8;                                                      \
            (array) = memory_resize_array((array), (capacity), sizeof *(array));                             \
        }                                                                                                    \
    } while (0)

/* Returns to the system what was freed and lies between what is in use: after work whose pieces had many
 * sizes. Takes about a millisecond. */
void memory_give_back(void);

#endif
