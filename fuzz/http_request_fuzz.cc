// Any bytes as a client of the repository server sends them: requests that are answered or refused.
// No path that is taken leads out of the folder. The same bytes as a file of rights.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/check.h"
#include "core/error.h"
#include "net/http_server.h"
#include "net/internal/http_connection.h"
#include "net/internal/wire.h"
#include "storage/rest_server/rest_path.h"
#include "storage/rest_server/rights.h"

using namespace sevenfold;

namespace {

void check_path(const std::optional<storage::RestPath>& path) {
    if (!path) return;
    const std::string& repository = path->repository;
    CHECK(repository.empty() || (repository.starts_with('/') && !repository.ends_with('/')));
    for (const char* bad : {"/.", "//", "\n"}) CHECK(repository.find(bad) == std::string::npos);
    CHECK(repository.find('\0') == std::string::npos);
}

net::ServerResponse answer(const net::ServerRequest& request, net::RequestBody& body) {
    std::string_view target = request.target;
    target = target.substr(0, target.find('?'));
    check_path(storage::parse_rest_path(target));
    check_path(storage::parse_repository_path(target));
    uint8_t piece[100];
    uint64_t size = 0;
    try {
        if (request.method != "HEAD")
            while (size_t n = body.read(piece)) size += n;
        CHECK(!request.body_size || request.method == "HEAD" || size == *request.body_size);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::network ||
              error.kind() == ErrorKind::refused);
    }
    CHECK(size <= 1000);
    return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const int input = ::memfd_create("requests", MFD_CLOEXEC);
    static const int output = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(::ftruncate(input, 0) == 0 && ::lseek(input, 0, SEEK_SET) == 0);
    CHECK(::pwrite(input, data, size, 0) == static_cast<ssize_t>(size));
    net::ServerOptions options;
    options.limits.header_bytes = 2000;
    options.limits.body_bytes = 1000;
    auto wire = net::internal::plain_wire(input, output);
    net::ServerHandler handler = answer;
    net::internal::serve_connection(*wire, {.server = options,
                                            .handler = handler,
                                            .peer = "fuzzer",
                                            .stopping = [] { return false; },
                                            .busy = [](bool) {}});
    try {
        std::string_view text(reinterpret_cast<const char*>(data), size);
        for (const storage::RightRule& rule : storage::parse_rights(text, "rights"))
            CHECK(!rule.user.empty() && !rule.folder.ends_with('/'));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::config);
    }
    return 0;
}
