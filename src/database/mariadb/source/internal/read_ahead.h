// An archive of which one file is read from front to back: another thread fetches what comes next,
// up to 8 MiB, while what is there is worked on.
#pragma once

#include <memory>

#include "database/log_archive.h"

namespace sevenfold::database::mariadb::source {

// Used by one thread. `archive` must outlive it.
class ReadAhead : public LogArchive {
  public:
    ReadAhead(const LogArchive& archive, size_t segment);
    ~ReadAhead() override;
    const std::vector<LogSegment>& segments() const override;
    size_t read(size_t segment, uint64_t offset, MutableByteView out) const override;

  private:
    class Fetcher;
    const LogArchive& archive_;
    size_t segment_;
    std::unique_ptr<Fetcher> fetcher_;
};

}  // namespace sevenfold::database::mariadb::source
