// Small things that the readers of a schema share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/mariadb.h"

namespace sevenfold::database::mariadb {

// "table_schema IN ('a','b')"; "FALSE" when there is none.
std::string in_databases(const char* column, const std::vector<std::string>& databases);
// The statement that makes an object; NULL means that we may not see it: Error{permission}.
std::string definition(const sql::Row& row, size_t column, const std::string& what);
// What every file of statements begins with.
const std::vector<std::string>& prologue();

// Raw bytes instead of text in our character set, while this lives.
class RawResults {
  public:
    explicit RawResults(sql::MariadbConnection& connection);
    ~RawResults();
    RawResults(const RawResults&) = delete;
    RawResults& operator=(const RawResults&) = delete;

  private:
    sql::MariadbConnection& connection_;
};

}  // namespace sevenfold::database::mariadb
