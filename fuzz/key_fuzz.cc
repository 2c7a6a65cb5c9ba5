// Any bytes: decode_key_file reads them or throws Error, and what it reads survives being written.
#include "core/check.h"
#include "core/error.h"
#include "repository/internal/key_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    std::string json;
    try {
        json =
            repository::encode_key_file(repository::decode_key_file(ByteView(data, size), "key"));
    } catch (const Error&) {
        return 0;
    }
    CHECK(repository::encode_key_file(repository::decode_key_file(as_bytes(json), "key")) == json);
    return 0;
}
