#include "ops/backup_links.h"

#include "helpers.h"
#include "tree_on_disk.h"

#define BEGAN 1600000000 /* long before the walk */

static struct error err;

static struct source_stat file_of(uint64_t inode, int64_t birth)
{
    return (struct source_stat){.type = NODE_FILE,
                                .inode = inode,
                                .device = 1,
                                .link_count = 2,
                                .size = 10,
                                .mtime_seconds = BEGAN,
                                .ctime_seconds = BEGAN,
                                .birth_seconds = birth};
}

START_TEST(a_name_of_a_file_that_did_not_change_leads_to_the_first)
{
    struct links *links = links_new();
    struct source_stat st = file_of(7, BEGAN);
    ck_assert_ptr_null(links_first(links, &st, "/first"));
    links_note(links, &st, "/first");
    ck_assert_str_eq(links_first(links, &st, "/second"), "/first");
    ck_assert_ptr_null(links_first(links, &st, "/first")); /* not to itself */
    struct source_stat other = file_of(8, BEGAN);
    ck_assert_ptr_null(links_first(links, &other, "/second"));
    st.link_count = 1;
    ck_assert_ptr_null(links_first(links, &st, "/second"));
    links_free(links);
}
END_TEST

START_TEST(a_file_that_was_born_with_the_number_of_another_is_another)
{
    struct links *links = links_new();
    struct source_stat first = file_of(7, BEGAN), second = first;
    links_note(links, &first, "/first");
    second.birth_nanoseconds = 1;
    ck_assert_ptr_null(links_first(links, &second, "/second"));
    second = first;
    second.size++;
    ck_assert_ptr_null(links_first(links, &second, "/second"));
    second = first;
    second.mtime_nanoseconds++;
    ck_assert_ptr_null(links_first(links, &second, "/second"));
    second = first;
    second.type = NODE_SYMLINK;
    ck_assert_ptr_null(links_first(links, &second, "/second"));
    /* It takes the number over. */
    links_note(links, &second, "/second");
    ck_assert_str_eq(links_first(links, &second, "/third"), "/second");
    ck_assert_ptr_null(links_first(links, &first, "/third"));
    links_free(links);
}
END_TEST

START_TEST(a_first_name_that_was_not_kept_is_forgotten)
{
    struct links *links = links_new();
    struct source_stat st = file_of(7, BEGAN);
    links_note(links, &st, "/first");
    links_forget(links, &st, "/second");
    ck_assert_str_eq(links_first(links, &st, "/second"), "/first");
    links_forget(links, &st, "/first");
    ck_assert_ptr_null(links_first(links, &st, "/second"));
    links_note(links, &st, "/second");
    ck_assert_str_eq(links_first(links, &st, "/first"), "/second");
    links_free(links);
}
END_TEST

START_TEST(many_files_are_told_apart)
{
    struct links *links = links_new();
    char path[32];
    for (uint64_t i = 1; i <= 5000; i++) {
        struct source_stat st = file_of(i, BEGAN);
        snprintf(path, sizeof path, "/file%lu", (unsigned long)i);
        links_note(links, &st, path);
    }
    for (uint64_t i = 1; i <= 5000; i++) {
        struct source_stat st = file_of(i, BEGAN);
        snprintf(path, sizeof path, "/file%lu", (unsigned long)i);
        ck_assert_str_eq(links_first(links, &st, "/second"), path);
    }
    links_free(links);
}
END_TEST

/* Without a time of birth, or of what changed since the walk began, the first name must still lead there. */
START_TEST(what_is_not_certain_is_looked_at_again)
{
    char first[80], second[80];
    make_folder();
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    for (int birth = 0; birth < 2; birth++) {
        struct links *links = links_new();
        struct source_stat st;
        shell("rm -f first second; echo text >first; ln first second");
        MUST(source_stat(folder_fd, "first", &st, &err));
        if (!birth)
            st.birth_seconds = st.birth_nanoseconds = 0;
        links_note(links, &st, first);
        const char *found = links_first(links, &st, second);
        if (birth)
            ck_assert_str_eq(found, first);
        else
            ck_assert_ptr_null(found); /* what is there tells a time of birth */
        shell("rm first");
        ck_assert_ptr_null(links_first(links, &st, second));
        shell("echo text >first");
        ck_assert_ptr_null(links_first(links, &st, second));
        links_free(links);
    }
    remove_folder();
}
END_TEST

RUN_TESTS("links", a_name_of_a_file_that_did_not_change_leads_to_the_first,
          a_file_that_was_born_with_the_number_of_another_is_another,
          a_first_name_that_was_not_kept_is_forgotten, many_files_are_told_apart,
          what_is_not_certain_is_looked_at_again)
