// Any bytes: decode_lock reads them or throws Error, and what it reads survives being written.
#include "core/check.h"
#include "core/error.h"
#include "repository/lock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    std::string json;
    try {
        json = repository::encode_lock(repository::decode_lock(ByteView(data, size)));
    } catch (const Error&) {
        return 0;
    }
    CHECK(repository::encode_lock(repository::decode_lock(as_bytes(json))) == json);
    return 0;
}
