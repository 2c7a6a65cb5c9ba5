// Everything that may come instead of mariadb-backup's stream, in pieces whose size is the first
// byte. Only Error{corrupt} and {unsupported} may come out, and the handler must see offsets that
// follow and plain paths only.
#include <algorithm>
#include <cstdint>
#include <map>

#include "core/error.h"
#include "database/mariadb/physical/mbstream.h"

namespace {

class Watcher : public sevenfold::database::mariadb::MbstreamHandler {
  public:
    void begin(const std::string& path, bool) override {
        if (path.empty() || path[0] == '/' || path == ".." || path.starts_with("../"))
            __builtin_trap();
        if (!sizes_.emplace(path, 0).second) __builtin_trap();
    }
    void data(const std::string& path, uint64_t offset, sevenfold::ByteView bytes) override {
        uint64_t& size = sizes_.at(path);
        if (offset > size) __builtin_trap();
        size = std::max(size, offset + bytes.size());
    }
    void end(const std::string& path) override {
        if (sizes_.erase(path) != 1) __builtin_trap();
    }
    void rename(const std::string& from, const std::string& to) override {
        if (sizes_.contains(from) || sizes_.contains(to)) __builtin_trap();
    }
    void remove(const std::string& path) override {
        if (sizes_.contains(path)) __builtin_trap();
    }

  private:
    std::map<std::string, uint64_t> sizes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    size_t step = 1 + data[0];
    sevenfold::ByteView rest(data + 1, size - 1);
    Watcher watcher;
    sevenfold::database::mariadb::MbstreamParser parser(watcher);
    try {
        while (!rest.empty()) {
            size_t n = std::min(step, rest.size());
            parser.feed(rest.first(n));
            rest = rest.subspan(n);
        }
        parser.finish();
    } catch (const sevenfold::Error& error) {
        if (error.kind() != sevenfold::ErrorKind::corrupt &&
            error.kind() != sevenfold::ErrorKind::unsupported)
            __builtin_trap();
    }
    return 0;
}
