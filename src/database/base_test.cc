#include "database/base.h"

#include <gtest/gtest.h>

#include "storage/testing/contract.h"

namespace sevenfold::database {
namespace {

TEST(BaseManifestTest, ReadsWhatItWrote) {
    BaseManifest base;
    base.method = "logical";
    base.server_version = "10.11.19-MariaDB";
    base.position = {"0-1-5,1-2-7", "bin.000002", 1234};
    base.data_format = "tsv";
    base.consistent_at = parse_rfc3339("2026-11-25T07:15:00.5Z");
    base.tables = {
        {"shop", "übung", "InnoDB", false, 3, 0xfedcba9876543210, {"d/0.tsv"}, {"id", "x"}}};
    base.objects = {{"table", 1}, {"trigger", 2}};
    base.server_variables = {{"lower_case_table_names", "0"}};
    std::string text = encode_base(base);
    BaseManifest back = decode_base(as_bytes(text));
    EXPECT_EQ(encode_base(back), text);
    EXPECT_EQ(back.tables, base.tables);
    EXPECT_EQ(back.position, base.position);
    PointManifest point{base.consistent_at, base.position, "ab", "0001-x"};
    EXPECT_EQ(encode_point(decode_point(as_bytes(encode_point(point)))), encode_point(point));
}

TEST(BaseManifestTest, RefusesWhatIsNone) {
    storage::expect_error(ErrorKind::corrupt, [] { decode_base(as_bytes("{")); });
    storage::expect_error(ErrorKind::corrupt, [] { decode_base(as_bytes("{\"format\":1}")); });
    storage::expect_error(ErrorKind::unsupported, [] { decode_base(as_bytes("{\"format\":2}")); });
}

}  // namespace
}  // namespace sevenfold::database
