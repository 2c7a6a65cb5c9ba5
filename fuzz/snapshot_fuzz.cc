// Any bytes: decode_snapshot reads them or throws Error, and what it reads survives being written.
#include "core/check.h"
#include "core/error.h"
#include "repository/snapshot.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    std::string json;
    try {
        json = repository::encode_snapshot(repository::decode_snapshot(ByteView(data, size)));
    } catch (const Error&) {
        return 0;
    }
    CHECK(repository::encode_snapshot(repository::decode_snapshot(as_bytes(json))) == json);
    return 0;
}
