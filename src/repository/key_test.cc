#include "repository/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "crypto/sha256.h"
#include "repository/internal/key_file.h"
#include "storage/memory/memory_backend.h"

namespace sevenfold::repository {
namespace {

using storage::FileType;
using storage::MemoryBackend;
using ::testing::HasSubstr;

// Made by restic 0.14 with the password "geheim".
constexpr std::string_view kResticKey =
    R"({"created":"2026-11-22T18:46:56.452616108Z","username":"root","hostname":"vm","k)"
    R"(df":"scrypt","N":32768,"r":8,"p":3,"salt":"dHVsXF8Ghifu0wI7yFmQQ1yNSpQCZ7HNpNWum)"
    R"(txZRZzl68l9swF2GQChRd3/LKChq6EJdKw/OKj0zQ9Ggjz+sQ==","data":"ME60rcyPNcUjCg3mvXq)"
    R"(vHWz1URP5+/JqgvjJDXb2sZDK/uJdzxJLRwflLzEvLUtg0Zyvmm9sR9JK1f2uayVQ/azzTm1nP69xyHt)"
    R"(SHiJ0XK2LyXqyJpfMGWK3B+btxu24o6SjtvXl1AuveUyRG03yCzflnJmYhLvwL1weO05G/a9N/DhLkYJ)"
    R"(OzT3hgExvw0vdaQbGSX9iCboqqR/YZL8fFA=="})";
constexpr std::string_view kResticEncryptKey = "UkIOB4gadL5RtUmOdUU15yON8zNqI8JynLY4q19Rndw=";

const KeyOptions kFast{.username = "u", .hostname = "h", .kdf_time = std::chrono::milliseconds(0)};

Id put(MemoryBackend& backend, std::string_view file) {
    Id id = crypto::sha256(as_bytes(file));
    backend.store({FileType::key, id}, as_bytes(file));
    return id;
}

Error failure(storage::Backend& backend, std::string_view password, size_t max_keys = 20) {
    try {
        open_key(backend, Secret(password), std::nullopt, max_keys);
    } catch (const Error& error) {
        return error;
    }
    return Error(ErrorKind::internal, "no error");
}

TEST(KeyFile, RoundTripsResticsBytes) {
    EXPECT_EQ(encode_key_file(decode_key_file(as_bytes(kResticKey), "key")), kResticKey);
}

TEST(KeyFile, RefusesDamage) {
    for (size_t n = 0; n < kResticKey.size(); ++n)
        EXPECT_THROW(decode_key_file(as_bytes(kResticKey.substr(0, n)), "key"), Error) << n;
    auto with = [](std::string_view from, std::string_view to) {
        std::string json(kResticKey);
        json.replace(json.find(from), from.size(), to);
        try {
            decode_key_file(as_bytes(json), "key");
        } catch (const Error& error) {
            return error.kind();
        }
        return ErrorKind::internal;
    };
    EXPECT_EQ(with("\"scrypt\"", "\"argon2\""), ErrorKind::unsupported);
    EXPECT_EQ(with("\"N\":32768", "\"N\":32767"), ErrorKind::corrupt);
    EXPECT_EQ(with("\"N\":32768", "\"N\":1099511627776"), ErrorKind::corrupt);  // 1 PiB of memory
    EXPECT_EQ(with("\"r\":8", "\"r\":0"), ErrorKind::corrupt);
    EXPECT_EQ(with("\"salt\":\"", "\"salt\":\"AAAA"), ErrorKind::corrupt);
    EXPECT_EQ(with("\"data\":\"", "\"data\":\"\",\"x\":\""), ErrorKind::corrupt);
}

TEST(MasterKey, RoundTripAndRefusal) {
    crypto::CipherKey key = crypto::CipherKey::generate();
    Bytes json = encode_master_key(key);
    EXPECT_EQ(decode_master_key(json), key);
    EXPECT_THROW(decode_master_key(encode_master_key({})), Error);
    for (size_t n = 0; n < json.size(); ++n)
        EXPECT_THROW(decode_master_key(ByteView(json).first(n)), Error) << n;
    EXPECT_THROW(decode_master_key(as_bytes(R"({"mac":{"k":"AAAA","r":""},"encrypt":""})")), Error);
}

