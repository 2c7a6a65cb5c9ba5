// MariaDB's global transaction ids: domain-server-sequence, and lists of them as positions.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sevenfold::database::mariadb {

struct Gtid {
    uint32_t domain = 0;
    uint32_t server_id = 0;
    uint64_t sequence = 0;
    auto operator<=>(const Gtid&) const = default;

    std::string display() const;  // "0-1-5"
};
// Throws Error{usage} unless `text` is one GTID.
Gtid parse_gtid(std::string_view text);

// How far a log, or a replica, has come: for each domain the last transaction of every server, and
// which of those was the last of all. `@@gtid_binlog_pos` names only that one per domain,
// `@@gtid_binlog_state` and the list at the head of each log file name all.
class GtidList {
  public:
    // The transaction has been done; it becomes the last of its domain.
    void add(const Gtid& gtid);
    // Takes over everything that is in `other`.
    void add_all(const GtidList& other);

    bool empty() const { return domains_.empty(); }
    // Whether the transaction is at or before this position. A server that is not named is compared
    // with the last of the domain: sequences grow within a domain (gtid_strict_mode).
    bool contains(const Gtid& gtid) const;
    // Whether every transaction named in `other` is contained.
    bool contains_all(const GtidList& other) const;
    std::optional<Gtid> last(uint32_t domain) const;

    std::string position() const;   // one per domain, as gtid_binlog_pos: "0-1-5,1-2-7"
    std::string state() const;      // all, the last of each domain at its end
    std::vector<Gtid> all() const;  // in that order

    bool operator==(const GtidList&) const = default;

  private:
    struct Domain {
        std::map<uint32_t, uint64_t> sequences;  // by server
        uint32_t last_server = 0;
        bool operator==(const Domain&) const = default;
    };
    std::map<uint32_t, Domain> domains_;
};
// "0-1-5,1-2-7"; empty text is the start of everything. Throws Error{usage}.
GtidList parse_gtid_list(std::string_view text);

}  // namespace sevenfold::database::mariadb
