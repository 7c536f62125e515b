/*
 * Exclude patterns with the meaning of gitignore(5), as a .gitignore in the root directory would have it.
 * Used by the backup op for each entry it comes across. Pure: no disk.
 *
 * Every pattern is one: there are no comments, and blanks at the end count. "!" re-includes what an earlier
 * pattern excluded (not below an excluded directory: the walk does not enter it), "/" at the end means
 * directories only, "/" elsewhere anchors the pattern to the absolute path ("srv/cache" is "/srv/cache";
 * write "**" and "/" before it for anywhere), "*", "?" and "[...]" match bytes but "/", a component "**" any
 * number of components.
 */
#ifndef SOURCE_EXCLUDE_H
#define SOURCE_EXCLUDE_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>

/* Longer patterns are refused. */
#define EXCLUDE_PATTERN_MAX 4096u

struct exclude;

/* Copies the patterns. USAGE for one that could never match anything (empty, open bracket, lone backslash at
 * the end). */
int exclude_new(const char *const *patterns, size_t count, struct exclude **exclude, struct error *err);
void exclude_free(struct exclude *exclude);
/* True if the last pattern that matches excludes. path is absolute, without a slash at the end. Takes time in
 * proportion to the lengths of path and patterns, multiplied, at worst. NULL excludes nothing. */
bool exclude_match(const struct exclude *exclude, struct bytes path, bool is_directory);

#endif
