// Whether an archive of binlogs leads from one position to another.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "database/driver.h"
#include "database/mariadb/binlog/reader.h"

namespace sevenfold::database::mariadb {

// See Driver::missing_between.
std::optional<std::string> missing_between(const LogArchive& archive,
                                           const database::Position& from,
                                           const database::Position& to);

// Transactions from a place in the archive on, as TransactionReader, and at the end of an
// incarnation over to a later one, of another server, that goes on with the same history: what both
// have comes once. Ends where nothing goes on. Throws what TransactionReader throws, but at the
// end.
class ContinuedReader {
  public:
    // `from`: with incarnation, file, and offset; `done`: of each domain a transaction that is at
    // or before that place, the last that is known.
    ContinuedReader(const LogArchive& archive, const ReadOptions& from, GtidList done);
    bool next(Transaction& transaction);
    // Everything up to the last transaction.
    GtidList state() const;

  private:
    const LogArchive& archive_;
    std::string incarnation_;
    const bool count_rows_;
    GtidList done_;
    std::unique_ptr<TransactionReader> reader_;
};

// See Driver::log_end.
std::optional<LogEnd> log_end(const LogArchive& archive, const database::Position& from,
                              uint64_t limit);

}  // namespace sevenfold::database::mariadb
