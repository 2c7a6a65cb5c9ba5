// Any bytes as a pack's header, once in plain and once sealed at the end of a file: read in full or
// refused with Error{corrupt}, and what is read survives being written.
#include "core/check.h"
#include "core/error.h"
#include "repository/pack.h"

using namespace sevenfold;
using namespace sevenfold::repository;

static crypto::Cipher& cipher() {
    static crypto::Cipher one = [] {
        crypto::CipherKey key;
        key.encrypt.fill(1);
        key.mac_k.fill(2);
        key.mac_r.fill(3);
        return crypto::Cipher(key);
    }();
    return one;
}

static std::vector<PackedBlob> decode(ByteView plaintext) {
    try {
        return decode_pack_header(plaintext);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
        return {};
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    ByteView plaintext(data, size);
    std::vector<PackedBlob> blobs = decode(plaintext);
    if (!blobs.empty()) {
        Bytes again = encode_pack_header(blobs);
        CHECK(std::equal(again.begin(), again.end(), plaintext.begin(), plaintext.end()));
    }
    // As the tail of a file whose size is as the header claims, and of one whose size is not.
    Bytes tail = cipher().seal(plaintext);
    auto length = static_cast<uint32_t>(tail.size());
    for (int shift = 0; shift < 32; shift += 8)
        tail.push_back(static_cast<uint8_t>(length >> shift));
    for (uint64_t file_size : {pack_file_size(blobs), uint64_t{tail.size()}, uint64_t{1} << 40}) {
        try {
            if (file_size < tail.size()) continue;
            HeaderResult result = read_pack_header(tail, file_size, cipher());
            CHECK(result.bytes_needed != 0 || pack_file_size(result.blobs) == file_size);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
        }
    }
    // The bytes themselves as a tail: the length field and the seal are foreign, too.
    try {
        read_pack_header(plaintext, size, cipher());
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    return 0;
}
