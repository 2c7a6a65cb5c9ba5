// Any bytes as parts of a sealed spool: the reader gives an archive or throws Error, and what was
// sealed with its key comes back. The first byte says how much of a good part stands before the
// rest of the input.
#include <algorithm>

#include "core/check.h"
#include "core/error.h"
#include "core/log.h"
#include "database/mariadb/stream/sealed_spool.h"

namespace {

using namespace sevenfold;
using namespace sevenfold::database::mariadb;

crypto::CipherKey fixed_key() {
    crypto::CipherKey key;
    key.encrypt.fill(1);
    key.mac_k.fill(2);
    key.mac_r.fill(3);
    return key;
}

struct MemoryParts : PartStore {
    Bytes bytes;
    std::string location() const override { return "memory"; }
    std::vector<Part> list() override {
        return {{"0001-server1-x", part_name("bin.000001", 1), bytes.size()}};
    }
    Bytes read(const Part&, uint64_t offset, size_t length) override {
        if (offset >= bytes.size()) return {};
        return to_bytes(
            ByteView(bytes).subspan(offset, std::min<size_t>(length, bytes.size() - offset)));
    }
    void remove(const Part&) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    set_log_level(LogLevel::error);
    crypto::CipherKey key = fixed_key();
    crypto::Cipher cipher(key);
    MemoryParts parts;
    ByteView input(data + 1, size - 1);
    // What is sealed is read back whatever it is; the frame's own fields come from the input.
    ByteView body = input.first(std::min(input.size(), kMaxFrameData));
    append(parts.bytes, seal_frame(cipher, "0001-server1-x/bin.000001", 0, body));
    size_t whole = parts.bytes.size();
    if (data[0] % 2 == 0) parts.bytes.resize(whole * data[0] / 256);
    append(parts.bytes, input);
    try {
        auto archive = open_sealed_spool(parts, key);
        for (size_t i = 0; i < archive->segments().size(); ++i) {
            Bytes out(archive->segments()[i].size);
            CHECK(archive->read(i, 0, out) == out.size());
            if (data[0] % 2 != 0) CHECK(std::equal(body.begin(), body.end(), out.begin()));
        }
        SealedFrame frame = open_frame(cipher, cipher.seal(input));
        CHECK(frame.data.size() <= input.size());
    } catch (const Error&) {
    }
    return 0;
}
