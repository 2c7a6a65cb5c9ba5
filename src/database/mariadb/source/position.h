// Where a replica is: the last transaction of each domain, as `@@gtid_slave_pos` has it. (A
// GtidList knows the last one of every server as well, which is the history of a log.)
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "database/mariadb/binlog/gtid.h"

namespace sevenfold::database::mariadb {

class Position {
  public:
    Position() = default;
    explicit Position(const GtidList& list);
    // "0-1-100,5-2-3"; empty is the beginning. Throws Error{usage}.
    static Position parse(std::string_view text) { return Position(parse_gtid_list(text)); }
    std::string display() const;

    void set(const Gtid& gtid) { last_[gtid.domain] = gtid; }
    const Gtid* find(uint32_t domain) const;
    const std::map<uint32_t, Gtid>& all() const { return last_; }  // by domain
    bool empty() const { return last_.empty(); }
    bool operator==(const Position&) const = default;

  private:
    std::map<uint32_t, Gtid> last_;
};

}  // namespace sevenfold::database::mariadb
