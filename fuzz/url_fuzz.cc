// Any text as a place's URL: a location that is shown as a URL for the same location, or an Error.
#include "core/check.h"
#include "core/error.h"
#include "storage/open.h"

using namespace sevenfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    storage::redact_url(text);
    storage::Location location;
    try {
        location = storage::parse_location(text);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::config || error.kind() == ErrorKind::unsupported);
        return 0;
    }
    CHECK(storage::parse_location(location.display()) == location);
    return 0;
}
