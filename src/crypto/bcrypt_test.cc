#include "crypto/bcrypt.h"

#include <gtest/gtest.h>

namespace sevenfold::crypto {
namespace {

// Of the test vectors that come with the original implementation.
TEST(Bcrypt, KnownHashes) {
    EXPECT_TRUE(
        bcrypt_matches("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"));
    EXPECT_TRUE(
        bcrypt_matches("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"));
    EXPECT_FALSE(
        bcrypt_matches("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"));
}

TEST(Bcrypt, HashesOfOurOwn) {
    std::string hash = bcrypt_hash("p\xc3\xa4ss", 4);
    EXPECT_TRUE(hash.starts_with("$2y$04$"));
    EXPECT_NE(hash, bcrypt_hash("p\xc3\xa4ss", 4));
    EXPECT_TRUE(bcrypt_matches("p\xc3\xa4ss", hash));
    EXPECT_FALSE(bcrypt_matches("pass", hash));
    EXPECT_FALSE(bcrypt_matches("", hash));
    EXPECT_FALSE(bcrypt_matches(std::string_view("p\xc3\xa4ss\0x", 7), hash));
}

TEST(Bcrypt, OnlyBcrypt) {
    std::string hash = bcrypt_hash("x", 4);
    EXPECT_TRUE(is_bcrypt_hash(hash));
    EXPECT_FALSE(is_bcrypt_hash(""));
    EXPECT_FALSE(is_bcrypt_hash("plain"));
    EXPECT_FALSE(is_bcrypt_hash("{SHA}" + std::string(55, 'x')));
    EXPECT_FALSE(is_bcrypt_hash(hash.substr(0, 59)));
    EXPECT_FALSE(is_bcrypt_hash(hash.substr(0, 59) + "*"));
    std::string slow = hash;
    slow.replace(4, 2, "31");  // hours
    EXPECT_FALSE(is_bcrypt_hash(slow));
    EXPECT_FALSE(bcrypt_matches("x", slow));
    EXPECT_FALSE(bcrypt_matches("x", "x"));
}

}  // namespace
}  // namespace sevenfold::crypto
