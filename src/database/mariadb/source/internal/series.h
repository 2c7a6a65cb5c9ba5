// The files of a series in the order of history.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "database/log_archive.h"
#include "database/mariadb/source/plan.h"

namespace sevenfold::database::mariadb::source {

struct SeriesFile {
    size_t segment = 0;  // in the archive
    size_t part = 0;     // in the series
    std::string wire_name;
    std::optional<Gtid> until;  // the part's last transaction that counts
};

// Immutable view; thread-safe. The archive must outlive it.
class Series {
  public:
    // Throws Error{not_found} when a part is not in the archive.
    Series(const LogArchive& archive, const std::vector<SeriesPart>& parts);

    size_t size() const { return files_.size(); }
    const SeriesFile& operator[](size_t number) const { return files_[number]; }
    const LogSegment& segment(size_t number) const {
        return archive_->segments()[files_[number].segment];
    }
    // Before the file's first transaction; read from its head when it is first asked for. Throws
    // Error{corrupt} when the file does not say so.
    const Position& begin(size_t number) const;
    // Of the part that begins with file `first`, the last one that begins no later than
    // `position`; nothing: there is none.
    std::optional<size_t> last_begun(size_t first, const Position& position) const;
    // The first file of the part after that of file `number`; size() when there is none.
    size_t next_part(size_t number) const;

  private:
    struct Begins {
        std::mutex mutex;
        std::vector<std::unique_ptr<const Position>> known;
    };
    const LogArchive* archive_;
    std::vector<SeriesFile> files_;
    std::unique_ptr<Begins> begins_ = std::make_unique<Begins>();
};

}  // namespace sevenfold::database::mariadb::source
