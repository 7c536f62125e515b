/*
 * Passphrases: from a file or from the terminal, offered as random words, and refused where they are weak.
 * For the commands that need a person's key.
 */
#ifndef CLI_PASSPHRASE_H
#define CLI_PASSPHRASE_H

#include "base/bytes.h"
#include "base/error.h"
#include "cli/options.h"

#define PASSPHRASE_MAX 1024 /* bytes */
#define PASSPHRASE_WORDS 7  /* of 2048: 77 bits */

/* From --passphrase-file, else from HOLDFAST_PASSPHRASE_FILE, else asked for on /dev/tty; `who` (a person's
 * name, or NULL) is shown in the question. Appends to out, which must be empty; free it with
 * buffer_free_secret. One line end of a file, LF or CR LF, is not part of it. Errors: DENIED without a
 * terminal or where others may read the file, USAGE if it is empty or too long, CANCELLED, as
 * file_read_secret. */
int passphrase_get(const struct options *options, const char *who, struct buffer *out, struct error *err);
/* Passphrases that were set by older versions may have in them what nobody sees: a carriage return, a
 * byte-order mark. So what was given is tried in several spellings, of which this makes the one with the
 * number: without all that first. Empties out where that one was there already. */
#define PASSPHRASE_SPELLINGS 6
void passphrase_spell(struct bytes given, unsigned number, struct buffer *out);
/* For a new person: from the same files, else offers random words on /dev/tty and asks until what is typed
 * is strong and confirmed. Errors: as passphrase_get; USAGE where it is weak. */
int passphrase_choose(const struct options *options, const char *who, struct buffer *out, struct error *err);

/* USAGE, with reason and hint, for what is not the same wherever it is typed: what is not UTF-8, has control
 * characters, marks or spaces that nobody sees, or accents apart from their letters. */
int passphrase_check_text(struct bytes passphrase, struct error *err);
/* Likewise; USAGE also for what can be guessed: under 10 characters, few different ones, sequences,
 * dates and numbers, common passwords. */
int passphrase_check(struct bytes passphrase, struct error *err);
/* Appends PASSPHRASE_WORDS random words with spaces between them. */
int passphrase_words(struct buffer *out, struct error *err);

#endif