TEST(Key, OpensResticsKey) {
    MemoryBackend backend;
    Id id = put(backend, kResticKey);
    OpenedKey key = open_key(backend, Secret("geheim"), std::nullopt, 20);
    EXPECT_EQ(key.id, id);
    EXPECT_EQ(to_base64(key.master.encrypt), kResticEncryptKey);
    EXPECT_EQ(failure(backend, "Geheim").kind(), ErrorKind::wrong_password);
}

TEST(Key, EachPasswordOpensItsOwn) {
    MemoryBackend backend;
    crypto::CipherKey master = crypto::CipherKey::generate();
    Id one = add_key(backend, master, Secret("one"), kFast);
    Id two = add_key(backend, master, Secret("two"), kFast);
    for (auto hint :
         {std::optional<Id>(), std::optional(one), std::optional(two), std::optional(Id{})}) {
        OpenedKey key = open_key(backend, Secret("two"), hint, 20);
        EXPECT_EQ(key.id, two);
        EXPECT_EQ(key.master, master);
    }
    std::vector<Error> damaged;
    std::vector<KeyInfo> keys = list_keys(backend, damaged);
    ASSERT_EQ(keys.size(), 2u);
    EXPECT_EQ(keys[0].username, "u");
    EXPECT_EQ(keys[0].hostname, "h");
    EXPECT_TRUE(damaged.empty());

    EXPECT_THROW(remove_key(backend, two, two), Error);
    remove_key(backend, one, two);
    EXPECT_EQ(failure(backend, "one").kind(), ErrorKind::wrong_password);
    try {
        remove_key(backend, one, two);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::not_found);
    }
    EXPECT_THROW(add_key(backend, master, Secret(""), kFast), Error);
}

TEST(Key, TriesNoMoreThanTheLimitUnlessHinted) {
    MemoryBackend backend;
    crypto::CipherKey master = crypto::CipherKey::generate();
    std::vector<Id> ids;
    for (int i = 0; i < 4; ++i) ids.push_back(add_key(backend, master, Secret("other"), kFast));
    Id mine = add_key(backend, master, Secret("mine"), kFast);
    std::sort(ids.begin(), ids.end());
    size_t before =
        static_cast<size_t>(std::lower_bound(ids.begin(), ids.end(), mine) - ids.begin());
    if (before > 0) {
        Error error = failure(backend, "mine", before);
        EXPECT_EQ(error.kind(), ErrorKind::wrong_password);
        EXPECT_THAT(error.hint(), HasSubstr("--key-hint"));
    }
    EXPECT_EQ(open_key(backend, Secret("mine"), std::nullopt, before + 1).id, mine);
    EXPECT_EQ(open_key(backend, Secret("mine"), mine, 1).id, mine);
}

TEST(Key, DamagedKeysDoNotKeepAGoodOneFromOpening) {
    MemoryBackend backend;
    put(backend, "");
    put(backend, "garbage");
    put(backend, kResticKey.substr(0, 200));
    Id good = put(backend, kResticKey);
    EXPECT_EQ(open_key(backend, Secret("geheim"), std::nullopt, 20).id, good);
    Error error = failure(backend, "wrong");
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.message(), HasSubstr("none of the other keys opens with this password"));
    std::vector<Error> damaged;
    EXPECT_EQ(list_keys(backend, damaged).size(), 1u);
    EXPECT_EQ(damaged.size(), 3u);
}

TEST(Key, ABitFlippedInsideIsDamageNotAWrongPassword) {
    std::string file(kResticKey);
    file[file.find("\"data\":\"") + 20] ^= 1;
    MemoryBackend backend;
    backend.store({FileType::key, crypto::sha256(as_bytes(kResticKey))}, as_bytes(file));
    Error error = failure(backend, "geheim");
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
}

TEST(Key, NoKeysAtAll) {
    MemoryBackend backend;
    Error error = failure(backend, "x");
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    EXPECT_THAT(error.message(), HasSubstr("has no keys"));
}

}  // namespace
}  // namespace sevenfold::repository
