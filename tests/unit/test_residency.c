#include "policy/residency.h"
#include "storage/s3.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const eu[] = {"EU"};

/* The regions that lie in the European Union; every other is outside. */
static const char inside[] = " aws/eu-central-1 aws/eu-west-1 aws/eu-west-3 aws/eu-north-1 aws/eu-south-1 "
                             "aws/eu-south-2 aws/eusc-de-east-1 digitalocean/fra1 digitalocean/ams3 "
                             "hetzner/fsn1 hetzner/nbg1 hetzner/hel1 ";

START_TEST(every_region_is_inside_or_outside_the_union)
{
    size_t count, found = 0;
    const struct s3_region *regions = s3_regions(&count);
    for (size_t i = 0; i < count; i++) {
        char word[100];
        snprintf(word, sizeof word, " %s/%s ", s3_provider_name(regions[i].provider), regions[i].name);
        bool wanted = strstr(inside, word) != NULL;
        enum residency is = residency_decide(eu, 1, regions[i].country, NULL);
        ck_assert_msg(is == (wanted ? RESIDENCY_ALLOWED : RESIDENCY_OUTSIDE), "%s", word);
        found += wanted;
        /* By its own country it is always allowed, by another never. */
        const char *const own[] = {"XX", regions[i].country}, *const other[] = {"XX"};
        ck_assert_int_eq(residency_decide(own, 2, regions[i].country, NULL), RESIDENCY_ALLOWED);
        ck_assert_int_eq(residency_decide(other, 1, regions[i].country, NULL), RESIDENCY_OUTSIDE);
        ck_assert_int_eq(residency_decide(NULL, 0, regions[i].country, NULL), RESIDENCY_ALLOWED);
    }
    ck_assert_uint_eq(found, 12);
}
END_TEST

START_TEST(near_is_not_inside)
{
    static const char *const outside[] = {"GB", "CH", "NO",  "IS", "UA", "TR",
                                          "",   "D",  "DEU", "de", "E ", " D"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        ck_assert_msg(!residency_is_eu(outside[i]), "%s", outside[i]);
    static const char members[] =
        "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK";
    ck_assert_uint_eq(sizeof members / 3, 27);
    for (const char *p = members; *p; p += p[2] ? 3 : 2) {
        char country[3] = {p[0], p[1], '\0'};
        ck_assert_msg(residency_is_eu(country), "%s", country);
    }
}
END_TEST

START_TEST(where_nothing_is_known_it_must_be_declared)
{
    ck_assert_int_eq(residency_decide(eu, 1, NULL, NULL), RESIDENCY_UNDECLARED);
    ck_assert_int_eq(residency_decide(eu, 1, NULL, "DE"), RESIDENCY_ALLOWED);
    ck_assert_int_eq(residency_decide(eu, 1, NULL, "EU"), RESIDENCY_ALLOWED);
    ck_assert_int_eq(residency_decide(eu, 1, NULL, "US"), RESIDENCY_OUTSIDE);
    ck_assert_int_eq(residency_decide(NULL, 0, NULL, NULL), RESIDENCY_ALLOWED);
    const char *const countries[] = {"DE", "FI"};
    ck_assert_int_eq(residency_decide(countries, 2, NULL, "FI"), RESIDENCY_ALLOWED);
    ck_assert_int_eq(residency_decide(countries, 2, NULL, "SE"), RESIDENCY_OUTSIDE);
    ck_assert_int_eq(residency_decide(countries, 2, NULL, "EU"), RESIDENCY_OUTSIDE);
}
END_TEST

START_TEST(a_declaration_moves_no_region)
{
    ck_assert_int_eq(residency_decide(eu, 1, "US", "DE"), RESIDENCY_CONTRADICTION);
    ck_assert_int_eq(residency_decide(eu, 1, "FR", "DE"), RESIDENCY_CONTRADICTION);
    ck_assert_int_eq(residency_decide(eu, 1, "DE", "DE"), RESIDENCY_ALLOWED);
    ck_assert_int_eq(residency_decide(eu, 1, "US", "US"), RESIDENCY_OUTSIDE);
}
END_TEST

START_TEST(a_bucket_that_says_it_is_elsewhere_is)
{
    ck_assert(!residency_is_elsewhere("eu-central-1", "", false, true));
    ck_assert(!residency_is_elsewhere("eu-central-1", "eu-central-1", true, false));
    ck_assert(residency_is_elsewhere("eu-central-1", "us-west-2", true, false));
    ck_assert(residency_is_elsewhere("eu-central-1", "mars-1", false, false));
    ck_assert(residency_is_elsewhere("fsn1", "hel1", true, true));
    ck_assert(!residency_is_elsewhere("fsn1", "hz-zonegroup", false, true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("residency");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_region_is_inside_or_outside_the_union);
    tcase_add_test(tests, near_is_not_inside);
    tcase_add_test(tests, where_nothing_is_known_it_must_be_declared);
    tcase_add_test(tests, a_declaration_moves_no_region);
    tcase_add_test(tests, a_bucket_that_says_it_is_elsewhere_is);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
