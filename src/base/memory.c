#include "base/memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static void out_of_memory(size_t size)
{
    fprintf(stderr, "holdfast: out of memory (%zu bytes wanted)\n", size);
    fputs("hint: every snapshot committed so far is safe; run again with more memory\n", stderr);
    abort();
}

void *memory_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *memory_alloc_pages(size_t size)
{
    void *p = NULL;
    if (size > SIZE_MAX - HUGE_PAGE || posix_memalign(&p, HUGE_PAGE, size) != 0)
        out_of_memory(size);
    /* The last of them is rarely used whole. It is advice: what it fails for costs time only. */
    if (size > HUGE_PAGE)
        madvise(p, (size - HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return p;
}

void *memory_alloc_array(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p)
        out_of_memory(count);
    return p;
}

void *memory_resize_array(void *old, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        out_of_memory(SIZE_MAX);
    void *p = realloc(old, total ? total : 1);
    if (!p)
        out_of_memory(total);
    return p;
}

char *memory_copy_string(const char *text)
{
    return memory_copy(text, strlen(text) + 1);
}

void *memory_copy(const void *data, size_t size)
{
    void *p = memory_alloc(size);
    if (size)
        memcpy(p, data, size);
    return p;
}

char *memory_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0 || !text)
        out_of_memory(0);
    return text;
}

void memory_give_back(void)
{
    malloc_trim(0);
}
