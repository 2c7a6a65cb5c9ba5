#include "storage/s3/s3_xml.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "storage/testing/contract.h"

namespace sevenfold::storage {
namespace {

TEST(S3Xml, Errors) {
    auto error = parse_s3_error(
        "<?xml version=\"1.0\" "
        "encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code>"
        "<Message>expecting &apos;eu-west-3&apos;</Message><Region>eu-west-3</Region></Error>");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, "AuthorizationHeaderMalformed");
    EXPECT_EQ(error->message, "expecting 'eu-west-3'");
    EXPECT_EQ(error->region, "eu-west-3");
    for (const char* other :
         {"", "<html><body>Bad gateway</body></html>", "<Error><Code>NoSuchKey</Code>", "<Error/>",
          "{\"error\":1}", "<Other><Code>NoSuchKey</Code></Other>"})
        EXPECT_FALSE(parse_s3_error(other)) << other;
}

TEST(S3Xml, Listings) {
    S3ListPage page = parse_s3_list(
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
        "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<Contents><Key>a%2Fb+c%2B</Key><Size>18446744073709551615</Size></Contents>"
        "<Contents><Key>d</Key><Size>0</Size></Contents>"
        "<NextContinuationToken>t/=</NextContinuationToken></ListBucketResult>");
    ASSERT_EQ(page.objects.size(), 2u);
    EXPECT_EQ(page.objects[0].key, "a/b c+");
    EXPECT_EQ(page.objects[0].size, UINT64_MAX);
    EXPECT_EQ(page.objects[1].key, "d");
    EXPECT_TRUE(page.truncated);
    EXPECT_EQ(page.continuation, "t/=");
    page = parse_s3_list(
        "<s3:ListBucketResult xmlns:s3=\"x\"><s3:IsTruncated>false</s3:IsTruncated>"
        "<s3:Contents><s3:Key>a%2Fb&amp;</s3:Key><s3:Size>1</s3:Size></s3:Contents>"
        "</s3:ListBucketResult>");
    EXPECT_EQ(page.objects.at(0).key, "a%2Fb&");
    EXPECT_FALSE(page.truncated);
}

TEST(S3Xml, WrongListings) {
    for (const char* wrong :
         {"", "<html></html>", "<ListBucketResult><IsTruncated>false</IsTruncated>",
          "<ListBucketResult></ListBucketResult>",
          "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
          "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
          "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size>"
          "</Contents></ListBucketResult>",
          "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"
          "</ListBucketResult>",
          "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>"
          "</ListBucketResult>",
          "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
          "<Contents><Key>%zz</Key><Size>1</Size></Contents></ListBucketResult>"})
        expect_error(ErrorKind::corrupt, [&] { parse_s3_list(wrong); });
}

// Entities of the document's own are not expanded: a short text cannot become a long one.
TEST(S3Xml, EntitiesStayAsTheyAre) {
    S3ListPage page = parse_s3_list(
        "<!DOCTYPE x [<!ENTITY a \"bbbbbbbbbb\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>"
        "<ListBucketResult><IsTruncated>false</IsTruncated>"
        "<Contents><Key>&a;&f;</Key><Size>1</Size></Contents></ListBucketResult>");
    EXPECT_EQ(page.objects.at(0).key, "&a;&f;");
}

}  // namespace
}  // namespace sevenfold::storage
