/* What S3 answers with is understood, and what is none of it is refused. */
#include "helpers.h"
#include "storage/s3_xml.h"

static struct error err;
static struct s3_page page;

static int parse(const char *text)
{
    return s3_xml_page(bytes_of_string(text), &page, &err);
}

START_TEST(a_listing_of_objects)
{
    MUST(parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
               "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
               "<Prefix>p%2F</Prefix><MaxKeys>2</MaxKeys><EncodingType>url</EncodingType>"
               "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b+/=</NextContinuationToken>"
               "<Contents><Key>p/x%2Fy%01</Key><LastModified>2026-11-24T03:00:00.123Z</LastModified>"
               "<ETag>&quot;abc&quot;</ETag><Size>18446744073709551</Size>"
               "<Owner><ID>1</ID><Key>not the key</Key></Owner></Contents>"
               "<Contents><Key>p/z</Key><Size>0</Size></Contents>"
               "<CommonPrefixes><Prefix>q/</Prefix></CommonPrefixes></ListBucketResult>"));
    ck_assert_uint_eq(page.count, 2);
    ck_assert_str_eq(page.entries[0].key, "p/x/y\x01");
    ck_assert_int_eq(page.entries[0].time, 1795489200);
    ck_assert(page.entries[0].size == 18446744073709551);
    ck_assert_str_eq(page.entries[0].version, "");
    ck_assert(!page.entries[0].marker);
    ck_assert_str_eq(page.entries[1].key, "p/z");
    ck_assert(page.truncated);
    ck_assert_str_eq(page.token, "a&b+/=");
    s3_page_free(&page);
}
END_TEST

START_TEST(a_listing_of_versions)
{
    MUST(
        parse("<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a%b</NextKeyMarker>"
              "<NextVersionIdMarker>v%32</NextVersionIdMarker>"
              "<DeleteMarker><Key>a%20</Key><VersionId>m1</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
              "<Version><Key>a%20</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>5</Size>"
              "</Version></ListVersionsResult>"));
    ck_assert_uint_eq(page.count, 2);
    ck_assert(page.entries[0].marker && page.entries[0].newest);
    ck_assert_str_eq(page.entries[0].version, "m1");
    ck_assert(!page.entries[1].marker && !page.entries[1].newest);
    ck_assert_str_eq(page.entries[1].key, "a%20"); /* not encoded: as it is */
    ck_assert_str_eq(page.key_marker, "a%b");
    ck_assert_str_eq(page.version_marker, "v%32");
    s3_page_free(&page);
}
END_TEST

static void refuse(const char *text)
{
    REFUSES(ERROR_FAILED, parse(text));
    s3_page_free(&page);
}

START_TEST(a_name_that_xml_cannot_hold_hides_no_others)
{
    MUST(parse("<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
               "<Contents><Key>a%01b</Key><Size>5</Size></Contents>"
               "<NextContinuationToken>a&#x01;b&#1;\x02&amp;&#x41;&#9;</NextContinuationToken>"
               "</ListBucketResult>"));
    ck_assert_str_eq(page.entries[0].key, "a\x01"
                                          "b");
    ck_assert_str_eq(page.token, "a\x7f\x7f\x7f\x7f\x7f\x7f"
                                 "b\x7f\x7f\x7f\x7f\x7f&A\t");
    s3_page_free(&page);
}
END_TEST

START_TEST(what_is_no_listing)
{
    refuse("");
    refuse("<html><body>proxy</body></html>");
    refuse("<ListBucketResult><Contents><Key>a</Key></Contents>"); /* truncated */
    refuse("<ListBucketResult><Contents><Size>5</Size></Contents></ListBucketResult>");
    refuse("<ListBucketResult><Contents><Key>a</Key><Size>-5</Size></Contents></ListBucketResult>");
    refuse("<ListBucketResult><Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"
           "</ListBucketResult>");
    refuse("<Error><Contents><Key>a</Key></Contents></Error>");
    refuse("<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult><Name>&b;</Name></ListBucketResult>");
    refuse("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><ListBucketResult><Name>b</Name></ListBucketResult>");
    struct buffer text = {0};
    for (unsigned i = 0; i < 1000; i++)
        buffer_append_string(&text, "<a>");
    refuse(buffer_string(&text));
    buffer_clear(&text);
    buffer_append_string(&text, "<ListBucketResult><Name>");
    memset(buffer_extend(&text, 100000), 'x', 100000);
    buffer_append_string(&text, "</Name><b>c</b></ListBucketResult>");
    refuse(buffer_string(&text));
    buffer_free(&text);
}
END_TEST

START_TEST(single_values)
{
    char text[16];
    struct bytes error =
        bytes_of_string("<Error><Code>SlowDown</Code><Message>Please reduce your request rate"
                        "</Message></Error>");
    ck_assert(s3_xml_is(error, "Error"));
    ck_assert(!s3_xml_is(error, "Code"));
    ck_assert(s3_xml_text(error, "Code", text, sizeof text));
    ck_assert_str_eq(text, "SlowDown");
    ck_assert(s3_xml_text(error, "Message", text, sizeof text));
    ck_assert_str_eq(text, "Please reduce y");
    ck_assert(!s3_xml_text(error, "Region", text, sizeof text));
    ck_assert_str_eq(text, "");
    ck_assert(s3_xml_text(bytes_of_string("<LocationConstraint xmlns=\"x\">fsn1</LocationConstraint>"),
                          "LocationConstraint", text, sizeof text));
    ck_assert_str_eq(text, "fsn1");
    ck_assert(!s3_xml_text(bytes_of_string("<Error><Code>a</Code>"), "Code", text, sizeof text));
}
END_TEST

START_TEST(times)
{
    ck_assert_int_eq(s3_parse_time("2026-11-24T03:00:00.000Z"), 1795489200);
    ck_assert_int_eq(s3_parse_time("2026-11-24T03:00:00.123456789Z"), 1795489200);
    ck_assert_int_eq(s3_parse_time("2026-11-24T03:00:00Z"), 1795489200);
    ck_assert_int_eq(s3_parse_time("yesterday"), -1);
    ck_assert_int_eq(s3_parse_time(""), -1);
}
END_TEST

RUN_TESTS("s3_xml", a_listing_of_objects, a_listing_of_versions, a_name_that_xml_cannot_hold_hides_no_others,
          what_is_no_listing, single_values, times)
