// Any bytes as a log file: reading its transactions and their rows ends or throws Error.
#include <cstring>

#include "core/error.h"
#include "database/mariadb/timeline/changes.h"

namespace {

using namespace sevenfold;

class OneFile : public database::LogArchive {
  public:
    explicit OneFile(ByteView bytes)
        : bytes_(bytes), segments_{{"0001", "bin.000001", bytes.size()}} {}
    const std::vector<database::LogSegment>& segments() const override { return segments_; }
    size_t read(size_t, uint64_t offset, MutableByteView out) const override {
        if (offset >= bytes_.size()) return 0;
        size_t n = std::min<size_t>(out.size(), bytes_.size() - offset);
        memcpy(out.data(), bytes_.data() + offset, n);
        return n;
    }

  private:
    ByteView bytes_;
    std::vector<database::LogSegment> segments_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace database::mariadb;
    OneFile archive(ByteView(data, size));
    try {
        TransactionReader reader(archive, {.stop_at_gap = false});
        for (Transaction t; reader.next(t);)
            visit_changes(archive, t, nullptr, [](const ChangedRow& change) {
                for (const auto& value : change.row.after)
                    if (value) sql_literal(*value);
                return true;
            });
    } catch (const Error&) {
    }
    return 0;
}
