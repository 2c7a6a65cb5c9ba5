// Any bytes: decode_config reads them or throws Error, and what it reads survives being written.
#include "core/check.h"
#include "core/error.h"
#include "repository/repository.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace sevenfold;
    std::string json;
    try {
        json = repository::encode_config(repository::decode_config(ByteView(data, size)));
    } catch (const Error&) {
        return 0;
    }
    CHECK(repository::encode_config(repository::decode_config(as_bytes(json))) == json);
    return 0;
}
