// Any bytes as an S3 server's answer: a listing, versions, a lock, an error, or
// Error{corrupt}.
#include "core/check.h"
#include "core/error.h"
#include "storage/s3/s3_versions_xml.h"
#include "storage/s3/s3_xml.h"

using namespace sevenfold;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    if (auto error = storage::parse_s3_error(text)) CHECK(!error->code.empty());
    try {
        storage::S3ListPage page = storage::parse_s3_list(text);
        CHECK(!page.truncated || !page.continuation.empty());
        for (const storage::S3Object& object : page.objects) CHECK(!object.key.empty());
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    try {
        storage::S3VersionPage page = storage::parse_s3_versions(text);
        CHECK(!page.truncated || !page.next_key.empty());
        for (const storage::S3Version& version : page.versions)
            CHECK(!version.key.empty() && !version.version.empty());
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    try {
        if (auto retention = storage::parse_s3_retention(text))
            storage::encode_s3_retention(*retention);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
    return 0;
}
