// Rows as they were at a moment of the past.
#pragma once

#include <string>
#include <vector>

#include "database/mariadb/binlog/rows.h"
#include "database/mariadb/timeline/schema.h"

namespace sevenfold::database::mariadb {

class RowHistory {
  public:
    virtual ~RowHistory() = default;
    // The rows of the table, at that moment, in which `columns` have `values`. An image has a value
    // for each column of the schema, but none for generated ones.
    virtual std::vector<RowImage> rows(const TableSchema& table,
                                       const std::vector<std::string>& columns,
                                       const std::vector<Value>& values) = 0;
};

// Of a server that stands at that moment: a scratch server on which the log was replayed up to just
// before a transaction.
class ServerHistory : public RowHistory {
  public:
    // The connection must be in UTC, as ours are, and outlive it.
    explicit ServerHistory(sql::MariadbConnection& connection) : connection_(connection) {}
    std::vector<RowImage> rows(const TableSchema& table, const std::vector<std::string>& columns,
                               const std::vector<Value>& values) override;

  private:
    sql::MariadbConnection& connection_;
};

}  // namespace sevenfold::database::mariadb
