#include "crypto/hmac.h"

#include <gtest/gtest.h>

namespace sevenfold::crypto {
namespace {

// RFC 4231, test cases 1, 2, 3 and 6 (a key longer than a block).
TEST(HmacSha256, PublishedVectors) {
    EXPECT_EQ(hmac_sha256(Bytes(20, 0x0b), as_bytes("Hi There")).hex(),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?")).hex(),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac_sha256(Bytes(20, 0xaa), Bytes(50, 0xdd)).hex(),
              "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    EXPECT_EQ(hmac_sha256(Bytes(131, 0xaa),
                          as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))
                  .hex(),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// RFC 1321, appendix A.5.
TEST(Md5, PublishedVectors) {
    EXPECT_EQ(to_hex(md5({}).value()), "d41d8cd98f00b204e9800998ecf8427e");
    EXPECT_EQ(to_hex(md5(as_bytes("message digest")).value()), "f96b697d7cb7938d525a2f31aaf161d0");
}

}  // namespace
}  // namespace sevenfold::crypto
