#include <gtest/gtest.h>

#include "core/error.h"
#include "repository/repository.h"

namespace sevenfold::repository {
namespace {

constexpr std::string_view kConfig =
    R"({"version":2,"id":"83e461d6748e03f4d3756654fb83443b4870d187463457de60c289d7d064c93c","chunker_polynomial":"3da3358b4dc173"})";

ErrorKind failure(std::string_view json) {
    try {
        decode_config(as_bytes(json));
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::internal;
}

TEST(Config, RoundTripsResticsBytes) {
    RepositoryConfig config = decode_config(as_bytes(kConfig));
    EXPECT_EQ(config.version, 2);
    EXPECT_EQ(config.id.short_hex(), "83e461d6");
    EXPECT_EQ(config.chunker_polynomial, 0x3da3358b4dc173u);
    EXPECT_EQ(encode_config(config), kConfig);
}

TEST(Config, AcceptsVersion1ALineFeedAndForeignKeys) {
    std::string json(kConfig);
    json.replace(11, 1, "1");
    EXPECT_EQ(decode_config(as_bytes(json + "\n")).version, 1);
    json.insert(json.size() - 1, R"(,"is_hot":true,"treepack_size":[4194304])");
    EXPECT_EQ(decode_config(as_bytes(json)).version, 1);
}

TEST(Config, RefusesOtherVersions) {
    for (const char* version : {"0", "3", "18446744073709551615"}) {
        std::string json(kConfig);
        json.replace(11, 1, version);
        EXPECT_EQ(failure(json), ErrorKind::unsupported) << version;
    }
}

TEST(Config, RefusesDamage) {
    for (size_t n = 0; n < kConfig.size(); ++n)
        EXPECT_EQ(failure(kConfig.substr(0, n)), ErrorKind::corrupt) << n;
    auto with = [](std::string_view from, std::string_view to) {
        std::string json(kConfig);
        return json.replace(json.find(from), from.size(), to);
    };
    EXPECT_EQ(failure(with("3da3358b4dc173", "38f1e565e288df")), ErrorKind::corrupt);  // reducible
    EXPECT_EQ(failure(with("3da3358b4dc173", "")), ErrorKind::corrupt);
    EXPECT_EQ(failure(with("83e461", "83E461")), ErrorKind::corrupt);
    EXPECT_EQ(failure(with("\"id\"", "\"ID\"")), ErrorKind::corrupt);
    EXPECT_EQ(failure(with("\"version\"", "\"v\"")), ErrorKind::corrupt);
    EXPECT_EQ(failure(with("2", "\"2\"")), ErrorKind::corrupt);
}

}  // namespace
}  // namespace sevenfold::repository
