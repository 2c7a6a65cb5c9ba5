#include "core/crc32.h"

#include <gtest/gtest.h>

namespace sevenfold {
namespace {

TEST(Crc32Test, KnownValuesAndAnySplit) {
    EXPECT_EQ(crc32({}), 0u);
    EXPECT_EQ(crc32(as_bytes("123456789")), 0xCBF43926u);
    EXPECT_EQ(crc32(as_bytes("The quick brown fox jumps over the lazy dog")), 0x414FA339u);
    std::string text = "The quick brown fox jumps over the lazy dog";
    for (size_t cut = 0; cut <= text.size(); ++cut)
        EXPECT_EQ(crc32(as_bytes(text.substr(cut)), crc32(as_bytes(text.substr(0, cut)))),
                  0x414FA339u);
}

}  // namespace
}  // namespace sevenfold
